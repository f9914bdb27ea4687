"""The CNTK text format: lines of `|name value value ...`, read into one array for each stream.

Most files hold the same streams with the same counts on each line: such blocks of lines are read
by arithmetic on their bytes (`_blocks`), a hundred times faster than word by word. Everything else
goes through the careful reader, which also knows sequences, sparse samples, comments, missing
values and what is wrong with a line.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from cntk.io import _blocks

Array = npt.NDArray[Any]
_BLOCK: Final = 1 << 18
_NEWLINE: Final = ord("\n")


@final
@dataclass(frozen=True, slots=True)
class Field:
    """What a stream is in the file.

    Args:
        name: After the bar.
        dim: How many values each sample has.
        is_sparse: Whether its samples are written as `index:value`.
    """

    name: str
    dim: int
    is_sparse: bool = False


@final
@dataclass(frozen=True, slots=True)
class Sparse:
    """Samples whose zeros are left out.

    Args:
        counts: How many values each sample has, shape (samples,).
        places: Of each value in its sample, shape (values,).
        values: Shape (values,).
    """

    counts: Array
    places: Array
    values: Array

    def __len__(self) -> int:
        return len(self.counts)


@final
@dataclass(frozen=True, slots=True)
class Table:
    """A file's contents.

    Args:
        columns: For each stream the values of all samples, shape (samples, dim); bytes where all
            are whole and fit; or sparse ones.
        lengths: The bytes of each sequence, shape (sequences,).
        counts: For each stream how many samples each sequence has, shape (sequences,); None where
            that is one sample throughout.
        ids: Each sequence's id; None if lines have none.
    """

    columns: dict[str, Array | Sparse]
    lengths: npt.NDArray[np.int64]
    counts: dict[str, npt.NDArray[np.int64]] | None = None
    ids: list[str] | None = None


@final
@dataclass(slots=True)
class _Reading:
    """Where the careful reader is in the file.

    Args:
        path: Of the file.
        fields: Of the streams.
        offset: Bytes before the block.
        lengths: Bytes of the lines, block by block.
        owners: The sequence of each line, block by block.
        samples: For each stream the sequence of each sample, block by block.
        sequences: How many sequences have begun.
        ids: Their numbers, where lines carry these.
        numbered: Whether lines carry the number of their sequence; the first line decides.
        previous: The number of the last line that had one.
    """

    path: Path
    fields: list[Field]
    offset: int = 0
    lengths: list[Array] = field(default_factory=list)
    owners: list[Array] = field(default_factory=list)
    samples: list[list[Array]] = field(default_factory=list)
    sequences: int = 0
    ids: list[str] = field(default_factory=list)
    numbered: bool | None = None
    previous: str = ""

    def error(self, problem: str, offset: int) -> RuntimeError:
        return RuntimeError(
            "Reached the maximum number of allowed errors while reading the input file "
            f"({self.path}): {problem} at offset {offset}."
        )


def read(path: Path, fields: Mapping[str, Field]) -> Table:
    """Read a file.

    Args:
        path: Of the file.
        fields: For each stream, by the name that scripts use, what it is in the file.

    Returns:
        All samples in the file's order.

    Raises:
        RuntimeError: The file is missing, empty or malformed; CNTK's own words first.
    """
    listed = list(fields.values())
    plain = not any(f.is_sparse for f in listed)
    reading = _Reading(path, listed)
    parts: list[list[Any]] = [[] for _ in listed]
    for block in _pieces(path):
        data = np.frombuffer(block, np.uint8)
        columns = _by_arithmetic(data, listed) if plain and not reading.numbered else None
        if columns is None:
            columns = _carefully(block, reading)
        else:
            reading.numbered = False
            ends = np.flatnonzero(data == _NEWLINE) + 1
            _note_lines(reading, np.diff(ends, prepend=0))
        for part, values in zip(parts, columns, strict=True):
            part.append(values)
        reading.offset += len(block)
    if not reading.sequences:
        message = f"Input file is empty: {path}"
        raise RuntimeError(message)
    joined = {name: _joined(f, part) for (name, f), part in zip(fields.items(), parts, strict=True)}
    lengths = np.concatenate(reading.lengths)
    if not reading.numbered:
        return Table(joined, lengths)
    bytes_of = np.bincount(np.concatenate(reading.owners), lengths, reading.sequences)
    counts = {
        name: np.bincount(
            np.concatenate([block[i] for block in reading.samples]), minlength=reading.sequences
        )
        for i, name in enumerate(fields)
    }
    _check_complete(reading, counts)
    whole = any((count != 1).any() for count in counts.values())
    return Table(joined, bytes_of.astype(np.int64), counts if whole else None, reading.ids)


def _check_complete(reading: _Reading, counts: Mapping[str, Array]) -> None:
    for name, count in counts.items():
        if not count.all():
            message = (
                f"Malformed input file. Bailing out. ({reading.path}: no '{name}' in the sequence "
                f"{int(np.argmin(count != 0))}, counted from 0)"
            )
            raise RuntimeError(message)


def _note_lines(reading: _Reading, lengths: Array) -> None:
    """Note lines that are a sequence each."""
    reading.lengths.append(lengths)
    reading.sequences += len(lengths)


def _pieces(path: Path) -> Iterator[bytes]:
    """Yield the file in pieces of whole lines; the last line gets an end if it has none."""
    try:
        file = path.open("rb")
    except OSError as error:
        message = f"Input file '{path}' is not open. ({error.strerror})"
        raise RuntimeError(message) from error
    with file:
        rest = b""
        while piece := file.read(_BLOCK):
            cut = piece.rfind(b"\n") + 1
            if cut:
                yield rest + piece[:cut]
                rest = piece[cut:]
            else:
                rest += piece
        if rest.strip():
            yield rest + b"\n"


def _joined(stream: Field, parts: list[Any]) -> Array | Sparse:
    if stream.is_sparse:
        return Sparse(
            np.concatenate([part.counts for part in parts]),
            np.concatenate([part.places for part in parts]),
            np.concatenate([part.values for part in parts]),
        )
    if all(part.dtype == np.uint8 for part in parts):
        return np.concatenate(parts)
    return np.concatenate([part.astype(np.float32, copy=False) for part in parts])


def _by_arithmetic(data: npt.NDArray[np.uint8], fields: list[Field]) -> list[Array] | None:
    """Return the columns if every line has these streams in one order, spelt plainly."""
    first = bytes(data[: int(np.argmax(data == _NEWLINE))])
    shape = _blocks.shape_of(first, [f.name for f in fields], [f.dim for f in fields])
    return None if shape is None else _blocks.read(data, shape)


def _carefully(block: bytes, reading: _Reading) -> list[Any]:
    """Read lines word by word."""
    fields = reading.fields
    by_name = {f.name: i for i, f in enumerate(fields)}
    columns = [_SparseColumn(f.dim) if f.is_sparse else _DenseColumn(f.dim) for f in fields]
    samples: list[list[int]] = [[] for _ in fields]
    lengths: list[int] = []
    owners: list[int] = []
    pending, offset = 0, reading.offset
    for line in block.splitlines(keepends=True):
        pending += len(line)
        if not line.strip():
            continue
        head, *parts = line.decode(errors="replace").rstrip("\r\n").split("|")
        _begin(head.strip(), reading, offset)
        found: set[int] = set()
        for part in parts:
            name, _, text = part.partition(" ")
            if name.strip() not in by_name or part.startswith("#"):
                continue
            i = by_name[name.strip()]
            if i in found:
                raise reading.error(f"a second '{name.strip()}' in one line", offset)
            found.add(i)
            columns[i].add(text, reading, offset)
            samples[i].append(reading.sequences - 1)
        if len(found) != len(fields):
            _lacking(found, reading, offset)
        lengths.append(pending)
        owners.append(reading.sequences - 1)
        offset += pending
        pending = 0
    reading.lengths.append(np.array(lengths, np.int64))
    reading.owners.append(np.array(owners, np.int64))
    reading.samples.append([np.array(listed, np.int64) for listed in samples])
    return [column.values() for column in columns]


def _begin(identity: str, reading: _Reading, offset: int) -> None:
    """Begin a new sequence if the line is not of the same one as the line before."""
    if identity and not (identity.isascii() and identity.isdigit()):
        message = f"Expected a sequence id at the offset {offset}, none was found. ({reading.path})"
        raise RuntimeError(message)
    if reading.numbered is None:
        reading.numbered = bool(identity)
    if not reading.numbered or identity not in ("", reading.previous):
        reading.sequences += 1
        reading.previous = identity
        if reading.numbered:
            reading.ids.append(identity)


def _lacking(found: set[int], reading: _Reading, offset: int) -> None:
    if reading.numbered and found:
        return
    names = ", ".join(f"'{f.name}'" for i, f in enumerate(reading.fields) if i not in found)
    if reading.numbered:
        raise reading.error(f"no {names}", offset)
    message = f"Malformed input file. Bailing out. ({reading.path}: no {names} at offset {offset})"
    raise RuntimeError(message)


@final
class _DenseColumn:
    """The samples of a dense stream in a block.

    Args:
        dim: How many values each has.
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._samples: list[Array] = []

    def add(self, text: str, reading: _Reading, offset: int) -> None:
        words = text.split()
        try:
            values = np.array(words, np.float32)
            # Python reads 1_0 as ten; the format knows no such spelling.
            problem = "text instead of a number" if "_" in text else None
        except ValueError:
            values, problem = np.empty(0, np.float32), "text instead of a number"
        if len(words) > self._dim:
            problem = f"{len(words)} values where {self._dim} are expected"
        if problem:
            raise reading.error(problem, offset)
        if len(values) < self._dim:
            print(
                f"WARNING: A dense sample at offset {offset} in the input file ({reading.path}) "
                f"has a sparse suffix (expected size = {self._dim}, actual size = {len(values)}).",
                file=sys.stderr,
            )
            values = np.pad(values, (0, self._dim - len(values)))
        self._samples.append(values)

    def values(self) -> Array:
        return np.stack(self._samples) if self._samples else np.empty((0, self._dim), np.float32)


@final
class _SparseColumn:
    """The samples of a sparse stream in a block.

    Args:
        dim: How wide each is.
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._counts: list[int] = []
        self._places: list[int] = []
        self._values: list[float] = []

    def add(self, text: str, reading: _Reading, offset: int) -> None:
        words = text.split()
        for word in words:
            place, colon, value = word.partition(":")
            if not colon or not (place.isascii() and place.isdigit()) or "_" in value:
                raise reading.error(f"'{word}' instead of index:value", offset)
            if int(place) >= self._dim:
                raise reading.error(f"the index {place} in a sample of {self._dim} values", offset)
            try:
                self._values.append(float(value))
            except ValueError:
                raise reading.error(f"'{word}' instead of index:value", offset) from None
            self._places.append(int(place))
        self._counts.append(len(words))

    def values(self) -> Sparse:
        return Sparse(
            np.array(self._counts, np.int64),
            np.array(self._places, np.int64),
            np.array(self._values, np.float32),
        )
