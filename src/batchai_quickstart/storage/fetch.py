"""Copies from the URLs of other servers.

One GET each, never redirected, its body in pieces that are asked for one by one: what is not
written yet is not read. It happens in threads of its own, few at a time, so a slow server keeps
nothing else waiting, nor the end of this service; an address of the service itself that nobody
recognised as one is just another server.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar, cast, final
from urllib.parse import SplitResult

import urllib3
from starlette.types import Message, Receive
from urllib3.exceptions import HTTPError

from batchai_quickstart.storage.append import COUNT
from batchai_quickstart.storage.checksum import CRC64
from batchai_quickstart.storage.protocol import VERSION, Request, StorageError, requested_range
from batchai_quickstart.storage.sidecar import Properties
from batchai_quickstart.storage.source import Source, bare, refused
from batchai_quickstart.storage.transfer import PIECE, receive_into

_AT_ONCE: Final = 8
_TIMEOUT: Final = urllib3.Timeout(connect=10, read=30)
_LONGEST: Final = 3600
"""Seconds one body may take."""

_KEPT: Final = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    COUNT,
)
"""Headers of another server's answer that say what the copy is as well."""

T = TypeVar("T")


@final
class Fetcher:
    """Opens the sources that other servers have."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._pool = urllib3.PoolManager()

    @asynccontextmanager
    async def open(
        self, request: Request, url: SplitResult, asked: Mapping[str, str]
    ) -> AsyncIterator[Source]:
        """The source that a URL is, for the time of a copy.

        Arguments:
            request: the request that copies.
            url: http or https.
            asked: headers about the source: its range, conditions and sums.

        Raises:
            StorageError: there is no answer, or it is not what was asked for.
        """
        for name in ("x-ms-if-tags", "x-ms-lease-id"):
            if name in asked:
                header = f"x-ms-source-{name.removeprefix('x-ms-')}"
                raise StorageError("UnsupportedHeader", f"{header}: the source is not here.")
        wanted = requested_range(replace(request, headers=dict(asked)))
        headers = {
            "accept-encoding": "identity",
            "x-ms-version": VERSION,
            **{name: value for name, value in asked.items() if name.startswith("if-")},
        }
        if wanted is not None:
            headers["range"] = asked["x-ms-range"]
        answer = await self._call(partial(self._get, url.geturl(), headers))
        try:
            told = {name.lower(): value for name, value in answer.headers.items()}
            length = _length(answer.status, told, wanted)
            md5 = asked.get("content-md5") or (told.get("content-md5") if wanted is None else None)
            sums = {"content-md5": md5, CRC64: asked.get(CRC64)}
            announced = {name: value for name, value in sums.items() if value is not None}
            announced["content-length"] = str(length)
            body = replace(request, headers=announced, receive=self._receive(answer))
            said = _said(told, md5 if wanted is None else None)
            yield Source(bare(url), length, said, partial(receive_into, body))
        finally:
            if answer.connection is not None:
                answer.shutdown()  # wakes a thread that reads at this moment
            answer.close()

    def _get(self, url: str, headers: Mapping[str, str]) -> urllib3.HTTPResponse:
        answer = self._pool.request(
            "GET",
            url,
            headers=headers,
            preload_content=False,
            decode_content=False,
            redirect=False,
            retries=False,
            timeout=_TIMEOUT,
        )
        assert isinstance(answer, urllib3.HTTPResponse)
        return answer

    def _receive(self, answer: urllib3.HTTPResponse) -> Receive:
        """The body of an answer, as the body of a request to this service."""
        deadline = time.monotonic() + _LONGEST

        async def receive() -> Message:
            if time.monotonic() > deadline:
                raise StorageError("CannotVerifyCopySource", f"It takes longer than {_LONGEST} s.")
            piece = await self._call(partial(answer.read1, PIECE))
            return {"type": "http.request", "body": piece, "more_body": bool(piece)}

        return receive

    async def _call(self, call: Callable[[], T]) -> T:
        """The result of a call that waits for another server."""
        loop = asyncio.get_running_loop()

        def settle(done: asyncio.Future[T], value: T | None, error: Exception | None) -> None:
            if done.done():
                return  # who waited was cancelled
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(cast("T", value))

        def run(done: asyncio.Future[T]) -> None:
            value, failed = None, None
            try:
                value = call()
            except Exception as error:
                failed = error
            with suppress(RuntimeError):  # the service has ended meanwhile
                loop.call_soon_threadsafe(settle, done, value, failed)

        async with self._turns:
            done: asyncio.Future[T] = loop.create_future()
            # A thread that nobody waits for: the service can end before another server answers.
            threading.Thread(target=run, args=(done,), name="fetch", daemon=True).start()
            try:
                return await done
            except (HTTPError, OSError, ValueError) as error:
                found = f"Its server does not answer: {type(error).__name__}."
                raise StorageError("CannotVerifyCopySource", found) from error


def _length(
    status: int, told: Mapping[str, str], wanted: tuple[int | None, int | None] | None
) -> int:
    """The length of the body of an answer with the wanted range of a source.

    Raises:
        StorageError: it is another answer.
    """
    if status in (304, 412):
        raise StorageError("SourceConditionNotMet", f"Its server answered {status}.")
    if status == 416:
        raise StorageError("InvalidRange", "The server of the source has no such range.")
    if status not in (200, 206):
        code = told.get("x-ms-error-code", "")
        raise refused(status, code, f"Its server answered {status} {code}".rstrip() + ".")
    first = wanted[0] if wanted is not None else None
    is_part = first is None or told.get("content-range", "").startswith(f"bytes {first}-")
    if (wanted is not None) != (status == 206) or not is_part:
        raise StorageError("CannotVerifyCopySource", "Its server does not honour ranges.")
    length = told.get("content-length", "")
    if not (length.isascii() and length.isdigit()):
        raise StorageError("CannotVerifyCopySource", "Its server does not say how long it is.")
    return int(length)


def _said(told: Mapping[str, str], md5: str | None) -> Properties:
    kind = told.get("x-ms-blob-type", "BlockBlob")
    prefix = "x-ms-meta-"
    return Properties(
        {name: told[name] for name in _KEPT if told.get(name)},
        {
            name.removeprefix(prefix): value
            for name, value in told.items()
            if name.startswith(prefix) and name.removeprefix(prefix).isidentifier()
        },
        md5,
        kind="" if kind == "BlockBlob" else kind,
    )
