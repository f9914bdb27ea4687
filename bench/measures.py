"""The measurements, each made by one adapter in a process of its own (see `probe.py`).

Every function takes an adapter that is up, and returns lists of samples by the name of what was
measured: seconds, bytes a second, jobs a second, MiB, or per cent of a core.
"""

import os
import sys
import tempfile
import threading
import time
import zlib
from collections import deque
from itertools import count
from pathlib import Path

import processes
from adapter import Adapter

Samples = dict[str, list[float]]

MARK = "first-line"


def launch(adapter: Adapter, times: int) -> Samples:
    """Time from the call that submits `echo` to its line, and to the end of the follow."""
    samples: Samples = {"submit": [], "first_line": [], "follow_end": []}
    for number in range(3 + times):
        begun = time.perf_counter()
        job = adapter.submit(["/bin/sh", "-c", f"echo {MARK}"])
        submitted = time.perf_counter()
        text, first = "", 0.0
        for piece in adapter.follow(job):
            text += piece
            if not first and f"{MARK}\n" in text:
                first = time.perf_counter()
        if number >= 3:  # the first ones warm caches up
            samples["submit"].append(submitted - begun)
            samples["first_line"].append(first - begun)
            samples["follow_end"].append(time.perf_counter() - begun)
    return samples


def ended(adapter: Adapter, times: int) -> Samples:
    """Time from what makes a running job end to the return of a wait for its end.

    The job ends when it gets a line from us, through a named pipe: so its end has a known time.
    """
    samples: Samples = {"seen": []}
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        for number in range(2 + times):
            fifo = f"{directory}/{number}"
            os.mkfifo(fifo)
            told: list[float] = []

            def tell(path: str = fifo, told: list[float] = told) -> None:
                with open(path, "wb", buffering=0) as pipe:  # opens when the job has
                    time.sleep(0.05)  # so that the wait below is well under way
                    told.append(time.perf_counter())
                    pipe.write(b"end\n")

            job = adapter.submit(["/bin/sh", "-c", f"read line <{fifo}"])
            teller = threading.Thread(target=tell)
            teller.start()
            status = adapter.wait(job)
            seen = time.perf_counter()
            teller.join()
            assert status == 0, status
            if number >= 2:
                samples["seen"].append(seen - told[0])
    return samples


DRIP = """\
import sys, time
begin = time.monotonic()
for number in range(int(sys.argv[1])):
    time.sleep(max(0.0, begin + number / 100 - time.monotonic()))
    print(f"{number} {time.monotonic():.6f}", flush=True)
"""


def delay(adapter: Adapter, lines: int) -> Samples:
    """Time from the writing of a line to its arrival, at 100 lines a second."""
    delays, rest, expected = [], "", count()
    for piece in adapter.follow(adapter.submit([sys.executable, "-c", DRIP, str(lines)])):
        now = time.monotonic()
        *whole, rest = (rest + piece).split("\n")
        for line in whole:
            number, written = line.split()
            assert int(number) == next(expected), line
            delays.append(now - float(written))
    assert len(delays) == lines, len(delays)
    delays.sort()
    return {
        "p50": [delays[len(delays) // 2]],
        "p99": [delays[int(0.99 * len(delays))]],
        "max": [delays[-1]],
    }


# Lines of 100 bytes, in blocks of 65 kB; the time it began goes elsewhere.
HOSE = """\
import sys, time
out, filler = sys.stdout.buffer, b" " + b"x" * 89 + b"\\n"
with open(sys.argv[2], "w") as begun:
    begun.write(str(time.monotonic()))
lines = int(sys.argv[1])
for block in range(0, lines, 650):
    numbers = range(block, min(lines, block + 650))
    out.write(b"".join([b"%09d" % number + filler for number in numbers]))
"""


def _hose_checksum(lines: int) -> int:
    checksum, filler = 0, b" " + b"x" * 89 + b"\n"
    for block in range(0, lines, 6500):
        numbers = range(block, min(lines, block + 6500))
        checksum = zlib.crc32(b"".join([b"%09d" % number + filler for number in numbers]), checksum)
    return checksum


def hose(adapter: Adapter, megabytes: int) -> Samples:
    """Bytes a second of a log written as fast as a Python can; and the growth of memory.

    The log must come whole and in order: its checksum is compared.
    """
    lines = 10_000 * megabytes
    expected = _hose_checksum(lines)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        stamp = Path(directory, "begun")
        argv = [sys.executable, "-c", HOSE]
        for _ in adapter.follow(adapter.submit([*argv, "50000", str(stamp)])):
            pass  # buffers have their size now
        involved = {"client": [os.getpid()], "service": adapter.service()}
        before = {name: sum(map(processes.peak_rss, pids)) for name, pids in involved.items()}
        checksum = size = 0
        for piece in adapter.follow(adapter.submit([*argv, str(lines), str(stamp)])):
            data = piece.encode()
            checksum = zlib.crc32(data, checksum)
            size += len(data)
            if size >= 100 * lines:
                arrived = time.monotonic()
        whole = checksum == expected and size == 100 * lines
        samples: Samples = {"whole": [float(whole)]}
        if whole:
            samples["rate"] = [size / (arrived - float(stamp.read_text()))]
        for name, pids in involved.items():
            if pids:
                samples[f"{name}_growth"] = [sum(map(processes.peak_rss, pids)) - before[name]]
        return samples


def throughput(adapter: Adapter, jobs: int) -> Samples:
    """Trivial jobs a second, from the first submit to the end of the last one."""
    submit = getattr(adapter, "submit_quiet", adapter.submit)
    argv = ["/bin/sh", "-c", "echo hi"]
    for job in [submit(argv) for _ in range(4)]:
        adapter.wait(job)
    begun = time.perf_counter()
    waiting, done = deque(), []
    for _ in range(jobs):
        if adapter.parallel and len(waiting) >= adapter.parallel:
            done.append((waiting[0], adapter.wait(waiting.popleft())))
        waiting.append(submit(argv))
    submitted = time.perf_counter()
    done += [(job, adapter.wait(job)) for job in waiting]
    seconds = time.perf_counter() - begun
    assert [status for _, status in done] == [0] * jobs
    samples: Samples = {"rate": [jobs / seconds], "submit_rate": [jobs / (submitted - begun)]}
    if adapter.keeps:
        for job, _ in done[::20]:
            assert "hi\n" in "".join(adapter.follow(job))
    return samples


def idle(adapter: Adapter, settle: float, window: float) -> Samples:
    """Memory and CPU of the service when a job has run and nothing goes on."""
    for _ in adapter.follow(adapter.submit(["/bin/sh", "-c", "echo hi"])):
        pass
    time.sleep(settle)
    pids = processes.tree(adapter.service())
    before, begun = processes.cpu(pids), time.monotonic()
    time.sleep(window)
    share = (processes.cpu(pids) - before) / (time.monotonic() - begun)
    return {"pss": [processes.pss(pids)], "cpu": [100 * share], "processes": [len(pids)]}
