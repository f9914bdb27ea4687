"""Blocks of lines that look alike, read by arithmetic on their bytes: no loop over words.

A block is taken only if every line is a sample of the same streams in the same order, in the plain
spelling; what else there is, and what is wrong with a line, is for the careful reader. Blocks that
fit into a processor's cache are read several times as fast.
"""

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
_NEWLINE, _BAR, _BLANK, _ZERO, _POINT, _MINUS, _PLUS = (ord(c) for c in "\n| 0.-+")
_E: Final = ord("e")
_DIGITS: Final = 18
"""Of a number that fits into 64 bits."""
_LONGEST: Final = 40
_FULL: Final = 10 ** (_DIGITS - 1)
_POWERS: Final = 10.0 ** np.arange(_LONGEST + 1)


@final
@dataclass(frozen=True, slots=True)
class Shape:
    """What the lines of a block have in common.

    Args:
        names: Of the streams, in the lines' order.
        order: For each of them its number among the wanted streams.
        widths: How many values it has.
    """

    names: list[bytes]
    order: list[int]
    widths: list[int]


def shape_of(line: bytes, names: list[str], widths: list[int]) -> Shape | None:
    """Return the shape that a line has; None if it has others than these streams, or an id."""
    if not line.startswith(b"|"):
        return None
    found = [part.split(None, 1)[0] if part.strip() else b"" for part in line[1:].split(b"|")]
    known = [name.encode() for name in names]
    if sorted(found) != sorted(known) or min(widths, default=0) < 1:
        return None
    order = [known.index(name) for name in found]
    return Shape(found, order, [widths[i] for i in order])


def read(data: Bytes, shape: Shape) -> list[Array] | None:
    """Return the streams' values, shape (lines, width), in the wanted order.

    Args:
        data: Whole lines.
        shape: What they should have in common.

    Returns:
        Bytes if all values are whole and fit, else floats; None if a line is not plain.
    """
    edges = _edges(data, shape)
    if edges is None:
        return None
    whole = _bytes(data, shape, edges)
    table = _floats(data, shape, edges) if whole is None else whole
    if table is None:
        return None
    stops = np.cumsum(shape.widths)
    columns: list[Array] = [table] * len(shape.names)
    for i, stop, width in zip(shape.order, stops.tolist(), shape.widths, strict=True):
        columns[i] = np.ascontiguousarray(table[:, stop - width : stop])
    return columns


def _edges(data: Bytes, shape: Shape) -> Array | None:
    """Return where streams and lines end: for each line its bars, then its end."""
    ends = np.flatnonzero(data == _NEWLINE)
    bars = np.flatnonzero(data == _BAR)
    streams = len(shape.names)
    if len(bars) != streams * len(ends) or not len(ends) or ends[-1] != len(data) - 1:
        return None
    edges = np.column_stack([bars.reshape(-1, streams), ends])
    starts = np.concatenate([[0], ends[:-1] + 1])
    if (edges[:, 0] != starts).any() or (edges[:, 1:] < edges[:, :-1]).any():
        return None
    for i, name in enumerate(shape.names):
        if (edges[:, i] + len(name) + 1 >= edges[:, i + 1]).any():
            return None
        for k, letter in enumerate(name + b" ", 1):
            if (data[edges[:, i] + k] != letter).any():
                return None
    return edges


def _bytes(data: Bytes, shape: Shape, edges: Array) -> Bytes | None:
    """Read numbers from 0 to 255, shape (lines, values)."""
    names = sum(map(len, shape.names)) * len(edges)
    is_digit = (data - np.uint8(_ZERO)) < 10
    in_names = sum(len(name) - len(name.translate(None, b"0123456789")) for name in shape.names)
    plain = int(np.count_nonzero(is_digit)) - in_names * len(edges)
    if plain + int(np.count_nonzero(data == _BLANK)) + edges.size + names != len(data):
        return None
    if in_names:
        for i, name in enumerate(shape.names):
            for k in range(1, len(name) + 1):
                is_digit[edges[:, i] + k] = False
    flags = is_digit.view(np.uint8)
    digits = (data - np.uint8(_ZERO)) * flags
    # A digit counts ten times for the one behind it, and a hundred times for the next if all three
    # are one number.
    linked = flags[:-1] & flags[1:]
    hundreds = digits[:-2] * linked[1:]
    values = digits.copy()
    values[1:] += digits[:-1] * np.uint8(10)
    too_big = (hundreds > 2) | ((hundreds == 2) & (values[2:] > 55))
    long = linked[:-2] & linked[2:]
    values[2:] += hundreds * np.uint8(100)
    last = is_digit.copy()
    last[:-1] &= ~is_digit[1:]
    places = np.flatnonzero(last)
    if long.any() or (too_big & last[2:]).any() or not _complete(places, shape, edges):
        return None
    return values[places].reshape(len(edges), -1)


