"""What a minibatch source reads from: rows that have keys, in chunks; and several as one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np
import torch

from cntk._sparse import SparseRows
from cntk.io._order import Indices


@final
@dataclass(frozen=True, slots=True)
class Steps:
    """What stands in rows that are sequences, or whose zeros are left out.

    Args:
        values: One row behind the other, shape (samples, dim).
        counts: How many samples each row has, shape (rows,); None: one.
    """

    values: torch.Tensor | SparseRows
    counts: Indices | None


Found = dict[str, torch.Tensor | Steps]


class Corpus(Protocol):
    """Rows of several streams.

    Attributes:
        streams: For each stream its storage (`dense` or `sparse`) and a sample's shape.
        keys: What each row is called in other corpora; None: its number.
        sizes: How many samples each row counts for, shape (rows,); None: one.
        chunks: Which rows are loaded, and so shuffled, together.
        prepares: Whether it helps to know what will be next.
    """

    streams: dict[str, tuple[str, tuple[int, ...]]]
    keys: Sequence[str] | None
    sizes: Indices | None
    chunks: list[range]
    prepares: bool

    def rows(self, rows: Indices, names: Collection[str]) -> Found:
        """Return these rows of at least these streams, each (rows, 1) + a sample's, or steps."""

    def prepare(self, rows: Indices) -> None:
        """Start on rows that will probably be next."""


def together(corpora: Sequence[Any]) -> Corpus:
    """Return one corpus of all.

    Raises:
        ValueError: Two streams have one name.
    """
    if len(corpora) == 1:
        (only,) = corpora
        found: Corpus = only
        return found
    return _Aligned(corpora)


@final
class _Aligned:
    """Rows with the same key side by side; the first corpus says which and in which chunks."""

    def __init__(self, corpora: Sequence[Corpus]) -> None:
        self._corpora = corpora
        self.streams: dict[str, tuple[str, tuple[int, ...]]] = {}
        for corpus in corpora:
            for name, stream in corpus.streams.items():
                if name in self.streams:
                    message = f"Two deserializers have a stream of the name '{name}'."
                    raise ValueError(message)
                self.streams[name] = stream
        self.prepares = any(corpus.prepares for corpus in corpora)
        first, *others = corpora
        positions = [_positions(corpus) for corpus in others]
        self.keys: Sequence[str] | None = None
        self.chunks: list[range] = []
        table: list[list[int]] = []
        for chunk in first.chunks:
            begin = len(table)
            for row in chunk:
                key = str(row) if first.keys is None else first.keys[row]
                if all(key in where for where in positions):
                    table.append([row, *(where[key] for where in positions)])
            # A chunk of which nothing is left does not count in the shuffle.
            if len(table) > begin:
                self.chunks.append(range(begin, len(table)))
        if not table:
            message = (
                "The deserializers have no sequence in common: their ids (or, without ids, the "
                "numbers of their lines) have to agree."
            )
            raise RuntimeError(message)
        self._table = np.array(table, np.int64)
        sizes = [
            corpus.sizes[self._table[:, i]]
            for i, corpus in enumerate(corpora)
            if corpus.sizes is not None
        ]
        self.sizes: Indices | None = np.maximum.reduce(sizes) if sizes else None

    def rows(self, rows: Indices, names: Collection[str]) -> Found:
        found: Found = {}
        for i, corpus in enumerate(self._corpora):
            found |= corpus.rows(self._table[rows, i], names)
        return found

    def prepare(self, rows: Indices) -> None:
        for i, corpus in enumerate(self._corpora):
            corpus.prepare(self._table[rows, i])


def _positions(corpus: Corpus) -> dict[str, int]:
    if corpus.keys is None:
        return {str(i): i for i in range(corpus.chunks[-1].stop)}
    return {key: i for i, key in enumerate(corpus.keys)}
