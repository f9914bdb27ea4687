"""What a training session is told: sizes, frequencies, sources, and when to test and to save."""

import sys
import warnings
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any

from cntk.io import (
    INFINITELY_REPEAT,
    MinibatchSource,
    MinibatchSourceFromData,
    UserMinibatchSource,
)
from cntk.learners._schedule import Schedule, as_pairs, bounds_of
from cntk.ops.functions import Function

Streams = Mapping[Any, Any]
Frequency = int | tuple[int, "DataUnit"] | None


class DataUnit(IntEnum):
    """What a frequency counts."""

    sample = 0
    minibatch = 1
    sweep = 2


def minibatch_size_schedule(schedule: Any, epoch_size: int = 1) -> Schedule:
    """Return a schedule of minibatch sizes.

    Args:
        schedule: A size, a list of sizes for an epoch each, or a list of (epochs, size).
        epoch_size: Samples in an epoch.
    """
    if isinstance(schedule, int):
        if epoch_size != 1:
            message = "when providing the schedule as a number, epoch_size is ignored"
            raise ValueError(message)
        return Schedule((schedule,), (0,), 1)
    pairs = as_pairs(schedule)
    return Schedule(tuple(size for _, size in pairs), bounds_of(pairs, epoch_size), epoch_size)


def sizes_of(given: Any, name: str) -> Schedule:
    """Return minibatch sizes; raises ValueError for what is neither a number nor a schedule."""
    if isinstance(given, int):
        given = minibatch_size_schedule(given)
    if not isinstance(given, Schedule):
        message = (
            f"{name} of type ({type(given)}) not supported. it must be an output of "
            "minibatch_size_schedule() function"
        )
        raise ValueError(message)
    return given


def frequency_of(given: Any, otherwise: int) -> tuple[int, DataUnit]:
    """Return a number and its unit; raises ValueError for what is no frequency."""
    if given is None:
        return otherwise, DataUnit.sample
    if isinstance(given, int):
        return given, DataUnit.sample
    match given:
        case (int() as count, DataUnit() as unit):
            return count, unit
        case _:
            pass
    message = (
        f"Unsupported frequency specification: {given!r}; give a number of samples, or a pair of a "
        "number and a DataUnit."
    )
    raise ValueError(message)


class CheckpointConfig:
    """When and where a session writes checkpoints.

    Args:
        filename: The model's path; the state of training stands beside it.
        frequency: Every so many samples, or a pair with a `DataUnit`; None: at the end.
        restore: Whether to go on from a checkpoint that is there.
        preserve_all: Whether each checkpoint has a number behind its name and stays.
    """

    def __init__(
        self,
        filename: str | None,
        frequency: Frequency = None,
        restore: bool = True,
        preserve_all: bool = False,
    ) -> None:
        if filename is None and frequency not in (None, 0):
            message = "Checkpoint frequency cannot be specified without checkpoint_filename"
            raise ValueError(message)
        self._filename = filename
        self._frequency = frequency_of(frequency, 0 if filename is None else sys.maxsize)
        self._restore = restore
        self._preserve_all = preserve_all


class CrossValidationConfig:
    """When and with which data a session tests its model.

    Args:
        minibatch_source: A source, or a tuple of arrays for the criterion's arguments; None: only
            the callback is called.
        frequency: Every so many samples, or a pair with a `DataUnit`; None: at the end.
        minibatch_size: A size or a schedule.
        callback: Takes the number of the test from 0, the mean metric, its samples and minibatches;
            returns False to stop training.
        max_samples: How many samples to test; None: all.
        model_inputs_to_streams: Variable to stream; None: as in training.
        criterion: Whose arguments the arrays are for.
        source: The old name of `minibatch_source`.
        mb_size: The old name of `minibatch_size`.
    """

    def __init__(
        self,
        minibatch_source: Any = None,
        frequency: Frequency = None,
        minibatch_size: Any = 32,
        callback: Callable[[int, float, int, int], bool] | None = None,
        max_samples: int | None = None,
        model_inputs_to_streams: Streams | None = None,
        criterion: Function | None = None,
        source: Any = None,
        mb_size: Any = None,
    ) -> None:
        minibatch_source, minibatch_size = _renamed(
            minibatch_source, minibatch_size, source, mb_size
        )
        nothing = minibatch_source is None and callback is None
        if nothing and frequency not in (None, 0):
            message = "Either minibatch_source of callback should be specified."
            raise ValueError(message)
        self._frequency = frequency_of(frequency, 0 if nothing else sys.maxsize)
        self._sizes = sizes_of(minibatch_size, "minibatch_size")
        self._callback = callback
        self._max_samples = sys.maxsize if max_samples is None else max_samples
        self._source, self._streams = as_source(
            minibatch_source, model_inputs_to_streams, criterion, endless=False
        )


