"""Who waits for which file, and what wakes them.

A reader that has seen all of a growing log waits here until there is more. On Linux the kernel
says so (inotify) within microseconds of the write; elsewhere the files somebody waits for are
looked at every 50 ms. Either way a watch exists only while somebody waits, and an idle service
holds none and runs no timer.
"""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

_LOOK_EVERY = 0.05
"""Seconds between two looks of the portable watcher."""

_SEAL_MEMORY = 60.0
"""Seconds a sealed path is remembered."""

_Wake = Callable[[], None]


class _Watcher(Protocol):
    """Calls back when a file, or the entries of a directory, may have changed."""

    def watch(self, path: str, wake: _Wake) -> Callable[[], None]:
        """Begin; the answer ends it. Raises OSError when `path` cannot be watched."""

    def close(self) -> None: ...


class _Inotify:
    """The kernel's own notification, read by the running event loop."""

    def __init__(self) -> None:
        from inotify_simple import INotify, flags  # type: ignore[import-untyped,unused-ignore]

        self._flags = flags
        self._file_mask = flags.MODIFY | flags.ATTRIB | flags.DELETE_SELF | flags.MOVE_SELF
        # Not MODIFY: a directory's watchers do not care for writes into its files.
        self._directory_mask = (
            flags.CREATE
            | flags.DELETE
            | flags.MOVED_FROM
            | flags.MOVED_TO
            | flags.DELETE_SELF
            | flags.MOVE_SELF
            | flags.ONLYDIR
        )
        self._inotify = INotify(nonblocking=True)
        # By watch descriptor, not by path: two paths of one inode share a descriptor.
        self._wakes: dict[int, list[_Wake]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._inotify.fileno(), self._read)

    def watch(self, path: str, wake: _Wake) -> Callable[[], None]:
        directory = os.path.isdir(path)  # noqa: PTH112
        mask = self._directory_mask if directory else self._file_mask
        descriptor: int = self._inotify.add_watch(path, mask)
        self._wakes.setdefault(descriptor, []).append(wake)

        def end() -> None:
            wakes = self._wakes.get(descriptor)
            if wakes is None:
                return
            wakes.remove(wake)
            if not wakes:
                del self._wakes[descriptor]
                with contextlib.suppress(OSError):  # the file may be gone, its watch with it
                    self._inotify.rm_watch(descriptor)

        return end

    def _read(self) -> None:
        for event in self._inotify.read(timeout=0):
            if event.mask & self._flags.Q_OVERFLOW:
                for wakes in self._wakes.values():
                    _call(wakes)
            elif event.mask & self._flags.IGNORED:
                _call(self._wakes.pop(event.wd, []))
            else:
                _call(self._wakes.get(event.wd, []))

    def close(self) -> None:
        self._loop.remove_reader(self._inotify.fileno())
        self._inotify.close()


