"""How a change of a file becomes one: content, name and what is said of it, together or not at all.

The row about the file is written first, for the inode, time and size the file will have, and what
it replaces is kept in the journal; then one system call makes the change. A crash before that call
leaves the old file and, after the next start, what was said of it; a crash behind it leaves both
new. A store with `sync` has the content on the disk before the row, and the name before the answer.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

from batchai_quickstart.storage.protocol import StorageError
from batchai_quickstart.storage.sidecar import NOTHING, Properties, stamp_of, state
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.transfer import set_modified
from batchai_quickstart.storage.volume import Volume


async def publish(
    store: Store,
    volume: Volume,
    path: str,
    descriptor: int,
    prepared: str,
    said: Properties,
    *,
    check: Callable[[], object],
    create_parents: bool,
) -> os.stat_result:
    """Give a finished file its name; what was there is replaced.

    Arguments:
        store: where it is.
        volume: the volume.
        path: of the file in it.
        descriptor: of the finished file, whose modification time is set.
        prepared: where it is now.
        said: about the file.
        check: raises while the conditions for it do not hold.
        create_parents: make missing directories (blobs), or not (files of a share).

    Returns:
        The status of the file under its name.

    Raises:
        FileNotFoundError: the parent is missing.
        NotADirectoryError, IsADirectoryError: a file or a directory is in the way.
    """
    segments = volume.segments(path)
    if store.sync:
        await asyncio.to_thread(os.fsync, descriptor)
    check()  # nothing is awaited from here until the file has its name
    with store.changing(volume, path, state(os.fstat(descriptor)), said) as number:
        volume.place(prepared, segments, create_parents=create_parents)
    await names_on_disk(store, volume, segments)
    store.sidecar.settle(number)
    return os.fstat(descriptor)


async def amend(
    store: Store,
    volume: Volume,
    path: str,
    descriptor: int,
    said: Properties,
    *,
    mtime: int | None = None,
    size: int | None = None,
) -> os.stat_result:
    """Make a new version of a file by what is said of it, its modification time, and its length.

    Arguments:
        store: where it is.
        volume: the volume.
        path: of the file in it.
        descriptor: of the file.
        said: about it from now on.
        mtime: its modification time in nanoseconds; now by default.
        size: its length in bytes; the one it has by default.

    Returns:
        The status of the new version.

    Raises:
        StorageError: the file system has no such modification time.
    """
    before = os.fstat(descriptor)
    mtime = time.time_ns() if mtime is None else mtime
    size = before.st_size if size is None else size
    after = (before.st_ino, stamp_of(mtime, size))
    with store.changing(volume, path, after, said) as number:
        if size != before.st_size:
            os.ftruncate(descriptor, size)  # from here on there is no way back
            os.utime(descriptor, ns=(mtime, mtime))
        else:
            try:
                set_modified(descriptor, mtime)
            except StorageError:
                os.utime(descriptor, ns=(before.st_atime_ns, before.st_mtime_ns))
                raise
    status = os.fstat(descriptor)
    if state(status) != after:  # the file system's times are coarser, or end earlier
        store.say(volume, path, status, said)
    await content_on_disk(store, descriptor)
    store.sidecar.settle(number)
    return status


async def lengthen(
    store: Store,
    volume: Volume,
    path: str,
    descriptor: int,
    said: Properties,
    length: int,
    add: Callable[[], Awaitable[None]],
) -> os.stat_result:
    """Add a block to the end of a file, the whole of it or, after the next start, nothing.

    Arguments:
        store: where it is.
        volume: the volume.
        path: of the file in it.
        descriptor: of the file.
        said: about it from now on.
        length: bytes of the block.
        add: writes it.

    Returns:
        The status of the longer file.
    """
    before, now = os.fstat(descriptor), time.time_ns()
    after = (before.st_ino, stamp_of(now, before.st_size + length))
    with store.changing(volume, path, after, said) as number:
        try:
            await add()
        except BaseException:
            os.ftruncate(descriptor, before.st_size)
            os.utime(descriptor, ns=(before.st_atime_ns, before.st_mtime_ns))
            raise
        os.utime(descriptor, ns=(now, now))
    await content_on_disk(store, descriptor)
    # At once: a job that cuts the file later must not be taken for this.
    store.sidecar.settle(number, at_once=True)
    return os.fstat(descriptor)


async def remove(store: Store, volume: Volume, path: str) -> None:
    """Remove a file, what is said of it, and the lease on it.

    Raises:
        FileNotFoundError, NotADirectoryError: it is gone.
    """
    segments = volume.segments(path)
    with store.changing(volume, path, None, NOTHING) as number:
        volume.unlink(segments)
    store.set_lease(volume, path, None)
    await names_on_disk(store, volume, segments)
    store.sidecar.settle(number)


async def content_on_disk(store: Store, descriptor: int) -> None:
    """Have a file on the disk, where that is wanted."""
    if store.sync:
        await asyncio.to_thread(os.fsync, descriptor)


async def range_on_disk(store: Store, descriptor: int) -> None:
    """Have bytes written in place on the disk, where that is wanted."""
    if store.sync:
        await asyncio.to_thread(getattr(os, "fdatasync", os.fsync), descriptor)


async def names_on_disk(store: Store, volume: Volume, segments: tuple[str, ...]) -> None:
    """Have a name, and the directories that lead to it, on the disk, where that is wanted."""
    if store.sync:
        await asyncio.to_thread(_sync_names, volume, segments)


def _sync_names(volume: Volume, segments: tuple[str, ...]) -> None:
    for depth in range(len(segments)):
        try:
            with volume.directory(segments[:depth]) as directory:
                os.fsync(directory)
        except (FileNotFoundError, NotADirectoryError):
            return  # somebody moved it away since: there is no such name to keep
