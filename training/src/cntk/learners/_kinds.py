"""The kinds of learners, as scripts make them."""

import math
from collections.abc import Sequence
from typing import Any, Final

from cntk.learners import _rules
from cntk.learners._learner import Learner
from cntk.learners._options import Options, adapted
from cntk.learners._schedule import (
    IGNORE,
    Schedule,
    _is_number,
    _schedule,
    learning_parameter_schedule_per_sample,
    momentum_schedule_per_sample,
    training_parameter_schedule,
)
from cntk.variables import Parameter

_LONG: Final = momentum_schedule_per_sample(0.9999986111120757)


class _UnitGain:
    """Whether momentum has unit gain where a script does not say."""

    default = True


def default_unit_gain_value() -> bool:
    """Return whether momentum has unit gain where a script does not say."""
    return _UnitGain.default


def set_default_unit_gain_value(value: bool) -> None:
    """Choose whether momentum has unit gain where a script does not say."""
    _UnitGain.default = bool(value)


def _made(
    rule: _rules.Rule,
    parameters: Sequence[Parameter],
    lr: Any,
    given: dict[str, Any],
    *,
    unit_gain: bool = True,
    **momenta: Any,
) -> Learner:
    """Return a learner from what the call of its kind was given: that function's locals."""
    size, epoch = given["minibatch_size"], given["epoch_size"]
    if size is None and given["use_mean_gradient"]:
        size = IGNORE
    rates = _inferred(lr, size, epoch)
    if given["use_mean_gradient"] and rates.minibatch_size == 1:
        rates = rates.meant_for(IGNORE)
    noise = training_parameter_schedule(given["gaussian_noise_injection_std_dev"])
    schedules = {name: _inferred(value, size, epoch) for name, value in momenta.items()}
    options = Options(
        momentum=schedules.get("momentum"),
        variance_momentum=schedules.get("variance_momentum"),
        unit_gain=unit_gain,
        l1=given["l1_regularization_weight"],
        l2=given["l2_regularization_weight"],
        noise=noise if any(noise.values) else None,
        clip_at=given["gradient_clipping_threshold_per_sample"],
        clip_elements=given["gradient_clipping_with_truncation"],
        minibatch_size=size,
    )
    return Learner(parameters, rates, rule, options)


def _inferred(given: Any, minibatch_size: int | None, epoch_size: int | None) -> Schedule:
    if isinstance(given, Schedule):
        return adapted(given, minibatch_size)
    if not _is_number(given) and not isinstance(given, list):
        message = (
            f"training parameter schedule type ({type(given)}) not supported. training parameter "
            "schedule must be a training schedule "
        )
        raise ValueError(message)
    return _schedule(given, minibatch_size or IGNORE, epoch_size)


def sgd(
    parameters: Sequence[Parameter],
    lr: Any,
    l1_regularization_weight: float = 0.0,
    l2_regularization_weight: float = 0.0,
    gaussian_noise_injection_std_dev: Any = 0.0,
    gradient_clipping_threshold_per_sample: float = math.inf,
    gradient_clipping_with_truncation: bool = True,
    use_mean_gradient: bool | None = None,
    minibatch_size: int | None = None,
    epoch_size: int | None = None,
) -> Learner:
    """Return a learner with w -= rate * gradient.

    Args:
        parameters: What it changes.
        lr: A schedule, or what `learning_parameter_schedule` takes.
        l1_regularization_weight: How fast values shrink towards 0, for a sample.
        l2_regularization_weight: How much of a value counts as gradient, for a sample.
        gaussian_noise_injection_std_dev: Of what is added to the values after each update.
        gradient_clipping_threshold_per_sample: The most that an element, or the norm, may be for a
            sample.
        gradient_clipping_with_truncation: Whether elements are clipped, or the norm.
        use_mean_gradient: Whether the gradient is the mean over the minibatch.
        minibatch_size: What plain numbers are meant for; 0 (`IGNORE`): for the mean gradient of a
            minibatch of any size.
        epoch_size: How many samples each number of a list holds; None: for a sweep of the data.
    """
    given = locals()
    return _made(_rules.SGD, parameters, lr, given)


