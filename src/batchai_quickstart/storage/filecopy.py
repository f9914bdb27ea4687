"""Files of a share, and parts of files, made from URLs."""

import asyncio
import os
from contextlib import suppress
from dataclasses import replace
from functools import partial

from batchai_quickstart.storage.checksum import Sums
from batchai_quickstart.storage.files import RANGE_LIMIT, Files, target_range, written
from batchai_quickstart.storage.properties import Properties
from batchai_quickstart.storage.protocol import (
    Request,
    Response,
    StorageError,
    check_conditions,
    precise_time,
)
from batchai_quickstart.storage.smb import (
    ATTRIBUTES,
    CHANGED,
    CREATED,
    WRITTEN,
    asked,
    check_writable,
    set_time,
)
from batchai_quickstart.storage.source import COPY_ANSWER, Source, Sources, abort
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.transfer import copy, hold, release
from batchai_quickstart.storage.volume import Kind, Volume


class FileCopies:
    """The operations that copy into a share; each takes a request and answers it.

    Arguments:
        store: where everything is.
        sources: opens what is copied.
        files: makes files, and writes into them.
    """

    def __init__(self, store: Store, sources: Sources, files: Files) -> None:
        self._store = store
        self._sources = sources
        self._files = files

    async def copy(self, request: Request) -> Response:
        """Copy File."""
        volume = self._store.volume(request.account.name, Kind.FILE, request.volume)
        segments = volume.segments(request.path)
        self._check(request)
        async with self._sources.open(request, by_key=True) as source:
            request = _resolved(request, source)
            said = self._said(request, volume, source)
            descriptor, prepared = self._store.create_staged()
            replaced = None
            try:
                await source.pour(descriptor, 0)
                status = self._check(request)
                set_time(request, descriptor, os.fstat(descriptor))
                replaced = hold(volume, segments, status)
                entry = await self._files.publish(
                    request, volume, descriptor, prepared, said, partial(self._check, request)
                )
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(prepared)  # noqa: PTH108
                raise
            finally:
                os.close(descriptor)
                if replaced is not None:
                    await release(replaced)
        answer = tuple((name, said.copy[name]) for name in COPY_ANSWER)
        return written(202, volume, segments, entry, answer)

    async def put_range(self, request: Request) -> Response:
        """Put Range From URL: the bytes are checked before the first of them is in its place."""
        if request.headers.get("x-ms-write", "").lower() != "update":
            raise StorageError("InvalidHeaderValue", "x-ms-write is not update.")
        start, length = target_range(request)
        async with self._sources.open(request) as source:
            source.check_length(RANGE_LIMIT, "RequestBodyTooLarge")
            if source.length != length:
                found = f"{source.length} bytes of the source for a range of {length}."
                raise StorageError("InvalidRange", found)
            staged, prepared = self._store.create_staged()
            try:
                os.unlink(prepared)  # noqa: PTH108
                sums = await source.pour(staged, 0, crc64=True)
                _check_crc64(request, sums)

                async def pour(descriptor: int, offset: int) -> Sums:
                    await asyncio.to_thread(copy, staged, 0, descriptor, offset, length)
                    return sums

                return await self._files.write(request, start, length, pour)
            finally:
                os.close(staged)

    async def abort(self, request: Request) -> Response:
        """Abort Copy File."""
        return abort(self._store, request)

    def _check(self, request: Request) -> os.stat_result | None:
        """Hold a request that makes a file against what is in its place, if anything is."""
        volume = self._store.volume(request.account.name, Kind.FILE, request.volume)
        status = volume.stat(volume.segments(request.path))
        check_conditions(request, status)
        if status is not None and not request.flag("x-ms-file-copy-ignore-readonly"):
            check_writable(self._store.said(volume, request.path, status))
        return status

    def _said(self, request: Request, volume: Volume, source: Source) -> Properties:
        """What is said of a copy: of its source, less what the request says instead."""
        smb = asked(request, self._store, volume, is_directory=False)
        attributes = smb.get(ATTRIBUTES, "Archive")
        if request.flag("x-ms-file-copy-set-archive") and "Archive" not in attributes:
            smb[ATTRIBUTES] = f"{attributes} | Archive"
        return Properties(
            {**source.content_headers(), **smb},
            request.metadata() or source.said.metadata,
            source.said.md5,
            copy=source.copied(),
        )


def _resolved(request: Request, source: Source) -> Request:
    """The request with what it asks for as `source` in the source's own words."""
    headers, status = dict(request.headers), source.status
    theirs = {
        ATTRIBUTES: source.said.headers.get(ATTRIBUTES, "none"),
        CREATED: source.said.headers.get(CREATED) or _time(status and status.st_mtime_ns),
        WRITTEN: _time(status and status.st_mtime_ns),
        CHANGED: _time(status and status.st_ctime_ns),
    }
    for name, value in theirs.items():
        if headers.get(name, "").lower() == "source":
            headers[name] = value
    return replace(request, headers=headers)


def _time(nanoseconds: int | None) -> str:
    return "now" if nanoseconds is None else precise_time(nanoseconds)


def _check_crc64(request: Request, sums: Sums) -> None:
    """Hold what arrived against the conditions on its CRC64."""
    match = request.headers.get("x-ms-source-if-match-crc64", sums.crc64)
    if match != sums.crc64 or request.headers.get("x-ms-source-if-none-match-crc64") == sums.crc64:
        raise StorageError("SourceConditionNotMet", f"Its CRC64 is {sums.crc64}.")
