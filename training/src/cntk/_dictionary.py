"""Dictionaries as CNTK's files hold them: proto3 messages, without a protobuf package.

A `.dnn` file and a trainer checkpoint are each one `Dictionary` message. The map between its value
kinds and Python is one to one, so reading and writing a file gives the same bytes:

=============  ==========================================
kind           Python value
=============  ==========================================
Bool, Int      `bool`, `int`
SizeT          `SizeT`
Float, Double  `Float32`, `float`
String         `str`
NDShape        `NDShape`, in the file's order: the reverse of Python's
Axis           `FileAxis`
Vector         `list`
Dictionary     `dict`
NDArrayView    `numpy.ndarray`, C order over the Python shape
None           `None`
=============  ==========================================
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

Dictionary = dict[str, Any]
"""A decoded `Dictionary`: names to the Python values of the table above."""

_FORMAT_VERSION: Final = 2
_DEEPEST: Final = 64
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_NONE, _BOOL, _INT, _SIZET, _FLOAT, _DOUBLE, _STRING = range(7)
_SHAPE, _AXIS, _VECTOR, _DICTIONARY, _ARRAY = range(7, 12)
_DENSE: Final = 0
# Data type number, the array's numpy type and the field its values stand in.
_ARRAY_KINDS: Final[dict[int, tuple["np.dtype[Any]", int]]] = {
    1: (np.dtype("<f4"), 4),
    2: (np.dtype("<f8"), 5),
    4: (np.dtype("<f2"), 6),
    5: (np.dtype("<i1"), 6),
}


class _MalformedError(Exception):
    """The bytes are no Dictionary message."""


@final
class SizeT(int):
    """An unsigned 64-bit count, told apart from the signed 32-bit `int`."""


@final
class Float32(float):
    """A single-precision number, told apart from the double-precision `float`."""


@final
class NDShape(tuple[int, ...]):
    """Dimensions in the file's order, which is the reverse of Python's."""

    __slots__ = ()

    @property
    def python(self) -> tuple[int, ...]:
        """The same dimensions in Python's order."""
        return tuple(reversed(self))


@final
@dataclass(frozen=True, slots=True)
class FileAxis:
    """An axis as the file writes it.

    Args:
        index: Counts static axes from the fastest one, Python's last; the largest 32-bit integer
            stands for a dynamic axis and the one below it for all static axes.
        name: `staticAxisIdx=0`, `defaultBatchAxis`, `defaultDynamicAxis`, `AllStaticAxes` or a
            user's name.
        ordered: False for the batch axis and for all static axes.
    """

    index: int
    name: str
    ordered: bool


def encode(dictionary: Dictionary) -> bytes:
    """Return `dictionary` as the bytes of one message.

    Args:
        dictionary: Values of the kinds named in the module's table.

    Returns:
        The message; what `decode` reads back as an equal dictionary.

    Raises:
        TypeError: A value is of no kind that the format has.
    """
    entries = [_tagged(1, _VARINT, _varint(_FORMAT_VERSION))]
    for key, value in dictionary.items():
        entry = _delimited(1, key.encode()) + _delimited(2, _encode_value(value))
        entries.append(_delimited(2, entry))
    return b"".join(entries)


def decode(data: bytes) -> Dictionary:
    """Read one message.

    Args:
        data: A whole file.

    Returns:
        What it says. Memory stays within a small multiple of the file's size whatever the file
        claims.

    Raises:
        RuntimeError: The bytes are truncated or are no such message; CNTK's own words.
    """
    try:
        return _decode_dictionary(memoryview(data), 0)
    except (_MalformedError, struct.error, UnicodeDecodeError, ValueError, OverflowError) as error:
        message = "Failed to parse Dictionary from the input stream."
        raise RuntimeError(message) from error


def _encode_value(value: Any) -> bytes:
    if value is None:
        return _header(_NONE)
    if isinstance(value, bool):
        return _header(_BOOL) + _tagged(3, _VARINT, _varint(int(value)))
    if isinstance(value, SizeT):
        return _header(_SIZET) + _tagged(5, _VARINT, _varint(value))
    if isinstance(value, int):
        return _header(_INT) + _tagged(4, _VARINT, _varint(value & 0xFFFFFFFFFFFFFFFF))
    if isinstance(value, Float32):
        return _header(_FLOAT) + _tagged(6, _FIXED32, struct.pack("<f", value))
    if isinstance(value, float):
        return _header(_DOUBLE) + _tagged(7, _FIXED64, struct.pack("<d", value))
    if isinstance(value, str):
        return _header(_STRING) + _delimited(8, value.encode())
    if isinstance(value, NDShape):
        return _header(_SHAPE) + _delimited(9, _encode_shape(value))
    if isinstance(value, FileAxis):
        return _header(_AXIS) + _delimited(10, _encode_axis(value))
    if isinstance(value, list):
        items = b"".join(_delimited(1, _encode_value(item)) for item in value)
        return _header(_VECTOR) + _delimited(11, items)
    if isinstance(value, dict):
        return _header(_DICTIONARY) + _delimited(12, encode(value))
    if isinstance(value, np.ndarray):
        return _header(_ARRAY) + _delimited(13, _encode_array(value))
    message = f"A {type(value).__name__} ({value!r}) has no place in a CNTK file."
    raise TypeError(message)


def _header(kind: int) -> bytes:
    return _tagged(1, _VARINT, _varint(_FORMAT_VERSION)) + _tagged(2, _VARINT, _varint(kind))


