"""A signed link to a file, read by ranges of bytes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from batchai_quickstart.client import longpoll
from batchai_quickstart.client.longpoll import CONNECT_TIMEOUT, READ_TIMEOUT
from batchai_quickstart.client.tail import Broken, Expired

if TYPE_CHECKING:
    import requests

CHUNK = 1 << 18
"""Bytes taken from the socket at once: a log pours through in few, large pieces."""

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Part:
    """One answer.

    Arguments:
        chunks: its bytes; raises Broken where they break off.
        pushed: the service holds reads until there are bytes (`Preference-Applied: wait`).
        more: the file was longer than the answer.
    """

    chunks: Iterator[bytes]
    pushed: bool
    more: bool


@final
class Link:
    """A file behind a signed URL; the signature is all the credential there is.

    Arguments:
        session: the HTTP session to read through.
        url: the link.
    """

    def __init__(self, session: "requests.Session", url: str) -> None:
        self._session = session
        self._url = url

    def read(self, offset: int, hold: float = 0.0, end: int | None = None) -> Part:
        """Read from byte `offset` to the end, or up to byte `end`.

        Arguments:
            offset: the first byte.
            hold: seconds the service may wait for bytes when there are none; 0: not at all.
            end: the byte after the last one; None: all there is.

        Raises:
            Broken: no answer, or one that may be asked for again (5xx, 429).
            Expired: the link is refused or leads nowhere (other 4xx).
        """
        last = "" if end is None else str(end - 1)
        headers = {"Range": f"bytes={offset}-{last}", "Accept-Encoding": "identity"}
        headers |= longpoll.preference(hold or None)
        try:
            response = self._session.get(
                self._url,
                headers=headers,
                stream=True,
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT + hold),
            )
        except _transport_errors() as error:
            raise Broken(f"{type(error).__name__}: {error}") from error
        status = response.status_code
        pushed = longpoll.is_held(response.headers)
        if status in (200, 206):
            skip = offset if status == 200 else 0
            return Part(_chunks(response, skip), pushed, status == 206 and _is_cut(response))
        response.close()
        if status == 416:
            return Part(iter(()), pushed, more=False)
        code = response.headers.get("x-ms-error-code", "")
        what = f"{status} {code}".strip()
        if status >= 500 or status == 429:
            raise Broken(f"the storage service answered {what}")
        raise Expired(f"the storage service answered {what}")


def _is_cut(response: "requests.Response") -> bool:
    """Tell an answer that ends before the file did."""
    found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    if found is None or found[2] is None or not found[3].isdecimal():
        return False
    return int(found[2]) + 1 < int(found[3])


def _chunks(response: "requests.Response", skip: int) -> Iterator[bytes]:
    """The body's bytes; `skip` of them first go, where a server ignored the range."""
    try:
        for chunk in response.iter_content(CHUNK):
            if skip:
                skip, chunk = max(0, skip - len(chunk)), chunk[skip:]
            if chunk:
                yield chunk
    except _transport_errors() as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    finally:
        response.close()


def _transport_errors() -> tuple[type[Exception], ...]:
    # Without retries of its own, urllib3 lets its exceptions pass through requests unwrapped.
    import requests
    import urllib3

    return requests.RequestException, urllib3.exceptions.HTTPError
