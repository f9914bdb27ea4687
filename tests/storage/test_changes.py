"""Waiting for files, with the kernel's notification and with the portable way."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from batchai_quickstart.storage import Changes

LONG = 20.0

Scenario = Callable[[Changes], Coroutine[Any, Any, None]]


@pytest.fixture(params=[False, True], ids=["kernel", "portable"])
def run(request: pytest.FixtureRequest) -> Callable[[Scenario], None]:
    """Runs a scenario on a loop of its own with a `Changes` of each sort."""
    if not request.param and sys.platform != "linux":
        pytest.skip("there is no inotify")

    def run(scenario: Scenario) -> None:
        async def main() -> None:
            changes = Changes(portable=request.param)
            try:
                await scenario(changes)
                assert not changes._waiting
            finally:
                changes.close()

        asyncio.run(main())

    return run


async def _after(action: Callable[[], object], waiting: Awaitable[bool]) -> bool:
    """Begin to wait, then act, then say how the wait ended."""
    task = asyncio.ensure_future(waiting)
    await asyncio.sleep(0)
    assert not task.done()
    action()
    return await task


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def test_an_append_wakes(run: Callable[[Scenario], None], tmp_path: Path) -> None:
    """A longer file ends the wait with True; so does one that is longer already."""
    path = tmp_path / "log"
    path.write_bytes(b"1234")

    async def scenario(changes: Changes) -> None:
        assert await _after(lambda: _append(path), changes.wait(path, seen=4, timeout=LONG))
        assert await changes.wait(path, seen=4, timeout=LONG)

    run(scenario)


def test_a_file_appears(run: Callable[[Scenario], None], tmp_path: Path) -> None:
    """A file that does not exist, nor its directories, is waited for until it does."""
    path = tmp_path / "a" / "b" / "log"

    def appear() -> None:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")

    async def scenario(changes: Changes) -> None:
        assert await _after(appear, changes.wait(path, seen=0, timeout=LONG))

    run(scenario)


def test_replacing_and_truncating_wakes(run: Callable[[Scenario], None], tmp_path: Path) -> None:
    """A file that is cut, replaced by a rename, or removed is different from what was seen."""
    path = tmp_path / "log"
    path.write_bytes(b"1234")
    other = tmp_path / "other"
    other.write_bytes(b"123456")

    async def scenario(changes: Changes) -> None:
        cut = changes.wait(path, seen=4, timeout=LONG)
        assert await _after(lambda: os.truncate(path, 1), cut)
        replaced = changes.wait(path, seen=1, timeout=LONG)
        assert await _after(lambda: other.rename(path), replaced)
        assert await _after(path.unlink, changes.wait(path, seen=6, timeout=LONG))

    run(scenario)


def test_notice_wakes_the_path_and_below(run: Callable[[Scenario], None], tmp_path: Path) -> None:
    """`notify` ends waits for the path and what is below it with False, and no others."""
    below, beside = tmp_path / "job" / "log", tmp_path / "job2"

    async def scenario(changes: Changes) -> None:
        other = asyncio.ensure_future(changes.wait(beside, seen=0, timeout=LONG))
        for path in (below, below.parent):
            notice = lambda path=path: changes.notify(path)  # noqa: E731
            assert not await _after(notice, changes.wait(below, seen=0, timeout=LONG))
        assert not other.done()
        changes.close()
        assert not await other

    run(scenario)


def test_time_runs_out(run: Callable[[Scenario], None], tmp_path: Path) -> None:
    """Nothing changes: False after the timeout, for files and directories."""

    async def scenario(changes: Changes) -> None:
        assert not await changes.wait(tmp_path / "x", seen=0, timeout=0.01)
        assert not await changes.wait_directory(tmp_path, 0.01)

    run(scenario)


def test_directories_wake_when_entries_come_and_go(
    run: Callable[[Scenario], None], tmp_path: Path
) -> None:
    """A new or removed entry wakes; a directory that does not exist wakes when it does."""
    path = tmp_path / "out"

    async def scenario(changes: Changes) -> None:
        assert await _after(path.mkdir, changes.wait_directory(path, LONG))
        file = path / "model"
        assert await _after(lambda: file.write_bytes(b"1"), changes.wait_directory(path, LONG))
        assert await _after(file.unlink, changes.wait_directory(path, LONG))
        assert await _after(path.rmdir, changes.wait_directory(path, LONG))

    run(scenario)


def test_a_client_that_is_gone_ends_the_wait(
    run: Callable[[Scenario], None], tmp_path: Path
) -> None:
    """The future `gone` ends a wait with False."""

    async def scenario(changes: Changes) -> None:
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = changes.wait(tmp_path / "x", seen=0, timeout=LONG, gone=gone)
        assert not await _after(lambda: gone.set_result(None), waiting)

    run(scenario)


def test_watches_exist_only_while_somebody_waits(
    run: Callable[[Scenario], None], tmp_path: Path
) -> None:
    """Many waiters of one file all wake, and no watch and no timer is left."""
    path = tmp_path / "log"
    path.write_bytes(b"")

    async def scenario(changes: Changes) -> None:
        waits = [asyncio.ensure_future(changes.wait(path, seen=0, timeout=LONG)) for _ in range(20)]
        await asyncio.sleep(0)
        cancelled = waits.pop()
        cancelled.cancel()
        _append(path)
        assert await asyncio.gather(*waits) == [True] * 19
        for watcher in changes._watchers:
            assert not getattr(watcher, "_wakes", None)
            assert not getattr(watcher, "_watched", None)
            assert getattr(watcher, "_timer", None) is None

    run(scenario)


def test_a_file_reached_by_a_link_is_the_same_file(
    run: Callable[[Scenario], None], tmp_path: Path
) -> None:
    """A reader who waits by the volume's path is woken by a writer who came over a mount link."""
    volume, mount = tmp_path / "volume", tmp_path / "mount"
    volume.mkdir()
    mount.symlink_to(volume)

    async def scenario(changes: Changes) -> None:
        waiting = changes.wait(volume / "log", seen=0, timeout=LONG)
        assert await _after(lambda: _append(mount / "log"), waiting)
        noticed = changes.wait(volume / "other", seen=0, timeout=LONG)
        assert not await _after(lambda: changes.notify(mount), noticed)

    run(scenario)
