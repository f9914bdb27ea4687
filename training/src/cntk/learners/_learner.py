"""Learners: from gradients to new parameter values.

A gradient is the sum over the minibatch, and a learning rate is turned into a rate for one sample;
everything else follows from these two.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import torch

from cntk._absent import refuse
from cntk._random import SEEDS
from cntk.learners._rows import used_rows
from cntk.learners._schedule import Schedule, _schedule, momentum_schedule_per_sample
from cntk.variables import Parameter


@final
@dataclass(frozen=True, slots=True)
class Step:
    """What holds for one update.

    Args:
        rate: The learning rate for one sample.
        momentum: Over the whole minibatch; 0 without one.
        variance_momentum: Likewise, for Adam.
        gain: 1 - momentum with unit gain, else 1.
        count: The number of this update, from 1.
    """

    rate: float
    momentum: float
    variance_momentum: float
    gain: float
    count: int


Rule = Callable[[torch.Tensor, torch.Tensor, dict[str, torch.Tensor], Step], None]
"""Changes a parameter by its gradient; what it keeps for the parameter is in the dictionary."""


@final
class Learner:
    """Parameters, how they learn and how far they are; made by `sgd`, `momentum_sgd` and their kin.

    Args:
        parameters: What it changes.
        lr: The learning rates.
        rule: How a gradient changes a parameter.
        options: Regularisation, clipping and momentum.
    """

    def __init__(
        self, parameters: Sequence[Parameter], lr: Schedule, rule: Rule, options: "_Options"
    ) -> None:
        self.parameters = tuple(parameters)
        if not self.parameters:
            message = "The parameters list specified to a Learner must not be empty."
            raise ValueError(message)
        SEEDS.take()
        self._rates = lr
        self._rule = rule
        self._options = options
        self._state: dict[Parameter, dict[str, torch.Tensor]] = {p: {} for p in self.parameters}
        self._samples = 0
        self._sweeps = 0
        self._updates = 0
        self._said: dict[str, float] = {}

    def learning_rate(self) -> float:
        """Return the learning rate that the next update uses, as the schedule states it."""
        return self._rates.at(self._samples, self._sweeps)

    def reset_learning_rate(self, learning_rate: Any) -> None:
        """Use other learning rates from now on."""
        self._rates = _schedule(learning_rate, None, None)

    @property
    def total_number_of_samples_seen(self) -> int:
        """How many samples the updates so far were made of."""
        return self._samples

    def _announcements(self) -> Iterator[tuple[str, float]]:
        """Yield what a log must say before the next progress line: values that have changed."""
        options = self._options
        schedules = [("Learning rate", self._rates)]
        if options.momentum is not None:
            schedules.append(("Momentum", options.momentum))
        for title, schedule in schedules:
            key, value = (
                f"{title} per {schedule.unit_text}",
                schedule.at(self._samples, self._sweeps),
            )
            if self._said.get(key) != value:
                self._said[key] = value
                yield key, value

    @torch.no_grad()
    def _update(self, samples: int, sweep_end: bool) -> None:
        """Take the parameters' gradients of a minibatch of so many samples."""
        step = self._step(samples)
        for parameter in self.parameters:
            value, gradient = parameter._tensor, parameter._tensor.grad
            if gradient is not None:
                if gradient.is_sparse and (self._options.l1 or self._options.l2):
                    gradient = gradient.to_dense()
                state = self._state[parameter]
                with used_rows(value, gradient, state) as (part, change, kept):
                    change = self._options.prepared(change, part, samples)
                    self._rule(part, change, kept, step)
                    self._options.finish(part, step.rate, samples)
                value.grad = None
        self._samples += samples
        self._sweeps += sweep_end
        self._updates += 1

    def _step(self, samples: int) -> Step:
        def over(schedule: Schedule | None) -> float:
            return (
                0.0
                if schedule is None
                else schedule.over(schedule.at(self._samples, self._sweeps), samples)
            )

        options = self._options
        momentum = over(options.momentum)
        rate = self._rates.per_sample(self.learning_rate(), samples)
        return Step(
            rate,
            momentum,
            over(options.variance_momentum),
            1 - momentum if options.unit_gain else 1.0,
            self._updates + 1,
        )


