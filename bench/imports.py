"""What an import costs: fresh interpreters, less one that imports nothing; and what it loads."""

import subprocess
import sys
import time

STATEMENTS = {
    "nothing": "pass",
    "ours": "import batchai_quickstart",
    "every name": "from batchai_quickstart import *",
    "azure.mgmt.batchai": "import azure.mgmt.batchai",
    "Submitit": "import submitit",
    "Dask": "import dask.distributed",
    "TorchX": "import torchx.runner",
    "Ray": "import ray",
}

HEAVY = ("torch", "starlette", "uvicorn", "azure")
"""What no script shall pay for before it needs it."""

_LOADED = """\
import sys
before = set(sys.modules)
{statement}
for path in sorted({{name.split('.')[0] for name in set(sys.modules) - before}}):
    if path not in sys.stdlib_module_names:
        print(path)
"""


def seconds(name: str, times: int) -> list[float]:
    """Wall time of fresh interpreters that run a statement, start and end included."""
    command = [sys.executable, "-c", STATEMENTS[name]]
    subprocess.run(command, check=True)  # caches: byte code, pages
    samples = []
    for _ in range(times):
        begun = time.perf_counter()
        subprocess.run(command, check=True)
        samples.append(time.perf_counter() - begun)
    return samples


def loaded(name: str) -> list[str]:
    """The packages beside the standard library that a statement loads."""
    program = _LOADED.format(statement=STATEMENTS[name])
    result = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return result.stdout.split()
