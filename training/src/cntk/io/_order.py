"""The order in which a sweep gives out the lines: CNTK's own shuffle, of chunks, then of lines.

A chunk is what a reader loads at once: as many lines as fit into 32 MiB, or one picture. The chunks
are shuffled, and then each line is swapped with one drawn from the window of chunks around its own.
"""

from typing import Final, final

import numpy as np
import numpy.typing as npt

from cntk._random import MersenneTwister64

_CHUNK: Final = 32 << 20
_READY: Final = 4096
Indices = npt.NDArray[np.int64]


def chunks(lengths: npt.NDArray[np.int64]) -> list[range]:
    """Return which lines stand together: as many as fit into 32 MiB.

    Args:
        lengths: The bytes of each line, shape (lines,).
    """
    ends = np.cumsum(lengths)
    found: list[range] = []
    start = 0
    while start < len(lengths):
        before = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, before + _CHUNK, side="right")), start + 1)
        found.append(range(start, stop))
        start = stop
    return found


def shuffled(parts: list[range], seed: int, window: int, in_samples: bool = False) -> Indices:
    """Return the lines in the order of a sweep.

    Args:
        parts: The chunks.
        seed: Of the sweep: the reader's seed plus the sweep's number.
        window: Over how many chunks, or lines, a line can move.
        in_samples: Whether that is a number of lines.

    Returns:
        Line numbers, shape (lines,).
    """
    order = [parts[i] for i in _swapped(list(range(len(parts))), seed)]
    lines = [line for part in order for line in part]
    if not in_samples and len(parts) <= window:
        return np.array(_swapped(lines, seed), np.int64)
    starts = np.cumsum([0, *map(len, order)]).tolist()
    windows = _by_samples(starts, window) if in_samples else _by_chunks(len(order), window)
    return np.array(_moved(lines, starts, windows, seed), np.int64)


def places(parts: list[range], seed: int) -> Indices:
    """Return for each line where its chunk stands in the order of a sweep, shape (lines,).

    Args:
        parts: The chunks.
        seed: Of the sweep.
    """
    place = np.empty(len(parts), np.int64)
    place[_swapped(list(range(len(parts))), seed)] = np.arange(len(parts))
    return np.repeat(place, [len(part) for part in parts])


def _by_chunks(count: int, window: int) -> list[range]:
    """Return for each chunk those that its lines may move to."""
    size = min(window, count)
    firsts = (min(max(i - window // 2, 0), count - size) for i in range(count))
    return [range(first, first + size) for first in firsts]


def _by_samples(starts: list[int], window: int) -> list[range]:
    """Return the same for a window of lines: half of it before and half behind the chunk."""
    count = len(starts) - 1
    found = []
    first, stop = 0, 1
    for i in range(count):
        while starts[i] - starts[first] > window // 2:
            first += 1
        first, stop = min(first, i), max(stop, i + 1)
        while stop < count and starts[stop + 1] - starts[i] < window // 2:
            stop += 1
        found.append(range(first, stop))
    return found


def _moved(items: list[int], starts: list[int], windows: list[range], seed: int) -> list[int]:
    """Swap each item in turn with one of its chunk's window, if both may stand where they get."""
    chunk_of = np.repeat(np.arange(len(windows)), np.diff(starts)).tolist()
    origin = list(chunk_of)
    draw = _Drawn(seed)
    for i, chunk in enumerate(chunk_of):
        window = windows[chunk]
        low = starts[window.start]
        size = starts[window.stop] - low
        while True:
            j = low + draw.next() % size
            if origin[j] in window and origin[i] in windows[chunk_of[j]]:
                break
        items[i], items[j] = items[j], items[i]
        origin[i], origin[j] = origin[j], origin[i]
    return items


@final
class _Drawn:
    """A generator's numbers one by one."""

    def __init__(self, seed: int) -> None:
        self._generator = MersenneTwister64(seed)
        self._ready: list[int] = []

    def next(self) -> int:
        if not self._ready:
            self._ready = self._generator.integers(_READY)[::-1].tolist()
        return self._ready.pop()


def _swapped(items: list[int], seed: int) -> list[int]:
    """Swap each item in turn with one drawn from all of them."""
    size = len(items)
    drawn = MersenneTwister64(seed).integers(size) % np.uint64(max(size, 1))
    for i, j in enumerate(drawn.tolist()):
        items[i], items[j] = items[j], items[i]
    return items
