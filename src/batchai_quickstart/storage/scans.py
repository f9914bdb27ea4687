"""The names in a directory, in the order of listings; a large one is read once while it stays.

A page of a listing has 5000 names, a directory may have any number, and a file system gives them
in no order: without the names at hand every page would cost as much as the whole directory.
"""

import os
import threading
import time
from typing import Final

from batchai_quickstart.storage.volume import Kind, Volume

_MANY: Final = 5000
"""Names of a directory that is worth remembering: more than a page."""

_ROOM: Final = 500_000
"""Names remembered at most, some 70 bytes each."""

_SETTLED: Final = 2_000_000_000
"""Nanoseconds without a change after which a directory's stamp tells of the next one: the coarsest
stamps there are have two seconds."""

_Stamp = tuple[int, int, int]

_lock = threading.Lock()
_remembered: dict[_Stamp, list[str]] = {}


def names_in(volume: Volume, descriptor: int) -> list[str]:
    """The names in a directory, as clients have them, in the order they are listed in.

    Arguments:
        volume: that the directory is in.
        descriptor: of the directory.

    Returns:
        Each name, with a slash behind that of a directory or of a link to one; not to be changed.
        Ascending, of a container with the slash, because names below begin like that, of a share
        without it.
    """
    status = os.fstat(descriptor)
    # The change time: nobody can set it back, and a name that comes or goes changes it.
    stamp = (status.st_dev, status.st_ino, status.st_ctime_ns)
    with _lock:
        found = _remembered.pop(stamp, None)
        if found is not None:
            _remembered[stamp] = found
            return found
    is_settled = abs(time.time_ns() - status.st_ctime_ns) > _SETTLED
    names, has_links = _read(volume, descriptor)
    # What a link leads to can change without its directory.
    if is_settled and not has_links and len(names) > _MANY:
        _remember(stamp, names)
    return names


def _read(volume: Volume, descriptor: int) -> tuple[list[str], bool]:
    names, has_links = [], False
    with os.scandir(descriptor) as entries:
        for entry in entries:
            name = volume.name_of(entry.name)
            names.append(f"{name}/" if _is_dir(entry) else name)
            has_links = has_links or entry.is_symlink()
    names.sort(key=None if volume.kind is Kind.BLOB else without_slash)
    return names, has_links


def without_slash(name: str) -> str:
    """A name of `names_in` without the sign of a directory."""
    return name.removesuffix("/")


def _is_dir(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that cannot be followed
        return False


def _remember(stamp: _Stamp, names: list[str]) -> None:
    with _lock:
        for other in [each for each in _remembered if each[:2] == stamp[:2]]:
            del _remembered[other]
        _remembered[stamp] = names
        while sum(map(len, _remembered.values())) > _ROOM:
            del _remembered[next(iter(_remembered))]
