"""What a copy is made from: the blob, file or other URL that `x-ms-copy-source` names.

What is here is read where it lies, in the kernel, after its own authorization; no request is made
to this service itself. Every other URL is fetched.
"""

import asyncio
import errno
import os
import re
import stat
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, final
from urllib.parse import SplitResult, urlsplit

from batchai_quickstart.errors import RequestError
from batchai_quickstart.storage import leases
from batchai_quickstart.storage.addresses import ForeignServiceError, account_in_host
from batchai_quickstart.storage.arrival import Arrival, addressed
from batchai_quickstart.storage.auth import Right, authorize
from batchai_quickstart.storage.checksum import CRC64, Sum, Sums, check
from batchai_quickstart.storage.download import not_found, opened, span
from batchai_quickstart.storage.protocol import (
    NotModifiedError,
    Request,
    Response,
    StorageError,
    check_conditions,
    http_date,
    requested_range,
)
from batchai_quickstart.storage.sidecar import Properties
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.tagsearch import check_tags
from batchai_quickstart.storage.transfer import PIECE, SMALL, copy, write
from batchai_quickstart.storage.volume import Kind, Volume

if TYPE_CHECKING:
    from batchai_quickstart.storage.fetch import Fetcher

_URL: Final = re.compile(r"https?://[!-~]{1,2040}", re.IGNORECASE)
_READ: Final = Right("o", "r", "r", "blob")
_NO_OBJECTS: Final = frozenset({"comp", "restype", "sharesnapshot", "snapshot", "versionid"})
"""Query parameters of addresses of something else than a blob or a file as it is."""

_ASKED: Final = {
    "x-ms-source-range": "x-ms-range",
    "x-ms-source-if-match": "if-match",
    "x-ms-source-if-none-match": "if-none-match",
    "x-ms-source-if-modified-since": "if-modified-since",
    "x-ms-source-if-unmodified-since": "if-unmodified-since",
    "x-ms-source-if-tags": "x-ms-if-tags",
    "x-ms-source-lease-id": "x-ms-lease-id",
    "x-ms-source-content-md5": "content-md5",
    "x-ms-source-content-crc64": CRC64,
}
"""Headers about the source, and what they are called in a request to it."""


COPY_ANSWER: Final = ("x-ms-copy-id", "x-ms-copy-status")
"""What of the facts about a copy is in the answer to the request for it."""


class Pour(Protocol):
    """Writes a source's bytes into a file, and holds them against the sums the request names.

    Raises:
        StorageError: they have other sums, cannot be read to their end, or changed meanwhile.
    """

    async def __call__(
        self, descriptor: int, offset: int, /, *, md5: bool = False, crc64: bool = False
    ) -> Sums: ...


@final
@dataclass(frozen=True, slots=True)
class Source:
    """Something to copy, open.

    Arguments:
        url: its address, without the signature.
        length: bytes to copy: all of it, or those of the range that was asked for.
        said: what is known of it.
        pour: writes the bytes.
        status: of the file it is; None of what lies elsewhere.
        knows_tags: whether its tags are among what is known and may be read.
    """

    url: str
    length: int
    said: Properties
    pour: Pour
    status: os.stat_result | None = None
    knows_tags: bool = False

    def content_headers(self) -> dict[str, str]:
        """The headers that describe its content, by the names they are answered with."""
        return {
            name: value for name, value in self.said.headers.items() if not name.startswith("x-ms-")
        }

    def check_length(self, limit: int, code: str, status: int | None = None) -> None:
        """Refuse to copy more than `limit` bytes, with an error's code and status."""
        if self.length > limit:
            found = f"The source has {self.length} bytes, {limit} are copied at most."
            raise StorageError(code, found, status=status)

    def copied(self) -> dict[str, str]:
        """What is told of the copy of it that was just made: headers by name."""
        return {
            "x-ms-copy-id": str(uuid.uuid4()),
            "x-ms-copy-status": "success",
            "x-ms-copy-source": self.url,
            "x-ms-copy-progress": f"{self.length}/{self.length}",
            "x-ms-copy-completion-time": http_date(int(time.time())),
        }


