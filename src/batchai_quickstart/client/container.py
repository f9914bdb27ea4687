"""Blob containers."""

from typing import Any, final

from batchai_quickstart.client import syncing, volumes
from batchai_quickstart.client.blobs import Blobs
from batchai_quickstart.client.storage import StorageAccount


@final
class BlobContainer:
    """A handle on a blob container of a storage account (`StorageAccount.container`).

    The first upload creates the container. Its methods are those of `FileShare`; a container has
    no directories but the common beginnings of its blobs' names.

    Arguments:
        account: the storage account.
        name: the container.
    """

    def __init__(self, account: StorageAccount, name: str) -> None:
        self.account = account
        self.name = volumes.volume_name(name, "container")

    create = volumes.create
    delete = volumes.delete
    upload = volumes.upload
    upload_batch = volumes.upload_batch
    download = volumes.download
    download_batch = volumes.download_batch
    sync = syncing.sync
    list = volumes.entries
    walk = volumes.walk
    delete_file = volumes.delete_file
    url = volumes.url

    @property
    def _driver(self) -> Blobs:
        return Blobs(self.account.rest, self.name)

    def __repr__(self) -> str:
        return f"BlobContainer({self.name!r}, account={self.account.name!r})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, BlobContainer)
            and self.name == other.name
            and self.account == other.account
        )

    def __hash__(self) -> int:
        return hash((self.name, self.account))

    def __reduce__(self) -> tuple[Any, ...]:
        return BlobContainer, (self.account, self.name)
