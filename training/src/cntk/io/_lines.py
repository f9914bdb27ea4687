"""A text file's lines as rows."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import torch

from cntk.io import _ctf, _mapped, _order
from cntk.io._order import Indices


@final
class Lines:
    """A corpus in the CNTK text format.

    Args:
        path: Of the file.
        streams: `StreamDef`s by the names that the script uses.
    """

    def __init__(self, path: Path, streams: Mapping[str, Any]) -> None:
        fields = {name: _ctf.Field(stream.field, stream.shape) for name, stream in streams.items()}
        self.streams = {name: ("dense", (stream.shape,)) for name, stream in streams.items()}
        self.keys: Sequence[str] | None = None
        self.prepares = False
        self._columns: dict[str, torch.Tensor] | None = None
        self._mapped = _mapped.mapped(path, fields)
        if self._mapped is not None:
            self.chunks = _order.chunks(self._mapped.lengths)
            return
        table = _ctf.read(path, fields)
        self._columns = {name: torch.from_numpy(column) for name, column in table.columns.items()}
        self.keys = table.ids
        self.chunks = _order.chunks(table.lengths)

    def rows(self, rows: Indices, names: Collection[str]) -> dict[str, torch.Tensor]:
        """Return these rows, each stream's of shape (rows, 1, dim)."""
        if self._columns is None:
            assert self._mapped is not None
            if not self._mapped.complete:
                given = self._mapped.take(rows)
                return {
                    name: torch.from_numpy(given[name])[:, None] for name in names & given.keys()
                }
            columns = self._mapped.columns()
            self._columns = {name: torch.from_numpy(column) for name, column in columns.items()}
            self._mapped = None
        lines = torch.from_numpy(rows)
        return {name: self._columns[name][lines][:, None] for name in names & self._columns.keys()}

    def prepare(self, rows: Indices) -> None:
        """Do nothing: rows are at hand."""
