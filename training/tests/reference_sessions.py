"""Training sessions of all kinds, with what they say and which files they leave.

`python reference_sessions.py FILE.txt` under real CNTK 2.7 (Python 3.6) made
`data/sessions_cntk27.txt`. The tests run the same sessions here and compare.
"""

import os
import sys
import tempfile
from typing import Any, Callable, Dict, List

import numpy as np

SAMPLES = 100


def data() -> Any:
    """Return features (100, 3) and one-hot labels (100, 2)."""
    features = np.random.RandomState(0).randn(SAMPLES, 3).astype(np.float32)
    return features, np.eye(2, dtype=np.float32)[(features.sum(1) > 0).astype(int)]


class Told:
    """What a session says and does, line by line."""

    def __init__(self, C: Any, folder: str) -> None:
        self.lines: List[str] = []
        self.C = C
        self.folder = folder

    def source(self, samples: int, limit: Any = None) -> Any:
        features, labels = data()
        limit = samples if limit is None else limit
        streams = {"x": features[:samples], "y": labels[:samples]}
        return self.C.io.MinibatchSourceFromData(streams, max_samples=limit)

    def callback(self, index: int, average: float, samples: int, minibatches: int) -> bool:
        self.lines.append(f"callback {index} {average:.6f} {samples} {minibatches}")
        return index < 1

    def printer(self, freq: Any) -> Any:
        lines = self.lines

        class Printer(self.C.logging.ProgressPrinter):  # type: ignore[misc,name-defined]
            def log(self, message: str) -> None:
                lines.append(message)

            def write(self, key: str, value: Any) -> None:
                lines.append(f"{key}: {value}")

            def on_write_training_summary(self, *told: Any) -> None:
                lines.append("epoch {} {} {} {:.5f} {:.5f}".format(*told[:-1]))

            def on_write_training_update(self, *told: Any) -> None:
                samples, updates, loss, metric = told
                text = "minibatches {} {} {:.5f} {:.5f} {:.5f}"
                lines.append(text.format(samples, updates, loss[0], loss[1], metric[1]))

            def on_write_test_summary(self, *told: Any) -> None:
                lines.append("test {} {} {} {:.5f}".format(*told[:-1]))

        return Printer(freq=freq, num_epochs=3)

    def run(
        self, title: str, size: Any = 32, freq: Any = None, limit: Any = None, **options: Any
    ) -> None:
        """Run a session on the data, again and again up to `limit`, and note what it does."""
        C = self.C
        self.lines.append("== " + title)
        x, y = C.input_variable(3, name="x"), C.input_variable(2, name="y")
        z = C.layers.Dense(2, init=0.1)(x)
        criterion = C.cross_entropy_with_softmax(z, y), C.classification_error(z, y)
        rates = C.learning_parameter_schedule([0.1, 0.2], epoch_size=SAMPLES)
        trainer = C.Trainer(z, criterion, [C.sgd(z.parameters, rates)], [self.printer(freq)])
        source = self.source(SAMPLES, C.io.INFINITELY_REPEAT if limit is None else limit)
        streams = {x: source.streams.x, y: source.streams.y}
        session = C.train.training_session(trainer, source, size, streams, **options)
        session.train()
        files = sorted(os.listdir(self.folder))
        self.lines.append(f"{trainer.total_number_of_samples_seen} samples, files {files}")

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)


def sessions(C: Any, folder: str) -> List[str]:
    """Run all sessions and return what they say."""
    told = Told(C, folder)
    unit = C.train.DataUnit
    plain: Dict[str, Dict[str, Any]] = {
        "plain": {"max_samples": 150},
        "progress": {"max_samples": 300, "progress_frequency": 100},
        "progress minibatches": {"max_samples": 300, "progress_frequency": (3, unit.minibatch)},
        "progress sweeps": {"max_samples": 300, "progress_frequency": (1, unit.sweep)},
        "source ends": {"limit": 70},
        "sizes": {
            "max_samples": 200,
            "freq": 1,
            "size": C.train.minibatch_size_schedule([8, (2, 16), 32], 32),
        },
    }
    for title, options in plain.items():
        told.run(title, **options)
    cross_validations(C, told)
    checkpoints(C, told)
    return told.lines


def cross_validations(C: Any, told: Told) -> None:
    def config(**options: Any) -> Any:
        return C.train.CrossValidationConfig(told.source(40), minibatch_size=16, **options)

    run: Callable[..., None] = told.run
    run("stopped", max_samples=400, cv_config=config(frequency=100, callback=told.callback))
    run("validated", max_samples=300, cv_config=config(frequency=100))
    run("validated at the end", max_samples=300, cv_config=config())
    run("validated in part", max_samples=300, cv_config=config(max_samples=20))
    only = C.train.CrossValidationConfig(frequency=100, callback=told.callback)
    run("callback only", max_samples=400, cv_config=only)
    run("tested", max_samples=100, test_config=C.train.TestConfig(told.source(40), 16))
    run(
        "all at once",
        limit=70,
        progress_frequency=40,
        cv_config=config(frequency=30),
        test_config=C.train.TestConfig(told.source(40)),
    )


def checkpoints(C: Any, told: Told) -> None:
    def config(name: str, **options: Any) -> Any:
        return C.train.CheckpointConfig(told.path(name), **options)

    unit = C.train.DataUnit
    run: Callable[..., None] = told.run
    run("one", freq=2, max_samples=200, checkpoint_config=config("a", frequency=64))
    run("at the end", max_samples=200, checkpoint_config=config("b"))
    run("numbered", max_samples=200, checkpoint_config=config("c", frequency=64, preserve_all=True))
    every = config("d", frequency=(2, unit.minibatch), preserve_all=True)
    run("by minibatches", max_samples=200, checkpoint_config=every)
    every = config("e", frequency=(1, unit.sweep), preserve_all=True)
    run("by sweeps", max_samples=300, checkpoint_config=every)
    again = config("c", frequency=64, preserve_all=True)
    run("again", freq=1, max_samples=300, progress_frequency=80, checkpoint_config=again)
    os.remove(told.path("e"))
    again = config("e", frequency=(1, unit.sweep))
    run("from the last number", freq=1, max_samples=450, checkpoint_config=again)
    run("nothing left", max_samples=200, checkpoint_config=config("a", frequency=64))
    run("anew", max_samples=64, checkpoint_config=config("a", restore=False))


def main() -> None:
    import cntk

    with tempfile.TemporaryDirectory() as folder:
        lines = sessions(cntk, folder)
    with open(sys.argv[1], "w") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
