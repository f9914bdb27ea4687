"""The names in a volume, in the order of a flat listing, without reading more than a page needs.

Azure lists the full names of blobs by code point. Going through directories with each
directory's name taken with its slash gives the same order, so a page begins and ends anywhere
and whole directories outside of the asked range are never opened.
"""

import os
import stat
from bisect import bisect_left
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import islice, takewhile

from batchai_quickstart.errors import InvalidRequestError
from batchai_quickstart.storage.scans import names_in, without_slash
from batchai_quickstart.storage.volume import Volume

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Found:
    """One name of a listing.

    Arguments:
        name: from the volume's top; a directory's ends with `/`.
        status: of a file; None for a directory that is listed as one.
    """

    name: str
    status: os.stat_result | None


def walk(
    volume: Volume, prefix: str = "", floor: str = "", *, nested: bool = True
) -> Generator[Found, None, None]:
    """The files of a volume by name.

    Arguments:
        volume: the volume.
        prefix: what names begin with.
        floor: the first name wanted; names before it are left out.
        nested: go into directories; otherwise each is one name that ends with `/`, listed
            when there is a file somewhere below it.

    Yields:
        Ascending names. Links are followed to files inside the volume; a linked directory is
        listed as one name, and not gone into, so that no loop of links has no end.
    """
    above = prefix.rpartition("/")[0]
    base = f"{above}/" if above else ""
    if floor > base and not floor.startswith(base):
        return  # every name below is before the floor
    try:
        with volume.directory(volume.segments(above)) as descriptor:
            yield from _walk(volume, descriptor, base, prefix[len(base) :], floor, nested)
    except (FileNotFoundError, NotADirectoryError, InvalidRequestError):
        return  # no name begins like that


def _walk(
    volume: Volume, descriptor: int, base: str, prefix: str, floor: str, nested: bool
) -> Generator[Found, None, None]:
    first = floor[len(base) :] if floor.startswith(base) else ""
    for name in _from(names_in(volume, descriptor), prefix, first):
        key = base + name
        if not name.endswith("/"):
            status = _status(volume, descriptor, name)
            if status is not None and stat.S_ISREG(status.st_mode):
                yield Found(key, status)
        elif nested:
            yield from _below(volume, descriptor, name, key, floor)
        elif _holds_file(volume, descriptor, name, key):
            yield Found(key, None)


def _from(names: list[str], prefix: str, first: str) -> Iterator[str]:
    """The names of a directory that begin with a prefix and are not before the first one wanted."""
    # `a/` sorts before `a/b`, and is where that is.
    directory, slash, _ = first.partition("/")
    begin = bisect_left(names, max(directory + slash, prefix))
    return _while(prefix, islice(names, begin, None))


def _while(prefix: str, names: Iterator[str]) -> Iterator[str]:
    return takewhile(lambda name: name.startswith(prefix), names) if prefix else names


def _below(
    volume: Volume, descriptor: int, name: str, base: str, floor: str
) -> Generator[Found, None, None]:
    try:
        below = os.open(volume.entry_of(name[:-1]), _FLAGS | os.O_NOFOLLOW, dir_fd=descriptor)
    except OSError:  # a link, or gone since the look
        return
    try:
        yield from _walk(volume, below, base, "", floor, nested=True)
    finally:
        os.close(below)


def _holds_file(volume: Volume, descriptor: int, name: str, key: str) -> bool:
    if next(_below(volume, descriptor, name, key, ""), None) is not None:
        return True
    entry = volume.entry_of(name[:-1])
    try:
        is_link = stat.S_ISLNK(os.lstat(entry, dir_fd=descriptor).st_mode)
    except OSError:  # gone since the directory was read
        return False
    return is_link and _status(volume, descriptor, name[:-1]) is not None


def _status(volume: Volume, descriptor: int, name: str) -> os.stat_result | None:
    """What is under a name of a directory, links followed inside of the volume."""
    try:
        return volume.look(descriptor, volume.entry_of(name))
    except OSError:  # gone since the directory was read
        return None


def children(
    volume: Volume, segments: tuple[str, ...], prefix: str = "", floor: str = ""
) -> Generator[Found, None, None]:
    """Files and directories directly in a directory of a share, empty ones included, by name.

    Arguments:
        volume: the share.
        segments: of the directory.
        prefix: what names begin with.
        floor: the first name wanted; names before it are not looked at.

    Raises:
        FileNotFoundError: there is no such directory.
        NotADirectoryError: it is a file.
    """
    with volume.directory(segments) as descriptor:
        names = names_in(volume, descriptor)
        begin = bisect_left(names, max(prefix, floor), key=without_slash)
        for name in _while(prefix, islice(names, begin, None)):
            status = _status(volume, descriptor, without_slash(name))
            if status is not None:
                usual = stat.S_ISDIR if name.endswith("/") else stat.S_ISREG
                if usual(status.st_mode):
                    yield Found(name, status)
