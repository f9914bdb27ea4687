"""What goes wrong on this side of the wire: names, places on the disk, services that are away."""

import os
import pty
import resource
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError

from batchai_quickstart import (
    BlobContainer,
    ConfigurationError,
    FileShare,
    InvalidRequestError,
    NotFoundError,
    ServiceError,
    StorageAccount,
    TransferError,
)

from .wires import service_saying

Volume = FileShare | BlobContainer
KEY = "a2V5"

TRANSFER = """
import sys
from batchai_quickstart import StorageAccount

account = StorageAccount.from_connection_string()
kind, name, what, argument = sys.argv[1:]
volume = getattr(account, kind)(name)
"""
UPLOAD = TRANSFER + "volume.upload(argument, progress=lambda done, total: print(done, flush=True))"
DOWNLOAD = TRANSFER + "volume.download(what, argument)"


def _command(script: str, volume: Volume, what: str, argument: Path) -> tuple[list[str], Any]:
    kind = "share" if isinstance(volume, FileShare) else "container"
    command = [sys.executable, "-c", script, kind, volume.name, what, str(argument)]
    text = volume.account.connection_string
    return command, {**os.environ, "AZURE_STORAGE_CONNECTION_STRING": text, "TERM": "xterm"}


@pytest.mark.parametrize("name", ["", " ", "data/sub", "/data", "a?b", "a#b"])
def test_a_volume_has_a_name_not_a_path(account: StorageAccount, name: str) -> None:
    """What would address something else is refused before anything is asked."""
    with pytest.raises(InvalidRequestError, match=r"no name of a container: 3 to 63"):
        account.container(name)
    with pytest.raises(InvalidRequestError, match=r"no name of a share: 3 to 63"):
        account.share(name)


@pytest.mark.parametrize("name", ["", "my storage", "https://x.blob.core.windows.net", "Big"])
def test_an_account_has_a_name_not_an_address(name: str) -> None:
    """A name that is to become a host's is held against the rule."""
    with pytest.raises(ConfigurationError, match=r"no name of a storage account: 3 to 24"):
        StorageAccount.open(name, key=KEY)


@pytest.mark.parametrize("expiry", [3600, datetime(2099, 1, 1), "2099-01-01"])
def test_the_end_of_a_link_is_a_moment(volume: Volume, expiry: Any) -> None:
    """Numbers, and times of no time zone, are refused with what to write."""
    with pytest.raises(InvalidRequestError, match=r"such as timedelta\(hours=1\)"):
        volume.url("f", expiry=expiry)


def test_a_directory_is_downloaded_by_the_batch(volume: Volume, tmp_path: Path) -> None:
    """Who asks for a directory by `download` is told the method that takes it."""
    (tmp_path / "f").write_text("x")
    volume.upload(tmp_path / "f", "runs/1/")
    with pytest.raises(NotFoundError, match=r"directory; download_batch\(destination, source='ru"):
        volume.download("runs/1", tmp_path / "back")
    with pytest.raises(NotFoundError, match=r"there is no 'runs/2' in"):
        volume.download("runs/2", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_only_files_are_replaced(volume: Volume, tmp_path: Path) -> None:
    """A pipe, as /dev/null a device, is no place to download to, and stays what it is."""
    (tmp_path / "f").write_text("x")
    volume.upload(tmp_path / "f")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidRequestError, match=r"pipe: it is a device, pipe or socket"):
        volume.download("f", tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """The system refuses to write beyond 1 MiB of any file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_told(
    volume: Volume, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Where the disk takes no more, the file and the reason are named, and nothing is left."""
    (tmp_path / "f").write_bytes(bytes(3 << 20))
    volume.upload(tmp_path / "f")
    request.getfixturevalue("full_disk")
    with pytest.raises(TransferError, match=r"cannot write .*back/f: File too large; nothing"):
        volume.download("f", tmp_path / "back" / "f")
    assert list((tmp_path / "back").iterdir()) == []


def test_a_service_that_is_away_is_named(sleeps: list[float], tmp_path: Path) -> None:
    """The message has the address, the reason, and where the address comes from."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}/mystorage"
    account = StorageAccount.open("mystorage", key=KEY, blob_endpoint=url, file_endpoint=url)
    (tmp_path / "f").write_text("x")
    expected = rf"storage service at {url}: .*refused.*StorageAccount\.open"
    for volume in (account.container("ccc"), account.share("sss")):
        with pytest.raises(ServiceError, match=expected) as away:
            volume.upload(tmp_path / "f")
        assert isinstance(away.value, ServiceRequestError)
    assert len(sleeps) == 2 * 4


def test_an_answer_to_head_needs_no_length(tmp_path: Path) -> None:
    """A service that says nothing of a body with 404 to HEAD, as Azurite, has no such file."""
    asked = []

    def answers(method: str, path: str, headers: Message) -> tuple[int, dict[str, str], bytes]:
        asked.append(method)
        return (404 if method == "HEAD" else 201), {}, b""

    (tmp_path / "f").write_text("x")
    with service_saying(answers) as port:
        url = f"http://127.0.0.1:{port}/mystorage"
        account = StorageAccount.open("mystorage", key=KEY, blob_endpoint=url, file_endpoint=url)
        account.container("ccc").upload(tmp_path / "f", skip_unchanged=True)
    assert asked == ["HEAD", "PUT"]


def test_interrupted_uploads_leave_the_name_alone(volume: Volume, tmp_path: Path) -> None:
    """Ctrl-C in the middle ends the program at once; the name has no half of a file."""
    (tmp_path / "big").write_bytes(os.urandom(64 << 20))
    volume.create()
    command, environment = _command(UPLOAD, volume, "", tmp_path / "big")
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT, said
    assert "big" not in [each.name for each in volume.list()]
    volume.upload(tmp_path / "big")
    assert volume.download("big", tmp_path / "back").read_bytes() == (tmp_path / "big").read_bytes()


def test_a_single_download_has_its_bar(volume: Volume, tmp_path: Path) -> None:
    """On a terminal a download shows how far it is, without being asked to."""
    (tmp_path / "f").write_bytes(bytes(3_000_000))
    volume.upload(tmp_path / "f")
    near, far = pty.openpty()
    command, environment = _command(DOWNLOAD, volume, "f", tmp_path / "back")
    process = subprocess.Popen(command, env=environment | {"COLUMNS": "100"}, stderr=far)
    os.close(far)
    seen = b""
    try:
        while piece := os.read(near, 1 << 16):
            seen += piece
    except OSError:
        pass  # so a terminal ends on Linux
    os.close(near)
    assert process.wait(20) == 0, seen.decode()
    assert "3.0/3.0 MB" in seen.decode()
