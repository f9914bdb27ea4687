"""The local end of transfers: which files go, under which names, and where they come to lie."""

import fnmatch
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import final

from batchai_quickstart.errors import InvalidRequestError, NotFoundError, TransferError

_PIECE = 1 << 20


def remote_name(local: Path, destination: str) -> str:
    """The name a local file gets: below `destination` if that is empty or ends with a slash.

    Raises:
        InvalidRequestError: the name would lead out of the share or container.
    """
    below = destination == "" or destination.endswith("/")
    return clean(destination + local.name if below else destination)


def clean(name: str) -> str:
    """A remote name without leading slash and empty parts; raises on `..`."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts or "\0" in name:
        raise InvalidRequestError(
            f"{name!r} names no file in a share or container", code="InvalidResourceName"
        )
    return "/".join(parts)


def directory_name(path: str) -> str:
    """A remote directory's name, without slashes around it; "" is the share or container."""
    return clean(path) if path.strip("/") else ""


def directory_prefix(path: str) -> str:
    """What the names below a remote directory begin with."""
    name = directory_name(path)
    return f"{name}/" if name else ""


def local_file(local: str | os.PathLike[str]) -> Path:
    """A file to upload.

    Raises:
        NotFoundError: there is no such file.
    """
    path = Path(local).expanduser()
    if not path.is_file():
        what = "is a directory; upload_batch takes those" if path.is_dir() else "does not exist"
        if path.exists() and not path.is_dir():
            what = "is no regular file"
        raise NotFoundError(f"cannot upload {path}: it {what}", code="FileNotFound")
    return path


@final
class Tree:
    """What is below a local directory, as remote names have it: with slashes, in order.

    Links to files count as the files; links to directories are not followed, so no circle is
    endless; pipes, sockets and broken links are no files.

    Arguments:
        root: the directory.

    Raises:
        NotFoundError: there is no such directory.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            what = "is no directory; upload takes files" if root.exists() else "does not exist"
            raise NotFoundError(f"cannot read the directory {root}: it {what}", code="FileNotFound")
        self.root = root
        self.files: dict[str, Path] = {}
        self.empty: list[str] = []
        self._read(root, "")
        self.files = dict(sorted(self.files.items()))

    def _read(self, directory: Path, prefix: str) -> None:
        is_empty = True
        with os.scandir(directory) as entries:
            for entry in entries:
                is_empty = False
                if entry.is_dir(follow_symlinks=False):
                    self._read(Path(entry.path), f"{prefix}{entry.name}/")
                elif entry.is_file():
                    self.files[prefix + entry.name] = Path(entry.path)
        if is_empty and prefix:
            self.empty.append(prefix.rstrip("/"))

    def matching(self, pattern: str | None) -> dict[str, Path]:
        """The files whose names below the directory match; `*` matches slashes, too."""
        return {name: path for name, path in self.files.items() if matches(name, pattern)}


def matches(name: str, pattern: str | None) -> bool:
    """Whether a name matches a shell pattern; without one each does."""
    return pattern is None or fnmatch.fnmatchcase(name, pattern)


def no_match(where: str, pattern: str | None, names: list[str]) -> NotFoundError:
    """The exception for a pattern that matches nothing."""
    examples = "".join(f", {name}" for name in names[:5])
    return NotFoundError(
        f"no file in {where} matches {pattern or '*'!r}; it holds {len(names)} files{examples}",
        code="FileNotFound",
    )


def destination_directory(destination: str | os.PathLike[str]) -> Path:
    """The directory a batch comes to lie in.

    Raises:
        InvalidRequestError: it is a file.
    """
    path = Path(destination).expanduser()
    if path.exists() and not path.is_dir():
        raise InvalidRequestError(
            f"cannot download into {path}: it is a file, and a directory is needed",
            code="InvalidDestination",
        )
    return path


def destination_file(name: str, destination: str | os.PathLike[str]) -> Path:
    """Where one downloaded file comes to lie: a directory keeps the file's own name."""
    target = Path(destination).expanduser()
    if target.is_dir() or str(destination).endswith(("/", os.sep)):
        target /= PurePosixPath(name).name
    return target


def inside(root: Path, name: str) -> Path:
    """Where a listed name lies below a directory.

    The name comes from the network: it must not lead anywhere else.

    Raises:
        TransferError: it would.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\0" in part or "\\" in part for part in parts):
        raise TransferError(
            f"the service listed a file named {name!r}, which has no place below {root}; "
            "nothing was written for it"
        )
    return root.joinpath(*parts)


@final
class Source:
    """A local file going up: read once, in order, and watched for changes meanwhile.

    Arguments:
        path: the file.
        descriptor: it, open for reading.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        status = os.fstat(descriptor)
        self.path = path
        self.size = status.st_size
        self.modified = status.st_mtime_ns
        self._descriptor = descriptor

    def parts(self, size: int) -> "Iterator[tuple[int, bytes]]":
        """The file in parts of `size` bytes, the last one shorter, each with its offset.

        Raises:
            TransferError: the file has become shorter.
        """
        for offset in range(0, self.size, size):
            part = os.pread(self._descriptor, min(size, self.size - offset), offset)
            if len(part) != min(size, self.size - offset):
                raise self._changed()
            yield offset, part

    def check(self) -> None:
        """Make sure that what was read is one state of the file.

        Raises:
            TransferError: the file was written meanwhile.
        """
        status = os.fstat(self._descriptor)
        if (status.st_size, status.st_mtime_ns) != (self.size, self.modified):
            raise self._changed()

    def _changed(self) -> TransferError:
        return TransferError(
            f"{self.path} was changed while it was uploaded; what is stored is what was before. "
            "Upload it again when nobody writes it"
        )


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Open a local file for an upload.

    Raises:
        NotFoundError: it is gone.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise NotFoundError(
            f"cannot upload {path}: it does not exist", code="FileNotFound"
        ) from None
    try:
        yield Source(path, descriptor)
    finally:
        os.close(descriptor)


def md5_of(path: Path) -> str:
    """Hexadecimal MD5 of a local file."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, _md5).hexdigest()


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)