def momentum_sgd(
    parameters: Sequence[Parameter],
    lr: Any,
    momentum: Any,
    unit_gain: bool | None = None,
    l1_regularization_weight: float = 0.0,
    l2_regularization_weight: float = 0.0,
    gaussian_noise_injection_std_dev: Any = 0.0,
    gradient_clipping_threshold_per_sample: float = math.inf,
    gradient_clipping_with_truncation: bool = True,
    use_mean_gradient: bool | None = None,
    minibatch_size: int | None = None,
    epoch_size: int | None = None,
) -> Learner:
    """Return a learner with v = m * v + (1 - m) * rate * gradient; w -= v.

    Args:
        parameters: What it changes.
        lr: A schedule, or what `learning_parameter_schedule` takes.
        momentum: A schedule, or what `momentum_schedule` takes.
        unit_gain: Whether a gradient enters with the factor 1 - momentum.
        l1_regularization_weight: As for `sgd`, like all that follow.
        l2_regularization_weight: See `sgd`.
        gaussian_noise_injection_std_dev: See `sgd`.
        gradient_clipping_threshold_per_sample: See `sgd`.
        gradient_clipping_with_truncation: See `sgd`.
        use_mean_gradient: See `sgd`.
        minibatch_size: See `sgd`.
        epoch_size: See `sgd`.
    """
    given = locals()
    return _made(
        _rules.MOMENTUM, parameters, lr, given, momentum=momentum, unit_gain=_gain(unit_gain)
    )


def nesterov(
    parameters: Sequence[Parameter],
    lr: Any,
    momentum: Any,
    unit_gain: bool | None = None,
    l1_regularization_weight: float = 0.0,
    l2_regularization_weight: float = 0.0,
    gaussian_noise_injection_std_dev: Any = 0.0,
    gradient_clipping_threshold_per_sample: float = math.inf,
    gradient_clipping_with_truncation: bool = True,
    use_mean_gradient: bool | None = None,
    minibatch_size: int | None = None,
    epoch_size: int | None = None,
) -> Learner:
    """Return a learner with w -= m * v + (1 - m) * rate * gradient, v as in `momentum_sgd`.

    Args:
        parameters: What it changes.
        lr: A schedule, or what `learning_parameter_schedule` takes.
        momentum: A schedule, or what `momentum_schedule` takes.
        unit_gain: Whether a gradient enters with the factor 1 - momentum.
        l1_regularization_weight: As for `sgd`, like all that follow.
        l2_regularization_weight: See `sgd`.
        gaussian_noise_injection_std_dev: See `sgd`.
        gradient_clipping_threshold_per_sample: See `sgd`.
        gradient_clipping_with_truncation: See `sgd`.
        use_mean_gradient: See `sgd`.
        minibatch_size: See `sgd`.
        epoch_size: See `sgd`.
    """
    given = locals()
    return _made(
        _rules.NESTEROV, parameters, lr, given, momentum=momentum, unit_gain=_gain(unit_gain)
    )


def adagrad(
    parameters: Sequence[Parameter],
    lr: Any,
    need_ave_multiplier: bool = True,
    l1_regularization_weight: float = 0.0,
    l2_regularization_weight: float = 0.0,
    gaussian_noise_injection_std_dev: Any = 0.0,
    gradient_clipping_threshold_per_sample: float = math.inf,
    gradient_clipping_with_truncation: bool = True,
    use_mean_gradient: bool | None = None,
    minibatch_size: int | None = None,
    epoch_size: int | None = None,
) -> Learner:
    """Return an AdaGrad learner: gradients are divided by the root of their squares so far.

    Args:
        parameters: What it changes.
        lr: A schedule, or what `learning_parameter_schedule` takes.
        need_ave_multiplier: Whether the factors of a parameter's elements have the mean 1.
        l1_regularization_weight: As for `sgd`, like all that follow.
        l2_regularization_weight: See `sgd`.
        gaussian_noise_injection_std_dev: See `sgd`.
        gradient_clipping_threshold_per_sample: See `sgd`.
        gradient_clipping_with_truncation: See `sgd`.
        use_mean_gradient: See `sgd`.
        minibatch_size: See `sgd`.
        epoch_size: See `sgd`.
    """
    given = locals()
    return _made(_rules.adagrad(averaged=need_ave_multiplier), parameters, lr, given)


