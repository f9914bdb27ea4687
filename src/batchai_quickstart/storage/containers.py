"""Containers, and the listing of blobs."""

import asyncio
from contextlib import closing
from typing import Final
from xml.sax.saxutils import escape

from batchai_quickstart.storage.changes import Changes
from batchai_quickstart.storage.download import Headers
from batchai_quickstart.storage.listing import Found, walk
from batchai_quickstart.storage.pages import floor, listing_response, marker, page_of, page_size
from batchai_quickstart.storage.protocol import (
    Request,
    Response,
    StorageError,
    etag,
    http_date,
    xml_metadata,
    xml_name,
    xml_response,
)
from batchai_quickstart.storage.sidecar import NOTHING, Properties
from batchai_quickstart.storage.staging import Staging
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.volume import Kind, Volume

_PLAIN: Final = "application/octet-stream"
_UNLOCKED: Final = (("x-ms-lease-status", "unlocked"), ("x-ms-lease-state", "available"))
# Things of which there are none, so that a listing that includes them is complete without them.
_INCLUDED: Final = frozenset(
    {"metadata", "copy", "deleted", "deletedwithversions", "snapshots", "versions", "tags"}
    | {"legalhold", "immutabilitypolicy", "permissions", ""}
)


class Containers:
    """The operations on containers; each takes a request and answers it.

    Arguments:
        store: where everything is.
        changes: who waits for files.
        staging: blocks that are not committed.
    """

    def __init__(self, store: Store, changes: Changes, staging: Staging) -> None:
        self._store = store
        self._changes = changes
        self._staging = staging

    async def create(self, request: Request) -> Response:
        """Create Container."""
        if request.headers.get("x-ms-blob-public-access"):
            raise StorageError("PublicAccessNotPermitted")
        name = request.volume
        if any(each.name == name for each in self._store.volumes(request.account.name, Kind.BLOB)):
            raise StorageError("ContainerAlreadyExists")
        volume = self._store.create_volume(
            request.account.name, Kind.BLOB, name, metadata=request.metadata()
        )
        return Response(201, self._tags(volume))

    async def properties(self, request: Request) -> Response:
        """Get Container Properties, and Get Container Metadata."""
        volume = self._container(request)
        metadata = self._store.facts(volume).metadata
        headers = (
            *self._tags(volume),
            *((f"x-ms-meta-{name}", value) for name, value in metadata.items()),
            *_UNLOCKED,
            ("x-ms-has-immutability-policy", "false"),
            ("x-ms-has-legal-hold", "false"),
        )
        return Response(200, headers)

    async def set_metadata(self, request: Request) -> Response:
        """Set Container Metadata."""
        volume = self._container(request)
        self._store.change(volume, metadata=request.metadata())
        return Response(200, self._tags(volume))

    async def acl(self, request: Request) -> Response:
        """Get Container ACL: there is no stored policy and no public access."""
        headers = self._tags(self._container(request))
        answer = xml_response("<SignedIdentifiers />")
        return Response(200, (*answer.headers, *headers), answer.body)

    async def delete(self, request: Request) -> Response:
        """Delete Container."""
        volume = self._container(request)
        self._staging.drop_volume(volume)
        away = self._store.detach_volume(volume.account, Kind.BLOB, volume.name)
        self._changes.notify(volume.path)
        await asyncio.to_thread(self._store.remove_detached, away)
        return Response(202)

    async def list(self, request: Request) -> Response:
        """List Containers."""
        query = request.query
        volumes = self._store.volumes(request.account.name, Kind.BLOB)
        names = [each for each in volumes if each.name.startswith(query.get("prefix", ""))]
        page, following = page_of(names, request, lambda each: each.name)
        items = []
        for volume in page:
            facts = self._store.facts(volume)
            metadata = (
                xml_metadata(dict(facts.metadata)) if "metadata" in query.get("include", "") else ""
            )
            items.append(
                f"<Container><Name>{volume.name}</Name><Properties>"
                f"<Last-Modified>{http_date(int(facts.modified))}</Last-Modified>"
                f"<Etag>{escape(facts.etag)}</Etag><LeaseStatus>unlocked</LeaseStatus>"
                "<LeaseState>available</LeaseState><HasImmutabilityPolicy>false"
                "</HasImmutabilityPolicy><HasLegalHold>false</HasLegalHold></Properties>"
                f"{metadata}</Container>"
            )
        return listing_response(request, f"<Containers>{''.join(items)}</Containers>", following)

    async def list_blobs(self, request: Request) -> Response:
        """List Blobs, flat or by a delimiter."""
        volume = self._container(request)
        included = set(request.query.get("include", "").lower().split(","))
        if unknown := sorted(included - _INCLUDED):
            raise StorageError("NotImplemented", f"Listing with include={','.join(unknown)}.")
        limit = page_size(request)
        found, following = await asyncio.to_thread(_page, volume, request, limit)
        said = self._store.said_of_page(
            volume, ((each.name, each.status) for each in found if each.status is not None)
        )
        with_metadata = "metadata" in included
        items = [_item(each, said.get(each.name, NOTHING), with_metadata) for each in found]
        body = f"<Blobs>{''.join(items)}</Blobs>"
        return listing_response(request, body, following, f' ContainerName="{volume.name}"')

    def _container(self, request: Request) -> Volume:
        return self._store.volume(request.account.name, Kind.BLOB, request.volume)

    def _tags(self, volume: Volume) -> Headers:
        facts = self._store.facts(volume)
        return (("etag", facts.etag), ("last-modified", http_date(int(facts.modified))))


def _page(volume: Volume, request: Request, limit: int) -> tuple[list[Found], str]:
    """One page of blobs and prefixes, and the marker of the next."""
    prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter", "")
    first = floor(request)
    page: list[Found] = []
    with closing(walk(volume, prefix, first, nested=delimiter != "/")) as names:
        last = ""
        for found in names:
            each = found
            if delimiter and delimiter != "/":
                head, cut, _ = found.name[len(prefix) :].partition(delimiter)
                if cut:
                    each = Found(prefix + head + cut, None)
                    if each.name == last:
                        continue
                    last = each.name
            if len(page) == limit:
                return page, marker(found.name)
            page.append(each)
    return page, ""


def _item(found: Found, said: Properties, with_metadata: bool) -> str:
    if found.status is None:
        return f"<BlobPrefix>{xml_name(found.name)}</BlobPrefix>"
    date = http_date(int(found.status.st_mtime))
    headers = said.headers
    optional = "".join(
        f"<{tag}>{escape(value)}</{tag}>"
        for tag, value in (
            ("Content-Encoding", headers.get("content-encoding")),
            ("Content-Language", headers.get("content-language")),
            ("Content-MD5", said.md5),
            ("Content-Disposition", headers.get("content-disposition")),
            ("Cache-Control", headers.get("cache-control")),
        )
        if value
    )
    metadata = xml_metadata(dict(said.metadata)) if with_metadata else ""
    tag = etag(found.status).strip('"')
    return (
        f"<Blob>{xml_name(found.name)}<Properties><Creation-Time>{date}</Creation-Time>"
        f"<Last-Modified>{date}</Last-Modified><Etag>{tag}</Etag>"
        f"<Content-Length>{found.status.st_size}</Content-Length>"
        f"<Content-Type>{escape(headers.get('content-type', _PLAIN))}</Content-Type>{optional}"
        "<BlobType>BlockBlob</BlobType><LeaseStatus>unlocked</LeaseStatus>"
        "<LeaseState>available</LeaseState><ServerEncrypted>false</ServerEncrypted></Properties>"
        f"{metadata}</Blob>"
    )
