"""TensorBoard event files: records with checksums, each one `Event` message of TensorFlow's.

A record is its length (8 bytes), the length's checksum, the message, and the message's checksum:
CRC-32C, masked (https://www.tensorflow.org/tutorials/load_data/tfrecord).
"""

import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, final

from cntk._absent import refuse
from cntk._dictionary import _delimited, _tagged, _varint
from cntk._graph import nodes
from cntk.logging._writer import NEVER, Counts, ProgressWriter, Span, average
from cntk.ops.functions import Function
from cntk.variables import Variable

_POLYNOMIAL: Final = 0x82F63B78
_MASK: Final = 0xA282EAD8
_FIXED64, _FIXED32, _VARINT = 1, 5, 0
_TYPES: Final = {"float32": 1, "float64": 2}


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_CRC: Final = _crc_table()


def _checksum(data: bytes) -> bytes:
    value = 0xFFFFFFFF
    for byte in data:
        value = _CRC[(value ^ byte) & 0xFF] ^ value >> 8
    value ^= 0xFFFFFFFF
    return struct.pack("<I", ((value >> 15 | value << 17) + _MASK) & 0xFFFFFFFF)


def record(event: bytes) -> bytes:
    """Return an event as a record of a file."""
    length = struct.pack("<Q", len(event))
    return length + _checksum(length) + event + _checksum(event)


def _event(wall_time: float, step: int, field: int, payload: bytes) -> bytes:
    number = _tagged(2, _VARINT, _varint(step & 0xFFFFFFFFFFFFFFFF)) if step else b""
    return _tagged(1, _FIXED64, struct.pack("<d", wall_time)) + number + _delimited(field, payload)


def _scalar(name: str, value: float) -> bytes:
    entry = _delimited(1, name.encode()) + _tagged(2, _FIXED32, struct.pack("<f", value))
    return _delimited(1, entry)


@final
class _EventFile:
    """One file of events, made in a folder that is made too.

    Args:
        folder: Where.
        model: Whose graph to write first; None: no graph.
    """

    def __init__(self, folder: str, model: Function | None) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}"
        self._file: BinaryIO = (Path(folder) / name).open("wb")
        self.add(3, b"brain.Event:2", 0)
        if model is not None:
            self.add(4, b"".join(_graph(model.outputs, "", {})), 0)

    def add(self, field: int, payload: bytes, step: int) -> None:
        """Write one event."""
        self._file.write(record(_event(time.time(), step, field, payload)))

    def flush(self) -> None:
        """Let readers see what has been written."""
        self._file.flush()

    def close(self) -> None:
        """End the file."""
        self._file.close()


def _graph(outputs: Any, prefix: str, outside: dict[Variable, str]) -> Iterator[bytes]:
    """Yield the nodes of a graph as `GraphDef` has them; a block is a name before its part's."""
    names = dict(outside)
    seen: set[Variable] = set()

    def name_of(v: Variable) -> str:
        if v in names:
            return names[v]
        node = v._node
        if node is None:
            return prefix + v.uid
        if node.block is not None:
            root = _root_of(v)
            if root._node is not None:
                return f"{prefix}{node.uid}/{root.uid.rpartition('_Output_')[0]}"
            inside = dict(node.block.arguments)
            return name_of(inside[root]) if root in inside else f"{prefix}{node.uid}/{root.uid}"
        return prefix + node.uid

    for node in nodes(outputs):
        for v in node.inputs:
            if v._node is None and v not in outside and v not in seen:
                seen.add(v)
                yield _node(name_of(v), v.kind.name.title(), [], v)
        taken = [name_of(v) for v in node.inputs]
        if node.block is None:
            yield _node(name_of(node.outputs[0]), node.op.name, taken, node.outputs[0])
        else:
            inner = dict(zip(node.inputs, taken, strict=True))
            inner.update((inside, name_of(v)) for inside, v in node.block.arguments)
            yield from _graph(node.block.roots, f"{prefix}{node.uid}/", inner)


