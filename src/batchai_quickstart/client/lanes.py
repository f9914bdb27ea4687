"""One bound for everything that is on its way at once: files, and the parts of large files."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import final

Job = Callable[[], object]


class StoppedError(Exception):
    """Another transfer of the same call failed; this one is given up."""


@final
class Lanes:
    """Does jobs in parallel, jobs within jobs included, never more than `count` at once.

    Whoever runs jobs does them itself, and takes on helpers while lanes are free: nobody waits
    for a lane, so jobs within jobs cannot wait for each other. A large file that goes last gets
    the lanes of the files that are done.

    Arguments:
        count: how many jobs at once, the caller's own included.
    """

    def __init__(self, count: int) -> None:
        self._free = threading.Semaphore(max(count, 1) - 1)
        self._stopped = threading.Event()

    def run(self, jobs: Iterable[Job], count: int) -> None:
        """Do jobs, and return when all are done.

        Arguments:
            jobs: taken one at a time, in order, under a lock; what they hold is held only while
                they are done.
            count: how many there are.

        Raises:
            Exception: what the first job that failed raised; others were then given up.
        """
        run = _Run(iter(jobs), self._stopped)
        helpers: list[threading.Thread] = []
        while True:
            if len(helpers) < count - run.taken - 1 and self._free.acquire(blocking=False):
                helpers.append(threading.Thread(target=self._help, args=(run,), daemon=True))
                helpers[-1].start()
            if not run.step():
                break
        try:
            for helper in helpers:
                helper.join()
        except BaseException:  # Ctrl-C: nobody may write any more when this is left
            self._stopped.set()
            for helper in helpers:
                helper.join()
            raise
        if run.failures:
            raise run.failures[0]
        if run.is_broken or not run.is_finished:
            raise StoppedError

    def _help(self, run: "_Run") -> None:
        try:
            while run.step():
                pass
        finally:
            self._free.release()


@final
class _Run:
    """The jobs of one call, and what became of them."""

    def __init__(self, jobs: Iterator[Job], stopped: threading.Event) -> None:
        self._jobs = jobs
        self._stopped = stopped
        self._lock = threading.Lock()
        self.taken = 0
        self.is_finished = False
        self.is_broken = False
        self.failures: list[BaseException] = []

    def step(self) -> bool:
        """Do the next job; tell whether there was one."""
        try:
            with self._lock:
                if self.is_finished or self._stopped.is_set():
                    return False
                job = next(self._jobs, None)
                if job is None:
                    self.is_finished = True
                    return False
                self.taken += 1
            job()
        except BaseException as error:  # carried to the thread that waits for it
            if not isinstance(error, StoppedError):
                self.failures.append(error)
            self.is_broken = True
            self._stopped.set()
            return False
        return True
