"""Containers."""

import asyncio
from typing import Final
from xml.sax.saxutils import escape

from batchai_quickstart.storage.changes import Changes
from batchai_quickstart.storage.download import Headers
from batchai_quickstart.storage.pages import listing_response, page_of
from batchai_quickstart.storage.protocol import (
    Request,
    Response,
    StorageError,
    http_date,
    xml_metadata,
    xml_response,
)
from batchai_quickstart.storage.staging import Staging
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.volume import Kind, Volume

_UNLOCKED: Final = (("x-ms-lease-status", "unlocked"), ("x-ms-lease-state", "available"))


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

    def _container(self, request: Request) -> Volume:
        return self._store.volume(request.account.name, Kind.BLOB, request.volume)

    def _tags(self, volume: Volume) -> Headers:
        facts = self._store.facts(volume)
        return (("etag", facts.etag), ("last-modified", http_date(int(facts.modified))))
