"""File shares."""

from typing import Any, final

from batchai_quickstart.client import syncing, volumes
from batchai_quickstart.client.sharefiles import ShareFiles
from batchai_quickstart.client.storage import StorageAccount


@final
class FileShare:
    """A handle on a file share of a storage account (`StorageAccount.share`).

    The first upload creates the share, and the directories on the way. Its methods are those of
    `BlobContainer`.

    Arguments:
        account: the storage account.
        name: the share.
    """

    def __init__(self, account: StorageAccount, name: str) -> None:
        self.account = account
        self.name = volumes.volume_name(name, "share")

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
    def _driver(self) -> ShareFiles:
        return ShareFiles(self.account.rest, self.name)

    def __repr__(self) -> str:
        return f"FileShare({self.name!r}, account={self.account.name!r})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, FileShare)
            and self.name == other.name
            and self.account == other.account
        )

    def __hash__(self) -> int:
        return hash((self.name, self.account))

    def __reduce__(self) -> tuple[Any, ...]:
        return FileShare, (self.account, self.name)
