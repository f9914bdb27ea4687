"""Minibatch sources: samples in CNTK's order, in minibatches that run across the ends of sweeps."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import torch

from cntk._absent import refuse
from cntk._record import Record
from cntk._sparse import SparseRows
from cntk.io import _corpus, _order
from cntk.io._images import Base64ImageDeserializer, ImageDeserializer
from cntk.io._lines import Lines

INFINITELY_REPEAT: Final = 2**64 - 1
"""For `max_samples` and `max_sweeps`: without end."""
_ENDLESS: Final = 2**63 - 1
_POSITION: Final = "minibatchSourcePosition"


@final
@dataclass(frozen=True, slots=True)
class StreamDef:
    """What a stream is in a file.

    Args:
        field: Its name there.
        shape: How many values each sample has.
        is_sparse: Whether samples are written as `index:value`, zeros left out.
        transforms: What is done to pictures; see `cntk.io.transforms`.
        context: Not provided, as it is for HTK's files.
        scp: The same.
        mlf: The same.
        broadcast: The same.
        defines_mb_size: Whether it is this stream whose samples a minibatch's size counts.
        max_sequence_length: Accepted.
    """

    field: str | None = None
    shape: Any = None
    is_sparse: bool = False
    transforms: Sequence[Any] | None = None
    context: Any = None
    scp: Any = None
    mlf: Any = None
    broadcast: bool | None = None
    defines_mb_size: bool = False
    max_sequence_length: int = 65535

    def __post_init__(self) -> None:
        for name in ("context", "scp", "mlf", "broadcast"):
            if getattr(self, name) is not None:
                raise refuse(f"StreamDef({name}=...), for HTK's files,")

    @property
    def stream_alias(self) -> str | None:
        """The name in the file, as CNTK's core calls it."""
        return self.field

    @property
    def dim(self) -> Any:
        """The shape, as CNTK's core calls it."""
        return self.shape


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

    def __post_init__(self) -> None:
        for key, stream in self.streams.items():
            if stream.field is None:
                message = f"CTFDeserializer: stream name for key {key} must be specified"
                raise ValueError(message)

    def _corpus(self) -> Lines:
        return Lines(Path(self.filename), self.streams)


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
        return f"{self.name}([{' x '.join(map(str, self.shape)) or '???'}])"


@final
class MinibatchData:
    """The samples of one stream in a minibatch.

    Args:
        value: Shape (samples,) + a sample's shape, or (samples, 1) + that; with `_counts` one
            sequence behind the other; or rows whose zeros are left out.
        num_sequences: How many sequences it has; each is one sample.
        num_samples: How many samples it has.
        sweep_end: Whether the minibatch contains or reaches the end of a sweep.
        _counts: Samples of each sequence, shape (sequences,); None: one for each.
    """

    __slots__ = ("_counts", "_values", "end_of_sweep")

    def __init__(
        self,
        value: Any,
        num_sequences: int | None = None,
        num_samples: int | None = None,
        sweep_end: bool = False,
        *,
        _counts: npt.NDArray[np.int64] | None = None,
    ) -> None:
        if not isinstance(value, torch.Tensor | SparseRows):
            if hasattr(value, "asarray"):
                value = value.asarray()
            value = torch.from_numpy(np.ascontiguousarray(value))
        sequences = len(value) if _counts is None else len(_counts)
        if num_sequences not in (None, sequences) or num_samples not in (None, len(value)):
            message = (
                f"A minibatch of {len(value)} samples cannot have {num_samples} samples in "
                f"{num_sequences} sequences: of a script's own values each sample is one sequence."
            )
            raise NotImplementedError(message)
        self._values: torch.Tensor | SparseRows = value
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
        """(samples,) + a sample's shape; from a file (samples, 1, dim), sequences of one.

        For sequences (sequences, samples of the longest one, dim).
        """
        values = self._values
        if self._counts is None and isinstance(values, torch.Tensor):
            return tuple(values.shape)
        steps = 1 if self._counts is None else int(self._counts.max())
        return (self.num_sequences, steps, *values.shape[-1:])

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

    def _listed(self) -> npt.NDArray[Any]:
        tensor = self._tensor
        return (tensor if tensor.is_floating_point() else tensor.to(torch.float32)).cpu().numpy()

    def asarray(self) -> npt.NDArray[Any]:
        """Return the values, of the shape `shape`; behind the ends of sequences are zeros."""
        listed = self._listed()
        if self._counts is None:
            return listed.reshape(self.shape)
        whole = np.zeros(self.shape, listed.dtype)
        whole[np.arange(self.shape[1]) < self._counts[:, None]] = listed
        return whole

    def as_sequences(self, variable: Any = None) -> list[npt.NDArray[Any]]:
        """Return an array of shape (steps, dim) for each sequence."""
        del variable
        if self._counts is None:
            return list(self.asarray())
        return list(np.split(self._listed(), np.cumsum(self._counts)[:-1]))

    def __len__(self) -> int:
        return self.num_sequences

    def __repr__(self) -> str:
        shape, device = " x ".join(map(str, self.shape)), self._tensor.device.type.upper()
        return (
            f"MinibatchData(data=Value([{shape}], {device}), samples={self.num_samples}, "
            f"seqs={self.num_sequences})"
        )


