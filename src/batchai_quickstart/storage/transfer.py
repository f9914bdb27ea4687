"""Bytes between sockets and files, in pieces of at most 1 MiB.

Nothing holds a body whole. Reading and writing what the page cache takes costs less on the event
loop than the way to a thread and back, and so happens there, a little at a time; what the disk
keeps waiting goes to a thread.
"""

import asyncio
import base64
import errno
import hashlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from starlette.types import Message, Receive, Send

from batchai_quickstart.spelling import Spelt
from batchai_quickstart.storage.checksum import CRC64, Sum, Sums, check
from batchai_quickstart.storage.protocol import Request, Response, Span, StorageError
from batchai_quickstart.storage.volume import Volume

SMALL: Final = 64 << 10
"""Bytes read on the event loop even where nobody says whether they are in memory."""
PIECE: Final = 1 << 20
"""Bytes written or read at a time."""

_QUICK: Final = 256 << 10
"""Bytes written at a time on the event loop: some 50 microseconds into the page cache."""

_PATIENCE: Final = 0.005
"""Seconds a write may take before the rest of its body is written by a thread."""


_FREED_AT_ONCE: Final = 16 << 20
"""Bytes of a file whose last name or descriptor may go on the event loop."""

_COARSEST: Final = 2_000_000_000
"""Nanoseconds by which a file system may round times."""

_VECTORS: Final = 1000
"""Pieces one call writes at most; systems have limits from 1024 up."""


Pour = Callable[[int, int], Awaitable[Sums]]
"""Writes content into the file of a descriptor, from an offset on; gives what it computed of it."""


class ClientLeftError(Exception):
    """The connection broke before the body was complete: there is nobody to answer."""


