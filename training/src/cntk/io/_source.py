"""Minibatch sources: samples in CNTK's order, in minibatches that run across the ends of sweeps."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import torch

from cntk._absent import refuse
from cntk._record import Record
from cntk.io import _ctf, _order

INFINITELY_REPEAT: Final = 2**64 - 1
"""For `max_samples` and `max_sweeps`: without end."""
_POSITION: Final = "minibatchSourcePosition"


@final
@dataclass(frozen=True, slots=True)
class StreamDef:
    """What a stream is in a file.

    Args:
        field: Its name there.
        shape: How many values each sample has.
        is_sparse: Only False is provided.
    """

    field: str
    shape: int
    is_sparse: bool = False

    def __post_init__(self) -> None:
        if self.is_sparse:
            raise refuse("StreamDef(is_sparse=True)")


@final
class StreamDefs(dict[str, StreamDef]):
    """Streams by the names that a script uses: `StreamDefs(features=StreamDef(...), ...)`."""


@final
@dataclass(frozen=True, slots=True)
class CTFDeserializer:
    """A file in the CNTK text format.

    Args:
        filename: Its path.
        streams: What to read from it.
    """

    filename: str | Path
    streams: Mapping[str, StreamDef]


@final
@dataclass(frozen=True, slots=True)
class StreamInformation:
    """A stream of a minibatch source.

    Args:
        name: As the script calls it.
        stream_id: Its number among the source's streams.
        storage_format: `dense` or `sparse`.
        dtype: numpy's `float32` or `float64`.
        shape: Of one sample.
        defines_mb_size: Whether it is this stream whose samples a minibatch's size counts.
    """

    name: str
    stream_id: int
    storage_format: str
    dtype: Any
    shape: tuple[int, ...]
    defines_mb_size: bool = False

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.shape

    @property
    def m_name(self) -> str:
        """The name, as CNTK's core calls it."""
        return self.name

    @property
    def dim(self) -> int:
        """How many values each sample has."""
        return math.prod(self.shape)

    def __repr__(self) -> str:
        return f"{self.name}([{' x '.join(map(str, self.shape))}])"


@final
class MinibatchData:
    """The samples of one stream in a minibatch.

    Args:
        value: Shape (samples,) + a sample's shape.
        num_sequences: How many sequences it has; each is one sample.
        num_samples: How many samples it has.
        sweep_end: Whether the minibatch contains or reaches the end of a sweep.
    """

    __slots__ = ("_tensor", "end_of_sweep")

    def __init__(
        self,
        value: Any,
        num_sequences: int | None = None,
        num_samples: int | None = None,
        sweep_end: bool = False,
    ) -> None:
        if not isinstance(value, torch.Tensor):
            if hasattr(value, "asarray"):
                value = value.asarray()
            value = torch.from_numpy(np.ascontiguousarray(value))
        for given in (num_sequences, num_samples):
            if given is not None and given != len(value):
                message = (
                    f"A minibatch of {len(value)} samples cannot have {num_samples} samples in "
                    f"{num_sequences} sequences: sequences are not provided by this package yet."
                )
                raise NotImplementedError(message)
        self._tensor: torch.Tensor = value
        self.end_of_sweep = sweep_end

    @property
    def num_samples(self) -> int:
        """How many samples there are."""
        return len(self._tensor)

    number_of_samples = num_sequences = number_of_sequences = num_samples

    @property
    def sweep_end(self) -> bool:
        """Whether the minibatch contains or reaches the end of a sweep."""
        return self.end_of_sweep

    @property
    def is_sparse(self) -> bool:
        """False: values are dense."""
        return False

    @property
    def shape(self) -> tuple[int, ...]:
        """(samples,) + a sample's shape; from a file (samples, 1, dim), sequences of one."""
        return tuple(self._tensor.shape)

    @property
    def data(self) -> "MinibatchData":
        """The same values."""
        return self

    def asarray(self) -> npt.NDArray[Any]:
        """Return the values, of the shape `shape`."""
        tensor = self._tensor
        return (tensor if tensor.is_floating_point() else tensor.to(torch.float32)).cpu().numpy()

    def as_sequences(self, variable: Any = None) -> list[npt.NDArray[Any]]:
        """Return an array of shape (1, dim) for each sample."""
        del variable
        return list(self.asarray())

    def __len__(self) -> int:
        return self.num_samples


