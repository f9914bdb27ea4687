"""Accounts and volumes on disk, across restarts."""

import base64
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from batchai_quickstart.errors import InvalidRequestError, NotFoundError
from batchai_quickstart.storage import Kind, Store
from batchai_quickstart.storage.staging import Staging

Open = Callable[[], Store]


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Open]:
    """Opens the store of this test, again and again."""
    opened: list[Store] = []

    def open_again() -> Store:
        while opened:
            opened.pop().close()
        opened.append(Store(tmp_path / "storage"))
        return opened[0]

    yield open_again
    for store in opened:
        store.close()


def test_accounts_are_made_once_and_kept(open_store: Open) -> None:
    """An account has two 64-byte keys, the same ones for ever, and they are not in its repr."""
    account = open_store().create_account("mystorage")
    assert [len(base64.b64decode(key)) for key in account.keys] == [64, 64]
    assert account.keys[0] != account.keys[1]
    assert account.keys[0] not in repr(account)
    store = open_store()
    assert store.create_account("mystorage") == store.account("mystorage") == account
    assert store.accounts() == (account,)


def test_keys_are_readable_by_the_owner_alone(open_store: Open) -> None:
    """The file with the keys has mode 0600, the root 0700."""
    store = open_store()
    store.create_account("mystorage")
    for path in store.root.glob("storage.db*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["ab", "My", "a" * 25, "a-b", "../x", ""])
def test_account_names_follow_azures_rule(open_store: Open, name: str) -> None:
    """3 to 24 lower-case letters and digits."""
    with pytest.raises(InvalidRequestError):
        open_store().create_account(name)


@pytest.mark.parametrize("name", ["ab", "Logs", "a--b", "-ab", "ab-", "a/b", "..", "a" * 64])
def test_volume_names_follow_azures_rule(open_store: Open, name: str) -> None:
    """3 to 63 lower-case letters, digits and single hyphens."""
    store = open_store()
    store.create_account("mystorage")
    with pytest.raises(InvalidRequestError):
        store.create_volume("mystorage", Kind.FILE, name)


def test_volumes_are_directories_that_last(open_store: Open) -> None:
    """A volume is an ordinary directory; shares and containers of one name are two."""
    store = open_store()
    store.create_account("mystorage")
    share = store.create_volume("mystorage", Kind.FILE, "logs")
    container = store.create_volume("mystorage", Kind.BLOB, "logs")
    assert share.path != container.path
    share.path.joinpath("x").write_bytes(b"1")
    store = open_store()
    assert store.volume("mystorage", Kind.FILE, "logs") == share
    assert store.volumes("mystorage", Kind.BLOB) == (container,)
    store.create_volume("mystorage", Kind.FILE, "logs")
    assert share.path.joinpath("x").read_bytes() == b"1"
    store.delete_volume("mystorage", Kind.FILE, "logs")
    assert not share.path.exists()
    with pytest.raises(NotFoundError) as missing:
        store.volume("mystorage", Kind.FILE, "logs")
    assert missing.value.code == "ShareNotFound"
    with pytest.raises(NotFoundError) as missing:
        store.volume("another", Kind.BLOB, "logs")
    assert missing.value.code == "ContainerNotFound"


def test_an_account_goes_with_everything(open_store: Open) -> None:
    """Deleting an account removes its volumes; a new one of that name has new keys."""
    store = open_store()
    old = store.create_account("mystorage")
    path = store.create_volume("mystorage", Kind.FILE, "logs").path
    path.joinpath("x").write_bytes(b"1")
    store.delete_account("mystorage")
    store.delete_account("mystorage")
    assert not path.exists()
    with pytest.raises(NotFoundError):
        store.account("mystorage")
    new = open_store().create_account("mystorage")
    assert not set(new.keys) & set(old.keys)
    assert not path.exists()


def test_what_a_crash_left_is_gone_after_a_start(open_store: Open) -> None:
    """Unfinished uploads in the staging area do not survive a restart."""
    import os

    store = open_store()
    descriptor, path = store.create_staged()
    os.close(descriptor)
    assert Path(path).exists()
    open_store()
    assert not Path(path).exists()


def test_blocks_do_not_outlive_their_account(open_store: Open) -> None:
    """An account of the same name does not find the uncommitted blocks of the one before it."""
    store = open_store()
    staging = Staging(store)
    for index in range(2):
        store.create_account("mystorage")
        volume = store.create_volume("mystorage", Kind.BLOB, "data")
        assert staging.get(volume, "blob") is None
        staging.begin(volume, "blob")
        if index == 0:
            store.delete_account("mystorage")


def test_leftovers_of_a_cut_off_removal_are_removed(open_store: Open) -> None:
    """Directories nothing is known of, as a crash may leave them, never come back as content."""
    store = open_store()
    store.create_account("mystorage")
    kept = store.create_volume("mystorage", Kind.FILE, "kept").path
    (kept / "file").write_text("x")
    for stray in (kept.with_name("stray"), store.root / "accounts" / "nobody" / "file" / "logs"):
        stray.mkdir(parents=True)
        (stray / "old").write_text("x")
    store = open_store()
    assert (kept / "file").read_text() == "x"
    assert not kept.with_name("stray").exists()
    assert not (store.root / "accounts" / "nobody").exists()
