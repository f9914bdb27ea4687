"""Block blobs: files of a container."""

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from typing import Final
from xml.sax.saxutils import escape

from batchai_quickstart.storage import tags
from batchai_quickstart.storage.blobproperties import (
    PLAIN,
    TIER,
    describe,
    kept_of,
    said_by,
    tier_of,
    written,
)
from batchai_quickstart.storage.blocklist import (
    block_id,
    chosen_blocks,
    committed_blocks,
    parse_block_list,
)
from batchai_quickstart.storage.changes import Changes
from batchai_quickstart.storage.checksum import Sums
from batchai_quickstart.storage.commit import amend, publish, remove
from batchai_quickstart.storage.download import Entry, Headers, download, not_found, opened
from batchai_quickstart.storage.listing import walk
from batchai_quickstart.storage.protocol import (
    Request,
    Response,
    StorageError,
    check_conditions,
    etag,
    xml_response,
)
from batchai_quickstart.storage.sidecar import Properties
from batchai_quickstart.storage.staging import Block, Staging, Upload, assemble
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.transfer import (
    Pour,
    announced_length,
    hold,
    receive_into,
    release,
    small_body,
    touch,
)
from batchai_quickstart.storage.volume import Kind, Volume

BLOB_LIMIT: Final = 5000 << 20
BLOCK_LIMIT: Final = 4000 << 20
_OF_PAGE_BLOBS: Final = (
    "x-ms-blob-content-length",
    "x-ms-blob-sequence-number",
    "x-ms-sequence-number-action",
)
"""Headers of Set Blob Properties that Azure answers with 409 for every other type of blob."""


Fill = Callable[[int], Awaitable[tuple[Properties, Sums]]]
"""Writes a blob's content into the file of a descriptor, and says what the blob is."""


