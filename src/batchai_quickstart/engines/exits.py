"""Hearing of the end of any process, own child or not: pidfd on Linux, threads elsewhere."""

import asyncio
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

import psutil

_POLL = 0.02


class Exits(Protocol):
    """Calls back, in the event loop, when a process has ended."""

    def watch(self, pid: int, ended: Callable[[], None]) -> Callable[[], None]:
        """Call `ended` once, soon, when `pid` has ended (or is not there); children stay unreaped.

        Returns:
            A function that stops the watch; harmless when it is over.
        """
        ...


def exits() -> Exits:
    """The best way this machine has."""
    if sys.platform == "linux":
        with suppress(OSError):  # an old kernel, or a sandbox that forbids it
            os.close(os.pidfd_open(os.getpid()))
            return PidfdExits()
    return ThreadExits()


class PidfdExits:
    """A descriptor for each process, readable when it has ended: no thread, no polling."""

    def __init__(self) -> None:
        self._without_descriptor = ThreadExits()

    def watch(self, pid: int, ended: Callable[[], None]) -> Callable[[], None]:
        assert sys.platform == "linux"
        loop = asyncio.get_running_loop()
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return loop.call_soon(ended).cancel
        except OSError:  # out of descriptors
            return self._without_descriptor.watch(pid, ended)
        open_ = True

        def stop() -> None:
            nonlocal open_
            if open_:
                open_ = False
                loop.remove_reader(descriptor)
                os.close(descriptor)

        def readable() -> None:
            if open_:
                stop()
                ended()

        loop.add_reader(descriptor, readable)
        return stop


class ThreadExits:
    """A thread for each process that is watched."""

    def watch(self, pid: int, ended: Callable[[], None]) -> Callable[[], None]:
        loop = asyncio.get_running_loop()
        stopped = False

        def stop() -> None:
            nonlocal stopped
            stopped = True

        def report() -> None:
            if not stopped:
                ended()

        def wait() -> None:
            _wait(pid)
            with suppress(RuntimeError):  # the loop is closed: nobody wants to know
                loop.call_soon_threadsafe(report)

        threading.Thread(target=wait, name=f"exit of {pid}", daemon=True).start()
        return stop


def _wait(pid: int) -> None:
    """Block until `pid` has ended; it is not reaped."""
    if sys.platform == "darwin":
        with select.kqueue() as queue, suppress(ProcessLookupError):
            event = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
            queue.control([event], 1)
    else:
        with suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            return
        # Without pidfd nothing announces the end of somebody else's child. (psutil's own wait
        # would wait for a zombie to be reaped, which a container's first process may never do.)
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                time.sleep(_POLL)


async def gone(watcher: Exits, pids: Iterable[int], timeout: float | None) -> None:
    """Wait until all of `pids` have ended, at most `timeout` seconds."""
    left = asyncio.Event()
    count = 0

    def ended() -> None:
        nonlocal count
        count -= 1
        if not count:
            left.set()

    stops: list[Callable[[], None]] = []
    try:
        for pid in pids:
            count += 1
            stops.append(watcher.watch(pid, ended))
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await left.wait()
    finally:
        for stop in stops:
            stop()
