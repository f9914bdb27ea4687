"""Progress as lines of text, in CNTK's words."""

import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Final, final

import torch

from cntk._absent import absent
from cntk.device import DeviceKind, use_default_device
from cntk.ops.functions import Function
from cntk.variables import InferredDimension

_DASHES: Final = "-" * 67
_HEARTBEAT: Final = 10.0
_HEADER: Final = (
    " average      since    average      since      examples",
    "    loss       last     metric       last              ",
    " " + "-" * 54,
)


@final
class _Sums:
    """Loss and metric summed up over minibatches; they stay on the device until they are read."""

    def __init__(self) -> None:
        self.samples = 0
        self.minibatches = 0
        self._values: list[float | torch.Tensor] = [0.0, 0.0]

    def add(self, samples: int, *values: torch.Tensor) -> None:
        """Add a minibatch's sums."""
        self.samples += samples
        self.minibatches += 1
        for i, value in enumerate(values):
            self._values[i] = self._values[i] + value.double()

    def average(self, i: int) -> float:
        """Return the mean over the samples of value i: 0 the loss, 1 the metric."""
        return float(self._values[i]) / self.samples if self.samples else 0.0


@final
class ProgressPrinter:
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
        distributed_freq: Accepted.
        distributed_first: Accepted.
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
        del distributed_freq, distributed_first
        self._freq, self._first, self._tag = freq, first, tag
        self._test_freq, self._test_first = test_freq, test_first
        self._epochs = num_epochs
        self._percent = metric_is_pct
        self._heartbeat = time.monotonic() if gen_heartbeat else None
        self._file: Path | None = None
        _say_build()
        if log_to_file:
            self._redirect(log_to_file, rank)
        if freq == 0:
            for line in _HEADER:
                self._print(line)
        self._epoch, self._since = _Sums(), _Sums()
        self._test, self._test_since = _Sums(), _Sums()
        self._finished = 0
        self._evaluations = 0
        self._started = time.perf_counter()

    def _redirect(self, name: str, rank: int | None) -> None:
        path = name if rank is None else f"{name}rank{rank}"
        print(f"Redirecting log to file {path}")
        self._file = Path(path)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(f"{path}\n")
        for line in (
            "CNTKCommandTrainInfo: train : 7",
            "CNTKCommandTrainInfo: CNTKNoMoreCommands_Total : 7",
            "CNTKCommandTrainBegin: train",
        ):
            self._print(line)

    def _print(self, line: str) -> None:
        if self._file is None:
            print(line)
        else:
            with self._file.open("a") as file:
                file.write(line + "\n")

    def write(self, key: str, value: object) -> None:
        """Print one value under its name."""
        self._print(f"{key}: {value}")

    def log(self, message: str) -> None:
        """Print a line."""
        self._print(message)

    # Training.

    def _trained(
        self, samples: int, loss: torch.Tensor, metric: torch.Tensor | None = None
    ) -> None:
        sums = [loss] if metric is None else [loss, metric]
        self._epoch.add(samples, *sums)
        self._beat()
        if self._freq is None:
            return
        self._since.add(samples, *sums)
        number = self._epoch.minibatches
        if self._freq == 0:
            if number & (number + 1) == 0:
                self._print_row()
        elif number <= self._first or number % self._freq == 0:
            begin = number - self._since.minibatches + 1
            self._print(
                f" Minibatch[{begin:4d}-{number:4d}]: {self._loss_and_metric(self._since)};"
            )
            self._since = _Sums()

    def _print_row(self) -> None:
        columns = [sums.average(i) for i in (0, 1) for sums in (self._epoch, self._since)]
        row = "".join(f"{value:8.3g}   " for value in columns)
        self._print(f" {row} {self._epoch.samples:10d}")
        self._since = _Sums()

    def write_training_summary(self) -> None:
        """Print the epoch's line and begin a new one."""
        now = time.perf_counter()
        elapsed, self._started = now - self._started, now
        self._finished += 1
        sums, self._epoch, self._since = self._epoch, _Sums(), _Sums()
        if self._freq == 0:
            return
        of = f" of {self._epochs}" if self._epochs is not None else ""
        tag = f"[{self._tag}] " if self._tag else ""
        # The rate of an epoch that took no measurable time is that of the shortest measurable one.
        rate = sums.samples / max(elapsed, 1e-9)
        self._print(
            f"Finished Epoch[{self._finished}{of}]: {tag}{self._loss_and_metric(sums)} "
            f"{elapsed:0.3f}s ({rate:5.1f} samples/s);"
        )

    # Tests.

    def _tested(self, samples: int, metric: torch.Tensor) -> None:
        zero = torch.zeros_like(metric)
        self._test.add(samples, zero, metric)
        self._beat()
        if not self._test_freq:
            return
        self._test_since.add(samples, zero, metric)
        number = self._test.minibatches
        if number <= self._test_first or number % self._test_freq == 0:
            begin = number - self._test_since.minibatches + 1
            self._print(
                f" Evaluation Minibatch[{begin:4d}-{number:4d}]: {self._metric(self._test_since)};"
            )
            self._test_since = _Sums()

    def write_test_summary(self) -> None:
        """Print the line of the tests since the last one."""
        self._evaluations += 1
        sums, self._test, self._test_since = self._test, _Sums(), _Sums()
        self._print(
            f"Finished Evaluation [{self._evaluations}]: Minibatch[1-{sums.minibatches}]: "
            f"{self._metric(sums)};"
        )

    # Parts of lines.

    def _loss_and_metric(self, sums: _Sums) -> str:
        return f"loss = {sums.average(0):0.6f} * {sums.samples}, {self._metric(sums)}"

    def _metric(self, sums: _Sums) -> str:
        value = f"{sums.average(1) * 100:0.2f}%" if self._percent else f"{sums.average(1):0.6f}"
        return f"metric = {value} * {sums.samples}"

    def _beat(self) -> None:
        if self._heartbeat is not None and time.monotonic() - self._heartbeat >= _HEARTBEAT:
            self._heartbeat = time.monotonic()
            self._print("PROGRESS: 0.00%")


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
