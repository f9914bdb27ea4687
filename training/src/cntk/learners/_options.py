"""What all kinds of learners have in common: options, and counts of what they have seen."""

import math
from dataclasses import dataclass, replace
from typing import final

import torch

from cntk._dictionary import Dictionary, SizeT
from cntk._ziggurat import normal
from cntk.learners._rules import Tensors
from cntk.learners._schedule import IGNORE, Schedule


@final
@dataclass(slots=True)
class Progress:
    """How far a learner is.

    Args:
        samples: In all updates so far.
        sweeps: Of the data that have ended.
        minibatches: Updates so far.
    """

    samples: int = 0
    sweeps: int = 0
    minibatches: int = 0

    def add(self, samples: int, sweep_end: bool) -> None:
        """Count an update."""
        self.samples += samples
        self.sweeps += sweep_end
        self.minibatches += 1

    def to_file(self) -> Dictionary:
        """Return the counts as a checkpoint has them."""
        return {
            "sweepCount": SizeT(self.sweeps),
            "sample_count": SizeT(self.samples),
            "minibatchCount": SizeT(self.minibatches),
        }

    @staticmethod
    def from_file(stored: Dictionary) -> "Progress":
        """Read the counts of a checkpoint.

        Raises:
            ValueError: One is missing.
        """
        try:
            names = "sample_count", "sweepCount", "minibatchCount"
            return Progress(*(int(stored[name]) for name in names))
        except (KeyError, TypeError) as error:
            message = f"Required key '{error.args[0]}' is not found in the dictionary."
            raise ValueError(message) from error


@final
@dataclass(frozen=True, slots=True)
class Options:
    """What all kinds of learners have in common.

    Args:
        momentum: None without one.
        variance_momentum: Of the second moment.
        unit_gain: Whether a gradient enters with the factor 1 - momentum.
        l1: How fast values shrink towards 0, for a sample.
        l2: How much of a value counts as gradient, for a sample.
        noise: The standard deviation of what is added after an update.
        clip_at: The most that an element, or the norm, may be for a sample.
        clip_elements: Whether elements are clipped, or the norm.
        minibatch_size: What the hyperparameters are meant for; IGNORE: the gradient is the mean.
    """

    momentum: Schedule | None = None
    variance_momentum: Schedule | None = None
    unit_gain: bool = True
    l1: float = 0.0
    l2: float = 0.0
    noise: Schedule | None = None
    clip_at: float = math.inf
    clip_elements: bool = True
    minibatch_size: int | None = None

    @property
    def means(self) -> bool:
        """Whether gradients are means over the minibatch, with hyperparameters as they are."""
        return self.minibatch_size == IGNORE and self.minibatch_size is not None

    def prepared(self, gradients: Tensors, values: Tensors, samples: int) -> Tensors:
        """Return the gradients as the rule takes them: clipped, with weight decay."""
        per = 1 if self.means else samples
        if self.means:
            gradients = torch._foreach_mul(gradients, 1.0 / samples)
        if self.clip_at != math.inf:
            most = self.clip_at * per
            if self.clip_elements:
                gradients = [gradient.clamp(-most, most) for gradient in gradients]
            else:
                gradients = [
                    gradient * (most / gradient.norm().clamp(min=1e-30)).clamp(max=1.0)
                    for gradient in gradients
                ]
        if self.l2:
            gradients = torch._foreach_add(gradients, values, alpha=per * self.l2)
        return gradients

    def finish(self, values: Tensors, rate: float, samples: int) -> None:
        """Shrink the new values towards 0 if there is an L1 weight."""
        if self.l1:
            shrink = rate * self.l1 * (1 if self.means else samples)
            for value in values:
                value.copy_(value.sign() * (value.abs() - shrink).clamp(min=0))


def adapted(schedule: Schedule, minibatch_size: int | None) -> Schedule:
    """Return a schedule as a learner for minibatches of a size takes it."""
    if minibatch_size is None or schedule.is_minibatch_size_explicitly_specified:
        return schedule
    return replace(schedule, minibatch_size=minibatch_size)


def add_noise(value: torch.Tensor, deviation: float, seed: int) -> None:
    """Add normal numbers to a tensor, in C order of its shape.

    Args:
        value: Any shape.
        deviation: Their standard deviation.
        seed: Of the generator on a CPU; a GPU has random numbers of its own.
    """
    if value.device.type == "cpu":
        drawn = torch.from_numpy(normal(seed, value.numel()) * deviation).reshape(value.shape)
    else:
        generator = torch.Generator(value.device).manual_seed(seed % 2**63)
        drawn = torch.randn(value.shape, generator=generator, device=value.device) * deviation
    value.add_(drawn.to(value.dtype))
