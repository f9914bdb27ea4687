"""Measure us beside our peers in one run: `python bench/run.py [NAME ...]`; see README.md.

Each measurement is a process of its own (`probe.py`), and ours and the peers' take turns, so that
what else the machine does hits all of them. Figures never make it fail; errors do.
"""

import argparse
import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import imports
import table
from plan import BENCHES, IMPORT_ROWS, Bench

HERE = Path(__file__).parent
NAMES = ("import", *BENCHES)
MODULES = {"Dask": "distributed", "Submitit": "submitit", "TorchX": "torchx", "Ray": "ray"}
PROGRAMS = {"Azurite": "azurite-blob"}
LIMIT = 300.0
"""Seconds one measurement may take."""


class Run:
    """One run: counts errors, keeps what was measured.

    Arguments:
        out: file that gets every sample as JSON lines, appended; None: nowhere.
        rounds: rounds of every bench; None: each bench's own number.
    """

    def __init__(self, out: Path | None, rounds: int | None) -> None:
        self.errors = 0
        self._out = out
        self._rounds = rounds

    def keep(self, **record: object) -> None:
        if self._out is not None:
            with self._out.open("a") as file:
                print(json.dumps({"when": _now(), **record}), file=file)

    def bench(self, bench: Bench) -> list[tuple[str, ...]]:
        """Measure, and return the lines of the table."""
        found = defaultdict(list)
        adapters = ["ours", *filter(_is_here, (*bench.peers, *bench.optional))]
        for turn in range(self._rounds or bench.rounds):
            for adapter in adapters:
                _say(f"{bench.measure} {turn + 1}: {adapter}")
                options = bench.options.get(adapter, bench.options.get("", {}))
                load = os.getloadavg()[0]
                samples = self._probe(bench.measure, adapter, options)
                found[adapter].append(samples)
                self.keep(
                    measure=bench.measure, adapter=adapter, turn=turn, load=load, samples=samples
                )
        made = [table.cells(row, found[row.ours], found[row.peer]) for row in bench.rows]
        return [cells for cells in made if cells]

    def _probe(self, measure: str, adapter: str, options: dict) -> dict[str, list[float]]:
        if measure == "cold":
            options = {"begun": time.monotonic()}
        command = [sys.executable, str(HERE / "probe.py"), measure, adapter, json.dumps(options)]
        # A group of its own, which ends with it: no service is left behind, whatever happens.
        probe = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
        )
        try:
            said, problem = probe.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            said, problem = "", f"not done within {LIMIT:g} s"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(probe.pid, signal.SIGKILL)
        for line in said.splitlines():
            if line.startswith("SAMPLES "):
                return json.loads(line.removeprefix("SAMPLES "))
        self.errors += 1
        print(f"\n{measure} by {adapter} failed:\n{problem[-2000:]}", file=sys.stderr)
        return {}

    def imports(self) -> list[tuple[str, ...]]:
        """Measure imports, and return the lines of the table."""
        seconds = defaultdict(list)
        names = [name for name in imports.STATEMENTS if _is_here(name)]
        for turn in range(self._rounds or 3):
            for name in names:
                _say(f"import {turn + 1}: {name}")
                seconds[name].append(imports.seconds(name, 5))
                self.keep(measure="import", adapter=name, turn=turn, samples=seconds[name][-1])
        # The quickest of a round: what is above it was somebody else's.
        quickest = {name: [min(samples) for samples in found] for name, found in seconds.items()}
        net = {
            name: [
                {"net": [max(0.0, seen - nothing)]}
                for seen, nothing in zip(found, quickest["nothing"], strict=True)
            ]
            for name, found in quickest.items()
        }
        made = [table.cells(row, net[row.ours], net.get(row.peer, [])) for row in IMPORT_ROWS]
        loaded = imports.loaded("ours")
        self.keep(measure="loaded", adapter="ours", samples=loaded)
        target = f"none of {', '.join(imports.HEAVY)}"
        verdict = "NO" if set(loaded) & set(imports.HEAVY) else "yes"
        made.append(("  packages it loads", ", ".join(loaded), "", "", "", "", target, verdict))
        return [cells for cells in made if cells]


def _is_here(name: str) -> bool:
    if name in PROGRAMS:
        return shutil.which(PROGRAMS[name]) is not None
    module = MODULES.get(name)
    return module is None or importlib.util.find_spec(module) is not None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _say(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


def _cost_of_a_directory() -> float:
    """Microseconds to make a directory and take it away, where everything is measured."""
    times = []
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        for number in range(200):
            begun = time.perf_counter()
            os.mkdir(f"{directory}/{number}")
            os.rmdir(f"{directory}/{number}")
            times.append(time.perf_counter() - begun)
    return 1e6 * median(times)


def _circumstances() -> dict[str, object]:
    versions = {"python": platform.python_version(), "batchai-quickstart": "checkout"}
    for name in (
        *("batchai-quickstart", "distributed", "submitit", "torchx", "ray", "uvicorn", "uvloop"),
        *("azure-storage-blob", "azure-storage-file-share"),
    ):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    if _is_here("Azurite"):
        said = subprocess.run(["azurite-blob", "--version"], capture_output=True, text=True)
        versions["azurite"] = said.stdout.strip()
    return {
        "date": _now(),
        "system": f"{platform.system()} {platform.release()}, {os.cpu_count()} cores",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "directory": f"{tempfile.gettempdir()}: mkdir + rmdir {_cost_of_a_directory():.0f} us",
        "versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="*", help=f"what to measure: {', '.join(NAMES)}; all")
    parser.add_argument("--rounds", type=int, help="turns of each, for a quicker or surer run")
    parser.add_argument("--directory", type=Path, help="where all files go (a tmpfs, a disk)")
    parser.add_argument("--out", type=Path, help="append every sample to this file, as JSON lines")
    arguments = parser.parse_args()
    names = arguments.name or list(NAMES)
    if unknown := set(names) - set(NAMES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    # Byte code is kept, as users have it; a service configured here is not used.
    for variable in ("PYTHONDONTWRITEBYTECODE", "BATCHAI_ENDPOINT", "BATCHAI_TOKEN"):
        os.environ.pop(variable, None)
    if "storage" in names and not _is_here("Azurite"):
        print("Azurite is left out: no azurite-blob on PATH (`npm install azurite`)")
    where = arguments.directory.resolve() if arguments.directory else None
    with tempfile.TemporaryDirectory(prefix="bench-", dir=where) as directory:
        # One below which everything is, so that nothing stays behind whatever happens.
        os.environ["TMPDIR"] = directory
        tempfile.tempdir = None
        return _run(Run(arguments.out, arguments.rounds), names)


def _run(run: Run, names: list[str]) -> int:
    circumstances = _circumstances()
    run.keep(measure="circumstances", **circumstances)
    rows = []
    for name in names:
        if name == "import":
            rows += run.imports()
        else:
            for bench in BENCHES[name]:
                rows += run.bench(bench)
    _say("")
    for key, value in circumstances.items():
        print(f"{key}: {value}")
    print(f"load after: {os.getloadavg()[0]:.2f}\n")
    print("\n".join(table.lines(rows)))
    return 1 if run.errors else 0


if __name__ == "__main__":
    sys.exit(main())
