"""Training and testing a criterion in one call: `Function.train` and `Function.test`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, final

from cntk._record import Record
from cntk.eval.evaluator import Evaluator
from cntk.io import MinibatchSource, UserMinibatchSource
from cntk.learners._schedule import Schedule
from cntk.logging._writer import NEVER, Counts, ProgressWriter, Span
from cntk.ops.functions import Function
from cntk.train._configs import (
    CheckpointConfig,
    CrossValidationConfig,
    TestConfig,
    as_source,
    minibatch_size_schedule,
    read,
)
from cntk.train.trainer import Trainer
from cntk.train.training_session import training_session

_KINDS: Final = (CheckpointConfig, CrossValidationConfig, TestConfig)


@final
class _Collector(ProgressWriter):
    """Keeps what other writers print."""

    def __init__(self, frequency: int = NEVER) -> None:
        super().__init__(frequency, 0, NEVER, 0, NEVER, 0)
        self.updates: list[Record] = []
        self.summaries: list[Record] = []
        self.tests: list[Record] = []

    def on_write_training_update(
        self, samples: Counts, updates: Counts, aggregate_loss: Span, aggregate_metric: Span
    ) -> None:
        del updates
        loss, metric = (span[1] - span[0] for span in (aggregate_loss, aggregate_metric))
        self.updates.append(_means(samples[1] - samples[0], loss=loss, metric=metric))

    def on_write_training_summary(
        self,
        samples: int,
        updates: int,
        summaries: int,
        aggregate_loss: float,
        aggregate_metric: float,
        elapsed_milliseconds: float,
    ) -> None:
        del updates, summaries, elapsed_milliseconds
        self.summaries.append(_means(samples, loss=aggregate_loss, metric=aggregate_metric))

    def on_write_test_summary(
        self,
        samples: int,
        updates: int,
        summaries: int,
        aggregate_metric: float,
        elapsed_milliseconds: float,
    ) -> None:
        del updates, summaries, elapsed_milliseconds
        self.tests.append(_means(samples, metric=aggregate_metric))


def _means(samples: int, **sums: float) -> Record:
    return Record({name: value / (samples or 1) for name, value in sums.items()}, samples=samples)


def train(
    criterion: Function,
    minibatch_source: Any,
    minibatch_size: Any,
    streams: Mapping[Any, Any] | None,
    parameter_learners: Any,
    callbacks: Sequence[Any],
    progress_frequency: int | None,
    max_epochs: float | None,
    epoch_size: int | None,
    max_samples: int | None,
) -> Record:
    """Train a criterion; see `Function.train`."""
    sizes = _sizes(minibatch_size)
    if max_samples is None:
        if epoch_size is None:
            epoch_size = _length(minibatch_source)
        max_samples = int((1 if max_epochs is None else max_epochs) * epoch_size)
    elif max_epochs is not None:
        message = "max_epochs and max_samples are mutually exclusive."
        raise ValueError(message)
    writers = [cb for cb in callbacks if isinstance(cb, ProgressWriter)]
    configs = _configs([cb for cb in callbacks if not isinstance(cb, ProgressWriter)])
    if progress_frequency is None:
        progress_frequency = epoch_size
    period = NEVER if progress_frequency is None else progress_frequency // int(sizes[0])
    collector = _Collector(getattr(writers[0], "freq", NEVER) if writers else max(period, 1))
    trainer = Trainer(None, criterion, parameter_learners, [*writers, collector])
    training_session(
        trainer,
        minibatch_source,
        sizes,
        streams,
        progress_frequency,
        max_samples,
        configs.get(CheckpointConfig),
        configs.get(CrossValidationConfig),
        configs.get(TestConfig),
    ).train()
    nothing = [Record(loss=0, metric=0, samples=0)]
    told = bool(collector.summaries)
    progress = Record(
        updates=collector.updates if told else nothing,
        epoch_summaries=collector.summaries if told else nothing,
    )
    if TestConfig in configs:
        progress = progress.updated_with(test_summary=collector.tests[-1])
    return progress


def test(
    criterion: Function,
    minibatch_source: Any,
    minibatch_size: Any,
    streams: Mapping[Any, Any] | None,
    callbacks: Any,
) -> Record:
    """Test a criterion; see `Function.test`."""
    sizes = _sizes(minibatch_size)
    source, streams = as_source(minibatch_source, streams, criterion, endless=False)
    if not streams:
        message = "Mapping between input vars and streams should not be empty."
        raise ValueError(message)
    if source.is_infinite():
        message = "minibatch_source must have a limited number of samples or sweeps."
        raise ValueError(message)
    writers = [callbacks] if isinstance(callbacks, ProgressWriter) else list(callbacks or ())
    collector = _Collector()
    evaluator = Evaluator(Function._of(criterion.outputs[-1]), [*writers, collector])
    samples = 0
    while data := read(source, int(sizes[samples]), streams):
        samples += max(len(part) for part in data.values())
        evaluator.test_minibatch(data)
    evaluator.summarize_test_progress()
    return collector.tests[-1]


def mapped(
    criterion: Function, streams: Any, model_inputs_to_streams: Mapping[Any, Any] | None
) -> Mapping[Any, Any] | None:
    """Return the mapping of variables to streams from one of the two forms of giving it."""
    if not streams:
        return model_inputs_to_streams
    if model_inputs_to_streams:
        message = "streams and model_inputs_to_streams are mutually exclusive."
        raise ValueError(message)
    listed = streams if isinstance(streams, list | tuple) else (streams,)
    arguments = criterion.arguments
    if len(listed) != len(arguments):
        message = f"expected {len(arguments)} arguments, got {len(listed)}"
        raise TypeError(message)
    return dict(zip(arguments, listed, strict=True))


def _sizes(given: Any) -> Schedule:
    if given is None:
        message = "minibatch_size must not be None."
        raise ValueError(message)
    if isinstance(given, int):
        return minibatch_size_schedule(given)
    if not isinstance(given, Schedule):
        message = (
            "minibatch_size must be an int or the result an call to the "
            "minibatch_size_schedule() function"
        )
        raise ValueError(message)
    return given


def _length(source: Any) -> int:
    if isinstance(source, MinibatchSource | UserMinibatchSource):
        message = (
            "epoch_size must be specified, unless max_samples is given or input is given as "
            "numpy/scipy arrays."
        )
        raise ValueError(message)
    return len(source[0] if isinstance(source, tuple) else source)


def _configs(given: Sequence[Any]) -> dict[type, Any]:
    found: dict[type, Any] = {}
    for callback in given:
        kind = next((kind for kind in _KINDS if isinstance(callback, kind)), None)
        if kind is None:
            message = (
                "callbacks list can only contain objects of type ProgressWriter, "
                f"CheckpointConfig, CrossValidationConfig, and TestConfig, not {callback!r}."
            )
            raise ValueError(message)
        if kind in found:
            message = f"only one callback of type {kind} is permitted"
            raise ValueError(message)
        found[kind] = callback
    return found
