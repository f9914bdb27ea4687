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
    with pytest.raises(ValueError, match="no evaluation function was specified"):
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


def test_a_rate_of_0_is_still_a_minibatch() -> None:
    """Nothing is learned, but loss and count are those of the minibatch, as in CNTK."""
    x, y, z, loss, error = model()
    trainer = C.Trainer(z, (loss, error), C.sgd(z.parameters, 0.0))
    assert trainer.train_minibatch(batch(x, y, [0, 1])) is False
    assert trainer.previous_minibatch_sample_count == 2
    assert trainer.previous_minibatch_loss_average == pytest.approx(np.log(2), rel=1e-6)
    assert trainer.total_number_of_samples_seen == 0


def test_the_first_learner_counts() -> None:
    """One learner at rest does not stop the other; the trainer counts what the first has seen."""
    x, y, z, loss, error = model()
    learners = [C.sgd([z.W], 0.0), C.sgd([z.b], 0.1)]
    trainer = C.Trainer(z, (loss, error), learners)
    assert trainer.train_minibatch(batch(x, y, [0, 1, 1])) is True
    counts = [learner.total_number_of_samples_seen() for learner in learners]
    assert (trainer.total_number_of_samples_seen, counts) == (0, [0, 3])


def test_outputs_can_be_fetched_while_training() -> None:
    """Values of model, loss and metric are of the state before the update, by what they asked."""
    x, y, z, loss, error = model()
    trainer = C.Trainer(z, (loss, error), C.sgd(z.parameters, 0.1))
    data = batch(x, y, [0, 1])
    before = z.eval({x: data[x]})
    updated, values = trainer.train_minibatch(data, outputs=[z, loss.output, error])
    assert updated is True
    np.testing.assert_array_equal(values[z], before)
    assert values[loss.output].shape == (2, 1)
    np.testing.assert_array_equal(values[error], [[0], [1]])
    with pytest.raises(RuntimeError, match="is not part of the list of outputs"):
        trainer.train_minibatch(data, outputs=[C.relu(z)])


def test_a_trainer_needs_learners_and_a_criterion() -> None:
    """No learner, one parameter for two learners, and three criteria are refused."""
    _x, _y, z, loss, error = model()
    with pytest.raises(ValueError, match="at least one learner"):
        C.Trainer(z, (loss, error), [])
    twice = [C.sgd(z.parameters, 0.1), C.sgd([z.W], 0.1)]
    with pytest.raises(ValueError, match="is covered by 2 different learners"):
        C.Trainer(z, (loss, error), twice)
    with pytest.raises(ValueError, match="a singleton or a tuple of 2"):
        C.Trainer(z, (loss, error, error), C.sgd(z.parameters, 0.1))
    trainer = C.Trainer(z, (loss, None), C.sgd(z.parameters, 0.1))
    assert trainer.evaluation_function is None
    assert trainer.previous_minibatch_sample_count == 0
    with pytest.raises(RuntimeError, match="There was no preceding call to TrainMinibatch"):
        _ = trainer.previous_minibatch_loss_average
    with pytest.raises(ValueError, match="Cannot get evaluation criterion"):
        _ = trainer.previous_minibatch_evaluation_average


def test_only_arrays_are_told_of_a_sweeps_end() -> None:
    """Minibatch data know it themselves: saying it as well is refused."""
    x, y, z, loss, error = model()
    trainer = C.Trainer(z, (loss, error), C.sgd(z.parameters, 0.1))
    data = batch(x, y, [0, 1])
    assert trainer.train_minibatch(data, is_sweep_end=True) is True
    assert trainer.parameter_learners[0].total_number_of_sweeps_seen() == 1
    given = {v: C.io.MinibatchData(value, sweep_end=True) for v, value in data.items()}
    assert trainer.train_minibatch(given) is True
    assert trainer.parameter_learners[0].total_number_of_sweeps_seen() == 2
    with pytest.raises(ValueError, match="is_sweep_end is ignored"):
        trainer.train_minibatch(given, is_sweep_end=True)


def test_an_evaluator_measures(capsys: pytest.CaptureFixture[str]) -> None:
    """It returns means and tells its writers; without function or minibatch it refuses."""
    x, y, _z, loss, error = model()
    evaluator = C.Evaluator(error, C.logging.ProgressPrinter(test_freq=1))
    assert evaluator.test_minibatch(batch(x, y, [0, 1, 1])) == pytest.approx(2 / 3)
    evaluator.summarize_test_progress()
    assert capsys.readouterr().out.splitlines() == [
        " Evaluation Minibatch[   1-   1]: metric = 66.67% * 3;",
        "Finished Evaluation [1]: Minibatch[1-1]: metric = 66.67% * 3;",
    ]
    assert C.eval.Evaluator(loss).evaluation_function is loss
    with pytest.raises(ValueError, match="no evaluation function was specified"):
        C.Evaluator(None).test_minibatch(batch(x, y, [0]))
    with pytest.raises(ValueError, match="function expects 2 arguments"):
        evaluator.test_minibatch({})
