"""Progress writers: sums of loss and metric, and the moments at which a writer hears of them."""

import sys
import time
from dataclasses import dataclass, field
from typing import Any, Final

import torch

NEVER: Final = sys.maxsize
"""A frequency: only summaries."""
Span = tuple[float, float]
Counts = tuple[int, int]
Sum = float | torch.Tensor


@dataclass(slots=True)
class Sums:
    """What has been summed up since the last summary.

    Args:
        samples: In all minibatches.
        updates: How many minibatches.
        loss: Sum over the samples; it stays on the device until it is read.
        metric: Likewise.
    """

    samples: int = 0
    updates: int = 0
    loss: Sum = 0.0
    metric: Sum = 0.0

    def plus(self, samples: int, loss: Sum, metric: Sum) -> "Sums":
        """Return the sums with one minibatch more."""
        return Sums(
            self.samples + samples, self.updates + 1, self.loss + loss, self.metric + metric
        )


@dataclass(slots=True)
class _Account:
    """The sums of training, or of tests, and what was last told of them."""

    frequency: int
    first: int
    now: Sums = field(default_factory=Sums)
    told: Sums = field(default_factory=Sums)
    total_updates: int = 0
    summaries: int = 0
    since: float = field(default_factory=time.perf_counter)

    def add(self, samples: int, loss: Sum, metric: Sum) -> bool:
        """Add a minibatch; return whether it is time to tell."""
        self.now = self.now.plus(samples, loss, metric)
        self.total_updates += 1
        number = self.now.updates
        if self.frequency == 0:
            return number & (number + 1) == 0
        return number <= self.first or number % self.frequency == 0

    def spans(self) -> tuple[Counts, Counts, Span, Span]:
        """Return samples, updates, loss and metric as told last and now; now counts as told."""
        told, now = self.told, self.now
        self.told = now
        return (
            (told.samples, now.samples),
            (told.updates, now.updates),
            (float(told.loss), float(now.loss)),
            (float(told.metric), float(now.metric)),
        )

    def close(self) -> tuple[Sums, float]:
        """Return the sums and the milliseconds they took, and begin anew."""
        now = time.perf_counter()
        elapsed, self.since = (now - self.since) * 1000, now
        closed, self.now, self.told = self.now, Sums(), Sums()
        self.summaries += 1
        return closed, elapsed


class ProgressWriter:
    """Base of all that hear of progress: derive from it and override what begins with `on_`.

    Args:
        training_update_frequency: 0: at minibatches 1, 3, 7, ...; n: every n minibatches.
        training_first_updates_to_write: How many minibatches at the beginning are told one by one.
        test_update_frequency: As for training.
        test_first_updates_to_write: As for training.
        distributed_sync_update_frequency: As for training, for the workers' exchanges.
        distributed_sync_first_updates_to_write: Likewise.
    """

    def __init__(
        self,
        training_update_frequency: int,
        training_first_updates_to_write: int,
        test_update_frequency: int,
        test_first_updates_to_write: int,
        distributed_sync_update_frequency: int,
        distributed_sync_first_updates_to_write: int,
    ) -> None:
        self.__training = _Account(training_update_frequency, training_first_updates_to_write)
        self.__test = _Account(test_update_frequency, test_first_updates_to_write)
        self.__distributed = _Account(
            distributed_sync_update_frequency, distributed_sync_first_updates_to_write
        )

    # What a writer may override.

    def on_write_training_update(
        self, samples: Counts, updates: Counts, aggregate_loss: Span, aggregate_metric: Span
    ) -> None:
        """Hear of minibatches; each pair is what was told last and what is now."""

    def on_write_test_update(
        self, samples: Counts, updates: Counts, aggregate_metric: Span
    ) -> None:
        """Hear of tested minibatches."""

    def on_write_distributed_sync_update(
        self, samples: Counts, updates: Counts, aggregate_metric: Span
    ) -> None:
        """Hear of the workers' exchanges."""

    def on_write_training_summary(
        self,
        samples: int,
        updates: int,
        summaries: int,
        aggregate_loss: float,
        aggregate_metric: float,
        elapsed_milliseconds: float,
    ) -> None:
        """Hear of all minibatches since the last summary."""

    def on_write_test_summary(
        self,
        samples: int,
        updates: int,
        summaries: int,
        aggregate_metric: float,
        elapsed_milliseconds: float,
    ) -> None:
        """Hear of all tested minibatches since the last summary."""

    def on_training_update_end(self) -> None:
        """Hear that a minibatch is done."""

    def write(self, key: str, value: Any) -> None:
        """Hear of a value that has changed, as a learning rate."""

    # What a trainer does with it.

    def total_training_updates(self) -> int:
        """Return the number of minibatches trained on since the writer was made."""
        return self.__training.total_updates

    def total_test_updates(self) -> int:
        """Return the number of minibatches tested since the writer was made."""
        return self.__test.total_updates

    def write_training_summary(self) -> None:
        """Sum up training since the last summary."""
        sums, elapsed = self.__training.close()
        self.on_write_training_summary(
            sums.samples,
            sums.updates,
            self.__training.summaries,
            float(sums.loss),
            float(sums.metric),
            elapsed,
        )

    def write_test_summary(self) -> None:
        """Sum up tests since the last summary."""
        sums, elapsed = self.__test.close()
        number = self.__test.summaries
        self.on_write_test_summary(sums.samples, sums.updates, number, float(sums.metric), elapsed)

    def _trained(self, samples: int, loss: Sum, metric: Sum = 0.0) -> None:
        if self.__training.add(samples, loss, metric):
            self.on_write_training_update(*self.__training.spans())
        self.on_training_update_end()

    def _tested(self, samples: int, metric: Sum) -> None:
        if self.__test.add(samples, 0.0, metric):
            spans = self.__test.spans()
            self.on_write_test_update(spans[0], spans[1], spans[3])

    def _synchronised(self, samples: int) -> None:
        if self.__distributed.add(samples, 0.0, 0.0):
            spans = self.__distributed.spans()
            self.on_write_distributed_sync_update(spans[0], spans[1], spans[3])

    def __disown__(self) -> "ProgressWriter":
        """Return the writer; scripts call it because CNTK's writers belong to C++."""
        return self


def average(numerator: "float | Span", denominator: "float | Span") -> float:
    """Return a quotient, of differences where pairs are given; 0 when nothing is below it."""
    top = numerator[1] - numerator[0] if isinstance(numerator, tuple) else numerator
    bottom = denominator[1] - denominator[0] if isinstance(denominator, tuple) else denominator
    return top / bottom if bottom > 0 else 0.0
