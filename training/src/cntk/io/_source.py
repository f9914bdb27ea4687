"""Minibatch sources: samples in CNTK's order, in minibatches that run across the ends of sweeps."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import torch

from cntk._absent import refuse
from cntk._sparse import SparseRows
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
        is_sparse: Whether samples are written as `index:value`, zeros left out.
    """

    field: str
    shape: int
    is_sparse: bool = False


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
        sample_shape: Of one sample.
    """

    name: str
    sample_shape: tuple[int, ...]

    @property
    def dim(self) -> int:
        """How many values each sample has."""
        return self.sample_shape[0]


@final
class MinibatchData:
    """The samples of one stream in a minibatch.

    Args:
        value: Shape (samples, dim), one sequence behind the other; or rows whose zeros are left
            out.
        sweep_end: Whether the minibatch contains or reaches the end of a sweep.
        _counts: Samples of each sequence, shape (sequences,); None: one for each.
    """

    __slots__ = ("_counts", "_values", "end_of_sweep")

    def __init__(
        self,
        value: "torch.Tensor | SparseRows",
        sweep_end: bool,
        *,
        _counts: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self._values = value
        self._counts = _counts
        self.end_of_sweep = sweep_end

    @property
    def num_samples(self) -> int:
        """How many samples there are."""
        return len(self._values)

    number_of_samples = num_samples

    @property
    def num_sequences(self) -> int:
        """How many sequences there are; samples that belong to none are one each."""
        return self.num_samples if self._counts is None else len(self._counts)

    number_of_sequences = num_sequences

    @property
    def sweep_end(self) -> bool:
        """Whether the minibatch contains or reaches the end of a sweep."""
        return self.end_of_sweep

    @property
    def is_sparse(self) -> bool:
        """Whether zeros are left out."""
        return isinstance(self._values, SparseRows)

    @property
    def shape(self) -> tuple[int, ...]:
        """(sequences, samples of the longest one, dim)."""
        steps = 1 if self._counts is None else int(self._counts.max())
        return (self.num_sequences, steps, int(self._values.shape[-1]))

    @property
    def data(self) -> "MinibatchData":
        """The same values."""
        return self

    @property
    def _tensor(self) -> torch.Tensor:
        values = self._values
        return values.dense() if isinstance(values, SparseRows) else values

    @property
    def _rows(self) -> SparseRows:
        values = self._values
        return values if isinstance(values, SparseRows) else SparseRows.of(values.numpy())

    def _lengths(self) -> npt.NDArray[np.int64]:
        return np.ones(len(self._values), np.int64) if self._counts is None else self._counts

    def asarray(self) -> npt.NDArray[np.float32]:
        """Return the values, shape as `shape`; behind the ends of shorter sequences are zeros."""
        listed: npt.NDArray[np.float32] = self._tensor.to(torch.float32).cpu().numpy()
        if self._counts is None:
            return listed.reshape(self.shape)
        whole = np.zeros(self.shape, np.float32)
        whole[np.arange(self.shape[1]) < self._counts[:, None]] = listed
        return whole

    def as_sequences(self, variable: Any = None) -> list[npt.NDArray[np.float32]]:
        """Return an array of shape (steps, dim) for each sequence."""
        del variable
        listed = self._tensor.to(torch.float32).cpu().numpy()
        return list(np.split(listed, np.cumsum(self._lengths())[:-1]))

    def __len__(self) -> int:
        return self.num_sequences


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
            name: _ctf.Field(stream.field, stream.shape, stream.is_sparse)
            for name, stream in source.streams.items()
        }
        table = _ctf.read(Path(source.filename), fields)
        self._columns = {
            name: _samples(column, fields[name].dim) for name, column in table.columns.items()
        }
        self._chunks = _order.chunks(table.lengths)
        self._sequences = len(table.lengths)
        self._counts = table.counts
        # A sequence counts with the samples of its longest stream.
        self._sizes = (
            None if table.counts is None else np.maximum.reduce(list(table.counts.values()))
        )
        self._starts = {
            name: np.cumsum([0, *count]) for name, count in (table.counts or {}).items()
        }
        self._samples = self._sequences if self._sizes is None else int(self._sizes.sum())
        self._limit = min(max_samples, max_sweeps * self._samples)
        self._seed = randomization_seed
        self._window = randomization_window_in_chunks
        self._randomize = randomize
        self._position = 0
        self._sweep = (-1, np.empty(0, np.int64))
        self._streams = {
            name: StreamInformation(name, (stream.shape,))
            for name, stream in source.streams.items()
        }

    @property
    def streams(self) -> Any:
        """The streams as attributes."""
        return SimpleNamespace(**self._streams)

    def stream_infos(self) -> list[StreamInformation]:
        """Return all streams."""
        return list(self._streams.values())

    def stream_info(self, name: str) -> StreamInformation:
        """Return one stream."""
        return self._streams[name]

    def __getitem__(self, name: str) -> StreamInformation:
        return self._streams[name]

    def next_minibatch(
        self,
        minibatch_size_in_samples: int,
        input_map: Mapping[Any, StreamInformation] | None = None,
        device: Any = None,
        num_data_partitions: int = 1,
        partition_index: int = 0,
    ) -> dict[Any, MinibatchData]:
        """Return the next samples.

        Args:
            minibatch_size_in_samples: How many; fewer only at the end of everything.
            input_map: Variable to stream; None: the result's keys are streams.
            device: Accepted; the values go to the default device when they are used.
            num_data_partitions: Only 1 is provided.
            partition_index: Only 0 is provided.

        Returns:
            Variable (or stream) to its samples; empty after the end.
        """
        del device
        if num_data_partitions != 1 or partition_index != 0:
            raise refuse("next_minibatch with data partitions")
        if minibatch_size_in_samples <= 0:
            message = f"The minibatch size must be positive, not {minibatch_size_in_samples}."
            raise ValueError(message)
        if self._position >= self._limit:
            return {}
        before = self._position // self._samples
        if self._sizes is None:
            count = min(minibatch_size_in_samples, self._limit - self._position)
            chosen = self._lines(count)
            self._position += count
        else:
            chosen = self._whole_sequences(minibatch_size_in_samples)
            self._position += int(self._sizes[chosen].sum())
        ended = self._position // self._samples > before
        wanted = {info: info for info in self._streams.values()} if input_map is None else input_map
        return {key: self._data(info.name, chosen, ended) for key, info in wanted.items()}

    def _data(self, name: str, chosen: _order.Indices, ended: bool) -> MinibatchData:
        column = self._columns[name]
        rows, counts = chosen, None
        if self._counts is not None:
            counts = self._counts[name][chosen]
            before = np.cumsum([0, *counts[:-1]])
            starts = np.repeat(self._starts[name][chosen] - before, counts)
            rows = starts + np.arange(len(starts))
        lines = torch.from_numpy(rows)
        if isinstance(column, SparseRows):
            return MinibatchData(column.index_select(0, lines), ended, _counts=counts)
        return MinibatchData(column[lines], ended, _counts=counts)

    def _whole_sequences(self, most: int) -> _order.Indices:
        """Return the next sequences that have no more samples than `most` together, one at least.

        They may go on in the next sweep; one that begins before the limit is given out whole.
        """
        assert self._sizes is not None
        parts: list[_order.Indices] = []
        position = self._position
        room = most
        while position < self._limit:
            sweep, at = divmod(position, self._samples)
            order = self._order_of(sweep)
            ends = np.cumsum(self._sizes[order])
            first = int(np.searchsorted(ends - self._sizes[order], at))
            fitting = int(np.searchsorted(ends, at + room, side="right"))
            last = sweep * self._samples + ends - self._sizes[order]
            within = int(np.searchsorted(last, self._limit))
            stop = min(max(fitting, first if parts else first + 1), within)
            parts.append(order[first:stop])
            taken = int(ends[stop - 1] - at) if stop > first else 0
            position += taken
            room -= taken
            if stop < len(order):
                break
        return np.concatenate(parts)

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
                order = np.arange(self._sequences)
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
        """Go on from where `get_checkpoint_state` was called."""
        self._position = int(checkpoint[_POSITION])


def _samples(column: "_ctf.Array | _ctf.Sparse", dim: int) -> "torch.Tensor | SparseRows":
    if not isinstance(column, _ctf.Sparse):
        return torch.from_numpy(column)
    starts = np.cumsum([0, *column.counts])
    places, values = torch.from_numpy(column.places), torch.from_numpy(column.values)
    return SparseRows(torch.from_numpy(starts), places, values, (dim,))
