"""What is only ever answered: files, logins, quotas, operations."""

from typing import Any

from pydantic import Field

from batchai_quickstart.models._base import Model
from batchai_quickstart.models.enums import FileType, UsageUnit
from batchai_quickstart.models.scalars import FileTime


class FileProperties(Model):
    """Facts about a file."""

    last_modified: FileTime | None = None
    content_length: int | None = None
    """Size in bytes."""


class File(Model):
    """An entry of an output directory."""

    name: str | None = None
    file_type: FileType | None = None
    download_url: str | None = None
    """Signed URL of the content; absent for directories."""
    properties: FileProperties | None = None
    """Absent for directories."""


class FileListResult(Model):
    """One page of an output directory."""

    value: tuple[File, ...] = Field(default_factory=tuple)
    next_link: str | None = None


class RemoteLoginInformation(Model):
    """How to reach one node by ssh."""

    node_id: str | None = None
    ip_address: str | None = None
    port: int | None = None


class RemoteLoginInformationListResult(Model):
    """One page of nodes."""

    value: tuple[RemoteLoginInformation, ...] = Field(default_factory=tuple)
    next_link: str | None = None


class UsageName(Model):
    """The name of a quota."""

    value: str | None = None
    localized_value: str | None = None


class Usage(Model):
    """How much of a quota is used."""

    unit: UsageUnit | None = None
    current_value: int | None = None
    limit: int | None = None
    name: UsageName | None = None


class ListUsagesResult(Model):
    """One page of quotas."""

    value: tuple[Usage, ...] = Field(default_factory=tuple)
    next_link: str | None = None


class OperationDisplay(Model):
    """An operation in words."""

    provider: str | None = None
    operation: str | None = None
    resource: str | None = None
    description: str | None = None


class Operation(Model):
    """One operation of the service."""

    name: str | None = None
    display: OperationDisplay | None = None
    origin: str | None = None
    properties: dict[str, Any] | None = None


class OperationListResult(Model):
    """One page of operations."""

    value: tuple[Operation, ...] = Field(default_factory=tuple)
    next_link: str | None = None
