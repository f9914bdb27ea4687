"""What the service says no with: one function a reason, and the list of refused operations."""

from batchai_quickstart import ids
from batchai_quickstart.errors import NotFoundError, RequestError
from batchai_quickstart.ids import ResourceId
from batchai_quickstart.service.requests import Request

REFUSED: dict[str, str] = {
    "Operations_List": "the list of provider operations",
    "Usages_List": "quota and usage",
    "Clusters_ListRemoteLoginInformation": "remote login to nodes",
    "Jobs_ListRemoteLoginInformation": "remote login to nodes",
    "FileServers_Create": "file servers",
    "FileServers_Get": "file servers",
    "FileServers_ListByWorkspace": "file servers",
    "FileServers_Delete": "file servers",
}
"""Operations of 2018-05-01 that are refused, and what they would be for."""


def not_found(id_: ResourceId) -> NotFoundError:
    """Build the error for a resource that does not exist, with Batch AI's code and words."""
    if id_.kind is None:
        return NotFoundError(
            f"Resource group '{id_.group}' could not be found.", code="ResourceGroupNotFound"
        )
    if id_.kind in (ids.WORKSPACE, ids.STORAGE_ACCOUNT):
        return NotFoundError(
            f"The Resource '{id_.kind.type}/{id_.name}' under resource group '{id_.group}' was "
            "not found.",
            code="ResourceNotFound",
        )
    return NotFoundError(
        f"The specified {id_.kind.noun.lower()} {id_.name} is not found",
        code=f"{id_.kind.noun}NotFound",
    )


def refused(operation: str) -> RequestError:
    """Build the error for an operation of the table above."""
    return RequestError(
        f"{operation} ({REFUSED[operation]}) is not provided by this service.",
        code="NotImplemented",
        status=501,
        target=operation,
    )


def unknown_path(request: Request) -> NotFoundError:
    """Build the error for a path nothing is served at."""
    return NotFoundError(
        f"No resource type or action is served at {request.path!r}.", code="InvalidResourceType"
    )


def no_method(request: Request) -> RequestError:
    """Build the error for a method a path does not take."""
    return RequestError(
        f"{request.method} is not served at {request.path!r}.",
        code="HttpMethodNotAllowed",
        status=405,
    )