@final
@dataclass(frozen=True, slots=True)
class _Options:
    """What all kinds of learners have in common."""

    momentum: Schedule | None = None
    variance_momentum: Schedule | None = None
    unit_gain: bool = True
    l1: float = 0.0
    l2: float = 0.0
    clip_at: float = float("inf")
    clip_elements: bool = True
    use_mean: bool = False

    def prepared(self, gradient: torch.Tensor, value: torch.Tensor, samples: int) -> torch.Tensor:
        """Return the gradient as the rule takes it: clipped, with weight decay."""
        if self.use_mean:
            gradient = gradient / samples
        if self.clip_at != float("inf"):
            most = self.clip_at * samples
            if self.clip_elements:
                gradient = gradient.clamp(-most, most)
            else:
                gradient = gradient * (most / gradient.norm().clamp(min=1e-30)).clamp(max=1.0)
        return gradient + (samples * self.l2) * value if self.l2 else gradient

    def finish(self, value: torch.Tensor, rate: float, samples: int) -> None:
        """Shrink the new value towards 0 if there is an L1 weight."""
        if self.l1:
            value.copy_(value.sign() * (value.abs() - rate * samples * self.l1).clamp(min=0))


# Rules.


def _plain(
    value: torch.Tensor, gradient: torch.Tensor, _state: dict[str, torch.Tensor], step: Step
) -> None:
    value.sub_(gradient, alpha=step.rate)


def _kept(state: dict[str, torch.Tensor], name: str, like: torch.Tensor) -> torch.Tensor:
    if name not in state:
        state[name] = torch.zeros_like(like)
    return state[name]


def _with_momentum(
    value: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], step: Step
) -> None:
    # The rate is inside the velocity: changing it leaves alone what is there already.
    velocity = _kept(state, "velocity", value)
    velocity.mul_(step.momentum).add_(gradient, alpha=step.gain * step.rate)
    value.sub_(velocity)


def _with_nesterov(
    value: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], step: Step
) -> None:
    velocity = _kept(state, "velocity", value)
    velocity.mul_(step.momentum).add_(gradient, alpha=step.gain * step.rate)
    value.sub_(velocity, alpha=step.momentum).sub_(gradient, alpha=step.gain * step.rate)


def _with_adam(epsilon: float) -> Rule:
    def rule(
        value: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor], step: Step
    ) -> None:
        mean, square = _kept(state, "mean", value), _kept(state, "square", value)
        mean.mul_(step.momentum).add_(gradient, alpha=step.gain)
        square.mul_(step.variance_momentum).addcmul_(
            gradient, gradient, value=1 - step.variance_momentum
        )
        # The corrections use the number of the update, whatever the minibatches' sizes were.
        correction = (1 - step.variance_momentum**step.count) ** 0.5 / (
            1 - step.momentum**step.count
        )
        value.addcdiv_(mean, square.sqrt().add_(epsilon), value=-step.rate * correction)

    return rule


# What scripts call.


def _options(
    l1: float,
    l2: float,
    noise: float,
    clip_at: float,
    clip_elements: bool,
    use_mean: bool,
    **momenta: Any,
) -> _Options:
    if noise:
        raise refuse("gaussian_noise_injection_std_dev")
    return _Options(
        l1=l1, l2=l2, clip_at=clip_at, clip_elements=clip_elements, use_mean=use_mean, **momenta
    )


def sgd(
    parameters: Sequence[Parameter],
    lr: Any,
    l1_regularization_weight: float = 0.0,
    l2_regularization_weight: float = 0.0,
    gaussian_noise_injection_std_dev: float = 0.0,
    gradient_clipping_threshold_per_sample: float = float("inf"),
    gradient_clipping_with_truncation: bool = True,
    use_mean_gradient: bool = False,
    minibatch_size: int | None = None,
    epoch_size: int | None = None,
) -> Learner:
    """Return a learner with w -= rate * gradient.

    Args:
        parameters: What it changes.
        lr: A schedule, or what `learning_parameter_schedule` takes.
        l1_regularization_weight: How fast values shrink towards 0, for a sample.
        l2_regularization_weight: How much of a value counts as gradient, for a sample.
        gaussian_noise_injection_std_dev: Only 0 is provided.
        gradient_clipping_threshold_per_sample: The most that an element, or the norm, may be for a
            sample.
        gradient_clipping_with_truncation: Whether elements are clipped, or the norm.
        use_mean_gradient: Whether the gradient is the mean over the minibatch.
        minibatch_size: What plain numbers in `lr` are meant for.
        epoch_size: How long they hold.
    """
    options = _options(
        l1_regularization_weight,
        l2_regularization_weight,
        gaussian_noise_injection_std_dev,
        gradient_clipping_threshold_per_sample,
        gradient_clipping_with_truncation,
        use_mean_gradient,
    )
    return Learner(parameters, _schedule(lr, minibatch_size, epoch_size), _plain, options)


