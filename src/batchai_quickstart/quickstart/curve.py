"""The learning curve of a run, from the lines CNTK's ProgressPrinter writes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_EPOCH = re.compile(
    r"Finished Epoch\[(?P<epoch>\d+)(?: of \d+)?\]: (?:\[[^\]]*\] )?"
    r"loss = (?P<loss>\S+) \* \d+, metric = (?P<metric>\S+)% \* \d+"
)
_FINAL = re.compile(r"Final Results: Minibatch\[1-\d+\]: errs = (?P<errors>\S+)% \* \d+")


@dataclass(frozen=True, slots=True)
class Curve:
    """What a training log says.

    Arguments:
        epochs: epoch numbers, from 1.
        losses: mean training loss of each epoch (cross entropy, nats per sample).
        errors: training error of each epoch in percent.
        test_error: error on the test data in percent; None when the log has no final line.
    """

    epochs: tuple[int, ...]
    losses: tuple[float, ...]
    errors: tuple[float, ...]
    test_error: float | None


def read_curve(lines: Iterable[str]) -> Curve:
    """Read the epoch lines and the final line of a log; other lines are passed over."""
    epochs: list[tuple[int, float, float]] = []
    test_error = None
    for line in lines:
        if match := _EPOCH.search(line):
            epochs.append((int(match["epoch"]), float(match["loss"]), float(match["metric"])))
        elif match := _FINAL.search(line):
            test_error = float(match["errors"])
    numbers, losses, errors = zip(*epochs, strict=True) if epochs else ((), (), ())
    return Curve(tuple(numbers), tuple(losses), tuple(errors), test_error)


def draw(curve: Curve, path: Path) -> None:
    """Draw a curve into a PNG file.

    Raises:
        ModuleNotFoundError: matplotlib is not installed (extra `plot`).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    loss, error = figure.subplots(1, 2)
    loss.plot(curve.epochs, curve.losses, marker="o")
    loss.set(title="Training loss", xlabel="epoch", ylabel="cross entropy (nats per sample)")
    error.plot(curve.epochs, curve.errors, marker="o", label="training")
    if curve.test_error is not None:
        error.axhline(
            curve.test_error,
            color="tab:orange",
            linestyle="--",
            label=f"test, final: {curve.test_error:.2f} %",
        )
    error.set(title="Error", xlabel="epoch", ylabel="wrong digits (%)")
    error.legend()
    for axes in (loss, error):
        axes.set_ylim(bottom=0)
        axes.set_xlim(0.5, max(curve.epochs, default=1) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
