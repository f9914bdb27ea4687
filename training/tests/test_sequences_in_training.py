"""Sequences and sparse samples through trainers, checkpoints, graphs and gradients on request."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cntk as C
from cntk.io import CTFDeserializer, MinibatchSource, StreamDef, StreamDefs

DATA = [np.array([[1.0], [2.0], [3.0]], np.float32), np.array([[4.0]], np.float32)]


def tagger() -> tuple[Any, Any, Any]:
    """Return an input, labels along the same axis, and a recurrent model."""
    axis = C.Axis("t")
    x, y = (C.sequence.input_variable(n, sequence_axis=axis) for n in (1, 2))
    layers = [C.layers.Recurrence(C.layers.LSTM(3)), C.layers.Dense(2)]
    return x, y, C.layers.Sequential(layers)(x)


def trained(x: Any, y: Any, model: Any) -> tuple[Any, dict[Any, Any]]:
    loss = C.cross_entropy_with_softmax(model, y)
    learner = C.adam(model.parameters, C.learning_parameter_schedule(0.1), 0.9)
    labels = [np.eye(2, dtype=np.float32)[[0, 1, 0]], np.eye(2, dtype=np.float32)[[1]]]
    return C.Trainer(model, (loss, C.classification_error(model, y)), [learner]), {
        x: DATA,
        y: labels,
    }


def test_a_recurrent_models_training_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """Loops are walked through too: after restoring, the next losses are the same."""
    x, y, model = tagger()
    trainer, data = trained(x, y, model)
    trainer.train_minibatch(data)
    trainer.save_checkpoint(str(tmp_path / "c"))
    first = []
    for _ in range(2):
        trainer.train_minibatch(data)
        first.append(trainer.previous_minibatch_loss_average)
    trainer.restore_from_checkpoint(str(tmp_path / "c"))
    for expected in first:
        trainer.train_minibatch(data)
        assert trainer.previous_minibatch_loss_average == expected
    assert trainer.previous_minibatch_sample_count == 4


def test_outputs_and_tests_of_sequences_count_steps() -> None:
    """`train_minibatch(outputs=...)` gives these as `eval` does; a metric's mean is of steps."""
    x, y, model = tagger()
    trainer, data = trained(x, y, model)
    before = model.eval({x: DATA})
    _, made = trainer.train_minibatch(data, outputs=[model.output])
    for ours, expected in zip(made[model.output], before, strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert trainer.test_minibatch(data) * 4 == round(trainer.test_minibatch(data) * 4)


def test_gradients_go_back_from_the_steps_of_sequences() -> None:
    """`backward` takes a gradient for each step and gives one; other lengths are refused."""
    x = C.sequence.input_variable(1, needs_gradient=True)
    f = x * x
    state, made = f.forward({x: DATA}, [f.output], [f.output])
    seeds = [np.array([[1.0], [10.0], [100.0]], np.float32), np.array([[2.0]], np.float32)]
    back = f.backward(state, {f.output: seeds}, [x])[x]
    assert [part.tolist() for part in made[f.output]] == [[[1], [4], [9]], [[16]]]
    assert [part.tolist() for part in back] == [[[2], [40], [600]], [[16]]]
    with pytest.raises(ValueError, match="as many steps"):
        f.backward(state, {f.output: seeds[::-1]}, [x])


def test_graphs_with_loops_are_walked_plotted_and_logged(tmp_path: Path) -> None:
    """Blocks with several outputs and loops end a walk and an event file's graph."""
    _, _, model = tagger()
    parts = C.logging.graph.depth_first_search(model, lambda _: True, -1)
    assert {p.op_name for p in parts if isinstance(p, C.Function)} >= {"PastValue", "Slice"}
    C.logging.TensorBoardProgressWriter(1, str(tmp_path), model=model).close()
    (file,) = tmp_path.iterdir()
    assert b"PastValue" in file.read_bytes()


def test_rows_that_no_sample_used_rest() -> None:
    """A sparse gradient changes, and lets fade, only its rows, whatever the rule."""
    x = C.input_variable(4, is_sparse=True)
    w = C.parameter((4, 2), init=1.0)
    bias = C.parameter(2, init=0.0)
    loss = C.reduce_sum(C.times(x, w) + bias)
    learner = C.adadelta([w, bias], C.learning_parameter_schedule(1.0))
    trainer = C.Trainer(None, (loss,), [learner])
    trainer.train_minibatch({x: np.eye(4, dtype=np.float32)[[1, 3]]})
    assert (w.value[[0, 2]] == 1).all()
    assert (w.value[[1, 3]] < 1).all()
    assert (bias.value < 0).all()


def test_sequences_of_two_files_stand_side_by_side(tmp_path: Path) -> None:
    """Two text files are aligned by the ids of their sequences."""
    (tmp_path / "a").write_text("0 |f 1\n0 |f 2\n1 |f 3\n2 |f 4\n")
    (tmp_path / "b").write_text("2 |l 0:1\n0 |l 1:1\n")
    one = CTFDeserializer(tmp_path / "a", StreamDefs(f=StreamDef("f", 1)))
    two = CTFDeserializer(tmp_path / "b", StreamDefs(l=StreamDef("l", 2, is_sparse=True)))
    source = MinibatchSource([one, two], randomize=False, max_sweeps=1)
    found = source.next_minibatch(10)
    f, labels = found[source.streams.f], found[source.streams.l]
    assert [part.tolist() for part in f.as_sequences()] == [[[1], [2]], [[4]]]
    assert labels.is_sparse
    assert [part.tolist() for part in labels.as_sequences()] == [[[0, 1]], [[1, 0]]]
    with pytest.raises(NotImplementedError, match="data partitions over sequences"):
        source.next_minibatch(10, num_data_partitions=2, partition_index=0)
