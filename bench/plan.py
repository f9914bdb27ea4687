"""What is measured beside what, how often, and what it shall reach.

Targets are those of the project; where `ratio` is given they are meant against a peer of the
same run, else in the unit of the row. Rows without a target are there to compare.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
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
        measure: name of the function in `measures`, or `cold`; `blob.NAME` and `file.NAME` for
            one of `transfers`.
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

GB, OPS, NAMES = 1e9, "op/s", "names/s"


def _beside(row: Row, **least: float | None) -> tuple[Row, ...]:
    """A row for each peer, with what the ratio to it shall be at least; None: it is shown."""
    return tuple(
        replace(row, peer=peer, at_least=ratio, ratio=ratio is not None)
        for peer, ratio in least.items()
    )


def _storage(kind: str, peers: tuple[str, ...]) -> tuple[Bench, ...]:
    """The measurements of Blob or of Files; what is compared with Azurite is left out for Files."""
    title = "Blob" if kind == "blob" else "Files"
    sdk = ("SDK", "Ceiling by SDK")

    def of(what: str, sample: str, unit: str, scale: float = ONE, ours: str = "ours") -> Row:
        return Row(f"{title}: {what}", sample, unit, scale, ours=ours)

    def cpu(sample: str, unit: str, scale: float) -> Row:
        return Row("  CPU of the service", f"cpu_{sample}", unit, scale, "Ceiling")

    large: list[Row] = []
    for sample, what, azurite, ceiling in (
        ("up1", "1 GB up", 2, 0.8),
        ("down1", "1 GB down", None, 0.9),
        ("up4", "1 GB up, 4 at once", 3, 0.7),
        ("down4", "1 GB down, 4 at once", None, 0.9),
    ):
        row = of(what, sample, "MB/s", MBS)
        large += [*_beside(row, Ceiling=ceiling, Azurite=azurite, Disk=None)]
        large += [cpu(sample, "s/GB", GB)]
        row = of(f"{what}, SDK", sample, "MB/s", MBS, ours="SDK")
        large += [*_beside(row, **{"Ceiling by SDK": 0.7, "ours": None})]
    memory = of("growth of the service", "growth", "MiB")
    large += [
        replace(memory, at_most=32, statistic=max, peer="Azurite" if "Azurite" in peers else ""),
        replace(memory, at_most=32, statistic=max, ours="SDK", what=f"{memory.what}, SDK"),
    ]
    small: list[Row] = []
    for sample, what, unit in (
        ("up", "2,000 x 4 KB up", OPS),
        ("down", "2,000 x 4 KB down", OPS),
        ("names", "2,000 listed", NAMES),
    ):
        least = 0.8 if sample == "names" else 0.9
        small += [*_beside(of(what, sample, unit), Ceiling=least, Azurite=None, Disk=None)]
        small += [cpu(sample, "ms" if unit == OPS else "us", MS if unit == OPS else 1e6)]
        row = of(f"{what}, SDK", sample, unit, ours="SDK")
        small += [*_beside(row, **{"Ceiling by SDK": 0.5, "ours": None})]
    count = {"count": 100_000}
    facts = {"include": ["timestamps", "Etag", "Attributes", "PermissionKey"]}
    many = of("100,000 listed", "names", NAMES)
    listed = [
        *_beside(many, Ceiling=0.8, Azurite=None, Disk=None),
        cpu("names", "us", 1e6),
        *_beside(replace(many, what=f"{many.what}, SDK", ours="SDK"), **{"Ceiling by SDK": 0.5}),
    ]
    benches = [
        Bench(f"{kind}.big", {"": {"megabytes": 1000}}, (*peers, *sdk), tuple(large), optional=()),
        Bench(f"{kind}.small", {"": {"count": 2000}}, (*peers, *sdk), tuple(small), optional=()),
        Bench(
            f"{kind}.names",
            {"": count, "Azurite": {"count": 10_000}},
            (*peers, *sdk),
            tuple(listed),
            rounds=2,
            optional=(),
        ),
    ]
    if kind == "file":
        row = replace(many, what=f"{many.what} with all facts")
        rows = (*_beside(row, Ceiling=0.8), cpu("names", "us", 1e6))
        benches.append(
            Bench("file.names", {"": count | facts}, ("Ceiling",), rows, rounds=2, optional=())
        )
    return tuple(benches)


BENCHES["storage"] = (
    *_storage("blob", ("Ceiling", "Azurite", "Disk")),
    *_storage("file", ("Ceiling", "Disk")),
)

NET = "import, net"

IMPORT_ROWS = (
    Row(NET, "net", "ms", MS, "azure.mgmt.batchai", at_most=150),
    Row(NET, "net", "ms", MS, "Submitit"),
    Row(NET, "net", "ms", MS, "Dask"),
    Row(NET, "net", "ms", MS, "TorchX"),
    Row(NET, "net", "ms", MS, "Ray"),
    Row("  every public name of it", "net", "ms", MS, "azure.mgmt.batchai", ours="every name"),
)
