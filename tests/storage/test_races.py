"""Paths that a job changes between the moment they are checked and the moment they are used.

A process flips names of a volume between directories or files and links to the outside as fast as
it can, while clients use everything below them. Nothing outside is read, told of or changed.
"""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient
from azure.storage.fileshare import ShareServiceClient

from tests.alone import storage_alone

SECONDS = 3.0
SECRET = b"secret " * 111
"""What is outside; no content inside has its length."""

_FLIP = """
import os, sys
volume, outside = sys.argv[1:]
def swap(name, target):
    try:
        os.rename(f"{volume}/{name}", f"{volume}/.{name}")
        os.symlink(target, f"{volume}/{name}")
        os.unlink(f"{volume}/{name}")
        os.rename(f"{volume}/.{name}", f"{volume}/{name}")
    except OSError:
        pass
def settle(name, make):
    for path in (f"{volume}/{name}", f"{volume}/.{name}"):
        if os.path.islink(path):
            os.unlink(path)
    if not os.path.lexists(f"{volume}/{name}"):
        make()
def file():
    with open(f"{volume}/leaf", "wb") as leaf:
        leaf.write(b"inside")
while os.getppid() != 1:
    settle("flip", lambda: os.makedirs(f"{volume}/flip/deep", exist_ok=True))
    settle("leaf", file)
    for _ in range(50):
        swap("flip", outside)
        swap("leaf", outside + "/x")
"""


def _outside(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    for name in ("x", "only-outside", "deep/x", "deep/only-outside"):
        (outside / name).write_bytes(SECRET)
    return outside


def _snapshot(directory: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(each): (
            each.stat().st_mtime_ns,
            each.stat().st_mode,
            each.read_bytes() if each.is_file() else b"",
        )
        for each in [directory, *directory.rglob("*")]
    }


@contextlib.contextmanager
def _flipping(volume: Path, outside: Path) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", _FLIP, str(volume), str(outside)])
    try:
        yield
    finally:
        process.kill()
        process.wait(10)


Calls = list[Callable[[], Any]]


def _silent(call: Callable[[], Any]) -> Callable[[], None]:
    """The call without its answer, in which any digits may be."""

    def silent() -> None:
        call()

    return silent


def _use(lanes: list[Calls]) -> dict[str, int]:
    """Make calls over and over, each lane in a thread; count what came of them."""
    outcomes: dict[str, int] = {}
    faults: list[BaseException] = []
    end = time.monotonic() + SECONDS

    def work(calls: Calls) -> None:
        while time.monotonic() < end and not faults:
            for call in calls:
                try:
                    found = call()
                    outcome = "done"
                    assert SECRET not in (found if isinstance(found, bytes) else b"")
                    assert "only-outside" not in str(found)
                    assert str(len(SECRET)) not in str(found), found
                except HttpResponseError as error:
                    outcome = str(error.status_code)
                    if not 400 <= (error.status_code or 0) < 500:
                        faults.append(error)
                except BaseException as error:
                    faults.append(error)
                    return
                outcomes[outcome] = outcomes.get(outcome, 0) + 1

    threads = [threading.Thread(target=work, args=(calls,)) for calls in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS + 30)
    assert not faults, faults
    return outcomes


def test_nothing_outside_is_reached_through_blobs(tmp_path: Path) -> None:
    """Put, commit, append, describe, read, delete and list, below a name that flips."""
    outside = _outside(tmp_path)
    before = _snapshot(outside)
    with storage_alone(tmp_path / "root") as running:
        text = running.connection_string("mystorage")
        container = BlobServiceClient.from_connection_string(text, retry_total=0).create_container(
            "data"
        )

        def of(name: str) -> tuple[Calls, Calls]:
            blob = container.get_blob_client(name)

            def described() -> str:
                properties = blob.get_blob_properties()
                return f"{properties.size} {properties.content_settings.content_type}"

            reads: Calls = [
                lambda: blob.download_blob().readall(),
                described,
                lambda: blob.get_blob_properties(if_tags_match_condition="a = '1'").name,
                lambda: blob.get_blob_tags(),
            ]
            writes: Calls = [
                _silent(lambda: blob.upload_blob(b"inside", overwrite=True)),
                _silent(lambda: blob.set_blob_metadata({"a": "b"})),
                _silent(lambda: blob.stage_block("MQ==", b"inside")),
                _silent(lambda: blob.commit_block_list([])),
                blob.delete_blob,
                _silent(lambda: blob.create_append_blob()),
                _silent(lambda: blob.append_block(b"inside")),
                blob.delete_blob,
            ]
            return reads, writes

        lists: Calls = [
            lambda: [(each.name, getattr(each, "size", 0)) for each in container.list_blobs()],
            lambda: [each.name for each in container.walk_blobs()],
            lambda: [(each.name, each.size) for each in container.list_blobs("flip/")],
            lambda: [each.name for each in container.walk_blobs("flip/deep/")],
        ]
        lanes: list[Calls] = [[], [], lists]
        for name in ("flip/x", "flip/deep/x", "flip/new/x", "leaf"):
            reads, writes = of(name)
            lanes[0] += reads
            lanes[1] += writes
        with _flipping(Path(running.value("mystorage", "containers")) / "data", outside):
            outcomes = _use(lanes)
    assert _snapshot(outside) == before
    assert outcomes["done"] > 50
    assert outcomes["404"] > 5


def test_nothing_outside_is_reached_through_files(tmp_path: Path) -> None:
    """Create, write, clear, resize, describe, read, delete and list, below a name that flips."""
    outside = _outside(tmp_path)
    before = _snapshot(outside)
    with storage_alone(tmp_path / "root") as running:
        text = running.connection_string("mystorage")
        share = ShareServiceClient.from_connection_string(text, retry_total=0).create_share("logs")

        def of(name: str) -> tuple[Calls, Calls]:
            file = share.get_file_client(name)
            reads: Calls = [
                lambda: file.download_file().readall(),
                lambda: file.get_file_properties().size,
            ]
            writes: Calls = [
                _silent(lambda: file.create_file(512)),
                _silent(lambda: file.upload_range(b"inside", 0, 6)),
                _silent(lambda: file.clear_range(0, 512)),
                _silent(lambda: file.resize_file(512)),
                _silent(lambda: file.set_file_metadata({"a": "b"})),
                file.delete_file,
            ]
            return reads, writes

        def listed(path: str) -> list[tuple[str, int]]:
            found = share.list_directories_and_files(path, include=["timestamps", "etag"])
            return [(each.name, getattr(each, "size", 0)) for each in found]

        lanes: list[Calls] = [
            [],
            [
                _silent(lambda: share.create_directory("flip/fresh")),
                lambda: (
                    share.get_directory_client("flip/fresh").set_directory_metadata({"a": "b"})
                    and None
                ),
                lambda: share.delete_directory("flip/fresh"),
                lambda: share.delete_directory("flip"),
                lambda: (
                    share.get_directory_client("flip").set_directory_metadata({"a": "b"}) and None
                ),
            ],
            [lambda: listed(""), lambda: listed("flip"), lambda: listed("flip/deep")],
        ]
        for name in ("flip/x", "flip/deep/x", "leaf"):
            reads, writes = of(name)
            lanes[0] += reads
            lanes[1] += writes
        with _flipping(Path(running.value("mystorage", "shares")) / "logs", outside):
            outcomes = _use(lanes)
    assert _snapshot(outside) == before
    assert outcomes["done"] > 50
    assert outcomes["404"] > 5
