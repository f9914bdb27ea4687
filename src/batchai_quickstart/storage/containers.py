"""Containers."""

import asyncio
from xml.sax.saxutils import escape

from batchai_quickstart.storage import policies
from batchai_quickstart.storage.changes import Changes
from batchai_quickstart.storage.download import Headers
from batchai_quickstart.storage.facts import VolumeFacts
from batchai_quickstart.storage.leases import lease_elements, lease_headers
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
from batchai_quickstart.storage.transfer import small_body
from batchai_quickstart.storage.volume import Kind, Volume


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
        access = _access(request)
        name = request.volume
        if any(each.name == name for each in self._store.volumes(request.account.name, Kind.BLOB)):
            raise StorageError("ContainerAlreadyExists")
        volume = self._store.create_volume(
            request.account.name, Kind.BLOB, name, metadata=request.metadata()
        )
        if access:
            self._store.change(volume, access=access)
        return Response(201, self._tags(volume))

    async def properties(self, request: Request) -> Response:
        """Get Container Properties, and Get Container Metadata."""
        volume = self._container(request)
        metadata = self._store.facts(volume).metadata
        headers = (
            *self._tags(volume),
            *((f"x-ms-meta-{name}", value) for name, value in metadata.items()),
            *lease_headers(self._store, volume, ""),
            *_access_header(self._store.facts(volume)),
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
        """Get Container ACL: public access and stored access policies."""
        volume = self._container(request)
        facts = self._store.facts(volume)
        answer = xml_response(policies.to_xml(facts.policies))
        headers = (*answer.headers, *self._tags(volume), *_access_header(facts))
        return Response(200, headers, answer.body)

    async def set_acl(self, request: Request) -> Response:
        """Set Container ACL."""
        access = _access(request)
        asked = policies.from_document(await small_body(request, 64 << 10))
        volume = self._container(request)
        self._store.change(volume, access=access, policies=asked)
        return Response(200, self._tags(volume))

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
                f"<Etag>{escape(facts.etag)}</Etag>{lease_elements(self._store, volume, '')}"
                f"{_access_element(facts)}<HasImmutabilityPolicy>false"
                "</HasImmutabilityPolicy><HasLegalHold>false</HasLegalHold></Properties>"
                f"{metadata}</Container>"
            )
        return listing_response(request, f"<Containers>{''.join(items)}</Containers>", following)

    def _container(self, request: Request) -> Volume:
        return self._store.volume(request.account.name, Kind.BLOB, request.volume)

    def _tags(self, volume: Volume) -> Headers:
        facts = self._store.facts(volume)
        return (("etag", facts.etag), ("last-modified", http_date(int(facts.modified))))


def _access(request: Request) -> str:
    """The public access that a request asks for; empty for none."""
    access = request.headers.get("x-ms-blob-public-access", "").lower()
    if access not in ("", "blob", "container"):
        raise StorageError("InvalidHeaderValue", f"x-ms-blob-public-access is {access!r}.")
    return access


def _access_header(facts: VolumeFacts) -> Headers:
    return (("x-ms-blob-public-access", facts.access),) if facts.access else ()


def _access_element(facts: VolumeFacts) -> str:
    return f"<PublicAccess>{facts.access}</PublicAccess>" if facts.access else ""
