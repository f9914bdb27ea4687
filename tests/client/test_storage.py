"""Shares and containers through the published storage clients, against the real storage service."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from batchai_quickstart import (
    BlobContainer,
    Connection,
    FileShare,
    ForbiddenError,
    LocalService,
    NotFoundError,
    ResourceGroup,
    StorageAccount,
)

Volume = FileShare | BlobContainer


@pytest.fixture(scope="module")
def account(service: LocalService) -> Iterator[StorageAccount]:
    """A storage account of these tests' own."""
    connection = Connection.open(service.endpoint, token=service.token)
    name = f"a{uuid.uuid4().hex[:12]}"
    group = ResourceGroup.create(name, location="eastus", connection=connection)
    yield StorageAccount.create(name, resource_group=name, connection=connection)
    group.delete()
    connection.close()


@pytest.fixture(params=["share", "container"])
def volume(request: pytest.FixtureRequest, account: StorageAccount) -> Iterator[Volume]:
    """A share, then a container, not created yet."""
    name = f"v{uuid.uuid4().hex[:8]}"
    made: Volume = account.share(name) if request.param == "share" else account.container(name)
    yield made
    made.delete()


def test_first_upload_makes_what_is_missing(volume: Volume, tmp_path: Path) -> None:
    """An upload creates the volume and the directories on the way; a second one replaces."""
    local = tmp_path / "convnet mnist+1%.py"
    local.write_text("print('ä')\n")
    assert volume.upload(local, "a/b/") == f"a/b/{local.name}"
    local.write_text("second")
    assert volume.upload(str(local), "a/b/") == f"a/b/{local.name}"
    assert volume.download(f"a/b/{local.name}", tmp_path / "back").read_text() == "second"
    (folder,) = volume.list()
    assert (folder.name, folder.is_directory, folder.size) == ("a", True, None)
    (entry,) = volume.list("a/b")
    assert (entry.name, entry.size) == (f"a/b/{local.name}", 6)
    assert entry.last_modified is not None
    assert entry.last_modified.tzinfo is not None


def test_large_and_empty_files_come_back_byte_for_byte(volume: Volume, tmp_path: Path) -> None:
    """Files of many parts and of none survive the way up and down."""
    content = bytes(range(256)) * 4096 * 9
    for name, data in (("large", content), ("empty", b"")):
        (tmp_path / name).write_bytes(data)
        volume.upload(tmp_path / name)
        assert volume.download(name, tmp_path / "down" / name).read_bytes() == data


def test_batch_in_parallel(volume: Volume, tmp_path: Path) -> None:
    """Many files go up at once, each under its own name."""
    for index in range(20):
        (tmp_path / f"f{index:02}.txt").write_text(str(index))
    names = volume.upload_batch(tmp_path, pattern="*.txt", destination="d", max_workers=4)
    assert [entry.name for entry in volume.list("d")] == names
    assert [name[2:5] for name in names] == [f"f{index:02}" for index in range(20)]


def test_links_are_enough_to_read(volume: Volume, tmp_path: Path) -> None:
    """A signed link reads its file without further credential, until it expires."""
    (tmp_path / "x y.txt").write_text("linked")
    volume.upload(tmp_path / "x y.txt", "d/")
    assert requests.get(volume.url("d/x y.txt"), timeout=10).text == "linked"
    old = requests.get(volume.url("d/x y.txt", expiry=timedelta(seconds=-60)), timeout=10)
    assert old.status_code == 403
    unsigned = requests.get(volume.url("d/x y.txt").partition("?")[0], timeout=10)
    assert unsigned.status_code in (401, 403, 404)


def test_missing_things_are_not_found(volume: Volume, tmp_path: Path) -> None:
    """What is not there is a NotFoundError with the storage service's code; nothing is left."""
    volume.create().create()
    for ask in (
        lambda: volume.download("nope", tmp_path / "nope"),
        lambda: volume.delete_file("nope"),
    ):
        with pytest.raises(NotFoundError) as caught:
            ask()
        assert caught.value.code in ("ResourceNotFound", "BlobNotFound")
    assert list(tmp_path.iterdir()) == []


def test_files_and_volumes_are_deleted(volume: Volume, tmp_path: Path) -> None:
    """A deleted file is gone; a deleted volume may be deleted again."""
    (tmp_path / "f").write_text("x")
    volume.upload(tmp_path / "f")
    volume.delete_file("f")
    assert volume.list() == []
    volume.delete()
    volume.delete()
    with pytest.raises(NotFoundError):
        volume.list()


def test_wrong_key_is_forbidden(account: StorageAccount) -> None:
    """A key of another account opens nothing."""
    stranger = StorageAccount.from_id(account.id, connection=account.connection)
    stranger._keys = ("d3Jvbmc=",)
    for volume in (stranger.share("s"), stranger.container("s")):
        with pytest.raises(ForbiddenError) as caught:
            volume.create()
        assert caught.value.code == "AuthenticationFailed"


def test_accounts_are_found_again(account: StorageAccount) -> None:
    """An account is got and listed by its name, with endpoints and key."""
    connection, group = account.connection, account.id.group
    again = StorageAccount.get(account.name, resource_group=group, connection=connection)
    assert again == account
    assert again.key == account.key
    assert account in StorageAccount.list(connection=connection)
    assert StorageAccount.list(resource_group=group, connection=connection) == [account]
    assert again.location == "eastus"
