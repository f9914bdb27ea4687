# ruff: noqa: D417 - sync is a method: nobody passes `self`
"""Making one directory the same as another: local to stored, or stored to local."""

import os
import threading
from functools import partial
from pathlib import Path
from typing import Literal

from batchai_quickstart.client import bars, driver, localfiles
from batchai_quickstart.client.bars import Progress
from batchai_quickstart.client.driver import Driver
from batchai_quickstart.client.lanes import Job, Lanes
from batchai_quickstart.client.localfiles import Tree
from batchai_quickstart.client.stored import StoredFile, Synced
from batchai_quickstart.client.volumes import WORKERS, Volume, below, get, is_same, put
from batchai_quickstart.errors import InvalidRequestError, NotFoundError


def sync(
    self: Volume,
    local: str | os.PathLike[str],
    remote: str = "",
    *,
    direction: Literal["up", "down"] = "up",
    delete: bool = False,
    progress: Progress = None,
    max_workers: int = WORKERS,
) -> Synced:
    """Make a directory here and one there the same, moving only what differs.

    Files are the same that have the same size and MD5. A file that a job wrote has no MD5 stored
    with it, so it is always copied.

    Arguments:
        local: local directory; made if need be when files come down.
        remote: directory there; "" is the container or share itself.
        direction: `up` makes the stored one like the local one, `down` the other way round.
        delete: also delete, where files are copied to, what the other side does not have.
        progress: True shows a bar, None on a terminal or in a notebook only, False none; or a
            function, called with the bytes done and the bytes in all.
        max_workers: how many files and parts of files are on their way at once.

    Returns:
        What was copied, left alone and deleted.

    Raises:
        NotFoundError: there is no such directory to copy from.
    """
    root = Path(local).expanduser()
    if direction == "up":
        return _up(self._driver, root, remote, delete, progress, Lanes(max_workers))
    if direction == "down":
        return _down(self, root, remote, delete, progress, Lanes(max_workers))
    raise InvalidRequestError(
        f"direction is 'up' or 'down', not {direction!r}", code="InvalidParameterValue"
    )


class _Outcome:
    """What became of each file, told by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._copied: list[str] = []
        self._unchanged: list[str] = []

    def note(self, name: str, *, copied: bool) -> None:
        with self._lock:
            (self._copied if copied else self._unchanged).append(name)

    def told(self, deleted: list[str]) -> Synced:
        return Synced(
            tuple(sorted(self._copied)), tuple(sorted(self._unchanged)), tuple(sorted(deleted))
        )


def _up(
    volume: Driver, root: Path, remote: str, delete: bool, progress: Progress, lanes: Lanes
) -> Synced:
    tree = Tree(root)
    prefix = localfiles.directory_prefix(remote)
    try:
        there = below(volume, remote)
    except NotFoundError:
        there = {}
    outcome = _Outcome()

    def one(name: str, path: Path, step: bars.Step) -> None:
        found = there.get(name)
        if found is not None and is_same(volume, found, path):
            step(path.stat().st_size)
            outcome.note(name, copied=False)
        else:
            whole = localfiles.clean(prefix + name)
            put(volume, whole, path, lanes, step, skip_unchanged=False)
            outcome.note(name, copied=True)

    gone: list[str] = []
    if delete:
        # First, so that a directory there makes way for a file of the same name.
        gone = [name for name, each in there.items() if not each.is_directory]
        gone = [name for name in gone if name not in tree.files]
        _delete_stored(volume, {name: there[name] for name in gone}, lanes)
        _delete_directories(volume, there, tree)
    total = sum(path.stat().st_size for path in tree.files.values())
    with bars.shown(progress, f"{len(tree.files)} files up", total) as step:
        jobs: list[Job] = [partial(one, name, path, step) for name, path in tree.files.items()]
        jobs += [partial(volume.prepare, prefix + name) for name in tree.empty if name not in there]
        lanes.run(jobs, len(jobs))
    return outcome.told(gone)


def _delete_stored(volume: Driver, files: dict[str, StoredFile], lanes: Lanes) -> None:
    jobs: list[Job] = [partial(driver.delete_file, volume, each.name) for each in files.values()]
    lanes.run(jobs, len(jobs))


def _delete_directories(volume: Driver, there: dict[str, StoredFile], tree: Tree) -> None:
    kept = set(tree.empty)
    for name in tree.files:
        while name := name.rpartition("/")[0]:
            kept.add(name)
    # Deepest first: a directory must be empty.
    for name in sorted(there, reverse=True):
        if there[name].is_directory and name not in kept:
            volume.delete_directory(there[name].name)


def _down(
    self: Volume, root: Path, remote: str, delete: bool, progress: Progress, lanes: Lanes
) -> Synced:
    volume = self._driver
    root = localfiles.destination_directory(root)
    there = below(volume, remote)
    if remote and not there:
        # An empty answer may be a mistyped name; with delete=True it would empty the local side.
        raise NotFoundError(
            f"there is nothing in {remote!r} of {self.name!r} to copy from", code="ResourceNotFound"
        )
    targets = {name: localfiles.inside(root, name) for name in there}
    files = {name: each for name, each in there.items() if not each.is_directory}
    root.mkdir(parents=True, exist_ok=True)
    gone = _delete_local(Tree(root), there) if delete else []
    for name in there:
        if there[name].is_directory:
            targets[name].mkdir(parents=True, exist_ok=True)
    outcome = _Outcome()

    def one(name: str, step: bars.Step) -> None:
        copied = get(volume, files[name], targets[name], lanes, step, skip_unchanged=True)
        outcome.note(name, copied=copied)

    total = sum(each.size or 0 for each in files.values())
    with bars.shown(progress, f"{len(files)} files down", total) as step:
        jobs: list[Job] = [partial(one, name, step) for name in files]
        lanes.run(jobs, len(jobs))
    return outcome.told(gone)


def _delete_local(tree: Tree, there: dict[str, StoredFile]) -> list[str]:
    files = {name for name, each in there.items() if not each.is_directory}
    gone = [name for name in tree.files if name not in files]
    for name in gone:
        tree.files[name].unlink()
        _delete_empty(tree.root, tree.files[name].parent)
    for name in tree.empty:
        if name not in there:
            _delete_empty(tree.root, tree.root / name)
    return gone


def _delete_empty(root: Path, directory: Path) -> None:
    while directory != root and not any(directory.iterdir()):
        directory.rmdir()
        directory = directory.parent
