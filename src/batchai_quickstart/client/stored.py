"""What is in a share or container, and what a synchronisation did."""

from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file or directory in a share or container.

    Arguments:
        name: path below the share or container.
        size: bytes; None for a directory.
        last_modified: UTC; None for a directory.
        is_directory: whether it is a directory (in a container: a common beginning of names).
        md5: hexadecimal MD5 of the content, where the listing says one: listings of shares do not.
    """

    name: str
    size: int | None
    last_modified: datetime | None
    is_directory: bool
    md5: str | None = None


@dataclass(frozen=True, slots=True)
class Synced:
    """What `sync` did.

    Arguments:
        copied: names below the directory of the files that were new or different.
        unchanged: those that were the same on both sides.
        deleted: those that were deleted at the destination.
    """

    copied: tuple[str, ...]
    unchanged: tuple[str, ...]
    deleted: tuple[str, ...]
