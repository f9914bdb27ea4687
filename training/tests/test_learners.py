"""Learners and schedules against the steps that real CNTK 2.7 takes."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import cntk as C
from cntk.learners import UnitType

SEQUENCE = [(4, 1), (2, 3), (4, -2), (4, 0), (4, 0)]


def weights(make: Any, minibatches: Sequence[tuple[int, float]]) -> list[float]:
    """Return w, from 0, after each minibatch of n samples with the loss w * g."""
    x = C.input_variable(())
    w = C.parameter((), init=0.0)
    loss = w * x
    trainer = C.Trainer(loss, loss, make([w]))
    after = []
    for n, g in minibatches:
        trainer.train_minibatch({x: np.full(n, g, np.float32)})
        after.append(float(w.value))
    return after


@pytest.mark.parametrize(
    ("make", "step"),
    [
        (lambda p: C.sgd(p, C.learning_rate_schedule(0.1, UnitType.sample)), 0.4),
        (lambda p: C.sgd(p, C.learning_parameter_schedule_per_sample(0.1)), 0.4),
        (lambda p: C.sgd(p, C.learning_rate_schedule(0.1, UnitType.minibatch)), 0.1),
        (lambda p: C.sgd(p, 0.1), 0.1),
        (lambda p: C.sgd(p, C.learning_parameter_schedule(0.1)), 0.1),
        (lambda p: C.sgd(p, C.learning_parameter_schedule(0.1, minibatch_size=2)), 0.2),
        (lambda p: C.sgd(p, 0.1, minibatch_size=8), 0.05),
        (
            lambda p: C.sgd(
                p, C.learning_parameter_schedule_per_sample(0.1), use_mean_gradient=True
            ),
            0.1,
        ),
    ],
)
def test_rates_are_for_what_their_unit_says(make: Any, step: float) -> None:
    """With 4 samples and gradients of 1, every form of a rate of 0.1 makes CNTK's step."""
    assert weights(make, [(4, 1), (4, 1)]) == pytest.approx([-step, -2 * step], rel=1e-6)


TIME = C.momentum_as_time_constant_schedule(-4 / math.log(0.5))
RATE = C.learning_parameter_schedule_per_sample(0.1)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (
            lambda p: C.momentum_sgd(p, RATE, TIME),
            [-0.2, -0.517157, -0.275736, -0.155025, -0.09467],
        ),
        (
            lambda p: C.momentum_sgd(p, RATE, TIME, unit_gain=False),
            [-0.4, -1.282843, -0.924264, -0.744975, -0.65533],
        ),
        (
            lambda p: C.momentum_sgd(p, RATE, C.momentum_schedule(0.5)),
            [-0.2, -0.6, -0.4, -0.3, -0.25],
        ),
        (
            lambda p: C.nesterov(p, RATE, C.momentum_schedule(0.5)),
            [-0.3, -0.8, -0.3, -0.25, -0.225],
        ),
    ],
)
def test_momentum_is_cntks(make: Any, expected: list[float]) -> None:
    """Five minibatches of different sizes move w as in CNTK, with and without unit gain."""
    assert weights(make, SEQUENCE) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("unit_gain", "expected"),
    [(True, [-0.025, -0.049097, -0.059599]), (False, [-0.25, -0.490969, -0.595992])],
)
def test_adam_is_cntks(unit_gain: bool, expected: list[float]) -> None:
    """Adam divides a plain rate by the minibatch's size and has unit gain by default."""

    def make(parameters: list[C.Parameter]) -> Any:
        variance = C.momentum_schedule(0.99)
        return C.adam(parameters, 0.1, C.momentum_schedule(0.9), unit_gain, variance)

    assert weights(make, [(4, 1), (4, 2), (4, -1)]) == pytest.approx(expected, abs=2e-6)


def test_the_rate_is_inside_the_velocity() -> None:
    """A rate that falls to a tenth leaves alone what is in the velocity already."""
    rate = C.learning_parameter_schedule_per_sample([0.1, 0.01], epoch_size=4)
    after = weights(lambda p: C.momentum_sgd(p, rate, C.momentum_schedule(0.5)), [(4, 2), (4, 0)])
    assert after == pytest.approx([-0.4, -0.6], rel=1e-6)


def test_schedules_count_the_samples_seen_before() -> None:
    """[.1, .01] for 6 samples each: minibatches of 4 use 0.1, 0.1, 0.01; pairs last longer."""
    schedule = C.learning_parameter_schedule([0.1, 0.01], epoch_size=6)
    assert [schedule[n] for n in (0, 4, 8, 1000)] == [0.1, 0.1, 0.01, 0.01]
    pairs = C.learning_parameter_schedule([(2, 0.3), (1, 0.2), (5, 0.1)], epoch_size=10)
    assert [pairs[n] for n in (0, 19, 20, 30, 10**6)] == [0.3, 0.3, 0.2, 0.1, 0.1]


def test_time_constants_become_momenta() -> None:
    """A time constant T is exp(-1 / T) for a sample, and T = 0 is no momentum."""
    schedule = C.momentum_as_time_constant_schedule([0, 1024], epoch_size=10)
    assert schedule[0] == 0.0
    assert schedule[10] == 0.9990239141819757


def test_l2_counts_samples() -> None:
    """W -= rate * (sum of gradients + n * weight * w)."""
    x, w = C.input_variable(()), C.parameter((), init=2.0)
    trainer = C.Trainer(w * x, w * x, C.sgd([w], RATE, l2_regularization_weight=0.5))
    trainer.train_minibatch({x: np.ones(4, np.float32)})
    assert float(w.value) == pytest.approx(2 - 0.1 * (4 + 4 * 0.5 * 2), rel=1e-6)


def test_l1_shrinks_after_the_step() -> None:
    """|w| shrinks by rate * n * weight and stops at 0."""
    x, w = C.input_variable(()), C.parameter((), init=1.0)
    trainer = C.Trainer(w * x, w * x, C.sgd([w], RATE, l1_regularization_weight=0.5))
    trainer.train_minibatch({x: np.ones(4, np.float32)})
    assert float(w.value) == pytest.approx(1 - 0.4 - 0.2, rel=1e-6)
    trainer.train_minibatch({x: np.ones(4, np.float32)})
    assert float(w.value) == 0.0


def test_gradients_are_clipped_by_their_mean() -> None:
    """A threshold of 0.5 for a sample cuts a sum of 4 gradients of 1 to 2."""
    step = weights(lambda p: C.sgd(p, RATE, gradient_clipping_threshold_per_sample=0.5), [(4, 1)])
    assert step == pytest.approx([-0.2], rel=1e-6)


def test_a_learner_needs_parameters() -> None:
    """An empty list is refused in CNTK's words."""
    with pytest.raises(ValueError, match="must not be empty"):
        C.sgd([], 0.1)
