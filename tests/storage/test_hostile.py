"""Ten thousand requests that nobody should send are refused, and nothing is left of them."""

import contextlib
import os
import random
import re
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobLeaseClient, BlobServiceClient
from azure.storage.fileshare import ShareServiceClient

from tests.alone import Alone, storage_alone
from tests.storage import hostility

REQUESTS = int(os.environ.get("HOSTILE_REQUESTS", "10000"))
SEED = int(os.environ.get("HOSTILE_SEED", "1"))
LANES = 4
PATIENCE = 20.0
"""Seconds an answer may take."""

CUT = frozenset({"truncated-head", "truncated-body", "no-length", "long-length", "huge-length"}) | {
    "chunked-cut"
}
"""What leaves the service waiting for more: the client hangs up after it."""


class Lane:
    """A connection, opened again whenever the service has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._rest = b""

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._rest = None, b""

    def ask(self, sent: bytes, *, hang_up: bool, head: bool) -> tuple[int, dict[str, str], bytes]:
        """Send bytes and read one answer; its status is 0 when there is none."""
        fresh = self._socket is None
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), PATIENCE)
        try:
            self._socket.sendall(sent)
        except (BrokenPipeError, ConnectionResetError):
            # It may refuse a request before it has all of it; on an old connection it may have
            # said goodbye before.
            if not fresh:
                self.close()
                return self.ask(sent, hang_up=hang_up, head=head)
        try:
            if hang_up:
                self._socket.shutdown(socket.SHUT_WR)
            return self._answer(head=head)
        except (ConnectionError, OSError) as error:
            self.close()
            if isinstance(error, TimeoutError):
                raise
            if not fresh and not hang_up:
                return self.ask(sent, hang_up=hang_up, head=head)
            return 0, {}, b""
        finally:
            if hang_up:
                self.close()

    def _more(self) -> None:
        assert self._socket is not None
        piece = self._socket.recv(1 << 16)
        if not piece:
            raise ConnectionResetError
        self._rest += piece

    def _answer(self, *, head: bool) -> tuple[int, dict[str, str], bytes]:
        while b"\r\n\r\n" not in self._rest:
            self._more()
        text, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, *lines = text.decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        assert re.fullmatch(r"HTTP/1\.1 [1-5][0-9][0-9]( .*)?", first), first
        status = int(first.split()[1])
        if status == 100:
            return self._answer(head=head)
        length = 0 if head or status in (204, 304) else int(headers.get("content-length", "0"))
        while len(self._rest) < length:
            self._more()
        body, self._rest = self._rest[:length], self._rest[length:]
        if headers.get("connection") == "close":
            self.close()
        return status, headers, body


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Alone]:
    """Storage with the blobs and files that the requests are about."""
    with storage_alone(tmp_path / "outer" / "root") as running:
        _furnish(running)
        yield running


def _furnish(running: Alone) -> None:
    text = running.connection_string(hostility.ACCOUNT)
    with BlobServiceClient.from_connection_string(text) as blobs:
        data = blobs.create_container("data")
        for name in ("a", "b", "leased", "sealed"):
            data.upload_blob(name, b"content" * 100)
        data.get_blob_client("log").create_append_blob()
    with ShareServiceClient.from_connection_string(text) as shares:
        logs = shares.create_share("logs")
        logs.create_directory("dir")
        for name in ("f", "leased", "dir/f"):
            logs.get_file_client(name).upload_file(b"content" * 100)


def _descriptors(running: Alone) -> int:
    return len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))


def _resident(running: Alone) -> int:
    text = Path(f"/proc/{running.process.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) << 10


def test_hostile_requests_are_refused_and_leave_nothing(tmp_path: Path, running: Alone) -> None:
    """Only 4xx (or what valid ones get), nothing changed outside, nothing leaked, no fault."""
    outer = tmp_path / "outer"
    (outer / "secret").write_text("secret")
    key = re.search(r"AccountKey=([^;]+)", running.text)
    assert key is not None
    port = int(running.value(hostility.ACCOUNT, "Blob").split(":")[2].split("/")[0])
    descriptors, resident = _descriptors(running), _resident(running)
    log: list[str] = []
    assert running.process.stderr is not None
    reader = threading.Thread(target=lambda: log.extend(running.process.stderr or ()))
    reader.start()
    statuses: Counter[str] = Counter()
    faults: list[str] = []

    def drive(lane: int) -> None:
        connection = Lane(port)
        for number in range(lane, REQUESTS, LANES):
            request = (
                hostility.FOUND[number]
                if number < len(hostility.FOUND)
                else hostility.generate(SEED * 1_000_000 + number)
            )
            sent = hostility.wire(request, key[1], port, random.Random(number))
            hang_up = request.frame in CUT or request.frame == "garbage"
            head = request.method == "HEAD"
            try:
                answers = [connection.ask(sent, hang_up=hang_up, head=head)]
                if request.frame == "pipelined":
                    connection.close()
                if "connection" in dict(request.headers) or "upgrade" in dict(request.headers):
                    connection.close()
            except Exception as error:
                faults.append(f"{number} {request}: {error!r}")
                connection.close()
                continue
            for status, headers, body in answers:
                problem = _problem(request, status, headers, body)
                if problem:
                    faults.append(f"{number} {status} {problem}: {request}: {body[:300]!r}")
                statuses[headers.get("x-ms-error-code", str(status))] += 1
        connection.close()

    lanes = [threading.Thread(target=drive, args=(lane,)) for lane in range(LANES)]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()

    text = running.connection_string(hostility.ACCOUNT)
    with BlobServiceClient.from_connection_string(text) as blobs:  # it still answers
        names = {each.name for each in blobs.list_containers()}
        assert names <= {"data", "scratch", "$root", "$web", "etc", "con", "staging"}, names
        for name in names:
            for _ in blobs.get_container_client(name).list_blobs(include=["metadata", "tags"]):
                pass
    with ShareServiceClient.from_connection_string(text) as shares:
        for each in shares.list_shares():
            for _ in shares.get_share_client(each.name).list_directories_and_files():
                pass
    deadline = time.monotonic() + 20
    while _descriptors(running) > descriptors + 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    left, grown = _descriptors(running) - descriptors, _resident(running) - resident
    with BlobServiceClient.from_connection_string(text) as blobs:
        for name in names:  # uncommitted blocks go with their container
            with contextlib.suppress(HttpResponseError):
                BlobLeaseClient(blobs.get_container_client(name)).break_lease(0)
            blobs.delete_container(name)
    storage = outer / "root" / "storage"
    staged = list((storage / "staging").iterdir())
    assert running.end() == 0
    reader.join(20)
    sys.stdout.write(f"seed {SEED}: {dict(statuses.most_common())}\n")
    assert not faults, f"{len(faults)} of seed {SEED}:\n" + "\n".join(faults[:40])
    assert "Traceback" not in "".join(log), "".join(log).partition("Traceback")[2][:3000]
    assert left <= 0, f"{left} descriptors leaked"
    assert grown < 64 << 20
    assert not staged
    assert {each.name for each in outer.iterdir()} == {"secret", "root"}
    assert (outer / "secret").read_text() == "secret"
    assert {each.name for each in tmp_path.iterdir()} == {"outer"}
    assert {each.name for each in storage.iterdir()} <= {"accounts", "staging", "storage.db"}
    assert [each.name for each in (storage / "accounts").iterdir()] == [hostility.ACCOUNT]
    assert {each.name for each in (storage / "accounts" / hostility.ACCOUNT).iterdir()} == {
        "blob",
        "file",
    }
    # It was no walk in the dark: many got past the signature.
    refused = statuses["AuthenticationFailed"] + statuses["0"] + statuses["400"]
    assert refused < REQUESTS // 2, statuses
    assert statuses["200"] + statuses["201"] + statuses["206"] > REQUESTS // 20, statuses


def _problem(request: hostility.Hostile, status: int, headers: dict[str, str], body: bytes) -> str:
    """What is wrong with an answer; empty when nothing is."""
    if status == 0:
        return "" if request.frame in CUT | {"garbage"} else "no answer"
    if status >= 500 and (status, headers.get("x-ms-error-code")) != (501, "NotImplemented"):
        return "a fault"
    if "xml" in headers.get("content-type", "") and body and "x-ms-request-id" in headers:
        try:
            expat.ParserCreate().Parse(body, True)
        except expat.ExpatError as error:
            if not (status in (200, 206) and request.path.count("/") > 3):  # a blob's own content
                return f"no XML: {error}"
    if status >= 400 and "x-ms-request-id" in headers and "x-ms-error-code" not in headers:
        return "an error without a code"
    return ""
