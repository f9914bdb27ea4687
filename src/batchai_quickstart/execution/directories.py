"""A run's directories, mounts and files: made before its first command, taken away after its last.

Making them twice does no harm, so a run that was interrupted in the middle makes them again.
"""

import asyncio
import os
from contextlib import suppress

from batchai_quickstart.engines.removal import remove_tree
from batchai_quickstart.execution.outcome import Verdict, mount_failed, node_failed
from batchai_quickstart.execution.plan import JobPlan, Link


class PreparationError(Exception):
    """A directory, mount or file of the plan could not be made; `verdict` is the run's end."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


def prepare(plan: JobPlan) -> None:
    """Make scratch directories, then mounts, then directories, then files.

    Raises:
        PreparationError: with the verdict that says what failed.
    """
    for directory in plan.scratch:
        _make(directory)
    for link in plan.links:
        _mount(link)
    for directory in plan.directories:
        _make(directory)
    for file in plan.files:
        try:
            descriptor = os.open(
                file.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666
            )
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(file.content)
        except (OSError, ValueError) as error:
            raise PreparationError(
                node_failed(f"Cannot write the file {file.path}: {_reason(error)}")
            ) from error


def _make(directory: str) -> None:
    try:
        try:
            # Mostly only the last step is missing: makedirs would look at every one first.
            os.mkdir(directory)  # noqa: PTH102
        except (FileExistsError, FileNotFoundError):
            os.makedirs(directory, exist_ok=True)  # noqa: PTH103
    except (OSError, ValueError) as error:
        raise PreparationError(
            node_failed(f"Cannot create the directory {directory}: {_reason(error)}")
        ) from error


def _mount(link: Link) -> None:
    try:
        if not os.path.isdir(link.target):  # noqa: PTH112
            raise NotADirectoryError(0, f"{link.target} is no directory")
        try:
            os.symlink(link.target, link.path)  # noqa: PTH211
        except FileNotFoundError:
            os.makedirs(os.path.dirname(link.path), exist_ok=True)  # noqa: PTH103, PTH120
            os.symlink(link.target, link.path)  # noqa: PTH211
    except FileExistsError as error:
        if _leads_to(link):
            return
        if not os.path.islink(link.path):  # noqa: PTH114
            raise PreparationError(
                mount_failed(link.error, f"{link.path} exists and is no mount")
            ) from error
        # Left by a run that was never cleaned up, on a volume that is another one now.
        os.unlink(link.path)  # noqa: PTH108
        _mount(link)
    except (OSError, ValueError) as error:
        raise PreparationError(
            mount_failed(link.error, f"cannot mount {link.path}: {_reason(error)}")
        ) from error


def _leads_to(link: Link) -> bool:
    try:
        return os.readlink(link.path) == link.target  # noqa: PTH115
    except OSError:
        return False


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


async def clean_up(plan: JobPlan) -> None:
    """Take mounts and scratch directories away; what is behind a mount is not touched."""
    for link in reversed(plan.links):
        if _leads_to(link):
            with suppress(OSError):
                os.unlink(link.path)  # noqa: PTH108
    for file in plan.files:
        with suppress(OSError):
            os.unlink(file.path)  # noqa: PTH108
    full = []
    for directory in reversed(plan.scratch):
        try:
            os.rmdir(directory)  # noqa: PTH106
        except FileNotFoundError:
            continue
        except OSError:
            full.append(directory)
    for directory in full:
        # A job may leave a million files: that is no work for the event loop.
        await asyncio.to_thread(remove_tree, directory)
