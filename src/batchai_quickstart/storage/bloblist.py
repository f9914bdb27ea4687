"""The listing of a container's blobs."""

import asyncio
import os
from contextlib import closing
from typing import Final
from xml.sax.saxutils import escape

from batchai_quickstart.storage import tags
from batchai_quickstart.storage.leases import lease_elements
from batchai_quickstart.storage.listing import Found, walk
from batchai_quickstart.storage.pages import floor, listing_response, marker, page_size
from batchai_quickstart.storage.properties import NOTHING, Properties
from batchai_quickstart.storage.protocol import (
    Request,
    Response,
    StorageError,
    etag,
    http_date,
    xml_metadata,
    xml_name,
)
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.volume import Kind, Volume

_PLAIN: Final = "application/octet-stream"
# Things of which there are none, so that a listing that includes them is complete without them.
_INCLUDED: Final = frozenset(
    {"metadata", "copy", "deleted", "deletedwithversions", "snapshots", "versions", "tags"}
    | {"legalhold", "immutabilitypolicy", "permissions", ""}
)
_OPTIONAL: Final = {
    "content-encoding": "Content-Encoding",
    "content-language": "Content-Language",
    "content-disposition": "Content-Disposition",
    "cache-control": "Cache-Control",
    "x-ms-access-tier": "AccessTier",
}
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
        # A page is some 100 ms of work: other requests go on meanwhile.
        body, following = await asyncio.to_thread(self._blobs, volume, request, included)
        return listing_response(request, body, following, f' ContainerName="{volume.name}"')

    def _blobs(self, volume: Volume, request: Request, included: set[str]) -> tuple[str, str]:
        """The `Blobs` of the asked page, and the marker of the next."""
        found, following = _page(volume, request, page_size(request))
        said = self._store.said_of_page(
            volume, ((each.name, each.status) for each in found if each.status is not None)
        )
        items = [
            f"<BlobPrefix>{xml_name(each.name)}</BlobPrefix>"
            if each.status is None
            else _item(
                each.name,
                each.status,
                said.get(each.name, NOTHING),
                included,
                lease_elements(self._store, volume, each.name),
            )
            for each in found
        ]
        return f"<Blobs>{''.join(items)}</Blobs>", following


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


def _item(
    name: str, status: os.stat_result, said: Properties, included: set[str], leased: str
) -> str:
    date = http_date(int(status.st_mtime))
    headers = said.headers
    optional = f"<Content-MD5>{escape(said.md5)}</Content-MD5>" if said.md5 else ""
    for header, value in headers.items():
        if tag := _OPTIONAL.get(header):
            optional += f"<{tag}>{escape(value)}</{tag}>"
    beside = xml_metadata(dict(said.metadata)) if "metadata" in included else ""
    if said.tags:
        optional += f"<TagCount>{len(said.tags)}</TagCount>"
        if "tags" in included:
            beside += tags.to_xml(said.tags)
    if "copy" in included:
        optional += "".join(
            f"<{_COPY[name]}>{escape(value)}</{_COPY[name]}>" for name, value in said.copy.items()
        )
    return (
        f"<Blob>{xml_name(name)}<Properties><Creation-Time>{date}</Creation-Time>"
        f"<Last-Modified>{date}</Last-Modified><Etag>{etag(status)[1:-1]}</Etag>"
        f"<Content-Length>{status.st_size}</Content-Length>"
        f"<Content-Type>{escape(headers.get('content-type', _PLAIN))}</Content-Type>{optional}"
        f"<BlobType>{said.kind or 'BlockBlob'}</BlobType>{leased}"
        "<ServerEncrypted>false</ServerEncrypted></Properties>"
        f"{beside}</Blob>"
    )
