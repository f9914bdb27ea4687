"""The engines under contract, and commands to start on them."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from batchai_quickstart.engines.base import Engine
from batchai_quickstart.engines.exits import ThreadExits
from batchai_quickstart.engines.local import LocalEngine, Machine
from batchai_quickstart.engines.processes import PortableTable
from batchai_quickstart.execution.plan import Command

if sys.platform == "win32":
    collect_ignore_glob = ["test_*"]

ENGINES: dict[str, Callable[[], Engine]] = {
    "local": LocalEngine,
    "local, portable": lambda: LocalEngine(Machine(ThreadExits(), PortableTable())),
}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn."""
    return ENGINES[request.param]()


class Bench:
    """A place to start commands in: names files, makes commands, looks at processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stdout = path / "stdout.txt"
        self.stderr = path / "stderr.txt"
        self.records = path / "records"
        self.records.mkdir()

    def command(self, *argv: str, name: str = "main", run: str = "run-1", **env: str) -> Command:
        """A command with its output in `stdout` and `stderr`."""
        return Command(
            name=name,
            node=0,
            argv=argv,
            env=tuple({"AZ_BATCHAI_RUN_ID": run, **env}.items()),
            cwd=str(self.path),
            stdout=str(self.stdout),
            stderr=str(self.stderr),
        )

    def shell(self, script: str, name: str = "main", run: str = "run-1", **env: str) -> Command:
        """A command that runs a script of sh."""
        return self.command("/bin/sh", "-c", script, name=name, run=run, **env)

    def fifo(self, name: str = "ready") -> Path:
        """A named pipe: reading it waits until a command has written into it."""
        path = self.path / name
        os.mkfifo(path)
        return path


def lives(pid: int) -> bool:
    """Whether `pid` runs (a zombie does not)."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A place to start commands in."""
    return Bench(tmp_path)