def adadelta(
    parameters: Sequence[Parameter],
    lr: Any = learning_parameter_schedule_per_sample(1),
    rho: float = 0.95,
    epsilon: float = 1e-8,
    l1_regularization_weight: float = 0.0,
    l2_regularization_weight: float = 0.0,
    gaussian_noise_injection_std_dev: Any = 0.0,
    gradient_clipping_threshold_per_sample: float = math.inf,
    gradient_clipping_with_truncation: bool = True,
    use_mean_gradient: bool | None = None,
    minibatch_size: int | None = None,
    epoch_size: int | None = None,
) -> Learner:
    """Return an AdaDelta learner (M. Zeiler, https://arxiv.org/abs/1212.5701).

    Args:
        parameters: What it changes.
        lr: A schedule, or what `learning_parameter_schedule` takes.
        rho: How much of the squares so far a minibatch keeps.
        epsilon: Added under the roots.
        l1_regularization_weight: As for `sgd`, like all that follow.
        l2_regularization_weight: See `sgd`.
        gaussian_noise_injection_std_dev: See `sgd`.
        gradient_clipping_threshold_per_sample: See `sgd`.
        gradient_clipping_with_truncation: See `sgd`.
        use_mean_gradient: See `sgd`.
        minibatch_size: See `sgd`.
        epoch_size: See `sgd`.
    """
    given = locals()
    return _made(_rules.adadelta(rho, epsilon), parameters, lr, given)


def rmsprop(
    parameters: Sequence[Parameter],
    lr: Any,
    gamma: float,
    inc: float,
    dec: float,
    max: float,
    min: float,
    need_ave_multiplier: bool = True,
    l1_regularization_weight: float = 0.0,
    l2_regularization_weight: float = 0.0,
    gaussian_noise_injection_std_dev: Any = 0.0,
    gradient_clipping_threshold_per_sample: float = math.inf,
    gradient_clipping_with_truncation: bool = True,
    use_mean_gradient: bool | None = None,
    minibatch_size: int | None = None,
    epoch_size: int | None = None,
) -> Learner:
    """Return an RMSProp learner, with a step of its own for each element.

    Args:
        parameters: What it changes.
        lr: A schedule, or what `learning_parameter_schedule` takes.
        gamma: How much of the squares so far a minibatch keeps; between 0 and 1.
        inc: By what a step grows while gradients keep their sign; more than 1.
        dec: By what it shrinks when the sign turns; between 0 and 1.
        max: The longest step.
        min: The shortest step.
        need_ave_multiplier: Whether the factors of a parameter's elements have the mean 1.
        l1_regularization_weight: As for `sgd`, like all that follow.
        l2_regularization_weight: See `sgd`.
        gaussian_noise_injection_std_dev: See `sgd`.
        gradient_clipping_threshold_per_sample: See `sgd`.
        gradient_clipping_with_truncation: See `sgd`.
        use_mean_gradient: See `sgd`.
        minibatch_size: See `sgd`.
        epoch_size: See `sgd`.
    """
    given = locals()
    _check_rmsprop(gamma, inc, dec, max, min)
    rule = _rules.rmsprop(gamma, inc, dec, max, min, averaged=need_ave_multiplier)
    return _made(rule, parameters, lr, given)


