# ruff: noqa: D417 - these functions are methods: nobody passes `self`
"""What a container and a share can do: one set of functions, which are the methods of both.

`BlobContainer` and `FileShare` name these functions as their methods, so they have the same
names, arguments and order; what differs is in their drivers.
"""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from batchai_quickstart.client import bars, driver, localfiles
from batchai_quickstart.client.bars import Progress, Step
from batchai_quickstart.client.download import fetch
from batchai_quickstart.client.driver import Driver
from batchai_quickstart.client.lanes import Job, Lanes
from batchai_quickstart.client.localfiles import Tree
from batchai_quickstart.client.sas import end_of_link, service_signature
from batchai_quickstart.client.sharefiles import is_unfinished
from batchai_quickstart.client.stored import HOUR, StoredFile
from batchai_quickstart.errors import (
    BatchAIError,
    ConfigurationError,
    InvalidRequestError,
    NotFoundError,
)

if TYPE_CHECKING:
    from batchai_quickstart.client.storage import StorageAccount

WORKERS = 8
"""What is on its way at once: small files are bound by the round trip, not by the network."""


class Volume(Protocol):
    """A container or share."""

    @property
    def account(self) -> "StorageAccount":
        """The storage account it is in."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def _driver(self) -> Driver:
        """It, on the wire."""


V = TypeVar("V", bound=Volume)


def volume_name(name: str, what: str) -> str:
    """The name of a container or share, if it can be one in an address.

    What else a name must be the service knows: Azure has names of its own, as `$web`.

    Arguments:
        name: it.
        what: `container` or `share`.

    Raises:
        InvalidRequestError: it is empty, or a path.
    """
    if not str(name).strip() or set("/\\?#") & set(str(name)):
        raise InvalidRequestError(
            f"{name!r} is no name of a {what}: 3 to 63 lower-case letters, digits and hyphens; "
            "directories belong into the names of files",
            code="InvalidResourceName",
        )
    return name


def create(self: V) -> V:
    """Create it; one that exists stays as it is."""
    self._driver.create()
    return self


def delete(self: Volume) -> None:
    """Delete it with everything in it; one that does not exist is no error."""
    self._driver.delete()


def upload(
    self: Volume,
    local: str | os.PathLike[str],
    destination: str = "",
    *,
    skip_unchanged: bool = False,
    progress: Progress = None,
    max_workers: int = WORKERS,
) -> str:
    """Upload one file, replacing one of the same name, and return its name there.

    A name has its old content or the whole new one. An upload that broke off goes on where it
    was when it is called again and the file is the same. What it needs is made: the container
    or share, the directories on the way.

    Arguments:
        local: path of the file.
        destination: directory, ending with a slash (`cntk/`), or the whole new name.
        skip_unchanged: leave a file alone that is there with the same size and MD5.
        progress: True shows a bar, None on a terminal or in a notebook only, False none; or a
            function, called with the bytes done and the bytes in all.
        max_workers: how many parts of it are on their way at once.

    Raises:
        NotFoundError: there is no such local file.
        TransferError: it was written meanwhile.
    """
    path = localfiles.local_file(local)
    name = localfiles.remote_name(path, destination)
    lanes = Lanes(max_workers)
    with bars.shown(progress, path.name, path.stat().st_size) as step:
        put(self._driver, name, path, lanes, step, skip_unchanged=skip_unchanged)
    return name


def upload_batch(
    self: Volume,
    directory: str | os.PathLike[str],
    *,
    pattern: str | None = None,
    destination: str = "",
    skip_unchanged: bool = False,
    progress: Progress = None,
    max_workers: int = WORKERS,
) -> "list[str]":
    """Upload the files below a directory in parallel and return their names there.

    Links to files count as files, links to directories are not followed. Empty directories go
    along into a share; a container has none.

    Arguments:
        directory: local directory, searched with its subdirectories.
        pattern: only files whose path below it matches (`*28x28_cntk*`; `*` matches slashes, too);
            None: all.
        destination: directory they are put below.
        skip_unchanged: leave files alone that are there with the same size and MD5.
        progress: as for `upload`, for all files together.
        max_workers: how many files and parts of files are on their way at once.

    Raises:
        NotFoundError: there is no such directory, or no file that matches.
    """
    tree = Tree(Path(directory).expanduser())
    files = tree.matching(pattern)
    empty = tree.empty if pattern is None else []
    if not files and not empty:
        raise localfiles.no_match(str(tree.root), pattern, list(tree.files))
    prefix = localfiles.directory_prefix(destination)
    named = {localfiles.clean(prefix + name): path for name, path in files.items()}
    lanes = Lanes(max_workers)
    total = sum(path.stat().st_size for path in named.values())
    with bars.shown(progress, f"{len(named)} files up", total) as step:
        jobs: list[Job] = [
            partial(put, self._driver, name, path, lanes, step, skip_unchanged=skip_unchanged)
            for name, path in named.items()
        ]
        jobs += [partial(self._driver.prepare, localfiles.clean(prefix + name)) for name in empty]
        lanes.run(jobs, len(jobs))
    return list(named)


def download(
    self: Volume,
    name: str,
    destination: str | os.PathLike[str],
    *,
    skip_unchanged: bool = False,
    progress: Progress = None,
    max_workers: int = WORKERS,
) -> Path:
    """Download one file, whole or not at all, and return its local path.

    What was stored with an MD5 is held against it. A connection that breaks is taken up again.

    Arguments:
        name: its name there.
        destination: local path; a directory keeps the file's own name.
        skip_unchanged: leave a local file alone that has the same size and MD5.
        progress: as for `upload`.
        max_workers: how many parts of it are on their way at once.

    Raises:
        NotFoundError: there is no such file.
        InvalidRequestError: the destination is a directory, a device or the like.
        TransferError: it was written meanwhile, came damaged, or could not be written here.
    """
    name = localfiles.clean(name)
    target = localfiles.destination_file(name, destination)
    is_seen = bars.is_wanted(progress)
    found = driver.facts(self._driver, name) if skip_unchanged or is_seen else None
    if found is not None and skip_unchanged and is_same(self._driver, found, target):
        return target
    total = found.size if found and found.size else 0
    with bars.shown(progress if found else False, name, total) as step:
        try:
            fetch(self._driver, name, target, Lanes(max_workers), step)
        except NotFoundError as error:
            raise _directory_instead(self._driver, name, error) from None
    return target


def download_batch(
    self: Volume,
    destination: str | os.PathLike[str],
    *,
    pattern: str | None = None,
    source: str = "",
    skip_unchanged: bool = False,
    progress: Progress = None,
    max_workers: int = WORKERS,
) -> "list[Path]":
    """Download the files below a directory in parallel and return their local paths.

    Arguments:
        destination: local directory, made if need be; the tree below `source` is kept.
        pattern: only files whose path below `source` matches (`*.model`; `*` matches slashes,
            too); None: all, and the empty directories of a share.
        source: directory there; "" is all of it.
        skip_unchanged: leave local files alone that have the same size and MD5.
        progress: as for `upload`, for all files together.
        max_workers: how many files and parts of files are on their way at once.

    Raises:
        NotFoundError: there is no file, or none that matches.
        InvalidRequestError: the destination is a file.
        TransferError: a file was written meanwhile, came damaged, or has a name that leads out of
            the destination.
    """
    root = localfiles.destination_directory(destination)
    there = below(self._driver, source)
    files = {name: each for name, each in there.items() if not each.is_directory}
    wanted = {name: each for name, each in files.items() if localfiles.matches(name, pattern)}
    if not wanted and (pattern is not None or not there):
        where = f"{source!r} of {self.name!r}" if source else repr(self.name)
        raise localfiles.no_match(where, pattern, list(files))
    targets = {name: localfiles.inside(root, name) for name in wanted}
    directories = [localfiles.inside(root, name) for name in there if there[name].is_directory]
    root.mkdir(parents=True, exist_ok=True)
    for directory in directories if pattern is None else ():
        directory.mkdir(parents=True, exist_ok=True)
    lanes = Lanes(max_workers)
    total = sum(each.size or 0 for each in wanted.values())
    with bars.shown(progress, f"{len(wanted)} files down", total) as step:
        jobs: list[Job] = [
            partial(
                get, self._driver, each, targets[name], lanes, step, skip_unchanged=skip_unchanged
            )
            for name, each in wanted.items()
        ]
        lanes.run(jobs, len(jobs))
    return list(targets.values())


def entries(self: Volume, path: str = "") -> "list[StoredFile]":
    """List one directory, sorted by name.

    Arguments:
        path: the directory; "" is the container or share itself.
    """
    found = self._driver.entries(localfiles.directory_name(path))
    return sorted(found, key=lambda entry: entry.name)


def walk(self: Volume, path: str = "") -> Iterator[StoredFile]:
    """Yield every file below a directory, as the listing comes in.

    Of a share every directory comes, too, before what is in it; a container has none.

    Arguments:
        path: where to begin; "" is the container or share itself.
    """
    return self._driver.walk(localfiles.directory_name(path))


def delete_file(self: Volume, name: str) -> None:
    """Delete one file.

    Raises:
        NotFoundError: there is none.
    """
    driver.delete_file(self._driver, localfiles.clean(name))


def url(
    self: Volume,
    name: str = "",
    *,
    expiry: timedelta | datetime = HOUR,
    permissions: str | None = None,
) -> str:
    """Return a signed link that works for anyone who has it, while it lasts.

    Arguments:
        name: a file; "" for all of the container or share, which tools that take a URL with a
            signature can work with.
        expiry: life of the link, or when it ends (with a time zone).
        permissions: letters: `r`ead, `w`rite, `d`elete, `l`ist, `c`reate; by default `r` for a
            file, `rl` for all.

    Raises:
        ConfigurationError: the account's key is not known here, which alone can sign.
        InvalidRequestError: the time of the end has no time zone, or there are no such permissions.
    """
    access = self.account.rest.access()
    if access.key is None:
        raise ConfigurationError(
            f"a link is signed by the account's key; storage account {access.name} was opened "
            "without it"
        )
    name = localfiles.clean(name) if name else ""
    signature = service_signature(
        self._driver.service,
        access.name,
        access.key,
        self.name,
        name,
        expiry=end_of_link(expiry),
        permissions=permissions or ("r" if name else "rl"),
    )
    return f"{self._driver.rest.url(self._driver.service, self.name, name)}?{signature}"


def _directory_instead(volume: Driver, name: str, error: NotFoundError) -> NotFoundError:
    """The exception for a file that is not there: directories have a method of their own."""
    try:
        is_directory = next(iter(volume.entries(name)), None) is not None
    except BatchAIError:
        is_directory = False
    if not is_directory:
        return error
    return NotFoundError(
        f"cannot download {name!r} of {volume.volume!r}: it is a directory; "
        f"download_batch(destination, source={name!r}) takes those",
        code=error.code,
    )


# What batches and synchronisations are made of.


def below(volume: Driver, path: str) -> dict[str, StoredFile]:
    """What is below a directory, by its name below it, without what other uploads left behind."""
    prefix = localfiles.directory_prefix(path)
    return {
        each.name.removeprefix(prefix): each
        for each in volume.walk(prefix.rstrip("/"))
        if not is_unfinished(each.name)
    }


def put(
    volume: Driver, name: str, local: Path, lanes: Lanes, step: Step, *, skip_unchanged: bool
) -> bool:
    """Upload one file; tell whether it had to be."""
    if skip_unchanged and _is_there(volume, name, local):
        step(local.stat().st_size)
        return False
    with localfiles.opened(local) as source:
        try:
            volume.put(name, source, lanes, step)
        except NotFoundError as error:
            # Looking whether everything is there would cost a request for each file.
            if error.code not in ("ContainerNotFound", "ShareNotFound", "ParentNotFound"):
                raise
            volume.prepare(name.rpartition("/")[0])
            volume.put(name, source, lanes, step)
    return True


def get(
    volume: Driver,
    found: StoredFile,
    target: Path,
    lanes: Lanes,
    step: Step,
    *,
    skip_unchanged: bool,
) -> bool:
    """Download one listed file; tell whether it had to be."""
    if skip_unchanged and is_same(volume, found, target):
        step(found.size or 0)
        return False
    fetch(volume, found.name, target, lanes, step)
    return True


def is_same(volume: Driver, found: StoredFile, local: Path) -> bool:
    """Whether a local file has the size and MD5 of a stored one that has an MD5."""
    if not local.is_file() or local.stat().st_size != found.size:
        return False
    stored = found if found.md5 else driver.facts(volume, found.name)
    return stored is not None and stored.md5 == localfiles.md5_of(local)


def _is_there(volume: Driver, name: str, local: Path) -> bool:
    found = driver.facts(volume, name)
    return found is not None and is_same(volume, found, local)
