"""Append blobs: files of a container that only grow, by whole blocks.

A block is received and checked in a file of its own, and then added to the end in one go, so a
reader or a job never sees a part of one that is refused or breaks off. A part that a crash leaves
is cut off at the next start.
"""

import asyncio
import os
from dataclasses import replace
from functools import partial
from typing import Final

from batchai_quickstart.storage.checksum import Sums
from batchai_quickstart.storage.commit import amend, lengthen
from batchai_quickstart.storage.download import Entry, not_found, opened
from batchai_quickstart.storage.protocol import (
    Request,
    Response,
    StorageError,
    check_conditions,
    etag,
    http_date,
    number,
)
from batchai_quickstart.storage.sidecar import Properties
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.transfer import (
    PIECE,
    Pour,
    announced_length,
    receive_into,
)
from batchai_quickstart.storage.volume import Kind, Volume

BLOCK_LIMIT: Final = 100 << 20
_BLOCKS_AT_MOST: Final = 50_000
COUNT: Final = "x-ms-blob-committed-block-count"
SEALED: Final = "x-ms-blob-sealed"


class AppendBlobs:
    """The operations only append blobs have; each takes a request and answers it.

    Arguments:
        store: where everything is.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = asyncio.Lock()

    async def append(self, request: Request) -> Response:
        """Append Block."""
        length = announced_length(request, BLOCK_LIMIT)
        return await self.add(request, length, partial(receive_into, request))

    async def add(self, request: Request, length: int, pour: Pour) -> Response:
        """Add a block to the end of the blob.

        Arguments:
            request: what names the blob and its conditions.
            length: of the block, in bytes.
            pour: writes its content into a file at an offset.
        """
        if not length:
            raise StorageError("InvalidHeaderValue", "A block has at least one byte.")
        os.close(self._open(request)[0])
        block, prepared = self._store.create_staged()
        try:
            os.unlink(prepared)  # noqa: PTH108
            return await self._add(request, block, length, await pour(block, 0))
        finally:
            os.close(block)

    async def _add(self, request: Request, block: int, length: int, sums: Sums) -> Response:
        async with self._turn:
            descriptor, volume = self._open(request)
            try:
                entry = opened(self._store, volume, request.path, descriptor)
                check_conditions(request, entry.status)
                offset = entry.status.st_size
                count = int(entry.said.headers.get(COUNT, "0")) + 1
                self._check(request, entry, length, count)
                said = _said(entry, COUNT, str(count))

                async def write() -> None:
                    if length <= PIECE:
                        _append(block, descriptor, length)
                    else:
                        await asyncio.to_thread(_append, block, descriptor, length)

                status = await lengthen(
                    self._store, volume, request.path, descriptor, said, length, write
                )
                entry = Entry(status, said)
            finally:
                os.close(descriptor)
        return Response(
            201,
            (
                *_version(entry),
                ("x-ms-blob-append-offset", str(offset)),
                (COUNT, str(count)),
                ("x-ms-request-server-encrypted", "false"),
                *sums.headers(),
            ),
        )

    async def seal(self, request: Request) -> Response:
        """Append Blob Seal."""
        async with self._turn:
            descriptor, volume = self._open(request)
            try:
                entry = opened(self._store, volume, request.path, descriptor)
                check_conditions(request, entry.status)
                _check_position(request, entry)
                said = _said(entry, SEALED, "true")
                status = await amend(self._store, volume, request.path, descriptor, said)
                entry = Entry(status, said)
            finally:
                os.close(descriptor)
        return Response(200, (*_version(entry), (SEALED, "true")))

    def _open(self, request: Request) -> tuple[int, Volume]:
        volume = self._store.volume(request.account.name, Kind.BLOB, request.volume)
        try:
            descriptor = volume.open(volume.segments(request.path), os.O_RDWR | os.O_APPEND)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise not_found(request) from None
        if opened(self._store, volume, request.path, descriptor).said.kind != "AppendBlob":
            os.close(descriptor)
            raise StorageError("InvalidBlobType", "It is a block blob.")
        return descriptor, volume

    def _check(self, request: Request, entry: Entry, length: int, count: int) -> None:
        if SEALED in entry.said.headers:
            raise StorageError("BlobIsSealed")
        _check_position(request, entry)
        limit = _number(request, "x-ms-blob-condition-maxsize")
        if limit is not None and entry.status.st_size + length > limit:
            raise StorageError("MaxBlobSizeConditionNotMet")
        if count > _BLOCKS_AT_MOST:
            raise StorageError("BlockCountExceedsLimit", f"{_BLOCKS_AT_MOST} at most.")


def _said(entry: Entry, name: str, value: str) -> Properties:
    """What is said of a blob once one more header is."""
    return replace(entry.said, headers={**entry.said.headers, name: value}, md5=None, copy={})


def _check_position(request: Request, entry: Entry) -> None:
    position = _number(request, "x-ms-blob-condition-appendpos")
    if position is not None and position != entry.status.st_size:
        raise StorageError(
            "AppendPositionConditionNotMet", f"The blob has {entry.status.st_size} bytes."
        )


def _number(request: Request, name: str) -> int | None:
    text = request.headers.get(name)
    if text is None:
        return None
    if (found := number(text)) is None:
        raise StorageError("InvalidHeaderValue", f"{name} is {text[:80]!r}.")
    return found


def _append(block: int, descriptor: int, length: int) -> None:
    offset = 0
    while offset < length:
        piece = memoryview(os.pread(block, PIECE, offset))
        offset += len(piece)
        while piece:
            piece = piece[os.write(descriptor, piece) :]


def _version(entry: Entry) -> tuple[tuple[str, str], ...]:
    return (
        ("etag", etag(entry.status)),
        ("last-modified", http_date(int(entry.status.st_mtime))),
    )
