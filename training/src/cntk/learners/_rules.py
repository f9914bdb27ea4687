"""How gradients change parameters: a rule for each kind of learner.

A rule works on all of a learner's parameters at once. What it keeps from one minibatch to the next
stands in slots of a parameter's shape, in the order in which CNTK's checkpoints have them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch

Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]
_ADAGRAD_FLOOR: Final = 1e-16
_RMSPROP_FLOOR: Final = 1e-6
_RMSPROP_FIRST_STEP: Final = 0.02
_FSADAGRAD_MOST: Final = 10.0


@final
@dataclass(frozen=True, slots=True)
class Step:
    """What holds for one update.

    Args:
        rate: The learning rate for one sample.
        momentum: Over the whole minibatch; 0 without one.
        variance_momentum: Likewise, of the second moment.
        gain: 1 - momentum with unit gain, else 1.
        count: What the learner counts, with this update: updates, or smoothed samples.
    """

    rate: float
    momentum: float
    variance_momentum: float
    gain: float
    count: float


Apply = Callable[[Tensors, Tensors, Sequence[Tensors], Step], None]
"""Changes values by gradients, both one for each parameter; then the slots, each the same way."""


@final
@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of learner.

    Args:
        apply: The change.
        slots: How many values it keeps for each element of a parameter.
        counts: What its checkpoints count: `updates`, `samples` (smoothed) or nothing.
        tells_momentum: Whether a log line says when the momentum has changed.
    """

    apply: Apply
    slots: int = 0
    counts: str = ""
    tells_momentum: bool = False


def _sgd(values: Tensors, gradients: Tensors, _slots: Sequence[Tensors], step: Step) -> None:
    torch._foreach_add_(values, gradients, alpha=-step.rate)


def _momentum(values: Tensors, gradients: Tensors, slots: Sequence[Tensors], step: Step) -> None:
    # The rate is inside the velocity: changing it leaves alone what is there already.
    (velocity,) = slots
    torch._foreach_mul_(velocity, step.momentum)
    torch._foreach_add_(velocity, gradients, alpha=step.gain * step.rate)
    torch._foreach_sub_(values, velocity)


def _nesterov(values: Tensors, gradients: Tensors, slots: Sequence[Tensors], step: Step) -> None:
    (velocity,) = slots
    torch._foreach_mul_(velocity, step.momentum)
    torch._foreach_add_(velocity, gradients, alpha=step.gain * step.rate)
    torch._foreach_sub_(values, velocity, alpha=step.momentum)
    torch._foreach_sub_(values, gradients, alpha=step.gain * step.rate)


SGD: Final = Rule(_sgd)
MOMENTUM: Final = Rule(_momentum, 1, tells_momentum=True)
NESTEROV: Final = Rule(_nesterov, 1, tells_momentum=True)


def adagrad(*, averaged: bool) -> Rule:
    """Return the rule g / sqrt(sum of g^2); averaged: divided by the mean of those factors."""

    def apply(values: Tensors, gradients: Tensors, slots: Sequence[Tensors], step: Step) -> None:
        (squares,) = slots
        torch._foreach_addcmul_(squares, gradients, gradients)
        for value, gradient, square in zip(values, gradients, squares, strict=True):
            factor = (square + _ADAGRAD_FLOOR).rsqrt_()
            _add_scaled(value, gradient, factor, step.rate, averaged=averaged)

    return Rule(apply, 1)


def adadelta(rho: float, epsilon: float) -> Rule:
    """Return the rule of M. Zeiler's Adadelta; its own step is scaled by the rate."""

    def apply(values: Tensors, gradients: Tensors, slots: Sequence[Tensors], step: Step) -> None:
        for value, gradient, square, moved in zip(values, gradients, *slots, strict=True):
            square.mul_(rho).addcmul_(gradient, gradient, value=1 - rho)
            move = gradient * ((moved + epsilon).sqrt_() / (square + epsilon).sqrt_())
            moved.mul_(rho).addcmul_(move, move, value=1 - rho)
            value.sub_(move, alpha=step.rate)

    return Rule(apply, 2)


