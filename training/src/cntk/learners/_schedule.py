"""Schedules: a learner's parameter as a function of the samples seen."""

import bisect
import math
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate
from typing import Any, Final, final

IGNORE: Final = 0
"""As a minibatch size: the value is meant for whatever size a minibatch has."""


class UnitType(Enum):
    """What a learning rate is meant for."""

    sample = "sample"
    minibatch = "minibatch"


@final
@dataclass(frozen=True, slots=True)
class Schedule:
    """Values, each for a number of samples; the last for ever.

    Args:
        values: At least one.
        ends: The unit count at which each value but the last ends.
        epoch_size: Samples in a unit; None: a unit is a sweep of the data.
        minibatch_size: What each value is meant for: 1 for a sample, `IGNORE` for any minibatch.
    """

    values: tuple[float, ...]
    ends: tuple[int, ...]
    epoch_size: int | None
    minibatch_size: int

    @property
    def is_minibatch_size_explicitly_specified(self) -> bool:
        """Whether values are meant for a certain number of samples."""
        return self.minibatch_size != IGNORE

    def at(self, samples: int, sweeps: int) -> float:
        """Return the value after so many samples and completed sweeps."""
        unit = sweeps if self.epoch_size is None else samples // self.epoch_size
        return self.values[bisect.bisect_right(self.ends, unit)]

    def __getitem__(self, samples: int) -> float:
        return self.at(samples, 0)

    def per_sample(self, value: float, samples: int) -> float:
        """Return a rate's value as a rate for each sample of a minibatch."""
        return value / (self.minibatch_size or samples)

    def over(self, value: float, samples: int) -> float:
        """Return a momentum's value over a whole minibatch."""
        return float(value ** (samples / self.minibatch_size)) if self.minibatch_size else value

    @property
    def unit_text(self) -> str:
        """What a log line says after `per`."""
        return f"{self.minibatch_size} samples" if self.minibatch_size else "minibatch"


def _schedule(given: Any, minibatch_size: int | None, epoch_size: int | None) -> Schedule:
    """Return a schedule of a number, a list of numbers, or a list of pairs of how long and what."""
    if isinstance(given, Schedule):
        return given
    if epoch_size is not None and epoch_size <= 0:
        message = f"epoch_size must be a positive number of samples, not {epoch_size}."
        raise ValueError(message)
    listed = list(given) if isinstance(given, list | tuple) else [given]
    if not listed:
        message = "A schedule needs at least one value."
        raise ValueError(message)
    pairs = [
        (1, item) if not isinstance(item, list | tuple) else (int(item[0]), item[1])
        for item in listed
    ]
    values = tuple(float(value) for _, value in pairs)
    ends = tuple(accumulate(count for count, _ in pairs[:-1]))
    return Schedule(values, ends, epoch_size, minibatch_size or IGNORE)


def learning_parameter_schedule(
    schedule: Any, minibatch_size: int | None = None, epoch_size: int | None = None
) -> Schedule:
    """Return a schedule.

    Args:
        schedule: A number, a list of numbers for an epoch each, or a list of (epochs, number).
        minibatch_size: What the numbers are meant for; None: for whatever size a minibatch has.
        epoch_size: Samples in an epoch; None: a sweep of the data.
    """
    return _schedule(schedule, minibatch_size, epoch_size)


def learning_parameter_schedule_per_sample(
    schedule: Any, epoch_size: int | None = None
) -> Schedule:
    """Return a schedule of numbers meant for one sample; see `learning_parameter_schedule`."""
    return _schedule(schedule, 1, epoch_size)


def training_parameter_schedule(
    schedule: Any, unit: Any = UnitType.minibatch, epoch_size: int | None = None
) -> Schedule:
    """Return a schedule of numbers for a `UnitType`, as CNTK 2.0 had it."""
    return _schedule(schedule, 1 if unit is UnitType.sample else IGNORE, epoch_size)


def learning_rate_schedule(lr: Any, unit: UnitType, epoch_size: int | None = None) -> Schedule:
    """Return a schedule of learning rates for a `UnitType`, as CNTK 2.0 had it."""
    return training_parameter_schedule(lr, unit, epoch_size)


def momentum_schedule(
    momentum: Any, epoch_size: int | None = None, minibatch_size: int | None = None
) -> Schedule:
    """Return a schedule of momenta for a minibatch of any size, or of `minibatch_size`."""
    return _schedule(momentum, minibatch_size, epoch_size)


def momentum_schedule_per_sample(momentum: Any, epoch_size: int | None = None) -> Schedule:
    """Return a schedule of momenta for one sample."""
    return _schedule(momentum, 1, epoch_size)


def momentum_as_time_constant_schedule(momentum: Any, epoch_size: int | None = None) -> Schedule:
    """Return a schedule of time constants in samples: exp(-1 / T) for one sample, 0 for T = 0."""
    times = _schedule(momentum, 1, epoch_size)
    values = tuple(math.exp(-1.0 / value) if value else 0.0 for value in times.values)
    return Schedule(values, times.ends, epoch_size, 1)
