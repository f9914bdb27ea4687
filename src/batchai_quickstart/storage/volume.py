"""One share or container as a directory, and the only ways into it.

A job may write anything into its volume, symbolic links included, at any moment. So nothing here
trusts a path that was checked a moment ago: an object is opened first and the kernel is asked
afterwards where the open descriptor really lies; names are created, replaced and removed relative
to the descriptor of a parent directory that was checked the same way. Links that stay inside the
volume are followed; what leads outside is treated as if it were not there.
"""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from batchai_quickstart.errors import ForbiddenError, InvalidRequestError
from batchai_quickstart.storage.moves import move_exclusively, move_over_file
from batchai_quickstart.storage.names import from_disk, to_disk

NAME_LIMIT = 255
"""Bytes of one path segment: the limit of the file systems underneath."""

PATH_LIMIT = 3072
"""Bytes of a whole path inside a volume: systems take 4096 with what is above it."""

_FORBIDDEN = frozenset('"\\:|<>*?')
"""Characters that names in a share cannot have."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Opening a FIFO that a job made must not block, and a terminal must not become ours.
_GUARDED = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LOOK = getattr(os, "O_PATH", os.O_RDONLY) | _GUARDED


class Kind(StrEnum):
    """What a volume is to its clients: a blob container or a file share."""

    BLOB = "blob"
    FILE = "file"


_LIMITS = {Kind.BLOB: (1024, 254), Kind.FILE: (2048, 250)}
"""Characters and segments of a path, as Azure has it."""


def _split(relative: str, kind: Kind) -> tuple[str, ...]:
    if not relative:
        return ()
    segments = tuple(relative.split("/"))
    characters, depth = _LIMITS[kind]
    if len(relative) > characters or len(segments) > depth:
        raise InvalidRequestError(
            f"A path has {characters} characters and {depth} segments at most: "
            f"{relative[:80]!r}...",
            code="InvalidResourceName",
        )
    if len(os.fsencode(relative)) > PATH_LIMIT:
        raise InvalidRequestError(
            f"A path of more than {PATH_LIMIT} bytes cannot be used: {relative[:80]!r}...",
            code="InvalidResourceName",
        )
    on_disk = tuple(map(to_disk, segments)) if kind is Kind.BLOB else segments
    for segment, entry in zip(segments, on_disk, strict=True):
        problem = _problem(segment, entry, kind)
        if problem:
            raise InvalidRequestError(
                f"The path {relative!r} cannot be used: {problem}.", code="InvalidResourceName"
            )
    return on_disk


def _problem(segment: str, entry: str, kind: Kind) -> str | None:
    if segment in (".", ".."):
        return f"it has the segment {segment!r}"
    if kind is Kind.FILE:
        if not segment:
            return "it has an empty segment (a leading, trailing or doubled '/')"
        if found := _FORBIDDEN & set(segment):
            return f"it has {' and '.join(map(repr, sorted(found)))}"
    if any(character < " " or character == "\x7f" for character in segment):
        return "it has a control character"
    if len(os.fsencode(entry)) > NAME_LIMIT:
        return f"a segment is longer than {NAME_LIMIT} bytes"
    return None


def location(descriptor: int) -> str:
    """Where the kernel says an open descriptor lies."""
    if sys.platform == "linux":
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
    else:  # noqa: RET505
        import fcntl

        path = fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024))
        return os.fsdecode(path.rstrip(b"\0"))


@dataclass(frozen=True, slots=True)
class Volume:
    """A share or container: `path` is the ordinary directory that jobs link to.

    Arguments:
        account: the storage account's name.
        kind: share or container.
        name: the volume's name in its account.
        path: the directory, without symbolic links in it.
    """

    account: str
    kind: Kind
    name: str
    path: Path

    def segments(self, relative: str) -> tuple[str, ...]:
        """The names on disk that a path inside the volume stands for.

        Arguments:
            relative: segments joined by `/`; empty for the volume itself.

        Raises:
            InvalidRequestError: no file can have that path: a segment is `.` or `..`, too long
                for a file system or has a control character, or, in a share, is empty or has one
                of the characters that Azure Files forbids. The code is `InvalidResourceName`.
        """
        return _split(relative, self.kind)

    def name_of(self, entry: str) -> str:
        """The segment of a path that a name on disk stands for."""
        return from_disk(entry) if self.kind is Kind.BLOB else entry

    def resolve(self, relative: str) -> Path:
        """The real path of something in the volume, whether it exists yet or not.

        Arguments:
            relative: a path inside the volume; empty or `.` for the volume itself.

        Raises:
            InvalidRequestError: the path is absolute, has `..`, NUL or an empty segment.
            ForbiddenError: a symbolic link on the way leads out of the volume.
        """
        segments = () if relative == "." else self.segments(relative)
        real = os.path.realpath(self.path.joinpath(*segments))
        if not self.holds(real):
            raise ForbiddenError(
                f"{relative!r} leads out of the {self.kind} volume {self.name!r} by a symbolic "
                "link; only links inside the volume are followed."
            )
        return Path(real)

    def below(self, segments: tuple[str, ...]) -> str:
        """The path of something in the volume, links not looked at."""
        return "/".join((str(self.path), *segments))

    def holds(self, real: str) -> bool:
        """Whether a path without links in it is the volume's directory or below it."""
        root = str(self.path)
        return real == root or real.startswith(root + "/")

    def open(self, segments: tuple[str, ...], flags: int = os.O_RDONLY) -> int:
        """Open a regular file that exists.

        Raises:
            FileNotFoundError: nothing there, not a regular file, or outside of the volume.
        """
        descriptor = _opened(self.below(segments), flags | _GUARDED)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode) and self.holds(location(descriptor)):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        raise FileNotFoundError(
            errno.ENOENT, "not a regular file inside the volume", "/".join(segments)
        )

    @contextmanager
    def directory(self, segments: tuple[str, ...], *, create: bool = False) -> Iterator[int]:
        """A descriptor of a directory of the volume, checked to lie inside.

        Arguments:
            segments: its path; `()` for the volume itself.
            create: make what is missing on the way.

        Raises:
            FileNotFoundError: it does not exist or lies outside of the volume.
            NotADirectoryError: a file is in the way.
        """
        try:
            descriptor = _opened(self.below(segments), _DIRECTORY)
        except FileNotFoundError:
            if not create:
                raise
            descriptor = self._make(segments)
        try:
            self._check(descriptor, segments)
            yield descriptor
        finally:
            os.close(descriptor)

    def _make(self, segments: tuple[str, ...]) -> int:
        current = os.open(self.path, _DIRECTORY)
        for segment in segments:
            try:
                self._check(current, segments)
                with suppress(FileExistsError):
                    os.mkdir(segment, dir_fd=current)
                below = os.open(segment, _DIRECTORY, dir_fd=current)
            finally:
                os.close(current)
            current = below
        return current

    def _check(self, descriptor: int, segments: tuple[str, ...]) -> None:
        if not self.holds(location(descriptor)):
            raise FileNotFoundError(errno.ENOENT, "outside of the volume", "/".join(segments))

    def stat(self, segments: tuple[str, ...]) -> os.stat_result | None:
        """The status of a file or directory of the volume; None when there is none.

        Links are followed inside the volume only.
        """
        try:
            with self.directory(segments[:-1]) as parent:
                if not segments:
                    return os.fstat(parent)
                return self.look(parent, segments[-1])
        except (FileNotFoundError, NotADirectoryError):
            return None

    def look(self, parent: int, name: str) -> os.stat_result | None:
        """The status of what a name in an open directory stands for; None when it is outside.

        Raises:
            FileNotFoundError: there is no such name.
        """
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            return status
        try:
            descriptor = os.open(name, _LOOK, dir_fd=parent)
        except OSError:  # it leads nowhere
            return None
        try:
            return os.fstat(descriptor) if self.holds(location(descriptor)) else None
        finally:
            os.close(descriptor)

    def place(self, prepared: str, segments: tuple[str, ...], *, create_parents: bool) -> None:
        """Put a finished file under its name, in one step; what was there is replaced.

        Arguments:
            prepared: the finished file, on the same file system.
            segments: where it goes.
            create_parents: make missing directories (blobs), or not (files of a share).

        Raises:
            FileNotFoundError: the parent is missing.
            NotADirectoryError, IsADirectoryError: a file or a directory is in the way.
        """
        name = segments[-1]
        with self.directory(segments[:-1], create=create_parents) as parent:
            try:
                os.rename(prepared, name, dst_dir_fd=parent)
            except IsADirectoryError:
                # Directories are invisible to blob clients: an empty one holds no name.
                if not create_parents or not _remove_empty(parent, name):
                    raise
                os.rename(prepared, name, dst_dir_fd=parent)

    def move(self, source: tuple[str, ...], target: tuple[str, ...], *, replace_file: bool) -> None:
        """Give a file, a link or a directory with all below another path, in one step.

        Arguments:
            source: its path.
            target: the new path, whose parent must exist.
            replace_file: a file at the new path is replaced; a directory never is.

        Raises:
            FileNotFoundError: one of the parents, or what is to be moved, is missing.
            FileExistsError: something has the new path.
            IsADirectoryError: a directory is where a file is to be replaced.
            NotADirectoryError: a file is in the way.
            OSError: EINVAL, a directory is to go below itself.
        """
        old, new = source[-1], target[-1]
        with self.directory(source[:-1]) as above, self.directory(target[:-1]) as below:
            if not replace_file:
                move_exclusively(above, old, below, new)
            elif stat.S_ISDIR(os.stat(old, dir_fd=above, follow_symlinks=False).st_mode):
                move_over_file(above, old, below, new)
            else:
                os.rename(old, new, src_dir_fd=above, dst_dir_fd=below)

    def unlink(self, segments: tuple[str, ...]) -> None:
        """Remove a file or a link, never what a link points to."""
        with self.directory(segments[:-1]) as parent:
            os.unlink(segments[-1], dir_fd=parent)


def _opened(path: str, flags: int) -> int:
    try:
        return os.open(path, flags)
    except OSError as error:
        # Links in a circle, and pipes and sockets without another end, are no files.
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise FileNotFoundError(errno.ENOENT, "not a file or directory", path) from None
        raise


def _remove_empty(parent: int, name: str) -> bool:
    """Remove a directory tree that holds directories only; False when it holds a file."""
    try:
        current = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except OSError:
        return False
    try:
        with os.scandir(current) as entries:
            names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        if not all(is_directory and _remove_empty(current, child) for child, is_directory in names):
            return False
    finally:
        os.close(current)
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError:
        return False
    return True
