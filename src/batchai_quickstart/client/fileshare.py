"""File shares, through `azure-storage-file-share`."""

import builtins
import os
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, final

from azure.core.exceptions import ResourceExistsError

from batchai_quickstart.client import transfer
from batchai_quickstart.client.storage import StorageAccount
from batchai_quickstart.client.stored import HOUR, PARALLEL, StoredFile, sending_options, steps
from batchai_quickstart.client.transfer import WORKERS, Progress
from batchai_quickstart.client.translation import translating
from batchai_quickstart.errors import NotFoundError

if TYPE_CHECKING:
    from azure.storage.fileshare import ShareClient


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
                progress_hook=steps(progress),
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
                from azure.storage.fileshare import LinearRetry, ShareClient

                client = ShareClient(
                    self.account.file_endpoint,
                    self.name,
                    credential=self.account.key,
                    **sending_options(self.account, LinearRetry),
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
