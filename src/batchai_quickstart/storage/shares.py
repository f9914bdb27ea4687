"""Shares."""

import asyncio
from typing import Final
from xml.sax.saxutils import escape

from batchai_quickstart.storage import policies
from batchai_quickstart.storage.changes import Changes
from batchai_quickstart.storage.download import Headers
from batchai_quickstart.storage.leases import lease_elements, lease_headers
from batchai_quickstart.storage.listing import walk
from batchai_quickstart.storage.pages import listing_response, page_of
from batchai_quickstart.storage.protocol import (
    Request,
    Response,
    StorageError,
    http_date,
    number,
    xml_metadata,
    xml_response,
)
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.transfer import small_body
from batchai_quickstart.storage.volume import Kind, Volume

_QUOTA_AT_MOST: Final = 102_400


class Shares:
    """The operations on shares; each takes a request and answers it.

    Arguments:
        store: where everything is.
        changes: who waits for files.
    """

    def __init__(self, store: Store, changes: Changes) -> None:
        self._store = store
        self._changes = changes

    async def create(self, request: Request) -> Response:
        """Create Share."""
        name = request.volume
        if request.headers.get("x-ms-enabled-protocols", "SMB").upper() != "SMB":
            raise StorageError("UnsupportedHeader", "x-ms-enabled-protocols: there is no NFS.")
        if any(each.name == name for each in self._store.volumes(request.account.name, Kind.FILE)):
            raise StorageError("ShareAlreadyExists")
        volume = self._store.create_volume(
            request.account.name,
            Kind.FILE,
            name,
            metadata=request.metadata(),
            quota=_quota(request) or 5120,
        )
        return Response(201, self._tags(volume))

    async def properties(self, request: Request) -> Response:
        """Get Share Properties, and Get Share Metadata."""
        volume = self._share(request)
        facts = self._store.facts(volume)
        headers = (
            *self._tags(volume),
            *((f"x-ms-meta-{name}", value) for name, value in facts.metadata.items()),
            ("x-ms-share-quota", str(facts.quota)),
            ("x-ms-enabled-protocols", "SMB"),
            ("x-ms-access-tier", "TransactionOptimized"),
            *lease_headers(self._store, volume, ""),
        )
        return Response(200, headers)

    async def stats(self, request: Request) -> Response:
        """Get Share Stats: the bytes of all files, counted now."""
        volume = self._share(request)

        def count() -> int:
            return sum(each.status.st_size for each in walk(volume) if each.status is not None)

        used = await asyncio.to_thread(count)
        answer = xml_response(f"<ShareStats><ShareUsageBytes>{used}</ShareUsageBytes></ShareStats>")
        return Response(200, (*answer.headers, *self._tags(volume)), answer.body)

    async def set_properties(self, request: Request) -> Response:
        """Set Share Properties: the quota."""
        volume = self._share(request)
        quota = _quota(request)
        self._store.change(volume, **({} if quota is None else {"quota": quota}))
        return Response(200, self._tags(volume))

    async def set_metadata(self, request: Request) -> Response:
        """Set Share Metadata."""
        volume = self._share(request)
        self._store.change(volume, metadata=request.metadata())
        return Response(200, self._tags(volume))

    async def acl(self, request: Request) -> Response:
        """Get Share ACL: stored access policies."""
        volume = self._share(request)
        answer = xml_response(policies.to_xml(self._store.facts(volume).policies))
        return Response(200, (*answer.headers, *self._tags(volume)), answer.body)

    async def set_acl(self, request: Request) -> Response:
        """Set Share ACL."""
        asked = policies.from_document(await small_body(request, 64 << 10))
        volume = self._share(request)
        self._store.change(volume, policies=asked)
        return Response(200, self._tags(volume))

    async def delete(self, request: Request) -> Response:
        """Delete Share."""
        volume = self._share(request)
        away = self._store.detach_volume(volume.account, Kind.FILE, volume.name)
        self._changes.notify(volume.path)
        await asyncio.to_thread(self._store.remove_detached, away)
        return Response(202)

    async def list(self, request: Request) -> Response:
        """List Shares."""
        query = request.query
        volumes = self._store.volumes(request.account.name, Kind.FILE)
        named = [each for each in volumes if each.name.startswith(query.get("prefix", ""))]
        page, following = page_of(named, request, lambda each: each.name)
        items = []
        for volume in page:
            facts = self._store.facts(volume)
            metadata = (
                xml_metadata(dict(facts.metadata)) if "metadata" in query.get("include", "") else ""
            )
            items.append(
                f"<Share><Name>{volume.name}</Name><Properties>"
                f"<Last-Modified>{http_date(int(facts.modified))}</Last-Modified>"
                f"<Etag>{escape(facts.etag)}</Etag><Quota>{facts.quota}</Quota>"
                f"{lease_elements(self._store, volume, '')}"
                f"</Properties>{metadata}</Share>"
            )
        return listing_response(request, f"<Shares>{''.join(items)}</Shares>", following)

    def _share(self, request: Request) -> Volume:
        return self._store.volume(request.account.name, Kind.FILE, request.volume)

    def _tags(self, volume: Volume) -> Headers:
        facts = self._store.facts(volume)
        return (("etag", facts.etag), ("last-modified", http_date(int(facts.modified))))


def _quota(request: Request) -> int | None:
    text = request.headers.get("x-ms-share-quota")
    if text is None:
        return None
    quota = number(text)
    if quota is None or not 1 <= quota <= _QUOTA_AT_MOST:
        raise StorageError(
            "InvalidHeaderValue",
            f"x-ms-share-quota is {text[:80]!r}, not 1 to {_QUOTA_AT_MOST} GiB.",
        )
    return quota
