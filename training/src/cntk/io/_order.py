"""The order in which a sweep gives out the lines: CNTK's own shuffle, of chunks, then of lines."""

from typing import Final

import numpy as np
import numpy.typing as npt

from cntk._random import MersenneTwister64

_CHUNK: Final = 32 << 20
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


def shuffled(parts: list[range], seed: int, window: int) -> Indices:
    """Return the lines in the order of a sweep.

    Args:
        parts: The chunks.
        seed: Of the sweep: the reader's seed plus the sweep's number.
        window: How many chunks are shuffled together; all of a file's must fit.

    Returns:
        Line numbers, shape (lines,).

    Raises:
        NotImplementedError: The file has more chunks than the window.
    """
    if len(parts) > window:
        message = (
            f"The data have {len(parts)} chunks of 32 MiB, more than the randomization window of "
            f"{window}; a moving window "
            "is not provided by this package yet. Give a greater randomization_window_in_chunks."
        )
        raise NotImplementedError(message)
    order = [parts[i] for i in _swapped(list(range(len(parts))), seed)]
    lines = _swapped([line for part in order for line in part], seed)
    return np.array(lines, np.int64)


def _swapped(items: list[int], seed: int) -> list[int]:
    """Swap each item in turn with one drawn from all of them."""
    size = len(items)
    drawn = MersenneTwister64(seed).integers(size) % np.uint64(max(size, 1))
    for i, j in enumerate(drawn.tolist()):
        items[i], items[j] = items[j], items[i]
    return items
