"""Training sessions against what real CNTK 2.7 says and writes, and their sources."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cntk as C
import reference_sessions as reference
from cntk.train import CheckpointConfig, CrossValidationConfig, DataUnit, TestConfig
from cntk.train import training_session as session

NO_TRAINER: Any = None
NOTHING: Any = ("a", 3)
NUMBER = re.compile(r"\d+\.\d+")


def test_sessions_tell_what_cntk_tells(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines, their order, callbacks, sample counts and file names are CNTK's; numbers to 1e-4."""
    expected = (data / "sessions_cntk27.txt").read_text().splitlines()
    found = reference.sessions(C, str(tmp_path))
    for ours, theirs in zip(found, expected, strict=True):
        assert NUMBER.sub("N", ours) == NUMBER.sub("N", theirs)
        one, other = ([float(n) for n in NUMBER.findall(line)] for line in (ours, theirs))
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    restored = re.findall(
        r"Restoring training session from the .* '.*/(\w+)'", capsys.readouterr().err
    )
    assert restored == ["c", "e2", "a"]


def small(rate: float = 0.1) -> tuple[C.Variable, C.Function, C.Trainer]:
    x, w = C.input_variable(1, name="x"), C.parameter((1,), init=1.0)
    loss = C.reduce_sum(w * x)
    return x, loss, C.Trainer(None, (loss, loss), C.sgd([w], rate))


class Counting(C.io.UserMinibatchSource):
    """Ten samples with the values 0 to 9."""

    def __init__(self) -> None:
        self.info = C.io.StreamInformation("x", 0, "dense", np.float32, (1,))
        self.at = 0
        super().__init__()

    def stream_infos(self) -> list[C.io.StreamInformation]:
        return [self.info]

    def next_minibatch(
        self, num_samples: int, number_of_workers: int = 1, worker_rank: int = 0, device: Any = None
    ) -> dict[C.io.StreamInformation, C.io.MinibatchData]:
        values = np.arange(self.at, min(self.at + num_samples, 10), dtype=np.float32)[:, None]
        self.at += len(values)
        count = len(values)
        return {self.info: C.io.MinibatchData(values, count, count, self.at == 10)} if count else {}

    def get_checkpoint_state(self) -> dict[str, Any]:
        return {"at": self.at}

    def restore_from_checkpoint(self, state: Any) -> None:
        self.at = state["at"]


def test_a_source_in_python_feeds_and_restores_a_session(tmp_path: Path) -> None:
    """A session asks it for data, keeps its state and gives it back."""
    x, _loss, trainer = small()
    source = Counting()
    config = CheckpointConfig(str(tmp_path / "c"), frequency=4, preserve_all=True)
    streams = {x: source.streams.x}
    session(trainer, source, 4, streams, max_samples=8, checkpoint_config=config).train()
    assert (trainer.total_number_of_samples_seen, source.at) == (8, 8)
    x, _loss, trainer = small()
    source = Counting()
    streams = {x: source["x"]}
    session(trainer, source, 4, streams, checkpoint_config=config).train()
    assert (trainer.total_number_of_samples_seen, source.at) == (10, 10)


def test_a_source_without_state_says_what_it_lacks() -> None:
    """What cannot be restored is refused; what has no state needs nothing."""

    class Plain(C.io.UserMinibatchSource):
        def stream_infos(self) -> list[C.io.StreamInformation]:
            return []

    source = Plain()
    source.restore_from_checkpoint({})
    assert (source.get_checkpoint_state(), source.is_infinite()) == ({}, False)
    with pytest.raises(NotImplementedError, match=r"restore_from_checkpoint\(checkpoint\)"):
        source.restore_from_checkpoint({"at": 1})
    with pytest.raises(RuntimeError, match="No stream found matching given name 'z'"):
        source.stream_info("z")


def test_arrays_take_the_place_of_a_source() -> None:
    """Arrays feed the arguments of the criterion in order."""
    _x, loss, trainer = small()
    values = np.arange(10, dtype=np.float32)[:, None]
    told: list[Any] = []

    def tell(*heard: Any) -> bool:
        told.append(heard)
        return True

    config = CrossValidationConfig((values,), frequency=8, criterion=loss, callback=tell)
    session(trainer, (values,), 4, max_samples=10, cv_config=config).train()
    assert trainer.total_number_of_samples_seen == 10
    assert [(index, samples, minibatches) for index, _, samples, minibatches in told] == [
        (0, 10, 1),
        (1, 10, 1),
    ]


def test_a_session_stops_when_nothing_is_learned() -> None:
    """Rates of 0 end a session instead of running for ever."""
    x, _loss, trainer = small(0.0)
    source = C.io.MinibatchSourceFromData({"x": np.ones((4, 1), np.float32)})
    session(trainer, source, 4, {x: source.streams.x}).train()
    assert trainer.total_number_of_samples_seen == 0


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: CheckpointConfig(None, frequency=3), "without checkpoint_filename"),
        (lambda: CheckpointConfig("x", frequency=NOTHING), "Unsupported frequency"),
        (lambda: CrossValidationConfig(frequency=3), "Either minibatch_source of callback"),
        (lambda: CrossValidationConfig((np.ones(1),)), "criterion must be given"),
        (lambda: TestConfig(minibatch_size="x"), "not supported"),
        (lambda: C.minibatch_size_schedule("x"), "a float or a list"),
        (lambda: C.minibatch_size_schedule(3, epoch_size=4), "epoch_size is ignored"),
        (lambda: session(NO_TRAINER, None, 3, None), "Trainer must not be None"),
        (lambda: session(small()[2], None, 3, None), "source must not be None"),
        (lambda: session(small()[2], Counting(), 3, None), "should not be empty"),
        (lambda: session(small()[2], (np.ones(1),) * 2, 3), "You passed 2 value"),
    ],
)
def test_mistakes_are_told_in_cntks_words(make: Any, text: str) -> None:
    """What makes no session is refused with CNTK's message."""
    with pytest.raises(ValueError, match=text):
        make()


