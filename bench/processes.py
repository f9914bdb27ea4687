"""Processes as /proc shows them: trees, memory, CPU time."""

from contextlib import suppress
from pathlib import Path


def _parents() -> dict[int, int]:
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            parents[int(path.parent.name)] = int(fields[1])
    return parents


def tree(roots: list[int]) -> list[int]:
    """The processes `roots` and all below them."""
    parents, found = _parents(), set(roots)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def _kib(path: str, name: str) -> int:
    for line in Path(path).read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


def pss(pids: list[int]) -> float:
    """Memory in MiB; what is shared counts in parts."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += _kib(f"/proc/{pid}/smaps_rollup", "Pss")
    return total / 1024


def rss(pid: int) -> float:
    """Memory now, in MiB."""
    return _kib(f"/proc/{pid}/status", "VmRSS") / 1024


def peak_rss(pid: int) -> float:
    """The most memory it ever had, in MiB."""
    return _kib(f"/proc/{pid}/status", "VmHWM") / 1024


def cpu(pids: list[int]) -> float:
    """CPU seconds used by all their threads so far, to the nanosecond."""
    total = 0
    for pid in pids:
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with suppress(OSError):
                total += int(path.read_text().split()[0])
    return total / 1e9
