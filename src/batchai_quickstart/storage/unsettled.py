"""Changes of files that a crash may have cut off, and what a file says about one."""

import os
from dataclasses import dataclass
from typing import Literal

from batchai_quickstart.storage.properties import Properties, State, stamp

VolumeKey = tuple[str, str, str]
"""Account, kind, name."""


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A change of a file of which nobody noted that it is complete.

    Arguments:
        number: of the change.
        key: the volume.
        path: of the file in it.
        after: what the file was to become; None when it was to go.
        inode: of the row there was before; None when there was none.
        stamp: of that row.
        said: what it said.
    """

    number: int
    key: VolumeKey
    path: str
    after: State | None
    inode: int | None
    stamp: str
    said: Properties


def verdict(
    change: Unsettled, status: os.stat_result | None
) -> Literal["done", "undone", "torn", "neither"]:
    """What a file says about a change of it that a crash may have cut off.

    Arguments:
        change: the change.
        status: of the file; None when there is none.

    Returns:
        `done` or `undone`: what is said now, or what was said before, is about this file. `torn`:
        a part of a block was added to an append blob. `neither`: it is another file.
    """
    if status is None:
        return "done" if change.after is None else "neither"
    if change.inode == status.st_ino and change.stamp == stamp(status):
        return "undone"
    if change.after is None or change.after[0] != status.st_ino:
        # An inode number alone is no proof: the next new file may get that of one that is gone.
        return "neither"
    if change.inode == status.st_ino and change.said.kind:
        before, after = (_size(each) for each in (change.stamp, change.after[1]))
        if before < status.st_size < after:
            return "torn"
    return "done"


def _size(stamp: str) -> int:
    """The size of the file of that stamp."""
    return int(stamp.rpartition("-")[2], 16)
