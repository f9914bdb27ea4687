"""What a crash between any two calls to the disk leaves, and what `--fsync` asks of the disk."""

import hashlib
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobServiceClient, BlobType, ContentSettings
from azure.storage.fileshare import ContentSettings as FileSettings
from azure.storage.fileshare import ShareServiceClient

from batchai_quickstart.storage import Store
from tests.alone import Alone, storage_alone

DISK = Path(__file__).parent / "disk"
OLD, NEW = b"old" * 1000, b"new" * 2000


def md5(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()


@dataclass(frozen=True, slots=True)
class Clients:
    """Both clients of a running storage process; they try once."""

    blobs: BlobServiceClient
    shares: ShareServiceClient


def clients(running: Alone) -> Clients:
    text = running.connection_string("mystorage")
    return Clients(
        BlobServiceClient.from_connection_string(text, retry_total=0),
        ShareServiceClient.from_connection_string(text, retry_total=0),
    )


def prepare(given: Clients) -> None:
    """A container and a share with something old in them."""
    container = given.blobs.create_container("data")
    container.upload_blob(
        "blob", OLD, metadata={"is": "old"}, content_settings=ContentSettings("text/old")
    )
    log = container.get_blob_client("log")
    log.create_append_blob(metadata={"is": "old"})
    log.append_block(OLD)
    file = given.shares.create_share("logs").get_file_client("file")
    settings = FileSettings("text/old", content_md5=bytearray(md5(OLD)))
    file.upload_file(OLD, metadata={"is": "old"}, content_settings=settings)
    # What is uploaded in ranges has no sum of its content until it is said.
    file.set_http_headers(settings)


Found = tuple[bytes, str, dict[str, str], bytes | None]
BLOB_OLD: Found = (OLD, "text/old", {"is": "old"}, md5(OLD))
BLOB_NEW: Found = (NEW, "text/new", {"is": "new"}, md5(NEW))


def blob(given: Clients, name: str = "blob") -> Found | None:
    """Everything that is known of a blob."""
    client = given.blobs.get_blob_client("data", name)
    try:
        got = client.download_blob(validate_content=True)
    except ResourceNotFoundError:
        return None
    settings = client.get_blob_properties().content_settings
    total = settings.content_md5
    kind, metadata = str(settings.content_type), dict(got.properties.metadata or {})
    return got.readall(), kind, metadata, None if total is None else bytes(total)


def file(given: Clients) -> Found:
    """Everything that is known of the file."""
    client = given.shares.get_share_client("logs").get_file_client("file")
    properties = client.get_file_properties()
    total = properties.content_settings.content_md5
    kind, metadata = str(properties.content_settings.content_type), dict(properties.metadata or {})
    content = client.download_file().readall()
    return content, kind, metadata, None if total is None else bytes(total)


def overwrite(given: Clients) -> None:
    given.blobs.get_blob_client("data", "blob").upload_blob(
        NEW,
        overwrite=True,
        metadata={"is": "new"},
        content_settings=ContentSettings("text/new"),
    )


def commit(given: Clients) -> None:
    client = given.blobs.get_blob_client("data", "blob")
    client.stage_block("MQ==", NEW)
    client.commit_block_list(
        [BlobBlock("MQ==")],
        metadata={"is": "new"},
        content_settings=ContentSettings("text/new", content_md5=bytearray(md5(NEW))),
    )


def create(given: Clients) -> None:
    given.blobs.get_blob_client("data", "fresh").upload_blob(NEW, metadata={"is": "new"})


def set_metadata(given: Clients) -> None:
    given.blobs.get_blob_client("data", "blob").set_blob_metadata({"is": "new"})


def delete(given: Clients) -> None:
    given.blobs.get_blob_client("data", "blob").delete_blob()


def resize(given: Clients) -> None:
    given.shares.get_share_client("logs").get_file_client("file").resize_file(len(OLD) - 1)


def create_file(given: Clients) -> None:
    given.shares.get_share_client("logs").get_file_client("file").create_file(
        3, metadata={"is": "new"}, content_settings=FileSettings("text/new")
    )


def write_and_create_file(given: Clients) -> None:
    client = given.shares.get_share_client("logs").get_file_client("file")
    client.upload_range(OLD[::-1], 0, len(OLD))
    create_file(given)


Call = Callable[[Clients], None]
_MIXED: Found = (OLD, "text/old", {"is": "new"}, BLOB_OLD[3])
# Setting a file's length sets all its content headers: what is not named is none.
_SHORTER: Found = (OLD[:-1], "application/octet-stream", {"is": "old"}, None)
_WRITTEN: Found = (OLD[::-1], "text/old", {"is": "old"}, None)
_ZEROS: Found = (bytes(3), "text/new", {"is": "new"}, None)


@pytest.mark.parametrize(
    ("crash", "call", "look", "expected"),
    [
        ("before rename", overwrite, blob, BLOB_OLD),
        ("after rename", overwrite, blob, BLOB_NEW),
        ("before rename", commit, blob, BLOB_OLD),
        ("after rename", commit, blob, BLOB_NEW),
        ("before rename", create, lambda given: blob(given, "fresh"), None),
        ("before utime", set_metadata, blob, BLOB_OLD),
        ("after utime", set_metadata, blob, _MIXED),
        ("before unlink", delete, blob, BLOB_OLD),
        ("after unlink", delete, blob, None),
        ("before ftruncate", resize, file, BLOB_OLD),
        ("after ftruncate", resize, file, _SHORTER),
        ("before rename", create_file, file, BLOB_OLD),
        ("after rename", create_file, file, _ZEROS),
        ("before rename", write_and_create_file, file, _WRITTEN),
    ],
)
def test_a_crash_leaves_the_old_or_the_new(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    crash: str,
    call: Call,
    look: Callable[[Clients], Found | None],
    expected: Found | None,
) -> None:
    """Content, type, metadata and MD5 are all old or all new, and nothing unfinished is left."""
    _crash_in(call, crash, tmp_path, monkeypatch)
    with storage_alone(tmp_path / "root") as running:
        given = clients(running)
        assert look(given) == expected
        assert not list((tmp_path / "root" / "storage" / "staging").iterdir())
        # The next writers find nothing in their way, and have the last word.
        commit(given)
        overwrite(given)
        assert blob(given) == BLOB_NEW


def test_what_was_said_of_a_cut_off_blob_is_about_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that a job makes where a blob was about to be has none of the blob's metadata."""
    _crash_in(create, "before rename", tmp_path, monkeypatch)
    directory = tmp_path / "root" / "storage" / "accounts" / "mystorage" / "blob" / "data"
    with storage_alone(tmp_path / "root") as running:
        for index in range(50):  # one of them gets the inode that the upload had
            (directory / f"other{index}").write_bytes(b"job's")
        (directory / "fresh").write_bytes(b"job's")
        plain: Found = (b"job's", "application/octet-stream", {}, None)
        assert blob(clients(running), "fresh") == plain


@pytest.mark.parametrize(
    ("crash", "blocks"), [("before write", 1), ("amid write", 1), ("after write", 2)]
)
def test_an_append_blob_has_whole_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash: str, blocks: int
) -> None:
    """A block that a crash cuts is gone; a whole one stays; the next one goes behind them."""

    def append(given: Clients) -> None:
        given.blobs.get_blob_client("data", "log").append_block(NEW)

    _crash_in(append, crash, tmp_path, monkeypatch)
    with storage_alone(tmp_path / "root") as running:
        log = clients(running).blobs.get_blob_client("data", "log")
        assert log.download_blob().readall() == OLD + NEW * (blocks - 1)
        properties = log.get_blob_properties()
        assert properties.blob_type == BlobType.APPENDBLOB
        assert properties.append_blob_committed_block_count == blocks
        assert properties.metadata == {"is": "old"}
        position = len(OLD) + len(NEW) * (blocks - 1)
        log.append_block(b"more", appendpos_condition=position)
        assert log.download_blob().readall() == OLD + NEW * (blocks - 1) + b"more"


