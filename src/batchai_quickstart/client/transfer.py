"""Local files going up and coming down: which ones, under which names, how many at once."""

import fnmatch
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from batchai_quickstart.errors import InvalidRequestError, NotFoundError, TransferError

Progress = Callable[[int], None]
"""Told how many more bytes of a file have gone."""
Put = Callable[[Path, str, Progress], None]
"""Uploads one local file under a remote name."""
Fetch = Callable[[str, BinaryIO], int]
"""Writes a remote file into a stream and returns the size it should have had."""

WORKERS = 8
"""Files on their way at once: small ones are bound by the round trip, not by the network."""


def remote_name(local: Path, destination: str) -> str:
    """The name a local file gets: below `destination` if that is empty or ends with a slash.

    Raises:
        InvalidRequestError: the name would lead out of the share or container.
    """
    whole = (
        destination + local.name
        if destination in ("", "/") or destination.endswith("/")
        else (destination)
    )
    return clean(whole)


def clean(name: str) -> str:
    """A remote name without leading slash and empty parts; raises on `..`."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise InvalidRequestError(
            f"{name!r} names no file in a share or container", code="InvalidResourceName"
        )
    return "/".join(parts)


def upload(put: Put, local: str | os.PathLike[str], destination: str) -> str:
    """Upload one file and return its remote name.

    Raises:
        NotFoundError: there is no such local file.
    """
    path = Path(local).expanduser()
    if not path.is_file():
        what = "is a directory; upload_batch takes those" if path.is_dir() else "does not exist"
        raise NotFoundError(f"cannot upload {path}: it {what}", code="FileNotFound")
    name = remote_name(path, destination)
    put(path, name, lambda count: None)
    return name


def chosen(directory: Path, pattern: str | None, destination: str) -> list[tuple[Path, str]]:
    """The files below `directory` that match, with their remote names, in order.

    Arguments:
        directory: searched with its subdirectories.
        pattern: shell pattern for the path below `directory`; `*` matches slashes too, as in the
            Azure CLI; None: all files.
        destination: remote directory the tree is put below.

    Raises:
        NotFoundError: no such directory, or no file that matches.
    """
    if not directory.is_dir():
        raise NotFoundError(
            f"cannot upload from {directory}: it is no directory", code="FileNotFound"
        )
    every = sorted(path for path in directory.rglob("*") if path.is_file())
    pairs = []
    for path in every:
        relative = path.relative_to(directory).as_posix()
        if pattern is None or fnmatch.fnmatchcase(relative, pattern):
            pairs.append((path, clean(str(PurePosixPath(destination or ".") / relative))))
    if not pairs:
        raise NotFoundError(
            f"no file in {directory} matches {pattern or '*'!r}; it holds {len(every)} files"
            + "".join(f", {path.name}" for path in every[:5]),
            code="FileNotFound",
        )
    return pairs


def upload_batch(
    put: Put, files: Sequence[tuple[Path, str]], *, progress: bool | None, max_workers: int
) -> list[str]:
    """Upload files in parallel and return their remote names, in order.

    Arguments:
        put: uploads one.
        files: local paths and remote names.
        progress: show a bar for each file; None: on a terminal only.
        max_workers: how many at once.
    """
    with _bars(files, progress) as bar_of, ThreadPoolExecutor(max_workers) as pool:
        running = [pool.submit(put, path, name, bar_of(path)) for path, name in files]
        try:
            for future in running:
                future.result()
        except BaseException:
            # One failure is the answer; what has not begun need not be tried.
            for future in running:
                future.cancel()
            raise
    return [name for _, name in files]


@contextmanager
def _bars(
    files: Sequence[tuple[Path, str]], progress: bool | None
) -> Iterator[Callable[[Path], Progress]]:
    if progress is False or (progress is None and not sys.stderr.isatty()):
        yield lambda path: lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks = {path: bars.add_task(path.name, total=path.stat().st_size) for path, _ in files}

        def bar_of(path: Path) -> Progress:
            return lambda count: bars.advance(tasks[path], count)

        yield bar_of


def download(fetch: Fetch, name: str, destination: str | os.PathLike[str]) -> Path:
    """Download one file, whole or not at all, and return its local path.

    Arguments:
        fetch: downloads one.
        name: remote name.
        destination: local path; a directory keeps the file's own name.

    Raises:
        TransferError: fewer bytes came than the file had.
    """
    name = clean(name)
    target = Path(destination).expanduser()
    if target.is_dir() or str(destination).endswith(("/", os.sep)):
        target = target / PurePosixPath(name).name
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("wb") as output:
            size = fetch(name, output)
            got = output.tell()
        if got != size:
            raise TransferError(f"{name}: {got} of {size} bytes came")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target
