"""Schedules: a learner's parameter as a function of the samples seen."""

import bisect
import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from itertools import accumulate
from typing import Any, Final, final

from cntk._dictionary import Dictionary, SizeT

IGNORE: Final = 0
"""As a minibatch size: the value is meant for whatever size a minibatch has."""
FULL_DATA_SWEEP: Final = 0
"""As an epoch size: a sweep of the data."""
_FILE_VERSION: Final = SizeT(2)


class UnitType(Enum):
    """What a learning rate is meant for."""

    sample = "sample"
    minibatch = "minibatch"


@final
@dataclass(frozen=True, slots=True)
class Schedule:
    """Values, each for a number of samples or sweeps; the last for ever.

    Args:
        values: At least one.
        bounds: The count of samples, or of sweeps, at which each value ends; the last one does not
            count.
        epoch_size: Samples in a unit; `FULL_DATA_SWEEP`: the counts are of sweeps.
        minibatch_size: What each value is meant for: 1 for a sample, `IGNORE` for any minibatch.
        is_minibatch_size_explicitly_specified: Whether a learner's own minibatch size leaves that
            as it is.
    """

    values: tuple[float, ...]
    bounds: tuple[int, ...]
    epoch_size: int = FULL_DATA_SWEEP
    minibatch_size: int = IGNORE
    is_minibatch_size_explicitly_specified: bool = False

    @property
    def is_sweep_based(self) -> bool:
        """Whether values last for sweeps of the data."""
        return self.epoch_size == FULL_DATA_SWEEP

    def at(self, samples: int, sweeps: int) -> float:
        """Return the value after so many samples and completed sweeps."""
        return self[sweeps if self.is_sweep_based else samples]

    def __getitem__(self, count: int) -> float:
        place = bisect.bisect_right(self.bounds, count)
        return self.values[min(place, len(self.values) - 1)]

    def per_sample(self, value: float, samples: int) -> float:
        """Return a rate's value as a rate for each sample of a minibatch."""
        return value / (self.minibatch_size or samples)

    def over(self, value: float, samples: int) -> float:
        """Return a momentum's value over a whole minibatch."""
        return float(value ** (samples / self.minibatch_size)) if self.minibatch_size else value

    def meant_for(self, minibatch_size: int) -> "Schedule":
        """Return the same values for minibatches of another size."""
        return replace(
            self, minibatch_size=minibatch_size, is_minibatch_size_explicitly_specified=True
        )

    def begun_at(self, samples: int, sweeps: int) -> "Schedule":
        """Return the same values counted from a later beginning."""
        start = sweeps if self.is_sweep_based else samples
        return replace(self, bounds=tuple(bound + start for bound in self.bounds))

    @property
    def unit_text(self) -> str:
        """What a log line says after `per`."""
        return f"{self.minibatch_size} samples" if self.minibatch_size else "minibatch"

    def to_file(self) -> Dictionary:
        """Return the schedule as a checkpoint has it."""
        entries = zip(self.bounds, self.values, strict=True)
        return {
            "type": "TrainingParameterSchedule",
            "epoch_size": SizeT(self.epoch_size),
            "schedule": {str(bound): value for bound, value in entries},
            "version": _FILE_VERSION,
            "ref_mb_size": SizeT(self.minibatch_size),
        }


def schedule_from_file(stored: Dictionary) -> Schedule:
    """Return the schedule that a checkpoint holds.

    Raises:
        ValueError: The entry is no schedule.
    """
    try:
        pairs = sorted((int(bound), float(value)) for bound, value in stored["schedule"].items())
        bounds, values = zip(*pairs, strict=True)
        sizes = int(stored["epoch_size"]), int(stored["ref_mb_size"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = "The checkpoint's learning rate schedule is not in CNTK's form."
        raise ValueError(message) from error
    return Schedule(values, bounds, *sizes, is_minibatch_size_explicitly_specified=True)


def as_pairs(schedule: Any, what: str = "a float") -> list[tuple[int, Any]]:
    """Return a list of numbers, or of pairs of how long and what, as pairs.

    Raises:
        ValueError: It is something else.
        RuntimeError: It is empty, or a value lasts for no time; CNTK's own words.
    """
    if not isinstance(schedule, list):
        message = f"schedule must be either {what} or a list, not {type(schedule)}"
        raise ValueError(message)
    pairs = [
        (int(item[0]), item[1]) if isinstance(item, list | tuple) else (1, item)
        for item in schedule
    ]
    where = "TrainingParameterSchedule::ConstructSchedule :"
    if not pairs:
        message = f"{where} schedule is empty."
        raise RuntimeError(message)
    # The last value lasts for ever, whatever its count says.
    if any(count <= 0 for count, _ in pairs[:-1]):
        message = f"{where} unit count in the 'schedule' argument must not be 0."
        raise RuntimeError(message)
    return pairs


def bounds_of(pairs: Iterable[tuple[int, Any]], epoch_size: int) -> tuple[int, ...]:
    """Return where each of the pairs' values ends, in samples, or in sweeps without a size."""
    return tuple(accumulate(count * (epoch_size or 1) for count, _ in pairs))


def _schedule(given: Any, minibatch_size: int | None, epoch_size: int | None) -> Schedule:
    """Return a schedule of a number, a list of numbers, or a list of pairs of how long and what."""
    if isinstance(given, Schedule):
        return given
    if epoch_size is not None and epoch_size < 0:
        message = f"epoch_size must be a positive number of samples, not {epoch_size}."
        raise ValueError(message)
    size, explicit = minibatch_size or IGNORE, minibatch_size is not None
    if _is_number(given):
        if epoch_size is not None:
            warnings.warn(
                "When providing the schedule as a number, epoch_size is ignored",
                RuntimeWarning,
                stacklevel=4,
            )
        return Schedule((float(given),), (0,), FULL_DATA_SWEEP, size, explicit)
    pairs = as_pairs(given)
    units = epoch_size or FULL_DATA_SWEEP
    values = tuple(float(value) for _, value in pairs)
    return Schedule(values, bounds_of(pairs, units), units, size, explicit)


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float) or (getattr(given, "shape", None) == ())


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
    size = 1 if UnitType(unit) is UnitType.sample else IGNORE
    made = _schedule(schedule, size, epoch_size)
    return made.meant_for(made.minibatch_size)


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
    if isinstance(momentum, Schedule):
        return momentum.meant_for(momentum.minibatch_size)
    times = _schedule(momentum, 1, epoch_size)
    values = tuple(math.exp(-1.0 / value) if value else 0.0 for value in times.values)
    return replace(times, values=values)
