"""Progress as lines of text, in CNTK's words."""

import math
import sys
import time
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import torch

from cntk._absent import absent
from cntk.device import DeviceKind, use_default_device
from cntk.logging._tensorboard import TensorBoardProgressWriter
from cntk.logging._writer import NEVER, Counts, ProgressWriter, Span, Sums, average
from cntk.ops.functions import Function
from cntk.variables import InferredDimension

__all__ = [
    "ProgressPrinter",
    "TensorBoardProgressWriter",
    "TrainingSummaryProgressCallback",
    "log_number_of_parameters",
]
_DASHES: Final = "-" * 67
_HEARTBEAT: Final = 10.0
_HEADER: Final = (
    " average      since    average      since      examples",
    "    loss       last     metric       last              ",
    " " + "-" * 54,
)
_EPOCHS_UNKNOWN: Final = 300


class ProgressPrinter(ProgressWriter):
    """Prints loss and metric, to `sys.stdout` or to a file.

    Args:
        freq: None: only summaries; 0: a table at minibatches 1, 3, 7, ...; n: every n minibatches.
        first: How many minibatches at the beginning have a line of their own.
        tag: What a summary has in brackets.
        log_to_file: A file instead of `sys.stdout`.
        rank: Of this process; becomes part of the file's name.
        gen_heartbeat: Whether to print a sign of life every 10 seconds.
        num_epochs: What a summary gives as the number of epochs.
        test_freq: As `freq`, for tests.
        test_first: As `first`, for tests.
        metric_is_pct: Whether the metric is printed in percent.
        distributed_freq: As `freq`, for the workers' exchanges.
        distributed_first: As `first`, for the workers' exchanges.
    """

    def __init__(
        self,
        freq: int | None = None,
        first: int = 0,
        tag: str = "",
        log_to_file: str | None = None,
        rank: int | None = None,
        gen_heartbeat: bool = False,
        num_epochs: int | None = None,
        test_freq: int | None = None,
        test_first: int = 0,
        metric_is_pct: bool = True,
        distributed_freq: int | None = None,
        distributed_first: int = 0,
    ) -> None:
        frequencies = [NEVER if f is None else f for f in (freq, test_freq, distributed_freq)]
        super().__init__(
            frequencies[0], first, frequencies[1], test_first, frequencies[2], distributed_first
        )
        self.freq, self.first = frequencies[0], first
        self.test_freq = frequencies[1]
        self.tag = f"[{tag}] " if tag else ""
        self.num_epochs = num_epochs
        self.metric_is_pct = metric_is_pct
        self.gen_heartbeat = gen_heartbeat
        self.log_to_file = log_to_file
        self.logfilename: str | None = None
        self._last_beat = -math.inf
        self._given, self._told = Sums(), Sums()
        self.epochs = self.total_updates = 0
        _say_build()
        if log_to_file:
            self._redirect(log_to_file, rank)
        if freq == 0:
            for line in _HEADER:
                self.log(line)
        self.epoch_start_time = time.perf_counter()

    def _redirect(self, name: str, rank: int | None) -> None:
        self.logfilename = name if rank is None else f"{name}rank{rank}"
        print(f"Redirecting log to file {self.logfilename}")
        Path(self.logfilename).parent.mkdir(parents=True, exist_ok=True)
        Path(self.logfilename).write_text(f"{self.logfilename}\n")
        epochs = _EPOCHS_UNKNOWN if self.num_epochs is None else self.num_epochs
        self.log(f"CNTKCommandTrainInfo: train : {epochs}")
        self.log(f"CNTKCommandTrainInfo: CNTKNoMoreCommands_Total : {epochs}")
        self.log("CNTKCommandTrainBegin: train")

    def log(self, message: str) -> None:
        """Print a line."""
        if self.logfilename is None:
            print(message)
        else:
            with Path(self.logfilename).open("a") as file:
                file.write(message + "\n")

    def write(self, key: str, value: Any) -> None:
        """Print one value under its name."""
        self.log(f"{key}: {value}")

    def end_progress_print(self, msg: str = "") -> None:
        """Print that training has ended, and to a log file also `msg`."""
        self.log("CNTKCommandTrainEnd: train")
        if msg and self.log_to_file is not None:
            self.log(msg)

    # What a trainer tells.

    def on_write_training_update(
        self,
        samples: Counts,
        updates: Counts | None,
        aggregate_loss: Span | None,
        aggregate_metric: Span | None,
    ) -> None:
        """Print a row of the table, or a minibatch line."""
        self._update(samples, updates, aggregate_loss, aggregate_metric, self.freq, "")

    def on_write_test_update(
        self, samples: Counts, updates: Counts, aggregate_metric: Span
    ) -> None:
        """Print the same for tests."""
        self._update(samples, updates, None, aggregate_metric, self.test_freq, "Evaluation ")

    def on_write_distributed_sync_update(
        self, samples: Counts, updates: Counts, aggregate_metric: Span
    ) -> None:
        """Print how often the workers have exchanged their sums."""
        del aggregate_metric
        self.log(
            f"Distributed training: #Syncs elapsed = {updates[1] - updates[0]}, #Samples elapsed = "
            f"{samples[1] - samples[0]}"
        )

    def on_training_update_end(self) -> None:
        """Give a sign of life if the last one is 10 seconds old."""
        if self.gen_heartbeat and time.monotonic() - self._last_beat > _HEARTBEAT:
            print("PROGRESS: 0.00%")
            self._last_beat = time.monotonic()

    def _update(
        self,
        samples: Counts,
        updates: Counts | None,
        loss: Span | None,
        metric: Span | None,
        frequency: int,
        name: str,
    ) -> None:
        if frequency == 0 or updates is None:
            columns = "".join(_columns(values, samples) for values in (loss, metric))
            self.log(f" {columns} {samples[1]:10d}")
            return
        count = samples[1] - samples[0]
        parts = [] if loss is None else [f"loss = {average(loss, samples):0.6f} * {count:d}"]
        if metric is not None:
            parts.append(f"{self._metric(average(metric, samples))} * {count:d}")
        begin, end = updates
        self.log(f" {name}Minibatch[{begin + 1:4d}-{end:4d}]: {', '.join(parts)};")

    def on_write_training_summary(
        self,
        samples: int,
        updates: int,
        summaries: int,
        aggregate_loss: float,
        aggregate_metric: float | None,
        elapsed_milliseconds: float,
    ) -> None:
        """Print the epoch's line; a table has none."""
        del updates
        if self.freq == 0:
            return
        seconds = elapsed_milliseconds / 1000
        of = f" of {self.num_epochs}" if self.num_epochs is not None else ""
        loss = f"loss = {average(aggregate_loss, samples):0.6f} * {samples}"
        metric = ""
        if aggregate_metric is not None:
            metric = f", {self._metric(average(aggregate_metric, samples))} * {samples}"
        self.log(
            f"Finished Epoch[{summaries}{of}]: {self.tag}{loss}{metric} {seconds:0.3f}s "
            f"({average(samples, seconds):5.1f} samples/s);"
        )

    def on_write_test_summary(
        self,
        samples: int,
        updates: int,
        summaries: int,
        aggregate_metric: float,
        elapsed_milliseconds: float,
    ) -> None:
        """Print the line of the tests since the last one."""
        del elapsed_milliseconds
        self.log(
            f"Finished Evaluation [{summaries}]: Minibatch[1-{updates}]: "
            f"{self._metric(average(aggregate_metric, samples))} * {samples};"
        )

    def _metric(self, value: float) -> str:
        text = f"{value * 100:0.2f}%" if self.metric_is_pct else f"{value:0.6f}"
        return f"metric = {text}"

    # What scripts of CNTK 2.0 call themselves.

    def update(self, loss: float, minibatch_size: int, metric: float | None = None) -> None:
        """Count a minibatch by its means, without a trainer (deprecated)."""
        if self.total_updates == 0:
            _deprecated("The method was deprecated.")
        if not minibatch_size:
            return
        self.total_updates += 1
        told, now = (
            self._told,
            self._given.plus(
                minibatch_size, loss * minibatch_size, (metric or 0.0) * minibatch_size
            ),
        )
        self._given, number = now, now.updates
        self.on_training_update_end()
        if self.freq == 0:
            due = number & (number + 1) == 0
        else:
            due = number % self.freq == 0 or number <= self.first
        if due:
            metrics = float(told.metric), float(now.metric)
            self.on_write_training_update(
                (told.samples, now.samples),
                (told.updates, number) if self.freq else None,
                (float(told.loss), float(now.loss)),
                None if metric is None else metrics,
            )
            self._told = now

    def update_with_trainer(self, trainer: Any, with_metric: bool = False) -> None:
        """Count a trainer's last minibatch (deprecated)."""
        if trainer is not None and trainer.previous_minibatch_sample_count:
            self.update(
                trainer.previous_minibatch_loss_average,
                trainer.previous_minibatch_sample_count,
                trainer.previous_minibatch_evaluation_average if with_metric else None,
            )

    def epoch_summary(self, with_metric: bool = False) -> tuple[float, float, int] | None:
        """Print the line of what `update` has counted, and begin anew (deprecated)."""
        _deprecated("The method was deprecated.")
        self.epochs += 1
        now = time.perf_counter()
        elapsed, self.epoch_start_time = (now - self.epoch_start_time) * 1000, now
        given = self._given
        metric = float(given.metric) if with_metric else None
        self.on_write_training_summary(
            given.samples, given.updates, self.epochs, float(given.loss), metric, elapsed
        )
        return self.reset_start() if self.freq > 0 else None

    def reset_start(self) -> tuple[float, float, int]:
        """Forget what `update` has counted; return loss, metric and samples (deprecated)."""
        given, self._given, self._told = self._given, Sums(), Sums()
        return _means(given)

    def reset_last(self) -> tuple[float, float, int]:
        """Begin a new line of what `update` counts; return it as means (deprecated)."""
        now, told = self._given, self._told
        self._told = now
        loss, metric = now.loss - told.loss, now.metric - told.metric
        return _means(Sums(now.samples - told.samples, 0, loss, metric))

    def avg_loss_since_start(self) -> float:
        """Return the mean loss of what `update` has counted (deprecated)."""
        return _means(self._given)[0]

    def avg_metric_since_start(self) -> float:
        """Return the mean metric of what `update` has counted (deprecated)."""
        return _means(self._given)[1]


