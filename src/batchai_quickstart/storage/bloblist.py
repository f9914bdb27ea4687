"""The listing of a container's blobs."""

import asyncio
from contextlib import closing
from typing import Final
from xml.sax.saxutils import escape

from batchai_quickstart.storage import tags
from batchai_quickstart.storage.leases import lease_elements
from batchai_quickstart.storage.listing import Found, walk
from batchai_quickstart.storage.pages import floor, listing_response, marker, page_size
from batchai_quickstart.storage.protocol import (
    Request,
    Response,
    StorageError,
    etag,
    http_date,
    xml_metadata,
    xml_name,
)
from batchai_quickstart.storage.sidecar import NOTHING, Properties
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.volume import Kind, Volume

_PLAIN: Final = "application/octet-stream"
# Things of which there are none, so that a listing that includes them is complete without them.
_INCLUDED: Final = frozenset(
    {"metadata", "copy", "deleted", "deletedwithversions", "snapshots", "versions", "tags"}
    | {"legalhold", "immutabilitypolicy", "permissions", ""}
)


_COPY: Final = {
    "x-ms-copy-id": "CopyId",
    "x-ms-copy-status": "CopyStatus",
    "x-ms-copy-source": "CopySource",
    "x-ms-copy-progress": "CopyProgress",
    "x-ms-copy-completion-time": "CopyCompletionTime",
}


class BlobListing:
    """List Blobs.

    Arguments:
        store: where everything is.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list_blobs(self, request: Request) -> Response:
        """List Blobs, flat or by a delimiter."""
        volume = self._store.volume(request.account.name, Kind.BLOB, request.volume)
        included = set(request.query.get("include", "").lower().split(","))
        if unknown := sorted(included - _INCLUDED):
            raise StorageError("NotImplemented", f"Listing with include={','.join(unknown)}.")
        limit = page_size(request)
        found, following = await asyncio.to_thread(_page, volume, request, limit)
        said = self._store.said_of_page(
            volume, ((each.name, each.status) for each in found if each.status is not None)
        )
        items = [
            _item(
                each,
                said.get(each.name, NOTHING),
                included,
                lease_elements(self._store, volume, each.name),
            )
            for each in found
        ]
        body = f"<Blobs>{''.join(items)}</Blobs>"
        return listing_response(request, body, following, f' ContainerName="{volume.name}"')


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


def _item(found: Found, said: Properties, included: set[str], leased: str) -> str:
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
    beside = xml_metadata(dict(said.metadata)) if "metadata" in included else ""
    if "tags" in included and said.tags:
        beside += tags.to_xml(said.tags)
    if said.tags:
        optional += f"<TagCount>{len(said.tags)}</TagCount>"
    if tier := headers.get("x-ms-access-tier"):
        optional += f"<AccessTier>{tier}</AccessTier>"
    if "copy" in included:
        optional += "".join(
            f"<{_COPY[name]}>{escape(value)}</{_COPY[name]}>" for name, value in said.copy.items()
        )
    tag = etag(found.status).strip('"')
    return (
        f"<Blob>{xml_name(found.name)}<Properties><Creation-Time>{date}</Creation-Time>"
        f"<Last-Modified>{date}</Last-Modified><Etag>{tag}</Etag>"
        f"<Content-Length>{found.status.st_size}</Content-Length>"
        f"<Content-Type>{escape(headers.get('content-type', _PLAIN))}</Content-Type>{optional}"
        f"<BlobType>{said.kind or 'BlockBlob'}</BlobType>{leased}"
        "<ServerEncrypted>false</ServerEncrypted></Properties>"
        f"{beside}</Blob>"
    )
