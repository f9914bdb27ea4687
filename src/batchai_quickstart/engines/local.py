"""The machine the service runs on: a node is a directory, a command a session of processes."""

import asyncio
import os
import re
import threading
import time
import zlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from batchai_quickstart.engines import gpus, tree
from batchai_quickstart.engines.base import MARK, Launch, Node, Process
from batchai_quickstart.engines.exits import Exits, exits
from batchai_quickstart.engines.inherited import inherited
from batchai_quickstart.engines.processes import Table, table
from batchai_quickstart.engines.removal import remove_tree
from batchai_quickstart.engines.trampoline import boot_id, claim, read_status, read_trace, spawn
from batchai_quickstart.engines.tree import Root

_NODE_NAME = re.compile(r"tvm-\d+_(\d+)-\d{8}t\d{6}z").fullmatch
VANISHED = -1
"""The status of a command that left none."""


@dataclass(frozen=True, slots=True)
class Machine:
    """How processes of this machine are watched and found."""

    exits: Exits
    table: Table


class LocalEngine:
    """Nodes on this machine.

    Arguments:
        machine: how processes are watched; the best this machine has by default.
        environ: the environment nodes inherit from; this process's by default.
    """

    def __init__(
        self, machine: Machine | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._machine = machine or Machine(exits(), table())
        self._environ = environ

    @cached_property
    def _gpus(self) -> tuple[int, ...]:
        return gpus.gpus(self._environ)

    def gpus(self) -> tuple[int, ...]:
        return self._gpus

    def pool(self, name: str, root: Path, size: int) -> "LocalPool":
        return LocalPool(name, root, size, self._machine, inherited(self._environ))


def engine() -> LocalEngine:
    """The engine, as `engines.load` makes it."""
    return LocalEngine()


class LocalPool:
    """The nodes of one cluster: directories below `root`, found again by the next service.

    Arguments:
        name: the cluster; with `root` it makes node ids unique on the service.
        root: directory of the nodes, created when missing.
        size: how many nodes there shall be at least.
        machine: how processes are watched.
        environ: what commands inherit.
    """

    def __init__(
        self, name: str, root: Path, size: int, machine: Machine, environ: Mapping[str, str]
    ) -> None:
        self._number = zlib.crc32(f"{name} {root}".encode())  # names repeat in workspaces
        self._root = root
        self._machine = machine
        self._environ = environ
        root.mkdir(parents=True, exist_ok=True)
        self._next = 1
        found: list[tuple[int, str]] = []
        for path in root.iterdir():
            if match := _NODE_NAME(path.name):
                found.append((int(match[1]), path.name))
                self._next = max(self._next, int(match[1]) + 1)
        self._nodes = tuple(Node(node, "127.0.0.1", root / node) for _, node in sorted(found))
        if size > len(self._nodes):
            self.resize(size)

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self._nodes

    def resize(self, size: int, *, keep: Collection[str] = ()) -> None:
        nodes = list(self._nodes)
        while len(nodes) < size:
            stamp = datetime.now(UTC).strftime("%Y%m%dt%H%M%Sz")
            node_id = f"tvm-{self._number}_{self._next}-{stamp}"
            self._next += 1
            (self._root / node_id).mkdir()
            nodes.append(Node(node_id, "127.0.0.1", self._root / node_id))
        if excess := len(nodes) - size:
            spare = [node for node in nodes if node.id not in keep]
            kept = [node for node in nodes if node.id in keep]
            for node in (kept + spare)[-excess:]:
                nodes.remove(node)
                remove_tree(str(node.root))
        self._nodes = tuple(nodes)

    def start(
        self, node: Node, command: Launch, directory: Path, env: Mapping[str, str]
    ) -> "LocalProcess":
        # All nodes are this machine; only directories tell them apart, and those are in the plan.
        del node
        environ = {**self._environ, **dict(command.env), **env}
        record = f"{directory}/{command.name}"
        pid = spawn(command, record, environ)
        process = LocalProcess(command.name, record, environ.get(MARK), pid, self._machine)
        process.watch()
        return process

    def adopt(self, command_name: str, directory: Path) -> "LocalProcess | None":
        record = f"{directory}/{command_name}"
        if claim(record):
            return None
        trace = read_trace(record)
        assert trace is not None  # claim() looked
        process = LocalProcess(
            command_name, record, trace.mark or None, trace.pid, self._machine, time.time()
        )
        look, wrote = self._machine.table.look, self._machine.table.wrote
        seen = look(trace.pid, zombies=True) if trace.boot == boot_id() else None
        if seen is not None and wrote(seen, trace):
            if look(trace.pid) is None:
                process.exited()
            else:
                process.watch()
        else:
            # When it ended is not known, so what is in its session now may be a stranger's: only
            # what was there from the first is its own; the mark finds the others.
            # Of another boot nothing is left, and its session's number may be anybody's by now.
            ended = float(trace.start or 0) if trace.boot == boot_id() else 0.0
            process.settle(read_status(record), ended=ended)
        return process

    async def clear(self, processes: Sequence[Process], *, grace: float = 2.0) -> int:
        ours = [process for process in processes if isinstance(process, LocalProcess)]
        if not ours:
            return 0
        roots = [process.root() for process in ours]
        count = await tree.end(roots, self._machine.table, self._machine.exits, grace)
        for process in ours:
            await process.wait()
        return count

    def close(self) -> None:
        self.resize(0)
        with suppress(OSError):
            self._root.rmdir()


class LocalProcess:
    """A command under its sh.

    Arguments:
        name: the command's name.
        record: path of its records, without suffix.
        mark: the run's mark in its environment.
        pid: its sh.
        machine: how to watch it.
        age: seconds it may have run already.
    """

    def __init__(
        self,
        name: str,
        record: str,
        mark: str | None,
        pid: int,
        machine: Machine,
        age: float = 0.0,
    ) -> None:
        self.name = name
        self.pid = pid
        self._record = record
        self._mark = mark
        self._machine = machine
        self._began = time.monotonic() - age
        self._ended: float | None = None
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._stop_watching = _nothing

    @property
    def status(self) -> int | None:
        """The exit status, once it has ended."""
        known = self._status.done() and not self._status.cancelled()
        return self._status.result() if known else None

    def watch(self) -> None:
        """Hear of its end from now on."""
        self._stop_watching = self._machine.exits.watch(self.pid, self.exited)

    def settle(self, status: int | None, *, ended: float) -> None:
        """It has ended at `ended` (on the table's clock), with `status` if it left one."""
        if not self._status.done():
            self._ended = ended
            self._status.set_result(VANISHED if status is None else status)

    def exited(self) -> None:
        """It has just ended, or is a zombie: collect its status, and itself when it is ours."""
        self.settle(self._reap(), ended=self._machine.table.now())

    def _reap(self) -> int | None:
        with suppress(ChildProcessError):  # started by an earlier service
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
        return read_status(self._record)

    async def wait(self) -> int:
        return await asyncio.shield(self._status)

    async def terminate(self, grace: float = 2.0) -> None:
        await tree.end([self.root()], self._machine.table, self._machine.exits, grace)
        await self.wait()

    def detach(self) -> None:
        if self._status.done():
            return
        self._stop_watching()
        self._status.cancel()
        # This process may live on for long (a service embedded in a program): no zombie in it.
        threading.Thread(target=_reap_later, args=(self.pid,), daemon=True).start()

    def root(self) -> Root:
        """Where the search for its processes begins."""
        return Root(self.pid, time.monotonic() - self._began, self._ended, self._mark)


def _reap_later(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _nothing() -> None:
    """Nothing is watched yet."""
