"""Pictures for minibatches: decoded and transformed by several threads, one minibatch ahead."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import torch

from cntk.io._order import Indices
from cntk.io._pixels import Picture, Step

_MOST_THREADS: Final = 16
_TOGETHER: Final = 4
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
        """Read everything, draw one after the other, then transform everything."""
        size = max(len(rows) // (self._threads * _TOGETHER), 1)
        parts = [range(i, min(i + size, len(rows))) for i in range(0, len(rows), size)]
        names = rows.tolist()
        reading = [self._pool.submit(self._some, [names[i] for i in part]) for part in parts]
        made: list[npt.NDArray[Any]] = []
        working = []
        for part, future in zip(parts, reading, strict=True):
            pictures = future.result()
            plans = [self._plan(p, i) for i, p in zip(part, pictures, strict=True)]
            working.append(self._pool.submit(self._worked, pictures, plans))
        for work in working:
            made += work.result()
        if any(picture.shape != made[0].shape for picture in made):
            message = (
                "Packer currently does not support samples with varying shapes.Please make sure "
                "there is a transform that unifies the shape of samples for input stream "
                "'features' or the deserializer provides samples with the same shape."
            )
            raise RuntimeError(message)
        return torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).contiguous()

    def _some(self, names: list[int]) -> list[Picture]:
        return [self._read(name) for name in names]

    def _plan(self, picture: Picture, place: int) -> list[Any]:
        height, width = picture.shape[:2]
        size = (height, width)
        plan = []
        for step in self._steps:
            drawn, size = step.draw(size, place)
            plan.append(drawn)
        return plan

    def _worked(self, pictures: list[Picture], plans: list[list[Any]]) -> list[Picture]:
        made = []
        for picture, plan in zip(pictures, plans, strict=True):
            worked = picture
            for step, drawn in zip(self._steps, plan, strict=True):
                worked = step.apply(worked, drawn)
            made.append(worked)
        return made


def _processors() -> int:
    """Return how many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