@final
class MinibatchSource:
    """Samples from a file, in order or shuffled sweep by sweep.

    Args:
        deserializers: One `CTFDeserializer`, perhaps in a list.
        max_samples: How many samples to give out in all.
        max_sweeps: How many times to go through the file.
        randomization_window_in_chunks: How many chunks of 32 MiB are shuffled together.
        randomization_window_in_samples: Not provided.
        randomization_seed: Sweep s is shuffled with this number plus s.
        randomize: Whether to shuffle.
        trace_level: Accepted.
        multithreaded_deserializer: Accepted.
        frame_mode: Only False is provided.
        truncation_length: Only 0 is provided.
    """

    def __init__(
        self,
        deserializers: CTFDeserializer | list[CTFDeserializer],
        max_samples: int = INFINITELY_REPEAT,
        max_sweeps: int = INFINITELY_REPEAT,
        randomization_window_in_chunks: int = 128,
        randomization_window_in_samples: int = 0,
        randomization_seed: int = 0,
        trace_level: int = 0,
        multithreaded_deserializer: bool | None = None,
        frame_mode: bool = False,
        truncation_length: int = 0,
        randomize: bool = True,
    ) -> None:
        del trace_level, multithreaded_deserializer
        listed = deserializers if isinstance(deserializers, list | tuple) else [deserializers]
        if len(listed) != 1 or randomization_window_in_samples or frame_mode or truncation_length:
            raise refuse(
                "MinibatchSource with several deserializers, a window in samples, frame mode or "
                "truncation"
            )
        (source,) = listed
        fields = {
            name: _ctf.Field(stream.field, stream.shape) for name, stream in source.streams.items()
        }
        table = _ctf.read(Path(source.filename), fields)
        self._columns = {name: torch.from_numpy(column) for name, column in table.columns.items()}
        self._chunks = _order.chunks(table.lengths)
        self._samples = len(table.lengths)
        self._limit = min(max_samples, max_sweeps * self._samples)
        self._seed = randomization_seed
        self._window = randomization_window_in_chunks
        self._randomize = randomize
        self._position = 0
        self._sweep = (-1, np.empty(0, np.int64))
        self._streams = {
            name: StreamInformation(name, i, "dense", np.float32, (stream.shape,))
            for i, (name, stream) in enumerate(source.streams.items())
        }

    @property
    def streams(self) -> Any:
        """The streams as attributes."""
        return Record(self._streams)

    def stream_infos(self) -> list[StreamInformation]:
        """Return all streams."""
        return list(self._streams.values())

    def stream_info(self, name: str) -> StreamInformation:
        """Return one stream."""
        if name not in self._streams:
            message = f"No stream found matching given name '{name}'."
            raise RuntimeError(message)
        return self._streams[name]

    def __getitem__(self, name: str) -> StreamInformation:
        return self.stream_info(name)

    def is_infinite(self) -> bool:
        """Return whether neither samples nor sweeps have a limit."""
        return self._limit >= INFINITELY_REPEAT

    def next_minibatch(
        self,
        minibatch_size_in_samples: int,
        input_map: Mapping[Any, StreamInformation] | None = None,
        device: Any = None,
        num_data_partitions: int | None = None,
        partition_index: int | None = None,
    ) -> dict[Any, MinibatchData]:
        """Return the next samples.

        Args:
            minibatch_size_in_samples: How many; fewer only at the end of everything.
            input_map: Variable to stream; None: the result's keys are streams.
            device: Accepted; the values go to the default device when they are used.
            num_data_partitions: How many processes share the samples: each takes every so-manieth.
            partition_index: Which of them this is.

        Returns:
            Variable (or stream) to its samples; empty after the end.
        """
        del device
        if minibatch_size_in_samples <= 0:
            message = f"The minibatch size must be positive, not {minibatch_size_in_samples}."
            raise ValueError(message)
        parts, part = num_data_partitions or 1, partition_index or 0
        if not 0 <= part < parts:
            message = f"The data have {parts} partitions; there is no partition {part}."
            raise ValueError(message)
        count = min(minibatch_size_in_samples, self._limit - self._position)
        if count <= 0:
            return {}
        before = self._position // self._samples
        chosen = self._lines(count)
        lines = torch.from_numpy(chosen if parts == 1 else chosen[part::parts].copy())
        self._position += count
        ended = self._position // self._samples > before
        wanted = {info: info for info in self._streams.values()} if input_map is None else input_map
        return {
            key: MinibatchData(self._columns[info.name][lines][:, None], sweep_end=ended)
            for key, info in wanted.items()
        }

    def _lines(self, count: int) -> _order.Indices:
        parts = []
        position = self._position
        while count:
            sweep, at = divmod(position, self._samples)
            part = self._order_of(sweep)[at : at + count]
            parts.append(part)
            position += len(part)
            count -= len(part)
        return np.concatenate(parts)

    def _order_of(self, sweep: int) -> _order.Indices:
        if self._sweep[0] != sweep:
            if self._randomize:
                order = _order.shuffled(self._chunks, self._seed + sweep, self._window)
            else:
                order = np.arange(self._samples)
            self._sweep = (sweep, order)
        return self._sweep[1]

    @property
    def current_position(self) -> dict[str, int]:
        """How far the source is; setting it goes there."""
        return self.get_checkpoint_state()

    @current_position.setter
    def current_position(self, state: Mapping[str, int]) -> None:
        self.restore_from_checkpoint(state)

    def get_checkpoint_state(self) -> dict[str, int]:
        """Return how far the source is."""
        return {_POSITION: self._position}

    def restore_from_checkpoint(self, checkpoint: Mapping[str, int]) -> None:
        """Go on from where `get_checkpoint_state` was called.

        Raises:
            ValueError: It is no such state; CNTK's own words where something is missing.
        """
        if _POSITION not in checkpoint:
            message = f"Checkpoint misses required field {_POSITION}"
            raise ValueError(message)
        position: Any = checkpoint[_POSITION]
        if not isinstance(position, int) or position < 0:
            message = f"A minibatch source's position is a count of samples, not {position!r}."
            raise ValueError(message)
        self._position = int(position)