def test_what_a_job_adds_after_an_append_stays(tmp_path: Path) -> None:
    """Bytes that a job adds to an append blob, or takes from it, are no cut-off block."""
    log = tmp_path / "root" / "storage" / "accounts" / "mystorage" / "blob" / "data" / "log"
    for content in (OLD + b"job's", OLD[:7]):
        with storage_alone(tmp_path / "root") as running:
            given = clients(running)
            if not log.exists():
                prepare(given)
            log.write_bytes(content)
            running.end(signal.SIGKILL)
        with storage_alone(tmp_path / "root") as running:
            got = clients(running).blobs.get_blob_client("data", "log").download_blob()
            assert got.readall() == content
            assert got.properties.metadata == {"is": "old"}


@pytest.mark.parametrize("crash", ["before rename", "after rename", "before rmdir", "after unlink"])
def test_a_container_goes_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash: str
) -> None:
    """A crash while a container is deleted leaves no part of it, in no place."""

    def call(given: Clients) -> None:
        given.blobs.delete_container("data")

    _crash_in(call, crash, tmp_path, monkeypatch)
    with storage_alone(tmp_path / "root") as running:
        given = clients(running)
        assert [each.name for each in given.blobs.list_containers()] == []
        storage = tmp_path / "root" / "storage"
        assert not list((storage / "staging").iterdir())
        assert not list((storage / "accounts" / "mystorage" / "blob").iterdir())
        prepare_again = given.blobs.create_container("data")
        assert list(prepare_again.list_blobs()) == []
        assert blob(given) is None
        assert file(given) == BLOB_OLD


