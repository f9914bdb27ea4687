"""Blocks that are uploaded and not yet committed.

The blocks of one blob share one file, each at the place reserved when its request came in. A
client that sends blocks in order, a few at a time, so builds the blob where it will stay: the
commit moves the few that came too early and renames the file. The blocks live as long as the
process, for a week at most; a client that commits blocks of an earlier life is told that they
are missing and sends them again.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.transfer import copy
from batchai_quickstart.storage.volume import Volume

_LIFETIME: Final = 7 * 24 * 3600.0

_Blob = tuple[Path, float, str]
"""A container, when it was made, and a name in it."""


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a file: where it is and how long."""

    descriptor: int
    offset: int
    length: int


@dataclass(slots=True)
class Upload:
    """The uncommitted blocks of one blob.

    Arguments:
        path: the file they are in.
        born: when the first one came, in seconds of the monotonic clock.
        end: where the next block goes.
        writers: blocks being written now.
        blocks: offset and length of each complete block, by id.
        closed: the upload was committed or given up.
    """

    path: Path
    born: float
    end: int = 0
    writers: int = 0
    blocks: dict[str, tuple[int, int]] = field(default_factory=dict)
    closed: bool = False

    def reserve(self, length: int) -> int:
        """The offset of a block that begins to arrive; `finish` must follow."""
        offset = self.end
        self.end += length
        self.writers += 1
        return offset

    def finish(self) -> None:
        """A block has arrived, or will not."""
        self.writers -= 1
        self._tidy()

    def close(self) -> None:
        """Give the blocks up; the file goes when the last writer is done."""
        self.closed = True
        self._tidy()

    def _tidy(self) -> None:
        if self.closed and not self.writers:
            self.path.unlink(missing_ok=True)


class Staging:
    """Every upload of uncommitted blocks of a service.

    Arguments:
        store: in whose staging area the files are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._uploads: dict[_Blob, Upload] = {}

    def get(self, volume: Volume, path: str) -> Upload | None:
        """The uncommitted blocks of a blob; None when there are none."""
        return self._uploads.get(self._blob(volume, path))

    def begin(self, volume: Volume, path: str) -> Upload:
        """The uncommitted blocks of a blob, to add to."""
        key = self._blob(volume, path)
        if key not in self._uploads:
            self._expire()
            descriptor, file = self._store.create_staged()
            os.close(descriptor)
            self._uploads[key] = Upload(Path(file), time.monotonic())
        return self._uploads[key]

    def take(self, volume: Volume, path: str) -> Upload | None:
        """Remove and return a blob's uncommitted blocks; the caller closes them."""
        return self._uploads.pop(self._blob(volume, path), None)

    def drop(self, volume: Volume, path: str) -> None:
        """Give a blob's uncommitted blocks up."""
        if upload := self.take(volume, path):
            upload.close()

    def tidy(self, upload: Upload) -> None:
        """Give an upload up if nothing of it has arrived, and nothing is on its way."""
        if not upload.blocks and not upload.writers:
            for key in [key for key, each in self._uploads.items() if each is upload]:
                self._uploads.pop(key).close()

    def drop_volume(self, volume: Volume) -> None:
        """Give the uncommitted blocks of a whole container up."""
        for key in [key for key in self._uploads if key[0] == volume.path]:
            self._uploads.pop(key).close()

    def _blob(self, volume: Volume, path: str) -> "_Blob":
        # A container that is deleted and made again is another one: blocks do not outlive it.
        facts = self._store.facts_of(volume.account, volume.kind, volume.name)
        return volume.path, facts.created if facts is not None else 0.0, path

    def _expire(self) -> None:
        oldest = time.monotonic() - _LIFETIME
        for key in [key for key, upload in self._uploads.items() if upload.born < oldest]:
            self._uploads.pop(key).close()


def assemble(upload: Upload | None, fresh: int, wanted: Sequence[Block]) -> bool:
    """Bring blocks into their order, moving as few bytes as possible.

    Runs in a thread: it may copy the whole blob.

    Arguments:
        upload: whose file may be rearranged in place, because nobody writes into it and nothing
            else needs it; None to copy everything.
        fresh: descriptor of an empty file for the copy.
        wanted: the blocks of the blob, in order.

    Returns:
        Whether `upload.path` is the blob now; otherwise the file of `fresh` is.
    """
    places: list[int] = []
    total = 0
    for block in wanted:
        places.append(total)
        total += block.length
    if upload is not None:
        astray = [
            (block, place)
            for block, place in zip(wanted, places, strict=True)
            if block.offset != place
        ]
        if 2 * sum(block.length for block, _ in astray) <= total:
            _rearrange(upload, astray, total)
            return True
    for block, place in zip(wanted, places, strict=True):
        copy(block.descriptor, block.offset, fresh, place, block.length)
    return False


def _rearrange(upload: Upload, astray: Sequence[tuple[Block, int]], total: int) -> None:
    descriptor = os.open(upload.path, os.O_RDWR | os.O_CLOEXEC)
    try:
        # First behind everything, then to their places: no block overwrites another's bytes.
        spare = max(upload.end, total)
        for block, _ in astray:
            copy(descriptor, block.offset, descriptor, spare, block.length)
            spare += block.length
        spare = max(upload.end, total)
        for block, place in astray:
            copy(descriptor, spare, descriptor, place, block.length)
            spare += block.length
        os.ftruncate(descriptor, total)
    finally:
        os.close(descriptor)
