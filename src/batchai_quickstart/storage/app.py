"""The two protocols as one ASGI application.

The way of a request: address, operation, authorization, headers nobody here honours, handler.
Plain dispatch over a table: the addresses are percent-encoded names that signatures cover, which
a router would decode and normalise.
"""

import logging
import os
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from batchai_quickstart.errors import RequestError
from batchai_quickstart.storage.auth import authorize
from batchai_quickstart.storage.changes import Changes
from batchai_quickstart.storage.operations import Key, Operation, key_of, table
from batchai_quickstart.storage.protocol import (
    ERRORS,
    VERSION,
    NotModifiedError,
    Request,
    Response,
    StorageError,
    address,
    error_response,
    parse_query,
)
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.transfer import ClientLeftError, Incoming, drain, respond
from batchai_quickstart.storage.volume import Kind

_log = logging.getLogger(__name__)

UNSUPPORTED_HEADERS: Final = (
    "x-ms-access-tier",
    "x-ms-content-crc64",
    "x-ms-copy-",
    "x-ms-default-encryption-scope",
    "x-ms-encryption-",
    "x-ms-expiry-",
    "x-ms-group",
    "x-ms-if-tags",
    "x-ms-immutability-",
    "x-ms-legal-hold",
    "x-ms-mode",
    "x-ms-owner",
    "x-ms-range-get-content-crc64",
    "x-ms-rehydrate-priority",
    "x-ms-root-squash",
    "x-ms-seal-blob",
    "x-ms-source-",
    "x-ms-structured-",
    "x-ms-tags",
)
"""Beginnings of the names of headers that are refused because nobody here honours them."""

UNSUPPORTED_PARAMETERS: Final = ("prevsnapshot", "prevsharesnapshot", "sharesnapshot", "snapshot")
"""Query parameters that are refused: there are no snapshots and no versions."""


def storage_app(store: Store, changes: Changes) -> ASGIApp:
    """Blob and Files REST over a store's directories.

    Requests are addressed as `/blob/ACCOUNT/...` and `/file/ACCOUNT/...`, or, with a Host of
    `ACCOUNT.blob.*` or `ACCOUNT.file.*`, by their whole path.

    Arguments:
        store: where everything is.
        changes: who waits for files; closed with the application's lifespan. A server that waits
            for open requests before it ends the lifespan must close it earlier.
    """
    operations = table(store, changes)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send, changes)
            return
        if scope["type"] != "http":
            raise ValueError(f"storage speaks HTTP, not {scope['type']}")
        request_id = os.urandom(16).hex()
        headers = _headers(scope)
        request: Request | None = None
        incoming = Incoming(receive)
        try:
            request = _addressed(scope, incoming, headers, store, request_id)
            answer = await _answer(request, operations)
        except NotModifiedError as same:
            answer = Response(304, same.headers)
        except StorageError as error:
            answer = error_response(error, request_id)
        except RequestError as error:
            answer = error_response(_translated(error), request_id)
        except ClientLeftError:
            return
        except PermissionError as error:
            refusal = StorageError("AuthorizationFailure", _reason(error))
            answer = error_response(refusal, request_id)
        except Exception as error:
            _log.exception("%s %s failed", scope["method"], scope["path"])
            answer = error_response(StorageError("InternalError", _reason(error)), request_id)
        if headers.get("content-length", "0") != "0" and not incoming.complete:
            await drain(incoming)
        await respond(send, _head(request, headers, request_id), answer)

    return app


async def _answer(request: Request, operations: dict[Key, Operation]) -> Response:
    key = key_of(request)
    operation = operations.get(key)
    if operation is None:
        known = {each for *head, each in operations if each and tuple(head) == key[:3]}
        if key[3] and key[3] not in known:
            raise StorageError("InvalidQueryParameterValue", f"comp={key[3]}.")
        raise StorageError("UnsupportedHttpVerb", f"{request.method}.")
    authorize(request, operation.right)
    _refuse_unsupported(request, operation)
    assert operation.handler is not None
    return await operation.handler(request)


def _refuse_unsupported(request: Request, operation: Operation) -> None:
    if operation.handler is None:
        raise StorageError("NotImplemented", f"{operation.name} is not done by this service.")
    headers = request.headers
    if request.method == "PUT" and "x-ms-copy-source" in headers:
        raise StorageError("NotImplemented", "Copying from a URL is not done by this service.")
    if "x-ms-lease-id" in headers:
        subject = "Container" if not request.path else request.kind.capitalize()
        raise StorageError(f"LeaseNotPresentWith{subject}Operation")
    for name in headers:
        if name.startswith(UNSUPPORTED_HEADERS):
            raise StorageError("UnsupportedHeader", f"{name}.")
    for name in UNSUPPORTED_PARAMETERS:
        if name in request.query:
            raise StorageError("UnsupportedQueryParameter", f"{name}.")


def _reason(error: Exception) -> str:
    # What the operating system says (no space left, ...) helps; our own mistakes go to the log.
    return f"{error.strerror}." if isinstance(error, OSError) and error.strerror else ""


def _headers(scope: Scope) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1").strip()
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _addressed(
    scope: Scope, receive: Receive, headers: dict[str, str], store: Store, request_id: str
) -> Request:
    raw_path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    kind, account, volume, path = address(headers.get("host", ""), raw_path)
    try:
        owner = store.account(account)
    except RequestError:
        raise StorageError("AuthenticationFailed", f"There is no account {account!r}.") from None
    return Request(
        method=scope["method"],
        kind=kind,
        account=owner,
        volume=volume,
        path=path.rstrip("/") if kind is Kind.FILE else path,
        raw_path=raw_path,
        query=parse_query(scope["query_string"]),
        headers=headers,
        receive=receive,
        client=(scope.get("client") or ("",))[0],
        scheme=scope.get("scheme", "http"),
        id=request_id,
    )


def _translated(error: RequestError) -> StorageError:
    if error.code in ERRORS:
        return StorageError(error.code, error.message)
    by_status = {400: "InvalidInput", 403: "AuthorizationFailure", 404: "ResourceNotFound"}
    return StorageError(by_status.get(error.status, "InternalError"), error.message)


def _head(
    request: Request | None, headers: dict[str, str], request_id: str
) -> list[tuple[bytes, bytes]]:
    version = headers.get("x-ms-version") or (request and request.query.get("sv")) or VERSION
    head = [
        (b"x-ms-request-id", request_id.encode()),
        (b"x-ms-version", version.encode("latin-1", "replace")),
    ]
    if client_id := headers.get("x-ms-client-request-id"):
        head.append((b"x-ms-client-request-id", client_id.encode("latin-1")))
    if request is not None and request.waits:
        head.append((b"preference-applied", b"wait"))
    return head


async def _lifespan(receive: Receive, send: Send, changes: Changes) -> None:
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    changes.close()
    await send({"type": "lifespan.shutdown.complete"})