def fsadagrad(
    parameters: Sequence[Parameter],
    lr: Any,
    momentum: Any,
    unit_gain: bool | None = None,
    variance_momentum: Any = _LONG,
    l1_regularization_weight: float = 0.0,
    l2_regularization_weight: float = 0.0,
    gaussian_noise_injection_std_dev: Any = 0.0,
    gradient_clipping_threshold_per_sample: float = math.inf,
    gradient_clipping_with_truncation: bool = True,
    use_mean_gradient: bool | None = None,
    minibatch_size: int | None = None,
    epoch_size: int | None = None,
) -> Learner:
    """Return an AdaGrad learner with fading squares, limited factors and momentum.

    Args:
        parameters: What it changes.
        lr: A schedule, or what `learning_parameter_schedule` takes.
        momentum: A schedule, or what `momentum_schedule` takes.
        unit_gain: Whether a gradient enters with the factor 1 - momentum.
        variance_momentum: Of the second moment.
        l1_regularization_weight: As for `sgd`, like all that follow.
        l2_regularization_weight: See `sgd`.
        gaussian_noise_injection_std_dev: See `sgd`.
        gradient_clipping_threshold_per_sample: See `sgd`.
        gradient_clipping_with_truncation: See `sgd`.
        use_mean_gradient: See `sgd`.
        minibatch_size: See `sgd`.
        epoch_size: See `sgd`.
    """
    given = locals()
    momenta = {"momentum": momentum, "variance_momentum": variance_momentum}
    gain = _gain(unit_gain)
    return _made(_rules.FSADAGRAD, parameters, lr, given, unit_gain=gain, **momenta)


def adam(
    parameters: Sequence[Parameter],
    lr: Any,
    momentum: Any,
    unit_gain: bool | None = None,
    variance_momentum: Any = _LONG,
    l1_regularization_weight: float = 0.0,
    l2_regularization_weight: float = 0.0,
    gaussian_noise_injection_std_dev: Any = 0.0,
    gradient_clipping_threshold_per_sample: float = math.inf,
    gradient_clipping_with_truncation: bool = True,
    use_mean_gradient: bool | None = None,
    epsilon: float = 1e-8,
    adamax: bool = False,
    minibatch_size: int | None = None,
    epoch_size: int | None = None,
) -> Learner:
    """Return an Adam learner, as CNTK has it: with unit gain by default.

    Args:
        parameters: What it changes.
        lr: A schedule, or what `learning_parameter_schedule` takes.
        momentum: Of the first moment: a schedule, or what `momentum_schedule` takes.
        unit_gain: Whether a gradient enters with the factor 1 - momentum.
        variance_momentum: Of the second moment.
        l1_regularization_weight: As for `sgd`, like all that follow.
        l2_regularization_weight: See `sgd`.
        gaussian_noise_injection_std_dev: See `sgd`.
        gradient_clipping_threshold_per_sample: See `sgd`.
        gradient_clipping_with_truncation: See `sgd`.
        use_mean_gradient: See `sgd`.
        epsilon: Added to the second moment's root.
        adamax: Whether the greatest gradient takes the second moment's place.
        minibatch_size: See `sgd`.
        epoch_size: See `sgd`.
    """
    given = locals()
    if epsilon < 0:
        message = f"Epsilon should be non-negative. You are trying to set it to {epsilon:g}."
        raise ValueError(message)
    momenta = {"momentum": momentum, "variance_momentum": variance_momentum}
    rule = _rules.adamax(epsilon) if adamax else _rules.adam(epsilon)
    return _made(rule, parameters, lr, given, unit_gain=_gain(unit_gain), **momenta)


def _gain(unit_gain: bool | None) -> bool:
    return _UnitGain.default if unit_gain is None else unit_gain


def _check_rmsprop(gamma: float, inc: float, dec: float, most: float, least: float) -> None:
    wrong = [
        (not 0 < gamma < 1, "gamma must be in range (0.0, 1.0)"),
        (inc <= 1, "inc must be greater than 1"),
        (not 0 < dec < 1, "dec must be in range (0.0, 1.0)"),
        (most <= 0 or most <= least, "max must be greater than zero and greater than min"),
        (least <= 0, "min must be greater than zero"),
    ]
    for is_wrong, text in wrong:
        if is_wrong:
            message = f"RMSProp {text}"
            raise RuntimeError(message)
