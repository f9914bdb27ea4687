"""File servers: one machine with disks that clusters mount."""

from pydantic import Field

from batchai_quickstart.models._base import Model
from batchai_quickstart.models._rules import AtLeast
from batchai_quickstart.models.enums import (
    CachingType,
    FileServerProvisioningState,
    StorageAccountType,
)
from batchai_quickstart.models.resources import ProxyResource, ResourceId, UserAccountSettings
from batchai_quickstart.models.scalars import Timestamp


class DataDisks(Model):
    """Disks of a file server; several form one volume."""

    rules = (
        AtLeast(
            1,
            (
                "diskSizeInGB",
                "diskCount",
            ),
        ),
    )

    disk_size_in_gb: int
    """Size of each disk in GB."""
    caching_type: CachingType = CachingType.NONE
    """Caching of the disks; needs premium storage."""
    disk_count: int
    """Number of disks."""
    storage_account_type: StorageAccountType
    """Kind of storage."""


class SshConfiguration(Model):
    """Who may log in to a file server, and from where."""

    public_ips_to_allow: tuple[str, ...] = ()
    """Address ranges that may connect; all when absent."""
    user_account_settings: UserAccountSettings
    """The administrator's account."""


class MountSettings(Model):
    """How a file server is reached."""

    mount_point: str | None = None
    file_server_public_ip: str | None = None
    file_server_internal_ip: str | None = None


class FileServerProperties(Model):
    """A file server as the service reports it."""

    provisioning_state: FileServerProvisioningState | None = None
    creation_time: Timestamp | None = None
    provisioning_state_transition_time: Timestamp | None = None
    vm_size: str | None = None
    ssh_configuration: SshConfiguration | None = None
    data_disks: DataDisks | None = None
    subnet: ResourceId | None = None
    mount_settings: MountSettings | None = None


class FileServer(ProxyResource):
    """A file server."""

    properties: FileServerProperties = Field(default_factory=FileServerProperties)


class FileServerBaseProperties(Model):
    """A file server as it is asked for."""

    tolerated = frozenset(
        {
            "provisioningState",
            "provisioningStateTransitionTime",
            "creationTime",
            "mountSettings",
        }
    )

    vm_size: str
    """Size of the machine."""
    ssh_configuration: SshConfiguration
    """Who may log in."""
    data_disks: DataDisks
    """Its disks."""
    subnet: ResourceId | None = None
    """Existing virtual network subnet; a new one is made when absent."""


class FileServerCreateParameters(Model):
    """Body of a request that creates a file server."""

    tolerated = frozenset({"$schema", "id", "name", "type", "location", "tags"})

    properties: FileServerBaseProperties


class FileServerListResult(Model):
    """One page of file servers."""

    value: tuple[FileServer, ...] = Field(default_factory=tuple)
    next_link: str | None = None
