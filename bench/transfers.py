"""The measurements of storage, each made by one adapter in a process of its own.

As in `measures`, every function takes an adapter that is up (see `stores`) and returns lists of
samples by the name of what was measured: bytes, operations or names a second, or MiB.
"""

import os
import tempfile
import time
from pathlib import Path

import processes
from measures import Samples
from stores import Disk, Served

PIECE = 1 << 22


def big(adapter: Served | Disk, megabytes: int) -> Samples:
    """One large file up and down, in one part at a time and in four; what comes is compared."""
    samples: Samples = {}
    client, pids = adapter.client, adapter.service()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        source, target = Path(directory, "source"), Path(directory, "target")
        _write(source, 1_000_000)
        client.up(source, "warm", 1)
        client.down("warm", target, 1)
        idle = sum(map(processes.rss, pids))
        size = 1_000_000 * megabytes
        _write(source, size)
        for parallel in (1, 4):
            target.unlink()
            with Timed(samples, f"up{parallel}", size, pids):
                client.up(source, "big", parallel)
            with Timed(samples, f"down{parallel}", size, pids):
                client.down("big", target, parallel)
            assert _same(source, target), "the content differs"
        if pids:
            samples["growth"] = [sum(map(processes.peak_rss, pids)) - idle]
    return samples


def small(adapter: Served | Disk, count: int) -> Samples:
    """Many small files up and down, eight at once, and their listing."""
    samples: Samples = {}
    client, pids = adapter.client, adapter.service()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        source, target = Path(directory, "source"), Path(directory, "target")
        source.mkdir()
        target.mkdir()
        names = [f"{number:06}" for number in range(count)]
        (source / names[0]).write_bytes(os.urandom(4096))
        client.up_many(source)
        client.down_many(names[:1], target)
        for name in names:
            (source / name).write_bytes(os.urandom(4096))
        with Timed(samples, "up", count, pids):
            client.up_many(source)
        with Timed(samples, "down", count, pids):
            client.down_many(names, target)
        for name in names:
            assert (source / name).read_bytes() == (target / name).read_bytes(), name
        with Timed(samples, "names", count, pids):
            found = client.names()
        assert found == count, found
    return samples


def names(adapter: Served | Disk, count: int, **options: object) -> Samples:
    """The listing of a directory or prefix with many entries."""
    samples: Samples = {}
    adapter.fill(count)
    with Timed(samples, "names", count, adapter.service()):
        found = adapter.client.names(**options)
    assert found == count, found
    return samples


class Timed:
    """Takes the time of its block, and the CPU time that a service spends on it.

    Arguments:
        samples: gets what is done a second under `name`, and under `cpu_` and that name the CPU
            seconds of one.
        name: of the samples.
        count: what is done, in bytes, operations or names.
        pids: the processes of the service; none where there is no service.
    """

    def __init__(self, samples: Samples, name: str, count: int, pids: list[int]) -> None:
        self._samples, self._name, self._count, self._pids = samples, name, count, pids

    def __enter__(self) -> None:
        self._cpu, self._begun = processes.cpu(self._pids), time.perf_counter()

    def __exit__(self, *exception: object) -> None:
        seconds = time.perf_counter() - self._begun
        self._samples[self._name] = [self._count / seconds]
        if self._pids:
            cpu = processes.cpu(self._pids) - self._cpu
            self._samples[f"cpu_{self._name}"] = [cpu / self._count]


def _write(path: Path, size: int) -> None:
    """A file without two equal parts: random bytes, each part with its number before it."""
    noise = os.urandom(PIECE)
    with path.open("wb", buffering=0) as file:
        for offset in range(0, size, PIECE):
            file.write((offset.to_bytes(8, "big") + noise[8:])[: size - offset])


def _same(one: Path, other: Path) -> bool:
    with one.open("rb", buffering=0) as left, other.open("rb", buffering=0) as right:
        while True:
            a, b = left.read(PIECE), right.read(PIECE)
            if a != b:
                return False
            if not a:
                return True
