"""What an engine is: nodes, and processes on them that outlive whoever started them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MARK = "AZ_BATCHAI_RUN_ID"
"""The environment variable that marks every process of a run, wherever it wandered off to."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a cluster.

    Arguments:
        id: the node's id, unique on the service.
        address: where the job's other nodes reach it.
        root: its own directory, removed with it.
    """

    id: str
    address: str
    root: Path


class Launch(Protocol):
    """One process to start, as plans describe it (see `execution.plan.Command`)."""

    @property
    def name(self) -> str: ...
    @property
    def argv(self) -> tuple[str, ...]: ...
    @property
    def env(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def cwd(self) -> str: ...
    @property
    def stdout(self) -> str: ...
    @property
    def stderr(self) -> str: ...


class Process(Protocol):
    """One command that was started, seen from the service."""

    @property
    def name(self) -> str: ...

    @property
    def status(self) -> int | None:
        """What `wait` returns, or None while the end is not known."""
        ...

    async def wait(self) -> int:
        """Wait for the command's end.

        Returns:
            The exit status; 128 + N when signal N killed it; -1 when it vanished without leaving
            a status (the machine went down, or its supervisor was killed).
        """
        ...

    async def terminate(self, grace: float = 2.0) -> None:
        """End the command and everything it started; return when all of it is gone.

        Processes that left its session are found as well, by its run's mark; so other commands
        of the same run on the same engine are ended too.

        Arguments:
            grace: seconds between SIGTERM and SIGKILL.
        """
        ...

    def detach(self) -> None:
        """Stop watching; the command goes on, and can be adopted. `wait` raises CancelledError."""
        ...


class Pool(Protocol):
    """The nodes of one cluster."""

    @property
    def nodes(self) -> tuple[Node, ...]: ...

    def resize(self, size: int, *, keep: Collection[str] = ()) -> None:
        """Have `size` nodes: add new ones, or remove the youngest.

        Arguments:
            size: how many nodes there shall be.
            keep: ids of nodes to remove only when no others are left.
        """
        ...

    def start(
        self, node: Node, command: Launch, directory: Path, env: Mapping[str, str]
    ) -> Process:
        """Start `command` on `node`; returns at once.

        Arguments:
            node: one of `nodes`.
            command: what to start; its environment is the node's own, then `command.env`, then
                `env`. A command whose environment has MARK is found by it later.
            directory: existing directory that keeps the command's records; one command of a name
                is ever started in one directory.
            env: further variables (secrets), which are not written anywhere.

        Raises:
            ServiceError: nothing was started; the message says why.
        """
        ...

    def adopt(self, command_name: str, directory: Path) -> Process | None:
        """Watch again a command that an earlier service started in `directory`.

        Returns:
            The process, running or ended; None when it never started, and from then on never
            will.
        """
        ...

    async def clear(self, processes: Sequence[Process], *, grace: float = 2.0) -> int:
        """End what still runs of `processes` and of their runs; return when all of it is gone.

        Returns:
            How many operating-system processes had to be ended.
        """
        ...

    def close(self) -> None:
        """Remove the nodes and their directories."""
        ...


class Engine(Protocol):
    """A kind of machine."""

    def gpus(self) -> tuple[int, ...]:
        """Physical indices of the GPUs that may be handed out; () without any."""
        ...

    def pool(self, name: str, root: Path, size: int) -> Pool:
        """The nodes of cluster `name` below `root`: those found there, and at least `size`."""
        ...
