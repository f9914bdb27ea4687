"""The names in a volume, in the order of a flat listing, without reading more than a page needs.

Azure lists the full names of blobs by code point. Going through directories with each
directory's name taken with its slash gives the same order, so a page begins and ends anywhere
and whole directories outside of the asked range are never opened.
"""

import os
import stat
from collections.abc import Generator
from dataclasses import dataclass

from batchai_quickstart.errors import InvalidRequestError
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
    try:
        segments = volume.segments(above)
        with volume.directory(segments) as descriptor:
            base = f"{above}/" if above else ""
            yield from _walk(volume, descriptor, base, prefix, floor, nested)
    except (FileNotFoundError, NotADirectoryError, InvalidRequestError):
        return  # no name begins like that


def _walk(
    volume: Volume, descriptor: int, base: str, prefix: str, floor: str, nested: bool
) -> Generator[Found, None, None]:
    for key, is_directory, entry in _sorted(volume, descriptor, base):
        # A directory is of interest while any name below it can be: `a/` sorts before the
        # floor `a/b` that is in it.
        if not key.startswith(prefix) and not prefix.startswith(key):
            continue
        if key < floor and not (is_directory and floor.startswith(key)):
            continue
        if not is_directory:
            if (status := _status(volume, entry, descriptor)) is not None:
                yield Found(key, status)
        elif nested:
            yield from _below(volume, descriptor, entry.name, key, prefix, floor)
        elif _holds_file(volume, descriptor, entry, key):
            yield Found(key, None)


def _below(
    volume: Volume, descriptor: int, name: str, base: str, prefix: str, floor: str
) -> Generator[Found, None, None]:
    try:
        below = os.open(name, _FLAGS | os.O_NOFOLLOW, dir_fd=descriptor)
    except OSError:  # a link, or gone since the look
        return
    try:
        yield from _walk(volume, below, base, prefix, floor, nested=True)
    finally:
        os.close(below)


def _holds_file(volume: Volume, descriptor: int, entry: "os.DirEntry[str]", key: str) -> bool:
    if entry.is_symlink():
        return _looked(volume, entry, descriptor) is not None
    return next(_below(volume, descriptor, entry.name, key, "", ""), None) is not None


def _sorted(
    volume: Volume, descriptor: int, base: str
) -> list[tuple[str, bool, "os.DirEntry[str]"]]:
    with os.scandir(descriptor) as entries:
        found = []
        for entry in entries:
            is_directory = _is_dir(entry)
            key = base + volume.name_of(entry.name) + ("/" if is_directory else "")
            found.append((key, is_directory, entry))
    found.sort(key=lambda pair: pair[0])
    return found


def _is_dir(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that cannot be followed
        return False


def _status(volume: Volume, entry: "os.DirEntry[str]", descriptor: int) -> os.stat_result | None:
    status = _looked(volume, entry, descriptor)
    return status if status is not None and stat.S_ISREG(status.st_mode) else None


def _looked(volume: Volume, entry: "os.DirEntry[str]", descriptor: int) -> os.stat_result | None:
    try:
        return volume.look(descriptor, entry.name)
    except OSError:  # gone since the directory was read
        return None


def children(
    volume: Volume, segments: tuple[str, ...], prefix: str = "", floor: str = ""
) -> Generator[Found, None, None]:
    """Files and directories directly in a directory of a volume, empty ones included, by name.

    Arguments:
        volume: the volume.
        segments: of the directory.
        prefix: what names begin with.
        floor: the first name wanted; names before it are not looked at.

    Raises:
        FileNotFoundError: there is no such directory.
        NotADirectoryError: it is a file.
    """
    with volume.directory(segments) as descriptor, os.scandir(descriptor) as entries:
        wanted = [each for each in entries if each.name >= floor and each.name.startswith(prefix)]
        wanted.sort(key=lambda each: each.name)
        for entry in wanted:
            if _is_dir(entry):
                if (status := _looked(volume, entry, descriptor)) is not None:
                    yield Found(entry.name + "/", status)
            elif (status := _status(volume, entry, descriptor)) is not None:
                yield Found(entry.name, status)
