"""Samples whose zeros are left out: one-hot vectors of words, bags of words.

Only what is not zero is kept, row after row; the last axis of the sample is the one that is left
out. A product with a matrix picks and sums rows of it, so a vocabulary's width costs nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from cntk.device import use_default_device
from cntk.variables import Shape

_Tensor = torch.Tensor


@final
@dataclass(frozen=True, slots=True, eq=False)
class SparseRows:
    """Samples of one shape.

    Args:
        starts: Where each row begins among the values, and their number, shape (rows + 1,); a
            sample has a row for each index of its leading axes.
        columns: The place of each value in its row, shape (values,).
        values: What is not zero, shape (values,).
        shape: Of one sample; the last dimension is a row's width.
    """

    starts: _Tensor
    columns: _Tensor
    values: _Tensor
    shape: Shape

    @staticmethod
    def of(dense: npt.NDArray[Any]) -> "SparseRows":
        """Leave the zeros out of an array of shape (samples,) + shape."""
        shape = dense.shape[1:]
        rows = dense.reshape(-1, shape[-1])
        row, columns = np.nonzero(rows)
        starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(rows)))])
        return SparseRows.from_arrays(starts, columns, rows[row, columns], shape)

    @staticmethod
    def from_arrays(
        starts: npt.ArrayLike, columns: npt.ArrayLike, values: npt.NDArray[Any], shape: Shape
    ) -> "SparseRows":
        """Return rows on the device in use.

        Raises:
            ValueError: A place is outside its row.
        """
        device = use_default_device()._torch
        placed = torch.from_numpy(np.asarray(columns, np.int64))
        if len(placed) and not 0 <= int(placed.min()) <= int(placed.max()) < shape[-1]:
            message = (
                f"A sparse sample has a value at index {int(placed.max())}, but its dimension is "
                f"{shape[-1]}."
            )
            raise ValueError(message)
        return SparseRows(
            torch.from_numpy(np.asarray(starts, np.int64)).to(device),
            placed.to(device),
            torch.from_numpy(np.ascontiguousarray(values)).to(device),
            shape,
        )

    @staticmethod
    def joined(parts: "Sequence[SparseRows]") -> "SparseRows":
        """Return the samples of all parts, one after the other."""
        counts = torch.cat([part.starts.diff() for part in parts])
        return SparseRows(
            torch.cat([counts.new_zeros(1), counts.cumsum(0)]),
            torch.cat([part.columns for part in parts]),
            torch.cat([part.values for part in parts]),
            parts[0].shape,
        )

    @property
    def _rows_each(self) -> int:
        return math.prod(self.shape[:-1])

    def __len__(self) -> int:
        return (len(self.starts) - 1) // max(self._rows_each, 1)

    def on(self, device: torch.device, dtype: torch.dtype) -> "SparseRows":
        """Return the same samples on a device, as a type."""
        return SparseRows(
            self.starts.to(device, non_blocking=True),
            self.columns.to(device, non_blocking=True),
            self.values.to(device, dtype, non_blocking=True),
            self.shape,
        )

    def shaped(self, shape: Shape) -> "SparseRows":
        """Return the same values as samples of another shape with the same width.

        Raises:
            ValueError: The width differs.
        """
        if shape[-1:] != self.shape[-1:]:
            message = f"Sparse samples of shape {self.shape} cannot be taken as {shape}."
            raise ValueError(message)
        return SparseRows(self.starts, self.columns, self.values, shape)

    def index_select(self, _axis: int, samples: _Tensor) -> "SparseRows":
        """Return the samples of these numbers."""
        each = self._rows_each
        rows = samples
        if each != 1:
            rows = (samples[:, None] * each + torch.arange(each, device=samples.device)).reshape(-1)
        counts = self.starts.diff()[rows]
        starts = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        moved = torch.repeat_interleave(self.starts[rows] - starts[:-1], counts)
        taken = moved + torch.arange(len(moved), device=moved.device)
        return SparseRows(starts, self.columns[taken], self.values[taken], self.shape)

    def _row_of(self) -> _Tensor:
        counts = self.starts.diff()
        return torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)

    def dense(self, shape: Shape | None = None) -> _Tensor:
        """Return the samples with their zeros, shape (samples,) + shape."""
        whole = self.values.new_zeros(len(self.starts) - 1, self.shape[-1])
        whole.index_put_((self._row_of(), self.columns), self.values, accumulate=True)
        return whole.view(-1, *(self.shape if shape is None else shape))

    def times(self, matrix: _Tensor) -> _Tensor:
        """Return rows @ matrix, shape (rows, out); `matrix` has the shape (width, out).

        A parameter's gradient has the rows only that were picked.
        """
        return functional.embedding_bag(
            self.columns,
            matrix,
            self.starts,
            mode="sum",
            sparse=matrix.is_leaf,
            per_sample_weights=self.values.to(matrix.dtype),
            include_last_offset=True,
        )

    def dot(self, dense: _Tensor) -> _Tensor:
        """Return for each row its scalar product with a row of `dense`, shape (rows,)."""
        row = self._row_of()
        parts = dense[row, self.columns] * self.values
        return parts.new_zeros(len(self.starts) - 1).index_add(0, row, parts)


def is_scipy(value: Any) -> bool:
    """Return whether a value is one of scipy's sparse matrices."""
    return hasattr(value, "tocsr") and hasattr(value, "nnz")


def from_scipy(matrix: Any, shape: Shape, dtype: torch.dtype) -> SparseRows:
    """Return the rows of a scipy matrix as samples of `shape`."""
    csr = matrix.tocsr()
    rows = SparseRows.from_arrays(csr.indptr, csr.indices, csr.data, (csr.shape[-1],))
    made = rows.shaped(shape)
    return SparseRows(made.starts, made.columns, made.values.to(dtype), shape)