def rmsprop(
    gamma: float, longer: float, shorter: float, longest: float, shortest: float, *, averaged: bool
) -> Rule:
    """Return the rule s * g / sqrt(smoothed g^2); s grows while an element's sign stays."""

    def apply(values: Tensors, gradients: Tensors, slots: Sequence[Tensors], step: Step) -> None:
        for value, gradient, square, signs, sizes in zip(values, gradients, *slots, strict=True):
            if step.count == 1:
                torch.mul(gradient, gradient, out=square)
                sizes.fill_(_RMSPROP_FIRST_STEP)
            square.mul_(gamma).addcmul_(gradient, gradient, value=1 - gamma)
            kept_sign = signs * gradient > 0
            grown, shrunk = (sizes * longer).clamp_(max=longest), (sizes * shorter).clamp_(shortest)
            torch.where(kept_sign, grown, shrunk, out=sizes)
            torch.sign(gradient, out=signs)
            factor = sizes * (square + _RMSPROP_FLOOR).rsqrt_()
            _add_scaled(value, gradient, factor, step.rate, averaged=averaged)

    return Rule(apply, 3, "updates")


def _add_scaled(
    value: torch.Tensor,
    gradient: torch.Tensor,
    factor: torch.Tensor,
    rate: float,
    *,
    averaged: bool,
) -> None:
    if averaged:
        value.sub_(gradient * factor / factor.mean(), alpha=rate)
    else:
        value.addcmul_(gradient, factor, value=-rate)


def adam(epsilon: float) -> Rule:
    """Return the rule of D. Kingma's and J. Ba's Adam, corrected by the number of updates."""

    def apply(values: Tensors, gradients: Tensors, slots: Sequence[Tensors], step: Step) -> None:
        squares, means = slots
        torch._foreach_mul_(means, step.momentum)
        torch._foreach_add_(means, gradients, alpha=step.gain)
        kept, new = _shares(step.variance_momentum, squares[0])
        torch._foreach_mul_(squares, kept)
        torch._foreach_addcmul_(squares, gradients, gradients, value=new)
        # The corrections use the number of the update, whatever the minibatches' sizes were.
        correction = (1 - step.variance_momentum**step.count) ** 0.5 / (
            1 - step.momentum**step.count
        )
        roots = torch._foreach_sqrt(squares)
        torch._foreach_add_(roots, epsilon)
        torch._foreach_addcdiv_(values, means, roots, value=-step.rate * correction)

    return Rule(apply, 2, "updates")


def _shares(momentum: float, like: torch.Tensor) -> tuple[float, float]:
    """Return a momentum and 1 minus it, both rounded to a tensor's type as CNTK does.

    For a momentum near 1 what is left of single precision matters.
    """
    if like.dtype == torch.float32:
        rounded = np.float32(momentum)
        return float(rounded), float(np.float32(1) - rounded)
    return momentum, 1 - momentum


def adamax(epsilon: float) -> Rule:
    """Return Adam's rule with the greatest gradient, faded out, in place of the second moment."""

    def apply(values: Tensors, gradients: Tensors, slots: Sequence[Tensors], step: Step) -> None:
        greatest, means = slots
        torch._foreach_mul_(means, step.momentum)
        torch._foreach_add_(means, gradients, alpha=step.gain)
        torch._foreach_mul_(greatest, step.variance_momentum)
        torch._foreach_maximum_(greatest, torch._foreach_abs(gradients))
        correction = 1 / (1 - step.momentum**step.count)
        divisors = torch._foreach_add(greatest, epsilon)
        torch._foreach_addcdiv_(values, means, divisors, value=-step.rate * correction)

    return Rule(apply, 2, "updates")


def _fsadagrad(values: Tensors, gradients: Tensors, slots: Sequence[Tensors], step: Step) -> None:
    target = step.count**0.5
    for value, gradient, square, mean in zip(values, gradients, *slots, strict=True):
        kept, new = _shares(step.variance_momentum, square)
        square.mul_(kept).addcmul_(gradient, gradient, value=new)
        factor = (target / square.sqrt()).clamp_(max=_FSADAGRAD_MOST)
        scaled = torch.where(square == 0, gradient, gradient * factor)
        if step.momentum > 0:
            scaled = mean.mul_(step.momentum).add_(scaled, alpha=step.gain)
        value.sub_(scaled, alpha=step.rate)


FSADAGRAD: Final = Rule(_fsadagrad, 2, "samples")