class _Looking:
    """The portable watcher: looks at what somebody waits for, and only then."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._watched: dict[str, tuple[object, list[_Wake]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, path: str, wake: _Wake) -> Callable[[], None]:
        if path not in self._watched:
            os.lstat(path)  # the contract: what is not there cannot be watched
            self._watched[path] = (_look(path), [])
        self._watched[path][1].append(wake)
        if self._timer is None:
            self._timer = self._loop.call_later(_LOOK_EVERY, self._round)

        def end() -> None:
            _, wakes = self._watched.get(path, (None, []))
            if wake in wakes:
                wakes.remove(wake)
                if not wakes:
                    del self._watched[path]
            if not self._watched:
                self.close()

        return end

    def _round(self) -> None:
        self._timer = self._loop.call_later(_LOOK_EVERY, self._round)
        for path, (seen, wakes) in list(self._watched.items()):
            now = _look(path)
            if now != seen:
                self._watched[path] = (now, wakes)
                _call(wakes)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _call(wakes: list[_Wake]) -> None:
    for wake in tuple(wakes):
        wake()


def _look(path: str) -> object:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _size(path: str) -> int | None:
    try:
        return Path(path).stat().st_size
    except OSError:
        return None


class Changes:
    """Waiting for files to change: one for a service, used on its event loop.

    Arguments:
        portable: look at files instead of asking the kernel; the default where there is no
            inotify.
    """

    def __init__(self, *, portable: bool = sys.platform != "linux") -> None:
        self._portable = portable
        self._watchers: list[_Watcher] = []
        self._waiting: dict[asyncio.Future[bool], str] = {}
        self._closed = False
        self._sealed: dict[str, float] = {}

    async def wait(
        self,
        path: Path,
        *,
        seen: int,
        timeout: float,
        gone: asyncio.Future[None] | None = None,
    ) -> bool:
        """Return when the file's size differs from what was seen, or when it appears.

        Arguments:
            path: the file, which need not exist.
            seen: the bytes the caller knows; a file that is not there counts as 0 bytes.
            timeout: seconds.
            gone: ends the wait when it is done, for example because the client left.

        Returns:
            Whether the file changed; False after `notify`, `close`, `gone` or the timeout.
        """
        target = os.path.realpath(path)
        absent_at_first = _size(target) is None

        def changed() -> bool:
            size = _size(target)
            if size is None:
                return seen > 0
            return size != seen or absent_at_first

        return await self._until(target, changed, timeout, gone)

    async def wait_directory(
        self, path: Path, timeout: float, *, gone: asyncio.Future[None] | None = None
    ) -> bool:
        """Return when entries of the directory may have come or gone, or when it appears.

        The caller's knowledge must be younger than its last `await`: what changed before the
        call is not noticed.

        Arguments:
            path: the directory, which need not exist.
            timeout: seconds.
            gone: ends the wait when it is done.

        Returns:
            Whether something changed; False after `notify`, `close`, `gone` or the timeout.
        """
        target = os.path.realpath(path)
        before = os.path.isdir(target)  # noqa: PTH112
        looks = 0

        def changed() -> bool:
            # With the directory there, being woken is the change; without it, wait for it.
            nonlocal looks
            looks += 1
            return os.path.isdir(target) != before or (before and looks > 1)  # noqa: PTH112

        return await self._until(target, changed, timeout, gone)

    def notify(self, path: Path) -> None:
        """Wake everyone who waits for the path or anything below it, with False."""
        target = os.path.realpath(path)
        for future, waited in self._waiting.items():
            if not future.done() and (waited == target or waited.startswith(target + "/")):
                future.set_result(False)

    def seal(self, path: Path) -> None:
        """Wake everyone who waits for the path or anything below it: nothing more will come.

        Whoever begins to wait within the next minute is answered at once, too. So a reader who
        asked its writer's state just before the end, and waits just after it, need not wait.
        """
        now = time.monotonic()
        while self._sealed:
            oldest, since = next(iter(self._sealed.items()))
            if now - since < _SEAL_MEMORY:
                break
            del self._sealed[oldest]
        target = os.path.realpath(path)
        self._sealed.pop(target, None)  # the dictionary is in order of time
        self._sealed[target] = now
        self.notify(path)

    def _is_sealed(self, target: str) -> bool:
        while target != "/":
            if target in self._sealed:
                return time.monotonic() - self._sealed[target] < _SEAL_MEMORY
            target = os.path.dirname(target)  # noqa: PTH120
        return False

    def close(self) -> None:
        """Wake everyone with False and watch nothing any more; later waits return at once."""
        self._closed = True
        for future in self._waiting:
            if not future.done():
                future.set_result(False)
        for watcher in self._watchers:
            watcher.close()
        self._watchers.clear()

    async def _until(
        self,
        target: str,
        changed: Callable[[], bool],
        timeout: float,
        gone: asyncio.Future[None] | None,
    ) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while not self._closed and not self._is_sealed(target):
            woken: asyncio.Future[bool] = loop.create_future()
            with self._watching(target, woken):
                # Looked at after the watch began: what comes in between wakes us.
                if changed():
                    return True
                if not await _result(woken, deadline, gone):
                    return False
        return False

    @contextlib.contextmanager
    def _watching(self, target: str, woken: asyncio.Future[bool]) -> Iterator[None]:
        def wake() -> None:
            if not woken.done():
                woken.set_result(True)

        self._waiting[woken] = target
        end = self._watch_nearest(target, wake)
        try:
            yield
        finally:
            del self._waiting[woken]
            if not self._closed:
                end()

    def _watch_nearest(self, path: str, wake: _Wake) -> Callable[[], None]:
        """Watch a path or, while it does not exist, the nearest directory above that does."""
        if not self._watchers:
            self._watchers = [_Looking()] if self._portable else [_Inotify(), _Looking()]
        while True:
            for watcher in self._watchers:
                # The second watcher serves when the kernel's limit of watches is reached.
                with contextlib.suppress(OSError):
                    return watcher.watch(path, wake)
            above = os.path.dirname(path)  # noqa: PTH120
            if above == path:
                return lambda: None
            path = above


async def _result(
    woken: asyncio.Future[bool], deadline: float, gone: asyncio.Future[None] | None
) -> bool:
    """The future's result; False at the deadline, or when the client is gone."""

    def give_up(_: object = None) -> None:
        if not woken.done():
            woken.set_result(False)

    timer = woken.get_loop().call_at(deadline, give_up)
    if gone is not None:
        gone.add_done_callback(give_up)
    try:
        return await woken
    finally:
        timer.cancel()
        if gone is not None:
            gone.remove_done_callback(give_up)
