"""What a share says of files and directories beside content: attributes, times, permissions.

The rules are those of `Create File`, `Set File Properties` and their directories' twins in Azure's
REST reference. A directory on disk has none of this: attributes and the permission's key are kept
beside it and told again, and only this service heeds `ReadOnly`.
"""

import os
import stat
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from batchai_quickstart.storage import permissions
from batchai_quickstart.storage.download import Entry, Headers
from batchai_quickstart.storage.protocol import (
    Request,
    StorageError,
    http_date,
    last_modified,
    precise_time,
)
from batchai_quickstart.storage.sidecar import Properties
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.transfer import next_time, set_modified
from batchai_quickstart.storage.volume import Kind, Volume

ATTRIBUTES: Final = "x-ms-file-attributes"
CREATED: Final = "x-ms-file-creation-time"
WRITTEN: Final = "x-ms-file-last-write-time"
CHANGED: Final = "x-ms-file-change-time"

_NAMES: Final = {
    name.lower(): name
    for name in (
        "ReadOnly",
        "Hidden",
        "System",
        "Directory",
        "Archive",
        "Normal",
        "Temporary",
        "Offline",
        "NotContentIndexed",
        "NoScrubData",
    )
}
"""In the order in which Azure writes them."""

_FIRST_YEAR: Final = 1601


def described(entry: Entry, parent: int) -> Headers:
    """What Azure Files says of every file and directory, in place of what both services say.

    Arguments:
        entry: the file or directory.
        parent: the id of the directory it is in, of `parent_of`.
    """
    status, headers = entry.status, entry.said.headers
    written = precise_time(status.st_mtime_ns)
    return (
        ("last-modified", http_date(last_modified(Kind.FILE, status))),
        (ATTRIBUTES, _attributes(entry)),
        (CREATED, headers.get(CREATED, written)),
        (WRITTEN, written),
        (CHANGED, _changed(entry)),
        (permissions.KEY, headers.get(permissions.KEY, permissions.DEFAULT_KEY)),
        ("x-ms-file-id", str(status.st_ino)),
        ("x-ms-file-parent-id", str(parent)),
    )


def parent_of(volume: Volume, segments: tuple[str, ...]) -> int:
    """The id of the directory something is in; 0 of the root, and when it is gone."""
    try:
        return Path(volume.below(segments[:-1])).stat().st_ino if segments else 0
    except OSError:
        return 0


def _attributes(entry: Entry) -> str:
    kept = entry.said.headers.get(ATTRIBUTES, "")
    if not stat.S_ISDIR(entry.status.st_mode):
        return kept or "Archive"
    names = {*kept.lower().split(" | "), "directory"}
    return " | ".join(name for key, name in _NAMES.items() if key in names)


def _changed(entry: Entry) -> str:
    # The system's own time of change cannot be set: what a client asked for is true as long as
    # that one is what it was then.
    told = entry.said.changed
    now = entry.status.st_ctime_ns
    return precise_time(told[1] if told and told[0] == now else now)


def is_read_only(said: Properties) -> bool:
    """Whether a client has set the attribute `ReadOnly`."""
    return "ReadOnly" in said.headers.get(ATTRIBUTES, "").split(" | ")


def check_writable(said: Properties) -> None:
    """Refuse to write into a file that has the attribute `ReadOnly`.

    Raises:
        StorageError: it has.
    """
    if is_read_only(said):
        raise StorageError("ReadOnlyAttribute")


def asked(
    request: Request,
    store: Store,
    volume: Volume,
    before: Properties | None = None,
    *,
    is_directory: bool,
) -> dict[str, str]:
    """The headers of this module that something has after a request.

    Arguments:
        request: may name attributes, a creation time, a permission or its key.
        store: where permissions are kept.
        volume: the share.
        before: what was said of it; None for something new.
        is_directory: whether it is a directory.

    Raises:
        StorageError: an attribute, a time or a permission is not valid, or unknown.
    """
    names = (ATTRIBUTES, CREATED, permissions.KEY)
    headers = request.headers
    kept = {
        name: value
        for name, value in (before.headers.items() if before is not None else ())
        if name in names
    }
    attributes = headers.get(ATTRIBUTES, "preserve").strip().lower()
    if attributes == "none":
        kept.pop(ATTRIBUTES, None)
    elif attributes != "preserve":
        kept[ATTRIBUTES] = _parsed(attributes, is_directory=is_directory)
    created = headers.get(CREATED, "now" if before is None else "preserve")
    if created.lower() == "now":
        kept[CREATED] = precise_time(time.time_ns())
    elif created.lower() != "preserve":
        kept[CREATED] = precise_time(nanoseconds(created))
    if (key := permissions.asked(request, store, volume)) is not None:
        kept[permissions.KEY] = key
    return kept


def _parsed(text: str, *, is_directory: bool) -> str:
    """Attributes as they are kept: without `Directory`, in Azure's order."""
    names = {name.strip() for name in text.split("|")}
    unknown = sorted(names - _NAMES.keys())
    if not is_directory and "directory" in names:
        unknown.append("directory")
    if "normal" in names and len(names) > 1:
        unknown.append("normal")  # it means that there are no others
    if unknown:
        raise StorageError(
            "InvalidHeaderValue", f"{ATTRIBUTES} has {', '.join(map(repr, unknown))} in {text!r}."
        )
    return " | ".join(name for key, name in _NAMES.items() if key in names and key != "directory")


def write_time(request: Request, before: os.stat_result, *, otherwise: str = "now") -> int:
    """The modification time of the version that a request makes, in nanoseconds.

    Arguments:
        request: may name it: `now`, `preserve` or a time.
        before: the status in the version that ends.
        otherwise: what is meant when it does not.
    """
    text = request.headers.get(WRITTEN, otherwise)
    if text.lower() == "now":
        return time.time_ns()
    return next_time(before, None if text.lower() == "preserve" else nanoseconds(text))


def set_time(
    request: Request, descriptor: int, before: os.stat_result, *, otherwise: str = "now"
) -> None:
    """Set the modification time that a client asks for: see `write_time`.

    Raises:
        StorageError: the file system has no such time.
    """
    set_modified(descriptor, write_time(request, before, otherwise=otherwise))


def settled(request: Request, descriptor: int, said: Properties) -> Entry:
    """What is known of something after all of a request was done to it.

    Arguments:
        request: may name a time of change.
        descriptor: of the file or directory, in its place.
        said: what is to be said of it from now on.
    """
    status = os.fstat(descriptor)
    text = request.headers.get(CHANGED, "now")
    changed = (status.st_ctime_ns, nanoseconds(text)) if text.lower() != "now" else ()
    return Entry(status, replace(said, changed=changed))


def nanoseconds(text: str) -> int:
    """A time of the wire, since the epoch.

    Raises:
        StorageError: it is none, or before 1601, where the times of Windows begin.
    """
    try:
        whole, _, fraction = text.rstrip("Z").partition(".")
        moment = datetime.fromisoformat(whole).replace(tzinfo=UTC)
        if moment.year < _FIRST_YEAR:
            raise ValueError
        return int(moment.timestamp()) * 1_000_000_000 + int(fraction.ljust(9, "0")[:9])
    except ValueError:
        raise StorageError("InvalidHeaderValue", f"{text[:80]!r} is not a time.") from None
