"""Directories of shares, and what is in them."""

import asyncio
import os
from typing import Final
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from batchai_quickstart.storage.download import Entry
from batchai_quickstart.storage.files import described, set_time, smb_headers
from batchai_quickstart.storage.listing import Found, children
from batchai_quickstart.storage.pages import listing_response, page_of
from batchai_quickstart.storage.protocol import (
    Request,
    Response,
    StorageError,
    etag,
    http_date,
    precise_time,
    xml_name,
)
from batchai_quickstart.storage.sidecar import Properties
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.volume import Kind, Volume

_INCLUDED: Final = frozenset({"timestamps", "etag", "attributes", "permissionkey", ""})


class Directories:
    """The operations on directories; each takes a request and answers it.

    Arguments:
        store: where everything is.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def create_directory(self, request: Request) -> Response:
        """Create Directory."""
        volume = self._share(request)
        segments = volume.segments(request.path)
        smb = smb_headers(request)
        if not segments:
            raise StorageError("ResourceAlreadyExists")
        try:
            with volume.directory(segments[:-1]) as parent:
                os.mkdir(segments[-1], dir_fd=parent)
        except FileNotFoundError:
            raise StorageError("ParentNotFound") from None
        except NotADirectoryError:
            raise StorageError("ResourceTypeMismatch") from None
        except FileExistsError:
            raise StorageError("ResourceAlreadyExists") from None
        return self._say(request, volume, segments, Properties(smb, request.metadata()), 201)

    async def directory_properties(self, request: Request) -> Response:
        """Get Directory Properties, and Get Directory Metadata."""
        volume = self._share(request)
        segments = volume.segments(request.path)
        entry = self._directory(request, volume, segments)
        headers = {
            **dict(entry.common_headers()),
            **dict(described(entry)),
            "x-ms-server-encrypted": "false",
        }
        return Response(200, tuple(headers.items()))

    async def set_directory_metadata(self, request: Request) -> Response:
        """Set Directory Metadata."""
        volume = self._share(request)
        segments = volume.segments(request.path)
        entry = self._directory(request, volume, segments)
        said = Properties(entry.said.headers, request.metadata())
        return self._say(request, volume, segments, said, 200)

    async def set_directory_properties(self, request: Request) -> Response:
        """Set Directory Properties."""
        volume = self._share(request)
        segments = volume.segments(request.path)
        entry = self._directory(request, volume, segments)
        said = Properties({**entry.said.headers, **smb_headers(request)}, entry.said.metadata)
        return self._say(request, volume, segments, said, 200)

    async def delete_directory(self, request: Request) -> Response:
        """Delete Directory, which must be empty."""
        volume = self._share(request)
        segments = volume.segments(request.path)
        if not segments:
            raise StorageError("InvalidInput", "The root of a share goes with the share.")
        try:
            with volume.directory(segments[:-1]) as parent:
                os.rmdir(segments[-1], dir_fd=parent)
        except FileNotFoundError:
            raise StorageError("ResourceNotFound") from None
        except NotADirectoryError:
            raise StorageError("ResourceTypeMismatch") from None
        except OSError:
            raise StorageError("DirectoryNotEmpty") from None
        self._store.forget(volume, request.path)
        return Response(202)

    async def list_directory(self, request: Request) -> Response:
        """List Directories and Files."""
        volume = self._share(request)
        segments = volume.segments(request.path)
        included = set(request.query.get("include", "").lower().split(","))
        if unknown := sorted(included - _INCLUDED):
            raise StorageError("NotImplemented", f"Listing with include={','.join(unknown)}.")
        prefix = request.query.get("prefix", "")

        def read() -> tuple[list[Found], str]:
            found = (each for each in children(volume, segments) if each.name.startswith(prefix))
            return page_of(found, request, lambda each: each.name)

        try:
            page, following = await asyncio.to_thread(read)
        except (FileNotFoundError, NotADirectoryError):
            raise StorageError("ResourceNotFound") from None
        items = "".join(_item(each, included) for each in page)
        where = quoteattr(quote(request.path) if not request.path.isprintable() else request.path)
        attributes = f" ShareName={quoteattr(volume.name)} DirectoryPath={where}"
        return listing_response(request, f"<Entries>{items}</Entries>", following, attributes)

    # What they share.

    def _share(self, request: Request) -> Volume:
        return self._store.volume(request.account.name, Kind.FILE, request.volume)

    def _directory(self, request: Request, volume: Volume, segments: tuple[str, ...]) -> Entry:
        try:
            with volume.directory(segments) as descriptor:
                status = os.fstat(descriptor)
        except (FileNotFoundError, NotADirectoryError):
            raise StorageError("ResourceNotFound") from None
        return Entry(status, self._store.said(volume, request.path, status))

    def _say(
        self,
        request: Request,
        volume: Volume,
        segments: tuple[str, ...],
        said: Properties,
        status: int,
    ) -> Response:
        with volume.directory(segments) as descriptor:
            set_time(request, descriptor)
            entry = Entry(os.fstat(descriptor), said)
        self._store.say(volume, request.path, entry.status, said)
        headers = (
            ("etag", etag(entry.status)),
            ("last-modified", http_date(int(entry.status.st_mtime))),
            ("x-ms-request-server-encrypted", "false"),
            *described(entry),
        )
        return Response(status, headers)


def _item(found: Found, included: set[str]) -> str:
    is_directory = found.name.endswith("/")
    tag = "Directory" if is_directory else "File"
    status = found.status
    facts = identity = ""
    if status is not None:
        identity = f"<FileId>{status.st_ino}</FileId>"
        if not is_directory:
            facts += f"<Content-Length>{status.st_size}</Content-Length>"
        if "timestamps" in included:
            written = precise_time(status.st_mtime_ns)
            facts += (
                f"<CreationTime>{written}</CreationTime>"
                f"<LastAccessTime>{precise_time(status.st_atime_ns)}</LastAccessTime>"
                f"<LastWriteTime>{written}</LastWriteTime>"
                f"<ChangeTime>{precise_time(status.st_ctime_ns)}</ChangeTime>"
                f"<Last-Modified>{http_date(int(status.st_mtime))}</Last-Modified>"
            )
        if "etag" in included:
            facts += f"<Etag>{escape(etag(status))}</Etag>"
    attributes = f"<Attributes>{'Directory' if is_directory else 'Archive'}</Attributes>"
    return (
        f"<{tag}>{xml_name(found.name.rstrip('/'))}{identity}<Properties>{facts}</Properties>"
        f"{attributes if 'attributes' in included else ''}</{tag}>"
    )
