"""ARM over HTTP: paths to resources by the table of kinds, operations, pages, errors.

A path is read into a resource id, a collection or an action; verbs are methods here, kinds are
rows in `ids`. Whatever is not there is refused by name.
"""

import asyncio
import hmac
import logging
import re
import uuid
from collections.abc import Mapping
from datetime import timedelta
from hashlib import blake2b
from typing import Any

from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from batchai_quickstart import ids
from batchai_quickstart.errors import (
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    RequestError,
)
from batchai_quickstart.ids import Kind, ResourceId
from batchai_quickstart.service.operations import Operations
from batchai_quickstart.service.outputs import list_files
from batchai_quickstart.service.plan import output_location
from batchai_quickstart.service.provision import Provisioner
from batchai_quickstart.service.refusals import no_method, not_found, refused, unknown_path
from batchai_quickstart.service.registry import Record, Registry
from batchai_quickstart.service.removal import Remover, is_deleting
from batchai_quickstart.service.requests import API_VERSION, Request, answer
from batchai_quickstart.service.scheduler import Scheduler
from batchai_quickstart.storage.changes import Changes
from batchai_quickstart.storage.store import Store

MAX_BODY = 4 << 20

log = logging.getLogger(__name__)


class Arm:
    """The ARM application (ASGI).

    Arguments:
        registry, scheduler, store, changes, remover: the service's parts.
        token: the bearer token every request must carry.
        subscription: the one subscription there is.
    """

    def __init__(
        self,
        registry: Registry,
        scheduler: Scheduler,
        store: Store,
        changes: Changes,
        remover: Remover,
        *,
        token: str,
        subscription: str,
    ) -> None:
        self._registry = registry
        self._scheduler = scheduler
        self._store = store
        self._changes = changes
        self._remover = remover
        self._provision = Provisioner(registry, scheduler, store)
        self._operations = Operations(registry, subscription)
        self._authorization = f"Bearer {token}".encode()
        self._subscription = subscription
        self._leaving = False

    def restore(self) -> None:
        """Make good what an earlier process left half done."""
        self._provision.restore()

    def release(self) -> None:
        """Answer long polls at once, from now on."""
        self._leaving = True
        self._registry.wake()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        headers = Headers(scope=scope)
        try:
            response = await self._respond(scope, headers, receive)
        except RequestError as error:
            response = answer(error.envelope(), status=error.status)
        except Exception:
            reference = str(uuid.uuid4())
            log.exception("request %s failed: %s %s", reference, scope["method"], scope["path"])
            body = {"code": "InternalServerError", "message": f"Internal error {reference}."}
            response = answer({"error": body}, status=500)
        client_id = headers.get("x-ms-client-request-id")
        if client_id and headers.get("x-ms-return-client-request-id", "").lower() == "true":
            response.headers["x-ms-client-request-id"] = client_id
        await response(scope, receive, send)

    async def _respond(self, scope: Scope, headers: Headers, receive: Receive) -> Response:
        self._authenticate(headers)
        scheme = headers.get("x-forwarded-proto", scope["scheme"])
        host = headers.get("x-forwarded-host") or headers.get("host", "")
        request = Request(
            method=scope["method"],
            path=scope["path"],
            query=QueryParams(scope["query_string"]),
            headers=headers,
            body=await _body(receive),
            base=f"{scheme}://{host}",
        )
        return await self._dispatch(request)

    def _authenticate(self, headers: Headers) -> None:
        sent = headers.get("authorization")
        if sent is None:
            raise AuthenticationError(
                "Authentication failed: the Authorization header is missing. Send the service's "
                "bearer token."
            )
        if not hmac.compare_digest(sent.encode(), self._authorization):
            raise AuthenticationError(
                "The access token is not this service's: read the current one from its "
                "service.json.",
                code="InvalidAuthenticationToken",
            )

    # -- paths -----------------------------------------------------------------------------

    async def _dispatch(self, request: Request) -> Response:
        parts = [part for part in request.path.split("/") if part]
        words = [part.lower() for part in parts]
        self._check_api_version(request, words)
        if words[:1] == ["providers"]:
            raise refused("Operations_List")
        if words[:1] != ["subscriptions"]:
            raise unknown_path(request)
        if len(parts) == 1:
            return answer({"value": [self._subscription_body()]})
        if words[1] != self._subscription.lower():
            raise NotFoundError(
                f"The subscription '{parts[1]}' could not be found; this service has the one "
                f"subscription {self._subscription}.",
                code="SubscriptionNotFound",
            )
        match words[2:]:
            case []:
                return answer(self._subscription_body())
            case ["resourcegroups"]:
                return self._page(request, None, None)
            case ["resourcegroups", _]:
                return await self._group(request, ResourceId(parts[1], parts[3]))
            case ["operationresults", name]:
                return self._operations.location(request, name)
            case ["providers", _, "locations", _, "operationresults", name]:
                return self._operations.status(request, name)
            case ["providers", _, "locations", _, "operationstatuses", name]:
                return self._operations.location(request, name)
            case ["providers", "microsoft.batchai", "locations", _, "usages"]:
                raise refused("Usages_List")
            case ["providers", "microsoft.storage", "checknameavailability"]:
                return self._check_name(request)
            case ["providers", namespace, plural]:
                kind = _kind(namespace, [plural])
                if kind is not None:
                    return self._page(request, None, kind)
            case ["resourcegroups", _, "providers", namespace, *rest] if rest:
                group = ResourceId(parts[1], parts[3])
                kind = _kind(namespace, rest[0::2])
                names = parts[7::2]
                if kind is not None and len(rest) % 2 == 0:
                    return await self._resource(request, group, kind, names)
                if kind is not None:
                    return self._collection(request, group, kind, names)
                parent = _kind(namespace, rest[0:-1:2])
                if parent is not None and len(rest) % 2 == 1:
                    return await self._action(request, group, parent, names, rest[-1])
        raise unknown_path(request)

    def _check_api_version(self, request: Request, words: list[str]) -> None:
        version = request.parameter("api-version")
        if version is None:
            raise InvalidRequestError(
                "The api-version query parameter (?api-version=) is required for all requests.",
                code="MissingApiVersionParameter",
            )
        if not re.fullmatch(r"\d{4}-\d\d-\d\d(-preview)?", version):
            raise InvalidRequestError(
                f"The api-version {version!r} is invalid; it reads like {API_VERSION}.",
                code="InvalidApiVersionParameter",
            )
        if ids.BATCHAI.lower() in words and version != API_VERSION:
            raise InvalidRequestError(
                f"{ids.BATCHAI} is served with api-version {API_VERSION}; found {version}. Older "
                "versions had no workspaces and are not served.",
                code="InvalidApiVersionParameter",
            )

    def _subscription_body(self) -> dict[str, Any]:
        return {
            "id": f"/subscriptions/{self._subscription}",
            "subscriptionId": self._subscription,
            "displayName": "batchai-quickstart",
            "state": "Enabled",
        }

    # -- resources -------------------------------------------------------------------------

    async def _group(self, request: Request, id_: ResourceId) -> Response:
        if request.method == "PUT":
            if not re.fullmatch(ids.GROUP_NAME_RULE, id_.group, re.ASCII):
                raise InvalidRequestError(
                    f"{id_.group!r} is no valid name for a resource group: it must match "
                    f"^{ids.GROUP_NAME_RULE}$ (ASCII).",
                    code="InvalidResourceGroup",
                )
            record, new = self._provision.group(id_, request.json())
            return self._represent(request, record, status=201 if new else 200)
        if request.method == "HEAD":
            return answer(status=204 if self._registry.get(id_) else 404)
        if request.method == "GET":
            return await self._get(request, id_)
        if request.method == "DELETE":
            record = self._existing(id_)
            with self._registry.transaction():
                response = self._operations.accepted_group(request, record.id)
                if not is_deleting(record):
                    self._remover.delete(record.id)
            return response
        raise no_method(request)

    async def _resource(
        self, request: Request, group: ResourceId, kind: Kind, names: list[str]
    ) -> Response:
        if kind is ids.FILE_SERVER:
            verbs = {"PUT": "Create", "GET": "Get", "DELETE": "Delete"}
            raise refused(f"FileServers_{verbs.get(request.method, 'Get')}")
        id_ = ResourceId(group.subscription, group.group, kind, tuple(names))
        match request.method:
            case "GET":
                return await self._get(request, id_)
            case "DELETE":
                return self._delete(request, id_)
            case "PUT":
                self._parent_of(id_)
                kind.check_name(id_.name)
                return self._put(request, id_)
            case "PATCH":
                record = self._existing(id_)
                if kind is ids.WORKSPACE:
                    return self._represent(
                        request, self._provision.update_workspace(record, request.json())
                    )
                if kind is ids.CLUSTER:
                    return self._represent(
                        request, self._provision.update_cluster(record, request.json())
                    )
        raise no_method(request)

    def _put(self, request: Request, id_: ResourceId) -> Response:
        if id_.kind is ids.WORKSPACE:
            return self._represent(request, self._provision.workspace(id_, request.json()))
        if id_.kind is ids.EXPERIMENT:  # the operation has no body; whatever came is ignored
            return self._represent(request, self._provision.experiment(id_))
        if id_.kind is ids.STORAGE_ACCOUNT:
            return self._represent(request, self._provision.storage_account(id_, request.json()))
        create = self._provision.cluster if id_.kind is ids.CLUSTER else self._provision.job
        with self._registry.transaction():
            record, new = create(id_, request.json())
            if not new:
                return self._represent(request, record)
            return self._operations.accepted(request, record, "create", done=True)

    async def _get(self, request: Request, id_: ResourceId) -> Response:
        record = self._existing(id_)
        known = request.headers.get("if-none-match")
        if request.wait is not None and known is not None:
            deadline = asyncio.get_running_loop().time() + request.wait
            while self._etag(record) == known:
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0 or self._leaving:
                    break
                await self._registry.changed([id_.key], left)
                record = self._existing(id_)
        return self._represent(request, record)

    def _delete(self, request: Request, id_: ResourceId) -> Response:
        record = self._registry.get(id_)
        if record is None:
            return answer(status=204)
        if id_.kind is ids.STORAGE_ACCOUNT:
            self._remover.delete_account(record)
            return answer()
        with self._registry.transaction():
            response = self._operations.accepted(request, record, "delete", done=False)
            if not is_deleting(record):
                self._remover.delete(id_)
        return response

    async def _action(
        self, request: Request, group: ResourceId, kind: Kind, names: list[str], action: str
    ) -> Response:
        # The pages of POST lists are fetched by POST or by GET, depending on the client.
        if request.method not in ("POST", "GET"):
            raise no_method(request)
        id_ = ResourceId(group.subscription, group.group, kind, tuple(names))
        match kind.noun, action:
            case "Job", "terminate":
                record = self._existing(id_)
                if self._scheduler.is_over(id_):
                    return answer()
                with self._registry.transaction():
                    response = self._operations.accepted(request, record, "terminate", done=False)
                    self._scheduler.terminate(record)
                return response
            case "Job", "listoutputfiles":
                return await self._list_output_files(request, self._existing(id_))
            case "Job" | "Cluster", "listremotelogininformation":
                raise refused(f"{kind.noun}s_ListRemoteLoginInformation")
            case "StorageAccount", "listkeys":
                record = self._existing(id_)
                keys = self._store.account(record.id.name).keys
                return answer(
                    {
                        "keys": [
                            {"keyName": f"key{index}", "value": key, "permissions": "FULL"}
                            for index, key in enumerate(keys, 1)
                        ]
                    }
                )
        raise unknown_path(request)

    def _check_name(self, request: Request) -> Response:
        name = request.json().get("name")
        if not isinstance(name, str):
            raise InvalidRequestError(
                "checkNameAvailability needs a name.", code="InvalidRequestContent", target="name"
            )
        if not re.fullmatch(ids.STORAGE_ACCOUNT.name_rule, name):
            return answer(
                {
                    "nameAvailable": False,
                    "reason": "AccountNameInvalid",
                    "message": f"{name} is not a valid storage account name: 3 to 24 lower-case "
                    "letters and digits.",
                }
            )
        if name in self._provision.account_names(self._subscription):
            return answer(
                {
                    "nameAvailable": False,
                    "reason": "AlreadyExists",
                    "message": f"The storage account named {name} is already taken.",
                }
            )
        return answer({"nameAvailable": True})

    async def _list_output_files(self, request: Request, record: Record) -> Response:
        directory_id = request.parameter("outputdirectoryid")
        if not directory_id:
            raise InvalidRequestError(
                "outputdirectoryid is required: `stdouterr`, or the id of an output directory.",
                code="InvalidQueryParameterValue",
                target="outputdirectoryid",
            )
        minutes = request.integer("linkexpiryinminutes", 60, 5, 600)
        limit = request.integer("maxresults", 1000, 1, 1000)
        location = output_location(self._scheduler.submission(record), directory_id)
        deadline = asyncio.get_running_loop().time() + (request.wait or 0)
        while True:
            listing = list_files(
                self._store,
                location,
                request.parameter("directory") or ".",
                expiry=timedelta(minutes=minutes),
                limit=limit,
                after=request.parameter("$skiptoken") or "",
                link=request.link,
            )
            over = record.properties["executionState"] in ("succeeded", "failed")
            digest = blake2b(repr((listing.names, over)).encode(), digest_size=12).hexdigest()
            etag = f'"{digest}"'
            left = deadline - asyncio.get_running_loop().time()
            known = request.headers.get("if-none-match")
            if over or left <= 0 or self._leaving or known != etag:
                break
            if not await self._changes.wait_directory(listing.directory, left):
                deadline = 0.0  # told that no more comes, or out of time: look once more
            record = self._existing(record.id)
        body: dict[str, Any] = {"value": listing.entries}
        if listing.last is not None:
            body["nextLink"] = _next_link(request, listing.last)
        return _conditional(request, body, etag)

    # -- lists -----------------------------------------------------------------------------

    def _collection(
        self, request: Request, group: ResourceId, kind: Kind, names: list[str]
    ) -> Response:
        if kind is ids.FILE_SERVER:
            raise refused("FileServers_ListByWorkspace")
        parent = ResourceId(group.subscription, group.group, kind.parent, tuple(names))
        self._existing(parent)
        return self._page(request, parent, kind)

    def _page(self, request: Request, parent: ResourceId | None, kind: Kind | None) -> Response:
        if request.method != "GET":
            raise no_method(request)
        limit = request.integer("maxresults", 1000, 1, 1000)
        after = request.parameter("$skiptoken") or ""
        if parent is not None:
            assert kind is not None
            found = self._registry.children(parent, kind, after=after, limit=limit + 1)
        else:
            found = self._registry.in_subscription(
                self._subscription, kind, after=after, limit=limit + 1
            )
        body: dict[str, Any] = {"value": [self._body(request, r) for r in found[:limit]]}
        if len(found) > limit:
            body["nextLink"] = _next_link(request, found[limit - 1].id.key)
        return answer(body)

    # -- records to bodies -----------------------------------------------------------------

    def _existing(self, id_: ResourceId) -> Record:
        record = self._registry.get(id_)
        if record is not None:
            return record
        if id_.kind is not None:
            self._parent_of(id_)
        raise not_found(id_)

    def _parent_of(self, id_: ResourceId) -> None:
        """Raise NotFoundError unless everything `id_` lives in exists and is not going away."""
        parent = id_.parent
        record = self._registry.get(parent)
        if record is None:
            if parent.kind is None:
                raise not_found(parent)
            self._parent_of(parent)
            if parent.kind is ids.WORKSPACE:
                raise NotFoundError(
                    f"Can not perform requested operation on nested resource. Parent resource "
                    f"'{parent.name}' not found.",
                    code="ParentResourceNotFound",
                )
            raise not_found(parent)
        if is_deleting(record):
            raise ConflictError(f"{parent.name} is being deleted.")

    def _etag(self, record: Record) -> str:
        if record.id.kind is ids.CLUSTER:
            counts = self._scheduler.node_counts(record.id)
            return f'"{record.rev:x}-{"-".join(map(str, counts.values()))}"'
        return record.etag

    def _body(self, request: Request, record: Record) -> dict[str, Any]:
        body = record.body()
        if record.id.kind is ids.CLUSTER:
            body["properties"] = {
                **body["properties"],
                "nodeStateCounts": self._scheduler.node_counts(record.id),
            }
        if record.id.kind is ids.STORAGE_ACCOUNT:
            body |= record.private or {}
            body["properties"] = {
                **body["properties"],
                "primaryEndpoints": {
                    kind: request.link(f"/{kind}/{record.id.name}/") for kind in ("blob", "file")
                },
            }
        return body

    def _represent(self, request: Request, record: Record, *, status: int = 200) -> Response:
        response = _conditional(request, self._body(request, record), self._etag(record))
        if response.status_code == 200:
            response.status_code = status
        return response


async def _body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequestError("The request ended early.", code="InvalidRequestContent")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY:
            raise RequestError(
                f"The request body exceeds {MAX_BODY} bytes.",
                code="RequestEntityTooLarge",
                status=413,
            )
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


def _conditional(request: Request, body: Mapping[str, Any], etag: str) -> Response:
    headers = {"ETag": etag}
    if request.wait is not None:
        headers["Preference-Applied"] = "wait"
        if request.headers.get("if-none-match") == etag:
            return answer(status=304, headers=headers)
    return answer(body, headers=headers)


def _kind(namespace: str, plurals: list[str]) -> Kind | None:
    wanted = "/".join([namespace, *plurals])
    return next((kind for kind in ids.KINDS if kind.type.lower() == wanted), None)


def _next_link(request: Request, after: str) -> str:
    query = {name: value for name, value in request.query.items() if name.lower() != "$skiptoken"}
    return request.link(request.path, **query, **{"$skiptoken": after})
