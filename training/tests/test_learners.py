"""Learners and schedules against the steps that real CNTK 2.7 takes."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cntk as C
import reference_learners
from cntk._ziggurat import normal
from cntk.learners import UnitType

BOGUS: Any = "bogus"
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


def test_all_learners_follow_cntk(data: Path) -> None:
    """Every kind with every option moves as in CNTK over minibatches of changing sizes."""
    stored = np.load(data / "learners_cntk27.npz")
    made = reference_learners.all_paths(C)
    assert sorted(made) == stored["names"].tolist()
    paths = np.stack([made[name] for name in sorted(made)])
    worst = np.abs(paths - stored["paths"]).max(axis=(1, 2))
    assert {n: w for n, w in zip(sorted(made), worst, strict=True) if w > 3e-6} == {}


def test_noise_is_cntks() -> None:
    """Noise of standard deviation 1 is what CNTK draws with the seeds 5 and 6, tails included."""
    C.cntk_py.set_fixed_random_seed(5)
    x, w, v = C.input_variable(1), C.parameter((2000,)), C.parameter((3,))
    loss = C.reduce_sum(w * x) + C.reduce_sum(v * x)
    learner = C.sgd([w, v], 1e-30, gaussian_noise_injection_std_dev=1.0)
    C.Trainer(loss, loss, learner).train_minibatch({x: np.zeros((1, 1), np.float32)})
    expected = [-0.7843465, -0.06774167, -0.38317904, -0.5394561, -0.05048728]
    np.testing.assert_allclose(w.value[:5], expected, rtol=1e-6)
    # The 348th number comes from beyond the outermost layer.
    np.testing.assert_allclose(w.value[347:350], [0.14417686, 3.8898509, -2.1235375], rtol=1e-6)
    np.testing.assert_allclose(v.value, [-0.8476334, 0.94454724, 1.308295], rtol=1e-6)
    np.testing.assert_array_equal(normal(5, 2000).astype(np.float32), w.value)


def test_a_learner_can_be_used_without_a_trainer() -> None:
    """Update takes gradients; counts and rates follow, and a new schedule begins at once."""
    w = C.parameter((2,), init=1.0)
    learner = C.sgd([w], 0.1)
    assert learner.update({w: np.array([1, 2], np.float32)}, 4, True) is True
    np.testing.assert_allclose(w.value, [0.975, 0.95])
    counts = learner.total_number_of_samples_seen(), learner.total_number_of_sweeps_seen()
    assert (*counts, learner.total_number_of_minibatches_seen()) == (4, 1, 1)
    learner.reset_learning_rate(C.learning_parameter_schedule([0.3, 0.4], epoch_size=5))
    assert learner.learning_rate() == 0.3
    learner.update({w: np.zeros(2, np.float32)}, 6)
    assert learner.learning_rate() == 0.4
    w.value = np.ones(2)
    # What the rate is meant for stays: a minibatch.
    learner.reset_learning_rate(C.learning_rate_schedule(0.2, UnitType.sample))
    learner.update({w: np.array([1, 2], np.float32)}, 4)
    np.testing.assert_allclose(w.value, [0.95, 0.9])


def test_what_a_learner_is_meant_for() -> None:
    """minibatch_size, IGNORE and use_mean_gradient choose between sums and means."""
    w = C.parameter((2,))
    assert not C.sgd([w], 0.1).is_compatible_mode()
    assert C.sgd([w], 0.1, minibatch_size=C.learners.IGNORE).is_compatible_mode()
    assert C.sgd([w], 0.1, use_mean_gradient=True).is_compatible_mode()
    assert C.sgd([w], 0.1, minibatch_size=8).minibatch_size == 8


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda w: C.sgd([w, w], 0.1), ValueError, "must not contain duplicates"),
        (lambda w: C.sgd(w, 0.1), TypeError, "a list of parameters"),
        (lambda w: C.sgd([w], "a"), ValueError, "training parameter schedule type"),
        (lambda w: C.momentum_sgd([w], 0.1, None), ValueError, "schedule type"),
        (lambda w: C.sgd([w], []), RuntimeError, "schedule is empty"),
        (lambda w: C.rmsprop([w], 0.1, 0.9, 0.5, 0.7, 10, 0.1), RuntimeError, "inc must be"),
        (lambda w: C.rmsprop([w], 0.1, 1.9, 1.5, 0.7, 10, 0.1), RuntimeError, "gamma must be"),
        (lambda w: C.rmsprop([w], 0.1, 0.9, 1.5, 0.7, 0.01, 0.1), RuntimeError, "max must be"),
        (lambda w: C.adam([w], 0.1, 0.9, epsilon=-1), ValueError, "trying to set it to -1"),
        (lambda w: C.sgd([w], 0.1).reset_learning_rate(0.2), ValueError, "not supported"),
        (
            lambda _: C.learning_parameter_schedule([(0, 0.1), (1, 0.2)], epoch_size=1),
            RuntimeError,
            "must not be 0",
        ),
        (lambda _: C.learning_parameter_schedule((0.1,)), ValueError, "a float or a list"),
        (lambda _: C.learning_rate_schedule(0.1, BOGUS), ValueError, "'bogus' is not a valid"),
    ],
)
def test_mistakes_are_told_in_cntks_words(make: Any, error: type[Exception], text: str) -> None:
    """What cannot be a learner or a schedule is refused with CNTK's message."""
    with pytest.raises(error, match=text):
        make(C.parameter((2,)))


