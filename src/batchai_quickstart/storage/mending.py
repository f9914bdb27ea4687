"""After a crash: have what is said about files agree with the files again."""

import os
from collections.abc import Callable
from contextlib import suppress

from batchai_quickstart.storage.sidecar import Sidecar
from batchai_quickstart.storage.unsettled import verdict
from batchai_quickstart.storage.volume import Kind, Volume

VolumeOf = Callable[[str, Kind, str], Volume]
"""The volume of an account, a kind and a name."""


def end_moves(sidecar: Sidecar, volume_of: VolumeOf) -> None:
    """End what a crash left between a rename on disk and the rows about it."""
    for note, (account, kind, name), source, target, inode in sidecar.moves():
        volume = volume_of(account, Kind(kind), name)
        there = volume.stat(volume.segments(target))
        moved = there is not None and there.st_ino == inode
        sidecar.end_move(note, (account, kind, name), source, target, moved=moved)


def mend(sidecar: Sidecar, volume_of: VolumeOf) -> None:
    """Have what is said about files that were changing at a crash agree with the files."""
    decided = set()
    for change in sidecar.unsettled():
        account, kind, name = change.key
        volume, file = volume_of(account, Kind(kind), name), (*change.key, change.path)
        segments = volume.segments(change.path)
        found = "done" if file in decided else verdict(change, volume.stat(segments))
        if found != "neither":
            decided.add(file)
        if found == "torn":
            _cut(volume, segments, change.stamp)
        if found == "neither":
            sidecar.drop(change.key, change.path)
        if found in ("undone", "torn"):
            sidecar.undo(change.number)
        else:
            sidecar.settle(change.number, at_once=True)


def _cut(volume: Volume, segments: tuple[str, ...], stamp: str) -> None:
    """Take the part of a block away that a crash left at the end of an append blob."""
    mtime, size = (int(digits, 16) for digits in stamp.rsplit("-", 1))
    with suppress(FileNotFoundError):
        descriptor = volume.open(segments, os.O_RDWR)
        try:
            os.ftruncate(descriptor, size)
            os.utime(descriptor, ns=(mtime, mtime))
        finally:
            os.close(descriptor)
