"""Blobs, and blocks of blobs, made from URLs.

A copy is done when its answer comes, whichever of the operations asks for it, so none is ever
pending.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from batchai_quickstart.storage import tags
from batchai_quickstart.storage.append import BLOCK_LIMIT as APPEND_LIMIT
from batchai_quickstart.storage.append import COUNT, SEALED, AppendBlobs
from batchai_quickstart.storage.blob import BLOB_LIMIT, BLOCK_LIMIT, Blobs
from batchai_quickstart.storage.blobproperties import PLAIN, content_headers, tier_of, written
from batchai_quickstart.storage.checksum import Sums
from batchai_quickstart.storage.protocol import Request, Response, StorageError
from batchai_quickstart.storage.sidecar import Properties
from batchai_quickstart.storage.source import COPY_ANSWER, Source, Sources, abort
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.transfer import Pour
from batchai_quickstart.storage.volume import Kind, Volume

_AT_ONCE_LIMIT: Final = 256 << 20


class BlobCopies:
    """The operations that copy into a container; each takes a request and answers it.

    Arguments:
        store: where everything is.
        sources: opens what is copied.
        blobs: makes blobs, and blocks.
        appends: adds to append blobs.
    """

    def __init__(self, store: Store, sources: Sources, blobs: Blobs, appends: AppendBlobs) -> None:
        self._store = store
        self._sources = sources
        self._blobs = blobs
        self._appends = appends

    async def copy(self, request: Request) -> Response:
        """Copy Blob: the copy has the source's type and blocks."""
        volume, segments = self._checked(request)
        async with self._sources.open(request, by_key=True) as source:
            kind = source.said.kind
            if kind not in ("", "AppendBlob"):
                raise StorageError("NotImplemented", f"Copy Blob of the type {kind}.")
            self._blobs.check_type(volume, segments, request.path, kind)
            own = {COUNT: source.said.headers[COUNT]} if COUNT in source.said.headers else {}
            if request.headers.get("x-ms-seal-blob", "").lower() == "true":
                if not kind:
                    raise StorageError("InvalidBlobType", "Only an append blob is sealed.")
                own[SEALED] = "true"
            said = _as_copy(request, source, own)
            return await self._make(request, source, said, source.pour)

    async def copy_at_once(self, request: Request) -> Response:
        """Copy Blob From URL: of block blobs up to 256 MiB, answered with a checksum."""
        if request.headers["x-ms-requires-sync"].lower() != "true":
            raise StorageError("InvalidHeaderValue", "x-ms-requires-sync is not true.")
        volume, segments = self._checked(request)
        async with self._sources.open(request) as source:
            if source.said.kind:
                raise StorageError("InvalidBlobType", "The source is not a block blob.")
            source.check_length(_AT_ONCE_LIMIT, "CannotVerifyCopySource", 409)
            self._blobs.check_type(volume, segments, request.path, "")
            return await self._make(
                request, source, _as_copy(request, source, {}), _summed(request, source)
            )

    async def put(self, request: Request) -> Response:
        """Put Blob From URL: a block blob of its own, which is not told to be a copy."""
        if (kind := request.headers["x-ms-blob-type"]) != "BlockBlob":
            raise StorageError("InvalidHeaderValue", f"x-ms-blob-type is {kind!r}, not BlockBlob.")
        self._checked(request)
        option = "x-ms-copy-source-blob-properties"
        taken = request.headers.get(option, "true").lower()
        if taken not in ("true", "false"):
            raise StorageError("InvalidHeaderValue", f"{option} is {taken!r}.")
        async with self._sources.open(request) as source:
            source.check_length(BLOB_LIMIT, "CannotVerifyCopySource", 409)
            headers = source.content_headers() if taken == "true" else {}
            said = Properties(
                _with_tier(request, {**headers, **content_headers(request)}),
                request.metadata() or source.said.metadata,
                request.headers.get("x-ms-blob-content-md5") or source.said.md5,
                tags=_tags(request, source),
            )
            pour = partial(source.pour, md5=said.md5 is None)
            return await self._make(request, source, said, pour, status=201)

    async def put_block(self, request: Request) -> Response:
        """Put Block From URL."""
        async with self._sources.open(request) as source:
            source.check_length(BLOCK_LIMIT, "RequestBodyTooLarge")
            return await self._blobs.add_block(request, source.length, _summed(request, source))

    async def append(self, request: Request) -> Response:
        """Append Block From URL."""
        async with self._sources.open(request) as source:
            source.check_length(APPEND_LIMIT, "RequestBodyTooLarge")
            return await self._appends.add(request, source.length, _summed(request, source))

    async def abort(self, request: Request) -> Response:
        """Abort Copy Blob."""
        return abort(self._store, request)

    def _checked(self, request: Request) -> tuple[Volume, tuple[str, ...]]:
        volume = self._store.volume(request.account.name, Kind.BLOB, request.volume)
        segments = volume.segments(request.path)
        self._blobs.check_write(request, volume, segments)
        return volume, segments

    async def _make(
        self, request: Request, source: Source, said: Properties, pour: Pour, status: int = 202
    ) -> Response:
        async def fill(descriptor: int) -> tuple[Properties, Sums]:
            sums = await pour(descriptor, 0)
            return replace(said, md5=said.md5 or sums.md5), sums

        volume = self._store.volume(request.account.name, Kind.BLOB, request.volume)
        segments = volume.segments(request.path)
        entry, sums = await self._blobs.make(request, volume, segments, fill)
        told = tuple((name, said.copy[name]) for name in COPY_ANSWER if name in said.copy)
        return written(status, entry, (*told, *sums.headers()))


def _as_copy(request: Request, source: Source, own: Mapping[str, str]) -> Properties:
    """What is said of a copy: what is said of its source, less what the request says instead."""
    return Properties(
        {**_with_tier(request, source.content_headers()), **own},
        request.metadata() or source.said.metadata,
        source.said.md5,
        source.said.blocks,
        source.said.kind,
        _tags(request, source),
        source.copied(),
    )


def _with_tier(request: Request, headers: dict[str, str]) -> dict[str, str]:
    if headers.get("content-type") == PLAIN:
        del headers["content-type"]
    return headers | tier_of(request)


def _tags(request: Request, source: Source) -> Mapping[str, str]:
    """The tags of a copy: those the request gives, or with COPY the source's."""
    option = request.headers.get("x-ms-copy-source-tag-option", "REPLACE")
    if option not in ("REPLACE", "COPY"):
        raise StorageError("InvalidHeaderValue", f"x-ms-copy-source-tag-option is {option!r}.")
    given = tags.from_header(request.headers.get("x-ms-tags"))
    if option == "REPLACE":
        return given
    if given:
        raise StorageError("BothUserTagsAndSourceTagsCopyPresentException")
    if not source.knows_tags:
        raise StorageError(
            "CannotVerifyCopySource", "Its tags may not be read: sign its URL for t.", status=403
        )
    return source.said.tags


def _summed(request: Request, source: Source) -> Pour:
    """Copies with the checksum that is answered: the MD5 where it is asked for, else the CRC64."""
    return partial(source.pour, crc64="x-ms-source-content-md5" not in request.headers)