class Halving(C.UserLearner):
    """Takes half of the mean gradient."""

    def __init__(self, parameters: Sequence[C.Parameter], last: bool | None = True) -> None:
        super().__init__(parameters, C.learning_parameter_schedule(0.5))
        self.seen: list[tuple[int, bool]] = []
        self.last = last

    def update(self, gradient_values: Any, training_sample_count: int, sweep_end: bool) -> bool:
        self.seen.append((training_sample_count, sweep_end))
        for parameter, gradient in gradient_values.items():
            np.testing.assert_array_equal(gradient.asarray(), gradient)
            parameter.value = parameter.value - 0.5 * gradient / training_sample_count
        return self.last  # type: ignore[return-value]


def test_learners_can_be_written_in_python(capsys: pytest.CaptureFixture[str]) -> None:
    """A UserLearner gets sums of gradients, the samples and the sweep's end; False ends it."""
    x, w = C.input_variable(2), C.parameter((2,), init=1.0)
    loss = C.reduce_sum(w * x)
    learner = Halving([w])
    trainer = C.Trainer(loss, loss, learner, C.logging.ProgressPrinter(freq=1))
    batch = {x: np.ones((3, 2), np.float32)}
    assert trainer.train_minibatch(batch, is_sweep_end=True) is True
    np.testing.assert_allclose(w.value, [0.5, 0.5])
    assert (learner.seen, trainer.total_number_of_samples_seen) == ([(3, True)], 3)
    assert learner.total_number_of_sweeps_seen() == 1
    assert "Learning rate per minibatch: 0.5\n Minibatch[" in capsys.readouterr().out
    learner.last = False
    assert trainer.train_minibatch(batch) is False
    assert trainer.total_number_of_samples_seen == 3
    learner.last = None
    with pytest.raises(TypeError, match="must return a bool"):
        trainer.train_minibatch(batch)


@pytest.mark.skipif(not hasattr(C, "assign"), reason="needs assign")
def test_learners_can_be_functions() -> None:
    """Universal runs the assignments of a function of parameters and gradients."""
    assign: Any = getattr(C, "assign", None)

    def adagrad(parameters: Any, gradients: Any) -> Any:
        kept = [C.constant(0, shape=p.shape) for p in parameters]
        updates = []
        for p, g, a in zip(parameters, gradients, kept, strict=True):
            squares = assign(a, g * g)
            updates.append(assign(p, p - 0.01 * g / C.sqrt(squares + 1e-6)))
        return C.combine(updates)

    x, w = C.input_variable(2), C.parameter((2,), init=1.0)
    loss = C.reduce_sum(w * x)
    trainer = C.Trainer(loss, loss, C.universal(adagrad, [w]))
    assert trainer.train_minibatch({x: np.ones((3, 2), np.float32)}) is True
    np.testing.assert_allclose(w.value, [0.99, 0.99], rtol=1e-6)


def test_universal_refuses_what_cannot_learn() -> None:
    """The function takes two arguments, and what it returns depends on the parameters."""
    w = C.parameter((2,))
    with pytest.raises(ValueError, match="accepts two arguments"):
        C.universal(lambda _: None, [w])  # type: ignore[arg-type, misc]
    with pytest.raises(RuntimeError, match="does not contain the parameter"):
        C.universal(lambda _, gradients: gradients[0] * 2, [w])
