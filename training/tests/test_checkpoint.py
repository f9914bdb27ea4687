"""Checkpoints: CNTK's own are read, ours go on as if nothing had happened, bad ones are refused."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cntk as C
import reference_checkpoint as reference
from cntk._dictionary import decode, encode

MORE = reference.STATE


def same(found: dict[str, Any]) -> None:
    assert found.keys() == MORE.keys()
    np.testing.assert_array_equal(found["e"], MORE["e"])
    assert {k: v for k, v in found.items() if k != "e"} == {
        k: v for k, v in MORE.items() if k != "e"
    }


def test_cntks_checkpoint_is_gone_on_from(data: Path) -> None:
    """A checkpoint of real CNTK restores model, statistics, two learners and external state."""
    expected = np.load(data / f"{reference.NAME}.npz")["losses"]
    trainer = reference.trainer(C)
    same(trainer.restore_from_checkpoint(str(data / reference.NAME)))
    assert trainer.total_number_of_samples_seen == 40
    np.testing.assert_allclose(reference.losses(trainer, 5, 8), expected[5:], rtol=2e-6)


def test_a_checkpoint_has_what_cntks_has(data: Path, tmp_path: Path) -> None:
    """The same run writes the same entries, kinds and shapes, and numbers up to rounding."""
    trainer = reference.trainer(C)
    expected = np.load(data / f"{reference.NAME}.npz")["losses"]
    np.testing.assert_allclose(reference.losses(trainer, 0, 5), expected[:5], rtol=2e-6)
    trainer.save_checkpoint(str(tmp_path / "new" / "c"), MORE)
    ours, theirs = (
        decode(path.read_bytes())
        for path in (tmp_path / "new" / "c.ckp", data / f"{reference.NAME}.ckp")
    )
    alike(ours, theirs)
    model, real = (
        decode(path.read_bytes()) for path in (tmp_path / "new" / "c", data / reference.NAME)
    )
    assert outputs(model) == outputs(real)
    assert operations(model) == operations(real)


def alike(ours: Any, theirs: Any) -> None:
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            alike(value, theirs[key])
    elif isinstance(ours, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            alike(one, other)
    elif isinstance(ours, np.ndarray):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    else:
        assert ours == theirs


def outputs(model: dict[str, Any]) -> list[tuple[int, str]]:
    """Return operation and name of what the root combines."""
    functions = {f["uid"]: f for f in model["primitive_functions"]}
    parts = [functions[uid.removesuffix("_Output_0")] for uid in functions[model["root"]]["inputs"]]
    return [(int(part["op"]), part.get("name", "")) for part in parts]


def operations(model: dict[str, Any]) -> list[int]:
    return sorted(int(f["op"]) for f in model["primitive_functions"])


def sequence(folder: Path) -> tuple[C.Trainer, Any, dict[Any, Any]]:
    """Return a trainer with dropout, batch normalization and noise, and a shuffled source."""
    C.cntk_py.reset_random_seed(0)
    draw = np.random.RandomState(0)
    lines = [
        f"|x {' '.join(f'{v:.4f}' for v in row)} |y {'1 0' if row.sum() > 0 else '0 1'}\n"
        for row in draw.randn(50, 3)
    ]
    (folder / "data.ctf").write_text("".join(lines))
    streams = C.io.StreamDefs(x=C.io.StreamDef("x", 3), y=C.io.StreamDef("y", 2))
    source = C.io.MinibatchSource(C.io.CTFDeserializer(folder / "data.ctf", streams))
    x, y = C.input_variable(3), C.input_variable(2)
    layers = [
        C.layers.Dense(6, activation=C.tanh),
        C.layers.BatchNormalization(),
        C.layers.Dropout(0.3),
        C.layers.Dense(2),
    ]
    z = C.layers.Sequential(layers)(x)
    criterion = C.cross_entropy_with_softmax(z, y), C.classification_error(z, y)
    rates = C.learning_parameter_schedule([0.05, 0.02, 0.01])
    learner = C.adam(z.parameters, rates, 0.9, gaussian_noise_injection_std_dev=0.01)
    trainer = C.Trainer(z, criterion, learner)
    return trainer, source, {x: source.streams.x, y: source.streams.y}


def some_losses(trainer: C.Trainer, source: Any, streams: Any, count: int) -> list[float]:
    found = []
    for _ in range(count):
        trainer.train_minibatch(source.next_minibatch(8, streams))
        found.append(trainer.previous_minibatch_loss_average)
    return found


def test_an_interrupted_run_is_the_run(tmp_path: Path) -> None:
    """Losses after a restart are those of the run that went on: data, dropout and noise as well."""
    trainer, source, streams = sequence(tmp_path)
    some_losses(trainer, source, streams, 9)
    path = str(tmp_path / "c")
    trainer.save_checkpoint(path, {"source": source.get_checkpoint_state()})
    expected = some_losses(trainer, source, streams, 9)
    model = trainer.model

    trainer, source, streams = sequence(tmp_path)
    some_losses(trainer, source, streams, 2)
    source.restore_from_checkpoint(trainer.restore_from_checkpoint(path)["source"])
    assert some_losses(trainer, source, streams, 9) == expected
    assert trainer.model is not None
    assert model is not None
    for one, other in zip(trainer.model.parameters, model.parameters, strict=True):
        np.testing.assert_array_equal(one.value, other.value)


def test_saving_leaves_two_files(tmp_path: Path) -> None:
    """A second checkpoint replaces the first, and nothing else is left behind."""
    trainer = reference.trainer(C)
    for _ in range(2):
        reference.losses(trainer, 0, 1)
        trainer.save_checkpoint(str(tmp_path / "c"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "c.ckp"]
    assert trainer.restore_from_checkpoint(str(tmp_path / "c")) == {}


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    """A state that has no place in a file is refused before anything is touched."""
    trainer = reference.trainer(C)
    trainer.save_checkpoint(str(tmp_path / "c"), {"a": 1})
    for bad in ({"a": object()}, {"a": (1, 2)}, {1: 2}):
        with pytest.raises(TypeError):
            trainer.save_checkpoint(str(tmp_path / "c"), bad)
    with pytest.raises(OverflowError, match="64 bits"):
        trainer.save_checkpoint(str(tmp_path / "c"), {"a": -(2**40)})
    assert trainer.restore_from_checkpoint(str(tmp_path / "c")) == {"a": 1}


def test_missing_and_damaged_files_are_refused(tmp_path: Path, data: Path) -> None:
    """Missing, truncated and foreign files raise CNTK's messages."""
    trainer = reference.trainer(C)
    with pytest.raises(RuntimeError, match=r"Cannot open file '.*nope' for reading"):
        trainer.restore_from_checkpoint(str(tmp_path / "nope"))
    shutil.copy(data / reference.NAME, tmp_path / "c")
    with pytest.raises(RuntimeError, match=r"Cannot open file '.*c\.ckp' for reading"):
        trainer.restore_from_checkpoint(str(tmp_path / "c"))
    state = (data / f"{reference.NAME}.ckp").read_bytes()
    (tmp_path / "c.ckp").write_bytes(state[:200])
    with pytest.raises(RuntimeError, match=r"Failed to parse Dictionary from file \(.*c\.ckp\)"):
        trainer.restore_from_checkpoint(str(tmp_path / "c"))
    (tmp_path / "c.ckp").write_bytes(state)
    (tmp_path / "c").write_bytes((data / reference.NAME).read_bytes()[:200])
    with pytest.raises(RuntimeError, match="Failed to parse Dictionary from the input stream"):
        trainer.restore_from_checkpoint(str(tmp_path / "c"))