def test_callbacks_must_say_whether_to_go_on() -> None:
    """A callback that returns nothing is an error, as in CNTK."""
    x, _loss, trainer = small()
    source = Counting()
    config = CrossValidationConfig(frequency=4, callback=lambda *_: None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must return a bool"):
        session(trainer, source, 4, {x: source.streams.x}, cv_config=config).train()


def test_minibatch_sizes_follow_a_schedule() -> None:
    """Pairs last for so many epochs; old names of arguments still work, with a warning."""
    sizes = C.minibatch_size_schedule([(12, 32), (15, 64), (1, 128)], 100)
    assert [sizes[n] for n in (0, 1199, 1200, 2699, 2700, 5000)] == [32, 32, 64, 64, 128, 128]
    assert [C.minibatch_size_schedule(32)[n] for n in (0, 99)] == [32, 32]
    assert [unit.value for unit in DataUnit] == [0, 1, 2]
    with pytest.warns(DeprecationWarning, match='"mb_size" parameter is deprecated'):
        TestConfig(Counting(), mb_size=4)


def criterion() -> tuple[C.Function, C.Function]:
    x, y = C.input_variable(3, name="x"), C.input_variable(2, name="y")
    z = C.layers.Dense(2, init=0.1)(x)
    both = C.combine([C.cross_entropy_with_softmax(z, y), C.classification_error(z, y)])
    return z, both


def test_a_criterion_trains_and_tests_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """Function.train and Function.test return what real CNTK's return, and tell the writers."""
    z, both = criterion()
    arrays = reference.data()
    learner = C.sgd(z.parameters, 0.1)
    done = both.train(
        arrays, minibatch_size=25, max_epochs=2, epoch_size=50, parameter_learners=[learner]
    )
    epochs = done.epoch_summaries
    assert [e.samples for e in epochs] == [50, 50]
    assert [e.loss for e in epochs] == pytest.approx([0.673427, 0.618792], abs=1e-6)
    assert [e.metric for e in done.updates] == pytest.approx([0.34, 0.04])
    printer = C.logging.ProgressPrinter(freq=2)
    done = both.train(arrays, parameter_learners=[C.sgd(z.parameters, 0.1)], callbacks=[printer])
    assert [u.samples for u in done.updates] == [64, 36]
    assert done["epoch_summaries"][0].loss == pytest.approx(0.549302, abs=1e-6)
    printed = capsys.readouterr().out
    assert " Minibatch[   3-   4]: loss = 0.540954 * 36, metric = 0.00% * 36;\n" in printed
    tested = both.test(arrays, callbacks=[C.logging.ProgressPrinter(test_freq=1)])
    assert tested.keys() == {"metric", "samples"}
    assert tested.samples == 100
    assert "Finished Evaluation [1]: Minibatch[1-4]" in capsys.readouterr().out


def test_a_test_config_adds_its_summary() -> None:
    """With a TestConfig the result has test_summary; streams can be given in order."""
    z, both = criterion()
    features, labels = reference.data()
    source = C.io.MinibatchSourceFromData({"x": features, "y": labels}, max_samples=100)
    config = TestConfig((features, labels), criterion=both)
    done = both.train(
        source,
        streams=(source.streams.x, source.streams.y),
        parameter_learners=C.sgd(z.parameters, 0.1),
        max_samples=100,
        callbacks=[config],
    )
    assert done.test_summary.samples == 100
    source = C.io.MinibatchSourceFromData({"x": features, "y": labels}, max_samples=100)
    again = both.test(source, streams=(source.streams.x, source.streams.y))
    assert again.metric == pytest.approx(done.test_summary.metric)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda f, d: f.train(d, None), "minibatch_size must not be None"),
        (lambda f, d: f.train(d, max_epochs=1, max_samples=1), "mutually exclusive"),
        (lambda f, d: f.train(d[:1]), "You passed 1 value"),
        (lambda f, d: f.train(d, callbacks=[1]), "callbacks list can only contain"),
        (lambda f, _: f.train(Counting()), "epoch_size must be specified"),
        (lambda f, _: f.test(Counting()), "should not be empty"),
    ],
)
def test_what_cannot_train_is_refused(call: Any, text: str) -> None:
    """Function.train and Function.test refuse with CNTK's messages."""
    z, both = criterion()
    learner = C.sgd(z.parameters, 0.1)
    with pytest.raises(ValueError, match=text):
        call(_WithLearner(both, learner), reference.data())


class _WithLearner:
    """A criterion whose `train` gets a learner."""

    def __init__(self, function: C.Function, learner: Any) -> None:
        self.test = function.test
        self._function, self._learner = function, learner

    def train(self, *args: Any, **options: Any) -> Any:
        options["parameter_learners"] = self._learner
        return self._function.train(*args, **options)


def test_endless_data_cannot_be_tested() -> None:
    """A test needs an end."""
    _z, both = criterion()
    features, labels = reference.data()
    source = C.io.MinibatchSourceFromData({"x": features, "y": labels})
    with pytest.raises(ValueError, match="limited number of samples"):
        both.test(source, streams=(source.streams.x, source.streams.y))
