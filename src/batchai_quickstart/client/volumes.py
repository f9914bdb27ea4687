"""File shares and blob containers, through the published storage clients."""

import builtins
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, final

from azure.core.exceptions import ResourceExistsError
from azure.core.pipeline.transport import RequestsTransport

from batchai_quickstart.client import transfer
from batchai_quickstart.client.storage import StorageAccount
from batchai_quickstart.client.transfer import WORKERS, Progress
from batchai_quickstart.client.translation import translating
from batchai_quickstart.errors import NotFoundError

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient
    from azure.storage.fileshare import ShareClient

PARALLEL = 4
"""Parts of one large file on their way at once."""
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file or directory in a share or container.

    Arguments:
        name: path below the share or container.
        size: bytes; None for a directory.
        last_modified: UTC; None for a directory.
        is_directory: whether it is a directory (in a container: a common beginning of names).
    """

    name: str
    size: int | None
    last_modified: datetime | None
    is_directory: bool


@final
class FileShare:
    """A handle on a file share of a storage account (`StorageAccount.share`).

    The first upload creates the share, and the directories on the way.

    Arguments:
        account: the storage account.
        name: the share.
    """

    def __init__(self, account: StorageAccount, name: str) -> None:
        self.account = account
        self.name = name
        self._lock = threading.Lock()
        self._opened: tuple[int, ShareClient] | None = None
        self._made: set[str] = set()

    def create(self) -> "FileShare":
        """Create the share; one that exists stays as it is."""
        with translating(self.account.file_endpoint), suppress(ResourceExistsError):
            self._client.create_share()
        self._made.add("")
        return self

    def delete(self) -> None:
        """Delete the share with all its files; one that does not exist is no error."""
        self._made.clear()
        with suppress(NotFoundError), translating(self.account.file_endpoint):
            self._client.delete_share()

    def upload(self, local: str | os.PathLike[str], destination: str = "") -> str:
        """Upload one file, replacing one of the same name, and return its name in the share.

        Arguments:
            local: path of the file.
            destination: directory, ending with a slash (`cntk/`), or the whole new name.
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
        """Upload the files below a directory in parallel and return their names in the share.

        Arguments:
            directory: local directory, searched with its subdirectories.
            pattern: only files whose path matches (`*28x28_cntk*`); None: all.
            destination: directory in the share.
            progress: show a bar for each file; None: on a terminal only.
            max_workers: how many at once.
        """
        files = transfer.chosen(Path(directory).expanduser(), pattern, destination)
        return transfer.upload_batch(self._put, files, progress=progress, max_workers=max_workers)

    def download(self, name: str, destination: str | os.PathLike[str]) -> Path:
        """Download one file, whole or not at all, and return its local path.

        Arguments:
            name: path in the share.
            destination: local path; a directory keeps the file's own name.
        """
        return transfer.download(self._fetch, name, destination)

    def list(self, path: str = "") -> "builtins.list[StoredFile]":
        """List one directory of the share, sorted by name.

        Arguments:
            path: the directory; "" is the share itself.
        """
        parent = PurePosixPath(path.strip("/"))
        with translating(self.account.file_endpoint):
            directory: Any = self._client.get_directory_client(path.strip("/"))
            entries = [
                StoredFile(
                    name=str(parent / entry.name),
                    size=None if entry.is_directory else entry.size,
                    last_modified=None if entry.is_directory else entry.last_modified,
                    is_directory=bool(entry.is_directory),
                )
                for entry in directory.list_directories_and_files(include=["timestamps"])
            ]
        return sorted(entries, key=lambda entry: entry.name)

    def delete_file(self, name: str) -> None:
        """Delete one file.

        Raises:
            NotFoundError: there is none.
        """
        with translating(self.account.file_endpoint):
            self._client.get_file_client(transfer.clean(name)).delete_file()

    def url(self, name: str, *, expiry: timedelta = HOUR) -> str:
        """Return a signed link that anyone can read one file by, while it lasts.

        Arguments:
            name: path in the share.
            expiry: life of the link.
        """
        from azure.storage.fileshare import FileSasPermissions, generate_file_sas

        name = transfer.clean(name)
        signature = generate_file_sas(
            self.account.name,
            self.name,
            name.split("/"),
            account_key=self.account.key,
            permission=FileSasPermissions(read=True),
            expiry=datetime.now(UTC) + expiry,
        )
        return f"{self._client.get_file_client(name).url}?{signature}"

    def _put(self, local: Path, name: str, progress: Progress) -> None:
        self._make_directories(PurePosixPath(name).parent)
        with translating(self.account.file_endpoint), local.open("rb") as data:
            self._client.get_file_client(name).upload_file(
                data,
                length=local.stat().st_size,
                max_concurrency=PARALLEL,
                progress_hook=_steps(progress),
            )

    def _fetch(self, name: str, output: BinaryIO) -> int:
        with translating(self.account.file_endpoint):
            reader = self._client.get_file_client(name).download_file(max_concurrency=PARALLEL)
            reader.readinto(output)
            return int(reader.size)

    def _make_directories(self, path: PurePosixPath) -> None:
        if "" not in self._made:
            self.create()
        for directory in (*reversed(path.parents), path):
            text = str(directory)
            if text == "." or text in self._made:
                continue
            with translating(self.account.file_endpoint), suppress(ResourceExistsError):
                self._client.get_directory_client(text).create_directory()
            self._made.add(text)

    @property
    def _client(self) -> "ShareClient":
        with self._lock:
            # As for the connection: sockets are not shared with a forked process.
            if self._opened is None or self._opened[0] != os.getpid():
                from azure.storage.fileshare import ShareClient

                client = ShareClient(
                    self.account.file_endpoint,
                    self.name,
                    credential=self.account.key,
                    **_options(self.account),
                )
                self._opened = (os.getpid(), client)
            return self._opened[1]

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
                progress_hook=_steps(progress),
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
                from azure.storage.blob import ContainerClient

                client = ContainerClient(
                    self.account.blob_endpoint,
                    self.name,
                    credential=self.account.key,
                    **_options(self.account),
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


def _options(account: StorageAccount) -> dict[str, Any]:
    """How the storage clients send: over the shared session, and not waiting 15 s for a retry."""
    session = account.connection.session
    return {
        "transport": RequestsTransport(session=session, session_owner=False),
        "retry_total": 3,
        "initial_backoff": 0.1,
        "increment_base": 1.5,
        "random_jitter_range": 0,
    }


def _steps(progress: Progress) -> Any:
    """Turn "so many in all" into "so many more", as bars want it."""
    done = 0

    def hook(current: int | None, total: int | None) -> None:
        nonlocal done
        if current is not None:
            progress(current - done)
            done = current

    return hook


def _entries(found: Any) -> Iterator[StoredFile]:
    from azure.storage.blob import BlobPrefix

    for item in found:
        if isinstance(item, BlobPrefix):
            yield StoredFile(item.name.rstrip("/"), None, None, is_directory=True)
        else:
            yield StoredFile(item.name, item.size, item.last_modified, is_directory=False)
