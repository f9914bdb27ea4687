"""A text file's sequences as rows; a line that is no part of one is a row by itself."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from cntk._sparse import SparseRows
from cntk.io import _ctf, _mapped, _order
from cntk.io._corpus import Found, Steps
from cntk.io._order import Indices


@final
class Lines:
    """A corpus in the CNTK text format.

    Args:
        path: Of the file.
        streams: `StreamDef`s by the names that the script uses.
    """

    def __init__(self, path: Path, streams: Mapping[str, Any]) -> None:
        fields = {
            name: _ctf.Field(stream.field, stream.shape, stream.is_sparse)
            for name, stream in streams.items()
        }
        self.streams = {
            name: ("sparse" if stream.is_sparse else "dense", (stream.shape,))
            for name, stream in streams.items()
        }
        self.prepares = False
        self.keys: Sequence[str] | None = None
        self.sizes: Indices | None = None
        self._columns: dict[str, torch.Tensor | SparseRows] | None = None
        self._counts: dict[str, Indices] | None = None
        self._mapped = _mapped.mapped(path, fields)
        if self._mapped is not None:
            self.chunks = _order.chunks(self._mapped.lengths)
            return
        table = _ctf.read(path, fields)
        self._columns = {
            name: _samples(column, fields[name].dim) for name, column in table.columns.items()
        }
        self.keys = table.ids
        self.chunks = _order.chunks(table.lengths)
        self._counts = table.counts
        if table.counts is not None:
            # A sequence counts with the samples of its longest stream.
            self.sizes = np.maximum.reduce(list(table.counts.values()))
            self._starts = {name: np.cumsum([0, *n]) for name, n in table.counts.items()}

    def rows(self, rows: Indices, names: Collection[str]) -> Found:
        """Return these rows: of shape (rows, 1, dim), or as steps."""
        if self._mapped is not None:
            if not self._mapped.complete:
                given = self._mapped.take(rows)
                return {n: torch.from_numpy(given[n])[:, None] for n in names & given.keys()}
            columns = self._mapped.columns()
            self._columns = {name: torch.from_numpy(column) for name, column in columns.items()}
            self._mapped = None
        assert self._columns is not None
        return {n: self._stream(n, self._columns[n], rows) for n in names & self._columns.keys()}

    def _stream(
        self, name: str, column: torch.Tensor | SparseRows, rows: Indices
    ) -> torch.Tensor | Steps:
        counts = None
        if self._counts is not None:
            counts = self._counts[name][rows]
            before = np.cumsum([0, *counts[:-1]])
            starts = np.repeat(self._starts[name][rows] - before, counts)
            rows = starts + np.arange(len(starts))
        lines = torch.from_numpy(rows)
        if isinstance(column, SparseRows):
            return Steps(column.index_select(0, lines), counts)
        return column[lines][:, None] if counts is None else Steps(column[lines], counts)

    def prepare(self, rows: Indices) -> None:
        """Do nothing: rows are at hand."""


def _samples(column: "_ctf.Array | _ctf.Sparse", dim: int) -> torch.Tensor | SparseRows:
    if not isinstance(column, _ctf.Sparse):
        return torch.from_numpy(column)
    starts = np.cumsum([0, *column.counts])
    places, values = torch.from_numpy(column.places), torch.from_numpy(column.values)
    return SparseRows(torch.from_numpy(starts), places, values, (dim,))