@pytest.mark.parametrize("crash", ["before rename", "after rename", "before rmdir"])
def test_an_account_goes_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash: str) -> None:
    """The same for an account, which ends with its containers and shares."""
    monkeypatch.setenv("PYTHONPATH", str(DISK))
    monkeypatch.setenv("DISK_CRASH", crash)
    monkeypatch.setenv("DISK_ARMED", str(tmp_path / "armed"))
    program = (
        "import pathlib, sys; from batchai_quickstart.storage import Kind, Store\n"
        "store = Store(pathlib.Path(sys.argv[1])); store.create_account('mystorage')\n"
        "path = store.create_volume('mystorage', Kind.BLOB, 'data').path\n"
        "(path / 'blob').write_text('x'); pathlib.Path(sys.argv[2]).touch()\n"
        "store.delete_account('mystorage')"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "root"), str(tmp_path / "armed")]
    assert subprocess.run(command, timeout=20, check=False).returncode == -signal.SIGKILL
    store = Store(tmp_path / "root")
    try:
        assert store.accounts() == ()
        assert not list((tmp_path / "root" / "accounts").iterdir())
        assert not list((tmp_path / "root" / "staging").iterdir())
    finally:
        store.close()


def test_fsync_asks_the_disk_before_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `--fsync` content is on the disk before its row, and its name before the answer."""
    notes = tmp_path / "notes"
    monkeypatch.setenv("PYTHONPATH", str(DISK))
    monkeypatch.setenv("DISK_NOTES", str(notes))
    storage = tmp_path / "root" / "storage"

    def noted(given: Clients, call: Call) -> list[str]:
        notes.write_text("")
        call(given)
        kept = []
        for line in notes.read_text().splitlines():
            words = line.split()
            if words[0] == "sqlite":
                kept += ["row"] if words[1] == "COMMIT" else []
            elif words[0] != "utime":
                at = Path(words[1])
                place = "staged" if at.parent == storage / "staging" else at.name
                kept.append(f"{words[0]} {place}")
        return kept

    with storage_alone(tmp_path / "root", "--fsync") as running:
        started = notes.read_text()
        assert "sqlite PRAGMA synchronous=FULL" in started
        given = clients(running)
        prepare(given)

        def nested(given: Clients) -> None:
            given.blobs.get_blob_client("data", "a/b/c").upload_blob(b"1", overwrite=True)

        def put_range(given: Clients) -> None:
            client = given.shares.get_share_client("logs").get_file_client("file")
            client.upload_range(b"123", 0, 3)

        def append(given: Clients) -> None:
            given.blobs.get_blob_client("data", "log").append_block(NEW)

        def stage(given: Clients) -> None:
            given.blobs.get_blob_client("data", "blob").stage_block("MQ==", NEW)

        named = ["fsync staged", "row", "rename staged", "fsync data"]
        assert noted(given, overwrite) == named
        assert noted(given, nested) == [
            "fsync staged",
            "row",
            "mkdir a",
            "mkdir b",
            "rename staged",
            "fsync data",
            "fsync a",
            "fsync b",
        ]
        assert noted(given, stage) == []
        assert [each for each in noted(given, commit) if each != "unlink staged"] == named
        assert noted(given, set_metadata) == ["row", "fsync blob"]
        assert noted(given, append) == ["unlink staged", "row", "fsync log", "row"]
        assert noted(given, put_range) == ["fdatasync file"]
        assert noted(given, resize) == ["row", "ftruncate file", "fsync file"]
        assert noted(given, delete) == ["row", "unlink blob", "fsync data"]
    with storage_alone(tmp_path / "root") as running:
        assert "synchronous=FULL" not in notes.read_text().rpartition("synchronous=NORMAL")[2]
        given = clients(running)
        for call in (overwrite, nested, put_range, append, commit, resize, delete):
            assert not [each for each in noted(given, call) if "sync" in each]


def _crash_in(call: Call, crash: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a storage process die in a call, at a moment."""
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(DISK))
        patch.setenv("DISK_CRASH", crash)
        patch.setenv("DISK_ARMED", str(tmp_path / "armed"))
        with storage_alone(tmp_path / "root") as running:
            given = clients(running)
            prepare(given)
            (tmp_path / "armed").touch()
            with pytest.raises(AzureError):
                call(given)
            assert running.process.wait(20) == -signal.SIGKILL
