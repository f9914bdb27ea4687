"""Pictures for minibatches: decoded and transformed by several threads, one minibatch ahead."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, final

import numpy as np
import torch

from cntk.io._order import Indices
from cntk.io._pixels import Picture, Step

_MOST_THREADS: Final = 16
_TOGETHER: Final = 2
"""How many tasks each thread gets for a minibatch: few, for each costs, and more than one, for they
do not take equally long."""


@final
class Pictures:
    """Minibatches of pictures, the next one in the making while one is used.

    Like CNTK it makes the next one of the size of the last; if it is another that is asked for,
    then the random numbers of the one made in vain are gone.

    Args:
        read: Returns the picture of a row; it is called on several threads.
        steps: What is done to each.
    """

    def __init__(self, read: Callable[[int], Picture], steps: Sequence[Step]) -> None:
        self._read = read
        self._steps = steps
        self._threads = min(_processors(), _MOST_THREADS)
        self._pool = ThreadPoolExecutor(self._threads, "cntk-pictures")
        self._conductor = ThreadPoolExecutor(1, "cntk-minibatch")
        self._next: tuple[Indices, Future[torch.Tensor]] | None = None

    def take(self, rows: Indices) -> torch.Tensor:
        """Return pictures, shape (rows, 3, height, width), bytes where nothing made them floats.

        Raises:
            RuntimeError: A file cannot be read, or pictures differ in size; in CNTK's words.
        """
        ready, self._next = self._next, None
        if ready is not None and np.array_equal(ready[0], rows):
            return ready[1].result()
        return self._conductor.submit(self._make, rows).result()

    def prepare(self, rows: Indices) -> None:
        """Start on the minibatch that will probably be next."""
        self._next = (rows, self._conductor.submit(self._make, rows))

    def _make(self, rows: Indices) -> torch.Tensor:
        size = max(-(-len(rows) // (self._threads * _TOGETHER)), 1)
        numbered = list(enumerate(rows.tolist()))
        parts = [numbered[i : i + size] for i in range(0, len(rows), size)]
        made = [picture for part in self._pool.map(self._worked, parts) for picture in part]
        if any(picture.shape != made[0].shape for picture in made):
            message = (
                "Packer currently does not support samples with varying shapes.Please make sure "
                "there is a transform that unifies the shape of samples for input stream "
                "'features' or the deserializer provides samples with the same shape."
            )
            raise RuntimeError(message)
        return torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).contiguous()

    def _worked(self, part: list[tuple[int, int]]) -> list[Picture]:
        """Read, draw and transform; places draw from generators of their own, so in any order."""
        made = []
        for place, row in part:
            picture = self._read(row)
            for step in self._steps:
                height, width = picture.shape[:2]
                picture = step.apply(picture, step.draw((height, width), place))
            made.append(picture)
        return made


def _processors() -> int:
    """Return how many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
