"""Files of a share: created at their length, then written in place by ranges."""

import asyncio
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Final

from batchai_quickstart.storage import structured
from batchai_quickstart.storage.changes import Changes
from batchai_quickstart.storage.checksum import CRC64, Sums
from batchai_quickstart.storage.commit import amend, publish, range_on_disk, remove
from batchai_quickstart.storage.download import Entry, Headers, download, opened
from batchai_quickstart.storage.holes import clear, ranges
from batchai_quickstart.storage.pages import floor, marker
from batchai_quickstart.storage.properties import Properties
from batchai_quickstart.storage.protocol import (
    Request,
    Response,
    StorageError,
    check_conditions,
    etag,
    http_date,
    last_modified,
    number,
    requested_range,
    xml_response,
)
from batchai_quickstart.storage.smb import (
    asked,
    check_writable,
    described,
    is_read_only,
    parent_of,
    set_time,
    settled,
    write_time,
)
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.transfer import (
    Pour,
    announced_length,
    hold,
    next_time,
    receive_into,
    release,
    set_modified,
    touch,
    write,
)
from batchai_quickstart.storage.volume import Kind, Volume

_FILE_LIMIT: Final = 4 << 40
RANGE_LIMIT: Final = 4 << 20
_CONTENT_HEADERS: Final = {
    "x-ms-content-type": "content-type",
    "x-ms-content-encoding": "content-encoding",
    "x-ms-content-language": "content-language",
    "x-ms-content-disposition": "content-disposition",
    "x-ms-cache-control": "cache-control",
}
_PLAIN: Final = "application/octet-stream"


