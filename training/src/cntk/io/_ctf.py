"""The CNTK text format: lines of `|name value value ...`, read into one array for each stream.

Most files hold the same streams with the same counts on each line, and whole numbers: such blocks
of lines are read by arithmetic on their bytes, a hundred times faster than word by word. Everything
else goes through the careful reader, which also knows sequences, sparse samples, comments, missing
values and what is wrong with a line.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_BLOCK: Final = 1 << 22
_NEWLINE, _PIPE, _BLANK, _ZERO = (ord(c) for c in "\n| 0")
_GREATEST_BYTE: Final = 255


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
    for block in _blocks(path):
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


def _blocks(path: Path) -> Iterator[bytes]:
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
    """Return the columns if every line has these streams in one order, with numbers up to 255."""
    layout = _layout(data, fields)
    if layout is None:
        return None
    order, names = layout
    line_count = int(np.count_nonzero(data == _NEWLINE))
    digits = data - np.uint8(_ZERO)
    is_digit = digits <= 9
    is_bar = data == _PIPE
    # What is neither digit, blank, bar nor line end must be the names behind the bars, and nothing
    # else.
    others = len(data) - int(np.count_nonzero(is_digit | is_bar | (data == _BLANK))) - line_count
    bars = np.flatnonzero(is_bar)
    if len(bars) != line_count * len(order) or others != line_count * sum(map(len, names)):
        return None
    for i, name in enumerate(names):
        for k, letter in enumerate(name, 1):
            if not (data[bars[i :: len(order)] + k] == letter).all():
                return None
        if not (data[bars[i :: len(order)] + len(name) + 1] == _BLANK).all():
            return None
    digits[~is_digit] = 0
    values = digits.astype(np.uint16)
    # A digit counts ten times for the one behind it and a hundred times for the next if all three
    # are one number.
    values[1:] += digits[:-1] * np.uint16(10)
    linked = digits[:-2] * is_digit[1:-1]
    values[2:] += linked * np.uint16(100)
    long = is_digit[:-3] & is_digit[1:-2] & is_digit[2:-1] & is_digit[3:]
    last = is_digit.copy()
    last[:-1] &= ~is_digit[1:]
    numbers = values[last]
    if long.any() or (len(numbers) and numbers.max() > _GREATEST_BYTE):
        return None
    # Each stream of each line must have its count of numbers, so count between bars and line ends.
    edges = np.sort(np.concatenate([bars, np.flatnonzero(data == _NEWLINE)]))
    per_line = (
        edges.reshape(line_count, -1) if len(edges) == line_count * (len(order) + 1) else None
    )
    if (
        per_line is None
        or (data[per_line[:, -1]] != _NEWLINE).any()
        or (bars[0] != 0 and digits[: bars[0]].any())
    ):
        return None
    counts = np.add.reduceat(last, edges, dtype=np.int32).reshape(line_count, -1)[:, :-1]
    widths = [fields[i].dim for i in order]
    if (counts != widths).any() or int(counts.sum()) != len(numbers):
        return None
    table = numbers.astype(np.uint8).reshape(line_count, sum(widths))
    starts = np.cumsum([0, *widths])
    columns: list[Array] = [np.empty(0)] * len(fields)
    for position, i in enumerate(order):
        columns[i] = np.ascontiguousarray(table[:, starts[position] : starts[position + 1]])
    return columns


def _layout(
    data: npt.NDArray[np.uint8], fields: list[Field]
) -> tuple[list[int], list[bytes]] | None:
    """Return the streams' order in the first line and their names; None if it has others."""
    first = bytes(data[: int(np.argmax(data == _NEWLINE))])
    if not first.startswith(b"|"):
        return None
    names = [part.split(None, 1)[0] if part.strip() else b"" for part in first[1:].split(b"|")]
    known = [f.name.encode() for f in fields]
    if sorted(names) != sorted(known) or any(
        name.translate(None, b"0123456789") != name for name in names
    ):
        return None
    return [known.index(name) for name in names], names


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
