"""A text file's lines as rows."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import torch

from cntk.io import _ctf, _order
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
        table = _ctf.read(path, fields)
        self._columns = {name: torch.from_numpy(column) for name, column in table.columns.items()}
        self.streams = {name: ("dense", (stream.shape,)) for name, stream in streams.items()}
        self.keys: Sequence[str] | None = table.ids
        self.prepares = False
        self.chunks = _order.chunks(table.lengths)

    def rows(self, rows: Indices, names: Collection[str]) -> dict[str, torch.Tensor]:
        """Return these rows, each stream's of shape (rows, 1, dim)."""
        lines = torch.from_numpy(rows)
        return {name: self._columns[name][lines][:, None] for name in names & self._columns.keys()}

    def prepare(self, rows: Indices) -> None:
        """Do nothing: rows are at hand."""
