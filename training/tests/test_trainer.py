"""The trainer: what it returns, counts and refuses."""

from typing import Any

import numpy as np
import pytest

import cntk as C


def model() -> tuple[C.Variable, C.Variable, C.Function, C.Function, C.Function]:
    x, y = C.input_variable(3, name="x"), C.input_variable(2, name="y")
    z = C.layers.Dense(2, init=0.5)(x)
    return x, y, z, C.cross_entropy_with_softmax(z, y), C.classification_error(z, y)


def batch(x: C.Variable, y: C.Variable, labels: list[int]) -> dict[C.Variable, Any]:
    values = np.arange(3 * len(labels), dtype=np.float32).reshape(-1, 3)
    return {x: values, y: np.eye(2, dtype=np.float32)[labels]}


def test_averages_are_of_the_state_before_the_update() -> None:
    """Loss and metric are means over the samples; equal scores count as the first class."""
    x, y, z, loss, error = model()
    trainer = C.Trainer(z, (loss, error), C.sgd(z.parameters, 0.1))
    assert trainer.train_minibatch(batch(x, y, [0, 1, 1, 1])) is True
    assert trainer.previous_minibatch_loss_average == pytest.approx(np.log(2), rel=1e-6)
    assert trainer.previous_minibatch_evaluation_average == pytest.approx(0.75)
    assert trainer.previous_minibatch_sample_count == 4
    assert trainer.total_number_of_samples_seen == 4


def test_testing_gives_the_mean_and_learns_nothing() -> None:
    """test_minibatch returns the mean metric and leaves the parameters as they are."""
    x, y, z, loss, error = model()
    trainer = C.Trainer(z, (loss, error), C.sgd(z.parameters, 0.1))
    before = z.W.value
    assert trainer.test_minibatch(batch(x, y, [0, 1, 1])) == pytest.approx(2 / 3)
    np.testing.assert_array_equal(z.W.value, before)


def test_inputs_can_be_given_by_name() -> None:
    """Names work as keys."""
    x, y, z, loss, error = model()
    trainer = C.Trainer(z, (loss, error), C.sgd(z.parameters, 0.1))
    assert trainer.train_minibatch({v.name: a for v, a in batch(x, y, [0, 1]).items()}) is True


def test_nothing_to_learn_is_false() -> None:
    """An empty minibatch, and one when every rate is 0, change nothing and do not count."""
    x, y, z, loss, error = model()
    trainer = C.Trainer(z, (loss, error), C.sgd(z.parameters, 0.0))
    assert trainer.train_minibatch({}) is False
    assert trainer.train_minibatch(batch(x, y, [0, 1])) is False
    assert trainer.total_number_of_samples_seen == 0


def test_a_combination_or_a_loss_alone_are_criteria() -> None:
    """The criterion may be a combination; without a metric, testing is refused."""
    x, y, z, loss, error = model()
    combined = C.Trainer(None, C.combine([loss, error]), C.sgd(z.parameters, 0.1))
    assert combined.test_minibatch(batch(x, y, [0])) == 0
    alone = C.Trainer(z, loss, C.sgd(z.parameters, 0.1))
    with pytest.raises(ValueError, match="no evaluation function"):
        alone.test_minibatch(batch(x, y, [0]))


def test_learners_must_be_of_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    """Parameters of another model are refused; a parameter without learner is only noted."""
    _x, _y, z, loss, error = model()
    stranger = C.parameter((2,))
    with pytest.raises(
        ValueError, match=r"1 of the learner parameters .* are not part of the model"
    ):
        C.Trainer(z, (loss, error), C.sgd([stranger], 0.1))
    C.Trainer(z, (loss, error), C.sgd([z.W], 0.1))
    assert "1 of the model parameters are not covered" in capsys.readouterr().out


def test_several_learners_share_the_work() -> None:
    """Each learner changes its own parameters at its own rate."""
    x, y, z, loss, error = model()
    learners = [C.sgd([z.W], 0.1), C.sgd([z.b], C.learning_parameter_schedule(1e-30))]
    trainer = C.Trainer(z, (loss, error), learners)
    before = z.W.value
    trainer.train_minibatch(batch(x, y, [0, 1, 1]))
    assert not np.array_equal(z.W.value, before)
    np.testing.assert_allclose(z.b.value, 0, atol=1e-25)
