"""The way of a request: address, operation, authorization, headers nobody here honours, handler.

Plain dispatch over a table: the addresses are percent-encoded names that signatures cover, which
a router would decode and normalise. The parts of a batch take the same way.
"""

import logging
from collections.abc import Mapping
from typing import Final, final

from batchai_quickstart.errors import RequestError
from batchai_quickstart.storage import cors, leases
from batchai_quickstart.storage.addresses import ForeignServiceError
from batchai_quickstart.storage.arrival import Arrival, addressed
from batchai_quickstart.storage.auth import Right, authorize
from batchai_quickstart.storage.batch import Batches
from batchai_quickstart.storage.changes import Changes
from batchai_quickstart.storage.names import without_trailing_dots
from batchai_quickstart.storage.operations import Operation, key_of, table
from batchai_quickstart.storage.protocol import (
    ERRORS,
    VERSION,
    NotModifiedError,
    Request,
    Response,
    StorageError,
    error_response,
)
from batchai_quickstart.storage.source import Sources
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.tagsearch import check_tags
from batchai_quickstart.storage.transfer import ClientLeftError
from batchai_quickstart.storage.volume import Kind

_log = logging.getLogger(__name__)

UNSUPPORTED_HEADERS: Final = (
    "x-ms-access-tier",
    "x-ms-content-crc64",
    "x-ms-copy-",
    "x-ms-default-encryption-scope",
    "x-ms-encryption-",
    "x-ms-expiry-",
    "x-ms-file-file-type",
    "x-ms-file-copy-",
    "x-ms-file-mode-copy-",
    "x-ms-file-owner-copy-",
    "x-ms-file-permission-copy-",
    "x-ms-group",
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


_UNGUARDED: Final = ("lease", "rename", "listhandles", "forceclosehandles")
"""Leases guard themselves, a rename looks at those of both its names, handles know none."""


@final
class Dispatch:
    """Answers requests.

    Arguments:
        store: where everything is.
        changes: who waits for files.
        ports: where requests come in, and which service's addresses each port has; see `Sources`.
    """

    def __init__(self, store: Store, changes: Changes, ports: Mapping[int, Kind | None]) -> None:
        self._store = store
        self._operations = table(store, changes, Sources(store, ports))
        batches = Batches(self.answer)
        for subject, right in (("service", Right("s", "dw")), ("volume", Right("c", "dw", "dw"))):
            batch = Operation("Blob Batch", right, batches.submit)
            self._operations[Kind.BLOB, subject, "POST", "batch"] = batch

    async def answer(self, arrival: Arrival) -> Response:
        """The answer to a request, an error of any kind included, with the headers all have.

        Raises:
            ClientLeftError: there is nobody to answer.
        """
        request: Request | None = None
        try:
            request = addressed(self._store, arrival)
            answer = await self._answer(request)
        except NotModifiedError as same:
            answer = Response(304, (*same.headers, ("x-ms-error-code", "ConditionNotMet")))
        except StorageError as error:
            answer = error_response(error, arrival.id)
        except ForeignServiceError as error:
            answer = error.response(arrival.id)
        except RequestError as error:
            answer = error_response(_translated(error), arrival.id)
        except ClientLeftError:
            raise
        except PermissionError as error:
            refusal = StorageError("AuthorizationFailure", _reason(error))
            answer = error_response(refusal, arrival.id)
        except Exception as error:
            _log.exception("%s %s failed", arrival.method, arrival.raw_path)
            answer = error_response(StorageError("InternalError", _reason(error)), arrival.id)
        head = _head(request, arrival)
        if request is not None:
            settings = self._store.settings(request.account.name, request.kind)
            head += cors.answer_headers(request.method, request.headers.get("origin"), settings)
        return Response(answer.status, (*head, *answer.headers), answer.body)

    async def _answer(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            settings = self._store.settings(request.account.name, request.kind)
            return cors.preflight(request, settings)
        key = key_of(request)
        operation = self._operations.get(key)
        if operation is None:
            known = {each for *head, each in self._operations if each and tuple(head) == key[:3]}
            if key[3] and key[3] not in known:
                raise StorageError("InvalidQueryParameterValue", f"comp={key[3]}.")
            raise StorageError("UnsupportedHttpVerb", f"{request.method}.")
        if request.method == "PUT" and "x-ms-copy-source" in request.headers:
            operation = operation.of_url(request.headers)
        authorize(
            request,
            operation.right,
            self._store.facts_of(request.account.name, request.kind, request.volume),
        )
        _refuse_unsupported(request, operation)
        if request.kind is Kind.FILE and not request.flag("x-ms-allow-trailing-dot"):
            request.path = without_trailing_dots(request.path)
        if request.volume and key[1] != "directory" and key[3] not in _UNGUARDED:
            _guard(request, self._store)
        assert operation.handler is not None
        return await operation.handler(request)


def _guard(request: Request, store: Store) -> None:
    """Have the lease on what is addressed asked now, before a body is read, and at the end."""
    reads = request.method in ("GET", "HEAD")
    writes = not reads if request.path else request.method == "DELETE"
    if not request.path and not writes and "x-ms-lease-id" not in request.headers:
        return  # making a volume, among others

    def guard() -> None:
        volume = store.volume(request.account.name, request.kind, request.volume)
        path, headers = request.path, request.headers
        leases.guard(store, volume, path, headers, "x-ms-lease-id", writes=writes)
        check_tags(store, request, volume)

    request.guard = guard
    if not reads or not request.path:  # a volume has no conditions that ask it
        guard()


def _refuse_unsupported(request: Request, operation: Operation) -> None:
    if operation.handler is None:
        raise StorageError("NotImplemented", f"{operation.name} is not done by this service.")
    headers = request.headers
    for name in headers:
        if name.startswith(UNSUPPORTED_HEADERS) and not _honours(operation, name):
            raise StorageError("UnsupportedHeader", f"{name}.")
    for name in UNSUPPORTED_PARAMETERS:
        if name in request.query:
            raise StorageError("UnsupportedQueryParameter", f"{name}.")


def _honours(operation: Operation, name: str) -> bool:
    return name in operation.honours or any(
        each.endswith("-") and name.startswith(each) for each in operation.honours
    )


def _reason(error: Exception) -> str:
    # What the operating system says (no space left, ...) helps; our own mistakes go to the log.
    return f"{error.strerror}." if isinstance(error, OSError) and error.strerror else ""


def _translated(error: RequestError) -> StorageError:
    if error.code in ERRORS:
        return StorageError(error.code, error.message)
    by_status = {400: "InvalidInput", 403: "AuthorizationFailure", 404: "ResourceNotFound"}
    return StorageError(by_status.get(error.status, "InternalError"), error.message)


def _head(request: Request | None, arrival: Arrival) -> tuple[tuple[str, str], ...]:
    head = [
        ("x-ms-request-id", arrival.id),
        ("x-ms-version", VERSION if request is None else request.version),
    ]
    if client_id := arrival.headers.get("x-ms-client-request-id"):
        head.append(("x-ms-client-request-id", client_id))
    if request is not None and request.waits:
        head.append(("preference-applied", "wait"))
    return tuple(head)
