"""A small cluster to run plans on."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from batchai_quickstart.engines import load
from batchai_quickstart.engines.base import Pool
from batchai_quickstart.execution.plan import Command, JobPlan, Link, TextFile

if sys.platform == "win32":
    collect_ignore_glob = ["test_*"]

RUN = "0a1b2c3d-run"


class Site:
    """A share, run directories, and plans of shell scripts that use them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.share = path / "share"
        self.share.mkdir(exist_ok=True)
        self.mount = path / "mounts" / "logs"
        self.stdouterr = self.share / "job" / "stdouterr"
        self.directory = path / "runs" / RUN

    def pool(self, size: int = 1) -> Pool:
        """A pool of `size` nodes on the local engine."""
        return load("local").pool("cluster", self.path / "nodes", size)

    def plan(
        self,
        *main: str,
        preparation: Sequence[str] = (),
        wall_clock: float = 1000.0,
        secrets: tuple[str, ...] = (),
    ) -> JobPlan:
        """A plan that runs scripts of sh, one a node."""
        stdouterr = f"{self.mount}/job/stdouterr"
        plan = JobPlan(
            run=RUN,
            job="/subscriptions/s/jobs/job",
            scratch=(f"{self.path}/scratch", f"{self.path}/scratch/work"),
            links=(Link(str(self.mount), str(self.share), "AZFMountError"),),
            directories=(stdouterr, f"{self.mount}/job/outputs/model"),
            files=(TextFile(f"{self.path}/scratch/hostfile", "127.0.0.1 slots=1\n"),),
            preparation=(),
            main=(),
            log=f"{stdouterr}/execution.log",
            wall_clock=wall_clock,
            secrets=secrets,
        )
        return replace(
            plan,
            preparation=self._commands("prep", preparation),
            main=self._commands("main", main),
        )

    def _commands(self, stem: str, scripts: Sequence[str]) -> tuple[Command, ...]:
        return tuple(
            Command(
                name=f"{stem}-{node}",
                node=node,
                argv=("/bin/sh", "-c", script),
                env=(("HERE", str(self.path)),),
                cwd=f"{self.path}/scratch/work",
                stdout=f"{self.mount}/job/stdouterr/stdout-{stem}-{node}.txt",
                stderr=f"{self.mount}/job/stdouterr/stderr-{stem}-{node}.txt",
            )
            for node, script in enumerate(scripts)
        )

    def fifo(self, name: str) -> Path:
        """A named pipe `$HERE/name`: reading it waits until a command has written into it."""
        path = self.path / name
        os.mkfifo(path)
        return path

    def log(self) -> str:
        """What execution.log says."""
        return (self.stdouterr / "execution.log").read_text()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A share, run directories, and plans of shell scripts that use them."""
    return Site(tmp_path)
