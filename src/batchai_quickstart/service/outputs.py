"""The files of a job's output directories, as listOutputFiles answers them."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from batchai_quickstart.errors import InvalidRequestError
from batchai_quickstart.service.plan import OutputLocation
from batchai_quickstart.service.registry import wire_time
from batchai_quickstart.storage.sas import sign_read
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.volume import Kind


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a directory.

    Arguments:
        directory: the directory itself, which may not exist yet.
        entries: the wire's File objects, by name.
        names: every name in the directory, for telling whether it changed.
        last: name to continue behind, None at the end.
    """

    directory: Path
    entries: list[dict[str, Any]]
    names: tuple[str, ...]
    last: str | None


def list_files(
    store: Store,
    location: OutputLocation,
    subdirectory: str,
    *,
    expiry: timedelta,
    limit: int,
    after: str,
    link: Callable[[str], str],
) -> Listing:
    """List one level of an output directory.

    Arguments:
        store: where volumes are.
        location: the output directory's volume and path.
        subdirectory: path below it, `.` for itself; must not leave it.
        expiry: life of the download URLs.
        limit: entries a page.
        after: continue behind this name.
        link: makes an absolute URL of a path and query on this service.

    Raises:
        InvalidRequestError: `subdirectory` leaves the output directory.
    """
    kind = Kind(location.kind)
    volume = store.volume(location.account, kind, location.volume)
    parts = [part for part in subdirectory.split("/") if part not in ("", ".")]
    if ".." in parts or subdirectory.startswith("/") or "\0" in subdirectory:
        raise InvalidRequestError(
            f"directory must be a path below the output directory; found {subdirectory!r}.",
            code="InvalidQueryParameterValue",
            target="directory",
        )
    relative = "/".join([location.path, *parts]).strip("/")
    directory = volume.resolve(relative)
    try:
        found = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        found = []
    account = store.account(location.account)
    expires = datetime.now(UTC) + expiry
    entries: list[dict[str, Any]] = []
    behind = [entry for entry in found if entry.name > after]
    for entry in behind[:limit]:
        try:
            entry.name.encode()
            if entry.is_dir():
                entries.append({"name": entry.name, "fileType": "directory"})
                continue
            status = entry.stat()
        except (OSError, UnicodeEncodeError):
            continue  # removed since, a link to nowhere, or a name that no URL can carry
        path = f"{relative}/{entry.name}".lstrip("/")
        signature = sign_read(
            account, kind, location.volume, path, expiry=expires, permissions="rl"
        )
        url = f"/{kind.value}/{account.name}/{location.volume}/{quote(path)}?{signature}"
        modified = datetime.fromtimestamp(int(status.st_mtime), UTC)
        entries.append(
            {
                "name": entry.name,
                "fileType": "file",
                "downloadUrl": link(url),
                "properties": {
                    "lastModified": wire_time(modified),
                    "contentLength": status.st_size,
                },
            }
        )
    return Listing(
        directory,
        entries,
        tuple(entry.name for entry in found),
        behind[limit - 1].name if len(behind) > limit else None,
    )