def test_every_truncation_is_refused(tmp_path: Path, data: Path) -> None:
    """However short a file is cut, it is an error of the right kind, and nothing is changed."""
    trainer = reference.trainer(C)
    state = (data / f"{reference.NAME}.ckp").read_bytes()
    shutil.copy(data / reference.NAME, tmp_path / "c")
    before = [p.value for p in trainer.loss_function.parameters]
    for length in range(0, len(state), 37):
        (tmp_path / "c.ckp").write_bytes(state[:length])
        with pytest.raises((RuntimeError, ValueError)):
            trainer.restore_from_checkpoint(str(tmp_path / "c"))
    for old, parameter in zip(before, trainer.loss_function.parameters, strict=True):
        np.testing.assert_array_equal(old, parameter.value)
    assert trainer.total_number_of_samples_seen == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.pop("Learners"),
        lambda s: s["Learners"].pop(),
        lambda s: s["Learners"][0].pop("sample_count"),
        lambda s: s["Learners"][0].pop("smoothed_gradients"),
        lambda s: s["Learners"][0].update(type="Dictionary"),
        lambda s: s["Learners"][0].update(smoothed_count="many"),
        lambda s: s["Learners"][0].update(sample_count="many"),
        lambda s: s["Learners"][0].update(sample_count=None),
        lambda s: s["Learners"][0]["learnig_rate_schedule"].update(schedule={"x": 1.0}),
        lambda s: s["Learners"][0]["learnig_rate_schedule"].pop("epoch_size"),
        lambda s: s["Learners"][0].update(learnig_rate_schedule="fast"),
        lambda s: s["Learners"][0]["smoothed_gradients"].pop(),
        lambda s: s["Learners"][0]["smoothed_gradients"].insert(0, 1),
        lambda s: s.update(Learners="all"),
        lambda s: s.update(ExternalState=1),
    ],
)
def test_a_state_with_other_contents_is_refused(change: Any, tmp_path: Path, data: Path) -> None:
    """Entries that are missing or of another kind raise an error, and nothing is changed."""
    trainer = reference.trainer(C)
    shutil.copy(data / reference.NAME, tmp_path / "c")
    state = decode((data / f"{reference.NAME}.ckp").read_bytes())
    change(state)
    (tmp_path / "c.ckp").write_bytes(encode(state))
    before = trainer.loss_function.parameters[0].value
    with pytest.raises((RuntimeError, ValueError)):
        trainer.restore_from_checkpoint(str(tmp_path / "c"))
    np.testing.assert_array_equal(before, trainer.loss_function.parameters[0].value)