class Files:
    """The operations on files of shares; each takes a request and answers it.

    Arguments:
        store: where everything is.
        changes: who waits for files.
    """

    def __init__(self, store: Store, changes: Changes) -> None:
        self._store = store
        self._changes = changes

    async def get(self, request: Request) -> Response:
        """Get File, Get File Properties, Get File Metadata."""
        volume = self._share(request)

        def describe(entry: Entry) -> Headers:
            parent = parent_of(volume, volume.segments(request.path))
            own = (("x-ms-type", "File"), ("x-ms-server-encrypted", "false"))
            return (*own, *entry.said.copy.items(), *described(entry, parent))

        return await download(request, self._store, self._changes, volume, describe)

    async def create(self, request: Request) -> Response:
        """Create File: the name, at its full length, filled with zeros."""
        volume = self._share(request)
        segments = volume.segments(request.path)
        if request.headers.get("x-ms-type", "").lower() != "file":
            raise StorageError("MissingRequiredHeader", "x-ms-type: file.")
        size = _length(request.headers.get("x-ms-content-length"))
        if request.length > min(size, RANGE_LIMIT):
            raise StorageError("RequestBodyTooLarge", "Content and file have 4 MiB at most.")
        _check_semantics(request)

        def check() -> os.stat_result | None:
            status = volume.stat(segments)
            check_conditions(request, status)
            if status is not None:
                check_writable(self._store.said(volume, request.path, status))
            return status

        status = check()
        said = Properties(
            {**_content(request), **asked(request, self._store, volume, is_directory=False)},
            request.metadata(),
            request.headers.get("x-ms-content-md5"),
        )
        replaced = hold(volume, segments, status)
        try:
            descriptor, prepared = self._store.create_staged()
            try:
                os.ftruncate(descriptor, size)
                sums = await receive_into(request, descriptor, 0)
                set_time(request, descriptor, os.fstat(descriptor))
                entry = await self.publish(request, volume, descriptor, prepared, said, check)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(prepared)  # noqa: PTH108
                raise
            finally:
                os.close(descriptor)
        finally:
            if replaced is not None:
                await release(replaced)
        return written(201, volume, segments, entry, sums.headers())

    async def put_range(self, request: Request) -> Response:
        """Put Range: write bytes in place, or clear them.

        With a checksum the bytes are held against it before the first of them is written.
        """
        mode = request.headers.get("x-ms-write", "").lower()
        if mode not in ("update", "clear"):
            raise StorageError("InvalidHeaderValue", f"x-ms-write is {mode!r}.")
        start, length = target_range(request)
        if mode == "update":
            announced_length(request, RANGE_LIMIT)
            if request.length != length:
                raise StorageError("InvalidRange", "The body is not as long as the range.")
        elif request.length or structured.BODY in request.headers:
            raise StorageError("InvalidHeaderValue", "A clear has no content: Content-Length is 0.")

        async def cleared(descriptor: int, offset: int) -> Sums:
            await asyncio.to_thread(clear, descriptor, offset, length)
            return Sums()

        pour = partial(self._receive, request) if mode == "update" else cleared
        return await self.write(request, start, length, pour)

    async def write(self, request: Request, start: int, length: int, pour: Pour) -> Response:
        """Write into a file, in place.

        Arguments:
            request: what names the file and its conditions, and whether the time changes.
            start: offset of the first byte.
            length: bytes of the range.
            pour: writes into a file at an offset.
        """
        volume = self._share(request)
        segments = volume.segments(request.path)
        when = request.headers.get("x-ms-file-last-write-time", "now").lower()
        if when not in ("now", "preserve"):
            raise StorageError("InvalidHeaderValue", f"x-ms-file-last-write-time is {when!r}.")
        descriptor = self._existing(request, volume, segments, os.O_RDWR)
        try:
            status = os.fstat(descriptor)
            check_conditions(request, status)
            said = self._store.said(volume, request.path, status)
            check_writable(said)
            if start + length > status.st_size:
                raise StorageError("InvalidRange", f"The file has {status.st_size} bytes.")
            if said.md5:  # what was said of the content goes before the content does
                self._store.say(volume, request.path, status, said.without_content())
            sums = await pour(descriptor, start)
            if when == "now":
                touch(descriptor)
            else:
                set_modified(descriptor, next_time(status))
            await range_on_disk(self._store, descriptor)
            entry = opened(self._store, volume, request.path, descriptor)
        finally:
            os.close(descriptor)
        return written(201, volume, segments, entry, sums.headers())

    async def publish(
        self,
        request: Request,
        volume: Volume,
        descriptor: int,
        prepared: str,
        said: Properties,
        check: Callable[[], object],
    ) -> Entry:
        """Give a finished file its name, if the conditions still hold, and say what is said."""
        try:
            await publish(
                self._store,
                volume,
                request.path,
                descriptor,
                prepared,
                said,
                check=check,
                create_parents=False,
            )
        except FileNotFoundError:
            raise StorageError("ParentNotFound") from None
        except (NotADirectoryError, IsADirectoryError):
            raise StorageError("ResourceTypeMismatch") from None
        return self._settled(request, volume, descriptor, said)

    def _settled(
        self, request: Request, volume: Volume, descriptor: int, said: Properties
    ) -> Entry:
        """What is known of a file that was just changed; a time of change is known only now."""
        entry = settled(request, descriptor, said)
        if entry.said != said:
            self._store.say(volume, request.path, entry.status, entry.said)
        return entry

    async def list_ranges(self, request: Request) -> Response:
        """List Ranges: the parts of a file that hold something."""
        volume = self._share(request)
        descriptor = self._existing(request, volume, volume.segments(request.path), os.O_RDONLY)
        try:
            status = os.fstat(descriptor)
            check_conditions(request, status)
            first, last = requested_range(request) or (0, None)
            if first is None:
                raise StorageError("InvalidHeaderValue", "The range has no beginning.")
            end = status.st_size if last is None else min(last + 1, status.st_size)
            start = max(first, _offset(floor(request)))
            limit = _maximum(request.query.get("maxresults"))
            found = await asyncio.to_thread(_page, descriptor, start, end, limit)
        finally:
            os.close(descriptor)
        following = ""
        if limit is not None and len(found) > limit:
            following = f"<NextMarker>{marker(str(found.pop()[0]))}</NextMarker>"
        items = "".join(
            f"<Range><Start>{begin}</Start><End>{stop - 1}</End></Range>" for begin, stop in found
        )
        answer = xml_response(f"<Ranges>{items}{following}</Ranges>")
        headers = (
            ("etag", etag(status)),
            ("last-modified", http_date(last_modified(Kind.FILE, status))),
            ("x-ms-content-length", str(status.st_size)),
        )
        return Response(200, (*answer.headers, *headers), answer.body)

    async def set_metadata(self, request: Request) -> Response:
        """Set File Metadata."""
        metadata = request.metadata()
        return await self._change(request, lambda said: replace(said, metadata=metadata))

    async def set_properties(self, request: Request) -> Response:
        """Set File Properties: content headers, times, and the length."""
        text = request.headers.get("x-ms-content-length")
        size = _length(text) if text is not None else None
        volume = self._share(request)

        def change(said: Properties) -> Properties:
            if size is not None:
                check_writable(said)
            smb = asked(request, self._store, volume, said, is_directory=False)
            md5 = request.headers.get("x-ms-content-md5")
            return Properties({**_content(request), **smb}, said.metadata, md5)

        return await self._change(request, change, size)

    async def delete(self, request: Request) -> Response:
        """Delete File."""
        volume = self._share(request)
        segments = volume.segments(request.path)
        descriptor = self._existing(request, volume, segments, os.O_RDONLY)
        try:
            entry = opened(self._store, volume, request.path, descriptor)
            check_conditions(request, entry.status)
            if is_read_only(entry.said):
                raise StorageError("CannotDeleteFileOrDirectory")
            await remove(self._store, volume, request.path)
        except (FileNotFoundError, NotADirectoryError):
            raise StorageError("ResourceNotFound") from None
        finally:
            await release(descriptor)
        return Response(202)

    async def _receive(self, request: Request, descriptor: int, offset: int) -> Sums:
        """Write a request's body at an offset, if it is what its checksums say."""
        if not {"content-md5", CRC64, structured.BODY} & request.headers.keys():
            return await receive_into(request, descriptor, offset)
        staged, path = self._store.create_staged()
        try:
            os.unlink(path)  # noqa: PTH108
            sums = await receive_into(request, staged, 0)
            write(descriptor, [os.pread(staged, request.length, 0)], offset)
        finally:
            os.close(staged)
        return sums

    def _share(self, request: Request) -> Volume:
        return self._store.volume(request.account.name, Kind.FILE, request.volume)

    def _existing(
        self, request: Request, volume: Volume, segments: tuple[str, ...], flags: int
    ) -> int:
        try:
            return volume.open(segments, flags)
        except IsADirectoryError:
            raise StorageError("ResourceTypeMismatch") from None
        except (FileNotFoundError, NotADirectoryError):
            status = volume.stat(segments)
            if status is not None and stat.S_ISDIR(status.st_mode):
                raise StorageError("ResourceTypeMismatch") from None
            raise StorageError("ResourceNotFound") from None

    async def _change(
        self,
        request: Request,
        change: Callable[[Properties], Properties],
        size: int | None = None,
    ) -> Response:
        volume = self._share(request)
        segments = volume.segments(request.path)
        descriptor = self._existing(request, volume, segments, os.O_RDWR)
        try:
            entry = opened(self._store, volume, request.path, descriptor)
            check_conditions(request, entry.status)
            # What is said of a file is part of its version.
            otherwise = "preserve" if size is None else "now"
            said = change(entry.said)
            mtime = write_time(request, entry.status, otherwise=otherwise)
            await amend(self._store, volume, request.path, descriptor, said, mtime=mtime, size=size)
            entry = self._settled(request, volume, descriptor, said)
        finally:
            os.close(descriptor)
        return written(200, volume, segments, entry)


