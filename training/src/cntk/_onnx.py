"""ONNX files, written without a package: models of opset 17 as protobuf messages.

The numbers of the fields are those of onnx.proto3 (https://github.com/onnx/onnx).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

OPSET: Final = 17
_IR_VERSION: Final = 8
_VARINT, _BYTES, _FIXED32 = 0, 2, 5
_FLOAT, _INT, _STRING, _INTS = 1, 2, 3, 7
TYPES: Final = {
    np.dtype(np.float32): 1,
    np.dtype(np.int64): 7,
    np.dtype(np.bool_): 9,
    np.dtype(np.float64): 11,
}
Dims = Sequence[int | str]


@final
@dataclass(slots=True)
class OnnxGraph:
    """The nodes and values of a graph in the making; values are known by their names.

    Args:
        nodes: Messages in order.
        initializers: Values that are part of the model.
        count: How many names were given.
    """

    nodes: list[bytes] = field(default_factory=list)
    initializers: list[bytes] = field(default_factory=list)
    count: int = 0

    def name(self, hint: str) -> str:
        """Return a new name."""
        self.count += 1
        return f"{hint}_{self.count}"

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike, name: str = "") -> str:
        """Add a value of the model and return its name."""
        array = np.array(value, dtype, order="C")
        name = name or self.name("constant")
        dims = b"".join(_number(1, dim) for dim in array.shape)
        raw = _text(8, name) + _message(9, array.tobytes())
        self.initializers.append(dims + _number(2, TYPES[array.dtype]) + raw)
        return name

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return the name of its output.

        Args:
            op: ONNX's name of the operation.
            inputs: Names.
            attributes: Whole numbers, real numbers, strings or lists of whole numbers.
        """
        return self.add_several(1, op, *inputs, **attributes)[0]

    def add_several(self, outputs: int, op: str, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node with several outputs and return their names; see `add`."""
        made = [self.name(op) for _ in range(outputs)]
        parts = [_text(1, name) for name in inputs] + [_text(2, name) for name in made]
        parts += [_text(3, self.name("node")), _text(4, op)]
        parts += [_message(5, _attribute(key, value)) for key, value in attributes.items()]
        self.nodes.append(b"".join(parts))
        return made

    def rename(self, value: str, name: str) -> None:
        """Give a value an output's name."""
        self.nodes.append(b"".join((_text(1, value), _text(2, name), _text(4, "Identity"))))

    def model(
        self,
        name: str,
        inputs: Sequence[tuple[str, "np.dtype[Any]", Dims]],
        outputs: Sequence[tuple[str, "np.dtype[Any]", Dims]],
    ) -> bytes:
        """Return the file.

        Args:
            name: Of the graph.
            inputs: Names, types and dimensions; a dimension that varies is a word.
            outputs: Likewise.
        """
        graph = [
            *(_message(1, node) for node in self.nodes),
            _text(2, name),
            *(_message(5, value) for value in self.initializers),
            *(_message(11, _value(*value)) for value in inputs),
            *(_message(12, _value(*value)) for value in outputs),
        ]
        opset = _message(8, _text(1, "") + _number(2, OPSET))
        head = _number(1, _IR_VERSION) + _text(2, "cntk on PyTorch")
        return head + _message(7, b"".join(graph)) + opset


def _value(name: str, dtype: "np.dtype[Any]", dims: Dims) -> bytes:
    shape = b"".join(
        _message(1, _text(2, dim) if isinstance(dim, str) else _number(1, dim)) for dim in dims
    )
    tensor = _number(1, TYPES[dtype]) + _message(2, shape)
    return _text(1, name) + _message(2, _message(1, tensor))


def _attribute(name: str, value: Any) -> bytes:
    head = _text(1, name)
    if isinstance(value, str):
        return head + _text(4, value) + _number(20, _STRING)
    if isinstance(value, float):
        return head + _tag(2, _FIXED32) + struct.pack("<f", value) + _number(20, _FLOAT)
    if isinstance(value, int):
        return head + _number(3, value) + _number(20, _INT)
    return head + b"".join(_number(8, int(v)) for v in value) + _number(20, _INTS)


def _tag(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _varint(value: int) -> bytes:
    value %= 2**64
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(number: int, value: int) -> bytes:
    return _tag(number, _VARINT) + _varint(value)


def _message(number: int, data: bytes) -> bytes:
    return _tag(number, _BYTES) + _varint(len(data)) + data


def _text(number: int, value: str) -> bytes:
    return _message(number, value.encode())
