"""The ConvNet's training by us, by real CNTK 2.7 and by loops written on torch, in one run.

    python bench/convnet.py [--cntk LAUNCHER] [--rounds N] [--minibatches N] [--out FILE]

Each training is a process of its own (`convnet_probe.py`), and all take turns on the same cores.
LAUNCHER is a Python that imports real CNTK 2.7, as `training/tests/real_cntk.py` makes one; without
it the rows that need it are left out. Ours and CNTK's read the text file of 112 MB with their own
readers, the loops on torch have the data in memory. Figures never make it fail; errors do.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import table
from plan import Row

HERE = Path(__file__).parent
CONVERT = HERE.parent / "training" / "mnist" / "convert.py"
LIMIT = 900.0
"""Seconds one training may take."""

ROWS = (
    Row("training", "rate", "samples/s", peer="CNTK 2.7", at_least=3.0, ratio=True),
    Row("training", "rate", "samples/s", peer="torch, best", at_least=1.0, ratio=True),
    Row("training", "rate", "samples/s", peer="torch, channels_last"),
    Row("training", "rate", "samples/s", peer="torch, eager"),
    Row("first minibatch done", "first", "s", peer="CNTK 2.7", at_most=0.5, ratio=True),
    Row("most memory", "peak", "MiB", peer="CNTK 2.7"),
    Row("  beside importing torch", "net", "MiB", peer="CNTK 2.7", at_most=1.0, ratio=True),
    Row("  the import itself", "imported", "MiB", peer="torch, eager"),
)
WAYS = {"torch, best": "best", "torch, channels_last": "channels_last", "torch, eager": "eager"}


def _probe(python: str, way: str, data: Path, count: int) -> dict[str, list[float]]:
    command = [python, str(HERE / "convnet_probe.py"), way, str(data), str(count)]
    result = subprocess.run(
        [*command, repr(time.time())], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    for line in result.stdout.splitlines():
        if line.startswith("SAMPLES "):
            samples = json.loads(line.removeprefix("SAMPLES "))
            # Ours less what `import torch` alone takes; CNTK's whole, as its users had it.
            less = samples["imported"][0] if python == sys.executable else 0.0
            return {**samples, "net": [samples["peak"][0] - less]}
    raise SystemExit(f"{way} by {python} failed:\n{result.stderr[-2000:]}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cntk", help="a Python that imports real CNTK 2.7")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each")
    parser.add_argument("--minibatches", type=int, default=200, help="timed in each turn")
    parser.add_argument("--out", type=Path, help="append every sample to this file, as JSON lines")
    chosen = parser.parse_args()
    trainings = {"ours": (sys.executable, "api")}
    trainings |= {name: (sys.executable, way) for name, way in WAYS.items()}
    if chosen.cntk:
        trainings["CNTK 2.7"] = (chosen.cntk, "api")
    found: dict[str, list[dict[str, list[float]]]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        subprocess.run([sys.executable, CONVERT, folder], check=True, stdout=subprocess.DEVNULL)
        print(f"load before: {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores")
        for turn in range(chosen.rounds):
            for name, (python, way) in trainings.items():
                samples = _probe(python, way, Path(folder), chosen.minibatches)
                found[name].append(samples)
                if chosen.out:
                    with chosen.out.open("a") as file:
                        print(json.dumps({"turn": turn, "by": name, **samples}), file=file)
    print(f"load after: {os.getloadavg()[0]:.2f}\n")
    rows = [table.cells(row, found["ours"], found[row.peer]) for row in ROWS if row.peer in found]
    print("\n".join(table.lines([cells for cells in rows if cells])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
