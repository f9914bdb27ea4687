"""The files a job leaves behind: listed, and downloaded whole or not at all."""

import fnmatch
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath

from batchai_quickstart import models
from batchai_quickstart.client import tail
from batchai_quickstart.client.link import Link
from batchai_quickstart.client.resource import Resource
from batchai_quickstart.errors import NotFoundError, TransferError

ATTEMPTS = 4
"""How often the rest of a file is asked for after its connection broke."""


@dataclass(frozen=True, slots=True)
class JobFile:
    """A file or directory in an output directory of a job.

    Arguments:
        name: its own name, without the directory it is in.
        size: bytes; None for a directory.
        last_modified: UTC, in whole seconds; None for a directory.
        url: signed link that anyone can download it by while it lasts; None for a directory.
        is_directory: whether it is a directory.
    """

    name: str
    size: int | None
    last_modified: datetime | None
    url: str | None = field(repr=False)
    is_directory: bool


def files(
    job: Resource[models.Job], directory: str, path: str, link_minutes: int
) -> tuple[JobFile, ...]:
    """List one directory of a job's output, sorted by name."""
    listing = job.connection.gateway.output_files(
        job.id, directory, path, link_minutes=link_minutes
    )
    return tuple(map(_job_file, listing.files)) if listing else ()


def _job_file(file: models.File) -> JobFile:
    facts = file.properties
    return JobFile(
        name=file.name or "",
        size=facts.content_length if facts else None,
        last_modified=facts.last_modified if facts else None,
        url=file.download_url,
        is_directory=file.file_type == models.FileType.DIRECTORY,
    )


def download(
    job: Resource[models.Job], directory: str, destination: Path, pattern: str | None, path: str
) -> list[Path]:
    """Download the files of an output directory, subdirectories included.

    Arguments:
        job: the job.
        directory: `stdouterr` or the id of an output directory.
        destination: local directory; made if need be, the tree below `path` is kept.
        pattern: only files whose path below `path` matches (`*.model`); None: all.
        path: where to begin, below the output directory.

    Returns:
        The local paths, in the order of their names.

    Raises:
        NotFoundError: there is no file, or none that matches.
        TransferError: a file did not come whole; it was not kept.
    """
    written: list[Path] = []
    seen: list[str] = []
    for relative, file in _walk(job, directory, PurePosixPath(path), PurePosixPath()):
        seen.append(str(relative))
        if pattern is None or fnmatch.fnmatchcase(str(relative), pattern):
            target = destination.joinpath(*relative.parts)
            fetch(job, file, target)
            written.append(target)
    if not written:
        wanted = "no file" if pattern is None else f"no file that matches {pattern!r}"
        there = ", ".join(seen[:20]) or "nothing"
        raise NotFoundError(
            f"job {job.id.name} has {wanted} in {directory}; there is: {there}",
            code="FileNotFound",
        )
    return written


def _walk(
    job: Resource[models.Job], directory: str, path: PurePosixPath, relative: PurePosixPath
) -> Iterator[tuple[PurePosixPath, JobFile]]:
    entries = files(job, directory, str(path / relative), 60)
    directories = {entry.name for entry in entries if entry.is_directory}
    for entry in entries:
        _check(entry.name)
        if entry.is_directory:
            yield from _walk(job, directory, path, relative / entry.name)
        elif entry.name not in directories:
            yield relative / entry.name, entry


def _check(name: str) -> None:
    # The names come from the network: none may lead out of the destination.
    if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise TransferError(f"the service listed a file named {name!r}, which no file can have")


def fetch(
    job: Resource[models.Job],
    file: JobFile,
    target: Path,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Download one file: under a temporary name first, so that `target` is whole or absent.

    Raises:
        TransferError: fewer bytes came than the file had.
    """
    assert file.url is not None
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    link = Link(job.connection.session, file.url)
    got, failures = 0, 0
    try:
        with temporary.open("wb") as output:
            while True:
                try:
                    part = link.read(got) if file.size else None
                    for chunk in part.chunks if part else ():
                        output.write(chunk)
                        got += len(chunk)
                    if part is None or not part.more:
                        break
                except tail.Broken as error:
                    if failures == ATTEMPTS:
                        raise TransferError(
                            f"{file.name}: {got} of {file.size} bytes came, then the connection "
                            f"broke and did not come back: {error}"
                        ) from error
                    sleep(tail.BACKOFF[failures])
                    failures += 1
        if got < (file.size or 0):
            raise TransferError(f"{file.name}: {got} bytes came, the service listed {file.size}")
        temporary.replace(target)
    except tail.Expired as error:
        raise TransferError(f"{file.name}: the link is refused: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def end_of(job: Resource[models.Job], file: JobFile, size: int) -> str:
    """The last `size` bytes of a file as text, from the beginning of a line where there is one."""
    assert file.url is not None
    total = file.size or 0
    begin = max(0, total - size)
    end = b"".join(Link(job.connection.session, file.url).read(begin).chunks)
    if begin:
        end = end.partition(b"\n")[2] or end
    return end.decode("utf-8", "replace")
