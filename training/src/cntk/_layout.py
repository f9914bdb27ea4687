"""Where the steps of a minibatch's sequences stand in one tensor.

The value of a sequence variable is packed: all steps of all sequences in one tensor of shape
(rows,) + sample shape, the first steps of all sequences before the second ones, the longest
sequence first. So one step of the sequences that are still running is a slice, and what works
sample by sample needs no masks and knows nothing of sequences.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import torch

from cntk.device import use_default_device

Indices = npt.NDArray[np.int64]
_OUTSIDE: Final = -1


@final
@dataclass(frozen=True, eq=False)
class Layout:
    """The sequences of a minibatch.

    Args:
        lengths: Steps of each sequence, in the minibatch's order, shape (sequences,).
    """

    lengths: Indices

    @staticmethod
    def of(lengths: Sequence[int] | Indices) -> "Layout":
        """Return the layout of sequences of these lengths.

        Raises:
            RuntimeError: A sequence has no step.
        """
        counted = np.asarray(lengths, np.int64)
        if not len(counted) or counted.min() < 1:
            message = "AddSequence: Sequences must be a least one frame long."
            raise RuntimeError(message)
        return Layout(counted)

    def same(self, other: "Layout") -> bool:
        """Return whether the steps stand in the same places."""
        return self is other or np.array_equal(self.lengths, other.lengths)

    @cached_property
    def order(self) -> Indices:
        """The numbers of the sequences, the longest first, shape (sequences,)."""
        return np.argsort(-self.lengths, kind="stable")

    @cached_property
    def rank(self) -> Indices:
        """The place of each sequence in `order`, shape (sequences,)."""
        places = np.empty_like(self.order)
        places[self.order] = np.arange(len(places))
        return places

    @cached_property
    def counts(self) -> list[int]:
        """How many sequences have each step, shape (longest,)."""
        ends = np.bincount(self.lengths)
        alive: list[int] = np.cumsum(ends[::-1])[::-1][1:].tolist()
        return alive

    @cached_property
    def offsets(self) -> Indices:
        """The row where each step begins, and the number of rows, shape (longest + 1,)."""
        return np.cumsum([0, *self.counts])

    @property
    def rows(self) -> int:
        """How many steps there are in all."""
        return int(self.offsets[-1])

    @cached_property
    def step_of(self) -> Indices:
        """The step that each row is, shape (rows,)."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def sequence_of(self) -> Indices:
        """The sequence that each row belongs to, shape (rows,)."""
        places = np.arange(self.rows) - self.offsets[self.step_of]
        found: Indices = self.order[places]
        return found

    def row(self, sequences: Indices, steps: Indices) -> Indices:
        """Return the rows of these steps of these sequences."""
        found: Indices = self.offsets[steps] + self.rank[sequences]
        return found

    @cached_property
    def starts(self) -> Indices:
        """The first step of each sequence when one stands behind the other, (sequences + 1,)."""
        return np.cumsum([0, *self.lengths])

    @cached_property
    def _from_listed(self) -> Indices:
        found: Indices = self.starts[self.sequence_of] + self.step_of
        return found

    # The same as tensors on the device, for indexing.

    @cached_property
    def to_packed(self) -> torch.Tensor:
        """For each row its place when the sequences stand one behind the other."""
        return on_device(self._from_listed)

    @cached_property
    def to_listed(self) -> torch.Tensor:
        """For each step of one sequence after the other its row."""
        found = np.empty_like(self._from_listed)
        found[self._from_listed] = np.arange(self.rows)
        return on_device(found)

    @cached_property
    def sequence_of_row(self) -> torch.Tensor:
        """`sequence_of` on the device."""
        return on_device(self.sequence_of)

    @cached_property
    def sorted_sequences(self) -> torch.Tensor:
        """`order` on the device."""
        return on_device(self.order)

    @cached_property
    def _shifts(self) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
        return {}

    def shifted(self, offset: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return for each row the row `offset` steps earlier, and whether there is one.

        Args:
            offset: Negative for later steps.
        """
        if offset not in self._shifts:
            steps = self.step_of - offset
            inside = (steps >= 0) & (steps < self.lengths[self.sequence_of])
            rows = self.row(self.sequence_of, np.where(inside, steps, 0))
            self._shifts[offset] = (on_device(rows), on_device(inside))
        return self._shifts[offset]

    def beyond(self, offset: int, source: "Layout") -> torch.Tensor:
        """Return rows of `source` that stand before the first step, as if it had ended there.

        Args:
            offset: How many steps each row looks back; negative for ahead, and then the rows are
                those that follow the last step, as if `source` began there.
            source: The layout of the sequences that come before or after these.
        """
        lengths = source.lengths[self.sequence_of]
        steps = self.step_of - offset
        steps = lengths + steps if offset > 0 else steps - self.lengths[self.sequence_of]
        return on_device(source.row(self.sequence_of, np.clip(steps, 0, lengths - 1)))


@final
@dataclass(frozen=True, slots=True)
class Packed:
    """A sequence variable's value for a minibatch.

    Args:
        values: Shape (rows,) + sample shape; or rows whose zeros are left out.
        layout: Which row is which step.
    """

    values: Any
    layout: Layout


def on_device(array: npt.NDArray[Any]) -> torch.Tensor:
    """Return an array as a tensor where everything is computed."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(use_default_device()._torch)
