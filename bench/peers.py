"""The peers: what one would use instead, and the physical limits (`pipe`, `tail`)."""

import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Self

BLOCK = 1 << 16


def _read(fd: int) -> Iterator[str]:
    while data := os.read(fd, BLOCK):
        yield data.decode()


class Pipe:
    """The limit of a launch: Popen, its output through a pipe, nothing kept."""

    parallel = 2
    keeps = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None: ...

    def submit(self, argv: Sequence[str]) -> subprocess.Popen:
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def follow(self, job: subprocess.Popen) -> Iterator[str]:
        yield from _read(job.stdout.fileno())
        self.wait(job)

    def wait(self, job: subprocess.Popen) -> int:
        status = job.wait()
        job.stdout.close()
        return status

    def service(self) -> list[int]:
        return []


class Tail:
    """The limit of a followed log file: Popen into a file, read by `tail -F` (inotify)."""

    parallel = 2
    keeps = False

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix="bench-tail-"))
        self._numbers = count(1)
        return self

    def __exit__(self, *exception: object) -> None:
        shutil.rmtree(self._directory)

    def submit(self, argv: Sequence[str]) -> tuple[subprocess.Popen, Path]:
        path = self._directory / f"{next(self._numbers)}.log"
        with path.open("wb") as log:
            return subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT), path

    def follow(self, job: tuple[subprocess.Popen, Path]) -> Iterator[str]:
        process, path = job
        # -s: how often tail looks whether the process is there still; lines come by inotify.
        options = ["-c", "+1", "-s", "0.02", f"--pid={process.pid}", "-F", str(path)]
        tail = subprocess.Popen(
            ["tail", *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        reaper = threading.Thread(target=process.wait)  # a zombie still has its pid
        reaper.start()
        with tail:
            yield from _read(tail.stdout.fileno())
        reaper.join()

    def wait(self, job: tuple[subprocess.Popen, Path]) -> int:
        return job[0].wait()

    def service(self) -> list[int]:
        return []


class Submitit:
    """submitit's local executor; it has no follow, so its log file is looked at every 5 ms."""

    parallel = 0
    keeps = True

    def __enter__(self) -> Self:
        import submitit

        self._directory = tempfile.mkdtemp(prefix="bench-submitit-")
        self._executor = submitit.LocalExecutor(folder=self._directory)
        self._executor.update_parameters(timeout_min=30)
        self._command = submitit.helpers.CommandFunction
        return self

    def __exit__(self, *exception: object) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def submit(self, argv: Sequence[str]):
        return self._executor.submit(self._command(list(argv), verbose=True))

    def follow(self, job) -> Iterator[str]:
        path = Path(job.paths.stdout)
        while not path.exists():
            time.sleep(0.005)
        with path.open("rb") as log:
            over = False
            while True:
                if data := log.read(1 << 20):
                    yield data.decode()
                elif over:
                    return
                else:
                    over = job.done()
                    if not over:
                        time.sleep(0.005)

    def wait(self, job) -> int:
        while not job.done():  # result() alone asks once a second
            time.sleep(0.01)
        job.result()
        return 0

    def service(self) -> list[int]:
        return []


class Dask:
    """Dask's LocalCluster, two workers; lines come as events our task sends (it has no log)."""

    parallel = 0
    keeps = False

    def __enter__(self) -> Self:
        from dask.distributed import Client, LocalCluster

        self._cluster = LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        )
        self._client = Client(self._cluster)
        self._numbers = count(1)
        return self

    def __exit__(self, *exception: object) -> None:
        self._client.close()
        self._cluster.close()

    def submit(self, argv: Sequence[str]):
        topic = f"job-{next(self._numbers)}"
        events = queue.SimpleQueue()
        self._client.subscribe_topic(topic, lambda event: events.put(event[1]))
        return self._client.submit(_run_on_dask, list(argv), topic, pure=False), topic, events

    def submit_quiet(self, argv: Sequence[str]):
        """Submit without a way to follow: Dask's best case."""
        return self._client.submit(_run_on_dask, list(argv), None, pure=False), None, None

    def follow(self, job) -> Iterator[str]:
        future, topic, events = job
        yield from iter(events.get, None)
        future.result()
        self._client.unsubscribe_topic(topic)

    def wait(self, job) -> int:
        return job[0].result()

    def service(self) -> list[int]:
        import processes

        return [pid for pid in processes.tree([os.getpid()]) if pid != os.getpid()]


def _run_on_dask(argv: list[str], topic: str | None) -> int:
    import subprocess

    if topic is None:
        return subprocess.run(argv, stdout=subprocess.DEVNULL, check=False).returncode
    from distributed import get_worker

    say = get_worker().log_event
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for line in process.stdout:
        say(topic, line.decode())
    status = process.wait()
    say(topic, None)
    return status


class TorchX:
    """TorchX's local scheduler, followed by its runner."""

    parallel = 64  # its scheduler forgets jobs beyond a hundred
    keeps = False

    def __enter__(self) -> Self:
        import logging

        logging.getLogger("torchx").setLevel(logging.ERROR)
        from torchx import specs
        from torchx.runner import get_runner

        self._specs = specs
        self._directory = tempfile.mkdtemp(prefix="bench-torchx-")
        self._runner = get_runner()
        return self

    def __exit__(self, *exception: object) -> None:
        self._runner.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def submit(self, argv: Sequence[str]):
        role = self._specs.Role(
            name="r", image="", entrypoint=argv[0], args=list(argv[1:]), num_replicas=1
        )
        return self._runner.run(
            self._specs.AppDef(name="j", roles=[role]),
            scheduler="local_cwd",
            cfg={"log_dir": self._directory, "prepend_cwd": False},
        )

    def follow(self, job) -> Iterator[str]:
        return self._runner.log_lines(job, "r", 0, should_tail=True)

    def wait(self, job) -> int:
        state = self._runner.wait(job, wait_interval=0.02).state
        return 0 if state.name == "SUCCEEDED" else 1

    def service(self) -> list[int]:
        return []


class Ray:
    """Ray core on a warm local node: a remote generator runs the command and yields its lines."""

    parallel = 0
    keeps = False

    def __enter__(self) -> Self:
        import logging

        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray

        self._ray = ray
        ray.init(
            address="local",
            _node_ip_address="127.0.0.1",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=200_000_000,
        )
        self._run = ray.remote(num_cpus=0.5, num_returns="streaming")(_run_on_ray)
        return self

    def __exit__(self, *exception: object) -> None:
        self._ray.shutdown()

    def submit(self, argv: Sequence[str]):
        return self._run.remote(list(argv))

    def follow(self, job) -> Iterator[str]:
        for piece in map(self._ray.get, job):
            if isinstance(piece, str):
                yield piece

    def wait(self, job) -> int:
        return [self._ray.get(piece) for piece in job][-1]

    def service(self) -> list[int]:
        import processes

        return [pid for pid in processes.tree([os.getpid()]) if pid != os.getpid()]


def _run_on_ray(argv: list[str]) -> Iterator[str | int]:
    import subprocess

    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for line in process.stdout:
        yield line.decode()
    yield process.wait()