def _complete(places: Array, shape: Shape, edges: Array) -> bool:
    """Return whether each stream of each line has its count of values."""
    widths = np.array(shape.widths)
    if len(places) != len(edges) * widths.sum():
        return False
    # The first value of each stream stands behind its bar, and the last before the next.
    first = (
        np.arange(len(edges))[:, None] * widths.sum() + np.concatenate([[0], widths[:-1]]).cumsum()
    )
    begins, stops = places[first], places[first + widths - 1]
    return bool((begins > edges[:, :-1]).all() and (stops < edges[:, 1:]).all())


def _floats(data: Bytes, shape: Shape, edges: Array) -> Array | None:
    """Read numbers of any spelling without exponents, shape (lines, values)."""
    part = data > _BLANK
    # What is neither visible nor one of these four is no blank either.
    blanks = sum(int(np.count_nonzero(data == blank)) for blank in b" \t\r\n")
    if int(np.count_nonzero(part)) + blanks != len(data):
        return None
    for i, name in enumerate(shape.names):
        for k in range(len(name) + 1):
            part[edges[:, i] + k] = False
    change = np.flatnonzero(part[1:] != part[:-1]) + 1
    starts, ends = change[::2], change[1::2]
    if not _complete(starts, shape, edges):
        return None
    values = numbers(data, starts, ends)
    return None if values is None else values.astype(np.float32).reshape(len(edges), -1)


def numbers(data: Bytes, starts: Array, ends: Array) -> npt.NDArray[np.float64] | None:
    """Read decimal numbers, as CNTK does: all digits as one whole number, over a power of ten.

    Args:
        data: Text.
        starts: Where each number begins, shape (numbers,).
        ends: Where each is over.

    Returns:
        Shape (numbers,); None if one is spelt in another way.
    """
    letters = data | np.uint8(0x20)
    exponents = np.flatnonzero(letters == _E)
    if not len(exponents):
        return _decimals(data, starts, ends)
    of = np.searchsorted(starts, exponents, side="right") - 1
    inside = (of >= 0) & (exponents < ends[of])
    exponents, of = exponents[inside], of[inside]
    if len(np.unique(of)) != len(of):
        return None
    before = ends.copy()
    before[of] = exponents
    values = _decimals(data, starts, before)
    powers = _decimals(data, exponents + 1, ends[of])
    if values is None or powers is None or (powers % 1 != 0).any():
        return None
    with np.errstate(over="ignore"):
        values[of] *= 10.0**powers
    return values


def _decimals(data: Bytes, starts: Array, ends: Array) -> npt.NDArray[np.float64] | None:
    """Read decimal numbers without exponents."""
    if not len(starts):
        return np.empty(0)
    first = data[np.minimum(starts, len(data) - 1)]
    negative = first == _MINUS
    at = starts + (negative | (first == _PLUS))
    lengths = ends - at
    longest = int(lengths.max())
    if lengths.min() < 1 or longest > _LONGEST:
        return None
    total = np.zeros(len(starts), np.int64)
    behind, digits, pointed = np.zeros((3, len(starts)), np.int8)
    padded = np.concatenate([data, np.full(longest, _BLANK, np.uint8)])
    for k in range(longest):
        letters = padded[at + k] - np.uint8(_ZERO)
        is_digit = (letters < 10) & (lengths > k)
        digits += is_digit
        if k >= _DIGITS:
            # Further digits behind the point are less than a float can tell.
            beyond = is_digit & (total >= _FULL)
            if (beyond & (pointed == 0)).any():
                return None
            is_digit &= ~beyond
        flags = is_digit.view(np.int8)
        total *= 1 + 9 * flags
        total += letters * is_digit
        behind += flags & pointed
        pointed += (letters == (_POINT - _ZERO) % 256) & (lengths > k)
    if (digits + pointed != lengths).any() or (pointed > 1).any() or not digits.all():
        return None
    values: npt.NDArray[np.float64] = total / _POWERS[behind]
    np.negative(values, out=values, where=negative)
    return values
