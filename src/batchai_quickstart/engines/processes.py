"""The machine's process table: who lives, since when, below whom, in which session and run."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import psutil

from batchai_quickstart.engines.base import MARK
from batchai_quickstart.engines.trampoline import Trace

_PROBE_AT_MOST = 64
_KERNEL_THREAD = 0x00200000


@dataclass(frozen=True, slots=True)
class Seen:
    """One living process.

    Arguments:
        pid: its number.
        start: when it started: clock ticks since boot, or seconds since the epoch (see `Table`);
            with the pid it is the process's identity.
        parent: its parent's pid.
        session: its session's number.
        program: changes when it starts another program (exec).
    """

    pid: int
    start: float
    parent: int
    session: int
    program: str


class Table(Protocol):
    """The machine's process table."""

    def now(self) -> float:
        """The present time, on the clock of `Seen.start`."""
        ...

    def wrote(self, seen: Seen, trace: Trace) -> bool:
        """Whether `seen` is the process that wrote `trace`, not a later one of the same pid."""
        ...

    def look(self, pid: int, *, zombies: bool = False) -> Seen | None:
        """The process `pid`; None when there is none, or only a zombie not asked for."""
        ...

    def mark(self, pid: int) -> str | None:
        """The mark of `pid`, "" without one; None while it is between two programs (in exec)."""
        ...

    def newer(self, pid: int) -> Iterable[int]:
        """Pids given out after `pid`, by their order."""
        ...

    def pids(self) -> Iterable[int]:
        """All pids."""
        ...


class ProcTable:
    """The process table of Linux, read from /proc: starts in ticks since boot."""

    def __init__(self) -> None:
        self._ticks = os.sysconf("SC_CLK_TCK")

    def now(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME) * self._ticks

    def wrote(self, seen: Seen, trace: Trace) -> bool:
        return seen.start == trace.start

    def look(self, pid: int, *, zombies: bool = False) -> Seen | None:
        fields = _stat(pid)
        if fields is None or (fields[0] in "ZX" and not zombies):
            return None
        return Seen(pid, int(fields[19]), int(fields[1]), int(fields[3]), fields[23])

    def mark(self, pid: int) -> str | None:
        try:
            text = _read(f"/proc/{pid}/environ")
        except OSError:
            return ""
        if not text:
            fields = _stat(pid)
            if fields is None or fields[0] in "ZX" or int(fields[6]) & _KERNEL_THREAD:
                return ""
            # During exec the new program's environment has no address yet (env_start, env_end).
            return None if fields[47] == fields[48] == "0" else ""
        label = MARK.encode() + b"="
        if text.startswith(label):
            begin = len(label)
        else:
            begin = text.find(b"\0" + label) + 1
            if not begin:
                return ""
            begin += len(label)
        return text[begin : text.find(b"\0", begin)].decode("utf-8", "replace")

    def newer(self, pid: int) -> Iterable[int]:
        with suppress(OSError, ValueError, IndexError):
            last = int(_read("/proc/loadavg").split()[4])
            if pid <= last <= pid + _PROBE_AT_MOST:
                return range(pid + 1, last + 1)
            if last > 0:
                wrapped = last < pid
                return [
                    other
                    for other in self.pids()
                    if (other > pid or other <= last if wrapped else pid < other <= last)
                ]
        return self.pids()

    def pids(self) -> Iterable[int]:
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208


class PortableTable:
    """The process table as psutil shows it: starts in seconds since the epoch."""

    def now(self) -> float:
        return time.time()

    def wrote(self, seen: Seen, trace: Trace) -> bool:
        # It had the pid when it wrote; who has it later started later. Clocks of file systems and
        # of process tables differ by up to a second; no pid comes round in two.
        return seen.start <= trace.written + 2.0

    def look(self, pid: int, *, zombies: bool = False) -> Seen | None:
        try:
            process = psutil.Process(pid)
            if not zombies and process.status() == psutil.STATUS_ZOMBIE:
                return None
            program = process.name()
            return Seen(pid, process.create_time(), process.ppid(), os.getsid(pid), program)
        except (psutil.Error, OSError):
            return None

    def mark(self, pid: int) -> str | None:
        try:
            return psutil.Process(pid).environ().get(MARK, "")
        except (psutil.Error, OSError):
            return ""

    def newer(self, pid: int) -> Iterable[int]:
        return self.pids()

    def pids(self) -> Iterable[int]:
        return psutil.pids()


def table() -> Table:
    """The process table of this machine."""
    return ProcTable() if _stat(os.getpid()) is not None else PortableTable()


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third on (state); None when it cannot be read."""
    try:
        text = _read(f"/proc/{pid}/stat")
    except OSError:  # gone, or hidden from us: then it is not ours
        return None
    return text.rpartition(b")")[2].decode("ascii").split()


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(descriptor, 1 << 17):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)