def _root_of(output: Variable) -> Variable:
    """Return what a block's output is inside the block."""
    node = output._node
    assert node is not None
    assert node.block is not None
    return node.block.roots[node.outputs.index(output)]


def _node(name: str, operation: str, inputs: list[str], v: Variable) -> bytes:
    dims = [_delimited(2, _tagged(1, _VARINT, _varint(max(dim, 0)))) for dim in v.shape]
    shape = b"".join(dims)
    attributes = {
        "shape": _delimited(7, shape),
        "_output_shapes": _delimited(1, _delimited(7, shape)),
        "dtype": _tagged(6, _VARINT, _varint(_TYPES[str(v.dtype)])),
    }
    parts = [_delimited(1, name.encode()), _delimited(2, operation.encode())]
    parts += [_delimited(3, taken.encode()) for taken in inputs]
    for key, value in attributes.items():
        parts.append(_delimited(5, _delimited(1, key.encode()) + _delimited(2, value)))
    return _delimited(1, b"".join(parts))


@final
class TensorBoardProgressWriter(ProgressWriter):
    """Writes loss and metric to an event file that TensorBoard shows.

    Args:
        freq: Every so many minibatches; None: only summaries.
        log_dir: Where the file is made.
        rank: Of this process; only rank 0, or a process without one, writes.
        model: A function whose graph is written too.
    """

    def __init__(
        self,
        freq: int | None = None,
        log_dir: str = ".",
        rank: int | None = None,
        model: Function | None = None,
    ) -> None:
        super().__init__(NEVER if freq is None else freq, 0, NEVER, 0, NEVER, 0)
        self.writer = None if rank else _EventFile(log_dir, model)
        self.closed = False

    def write_value(self, name: str, value: float, step: int) -> None:
        """Write a scalar for a step; raises RuntimeError after `close`."""
        self._need_open()
        if self.writer:
            self.writer.add(5, _scalar(str(name), float(value)), int(step))

    def write_image(self, name: str, data: Any, step: int) -> None:
        """Refuse: images are not provided."""
        del name, data, step
        raise refuse("TensorBoardProgressWriter.write_image")

    def flush(self) -> None:
        """Let TensorBoard see what has been written; raises RuntimeError after `close`."""
        self._need_open()
        if self.writer:
            self.writer.flush()

    def close(self) -> None:
        """End the file; raises RuntimeError after `close`."""
        self._need_open()
        if self.writer:
            self.writer.close()
            self.closed = True

    def _need_open(self) -> None:
        if self.closed:
            message = "Attempting to use a closed TensorBoardProgressWriter"
            raise RuntimeError(message)

    def on_write_training_update(
        self, samples: Counts, updates: Counts, aggregate_loss: Span, aggregate_metric: Span
    ) -> None:
        """Write the means of the minibatches, at the number of the last one."""
        del updates
        step = self.total_training_updates()
        self.write_value("minibatch/avg_loss", average(aggregate_loss, samples), step)
        self.write_value("minibatch/avg_metric", average(aggregate_metric, samples), step)

    def on_write_training_summary(
        self,
        samples: int,
        updates: int,
        summaries: int,
        aggregate_loss: float,
        aggregate_metric: float,
        elapsed_milliseconds: float,
    ) -> None:
        """Write the means of the epoch, at its number."""
        del updates, elapsed_milliseconds
        self.write_value("summary/avg_loss", average(aggregate_loss, samples), summaries)
        self.write_value("summary/avg_metric", average(aggregate_metric, samples), summaries)

    def on_write_test_summary(
        self,
        samples: int,
        updates: int,
        summaries: int,
        aggregate_metric: float,
        elapsed_milliseconds: float,
    ) -> None:
        """Write the mean of the tests, at the minibatch of training if there was any."""
        del updates, elapsed_milliseconds
        metric = average(aggregate_metric, samples)
        if step := self.total_training_updates():
            self.write_value("minibatch/test_avg_metric", metric, step)
        else:
            self.write_value("summary/test_avg_metric", metric, summaries)
