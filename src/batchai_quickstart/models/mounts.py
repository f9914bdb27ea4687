"""File systems mounted for a cluster's nodes or for one job."""

from batchai_quickstart.models._base import Model
from batchai_quickstart.models._rules import ExactlyOne
from batchai_quickstart.models.resources import KeyVaultSecretReference, ResourceId
from batchai_quickstart.models.scalars import Secret


class AzureStorageCredentialsInfo(Model):
    """The key of a storage account; answers contain it empty."""

    rules = (ExactlyOne(("accountKey", "accountKeySecretReference"), in_draft=False),)

    account_key: Secret | None = None
    """Key of the storage account; never returned."""
    account_key_secret_reference: KeyVaultSecretReference | None = None
    """Where the key is kept, instead of `accountKey`."""


class AzureFileShareReference(Model):
    """A share of an Azure storage account, mounted as a directory."""

    filled_in = frozenset({"accountName", "credentials"})

    account_name: str | None = None
    """Storage account; in a job file taken from the share's URL when absent."""
    azure_file_url: str
    """URL of the share."""
    credentials: AzureStorageCredentialsInfo | None = None
    """Key of the account; in a job file filled in at submission when absent."""
    relative_mount_path: str
    """Directory below the mount root where the share appears."""
    file_mode: str = "0777"
    """Permissions of files on the share, octal."""
    directory_mode: str = "0777"
    """Permissions of directories on the share, octal."""


class AzureBlobFileSystemReference(Model):
    """A blob container of an Azure storage account, mounted as a directory."""

    filled_in = frozenset({"accountName", "credentials"})

    account_name: str | None = None
    """Storage account; in a job file filled in at submission when absent."""
    container_name: str
    """Name of the container."""
    credentials: AzureStorageCredentialsInfo | None = None
    """Key of the account; in a job file filled in at submission when absent."""
    relative_mount_path: str
    """Directory below the mount root where the container appears."""
    mount_options: str | None = None
    """Options for the blob file system driver."""


class FileServerReference(Model):
    """A Batch AI file server, mounted as a directory."""

    file_server: ResourceId
    """The file server."""
    source_directory: str | None = None
    """Directory of the server to mount; all of it when absent."""
    relative_mount_path: str
    """Directory below the mount root where it appears."""
    mount_options: str | None = None
    """Options for mount."""


class UnmanagedFileSystemReference(Model):
    """Any file system, mounted by a command of the user."""

    mount_command: str
    """Command that mounts; the mount point is appended to it."""
    relative_mount_path: str
    """Directory below the mount root where it appears."""


class MountVolumes(Model):
    """Everything mounted below one mount root."""

    azure_file_shares: tuple[AzureFileShareReference, ...] = ()
    """Shares of Azure storage accounts."""
    azure_blob_file_systems: tuple[AzureBlobFileSystemReference, ...] = ()
    """Blob containers of Azure storage accounts."""
    file_servers: tuple[FileServerReference, ...] = ()
    """Batch AI file servers."""
    unmanaged_file_systems: tuple[UnmanagedFileSystemReference, ...] = ()
    """File systems mounted by a command."""