def _momentum_learner(rule: Rule, title: str, text: str) -> Callable[..., Learner]:
    def learner(
        parameters: Sequence[Parameter],
        lr: Any,
        momentum: Any,
        unit_gain: bool = True,
        l1_regularization_weight: float = 0.0,
        l2_regularization_weight: float = 0.0,
        gaussian_noise_injection_std_dev: float = 0.0,
        gradient_clipping_threshold_per_sample: float = float("inf"),
        gradient_clipping_with_truncation: bool = True,
        use_mean_gradient: bool = False,
        minibatch_size: int | None = None,
        epoch_size: int | None = None,
    ) -> Learner:
        options = _options(
            l1_regularization_weight,
            l2_regularization_weight,
            gaussian_noise_injection_std_dev,
            gradient_clipping_threshold_per_sample,
            gradient_clipping_with_truncation,
            use_mean_gradient,
            momentum=_schedule(momentum, minibatch_size, epoch_size),
            unit_gain=unit_gain,
        )
        return Learner(parameters, _schedule(lr, minibatch_size, epoch_size), rule, options)

    learner.__name__ = title
    learner.__doc__ = text
    return learner


momentum_sgd: Final = _momentum_learner(
    _with_momentum,
    "momentum_sgd",
    "Return a learner with v = m * v + (1 - m) * rate * gradient; w -= v. Without unit_gain the 1 "
    "- m is 1; see `sgd`.",
)
nesterov: Final = _momentum_learner(
    _with_nesterov,
    "nesterov",
    "Return a learner with Nesterov's momentum: w -= m * v + (1 - m) * rate * gradient, v as in "
    "`momentum_sgd`.",
)


def adam(
    parameters: Sequence[Parameter],
    lr: Any,
    momentum: Any,
    unit_gain: bool = True,
    variance_momentum: Any = momentum_schedule_per_sample(0.9999986111120757),
    l1_regularization_weight: float = 0.0,
    l2_regularization_weight: float = 0.0,
    gaussian_noise_injection_std_dev: float = 0.0,
    gradient_clipping_threshold_per_sample: float = float("inf"),
    gradient_clipping_with_truncation: bool = True,
    use_mean_gradient: bool = False,
    epsilon: float = 1e-8,
    adamax: bool = False,
    minibatch_size: int | None = None,
    epoch_size: int | None = None,
) -> Learner:
    """Return an Adam learner, as CNTK has it: with unit gain by default.

    Args:
        parameters: What it changes.
        lr: A schedule, or what `learning_parameter_schedule` takes; a plain number is divided by
            the minibatch size.
        momentum: Of the first moment.
        unit_gain: Whether the first moment has the factor 1 - momentum.
        variance_momentum: Of the second moment.
        l1_regularization_weight: As for `sgd`, like all that follow.
        l2_regularization_weight: See `sgd`.
        gaussian_noise_injection_std_dev: See `sgd`.
        gradient_clipping_threshold_per_sample: See `sgd`.
        gradient_clipping_with_truncation: See `sgd`.
        use_mean_gradient: See `sgd`.
        epsilon: Added to the second moment's root.
        adamax: Only False is provided.
        minibatch_size: See `sgd`.
        epoch_size: See `sgd`.
    """
    if adamax:
        raise refuse("adam(adamax=True)")
    options = _options(
        l1_regularization_weight,
        l2_regularization_weight,
        gaussian_noise_injection_std_dev,
        gradient_clipping_threshold_per_sample,
        gradient_clipping_with_truncation,
        use_mean_gradient,
        momentum=_schedule(momentum, minibatch_size, epoch_size),
        unit_gain=unit_gain,
        variance_momentum=_schedule(variance_momentum, minibatch_size, epoch_size),
    )
    return Learner(
        parameters, _schedule(lr, minibatch_size, epoch_size), _with_adam(epsilon), options
    )
