"""Shares and containers through their handles, against the real storage service."""

import multiprocessing
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import (
    AccountSasPermissions,
    BlobServiceClient,
    ContainerClient,
    ResourceTypes,
    Services,
    generate_account_sas,
)
from azure.storage.fileshare import ShareClient, ShareServiceClient

from batchai_quickstart import (
    BlobContainer,
    ConfigurationError,
    FileShare,
    ForbiddenError,
    InvalidRequestError,
    LocalService,
    NotFoundError,
    StorageAccount,
)

Volume = FileShare | BlobContainer


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


def test_batches_come_back_as_they_went(volume: Volume, tmp_path: Path) -> None:
    """A tree with odd names, empty files and links goes up and comes down the same."""
    tree = tmp_path / "tree"
    (tree / "ordner ä" / "日本").mkdir(parents=True)
    (tree / "hollow" / "inner").mkdir(parents=True)
    names = ["a+b%20.txt", "ordner ä/日本/模型.bin", "empty", "ordner ä/#&=;~!.x", "trailing.dot."]
    for index, name in enumerate(names):
        (tree / name).write_bytes(b"" if name == "empty" else f"{index}".encode() * 999)
    (tree / "link").symlink_to(tree / names[0])
    (tree / "ordner ä" / "up").symlink_to(tree)
    (tree / "dangling").symlink_to(tree / "nothing")
    assert volume.upload_batch(tree, destination="d/") == sorted(
        f"d/{name}" for name in (*names, "link")
    )
    back = tmp_path / "back"
    got = volume.download_batch(back, source="d")
    assert sorted(got) == sorted(back / name for name in (*names, "link"))
    for name in (*names, "link"):
        assert (back / name).read_bytes() == (tree / name).read_bytes(), name
    assert (back / "hollow" / "inner").is_dir() is isinstance(volume, FileShare)
    assert not (back / "ordner ä" / "up").exists()


