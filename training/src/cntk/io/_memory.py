"""Minibatch sources of data in memory, and those that scripts write themselves."""

from collections.abc import Mapping
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch

from cntk._absent import refuse
from cntk._record import Record
from cntk.io._source import INFINITELY_REPEAT, MinibatchData, StreamInformation

Minibatch = dict[StreamInformation, MinibatchData]


class UserMinibatchSource:
    """Base of minibatch sources written in Python: override `stream_infos` and `next_minibatch`."""

    def __init__(self) -> None:
        self.streams = Record({info.name: info for info in self.stream_infos()})

    def stream_infos(self) -> list[StreamInformation]:
        """Return all streams; override it."""
        raise NotImplementedError

    def next_minibatch(
        self, num_samples: int, number_of_workers: int = 1, worker_rank: int = 0, device: Any = None
    ) -> Minibatch:
        """Return the next samples of each stream, nothing after the end; override it.

        Args:
            num_samples: How many, at most, for all workers together.
            number_of_workers: How many processes share them.
            worker_rank: Which of them this is.
            device: Where the values should be.
        """
        raise NotImplementedError

    def stream_info(self, name: str) -> StreamInformation:
        """Return one stream."""
        if name not in self.streams:
            message = f"No stream found matching given name '{name}'."
            raise RuntimeError(message)
        found: StreamInformation = self.streams[name]
        return found

    def __getitem__(self, name: str) -> StreamInformation:
        return self.stream_info(name)

    def get_checkpoint_state(self) -> dict[str, Any]:
        """Return how far the source is, in texts and numbers; override it to keep that."""
        return {}

    def restore_from_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Go on from where `get_checkpoint_state` was called; override it with that."""
        if state:
            message = (
                "in order to use checkpointing on UserMinibatchSource, you need to implement "
                "restore_from_checkpoint(checkpoint)"
            )
            raise NotImplementedError(message)

    def is_infinite(self) -> bool:
        """Return whether there is no end; override it if so."""
        return False


@final
class MinibatchSourceFromData(UserMinibatchSource):
    """Arrays in memory as a source: in order, again and again, each sweep cut at its end.

    Args:
        data_streams: Name to array of shape (samples,) + a sample's shape, perhaps as a pair with
            its type, which is not needed.
        max_samples: How many samples to give out in all.
    """

    def __init__(
        self, data_streams: Mapping[str, Any], max_samples: int = INFINITELY_REPEAT
    ) -> None:
        if not data_streams:
            message = (
                "at least one stream must be specified, in the form name=data or name=(data, type)"
            )
            raise ValueError(message)
        self._data = {name: _array(value) for name, value in data_streams.items()}
        lengths = {len(array) for array in self._data.values()}
        if 0 in lengths:
            message = "data is empty"
            raise ValueError(message)
        if len(lengths) > 1:
            message = "all data items must have the same first dimension"
            raise TypeError(message)
        (self._samples,) = lengths
        self._limit = max_samples
        self._cursor = self._given = 0
        super().__init__()

    def stream_infos(self) -> list[StreamInformation]:
        """Return all streams."""
        return [
            StreamInformation(name, i, "dense", array.dtype, array.shape[1:])
            for i, (name, array) in enumerate(self._data.items())
        ]

    def next_minibatch(
        self, num_samples: int, number_of_workers: int = 1, worker_rank: int = 0, device: Any = None
    ) -> Minibatch:
        """Return the next samples, at most up to the end of the sweep.

        Args:
            num_samples: How many, for all workers together.
            number_of_workers: How many processes share them: each takes every so-manieth.
            worker_rank: Which of them this is.
            device: Accepted; the values go to the default device when they are used.

        Returns:
            Stream to its samples; empty after `max_samples`.
        """
        del device
        count = min(num_samples, self._samples - self._cursor, self._limit - self._given)
        if count <= 0:
            return {}
        begin, end = self._cursor, self._cursor + count
        self._given += count
        self._cursor = end % self._samples
        ended = end == self._samples or self._given >= self._limit
        part = slice(begin + worker_rank, end, number_of_workers)
        # The arrays are the script's: it may change them, so a minibatch has values of its own.
        parts = {name: np.array(array[part]) for name, array in self._data.items()}
        return {
            info: MinibatchData(parts[name], len(parts[name]), len(parts[name]), ended)
            for name, info in self.streams.items()
        }

    def get_checkpoint_state(self) -> dict[str, int]:
        """Return how far the source is."""
        return {"cursor": self._cursor, "total_num_samples": self._given}

    def restore_from_checkpoint(self, state: Mapping[str, int]) -> None:
        """Go on from where `get_checkpoint_state` was called."""
        self._cursor = int(state["cursor"]) % self._samples
        self._given = int(state["total_num_samples"])

    def is_infinite(self) -> bool:
        """Return whether `max_samples` sets no end."""
        return self._limit >= INFINITELY_REPEAT


def _array(value: Any) -> npt.NDArray[Any]:
    if isinstance(value, tuple):
        value = value[0]
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if hasattr(value, "asarray"):
        value = value.asarray()
    sequences = isinstance(value, list) and bool(value) and isinstance(value[0], np.ndarray)
    if sequences or hasattr(value, "tocsr"):
        raise refuse("MinibatchSourceFromData with sparse data or sequences")
    if not isinstance(value, np.ndarray):
        message = "data must be a numpy.array or scipy.sparse.csr_matrix, or a list of those"
        raise TypeError(message)
    return value
