"""Rename File and Rename Directory: another name in the same share, in one step."""

import errno
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, final
from urllib.parse import urlsplit

from batchai_quickstart.storage import leases
from batchai_quickstart.storage.addresses import ForeignServiceError, address
from batchai_quickstart.storage.auth import Right, authorize
from batchai_quickstart.storage.download import Entry
from batchai_quickstart.storage.names import without_trailing_dots
from batchai_quickstart.storage.protocol import (
    Request,
    Response,
    StorageError,
    etag,
    parse_query,
)
from batchai_quickstart.storage.smb import (
    asked,
    described,
    is_read_only,
    parent_of,
    set_time,
    settled,
)
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.volume import Kind, Volume

_SOURCE: Final = "x-ms-file-rename-source"
_REPLACE: Final = "x-ms-file-rename-replace-if-exists"
_IGNORE: Final = "x-ms-file-rename-ignore-readonly"
_KEEP_DOTS: Final = "x-ms-source-allow-trailing-dot"
_RIGHT: Final = Right("o", "w", "w")


@final
class Renames:
    """The operation of that name, on files and on directories.

    Arguments:
        store: where everything is.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def rename(self, request: Request) -> Response:
        """Rename File, Rename Directory.

        What was said of it goes along, its lease included; so does everything below a directory.
        Metadata, content type, attributes and times that the request names are set.

        Raises:
            StorageError: 404, what is renamed or the new parent is not there; 409, something has
                the new name, or is of another type; 412, for want of a lease id.
        """
        wants_directory = request.query.get("restype", "").lower() == "directory"
        source = self._source(request)
        volume = self._store.volume(request.account.name, Kind.FILE, request.volume)
        metadata = request.metadata()
        old, new = volume.segments(source), volume.segments(request.path)
        if not old or not new:
            raise StorageError("InvalidInput", "The root of a share has no other name.")
        status = volume.stat(old)
        if status is None:
            raise StorageError("ResourceNotFound", f"{source!r} is to be renamed.")
        if stat.S_ISDIR(status.st_mode) is not wants_directory:
            raise StorageError("ResourceTypeMismatch")
        headers = request.headers
        leases.guard(self._store, volume, source, headers, "x-ms-source-lease-id", writes=True)
        replaces = self._may_replace(request, volume, new)
        before = self._store.said(volume, source, status)
        smb = asked(request, self._store, volume, before, is_directory=wants_directory)
        self._move(volume, source, request.path, replace_file=replaces)
        said = self._store.said(volume, request.path, status)
        said = replace(
            said,
            headers={
                **said.headers,
                **smb,
                **({"content-type": kind} if (kind := headers.get("x-ms-content-type")) else {}),
            },
            metadata=metadata or said.metadata,
        )
        return self._say(request, volume, new, Entry(status, said))

    def _source(self, request: Request) -> str:
        """The path of what is renamed, which must be in the share that is addressed.

        A request that is signed with a key may rename anything in the account. With a shared
        access signature the source needs one, too: its own may be for the new name only.
        """
        text = request.headers.get(_SOURCE)
        if not text:
            raise StorageError("MissingRequiredHeader", f"{_SOURCE}.")
        try:
            url = urlsplit(text)
            same_host = url.netloc == request.headers.get("host", "")
            there = address(url.netloc, url.path, request.port_kind if same_host else None)
        except (ValueError, StorageError, ForeignServiceError):
            raise StorageError(
                "InvalidHeaderValue",
                f"{_SOURCE} is {text!r}: no address of a file of this service.",
            ) from None
        if (there.kind, there.account, there.volume) != (
            request.kind,
            request.account.name,
            request.volume,
        ):
            raise StorageError(
                "InvalidHeaderValue",
                f"{_SOURCE} is {text!r}: a rename stays in its share, {request.volume!r}; copy.",
            )
        path = there.path.rstrip("/")
        if request.permissions is not None:
            unsigned = {
                name: value for name, value in request.headers.items() if name != "authorization"
            }
            authorize(
                replace(
                    request,
                    path=path,
                    raw_path=url.path,
                    query=parse_query(url.query.encode()),
                    headers=unsigned,
                ),
                _RIGHT,
                self._store.facts_of(there.account, there.kind, there.volume),
            )
        return path if request.flag(_KEEP_DOTS) else without_trailing_dots(path)

    def _may_replace(self, request: Request, volume: Volume, new: tuple[str, ...]) -> bool:
        """Whether there is a file to replace, and it may be replaced."""
        replaces, ignores = request.flag(_REPLACE), request.flag(_IGNORE)
        if ignores and not replaces:
            raise StorageError("InvalidHeaderValue", f"{_IGNORE} goes with {_REPLACE}.")
        there = volume.stat(new)
        if there is None:
            return False
        if not replaces or stat.S_ISDIR(there.st_mode):
            raise StorageError("ResourceAlreadyExists")
        headers = request.headers
        leases.guard(
            self._store, volume, request.path, headers, "x-ms-destination-lease-id", writes=True
        )
        said = self._store.said(volume, request.path, there)
        if is_read_only(said) and not ignores:
            raise StorageError("ReadOnlyAttribute", f"{request.path!r} is to be replaced.")
        return True

    def _move(self, volume: Volume, source: str, target: str, *, replace_file: bool) -> None:
        try:
            with volume.directory(volume.segments(target)[:-1]):
                pass
        except FileNotFoundError:
            raise StorageError("ParentNotFound") from None
        except NotADirectoryError:
            raise StorageError("ResourceTypeMismatch") from None
        try:
            self._store.move(volume, source, target, replace_file=replace_file)
        except FileNotFoundError:
            raise StorageError("ResourceNotFound") from None
        except FileExistsError:
            raise StorageError("ResourceAlreadyExists") from None
        except (IsADirectoryError, NotADirectoryError):
            raise StorageError("ResourceTypeMismatch") from None
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise StorageError("InvalidInput", "A directory cannot go below itself.") from None
            raise

    def _say(
        self, request: Request, volume: Volume, segments: tuple[str, ...], moved: Entry
    ) -> Response:
        """Keep what the request says of what was moved, and answer."""
        before = self._store.said(volume, request.path, moved.status)
        with _opened(volume, segments, moved.status) as descriptor:
            if moved.said != before or "x-ms-file-last-write-time" in request.headers:
                set_time(request, descriptor, moved.status, otherwise="preserve")
            entry = settled(request, descriptor, moved.said)
        self._store.say(volume, request.path, entry.status, entry.said)
        headers = (
            ("etag", etag(entry.status)),
            ("x-ms-request-server-encrypted", "true"),
            *described(entry, parent_of(volume, segments)),
        )
        return Response(200, headers)


@contextmanager
def _opened(
    volume: Volume, segments: tuple[str, ...], status: os.stat_result
) -> Generator[int, None, None]:
    if stat.S_ISDIR(status.st_mode):
        with volume.directory(segments) as descriptor:
            yield descriptor
    else:
        descriptor = volume.open(segments)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