def _encode_shape(shape: NDShape) -> bytes:
    return _delimited(1, b"".join(map(_varint, shape))) if shape else b""


def _encode_axis(axis: FileAxis) -> bytes:
    parts = b""
    if axis.index:
        parts += _tagged(1, _VARINT, _varint(axis.index & 0xFFFFFFFFFFFFFFFF))
    if axis.name:
        parts += _delimited(2, axis.name.encode())
    if axis.ordered:
        parts += _tagged(3, _VARINT, b"\x01")
    return parts


def _encode_array(array: "np.ndarray[Any, Any]") -> bytes:
    for number, (dtype, field) in _ARRAY_KINDS.items():
        if array.dtype == dtype:
            raw = np.ascontiguousarray(array, dtype).tobytes()
            shape = _delimited(3, _encode_shape(NDShape(reversed(array.shape))))
            return (
                _tagged(1, _VARINT, _varint(number)) + shape + _delimited(field, _delimited(1, raw))
            )
    message = (
        f"An array of {array.dtype} has no place in a CNTK file; one of float32 or float64 has."
    )
    raise TypeError(message)


def _tagged(field: int, wire: int, payload: bytes) -> bytes:
    return _varint(field << 3 | wire) + payload


def _delimited(field: int, payload: bytes) -> bytes:
    return b"".join((_varint(field << 3 | _BYTES), _varint(len(payload)), payload))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise _MalformedError
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & 0xFFFFFFFFFFFFFFFF, at
    raise _MalformedError


def _fields(data: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield field number and payload: an integer for varints, otherwise the raw bytes."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        wire = tag & 7
        if wire == _VARINT:
            number, at = _read_varint(data, at)
            yield tag >> 3, number
            continue
        if wire == _BYTES:
            size, at = _read_varint(data, at)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(wire, -1)
        if size < 0 or size > len(data) - at:
            raise _MalformedError
        yield tag >> 3, data[at : at + size]
        at += size


def _decode_dictionary(data: memoryview, depth: int) -> Dictionary:
    if depth > _DEEPEST:
        raise _MalformedError
    dictionary: Dictionary = {}
    for field, payload in _fields(data):
        if field == 2:
            entry = dict(_fields(_message(payload)))
            key = bytes(_message(entry.get(1, memoryview(b"")))).decode()
            dictionary[key] = _decode_value(_message(entry.get(2, memoryview(b""))), depth + 1)
        elif field != 1:
            raise _MalformedError
    return dictionary


def _message(payload: Any) -> memoryview:
    if not isinstance(payload, memoryview):
        raise _MalformedError
    return payload


def _decode_value(data: memoryview, depth: int) -> Any:
    fields = dict(_fields(data))
    kind = fields.get(2, _NONE)
    empty = memoryview(b"")
    if kind in (_BOOL, _INT, _SIZET):
        number = fields.get({_BOOL: 3, _INT: 4, _SIZET: 5}[kind], 0)
        if not isinstance(number, int):
            raise _MalformedError
        if kind == _BOOL:
            return bool(number)
        return SizeT(number) if kind == _SIZET else _signed(number)
    if kind == _FLOAT:
        return Float32(struct.unpack("<f", _message(fields.get(6, memoryview(bytes(4)))))[0])
    if kind == _DOUBLE:
        return float(struct.unpack("<d", _message(fields.get(7, memoryview(bytes(8)))))[0])
    if kind == _STRING:
        return bytes(_message(fields.get(8, empty))).decode()
    if kind == _SHAPE:
        return _decode_shape(_message(fields.get(9, empty)))
    if kind == _AXIS:
        return _decode_axis(_message(fields.get(10, empty)))
    if kind == _VECTOR:
        if depth > _DEEPEST:
            raise _MalformedError
        items = _fields(_message(fields.get(11, empty)))
        return [_decode_value(_message(item), depth + 1) for _, item in items]
    if kind == _DICTIONARY:
        return _decode_dictionary(_message(fields.get(12, empty)), depth + 1)
    if kind == _ARRAY:
        return _decode_array(_message(fields.get(13, empty)))
    if kind == _NONE and len(fields.keys() - {1, 2}) == 0:
        return None
    raise _MalformedError


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _decode_shape(data: memoryview) -> NDShape:
    dims: list[int] = []
    for _, payload in _fields(data):
        if isinstance(payload, int):
            dims.append(payload)
            continue
        at = 0
        while at < len(payload):
            number, at = _read_varint(payload, at)
            dims.append(number)
    return NDShape(dims)


def _decode_axis(data: memoryview) -> FileAxis:
    fields = dict(_fields(data))
    name = bytes(_message(fields.get(2, memoryview(b"")))).decode()
    return FileAxis(_signed(int(fields.get(1, 0))), name, bool(fields.get(3, 0)))


def _decode_array(data: memoryview) -> "np.ndarray[Any, Any]":
    fields = dict(_fields(data))
    kind = _ARRAY_KINDS.get(fields.get(1, 0))
    if kind is None or fields.get(2, _DENSE) != _DENSE:
        raise _MalformedError
    dtype, field = kind
    values = b"".join(
        _message(raw) for _, raw in _fields(_message(fields.get(field, memoryview(b""))))
    )
    shape = _decode_shape(_message(fields.get(3, memoryview(b"")))).python
    count = 1
    for dim in shape:
        count *= dim
    if len(shape) > _DEEPEST or count * dtype.itemsize != len(values):
        raise _MalformedError
    return np.frombuffer(values, dtype).reshape(shape)