class TrainingSummaryProgressCallback(ProgressWriter):
    """Calls a function after each epoch.

    Args:
        epoch_size: Accepted; the trainer's summaries are the epochs.
        callback: Takes the epoch's number from 0, the sums of loss and metric, and the samples.
    """

    def __init__(self, epoch_size: int, callback: Any) -> None:
        super().__init__(NEVER, 0, epoch_size, 0, NEVER, 0)
        self._callback = callback

    def on_write_training_summary(
        self,
        samples: int,
        updates: int,
        summaries: int,
        aggregate_loss: float,
        aggregate_metric: float,
        elapsed_milliseconds: float,
    ) -> None:
        """Call the function."""
        del updates, elapsed_milliseconds
        self._callback(summaries - 1, aggregate_loss, aggregate_metric, samples)


def _columns(values: Span | None, samples: Counts) -> str:
    if values is None:
        return " " * 22
    return f"{average(values[1], samples[1]):8.3g}   {average(values, samples):8.3g}   "


def _means(sums: Sums) -> tuple[float, float, int]:
    loss, metric = float(sums.loss), float(sums.metric)
    return average(loss, sums.samples), average(metric, sums.samples), sums.samples


def _deprecated(message: str) -> None:
    warnings.warn(f"DEPRECATED: {message}", DeprecationWarning, stacklevel=3)


