"""Blob containers, through `azure-storage-blob`."""

import builtins
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, final

from azure.core.exceptions import ResourceExistsError

from batchai_quickstart.client import transfer
from batchai_quickstart.client.storage import StorageAccount
from batchai_quickstart.client.stored import HOUR, PARALLEL, StoredFile, sending_options, steps
from batchai_quickstart.client.transfer import WORKERS, Progress
from batchai_quickstart.client.translation import translating
from batchai_quickstart.errors import NotFoundError

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient


@final
class BlobContainer:
    """A handle on a blob container of a storage account (`StorageAccount.container`).

    The first upload creates the container.

    Arguments:
        account: the storage account.
        name: the container.
    """

    def __init__(self, account: StorageAccount, name: str) -> None:
        self.account = account
        self.name = name
        self._lock = threading.Lock()
        self._opened: tuple[int, ContainerClient] | None = None
        self._is_made = False

    def create(self) -> "BlobContainer":
        """Create the container; one that exists stays as it is."""
        with translating(self.account.blob_endpoint), suppress(ResourceExistsError):
            self._client.create_container()
        self._is_made = True
        return self

    def delete(self) -> None:
        """Delete the container with all its blobs; one that does not exist is no error."""
        self._is_made = False
        with suppress(NotFoundError), translating(self.account.blob_endpoint):
            self._client.delete_container()

    def upload(self, local: str | os.PathLike[str], destination: str = "") -> str:
        """Upload one file, replacing a blob of the same name, and return the blob's name.

        Arguments:
            local: path of the file.
            destination: beginning of the name, ending with a slash (`mnist/`), or the whole name.
        """
        return transfer.upload(self._put, local, destination)

    def upload_batch(
        self,
        directory: str | os.PathLike[str],
        *,
        pattern: str | None = None,
        destination: str = "",
        progress: bool | None = None,
        max_workers: int = WORKERS,
    ) -> "builtins.list[str]":
        """Upload the files below a directory in parallel and return the blobs' names.

        Arguments:
            directory: local directory, searched with its subdirectories.
            pattern: only files whose path matches (`*28x28_cntk*`); None: all.
            destination: directory in the container.
            progress: show a bar for each file; None: on a terminal only.
            max_workers: how many at once.
        """
        files = transfer.chosen(Path(directory).expanduser(), pattern, destination)
        return transfer.upload_batch(self._put, files, progress=progress, max_workers=max_workers)

    def download(self, name: str, destination: str | os.PathLike[str]) -> Path:
        """Download one blob, whole or not at all, and return its local path.

        Arguments:
            name: the blob's name.
            destination: local path; a directory keeps the blob's own name.
        """
        return transfer.download(self._fetch, name, destination)

    def list(self, path: str = "") -> "builtins.list[StoredFile]":
        """List one directory of the container, sorted by name.

        Arguments:
            path: the directory; "" is the container itself.
        """
        prefix = path.strip("/")
        with translating(self.account.blob_endpoint):
            found = self._client.walk_blobs(f"{prefix}/" if prefix else None, delimiter="/")
            return sorted(_entries(found), key=lambda entry: entry.name)

    def delete_file(self, name: str) -> None:
        """Delete one blob.

        Raises:
            NotFoundError: there is none.
        """
        with translating(self.account.blob_endpoint):
            self._client.delete_blob(transfer.clean(name))

    def url(self, name: str, *, expiry: timedelta = HOUR) -> str:
        """Return a signed link that anyone can read one blob by, while it lasts.

        Arguments:
            name: the blob's name.
            expiry: life of the link.
        """
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        name = transfer.clean(name)
        signature = generate_blob_sas(
            self.account.name,
            self.name,
            name,
            account_key=self.account.key,
            permission=BlobSasPermissions(read=True),
            expiry=datetime.now(UTC) + expiry,
        )
        return f"{self._client.get_blob_client(name).url}?{signature}"

    def _put(self, local: Path, name: str, progress: Progress) -> None:
        if not self._is_made:
            self.create()
        with translating(self.account.blob_endpoint), local.open("rb") as data:
            self._client.get_blob_client(name).upload_blob(
                data,
                length=local.stat().st_size,
                overwrite=True,
                max_concurrency=PARALLEL,
                progress_hook=steps(progress),
            )

    def _fetch(self, name: str, output: BinaryIO) -> int:
        with translating(self.account.blob_endpoint):
            reader = self._client.download_blob(name, max_concurrency=PARALLEL)
            reader.readinto(output)
            return int(reader.size)

    @property
    def _client(self) -> "ContainerClient":
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                from azure.storage.blob import ContainerClient, LinearRetry

                client = ContainerClient(
                    self.account.blob_endpoint,
                    self.name,
                    credential=self.account.key,
                    **sending_options(self.account, LinearRetry),
                )
                self._opened = (os.getpid(), client)
            return self._opened[1]

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


def _entries(found: Any) -> Iterator[StoredFile]:
    from azure.storage.blob import BlobPrefix

    for item in found:
        if isinstance(item, BlobPrefix):
            yield StoredFile(item.name.rstrip("/"), None, None, is_directory=True)
        else:
            yield StoredFile(item.name, item.size, item.last_modified, is_directory=False)
