"""Long-running operations: the links of a 202, and what is found behind them."""

import uuid
from typing import Any

from starlette.responses import Response

from batchai_quickstart import ids
from batchai_quickstart.errors import NotFoundError
from batchai_quickstart.ids import ResourceId
from batchai_quickstart.service.registry import Operation, Record, Registry, utcnow, wire_time
from batchai_quickstart.service.requests import API_VERSION, RETRY_AFTER, Request, answer


class Operations:
    """Begins operations and answers for them.

    Arguments:
        registry: where they are kept.
        subscription: the one subscription, for their links.
    """

    def __init__(self, registry: Registry, subscription: str) -> None:
        self._registry = registry
        self._subscription = subscription

    def accepted_group(self, request: Request, id_: ResourceId) -> Response:
        """Answer 202 to the deletion of a resource group, as Azure Resource Manager does."""
        name = str(uuid.uuid4())
        self._registry.begin_operation(name, id_, "delete", wire_time(utcnow()))
        location = request.link(
            f"/subscriptions/{self._subscription}/operationresults/{name}",
            **{"api-version": request.parameter("api-version") or ""},
        )
        headers = {"Location": location, "Retry-After": str(RETRY_AFTER)}
        return answer(status=202, headers=headers)

    def accepted(self, request: Request, record: Record, verb: str, *, done: bool) -> Response:
        """Answer 202 with the links of a new operation, recorded as finished when `done`."""
        name = str(uuid.uuid4())
        self._registry.begin_operation(name, record.id, verb, wire_time(utcnow()))
        if done:
            self._registry.finish_operations(record.id.key, verb)
        workspace = self._registry.get(
            ResourceId(record.id.subscription, record.id.group, ids.WORKSPACE, record.id.names[:1])
        )
        location = (workspace.location if workspace else None) or "local"
        path = (
            f"/subscriptions/{self._subscription}/providers/{ids.BATCHAI}"
            f"/locations/{location.replace(' ', '').lower()}"
        )
        # "results" in the first and "statuses" in the second, as Batch AI had them.
        version = {"api-version": API_VERSION}
        return answer(
            status=202,
            headers={
                "Azure-AsyncOperation": request.link(f"{path}/operationresults/{name}", **version),
                "Location": request.link(f"{path}/operationstatuses/{name}", **version),
                "Retry-After": str(RETRY_AFTER),
            },
        )

    def status(self, request: Request, name: str) -> Response:
        """Answer a GET of the Azure-AsyncOperation link."""
        operation = self._operation(name)
        body: dict[str, Any] = {
            "id": request.link(request.path),
            "name": name,
            "status": "Succeeded" if operation.ended else "InProgress",
            "startTime": operation.started,
        }
        if operation.ended is None:
            return answer(body, headers={"Retry-After": str(RETRY_AFTER)})
        body["endTime"] = operation.ended
        id_ = ResourceId.parse(operation.key)
        body["properties"] = {"resourceId": "$".join([id_.subscription, id_.group, *id_.names])}
        return answer(body)

    def location(self, request: Request, name: str) -> Response:
        """Answer a GET of the Location link: 202 until the operation has ended."""
        operation = self._operation(name)
        if operation.ended is None:
            headers = {"Location": request.link(request.path, **dict(request.query))}
            return answer(status=202, headers={**headers, "Retry-After": str(RETRY_AFTER)})
        return answer()

    def _operation(self, name: str) -> Operation:
        operation = self._registry.operation(name)
        if operation is None:
            raise NotFoundError(f"Operation {name} is not found.", code="OperationNotFound")
        return operation
