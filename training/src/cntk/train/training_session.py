"""Training sessions: the training loop with progress, checkpoints, cross validation and a test."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cntk._absent import absent
from cntk.train._configs import (
    CheckpointConfig,
    CrossValidationConfig,
    DataUnit,
    Frequency,
    Streams,
    TestConfig,
    as_source,
    frequency_of,
    minibatch_size_schedule,
    read,
    sizes_of,
)
from cntk.train.trainer import Trainer

__all__ = [
    "CheckpointConfig",
    "CrossValidationConfig",
    "DataUnit",
    "TestConfig",
    "TrainingSession",
    "minibatch_size_schedule",
    "training_session",
]
_SOURCE_STATE: Final = "TrainingMinibatchSource"


@dataclass(slots=True)
class _Action:
    """Something a session does again and again.

    Args:
        frequency: After so many units.
        unit: Of what.
        run: Takes the number of the time; returns False to stop training.
        index: The number of the time.
        samples: How many had been seen when it was last done.
    """

    frequency: int
    unit: DataUnit
    run: Callable[[int], bool]
    index: int = 0
    samples: int = 0


class TrainingSession:
    """A training loop; made by `training_session`.

    Args:
        trainer: The trainer.
        mb_source: A source of minibatches, or a tuple of arrays.
        mb_size: A minibatch size or a schedule of them.
        model_inputs_to_streams: Variable to stream.
        max_samples: How many samples to train on; None: all that the source has.
        progress_frequency: After how many samples, or units, an epoch is summed up; None: at the
            end.
        checkpoint_config: When to write checkpoints.
        cv_config: When to test during training.
        test_config: What to test after training.
    """

    def __init__(
        self,
        trainer: Any,
        mb_source: Any,
        mb_size: Any,
        model_inputs_to_streams: Streams | None,
        max_samples: int | None,
        progress_frequency: Frequency,
        checkpoint_config: CheckpointConfig,
        cv_config: CrossValidationConfig,
        test_config: TestConfig,
    ) -> None:
        if trainer is None:
            message = "Trainer must not be None."
            raise ValueError(message)
        if mb_source is None:
            message = "Training minibatch source must not be None."
            raise ValueError(message)
        source, streams = as_source(
            mb_source, model_inputs_to_streams, trainer.loss_function, endless=True
        )
        if not streams:
            message = "Mapping between input vars and streams should not be empty."
            raise ValueError(message)
        self._trainer, self._source, self._streams = trainer, source, streams
        self._sizes = sizes_of(mb_size, "mb_size")
        self._max_samples = sys.maxsize if max_samples is None else max_samples
        self._checkpoints, self._cv, self._test = checkpoint_config, cv_config, test_config
        chosen: list[tuple[tuple[int, DataUnit], Callable[[int], bool]]] = [
            (checkpoint_config._frequency, self._save_numbered),
            (frequency_of(progress_frequency, sys.maxsize), self._report),
            (cv_config._frequency, self._cross_validate),
        ]
        self._actions = [_Action(*when, run) for when, run in chosen if when[0]]

    def train(self, device: Any = None) -> None:
        """Train until there is nothing more to learn from, or a callback says so."""
        del device
        filename = self._checkpoints._filename
        if filename and self._checkpoints._restore:
            self._restore(filename)
        trainer, go_on = self._trainer, self._max_samples > 0
        while go_on:
            go_on = trainer.train_minibatch(self._next_minibatch())
            if go_on:
                go_on = self._act()
        for action in self._actions:
            if trainer.total_number_of_samples_seen > action.samples:
                action.run(action.index)
        if filename and self._checkpoints._preserve_all:
            self._save(filename)
        if self._test._source is not None:
            self._measure(self._test)

    def on_cross_validation_end(
        self, index: int, average_error: float, num_samples: int, num_minibatches: int
    ) -> bool:
        """Hear of a test during training; return False to stop."""
        if self._cv._callback is None:
            return True
        go_on: Any = self._cv._callback(index, average_error, num_samples, num_minibatches)
        if not isinstance(go_on, int):
            message = f"A cross validation callback must return a bool, not {go_on!r}."
            raise TypeError(message)
        return bool(go_on)

    def _next_minibatch(self) -> dict[Any, Any]:
        seen = self._trainer.total_number_of_samples_seen
        size = min(int(self._sizes[seen]), self._max_samples - seen)
        if size <= 0:
            return {}
        return read(self._source, size, self._streams, *self._part())

    def _part(self) -> tuple[int, int]:
        """Return among how many workers the data are shared, and which this is."""
        group = self._trainer._group
        if group is None or any(v._is_local() for v in self._trainer.parameter_learners):
            return 1, 0
        return group.num_workers(), group.rank()

    def _seen(self, unit: DataUnit) -> int:
        learner = self._trainer.parameter_learners[0]
        counts = {
            DataUnit.sample: learner.total_number_of_samples_seen,
            DataUnit.minibatch: learner.total_number_of_minibatches_seen,
            DataUnit.sweep: learner.total_number_of_sweeps_seen,
        }
        return int(counts[unit]())

    def _act(self) -> bool:
        """Do what is due; return whether training goes on."""
        go_on = True
        for action in self._actions:
            index = self._seen(action.unit) // action.frequency
            if index != action.index:
                go_on = action.run(action.index) and go_on
                action.index = index
                action.samples = self._trainer.total_number_of_samples_seen
        return go_on

    def _report(self, _index: int) -> bool:
        self._trainer.summarize_training_progress()
        return True

    def _cross_validate(self, index: int) -> bool:
        if self._cv._source is None:
            return self.on_cross_validation_end(index, 0.0, 0, 0)
        state = self._cv._source.get_checkpoint_state()
        error, samples, minibatches = self._measure(self._cv)
        self._cv._source.restore_from_checkpoint(state)
        return self.on_cross_validation_end(index, error, samples, minibatches)

    def _measure(self, config: CrossValidationConfig | TestConfig) -> tuple[float, int, int]:
        """Test the model; return the mean metric, its samples and minibatches."""
        streams = config._streams or self._streams
        total, samples, minibatches = 0.0, 0, 0
        while size := min(int(config._sizes[samples]), config._max_samples - samples):
            data = read(config._source, size, streams)
            if not data:
                break
            count = max(len(part) for part in data.values())
            total += self._trainer.test_minibatch(data) * count
            samples += count
            minibatches += 1
        self._trainer.summarize_test_progress()
        return (total / samples if samples else 0.0), samples, minibatches

    # Checkpoints.

    def _save_numbered(self, index: int) -> bool:
        name = str(self._checkpoints._filename)
        self._save(f"{name}{index}" if self._checkpoints._preserve_all else name)
        return True

    def _save(self, filename: str) -> None:
        state = {_SOURCE_STATE: dict(self._source.get_checkpoint_state())}
        self._trainer.save_checkpoint(filename, state)

    def _restore(self, filename: str) -> None:
        found = newest(filename)
        if found is None:
            return
        print(
            f"Restoring training session from the checkpoint '{found}'",
            file=sys.stderr,
            flush=True,
        )
        state = self._trainer.restore_from_checkpoint(found)
        if _SOURCE_STATE not in state:
            message = f"The checkpoint {found} does not say where the training data were."
            raise ValueError(message)
        self._source.restore_from_checkpoint(state[_SOURCE_STATE])
        for action in self._actions:
            action.index = self._seen(action.unit) // action.frequency
            action.samples = self._trainer.total_number_of_samples_seen


def newest(filename: str) -> str | None:
    """Return the checkpoint to go on from: `filename` itself, else the greatest number behind it.

    Args:
        filename: A path without a number.
    """
    path = Path(filename)
    if path.is_file():
        return filename
    numbered = [
        (int(other.name[len(path.name) :]), str(other))
        for other in path.parent.glob("*")
        if other.name.startswith(path.name)
        and other.name[len(path.name) :].isdecimal()
        and Path(f"{other}.ckp").is_file()
    ]
    return max(numbered)[1] if numbered else None


def training_session(
    trainer: Trainer,
    mb_source: Any,
    mb_size: Any,
    model_inputs_to_streams: Streams | None = None,
    progress_frequency: Frequency = None,
    max_samples: int | None = None,
    checkpoint_config: CheckpointConfig | None = None,
    cv_config: CrossValidationConfig | None = None,
    test_config: TestConfig | None = None,
) -> TrainingSession:
    """Return a training loop; see `TrainingSession`."""
    return TrainingSession(
        trainer,
        mb_source,
        mb_size,
        model_inputs_to_streams,
        max_samples,
        progress_frequency,
        checkpoint_config or CheckpointConfig(None),
        cv_config or CrossValidationConfig(),
        test_config or TestConfig(),
    )


__getattr__ = absent(__name__)
