"""What is measured beside what, how often, and what it shall reach.

Targets are those of the project; where `ratio` is given they are meant against a peer of the
same run, else in the unit of the row. Rows without a target are there to compare.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

MS, MBS, ONE = 1e3, 1e-6, 1.0


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Arguments:
        what: what the line says.
        sample: the samples it is made of.
        unit: unit of the figures shown.
        scale: the factor from samples to that unit.
        peer: whom we are compared with; "" for nobody.
        at_most, at_least: the target; of the ratio if `ratio`, else of our figure.
        ratio: the target is one of ours / peer's.
        statistic: makes one figure of the samples of all rounds.
        ours: whose samples are ours, where there is more than one way.
    """

    what: str
    sample: str
    unit: str
    scale: float = ONE
    peer: str = ""
    at_most: float | None = None
    at_least: float | None = None
    ratio: bool = False
    statistic: Callable[[list[float]], float] = median
    ours: str = "ours"


@dataclass(frozen=True)
class Bench:
    """One measurement: its adapters take turns, `rounds` times.

    Arguments:
        measure: name of the function in `measures`, or `cold`.
        options: its arguments, by adapter; "" for those not named.
        peers: adapters beside ours.
        rows: what is shown.
        rounds: turns of each adapter.
    """

    measure: str
    options: dict[str, dict[str, Any]]
    peers: tuple[str, ...]
    rows: tuple[Row, ...]
    rounds: int = 3
    optional: tuple[str, ...] = field(default=("TorchX", "Ray"))


def _spread(samples: list[float]) -> float:
    return max(samples) / median(samples)


FIRST = "submit -> first line"
DONE = "200 trivial jobs"

BENCHES: dict[str, tuple[Bench, ...]] = {
    "launch": (
        Bench(
            "launch",
            {"": {"times": 15}, "Submitit": {"times": 4}, "TorchX": {"times": 5}},
            ("Pipe", "Tail", "Dask", "Submitit"),
            (
                Row(FIRST, "first_line", "ms", MS, "Pipe", at_most=8, ratio=True),
                Row(FIRST, "first_line", "ms", MS, "Dask", at_most=1, ratio=True),
                Row(FIRST, "first_line", "ms", MS, "Tail"),
                Row(FIRST, "first_line", "ms", MS, "Submitit"),
                Row(FIRST, "first_line", "ms", MS, "TorchX"),
                Row(FIRST, "first_line", "ms", MS, "Ray"),
                Row("  the longest / the median", "first_line", "", at_most=5, statistic=_spread),
                Row("submit -> return", "submit", "ms", MS),
                Row("submit -> end of the follow", "follow_end", "ms", MS, "Dask"),
            ),
        ),
        Bench(
            "ended",
            {"": {"times": 12}, "Submitit": {"times": 3}, "TorchX": {"times": 3}},
            ("Pipe", "Dask", "Submitit"),
            (
                Row("end of a job -> seen", "seen", "ms", MS, "Pipe", at_most=10),
                Row("end of a job -> seen", "seen", "ms", MS, "Dask"),
                Row("end of a job -> seen", "seen", "ms", MS, "Submitit"),
            ),
        ),
    ),
    "logs": (
        Bench(
            "delay",
            {"": {"lines": 400}},
            ("Tail",),
            (
                Row("delay of a line, median", "p50", "ms", MS, "Tail", at_most=8, ratio=True),
                Row("delay of a line, p99", "p99", "ms", MS, "Tail", at_most=20, ratio=True),
                Row("delay of a line, longest", "max", "ms", MS, "Tail"),
            ),
            optional=(),
        ),
        Bench(
            "hose",
            {"": {"megabytes": 200}},
            ("Tail",),
            (
                Row("200 MB log", "rate", "MB/s", MBS, "Tail", at_least=0.5, ratio=True),
                Row("  whole and in order", "whole", "", at_least=1, statistic=min),
                Row("  growth of the client", "client_growth", "MiB", at_most=16, statistic=max),
                Row("  growth of the service", "service_growth", "MiB", at_most=16, statistic=max),
            ),
            optional=(),
        ),
    ),
    "throughput": (
        Bench(
            "throughput",
            {"": {"jobs": 200}, "Submitit": {"jobs": 12}, "Ray": {"jobs": 50}},
            ("Pipe", "Dask", "Submitit"),
            (
                Row(DONE, "rate", "jobs/s", peer="Dask", at_least=150),
                Row(DONE, "rate", "jobs/s", peer="Pipe"),
                Row(DONE, "rate", "jobs/s", peer="Submitit"),
                Row(DONE, "rate", "jobs/s", peer="TorchX"),
                Row(DONE, "rate", "jobs/s", peer="Ray"),
                Row("  submits alone", "submit_rate", "jobs/s", peer="Submitit"),
            ),
        ),
    ),
    "idle": (
        Bench(
            "idle",
            {"": {"settle": 4, "window": 20}},
            ("Dask",),
            (
                Row("idle service, memory (PSS)", "pss", "MiB", peer="Dask", at_most=60),
                Row("idle service, CPU", "cpu", "% of a core", peer="Dask", at_most=0.1),
                Row("idle service, memory (PSS)", "pss", "MiB", peer="Ray"),
                Row("idle service, CPU", "cpu", "% of a core", peer="Ray"),
            ),
            rounds=1,
            optional=("Ray",),
        ),
    ),
    "cold": (
        Bench(
            "cold",
            {},
            ("Dask", "Submitit", "Pipe"),
            (
                Row("cold: import, service, first line", "total", "s", peer="Dask", at_most=1),
                Row("cold: import, service, first line", "total", "s", peer="Submitit"),
                Row("cold: import, service, first line", "total", "s", peer="Pipe"),
                Row("cold: import, service, first line", "total", "s", peer="TorchX"),
                Row("cold: import, service, first line", "total", "s", peer="Ray"),
                Row("  of it: import, service, connection", "service", "s"),
                Row("  of it: job", "job", "s"),
            ),
            rounds=5,
        ),
    ),
}

NET = "import, net"

IMPORT_ROWS = (
    Row(NET, "net", "ms", MS, "azure.mgmt.batchai", at_most=150),
    Row(NET, "net", "ms", MS, "Submitit"),
    Row(NET, "net", "ms", MS, "Dask"),
    Row(NET, "net", "ms", MS, "TorchX"),
    Row(NET, "net", "ms", MS, "Ray"),
    Row("  every public name of it", "net", "ms", MS, "azure.mgmt.batchai", ours="every name"),
)
