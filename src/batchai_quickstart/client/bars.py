"""How far a transfer is: a bar on a terminal or in a notebook, or a call of the user's own."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Progress = bool | Callable[[int, int], object] | None
"""True: a bar; None: a bar on a terminal and in a notebook; False: nothing; or a function that is
called with the bytes done and the bytes in all, by one thread at a time."""
Step = Callable[[int], None]
"""Told how many more bytes have gone; fewer than none when some must go again."""


def is_wanted(progress: Progress) -> bool:
    """Whether anybody would see how far a transfer is."""
    return callable(progress) or (
        progress is not False and _console(forced=progress is True) is not None
    )


@contextmanager
def shown(progress: Progress, what: str, total: int) -> Iterator[Step]:
    """Show how far the block has come, by what it tells.

    Arguments:
        progress: whether and how.
        what: goes before the bar.
        total: bytes in all.
    """
    if callable(progress):
        yield _counted(progress, total)
        return
    console = _console(forced=progress is True) if progress is not False else None
    if console is None:
        yield lambda count: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(what, total=total)
        yield lambda count: bars.advance(task, count)


def _counted(tell: Callable[[int, int], object], total: int) -> Step:
    done = 0
    lock = threading.Lock()

    def step(count: int) -> None:
        nonlocal done
        with lock:
            done += count
            tell(done, total)

    return step


def _console(*, forced: bool) -> Any:
    """Where a bar is drawn, on standard error; None where nobody would see it move."""
    in_notebook = "ipykernel" in sys.modules
    if not forced and not in_notebook and not sys.stderr.isatty():
        return None
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_jupyter and not _has_widgets():
        # rich would print a warning in the place of the bar.
        return None
    return console if forced or console.is_jupyter or console.is_terminal else None


def _has_widgets() -> bool:
    import importlib.util

    return importlib.util.find_spec("ipywidgets") is not None