def _say_build() -> None:
    """Say on stderr what computes here, where CNTK says how it was built."""
    on_gpu = use_default_device().type() is DeviceKind.GPU
    lines = [
        "Build type: release",
        f"Build target: {'GPU' if on_gpu else 'CPU-only'}",
        "With ASGD: no",
        f"Math lib: torch {torch.__version__}",
    ]
    if on_gpu:
        lines.append(f"CUDA version: {torch.version.cuda}")
        lines.append(f"CUDNN version: {torch.backends.cudnn.version()}")  # type: ignore[no-untyped-call]
    lines.append(f"Package: batchai-quickstart-training {_version()}")
    lines.append("MPI distribution: none")
    text = "".join(f"\t\t{line}\n" for line in lines)
    print(f"{_DASHES}\nBuild info: \n\n{text}{_DASHES}", file=sys.stderr, flush=True)


def _version() -> str:
    try:
        return str(metadata.distribution("batchai-quickstart-training").version)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def log_number_of_parameters(model: Function, trace_level: int = 0) -> None:
    """Print how many parameters a model has; with a trace level also each one's shape."""
    shapes = [p.shape for p in model.parameters]
    known = not any(InferredDimension in shape for shape in shapes)
    number = (
        str(sum(p.value.size for p in model.parameters))
        if known
        else "so far unspecified number of"
    )
    print(f"Training {number} parameters in {len(shapes)} parameter tensors.")
    if trace_level > 0:
        print()
        for parameter in model.parameters:
            print(f"\t{parameter.shape}")


__getattr__ = absent(__name__)
