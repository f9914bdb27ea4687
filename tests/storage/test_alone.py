"""Storage as a process of its own: both commands, what they print, and how they end."""

import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from azure.storage.blob import (
    AccountSasPermissions,
    BlobServiceClient,
    ResourceTypes,
    generate_account_sas,
)
from azure.storage.fileshare import ShareServiceClient

from tests.alone import COMMAND, Alone, storage_alone

KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="
SERVE = (sys.executable, "-m", "batchai_quickstart", "serve", "--storage-only")


def _round_trip(running: Alone, account: str) -> None:
    text = running.connection_string(account)
    with BlobServiceClient.from_connection_string(text) as blobs:
        blobs.create_container("data").upload_blob("a/b.txt", b"blob")
        assert blobs.get_blob_client("data", "a/b.txt").download_blob().readall() == b"blob"
    with ShareServiceClient.from_connection_string(text) as shares:
        share = shares.create_share("logs")
        share.get_file_client("c.txt").upload_file(b"file")
        assert share.get_file_client("c.txt").download_file().readall() == b"file"
    assert (Path(running.value(account, "containers")) / "data/a/b.txt").read_bytes() == b"blob"
    assert (Path(running.value(account, "shares")) / "logs/c.txt").read_bytes() == b"file"


def _refused(root: Path, *options: str, command: tuple[str, ...] = COMMAND) -> tuple[int, str]:
    ended = subprocess.run(
        [*command, "--root", str(root), *options],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    assert not ended.stdout
    return ended.returncode, ended.stderr


@pytest.mark.parametrize("command", [COMMAND, SERVE], ids=["storage", "serve"])
def test_what_is_printed_is_enough_to_connect(tmp_path: Path, command: tuple[str, ...]) -> None:
    """The connection string opens both services, and the files lie where the text says."""
    with storage_alone(tmp_path / "root", "--fsync", command=command) as running:
        _round_trip(running, "mystorage")
        assert running.end() == 0
    assert not list((tmp_path / "root/storage/staging").iterdir())


def test_accounts_ports_and_keys_survive_a_restart(tmp_path: Path) -> None:
    """Named accounts are made once; without `--port` the next start answers at the same address."""
    with storage_alone(tmp_path, "--account", f"first:{KEY}", "--account", "second") as running:
        assert f"AccountKey={KEY};" in running.connection_string("first")
        _round_trip(running, "second")
        before = running.text
        assert running.end(signal.SIGINT) == 0
    with storage_alone(tmp_path) as again:
        assert again.text == before
        with BlobServiceClient.from_connection_string(again.connection_string("second")) as blobs:
            assert [each.name for each in blobs.list_containers()] == ["data"]


def test_a_key_can_be_given_to_an_account_that_is_there(tmp_path: Path) -> None:
    """With `NAME:KEY` an existing account's first key is replaced; the old one signs no more."""
    with storage_alone(tmp_path, "--account", "mine") as running:
        old = running.connection_string("mine")
    with storage_alone(tmp_path, "--account", f"mine:{KEY}") as running:
        _round_trip(running, "mine")
        with (
            BlobServiceClient.from_connection_string(old) as blobs,
            pytest.raises(Exception, match="AuthenticationFailed"),
        ):
            list(blobs.list_containers())


def test_development_storage_is_served_as_azurite_does(tmp_path: Path) -> None:
    """`--devstoreaccount1` has Azurite's key, and addresses without a service in their path."""
    options = ("--devstoreaccount1", "--blob-port", "0", "--file-port", "0")
    with storage_alone(tmp_path, *options) as running:
        name = "devstoreaccount1"
        _round_trip(running, name)
        text = running.connection_string(name)
        blob, file = running.value(name, "blob port"), running.value(name, "file port")
        assert blob.endswith(f"/{name}")
        bare = f"{text.partition(';BlobEndpoint')[0]};BlobEndpoint={blob};FileEndpoint={file}"
        with BlobServiceClient.from_connection_string(bare) as blobs:
            container = blobs.get_container_client("data")
            container.upload_blob("same", b"1")
            assert {each.name for each in container.list_blobs()} == {"a/b.txt", "same"}
        with ShareServiceClient.from_connection_string(bare) as shares:
            assert [each.name for each in shares.list_shares()] == ["logs"]


def test_use_development_storage_needs_no_settings(tmp_path: Path) -> None:
    """`UseDevelopmentStorage=true` reaches it at Azurite's port by the official client."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 10000)) == 0:
            pytest.skip("another program listens on port 10000")
    options = ("--devstoreaccount1", "--file-port", "0")
    with (
        storage_alone(tmp_path, *options),
        BlobServiceClient.from_connection_string("UseDevelopmentStorage=true") as blobs,
    ):
        blobs.create_container("data").upload_blob("x", b"1")
        assert blobs.get_blob_client("data", "x").download_blob().readall() == b"1"


def test_a_client_cannot_say_that_it_is_elsewhere(tmp_path: Path) -> None:
    """A signature for another address is not good here, whatever a forwarding header claims."""
    with storage_alone(tmp_path, "--account", f"first:{KEY}") as running:
        signature = generate_account_sas(
            "first",
            KEY,
            ResourceTypes(service=True),
            AccountSasPermissions(list=True),
            datetime.now(UTC) + timedelta(hours=1),
            ip="10.0.0.1",
        )
        url = f"{running.value('first', 'Blob')}?comp=list&{signature}"
        asked = Request(url, headers={"x-forwarded-for": "10.0.0.1"})
        with pytest.raises(HTTPError, match="403") as refused:
            urlopen(asked, timeout=10)
        assert refused.value.headers["x-ms-error-code"] == "AuthorizationSourceIPMismatch"
        refused.value.close()
        assert running.end() == 0


def test_a_root_is_used_by_one_process(tmp_path: Path) -> None:
    """A second process on the same root, of either command, is told who has it."""
    with storage_alone(tmp_path) as running:
        for command in (COMMAND, SERVE, SERVE[:-1]):
            status, text = _refused(tmp_path, command=command)
            assert status == 1
            assert f"pid {running.process.pid}" in text
        assert running.process.poll() is None


@pytest.mark.parametrize("option", ["--port", "--blob-port", "--file-port"])
def test_a_port_that_is_taken_is_named(tmp_path: Path, option: str) -> None:
    """The message says which port of which host, and which option changes it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, text = _refused(tmp_path, option, str(port))
    assert (status, f"Port {port} of 127.0.0.1 is taken" in text, option in text) == (1, True, True)


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--account", "My_Storage"], 1, "3 to 24 characters"),
        (["--account", "mine:not base64"], 2, "not base64"),
        (["--account", "mine:"], 2, "not base64"),
        (["--port", "65536"], 2, "a port from 0 to 65535"),
        (["--host", "no.such.host.invalid"], 1, "cannot be used"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, options: list[str], status: int, said: str) -> None:
    """What a new user gets wrong ends the command with a sentence, and no traceback."""
    found, text = _refused(tmp_path, *options)
    assert (found, said in text) == (status, True), text


def test_a_root_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A root below a file is refused, with its path."""
    (tmp_path / "file").write_text("")
    status, text = _refused(tmp_path / "file" / "root")
    assert (status, str(tmp_path / "file" / "root") in text) == (1, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--storage-only", "--idle-exit", "5"], "--idle-exit"),
        (["--account", "mine"], "--storage-only"),
        (["--blob-port", "0"], "--storage-only"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    tmp_path: Path, options: list[str], said: str
) -> None:
    """Options of jobs with storage alone, and the other way round, are a wrong command line."""
    found, text = _refused(tmp_path, *options, command=SERVE[:-1])
    assert (found, said in text) == (2, True), text


def test_a_wildcard_address_is_printed_as_one_that_works(tmp_path: Path) -> None:
    """Listening on all addresses, the text names one where a client here gets through."""
    with storage_alone(tmp_path, "--host", "0.0.0.0") as running:  # noqa: S104
        endpoint = running.value("mystorage", "Blob")
        assert endpoint.startswith("http://127.0.0.1:")
        _round_trip(running, "mystorage")
