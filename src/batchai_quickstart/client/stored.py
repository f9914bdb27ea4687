"""What shares and containers have in common: their entries, and how their clients send."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from azure.core.pipeline.transport import RequestsTransport

from batchai_quickstart.client.transfer import Progress

if TYPE_CHECKING:
    from batchai_quickstart.client.storage import StorageAccount

PARALLEL = 4
"""Parts of one large file on their way at once."""
RETRY_PAUSE = 0.3
"""Seconds between attempts when the storage service fails."""
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file or directory in a share or container.

    Arguments:
        name: path below the share or container.
        size: bytes; None for a directory.
        last_modified: UTC; None for a directory.
        is_directory: whether it is a directory (in a container: a common beginning of names).
    """

    name: str
    size: int | None
    last_modified: datetime | None
    is_directory: bool


def sending_options(account: "StorageAccount", retry: Callable[..., Any]) -> dict[str, Any]:
    """Arguments of a storage client.

    Arguments:
        account: whose connection's HTTP session it sends through.
        retry: the client's own policy of equal pauses; by default it pauses 15 s and more.
    """
    session = account.connection.session
    return {
        "transport": RequestsTransport(session=session, session_owner=False),
        "retry_policy": retry(backoff=RETRY_PAUSE, retry_total=3, random_jitter_range=0),
    }


def steps(progress: Progress) -> Any:
    """Turn "so many in all" into "so many more", as bars want it."""
    done = 0

    def hook(current: int | None, total: int | None) -> None:
        nonlocal done
        if current is not None:
            progress(current - done)
            done = current

    return hook