def test_a_checkpoint_of_something_else_is_refused(data: Path) -> None:
    """Another model, another number of learners, and learners of another kind are told apart."""
    path = str(data / reference.NAME)
    x, w = C.input_variable(2), C.parameter((2,))
    loss = C.reduce_sum(w * x)
    with pytest.raises(ValueError, match=r"is not equivalent \(isomorphic\) to the Function"):
        C.Trainer(None, (loss,), C.sgd([w], 0.1)).restore_from_checkpoint(path)
    trainer = reference.trainer(C)
    criterion = trainer.loss_function, trainer.evaluation_function
    parameters = trainer.loss_function.parameters
    one = C.Trainer(trainer.model, criterion, C.sgd(parameters, 0.1))
    with pytest.raises(RuntimeError, match=r"Number of learners \(1\) does not match"):
        one.restore_from_checkpoint(path)
    learners = [C.sgd(parameters[:2], 0.1), C.sgd(parameters[2:], 0.1)]
    with pytest.raises(RuntimeError, match="of the smoothed gradient value restored"):
        C.Trainer(trainer.model, criterion, learners).restore_from_checkpoint(path)


def test_learners_keep_their_own_checkpoints() -> None:
    """create_checkpoint and restore_from_checkpoint work without a trainer."""
    w = C.parameter((2, 3), init=1.0)
    gradient = {w: np.arange(6, dtype=np.float32).reshape(2, 3)}
    learner = C.rmsprop([w], 0.1, 0.9, 1.2, 0.7, 10, 0.001)
    learner.update(gradient, 2)
    kept, value = learner.create_checkpoint(), w.value
    learner.update(gradient, 2)
    expected = w.value
    w.value = value
    other = C.rmsprop([w], 0.3, 0.9, 1.2, 0.7, 10, 0.001)
    other.restore_from_checkpoint(kept)
    other.update(gradient, 2)
    np.testing.assert_array_equal(w.value, expected)
    learner.reset_smoothed_gradients()
    assert not learner.create_checkpoint()["smoothed_gradients"][0].any()
