"""Reading one blob or file: conditions, ranges, and waiting for a file to grow.

A read is bounded by the size the file had when it was opened, so a log that grows meanwhile is
never announced with one length and sent with another. A request with `Prefer: wait=SECONDS`
(RFC 7240) and an open range that begins at the end of the file is held until there is more.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from batchai_quickstart.errors import ForbiddenError
from batchai_quickstart.storage.changes import Changes
from batchai_quickstart.storage.leases import lease_headers
from batchai_quickstart.storage.protocol import (
    Request,
    Response,
    Span,
    StorageError,
    check_conditions,
    etag,
    finished,
    http_date,
    preferred_wait,
    requested_range,
)
from batchai_quickstart.storage.sidecar import Properties
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.transfer import md5_of
from batchai_quickstart.storage.volume import Kind, Volume

PUSHED_AT_ONCE: Final = 8 << 20
"""Bytes one answer carries at most when the client waits for more anyway."""

_MD5_AT_MOST: Final = 4 << 20

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or directory and what was said about it."""

    status: os.stat_result
    said: Properties

    def common_headers(self) -> Headers:
        """What both protocols answer about it."""
        return (
            ("etag", etag(self.status)),
            ("last-modified", http_date(int(self.status.st_mtime))),
            *self.said.headers.items(),
            *((f"x-ms-meta-{name}", value) for name, value in self.said.metadata.items()),
        )


Describe = Callable[[Entry], Headers]
"""The headers one protocol has beside `Entry.common_headers`."""


async def download(
    request: Request, store: Store, changes: Changes, volume: Volume, describe: Describe
) -> Response:
    """Answer a GET or HEAD of a blob or file.

    Raises:
        StorageError: 404, or 412 and 416 with what the headers ask.
        NotModifiedError: 304.
    """
    segments = volume.segments(request.path)
    asked = requested_range(request) if request.method == "GET" else None
    wait = preferred_wait(request) if request.method == "GET" else None
    request.waits = wait is not None
    if wait and asked is not None and asked[0] is not None:
        await _hold(request, changes, volume, segments, asked[0], wait)
    try:
        descriptor = volume.open(segments)
    except (FileNotFoundError, NotADirectoryError):
        raise not_found(request) from None
    try:
        entry = opened(store, volume, request.path, descriptor)
        check_conditions(request, entry.status)
        leased = lease_headers(store, volume, request.path)
        headers = (*_headers(request, entry, describe), *leased)
        if request.method == "HEAD":
            md5 = (("content-md5", entry.said.md5),) if entry.said.md5 else ()
            size = ("content-length", str(entry.status.st_size))
            answer = Response(200, (*headers, *md5, size))
        else:
            answer = _content(request, entry, descriptor, asked, headers)
    except BaseException:
        os.close(descriptor)
        raise
    if not isinstance(answer.body, Span):
        os.close(descriptor)
    return answer


def not_found(request: Request) -> StorageError:
    """The error for a blob or file that is not there."""
    return StorageError("BlobNotFound" if request.kind is Kind.BLOB else "ResourceNotFound")


def opened(store: Store, volume: Volume, path: str, descriptor: int) -> Entry:
    """What is known of an open file."""
    status = os.fstat(descriptor)
    return Entry(status, store.said(volume, path, status))


def _headers(request: Request, entry: Entry, describe: Describe) -> Headers:
    headers = {
        "content-type": "application/octet-stream",
        "accept-ranges": "bytes",
        **dict(entry.common_headers()),
        **dict(describe(entry)),
        **dict(request.overrides),
    }
    return tuple(headers.items())


def _content(
    request: Request,
    entry: Entry,
    descriptor: int,
    asked: tuple[int | None, int | None] | None,
    headers: Headers,
) -> Response:
    size, md5 = entry.status.st_size, entry.said.md5
    if asked is None:
        if md5:
            headers = (*headers, ("content-md5", md5))
        return Response(200, headers, Span(descriptor, 0, size))
    start, length = span(asked, size)
    if request.waits:
        length = min(length, PUSHED_AT_ONCE)
        # A character cut at the very beginning goes out as it is: nothing else is left.
        cut = _cut_character(descriptor, start + length, length)
        length -= cut if cut < length else 0
    extra = [("content-range", f"bytes {start}-{start + length - 1}/{size}")]
    if md5:
        extra.append(
            ("x-ms-blob-content-md5" if request.kind is Kind.BLOB else "x-ms-content-md5", md5)
        )
    if request.headers.get("x-ms-range-get-content-md5", "").lower() == "true":
        if length > _MD5_AT_MOST:
            raise StorageError("OutOfRangeInput", "An MD5 of a range is made of 4 MiB at most.")
        extra.append(("content-md5", md5_of(descriptor, start, length)))
    return Response(206, (*headers, *extra), Span(descriptor, start, length))


def span(asked: tuple[int | None, int | None], size: int) -> tuple[int, int]:
    """Offset and length of a range of a file of `size` bytes."""
    first, last = asked
    if first is None:
        first, last = max(size - (last or 0), 0), size - 1
    if first >= size:
        raise StorageError(
            "InvalidRange",
            f"Asked from byte {first}, there are {size}.",
            headers=(("content-range", f"bytes */{size}"),),
        )
    return first, (size - 1 if last is None else min(last, size - 1)) - first + 1


def _cut_character(descriptor: int, end: int, length: int) -> int:
    """Bytes at the end of a span that begin a UTF-8 character without ending it."""
    reach = min(length, 3)
    tail = os.pread(descriptor, reach, end - reach)
    for count in range(1, len(tail) + 1):
        byte = tail[-count]
        if byte & 0xC0 != 0x80:
            needed = 2 + (byte >= 0xE0) + (byte >= 0xF0) if 0xC0 <= byte < 0xF8 else 1
            return count if needed > count else 0
    return 0


async def _hold(
    request: Request,
    changes: Changes,
    volume: Volume,
    segments: tuple[str, ...],
    start: int,
    seconds: float,
) -> None:
    """Return when the file has a whole character beyond `start`, or nobody waits any more."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    try:
        target = volume.resolve(request.path)
    except ForbiddenError:
        return
    left: asyncio.Task[None] | None = None
    try:
        while True:
            size = _deliverable(volume, segments, start)
            if size is None:
                return
            # Between the look at the file and the registration of the wait nothing is awaited,
            # so no notice can get lost.
            if left is None:
                left = loop.create_task(request.left())
            remaining = deadline - loop.time()
            if remaining <= 0:
                return
            if not await changes.wait(target, seen=size, timeout=remaining, gone=left):
                return
    finally:
        if left is not None:
            await finished(left)


def _deliverable(volume: Volume, segments: tuple[str, ...], start: int) -> int | None:
    """None when there is something to answer; else the size that must change first."""
    try:
        descriptor = volume.open(segments)
    except (FileNotFoundError, NotADirectoryError):
        return None if os.path.lexists(volume.below(segments)) else 0
    try:
        size = os.fstat(descriptor).st_size
        if size <= start or _cut_character(descriptor, size, size - start) == size - start:
            return size
        return None
    finally:
        os.close(descriptor)
