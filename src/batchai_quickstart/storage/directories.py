"""Directories of shares, and what is in them."""

import asyncio
import os
from typing import Final
from urllib.parse import quote_from_bytes
from xml.sax.saxutils import escape, quoteattr

from batchai_quickstart.storage import permissions
from batchai_quickstart.storage.commit import names_on_disk
from batchai_quickstart.storage.download import Entry
from batchai_quickstart.storage.listing import Found, children
from batchai_quickstart.storage.pages import floor, listing_response, page_of
from batchai_quickstart.storage.protocol import (
    Request,
    Response,
    StorageError,
    etag,
    precise_time,
    xml_name,
)
from batchai_quickstart.storage.sidecar import NOTHING, Properties
from batchai_quickstart.storage.smb import (
    ATTRIBUTES,
    CHANGED,
    CREATED,
    WRITTEN,
    asked,
    described,
    is_read_only,
    parent_of,
    set_time,
    settled,
)
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.volume import Kind, Volume

_INCLUDED: Final = frozenset({"timestamps", "etag", "attributes", "permissionkey"})


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
        if not segments:
            raise StorageError("ResourceAlreadyExists")
        smb = asked(request, self._store, volume, is_directory=True)
        try:
            with volume.directory(segments[:-1]) as parent:
                os.mkdir(segments[-1], dir_fd=parent)
        except FileNotFoundError:
            raise StorageError("ParentNotFound") from None
        except NotADirectoryError:
            raise StorageError("ResourceTypeMismatch") from None
        except FileExistsError:
            raise StorageError("ResourceAlreadyExists") from None
        await names_on_disk(self._store, volume, segments)
        said = Properties(smb, request.metadata())
        return self._say(request, volume, segments, said, 201, otherwise="now")

    async def directory_properties(self, request: Request) -> Response:
        """Get Directory Properties, and Get Directory Metadata."""
        volume = self._share(request)
        segments = volume.segments(request.path)
        entry = self._directory(request, volume, segments)
        headers = {
            **dict(entry.common_headers()),
            **dict(described(entry, parent_of(volume, segments))),
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
        smb = asked(request, self._store, volume, entry.said, is_directory=True)
        said = Properties(smb, entry.said.metadata)
        return self._say(request, volume, segments, said, 200)

    async def delete_directory(self, request: Request) -> Response:
        """Delete Directory, which must be empty."""
        volume = self._share(request)
        segments = volume.segments(request.path)
        if not segments:
            raise StorageError("InvalidInput", "The root of a share goes with the share.")
        there = volume.stat(segments)
        if there is not None and is_read_only(self._store.said(volume, request.path, there)):
            raise StorageError("CannotDeleteFileOrDirectory")
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
        await names_on_disk(self._store, volume, segments)
        return Response(202)

    async def list_directory(self, request: Request) -> Response:
        """List Directories and Files."""
        volume = self._share(request)
        segments = volume.segments(request.path)
        included = set(filter(None, request.query.get("include", "").lower().split(",")))
        if unknown := sorted(included - _INCLUDED):
            raise StorageError("InvalidQueryParameterValue", f"include={','.join(unknown)}.")
        identified = request.flag("x-ms-file-extended-info") or bool(included)
        prefix, first = request.query.get("prefix", ""), floor(request)
        base = f"{request.path}/" if request.path else ""

        def read() -> tuple[list[Found], str, dict[str, Properties], int]:
            found = children(volume, segments, prefix, first)
            page, following = page_of(found, request, lambda each: each.name.rstrip("/"))
            statuses = {base + each.name.rstrip("/"): each.status for each in page if each.status}
            said = self._store.said_of(volume, statuses) if included - {"etag"} else {}
            with volume.directory(segments) as descriptor:
                return page, following, said, os.fstat(descriptor).st_ino

        try:
            page, following, said, number = await asyncio.to_thread(read)
        except (FileNotFoundError, NotADirectoryError):
            raise StorageError("ResourceNotFound") from None
        items = []
        for each in page:
            name = each.name.rstrip("/")
            entry = Entry(each.status, said.get(base + name, NOTHING)) if each.status else None
            items.append(_item(each.name, entry, included, identified=identified))
        # Names that a job made need not be text.
        encoded = quote_from_bytes(os.fsencode(request.path))
        where = quoteattr(request.path if request.path.isprintable() else encoded)
        attributes = f" ShareName={quoteattr(volume.name)} DirectoryPath={where}"
        identity = f"<DirectoryId>{number}</DirectoryId>" if identified else ""
        entries = f"{identity}<Entries>{''.join(items)}</Entries>"
        return listing_response(request, entries, following, attributes)

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
        *,
        otherwise: str = "preserve",
    ) -> Response:
        try:
            with volume.directory(segments) as descriptor:
                set_time(request, descriptor, os.fstat(descriptor), otherwise=otherwise)
                entry = settled(request, descriptor, said)
        except (FileNotFoundError, NotADirectoryError):  # a job took it away since
            raise StorageError("ResourceNotFound") from None
        self._store.say(volume, request.path, entry.status, entry.said)
        headers = (
            ("etag", etag(entry.status)),
            ("x-ms-request-server-encrypted", "false"),
            *described(entry, parent_of(volume, segments)),
        )
        return Response(status, headers)


def _item(name: str, entry: Entry | None, included: set[str], *, identified: bool) -> str:
    """The element of an entry, which says what its properties say."""
    tag = "Directory" if name.endswith("/") else "File"
    facts = identity = more = ""
    if entry is not None:
        told = dict(described(entry, parent=0))
        if identified:
            identity = f"<FileId>{told['x-ms-file-id']}</FileId>"
        if tag == "File":
            facts += f"<Content-Length>{entry.status.st_size}</Content-Length>"
        if "timestamps" in included:
            facts += (
                f"<CreationTime>{told[CREATED]}</CreationTime>"
                f"<LastAccessTime>{precise_time(entry.status.st_atime_ns)}</LastAccessTime>"
                f"<LastWriteTime>{told[WRITTEN]}</LastWriteTime>"
                f"<ChangeTime>{told[CHANGED]}</ChangeTime>"
                f"<Last-Modified>{told['last-modified']}</Last-Modified>"
            )
        if "etag" in included:
            facts += f"<Etag>{escape(etag(entry.status))}</Etag>"
        if "attributes" in included:
            more += f"<Attributes>{told[ATTRIBUTES]}</Attributes>"
        if "permissionkey" in included:
            more += f"<PermissionKey>{told[permissions.KEY]}</PermissionKey>"
    return (
        f"<{tag}>{xml_name(name.rstrip('/'))}{identity}"
        f"<Properties>{facts}</Properties>{more}</{tag}>"
    )
