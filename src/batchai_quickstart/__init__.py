"""Azure Batch AI: its SDK and the service behind it.

Every public name is here and loads on first use: importing this package imports no server, no
Azure package and no schema.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batchai_quickstart import errors, models
    from batchai_quickstart.client.cluster import Cluster
    from batchai_quickstart.client.connection import Connection
    from batchai_quickstart.client.container import BlobContainer
    from batchai_quickstart.client.experiment import Experiment
    from batchai_quickstart.client.fileshare import FileShare
    from batchai_quickstart.client.group import ResourceGroup
    from batchai_quickstart.client.job import Job
    from batchai_quickstart.client.jobfile import JobSpec
    from batchai_quickstart.client.outputs import JobFile
    from batchai_quickstart.client.storage import StorageAccount
    from batchai_quickstart.client.stored import StoredFile, Synced
    from batchai_quickstart.client.workspace import Workspace
    from batchai_quickstart.errors import (
        AuthenticationError,
        BatchAIError,
        ConfigurationError,
        ConflictError,
        ForbiddenError,
        InvalidRequestError,
        InvalidSpecError,
        JobFailedError,
        NotFoundError,
        RequestError,
        ServiceError,
        ThrottledError,
        TransferError,
        WaitTimeoutError,
    )
    from batchai_quickstart.ids import ResourceId
    from batchai_quickstart.local import LocalService

    __version__: str

_HOMES = {
    "client.cluster": ("Cluster",),
    "client.connection": ("Connection",),
    "client.container": ("BlobContainer",),
    "client.experiment": ("Experiment",),
    "client.fileshare": ("FileShare",),
    "client.group": ("ResourceGroup",),
    "client.job": ("Job",),
    "client.jobfile": ("JobSpec",),
    "client.outputs": ("JobFile",),
    "client.storage": ("StorageAccount",),
    "client.stored": ("StoredFile", "Synced"),
    "client.workspace": ("Workspace",),
    "errors": (
        "AuthenticationError",
        "BatchAIError",
        "ConfigurationError",
        "ConflictError",
        "ForbiddenError",
        "InvalidRequestError",
        "InvalidSpecError",
        "JobFailedError",
        "NotFoundError",
        "RequestError",
        "ServiceError",
        "ThrottledError",
        "TransferError",
        "WaitTimeoutError",
    ),
    "ids": ("ResourceId",),
    "local": ("LocalService",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AuthenticationError",
    "BatchAIError",
    "BlobContainer",
    "Cluster",
    "ConfigurationError",
    "ConflictError",
    "Connection",
    "Experiment",
    "FileShare",
    "ForbiddenError",
    "InvalidRequestError",
    "InvalidSpecError",
    "Job",
    "JobFailedError",
    "JobFile",
    "JobSpec",
    "LocalService",
    "NotFoundError",
    "RequestError",
    "ResourceGroup",
    "ResourceId",
    "ServiceError",
    "StorageAccount",
    "StoredFile",
    "Synced",
    "ThrottledError",
    "TransferError",
    "WaitTimeoutError",
    "Workspace",
    "errors",
    "models",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = getattr(import_module(f"batchai_quickstart.{_HOME_OF[name]}"), name)
    elif name in ("errors", "models"):
        value = import_module(f"batchai_quickstart.{name}")
    elif name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            value = version("batchai-quickstart")
        except PackageNotFoundError:  # a checkout on PYTHONPATH
            value = "0+unknown"
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
