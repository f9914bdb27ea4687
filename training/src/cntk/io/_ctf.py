"""The CNTK text format: lines of `|name value value ...`, read into one array for each stream.

Most files hold the same streams with the same counts on each line: such blocks of lines are read
by arithmetic on their bytes (`_blocks`), a hundred times faster than word by word. Everything else
goes through the careful reader, which also knows comments, missing values and what is wrong with a
line.
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
    """

    name: str
    dim: int


@final
@dataclass(frozen=True, slots=True)
class Table:
    """A file's contents.

    Args:
        columns: For each stream the values of all lines, shape (lines, dim); bytes where all are
            whole and fit.
        lengths: The bytes of each line with its end, shape (lines,).
        ids: Each line's sequence id; None if none has one.
    """

    columns: dict[str, Array]
    lengths: npt.NDArray[np.int64]
    ids: list[str] | None = None


@final
@dataclass(slots=True)
class _Reading:
    """Where the careful reader is in the file, and how often it has warned."""

    path: Path
    offset: int = 0
    lines: int = 0
    lengths: list[Array] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)


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
    reading = _Reading(path)
    parts: dict[str, list[Array]] = {name: [] for name in fields}
    for block in _pieces(path):
        data = np.frombuffer(block, np.uint8)
        columns = _by_arithmetic(data, list(fields.values()))
        if columns is None:
            columns = _carefully(block, list(fields.values()), reading)
        else:
            ends = np.flatnonzero(data == _NEWLINE) + 1
            reading.lengths.append(np.diff(ends, prepend=0))
            reading.lines += len(ends)
        for name, values in zip(fields, columns, strict=True):
            parts[name].append(values)
        reading.offset += len(block)
    if not reading.lines:
        message = f"Input file is empty: {path}"
        raise RuntimeError(message)
    ids = reading.ids if len(reading.ids) == reading.lines else None
    joined = {name: _joined(parts.pop(name)) for name in fields}
    return Table(joined, np.concatenate(reading.lengths), ids)


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


def _joined(parts: list[Array]) -> Array:
    if all(part.dtype == np.uint8 for part in parts):
        return np.concatenate(parts)
    return np.concatenate([part.astype(np.float32, copy=False) for part in parts])


def _by_arithmetic(data: npt.NDArray[np.uint8], fields: list[Field]) -> list[Array] | None:
    """Return the columns if every line has these streams in one order, spelt plainly."""
    first = bytes(data[: int(np.argmax(data == _NEWLINE))])
    shape = _blocks.shape_of(first, [f.name for f in fields], [f.dim for f in fields])
    return None if shape is None else _blocks.read(data, shape)


def _carefully(block: bytes, fields: list[Field], reading: _Reading) -> list[Array]:
    """Read lines word by word."""
    lengths: list[int] = []
    columns: list[list[Array]] = [[] for _ in fields]
    by_name = {f.name: i for i, f in enumerate(fields)}
    pending = 0
    for line in block.splitlines(keepends=True):
        pending += len(line)
        if not line.strip():
            continue
        offset = reading.offset + sum(lengths)
        found = _line(line.decode(errors="replace"), fields, by_name, offset, reading)
        for column, values in zip(columns, found, strict=True):
            column.append(values)
        lengths.append(pending)
        pending = 0
    reading.lengths.append(np.array(lengths, np.int64))
    reading.lines += len(lengths)
    return [
        np.stack(column) if column else np.empty((0, f.dim), np.float32)
        for column, f in zip(columns, fields, strict=True)
    ]


def _line(
    line: str, fields: list[Field], by_name: dict[str, int], offset: int, reading: _Reading
) -> list[Array]:
    head, *parts = line.rstrip("\r\n").split("|")
    identity = head.strip()
    if identity and not (identity.isascii() and identity.isdigit()):
        message = f"Expected a sequence id at the offset {offset}, none was found. ({reading.path})"
        raise RuntimeError(message)
    if identity and reading.ids[-1:] == [identity]:
        message = (
            f"{reading.path}: the lines up to offset {offset} continue sequence {identity}. "
            "Sequences of several samples "
            "are not provided by this package yet."
        )
        raise NotImplementedError(message)
    if identity:
        reading.ids.append(identity)
    found: dict[int, Array] = {}
    for part in parts:
        name, _, text = part.partition(" ")
        if part.startswith("#") or name.strip() not in by_name:
            continue
        i = by_name[name.strip()]
        found[i] = _numbers(text, fields[i].dim, offset, reading)
    if len(found) != len(fields):
        lacking = ", ".join(f"'{f.name}'" for i, f in enumerate(fields) if i not in found)
        message = (
            f"Malformed input file. Bailing out. ({reading.path}: no {lacking} at offset {offset})"
        )
        raise RuntimeError(message)
    return [found[i] for i in range(len(fields))]


def _numbers(text: str, dim: int, offset: int, reading: _Reading) -> Array:
    words = text.split()
    try:
        values = np.array(words, np.float32)
        # Python reads 1_0 as ten; the format knows no such spelling.
        problem = "text instead of a number" if "_" in text else None
    except ValueError:
        values, problem = np.empty(0, np.float32), "text instead of a number"
    if len(words) > dim:
        problem = f"{len(words)} values where {dim} are expected"
    if problem:
        message = (
            "Reached the maximum number of allowed errors while reading the input file "
            f"({reading.path}): {problem} at offset {offset}."
        )
        raise RuntimeError(message)
    if len(values) < dim:
        print(
            f"WARNING: A dense sample at offset {offset} in the input file ({reading.path}) has a "
            f"sparse suffix (expected size = {dim}, actual size = {len(values)}).",
            file=sys.stderr,
        )
        values = np.pad(values, (0, dim - len(values)))
    return values