@final
class Sources:
    """Opens what is copied.

    Arguments:
        store: where everything is.
        ports: the ports of this service, and the service each stands for, if it does.
    """

    def __init__(self, store: Store, ports: Mapping[int, Kind | None]) -> None:
        self._store = store
        self._ports = ports
        self._fetcher: Fetcher | None = None

    @asynccontextmanager
    async def open(self, request: Request, *, by_key: bool = False) -> AsyncIterator[Source]:
        """The source of a request, for the time of a copy.

        Arguments:
            request: the request that copies, authorized for what it makes.
            by_key: whether the key that signed the request opens the sources in its own account
                and service as well.

        Raises:
            StorageError: there is no source, it may not be read, or a condition on it is not met.
        """
        if request.length:
            raise StorageError("InvalidInput", "What copies from a URL has no body.")
        url = _parsed(request.headers["x-ms-copy-source"])
        asked = {
            name: request.headers[header]
            for header, name in _ASKED.items()
            if header in request.headers
        }
        arrival = self._arrival(request, url, asked)
        if arrival is None:
            if self._fetcher is None:
                from batchai_quickstart.storage.fetch import Fetcher  # few copies need it

                self._fetcher = Fetcher()
            async with self._fetcher.open(request, url, asked) as source:
                yield source
        else:
            descriptor, source = self._here(request, arrival, url, by_key=by_key)
            try:
                yield source
            finally:
                os.close(descriptor)

    # What is here.

    def _arrival(
        self, request: Request, url: SplitResult, asked: Mapping[str, str]
    ) -> Arrival | None:
        """The request for a URL of this service; None when it is one of another.

        An account that is here wins over a machine that has its name, whatever the port: Azure's
        command line makes its sources of the account's name alone.
        """
        host, port = url.hostname or "", _port(url)
        account = account_in_host(host)
        if any(each.name == account for each in self._store.accounts()):
            port_kind = None
        elif (host, port) == (met := _met(request, url)):
            port_kind = request.port_kind
        elif port in self._ports and (host == met[0] or _is_loopback(host)):
            port_kind = self._ports[port]
        else:
            return None
        return Arrival(
            method="GET",
            raw_path=url.path,
            query=url.query.encode(),
            headers={"host": url.netloc, "x-ms-version": request.version, **asked},
            receive=request.receive,
            client=request.client,
            scheme=url.scheme,
            port_kind=port_kind,
            id=request.id,
        )

    def _here(
        self, request: Request, arrival: Arrival, url: SplitResult, *, by_key: bool
    ) -> tuple[int, Source]:
        try:
            source = addressed(self._store, arrival)
            own = (
                by_key
                and "authorization" in request.headers
                and (source.kind, source.account) == (request.kind, request.account)
                and "sig" not in source.query
            )
        except (StorageError, ForeignServiceError) as error:
            raise _unreadable(error) from None
        try:
            descriptor, volume = self._opened(source, own=own)
        except (StorageError, RequestError) as error:
            if own:
                raise
            raise _unreadable(error) from None
        try:
            entry = opened(self._store, volume, source.path, descriptor)
            source.guard = partial(self._guard, source, volume)
            try:
                check_conditions(source, entry.status)
            except NotModifiedError:
                raise StorageError("SourceConditionNotMet") from None
            except StorageError as error:
                unmet = error.code == "ConditionNotMet"
                raise StorageError("SourceConditionNotMet") if unmet else error from None
            whole = (0, entry.status.st_size)
            wanted = requested_range(source)
            part = whole if wanted is None else span(wanted, entry.status.st_size)
            said = entry.said if part == whole else entry.said.without_content()
            return descriptor, Source(
                url=bare(url),
                length=part[1],
                said=said,
                pour=partial(_pour, source, descriptor, entry.status, part),
                status=entry.status,
                knows_tags=own or "t" in (source.permissions or ()),
            )
        except BaseException:
            os.close(descriptor)
            raise

    def _opened(self, source: Request, *, own: bool) -> tuple[int, Volume]:
        if not own:
            facts = self._store.facts_of(source.account.name, source.kind, source.volume)
            authorize(source, _READ, facts)
        if found := sorted(_NO_OBJECTS & source.query.keys()):
            raise StorageError("UnsupportedQueryParameter", f"{', '.join(found)}.")
        volume = self._store.volume(source.account.name, source.kind, source.volume)
        try:
            return volume.open(volume.segments(source.path)), volume
        except (FileNotFoundError, NotADirectoryError):
            raise not_found(source) from None

    def _guard(self, source: Request, volume: Volume) -> None:
        leases.guard(
            self._store, volume, source.path, source.headers, "x-ms-lease-id", writes=False
        )
        check_tags(self._store, source, volume)