Deserializer = CTFDeserializer | ImageDeserializer | Base64ImageDeserializer


@final
class MinibatchSource:
    """Samples from a file, in order or shuffled sweep by sweep.

    Args:
        deserializers: One, or several whose rows stand side by side, in the first one's chunks.
        max_samples: How many samples to give out in all.
        max_sweeps: How many times to go through the file.
        randomization_window_in_chunks: Over how many chunks a sample moves when they are shuffled;
            chunks are 32 MiB of a text file, or one picture.
        randomization_window_in_samples: The same in samples, instead.
        randomization_seed: Sweep s is shuffled with this number plus s.
        randomize: Whether to shuffle.
        max_errors: Only 0 is provided.
        trace_level: Accepted.
        multithreaded_deserializer: Accepted.
        frame_mode: Only False is provided.
        truncation_length: Only 0 is provided.
    """

    def __init__(
        self,
        deserializers: Deserializer | Sequence[Deserializer],
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
        max_errors: int = 0,
    ) -> None:
        del trace_level, multithreaded_deserializer
        if frame_mode or truncation_length or max_errors:
            raise refuse("MinibatchSource with frame mode, truncation or max_errors")
        if max_samples != INFINITELY_REPEAT and max_sweeps != INFINITELY_REPEAT:
            raise _exclusive("max samples and max sweeps", "non-default")
        in_chunks = randomization_window_in_chunks if randomize else 0
        in_samples = randomization_window_in_samples if randomize else 0
        if in_chunks and in_samples:
            raise _exclusive(
                "randomization window in chunks and randomization window in samples", "non-zero"
            )
        listed: Any = deserializers if isinstance(deserializers, list | tuple) else [deserializers]
        self._corpus = _corpus.together([source._corpus() for source in listed])
        self._chunks = self._corpus.chunks
        self._sequences = self._chunks[-1].stop
        self._sizes = self._corpus.sizes
        if self._sizes is not None and in_samples:
            raise refuse("MinibatchSource with a window in samples over sequences")
        self._samples = self._sequences if self._sizes is None else int(self._sizes.sum())
        self._limit = min(max_samples, max_sweeps * self._samples, _ENDLESS)
        self._seed = randomization_seed
        self._window = in_samples or in_chunks
        self._in_samples = bool(in_samples)
        self._position = 0
        self._sweep = (-1, np.empty(0, np.int64))
        self._streams = {
            name: StreamInformation(name, i, storage, np.float32, shape)
            for i, (name, (storage, shape)) in enumerate(self._corpus.streams.items())
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
        return self._limit >= _ENDLESS

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
            num_data_partitions: How many processes share the samples, each its part of the number
                asked for.
            partition_index: Which of them this is.

        Returns:
            Variable (or stream) to its samples; empty after the end.
        """
        del device
        if minibatch_size_in_samples <= 0:
            message = "GetNextMinibatch: Requested minibatch size must be > 0."
            raise ValueError(message)
        parts, part = num_data_partitions or 1, partition_index or 0
        if not 0 <= part < parts:
            message = f"The data have {parts} partitions; there is no partition {part}."
            raise ValueError(message)
        if self._sizes is not None and parts > 1:
            raise refuse("next_minibatch with data partitions over sequences")
        chosen, end = self._chosen(self._position, minibatch_size_in_samples, parts, part)
        ended = end // self._samples > self._position // self._samples
        self._position = end
        if not len(chosen):
            return {}
        wanted = input_map or {info: info for info in self._streams.values()}
        found = self._corpus.rows(chosen, {info.name for info in wanted.values()})
        if self._corpus.prepares:
            following, _ = self._chosen(end, minibatch_size_in_samples, parts, part)
            if len(following):
                self._corpus.prepare(following)
        return {key: _data(found[info.name], ended) for key, info in wanted.items()}

    def _whole_sequences(
        self, sizes: _order.Indices, begin: int, most: int
    ) -> tuple[_order.Indices, int]:
        """Return the next sequences that have no more samples than `most` together, one at least.

        They may go on in the next sweep; one that begins before the limit is given out whole.
        """
        found = [np.empty(0, np.int64)]
        position, room = begin, most
        while position < self._limit:
            sweep, at = divmod(position, self._samples)
            order = self._order_of(sweep)
            ends = np.cumsum(sizes[order])
            begins = ends - sizes[order]
            first = int(np.searchsorted(begins, at))
            fitting = int(np.searchsorted(ends, at + room, side="right"))
            within = int(np.searchsorted(sweep * self._samples + begins, self._limit))
            stop = min(max(fitting, first if len(found) > 1 else first + 1), within)
            found.append(order[first:stop])
            taken = int(ends[stop - 1] - at) if stop > first else 0
            position += taken
            room -= taken
            if stop < len(order):
                break
        return np.concatenate(found), position

    def _chosen(self, begin: int, size: int, parts: int, part: int) -> tuple[_order.Indices, int]:
        """Return the rows of the next minibatch, and the position behind it."""
        if self._sizes is not None:
            return self._whole_sequences(self._sizes, begin, size)
        if parts == 1:
            need = min(size, self._limit - begin)
        else:
            need = max(size // parts + (part < size % parts), 1)
        found = [np.empty(0, np.int64)]
        position = begin
        while need > 0 and position < self._limit:
            sweep, at = divmod(position, self._samples)
            stop = min(self._samples, self._limit - sweep * self._samples)
            order = self._order_of(sweep)
            if parts == 1:
                stop = min(stop, at + need)
                places = np.arange(at, stop)
            else:
                places = self._local(sweep, parts, part)[at:stop].nonzero()[0][:need] + at
                if len(places) == need:
                    stop = self._behind(sweep, int(places[-1]) + 1, parts, part)
            found.append(order[places])
            need -= len(places)
            position = sweep * self._samples + stop
        return np.concatenate(found), position

    def _behind(self, sweep: int, place: int, parts: int, part: int) -> int:
        """Return the place in a sweep where a worker goes on: shuffled, at its next sample."""
        if not self._by_chunks(parts):
            return place
        more = self._local(sweep, parts, part)[place:].nonzero()[0]
        return place + int(more[0]) if len(more) else self._samples

    def _local(self, sweep: int, parts: int, part: int) -> npt.NDArray[np.bool_]:
        """Return for each place in a sweep whether its sample is for worker number `part`.

        Shuffled, workers take turns with chunks, so that each loads only its own; in order they
        take turns with samples.
        """
        if self._by_chunks(parts):
            chunk_places = _order.places(self._chunks, self._seed + sweep)
            turns = chunk_places[self._order_of(sweep)]
        else:
            turns = np.arange(sweep * self._samples, (sweep + 1) * self._samples)
        local: npt.NDArray[np.bool_] = turns % parts == part
        return local

    def _by_chunks(self, parts: int) -> bool:
        # With fewer chunks than workers CNTK leaves some without data; here all get samples.
        return bool(self._window) and len(self._chunks) >= parts

    def _order_of(self, sweep: int) -> _order.Indices:
        if self._sweep[0] != sweep:
            if self._window:
                order = _order.shuffled(
                    self._chunks, self._seed + sweep, self._window, self._in_samples
                )
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


def _data(found: torch.Tensor | _corpus.Steps, ended: bool) -> MinibatchData:
    if isinstance(found, _corpus.Steps):
        return MinibatchData(found.values, sweep_end=ended, _counts=found.counts)
    return MinibatchData(found, sweep_end=ended)


def _exclusive(what: str, kind: str) -> RuntimeError:
    return RuntimeError(
        f"MinibatchSourceConfig: {what} are mutually exclusive options and cannot have {kind} "
        "values at the same time."
    )
