"""Reading a file that grows: ranges, and requests that are held until there is more."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from batchai_quickstart.storage import Kind, Volume
from batchai_quickstart.storage.sas import sign_read
from tests.storage.conftest import Service

LONG = 20
"""Seconds a held request may take; no test waits for it."""


class Log:
    """A log in a volume, and a reader with nothing but a signed URL."""

    def __init__(self, service: Service, volume: Volume, path: str) -> None:
        self.file = volume.path / path
        self._service = service
        query = sign_read(
            service.account,
            volume.kind,
            volume.name,
            path,
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        self._url = f"{service.url(volume.kind)}/{volume.name}/{path}?{query}"
        self._session = requests.Session()
        self._pool = ThreadPoolExecutor(4)

    def append(self, data: bytes) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("ab") as file:
            file.write(data)

    def get(
        self, start: int, wait: float | None = None, own_range: str | None = None
    ) -> requests.Response:
        headers = {"Range": f"bytes={start}-"}
        if own_range is not None:
            headers["x-ms-range"] = own_range
        if wait is not None:
            headers["Prefer"] = f"wait={wait}"
        return self._session.get(self._url, headers=headers, timeout=LONG + 10)

    def held(self, start: int) -> "Future[requests.Response]":
        """A request that is held by the service when this returns."""
        waiting = self._service.changes._waiting
        before = len(waiting)
        future = self._pool.submit(self.get, start, LONG)
        settled = threading.Event()

        def look() -> None:
            if len(waiting) > before or future.done():
                settled.set()
            else:
                self._service.loop.call_soon(look)

        self._service.loop.call_soon_threadsafe(look)
        assert settled.wait(10)
        return future

    def close(self) -> None:
        self._pool.shutdown()
        self._session.close()


@pytest.fixture(params=list(Kind))
def log(
    service: Service, volume_of: Callable[[Kind], Volume], request: pytest.FixtureRequest
) -> Iterator[Log]:
    """A log that does not exist yet, in a share and in a container."""
    volume = volume_of(request.param)
    log = Log(service, volume, "job 1/stdouterr/stderr.txt")
    yield log
    log.close()
    service.store.delete_volume(volume.account, volume.kind, volume.name)


def test_ranges_of_a_growing_file(log: Log) -> None:
    """206 with what is there, 416 with the size at the end, and more once there is more."""
    log.append(b"one\n")
    first = log.get(0)
    assert (first.status_code, first.content) == (206, b"one\n")
    assert first.headers["content-range"] == "bytes 0-3/4"
    for start in (4, 9):
        end = log.get(start)
        assert end.status_code == 416
        assert end.headers["content-range"] == "bytes */4"
        assert end.headers["x-ms-error-code"] == "InvalidRange"
        assert "preference-applied" not in end.headers
    log.append(b"two\n")
    second = log.get(4)
    assert (second.content, second.headers["content-range"]) == (b"two\n", "bytes 4-7/8")
    assert second.headers["etag"] != first.headers["etag"]


def test_the_whole_rest_comes_in_one_answer(log: Log) -> None:
    """Without the preference one answer carries everything to the end."""
    data = bytes(range(256)) * 40_000
    log.append(data)
    answer = log.get(1)
    assert answer.content == data[1:]


def test_a_file_of_no_bytes_is_416(log: Log) -> None:
    """An empty log answers `bytes=0-` with 416, and a missing one with 404."""
    assert log.get(0).status_code == 404
    log.append(b"")
    empty = log.get(0)
    assert (empty.status_code, empty.headers["content-range"]) == (416, "bytes */0")


def test_suffixes_and_nonsense(log: Log) -> None:
    """The last bytes can be asked for; a range that is none is ignored, as HTTP has it."""
    log.append(b"0123456789")
    assert log.get(0, own_range="bytes=-3").content == b"789"
    assert log.get(0, own_range="bytes=2-4").content == b"234"
    assert log.get(0, own_range="lines=2-4").status_code == 400
    session = requests.get(log._url, headers={"Range": "lines=1-2"}, timeout=10)
    assert (session.status_code, session.content) == (200, b"0123456789")


def test_what_is_there_is_answered_at_once(log: Log) -> None:
    """The preference holds nothing back when there are bytes, and is said to be applied."""
    log.append(b"line\n")
    answer = log.get(0, wait=LONG)
    assert (answer.status_code, answer.content) == (206, b"line\n")
    assert answer.headers["preference-applied"] == "wait"


def test_a_held_request_is_answered_by_an_append(log: Log) -> None:
    """Bytes that a process appends go to the waiting reader."""
    log.append(b"one\n")
    held = log.held(4)
    log.append(b"two\n")
    answer = held.result()
    assert (answer.status_code, answer.content) == (206, b"two\n")
    assert answer.headers["preference-applied"] == "wait"


def test_a_held_request_is_answered_when_the_file_appears(log: Log) -> None:
    """A reader may wait for a log whose directory does not exist yet."""
    held = log.held(0)
    log.append(b"first\n")
    answer = held.result()
    assert answer.status_code == 206
    assert b"first\n".startswith(answer.content)


def test_a_held_request_ends_by_notice(service: Service, log: Log) -> None:
    """When the log is sealed, whoever waits for it or a file below gets 416, or 404, at once."""
    log.append(b"all\n")
    held = log.held(4)
    service.on_loop(lambda: service.changes.notify(log.file))
    assert held.result().status_code == 416
    held = log.held(4)
    service.on_loop(lambda: service.changes.notify(log.file.parent.parent))
    answer = held.result()
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */4")
    assert answer.headers["preference-applied"] == "wait"
    log.file.unlink()
    held = log.held(0)
    service.on_loop(lambda: service.changes.notify(log.file))
    assert held.result().status_code == 404


def test_a_held_request_times_out(log: Log) -> None:
    """After the preferred seconds the answer is 416 with the size."""
    log.append(b"one\n")
    answer = log.get(4, wait=0.05)
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */4")
    assert answer.headers["preference-applied"] == "wait"


def test_characters_are_not_cut(log: Log) -> None:
    """A pushed answer never ends inside a UTF-8 character; the rest follows when it is whole."""
    text = "lösung: 日本 🚀\n".encode()
    cut = text.index("🚀".encode()) + 2
    log.append(text[:cut])
    first = log.get(0, wait=LONG)
    assert first.content == text[: cut - 2]
    held = log.held(len(first.content))
    log.append(text[cut:])
    assert held.result().content == text[cut - 2 :]


def test_half_a_character_at_the_very_end_is_delivered(service: Service, log: Log) -> None:
    """What no one completes is not kept back for ever."""
    log.append(b"ab\xf0\x9f")
    assert log.get(0, wait=LONG).content == b"ab"
    assert log.get(2, wait=0.05).content == b"\xf0\x9f"


def test_a_pushed_answer_is_bounded(log: Log) -> None:
    """With the preference one answer carries at most 8 MiB."""
    log.append(b"x" * (9 << 20))
    answer = log.get(0, wait=LONG)
    assert len(answer.content) == 8 << 20
    assert answer.headers["content-range"] == f"bytes 0-{(8 << 20) - 1}/{9 << 20}"


def test_several_readers_wait_at_once(service: Service, log: Log) -> None:
    """Two readers of one log get the same bytes, and afterwards nothing is watched."""
    log.append(b"one\n")
    readers = [log.held(4), log.held(4)]
    log.append(b"two\n")
    assert {reader.result().content for reader in readers} == {b"two\n"}
    assert not service.changes._waiting


def test_following_line_by_line_loses_nothing(log: Log) -> None:
    """A reader that asks again from where it is gets every byte, in order, once."""
    lines = [f"line {i} ä\n".encode() for i in range(300)]
    log.append(b"")

    def write() -> None:
        for line in lines:
            log.append(line)

    writer = threading.Thread(target=write)
    writer.start()
    received = b""
    while len(received) < sum(map(len, lines)):
        answer = log.get(len(received), wait=LONG)
        assert answer.status_code == 206
        answer.content.decode()
        received += answer.content
    writer.join()
    assert received == b"".join(lines)


def test_a_reader_that_leaves_is_forgotten(service: Service, log: Log) -> None:
    """When a waiting client closes its connection the wait ends."""
    import socket
    from urllib.parse import urlsplit

    log.append(b"one\n")
    target = urlsplit(log._url)
    gone = threading.Event()
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(
            f"GET {target.path.replace(' ', '%20')}?{target.query} HTTP/1.1\r\nHost: x\r\n"
            f"Range: bytes=4-\r\nPrefer: wait={LONG}\r\n\r\n".encode()
        )
        _until(service, lambda: bool(service.changes._waiting), gone)
    gone.clear()
    _until(service, lambda: not service.changes._waiting, gone)


def _until(service: Service, true: Callable[[], bool], event: threading.Event) -> None:
    """Wait, on the service's own loop, until something is so."""

    def look() -> None:
        if true():
            event.set()
        else:
            service.loop.call_later(0.001, look)

    service.loop.call_soon_threadsafe(look)
    assert event.wait(10)


def test_host_style_addresses(service: Service, container_path: Path) -> None:
    """`ACCOUNT.blob.*` in the Host header addresses the same blobs without a prefix."""
    container_path.joinpath("x.txt").write_bytes(b"data")
    query = sign_read(
        service.account,
        Kind.BLOB,
        container_path.name,
        "x.txt",
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    answer = requests.get(
        f"http://127.0.0.1:{service.port}/{container_path.name}/x.txt?{query}",
        headers={"Host": f"{service.account.name}.blob.core.windows.net"},
        timeout=10,
    )
    assert answer.content == b"data"