def test_walk_goes_everywhere(volume: Volume, tmp_path: Path) -> None:
    """A walk yields every file below a directory, with its whole name and size."""
    for name in ("a/b/c", "a/d", "e"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    volume.upload_batch(tmp_path)
    assert {e.name: e.size for e in volume.walk() if not e.is_directory} == {
        "a/b/c": 5,
        "a/d": 3,
        "e": 1,
    }
    assert [e.name for e in volume.walk("a/b")] == ["a/b/c"]
    directories = [e.name for e in volume.walk() if e.is_directory]
    assert directories == (["a", "a/b"] if isinstance(volume, FileShare) else [])


def test_patterns_choose_downloads(volume: Volume, tmp_path: Path) -> None:
    """A pattern looks at the name below the source, across slashes; the tree is kept."""
    for name in ("run/m.model", "run/logs/m2.model", "run/logs/out.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    volume.upload_batch(tmp_path / "run", destination="run")
    got = volume.download_batch(tmp_path / "x", pattern="*.model", source="run")
    assert sorted(str(each.relative_to(tmp_path / "x")) for each in got) == [
        "logs/m2.model",
        "m.model",
    ]
    assert not (tmp_path / "x/logs/out.txt").exists()


def test_unchanged_files_are_left_alone(volume: Volume, tmp_path: Path) -> None:
    """Same size and MD5 is the same; same size alone is not."""
    local, told = tmp_path / "f", list[tuple[int, int]]()
    local.write_bytes(b"one" * 1000)
    volume.upload(local)
    first = volume.list()[0].last_modified
    volume.upload(local, skip_unchanged=True, progress=lambda *done: told.append(done))
    assert told == [(3000, 3000)]
    back = tmp_path / "back"
    volume.download("f", back)
    stamp = back.stat().st_ino
    assert volume.download("f", back, skip_unchanged=True).stat().st_ino == stamp
    assert volume.list()[0].last_modified == first
    local.write_bytes(b"two" * 1000)
    volume.upload(local, skip_unchanged=True)
    assert volume.download("f", back, skip_unchanged=True).read_bytes() == b"two" * 1000


def test_files_written_behind_its_back_have_no_md5(
    volume: Volume, service: LocalService, tmp_path: Path
) -> None:
    """A file that a job changes in its place is read as it is now, not held against an old MD5."""
    (tmp_path / "f").write_text("before")
    volume.upload(tmp_path / "f")
    kind = "file" if isinstance(volume, FileShare) else "blob"
    (on_disk,) = service.root.glob(f"storage/accounts/{volume.account.name}/{kind}/{volume.name}/f")
    on_disk.write_text("after!")
    assert volume.download("f", tmp_path / "back", skip_unchanged=True).read_text() == "after!"
    assert volume.sync(tmp_path / "s", direction="down").copied == ("f",)


def test_mistakes_are_told(volume: Volume, tmp_path: Path) -> None:
    """Each of a newcomer's mistakes says what was asked, what is there and what to do."""
    (tmp_path / "f.txt").write_text("x")
    with pytest.raises(NotFoundError, match=r"does not exist"):
        volume.upload(tmp_path / "nope.py")
    with pytest.raises(NotFoundError, match=r"is a directory; upload_batch takes those"):
        volume.upload(tmp_path)
    with pytest.raises(NotFoundError, match=r"does not exist"):
        volume.upload_batch(tmp_path / "nope")
    with pytest.raises(NotFoundError, match=r"matches '\*.gz'; it holds 1 files, f.txt"):
        volume.upload_batch(tmp_path, pattern="*.gz")
    with pytest.raises(InvalidRequestError, match=r"names no file"):
        volume.upload(tmp_path / "f.txt", "../up/")
    with pytest.raises(NotFoundError, match=rf"there is no \w+ '{volume.name}' in storage account"):
        volume.download("f.txt", tmp_path / "x")
    volume.upload(tmp_path / "f.txt")
    with pytest.raises(NotFoundError, match=r"there is no 'g.txt' in"):
        volume.download("g.txt", tmp_path / "x")
    with pytest.raises(NotFoundError, match=r"no file in .* matches '\*.gz'; it holds 1 files"):
        volume.download_batch(tmp_path / "x", pattern="*.gz")
    with pytest.raises(InvalidRequestError, match=r"it is a file, and a directory is needed"):
        volume.download_batch(tmp_path / "f.txt")
    with pytest.raises(InvalidRequestError, match=r"cannot download to"):
        volume.download("f.txt", tmp_path / "f.txt" / "below")
    with pytest.raises(InvalidRequestError, match=r"unknown are q"):
        volume.url("f.txt", permissions="rq")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.txt"]


def test_links_to_a_whole_volume(volume: Volume, tmp_path: Path) -> None:
    """A link to all of it lists and reads by the official clients, and writes if it says so."""
    (tmp_path / "f").write_text("linked")
    volume.upload(tmp_path / "f")
    if isinstance(volume, FileShare):
        share = ShareClient.from_share_url(volume.url())
        assert [entry.name for entry in share.list_directories_and_files()] == ["f"]
        assert share.get_file_client("f").download_file().readall() == b"linked"
        with pytest.raises(HttpResponseError):
            share.get_file_client("f").delete_file()
        ShareClient.from_share_url(volume.url(permissions="dr")).get_file_client("f").delete_file()
    else:
        container = ContainerClient.from_container_url(volume.url())
        assert [blob.name for blob in container.list_blobs()] == ["f"]
        assert container.download_blob("f").readall() == b"linked"
        with pytest.raises(HttpResponseError):
            container.delete_blob("f")
        ContainerClient.from_container_url(volume.url(permissions="dr")).delete_blob("f")
    assert volume.list() == []


@pytest.mark.parametrize("how", ["connection string", "key", "signature"])
def test_accounts_without_arm_are_the_same(
    how: str, account: StorageAccount, tmp_path: Path
) -> None:
    """An account opened by its name and a credential does what one got from the service does."""
    endpoints = {"blob_endpoint": account.blob_endpoint, "file_endpoint": account.file_endpoint}
    if how == "connection string":
        opened = StorageAccount.from_connection_string(account.connection_string)
        assert opened.connection_string == account.connection_string
    elif how == "key":
        opened = StorageAccount.open(account.name, key=account.key, **endpoints)
    else:
        sas = generate_account_sas(
            account.name,
            account.key,
            ResourceTypes(container=True, object=True),
            AccountSasPermissions(read=True, write=True, list=True, create=True, delete=True),
            datetime.now(UTC) + timedelta(hours=1),
            services=Services(blob=True, fileshare=True),
        )
        opened = StorageAccount.open(account.name, sas=f"?{sas}", **endpoints)
    (tmp_path / "f").write_text("same")
    again = pickle.loads(pickle.dumps(opened))  # noqa: S301 - our own
    assert again == opened != account
    for volume in (again.share("direct"), again.container("direct")):
        assert volume.upload(tmp_path / "f", "d/") == "d/f"
        assert volume.download("d/f", tmp_path / "back").read_text() == "same"
        volume.delete()
    assert account.key not in repr(opened)
    with pytest.raises(ConfigurationError, match=r"StorageAccount.get"):
        opened.delete()
    if how == "signature":
        with pytest.raises(ConfigurationError, match=r"opened without it"):
            opened.container("direct").url()


def test_connection_string_opens_the_official_clients(
    account: StorageAccount, tmp_path: Path
) -> None:
    """What `connection_string` says is what Azure's own packages take."""
    (tmp_path / "f").write_text("x")
    account.container("official").upload(tmp_path / "f")
    text = account.connection_string
    with BlobServiceClient.from_connection_string(text) as blobs:
        assert [each.name for each in blobs.get_container_client("official").list_blobs()] == ["f"]
    with ShareServiceClient.from_connection_string(text) as shares:
        shares.create_share("official")
    account.share("official").upload(tmp_path / "f")
    account.share("official").delete()
    account.container("official").delete()


def test_handles_are_for_all_threads_and_processes(volume: Volume, tmp_path: Path) -> None:
    """One handle serves many threads at once, and a forked child has connections of its own."""
    (tmp_path / "f").write_text("x")
    with ThreadPoolExecutor(8) as pool:
        assert sorted(
            pool.map(lambda i: volume.upload(tmp_path / "f", f"t/{i}"), range(16))
        ) == sorted(f"t/{i}" for i in range(16))
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # forking beside threads is what is tried here
        child = context.Process(target=volume.upload, args=(tmp_path / "f", "child"))
        child.start()
    volume.upload(tmp_path / "f", "parent")
    child.join(20)
    assert child.exitcode == 0
    assert {"child", "parent"} <= {entry.name for entry in volume.list()}