class Blobs:
    """The operations on blobs; each takes a request and answers it.

    Arguments:
        store: where everything is.
        changes: who waits for files.
        staging: blocks that are not committed.
    """

    def __init__(self, store: Store, changes: Changes, staging: Staging) -> None:
        self._store = store
        self._changes = changes
        self._staging = staging

    async def get(self, request: Request) -> Response:
        """Get Blob, Get Blob Properties, Get Blob Metadata."""
        return await download(
            request, self._store, self._changes, self._container(request), describe
        )

    async def put(self, request: Request) -> Response:
        """Put Blob, of the type BlockBlob."""
        volume = self._container(request)
        segments = volume.segments(request.path)
        kind = request.headers.get("x-ms-blob-type")
        if kind is None:
            raise StorageError("MissingRequiredHeader", "x-ms-blob-type.")
        if kind not in ("BlockBlob", "AppendBlob"):
            raise StorageError("NotImplemented", f"Put Blob of the type {kind}.")
        length = announced_length(request, BLOB_LIMIT)
        if length and kind == "AppendBlob":
            raise StorageError("InvalidHeaderValue", "An append blob is made empty.")
        self.check_write(request, volume, segments)

        async def fill(descriptor: int) -> tuple[Properties, Sums]:
            sums = await receive_into(request, descriptor, 0, md5=True)
            said = said_by(request, default_type=request.headers.get("content-type", PLAIN))
            if kind == "AppendBlob":
                return replace(said, kind=kind), sums
            return replace(said, md5=said.md5 or sums.md5), sums

        entry, sums = await self.make(request, volume, segments, fill)
        return written(201, entry, sums.headers())

    async def make(
        self, request: Request, volume: Volume, segments: tuple[str, ...], fill: Fill
    ) -> tuple[Entry, Sums]:
        """Make a blob, whole or not at all.

        Arguments:
            request: what names it and its conditions.
            volume: its container.
            segments: its name on disk.
            fill: writes its content into a file and says what it is.
        """
        descriptor, prepared = self._store.create_staged()
        try:
            said, sums = await fill(descriptor)
            entry = await self.publish(request, volume, segments, descriptor, prepared, said)
        except BaseException:
            _unlink(prepared)
            raise
        finally:
            os.close(descriptor)
        return entry, sums

    async def put_block(self, request: Request) -> Response:
        """Put Block."""
        length = announced_length(request, BLOCK_LIMIT)
        return await self.add_block(request, length, partial(receive_into, request))

    async def add_block(self, request: Request, length: int, pour: Pour) -> Response:
        """Add a block to what is not committed.

        Arguments:
            request: what names the blob and the block.
            length: of the block, in bytes.
            pour: writes its content into a file at an offset.
        """
        volume = self._container(request)
        segments = volume.segments(request.path)
        block = block_id(request.query.get("blockid"))
        if not length:
            raise StorageError("InvalidHeaderValue", "A block has at least one byte.")
        self._check_overwrite(request, _blob_status(volume, segments))
        self.check_type(volume, segments, request.path, "")
        upload = self._staging.begin(volume, request.path)
        if len(next(iter(upload.blocks), block)) != len(block):
            raise StorageError("InvalidBlobOrBlock", "All block ids of a blob are of one length.")
        offset = upload.reserve(length)
        try:
            descriptor = os.open(upload.path, os.O_RDWR | os.O_CLOEXEC)
            try:
                sums = await pour(descriptor, offset)
            finally:
                os.close(descriptor)
            upload.blocks[block] = (offset, length)
        finally:
            upload.finish()
            self._staging.tidy(upload)
        encrypted = ("x-ms-request-server-encrypted", "false")
        return Response(201, (encrypted, *sums.headers()))

    async def put_block_list(self, request: Request) -> Response:
        """Put Block List."""
        volume = self._container(request)
        segments = volume.segments(request.path)
        listed = parse_block_list(await small_body(request, 16 << 20))
        self.check_write(request, volume, segments)
        self.check_type(volume, segments, request.path, "")
        upload = self._staging.get(volume, request.path)
        base = self._base(volume, segments, request.path)
        source = -1
        try:
            if upload is not None:
                source = os.open(upload.path, os.O_RDONLY | os.O_CLOEXEC)
            committed = committed_blocks(base[0], base[1].said.blocks) if base else {}
            blocks = chosen_blocks(listed, upload, source, committed)
            _check_place(volume, segments, request.path)
            # From here on new blocks belong to the next upload.
            self._staging.take(volume, request.path)
            try:
                said = said_by(request, default_type=PLAIN, blocks=blocks)
                wanted = [block for _, block in blocks]
                return await self._commit(request, volume, segments, upload, source, wanted, said)
            finally:
                if upload is not None:
                    upload.close()
        finally:
            for descriptor in (source, base[0] if base else -1):
                if descriptor >= 0:
                    await release(descriptor)

    async def _commit(
        self,
        request: Request,
        volume: Volume,
        segments: tuple[str, ...],
        upload: Upload | None,
        source: int,
        wanted: list[Block],
        said: Properties,
    ) -> Response:
        in_place = (
            upload is not None
            and not upload.writers
            and all(block.descriptor == source for block in wanted)
        )
        fresh, prepared = self._store.create_staged()
        try:
            chosen, path = fresh, prepared
            if await asyncio.to_thread(assemble, upload if in_place else None, fresh, wanted):
                assert upload is not None
                chosen, path = source, str(upload.path)
            entry = await self.publish(request, volume, segments, chosen, path, said)
        finally:
            os.close(fresh)
            _unlink(prepared)
        return written(201, entry)

    async def block_list(self, request: Request) -> Response:
        """Get Block List."""
        volume = self._container(request)
        segments = volume.segments(request.path)
        kind = request.query.get("blocklisttype", "committed").lower()
        base = self._base(volume, segments, request.path)
        upload = self._staging.get(volume, request.path)
        if base is None and upload is None:
            raise not_found(request)
        headers: Headers = ()
        committed: list[tuple[str, int]] = []
        if base is not None:
            descriptor, entry = base
            os.close(descriptor)
            committed = list(entry.said.blocks)
            headers = (
                ("etag", etag(entry.status)),
                ("x-ms-blob-content-length", str(entry.status.st_size)),
            )
        pending = [(name, size) for name, (_, size) in upload.blocks.items()] if upload else []
        parts = []
        for title, blocks, kinds in (
            ("CommittedBlocks", committed, ("committed", "all")),
            ("UncommittedBlocks", pending, ("uncommitted", "all")),
        ):
            if kind in kinds:
                inner = "".join(
                    f"<Block><Name>{escape(name)}</Name><Size>{size}</Size></Block>"
                    for name, size in blocks
                )
                parts.append(f"<{title}>{inner}</{title}>")
        answer = xml_response(f"<BlockList>{''.join(parts)}</BlockList>")
        return Response(200, (*answer.headers, *headers), answer.body)

    async def set_metadata(self, request: Request) -> Response:
        """Set Blob Metadata."""
        return await self._say(
            request,
            lambda said: replace(said, metadata=request.metadata()),
        )

    async def set_properties(self, request: Request) -> Response:
        """Set Blob Properties."""
        for name in _OF_PAGE_BLOBS:
            if name in request.headers:
                raise StorageError("InvalidBlobType", f"{name} is for page blobs.")
        asked = said_by(request, default_type=PLAIN)
        return await self._say(
            request,
            lambda said: replace(
                said, headers=kept_of(said) | dict(asked.headers), md5=asked.md5, copy={}
            ),
        )

    async def get_tags(self, request: Request) -> Response:
        """Get Blob Tags."""
        base = self._base_for(request)
        os.close(base[0])
        check_conditions(request, base[1].status)
        return xml_response(tags.to_xml(base[1].said.tags))

    async def set_tags(self, request: Request) -> Response:
        """Set Blob Tags, which is no new version of the blob."""
        asked = tags.from_document(await small_body(request, 64 << 10))
        self._keep(request, lambda said: replace(said, tags=asked))
        return Response(204)

    async def set_tier(self, request: Request) -> Response:
        """Set Blob Tier: kept and told, for every blob here is at hand at once."""
        tier = tier_of(request)
        if not tier:
            raise StorageError("MissingRequiredHeader", f"{TIER}.")
        self._keep(request, lambda said: replace(said, headers={**said.headers, **tier}))
        return Response(200)

    async def delete(self, request: Request) -> Response:
        """Delete Blob."""
        volume = self._container(request)
        segments = volume.segments(request.path)
        try:
            descriptor = volume.open(segments)
        except (FileNotFoundError, NotADirectoryError):
            raise not_found(request) from None
        try:
            check_conditions(request, os.fstat(descriptor))
            await remove(self._store, volume, request.path)
            self._staging.drop(volume, request.path)
        except (FileNotFoundError, NotADirectoryError):
            raise not_found(request) from None
        finally:
            # With the last descriptor the file's blocks are freed, which takes a while.
            await release(descriptor)
        return Response(202, (("x-ms-delete-type-permanent", "true"),))

    # What they share.

    def _container(self, request: Request) -> Volume:
        return self._store.volume(request.account.name, Kind.BLOB, request.volume)

    def _base(
        self, volume: Volume, segments: tuple[str, ...], path: str
    ) -> tuple[int, Entry] | None:
        """The committed blob, open."""
        try:
            descriptor = volume.open(segments)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        return descriptor, opened(self._store, volume, path, descriptor)

    def _base_for(self, request: Request) -> tuple[int, Entry]:
        """The committed blob that a request is about, open."""
        volume = self._container(request)
        base = self._base(volume, volume.segments(request.path), request.path)
        if base is None:
            raise not_found(request)
        return base

    def _keep(self, request: Request, change: Callable[[Properties], Properties]) -> None:
        """Change what is said of a blob without making a new version of it."""
        descriptor, entry = self._base_for(request)
        os.close(descriptor)
        check_conditions(request, entry.status)
        self._store.say(self._container(request), request.path, entry.status, change(entry.said))

    def check_write(self, request: Request, volume: Volume, segments: tuple[str, ...]) -> None:
        """Hold a request that makes a blob against its conditions, before it takes long.

        Raises:
            StorageError: a condition does not hold, or its signature grants no overwriting.
        """
        status = _blob_status(volume, segments)
        check_conditions(request, status)
        self._check_overwrite(request, status)

    def _check_overwrite(self, request: Request, status: os.stat_result | None) -> None:
        letters = request.permissions
        if status is not None and letters is not None and "w" not in letters:
            raise StorageError("UnauthorizedBlobOverwrite")

    def check_type(self, volume: Volume, segments: tuple[str, ...], path: str, wanted: str) -> None:
        """Refuse to go on with a blob that is there and of another type.

        Arguments:
            volume: its container.
            segments: its name on disk.
            path: its name.
            wanted: the type, as `Properties.kind` has it.
        """
        base = self._base(volume, segments, path)
        if base is not None:
            os.close(base[0])
            if (found := base[1].said.kind) != wanted:
                noun = "an append blob" if found else "a block blob"
                raise StorageError("InvalidBlobType", f"It is {noun}.")

    async def publish(
        self,
        request: Request,
        volume: Volume,
        segments: tuple[str, ...],
        descriptor: int,
        prepared: str,
        said: Properties,
    ) -> Entry:
        """Give a finished file its name, if the conditions still hold."""

        def check() -> None:
            self._store.volume(request.account.name, Kind.BLOB, request.volume)
            check_conditions(request, _blob_status(volume, segments))

        check()
        touch(descriptor)
        replaced = hold(volume, segments, _blob_status(volume, segments))
        try:
            status = await publish(
                self._store,
                volume,
                request.path,
                descriptor,
                prepared,
                said,
                check=check,
                create_parents=True,
            )
            self._staging.drop(volume, request.path)
            return Entry(status, said)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise _clash() from None
        finally:
            if replaced is not None:
                await release(replaced)

    async def _say(self, request: Request, change: Callable[[Properties], Properties]) -> Response:
        volume = self._container(request)
        segments = volume.segments(request.path)
        try:
            descriptor = volume.open(segments)
        except (FileNotFoundError, NotADirectoryError):
            raise not_found(request) from None
        try:
            entry = opened(self._store, volume, request.path, descriptor)
            check_conditions(request, entry.status)
            said = change(entry.said)
            # What is said of a blob is part of its version.
            status = await amend(self._store, volume, request.path, descriptor, said)
            entry = Entry(status, said)
        finally:
            os.close(descriptor)
        return written(200, entry)


def _clash() -> StorageError:
    return StorageError(
        "ResourceTypeMismatch",
        "One blob's name is a directory in another's; containers are directories.",
    )


def _check_place(volume: Volume, segments: tuple[str, ...], path: str) -> None:
    """Refuse a name that is a directory in another's, before its blocks are put together."""
    with suppress(FileNotFoundError):
        try:
            with volume.directory(segments[:-1]):
                pass
        except NotADirectoryError:
            raise _clash() from None
    with closing(walk(volume, f"{path}/")) as below:
        if next(below, None) is not None:
            raise _clash()


def _blob_status(volume: Volume, segments: tuple[str, ...]) -> os.stat_result | None:
    """The status of a blob; a directory is none."""
    status = volume.stat(segments)
    return status if status is not None and stat.S_ISREG(status.st_mode) else None


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108