def _parsed(text: str) -> SplitResult:
    try:
        if not _URL.fullmatch(text):
            raise ValueError(text)
        url = urlsplit(text)
        if not url.hostname or url.fragment or "@" in url.netloc:
            raise ValueError(text)
        _port(url)
    except ValueError:
        meant = "a percent-encoded http or https URL of 2 KiB at most"
        raise StorageError(
            "InvalidHeaderValue", f"x-ms-copy-source is {text[:200]!r}, not {meant}."
        ) from None
    return url


def _port(url: SplitResult) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _met(request: Request, url: SplitResult) -> tuple[str, int]:
    """Host and port where a request came in, by its own word; by default the port is a URL's."""
    try:
        met = urlsplit(f"{url.scheme}://{request.headers.get('host', '')}")
        return met.hostname or "", _port(met)
    except ValueError:
        return "", 0


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def bare(url: SplitResult) -> str:
    """A URL without the signature that may be in it."""
    return url._replace(query="").geturl()


def _unreadable(error: StorageError | RequestError | ForeignServiceError) -> StorageError:
    """The error of a request to the source, as the copy's own."""
    if isinstance(error, ForeignServiceError):
        return StorageError("CannotVerifyCopySource", str(error))
    return refused(error.status, error.code, error.message)


def refused(status: int, code: str, message: str) -> StorageError:
    """The error of a copy whose source was refused.

    Arguments:
        status: of the answer of the source's server.
        code: of the error in it, if any.
        message: what went wrong.
    """
    headers = [("x-ms-copy-source-status-code", str(status))]
    if code:
        headers.append(("x-ms-copy-source-error-code", code))
    own = {401: 403}.get(status, status)
    return StorageError(
        "CannotVerifyCopySource",
        message,
        headers=tuple(headers),
        status=own if 400 <= own < 600 else None,
    )


async def _pour(
    source: Request,
    descriptor: int,
    before: os.stat_result,
    part: tuple[int, int],
    target: int,
    place: int,
    /,
    *,
    md5: bool = False,
    crc64: bool = False,
) -> Sums:
    """`Pour` for a file here."""
    counted = Sum(
        md5=md5 or "content-md5" in source.headers, crc64=crc64 or CRC64 in source.headers
    )
    copying = partial(_copy, descriptor, before, part, target, place, counted)
    if part[1] <= SMALL:
        sums = copying()
    else:
        thread = asyncio.ensure_future(asyncio.to_thread(copying))
        try:
            sums = await asyncio.shield(thread)
        finally:
            await asyncio.wait([thread])  # or it went on with descriptors that are closed by then
    check(sums, source.headers)
    return sums


def _copy(
    source: int,
    before: os.stat_result,
    part: tuple[int, int],
    target: int,
    place: int,
    counted: Sum,
) -> Sums:
    start, length = part
    try:
        _copy_data(source, start, target, place, length)
        for offset in range(0, length if counted.wanted else 0, PIECE):
            counted.update(os.pread(target, min(PIECE, length - offset), place + offset))
    except EOFError:
        changed = True
    else:
        after = os.fstat(source)
        # A file that only grew, a log, is copied as it was at first.
        changed = after.st_size < before.st_size or (
            after.st_size == before.st_size and after.st_mtime_ns != before.st_mtime_ns
        )
    if changed:
        raise StorageError("SourceConditionNotMet", "The source changed while it was copied.")
    return counted.sums()


def _copy_data(source: int, start: int, target: int, place: int, length: int) -> None:
    """Copy a part of a file into one that has nothing there yet, and leave its holes holes."""
    end, position = start + length, start
    while position < end:
        try:
            data = os.lseek(source, position, os.SEEK_DATA)
            hole = os.lseek(source, data, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                break
            data, hole = position, end
        if data < end:
            copy(source, data, target, place + data - start, min(hole, end) - data)
        position = hole
    if length and os.fstat(target).st_size < place + length:
        write(target, [b"\0"], place + length - 1)


def abort(store: Store, request: Request) -> Response:
    """Abort Copy Blob and Abort Copy File, for whom there is nothing left to do.

    Raises:
        StorageError: always; that no copy is pending where the request itself is right.
    """
    if request.headers.get("x-ms-copy-action", "").lower() != "abort":
        raise StorageError("MissingRequiredHeader", "x-ms-copy-action: abort.")
    if not request.query.get("copyid"):
        raise StorageError("MissingRequiredQueryParameter", "copyid.")
    volume = store.volume(request.account.name, request.kind, request.volume)
    status = volume.stat(volume.segments(request.path))
    if status is None or not stat.S_ISREG(status.st_mode):
        raise not_found(request)
    raise StorageError("NoPendingCopyOperation")
