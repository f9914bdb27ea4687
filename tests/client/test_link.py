"""Reading a signed link by ranges."""

import socket
import threading

import pytest
import requests
import responses
from responses import matchers

from batchai_quickstart import Connection
from batchai_quickstart.client.link import Link
from batchai_quickstart.client.tail import Broken, Expired

URL = "http://127.0.0.1:9999/file/a/logs/stderr.txt?sig=s"


@pytest.fixture
def link() -> Link:
    """A link read through a session of its own."""
    return Link(requests.Session(), URL)


def test_ranges_and_patience_are_stated(wire: responses.RequestsMock, link: Link) -> None:
    """A held read names its first byte and how long the service may wait."""
    wire.get(
        URL,
        body=b"abc",
        status=206,
        headers={"Content-Range": "bytes 5-7/20", "Preference-Applied": "wait"},
        match=[matchers.header_matcher({"Range": "bytes=5-", "Prefer": "wait=30"})],
    )
    part = link.read(5, 30.0)
    assert (b"".join(part.chunks), part.pushed, part.more) == (b"abc", True, True)


def test_plain_reads_do_not_wait(wire: responses.RequestsMock, link: Link) -> None:
    """A read that need not wait asks for no long poll; an end is exclusive."""
    wire.get(URL, body=b"ab", status=206, headers={"Content-Range": "bytes 0-1/2"})
    part = link.read(0, end=2)
    assert (b"".join(part.chunks), part.pushed, part.more) == (b"ab", False, False)
    assert wire.calls[0].request.headers["Range"] == "bytes=0-1"
    assert "Prefer" not in wire.calls[0].request.headers


def test_end_of_file_is_no_error(wire: responses.RequestsMock, link: Link) -> None:
    """416 is "nothing beyond": no bytes, no error."""
    wire.get(URL, status=416, headers={"Content-Range": "bytes */5"})
    part = link.read(5)
    assert (list(part.chunks), part.more) == ([], False)


def test_server_that_ignores_ranges_repeats_nothing(
    wire: responses.RequestsMock, link: Link
) -> None:
    """A 200 with the whole file yields only what was asked for."""
    wire.get(URL, body=b"0123456789", status=200)
    assert b"".join(link.read(4).chunks) == b"456789"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(403, Expired), (404, Expired), (400, Expired), (429, Broken), (500, Broken), (503, Broken)],
)
def test_refusals_expire_and_failures_break(
    status: int, expected: type[Exception], wire: responses.RequestsMock, link: Link
) -> None:
    """A refused link wants a new one; a failing service wants patience."""
    wire.get(URL, status=status, headers={"x-ms-error-code": "AuthenticationFailed"})
    with pytest.raises(expected, match=f"{status} AuthenticationFailed"):
        link.read(0)


def test_unreachable_service_breaks(wire: responses.RequestsMock, link: Link) -> None:
    """No connection is something to try again."""
    wire.get(URL, body=requests.ConnectionError("refused"))
    with pytest.raises(Broken, match="refused"):
        link.read(0)


def test_nobody_listening_breaks() -> None:
    """A refused connection, through the session that connections make, is one to try again."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{held.getsockname()[1]}"
        session = Connection.open(endpoint, token="t", subscription_id="s").session
        with pytest.raises(Broken, match="refused"):
            Link(session, f"{endpoint}/file").read(0)


def test_answer_that_breaks_off_breaks() -> None:
    """A connection closed in the middle of a body is told from the end of the body."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"

        def answer() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(b"HTTP/1.1 206 OK\r\nContent-Length: 10\r\n\r\nhalf")

        thread = threading.Thread(target=answer)
        thread.start()
        session = Connection.open(endpoint, token="t", subscription_id="s").session
        part = Link(session, f"{endpoint}/file").read(0)
        with pytest.raises(Broken):
            list(part.chunks)
        thread.join()