def _check_semantics(request: Request) -> None:
    """Attributes and times are kept as they are asked for, which is `Restore`, or set by rule."""
    text = request.headers.get("x-ms-file-property-semantics", "New")
    if text.lower() not in ("new", "restore"):
        raise StorageError("InvalidHeaderValue", f"x-ms-file-property-semantics is {text[:80]!r}.")


def _content(request: Request) -> dict[str, str]:
    """The content headers that a request gives a file, by the name they are told with."""
    content = {
        kept: request.headers[name]
        for name, kept in _CONTENT_HEADERS.items()
        if request.headers.get(name)
    }
    if content.get("content-type") == _PLAIN:
        del content["content-type"]
    return content


def _length(text: str | None) -> int:
    if text is None:
        raise StorageError("MissingRequiredHeader", "x-ms-content-length.")
    if (size := number(text)) is None or size > _FILE_LIMIT:
        raise StorageError("InvalidHeaderValue", f"x-ms-content-length is {text[:80]!r}.")
    return size


def target_range(request: Request) -> tuple[int, int]:
    """Offset and length of the range to write."""
    text = request.headers.get("x-ms-range") or request.headers.get("range") or ""
    first, last = map(number, text.removeprefix("bytes=").partition("-")[::2])
    if first is None or last is None or first > last:
        raise StorageError("InvalidHeaderValue", f"x-ms-range is {text[:80]!r}.")
    return first, last - first + 1


def _offset(text: str) -> int:
    offset = number(text or "0")
    if offset is None:
        raise StorageError("OutOfRangeQueryParameterValue", f"marker is of {text[:80]!r}.")
    return offset


def _maximum(text: str | None) -> int | None:
    if text is None:
        return None
    if not (limit := number(text)):
        raise StorageError("OutOfRangeQueryParameterValue", f"maxresults is {text[:80]!r}.")
    return limit


def _page(descriptor: int, start: int, end: int, limit: int | None) -> list[tuple[int, int]]:
    """The ranges of a page, and one more when there are more."""
    return list(islice(ranges(descriptor, start, end), None if limit is None else limit + 1))


def written(
    status: int, volume: Volume, segments: tuple[str, ...], entry: Entry, extra: Headers = ()
) -> Response:
    """The answer to a request that made or changed a file, with `extra` headers."""
    headers = (
        ("etag", etag(entry.status)),
        ("x-ms-request-server-encrypted", "false"),
        *described(entry, parent_of(volume, segments)),
    )
    return Response(status, (*headers, *extra))