class Incoming:
    """The receiving side of a connection, which knows when the request's body is all read.

    Arguments:
        receive: of the ASGI connection.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.complete = False

    async def __call__(self) -> Message:
        message = await self._receive()
        self.complete = not message.get("more_body", False)
        return message


async def body(receive: Receive) -> AsyncIterator[bytes]:
    """The pieces of a request's body as they arrive.

    Raises:
        ClientLeftError: the connection broke.
    """
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        more = message.get("more_body", False)
        if piece := message.get("body"):
            yield piece


async def small_body(request: Request, limit: int) -> bytes:
    """A request's body that is short by its nature, for example an XML document.

    Raises:
        StorageError: it is too long, or not the one its checksums are of.
    """
    if request.length > limit:
        raise StorageError("RequestBodyTooLarge", f"At most {limit} bytes.")
    whole = b"".join([piece async for piece in body(request.receive)])
    if len(whole) > limit:
        raise StorageError("RequestBodyTooLarge", f"At most {limit} bytes.")
    counted = Sum(md5="content-md5" in request.headers, crc64=CRC64 in request.headers)
    counted.update(whole)
    check(counted.sums(), request.headers)
    return whole


async def drain(receive: Receive) -> None:
    """Read what is left of a body, so that the connection can carry the next request."""
    with suppress(ClientLeftError):
        async for _ in body(receive):
            pass


def announced_length(request: Request, limit: int) -> int:
    """The Content-Length a body must have.

    Raises:
        StorageError: there is none, or it is beyond the limit.
    """
    if "content-length" not in request.headers:
        raise StorageError("MissingContentLengthHeader")
    if request.length > limit:
        raise StorageError("RequestBodyTooLarge", f"At most {limit} bytes.")
    return request.length


async def receive_into(
    request: Request, descriptor: int, offset: int, *, md5: bool = False, crc64: bool = False
) -> Sums:
    """Write a request's body into a file at an offset, checking length and checksums.

    Arguments:
        request: its Content-Length must have been checked.
        descriptor: of the file.
        offset: of the first byte.
        md5: compute it though the request announces none.
        crc64: the same.

    Returns:
        The checksums that were asked for.

    Raises:
        StorageError: the body is not as long, or not of the checksums, that the headers announce.
        ClientLeftError: the connection broke.
    """
    headers = request.headers
    counted = Sum(md5=md5 or "content-md5" in headers, crc64=crc64 or CRC64 in headers)
    end = offset + request.length
    pending: list[bytes] = []
    size = 0
    disk_is_busy = False
    async for piece in body(request.receive):
        counted.update(piece)
        pending.append(piece)
        size += len(piece)
        if offset + size > end:
            raise StorageError("InvalidInput", "The body is longer than its Content-Length.")
        if size >= (PIECE if disk_is_busy else _QUICK):
            if disk_is_busy:
                await asyncio.to_thread(write, descriptor, pending, offset)
            else:
                begun = time.monotonic()
                write(descriptor, pending, offset)
                disk_is_busy = time.monotonic() - begun > _PATIENCE
            offset, size, pending = offset + size, 0, []
    if size:
        write(descriptor, pending, offset)
    if offset + size != end:
        raise StorageError("InvalidInput", "The body is shorter than its Content-Length.")
    sums = counted.sums()
    check(sums, headers)
    return sums


def write(descriptor: int, pieces: Sequence[bytes], offset: int) -> None:
    """Write pieces one behind the other, however many calls it takes."""
    written = os.pwritev(descriptor, pieces[:_VECTORS], offset)
    if written != sum(map(len, pieces)):
        rest = memoryview(b"".join(pieces))[written:]
        while rest:
            offset += written
            written = os.pwrite(descriptor, rest, offset)
            rest = rest[written:]


def copy(source: int, start: int, target: int, place: int, length: int) -> None:
    """Copy bytes between files, in the kernel where it can, without moving them where it can.

    May take long: the place for many bytes is a thread.

    Arguments:
        source: descriptor of the file to read.
        start: of the first byte in it.
        target: descriptor of the file to write.
        place: of the first byte in it.
        length: how many bytes.

    Raises:
        EOFError: the source ends before.
    """
    while length and hasattr(os, "copy_file_range"):
        count = 0
        with suppress(OSError):
            count = os.copy_file_range(source, target, length, start, place)
        if not count:
            break
        start, place, length = start + count, place + count, length - count
    while length:
        piece = os.pread(source, min(length, PIECE), start)
        if not piece:
            raise EOFError(f"the source ends {length} bytes early")
        write(target, [piece], place)
        start, place, length = start + len(piece), place + len(piece), length - len(piece)


async def respond(send: Send, head: Sequence[tuple[bytes, bytes]], answer: Response) -> None:
    """Send an answer; a span's descriptor is closed when this returns.

    Arguments:
        send: of the ASGI connection.
        head: headers that every answer has.
        answer: what to send; its content-length is added here unless it names one.
    """
    span = answer.body if isinstance(answer.body, Span) else None
    try:
        headers = [
            *head,
            *((Spelt(name, "latin-1"), value.encode("latin-1")) for name, value in answer.headers),
        ]
        if not any(name == b"content-length" for name, _ in headers) and answer.status != 304:
            length = span.length if span else len(answer.body)  # type: ignore[arg-type]
            headers.append((b"content-length", b"%d" % length))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if span is None:
            await send({"type": "http.response.body", "body": answer.body})
        else:
            await _send_span(send, span)
    finally:
        if span is not None:
            os.close(span.descriptor)


async def _send_span(send: Send, span: Span) -> None:
    offset, left = span.offset, span.length
    if not left:
        await send({"type": "http.response.body"})
    while left:
        piece = _at_once(span.descriptor, min(left, PIECE), offset)
        if not piece:
            piece = await asyncio.to_thread(os.pread, span.descriptor, min(left, PIECE), offset)
        if not piece:
            # Shortened while it was read: the connection is cut, or the client would take the
            # next answer for the rest of this one.
            raise ClientLeftError
        offset += len(piece)
        left -= len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": left > 0})


def _at_once(descriptor: int, length: int, offset: int) -> bytes:
    """What can be had of a file without waiting for a disk; empty when one must be asked."""
    buffer = bytearray(length)
    try:
        count = os.preadv(descriptor, [buffer], offset, os.RWF_NOWAIT)
    except (AttributeError, OSError) as error:
        # Where the system or the file system (tmpfs) cannot say: a small piece is mostly the end
        # of a log, just written and in memory, and a thread would cost more than the read.
        unknown = isinstance(error, AttributeError) or error.errno == errno.EOPNOTSUPP
        return os.pread(descriptor, length, offset) if unknown and length <= SMALL else b""
    return bytes(memoryview(buffer)[:count])


def touch(descriptor: int) -> None:
    """Set a file's modification time to now, to the nanosecond.

    The kernel's own stamp may be some milliseconds coarse: two writes would share an ETag.
    """
    now = time.time_ns()
    os.utime(descriptor, ns=(now, now))


def set_modified(descriptor: int, time_ns: int) -> None:
    """Set a file's modification time, in nanoseconds since the epoch.

    Raises:
        StorageError: the file system has no such time.
    """
    os.utime(descriptor, ns=(time_ns, time_ns))
    if abs(os.fstat(descriptor).st_mtime_ns - time_ns) > _COARSEST:
        raise StorageError("OutOfRangeInput", "The file system cannot hold the last write time.")


def next_time(before: os.stat_result, time_ns: int | None = None) -> int:
    """The modification time of a new version that is to have a certain one.

    Clients read and write times in units of 100 ns; what is below tells versions of one time
    apart, as ETags and what is kept about a file do.

    Arguments:
        before: the status in the version that ends.
        time_ns: nanoseconds since the epoch; None keeps the time it had.
    """
    whole = (before.st_mtime_ns if time_ns is None else time_ns) // 100 * 100
    return whole + (before.st_mtime_ns + 1) % 100


def hold(volume: Volume, segments: tuple[str, ...], status: os.stat_result | None) -> int | None:
    """A descriptor of a big file that is about to lose its name; `release` must follow."""
    if status is None or status.st_size <= _FREED_AT_ONCE:
        return None
    try:
        return volume.open(segments)
    except (FileNotFoundError, NotADirectoryError):
        return None


async def release(descriptor: int) -> None:
    """Close a file that may have lost its name.

    With the last descriptor the file's blocks are freed, which takes a while for a big one.
    """
    status = os.fstat(descriptor)
    if status.st_nlink or status.st_size <= _FREED_AT_ONCE:
        os.close(descriptor)
    else:
        await asyncio.to_thread(os.close, descriptor)


def md5_of(descriptor: int, offset: int, length: int) -> str:
    """Base64 MD5 of a part of a file."""
    digest = hashlib.md5(os.pread(descriptor, length, offset), usedforsecurity=False)
    return base64.b64encode(digest.digest()).decode()