class TestConfig:
    """With which data a session tests its model after training.

    Args:
        minibatch_source: A source, or a tuple of arrays for the criterion's arguments; None: none.
        minibatch_size: A size or a schedule.
        model_inputs_to_streams: Variable to stream; None: as in training.
        criterion: Whose arguments the arrays are for.
        source: The old name of `minibatch_source`.
        mb_size: The old name of `minibatch_size`.
    """

    __test__ = False  # no class of tests, whatever pytest makes of its name

    def __init__(
        self,
        minibatch_source: Any = None,
        minibatch_size: Any = 32,
        model_inputs_to_streams: Streams | None = None,
        criterion: Function | None = None,
        source: Any = None,
        mb_size: Any = None,
    ) -> None:
        minibatch_source, minibatch_size = _renamed(
            minibatch_source, minibatch_size, source, mb_size
        )
        self._sizes = sizes_of(minibatch_size, "minibatch_size")
        self._max_samples = sys.maxsize
        self._source, self._streams = as_source(
            minibatch_source, model_inputs_to_streams, criterion, endless=False
        )


def _renamed(source: Any, size: Any, old_source: Any, old_size: Any) -> tuple[Any, Any]:
    for old, new, given in (
        ("source", "minibatch_source", old_source),
        ("mb_size", "minibatch_size", old_size),
    ):
        if given is not None:
            message = f'DEPRECATED: "{old}" parameter is deprecated, please use "{new}" instead'
            warnings.warn(message, DeprecationWarning, stacklevel=3)
    return (
        source if old_source is None else old_source,
        size if old_size is None else old_size,
    )


def as_source(
    given: Any, streams: Streams | None, criterion: Function | None, *, endless: bool
) -> tuple[Any, Streams | None]:
    """Return a source and its mapping; arrays become a source for the criterion's arguments.

    Args:
        given: A source, an array or a tuple of arrays.
        streams: Variable to stream; not for arrays.
        criterion: Whose arguments the arrays are for.
        endless: Whether arrays are given out again and again, or once.

    Raises:
        ValueError: The arrays are not what the criterion takes.
    """
    if given is None or isinstance(given, MinibatchSource | UserMinibatchSource):
        return given, streams
    arrays = given if isinstance(given, tuple) else (given,)
    if criterion is None:
        message = (
            "when passing data directly in place of a minibatch source, criterion must be given"
        )
        raise ValueError(message)
    arguments = criterion.arguments
    if len(arguments) != len(arrays):
        message = (
            f"to pass data directly in place of a minibatch source, pass a tuple of "
            f"{len(arguments)} numpy or scipy arrays, in the order of the arguments of the "
            f"criterion function. You passed {len(arrays)} value(s)"
        )
        raise ValueError(message)
    if streams is not None:
        message = "mapping must not be provided when data is passed directly"
        raise ValueError(message)
    names = [v.name or f"stream_{i}" for i, v in enumerate(arguments)]
    if len({*names}) != len(names):
        names = [f"stream_{i}" for i in range(len(arguments))]
    limit = INFINITELY_REPEAT if endless else len(arrays[0])
    source = MinibatchSourceFromData(dict(zip(names, arrays, strict=True)), limit)
    return source, {v: source.streams[name] for v, name in zip(arguments, names, strict=True)}


def read(
    source: Any, size: int, streams: Streams, workers: int = 1, rank: int = 0
) -> dict[Any, Any]:
    """Return the next minibatch of a source by variables."""
    if isinstance(source, MinibatchSource):
        return source.next_minibatch(
            size, streams, num_data_partitions=workers, partition_index=rank
        )
    data = source.next_minibatch(size, workers, rank)
    return {v: data[stream] for v, stream in streams.items()} if data else {}
