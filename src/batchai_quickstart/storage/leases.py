"""Leases: the exclusive right to change a blob, a file, or to delete a volume, for a time.

The rules are the outcome tables of "Lease Blob", "Lease Container", "Lease File" and "Lease Share"
in Azure's REST reference, as functions from a lease and a time to the next lease.
"""

import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from batchai_quickstart.storage.protocol import (
    Request,
    Response,
    StorageError,
    check_conditions,
    etag,
    http_date,
    last_modified,
    number,
)
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.volume import Kind, Volume

State = Literal["available", "leased", "expired", "breaking", "broken"]

INFINITE: Final = -1
_SHORTEST: Final = 15
_LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was acquired and not released.

    Arguments:
        id: who has it may use it.
        duration: seconds, or `INFINITE`.
        begun: when it was acquired or renewed, in seconds since the epoch.
        ends: when a break takes effect, in seconds since the epoch; None while not broken.
    """

    id: str
    duration: int
    begun: float
    ends: float | None = None

    def state(self, now: float) -> State:
        """What the lease is at a moment, in seconds since the epoch."""
        if self.ends is not None:
            return "breaking" if now < self.ends else "broken"
        return "leased" if self.remaining(now) > 0 else "expired"

    def remaining(self, now: float) -> float:
        """Seconds until it ends by itself."""
        return float("inf") if self.duration == INFINITE else self.begun + self.duration - now

    def to_json(self) -> dict[str, Any]:
        """The members by name."""
        return asdict(self)


def described(lease: Lease | None, now: float) -> dict[str, str]:
    """`status`, `state` and, of a lease that holds, `duration`: the words of the wire."""
    state = lease.state(now) if lease is not None else "available"
    locked = state in ("leased", "breaking")
    words = {"status": "locked" if locked else "unlocked", "state": state}
    if lease is not None and state == "leased":
        words["duration"] = "infinite" if lease.duration == INFINITE else "fixed"
    return words


def check_use(
    lease: Lease | None, given: str | None, subject: str, *, writes: bool, now: float
) -> None:
    """Hold a request that uses something against the lease on it.

    Arguments:
        lease: the lease; None when there is none.
        given: the lease id that the request names.
        subject: `Blob`, `Container`, `File` or `Share`: a part of the error's code.
        writes: whether the request needs the lease of something that is leased.
        now: seconds since the epoch.

    Raises:
        StorageError: 412, for want of the right lease id.
    """
    state = lease.state(now) if lease is not None else "available"
    holds = state in ("leased", "breaking")
    if given is None:
        if holds and writes:
            raise StorageError("LeaseIdMissing")
        return
    given = _canonical(given, "x-ms-lease-id")
    if lease is None or (not holds and given != lease.id):
        raise StorageError(f"LeaseNotPresentWith{subject}Operation")
    if not holds:
        raise StorageError("LeaseLost")
    if given != lease.id:
        raise StorageError(f"LeaseIdMismatchWith{subject}Operation")


def change(
    lease: Lease | None, headers: Mapping[str, str], kind: Kind, *, is_volume: bool, now: float
) -> tuple[Lease | None, int, tuple[tuple[str, str], ...]]:
    """What a Lease operation makes of a lease.

    Arguments:
        lease: the lease there is.
        headers: of the request, by lower-case name.
        kind: of the service; leases of single files are infinite.
        is_volume: whether a container or a share is leased.
        now: seconds since the epoch.

    Returns:
        The next lease, and the status and headers of the answer.

    Raises:
        StorageError: 409 when the lease is not in a state for it, 400 for a bad header.
    """
    action = headers.get("x-ms-lease-action", "").lower()
    given = headers.get("x-ms-lease-id")
    proposed = headers.get("x-ms-proposed-lease-id")
    if action == "acquire":
        duration = _duration(headers, only_infinite=kind is Kind.FILE and not is_volume)
        name = str(uuid.uuid4()) if proposed is None else _canonical(proposed, _PROPOSED)
        made = _acquired(lease, name, duration, now)
        return made, 201, (("x-ms-lease-id", made.id),)
    if action == "break":
        broken = _broken(lease, _period(headers), now)
        left = max(0, round((broken.ends or now) - now))
        return broken, 202, (("x-ms-lease-time", str(left)),)
    if action not in ("renew", "change", "release"):
        raise StorageError("InvalidHeaderValue", f"x-ms-lease-action is {action!r}.")
    if given is None:
        raise StorageError("MissingRequiredHeader", "x-ms-lease-id.")
    given = _canonical(given, "x-ms-lease-id")
    if lease is None:
        raise StorageError("LeaseNotPresentWithLeaseOperation")
    state = lease.state(now)
    if action == "change":
        if proposed is None:
            raise StorageError("MissingRequiredHeader", f"{_PROPOSED}.")
        proposed = _canonical(proposed, _PROPOSED)
        if state == "breaking":
            raise StorageError("LeaseIsBreakingAndCannotBeChanged")
        if state != "leased":
            raise StorageError("LeaseNotPresentWithLeaseOperation")
        if lease.id not in (given, proposed):
            raise StorageError("LeaseIdMismatchWithLeaseOperation")
        return replace(lease, id=proposed), 200, (("x-ms-lease-id", proposed),)
    if lease.id != given:
        raise StorageError("LeaseIdMismatchWithLeaseOperation")
    if action == "release":
        return None, 200, ()
    if state in ("breaking", "broken"):
        raise StorageError("LeaseIsBrokenAndCannotBeRenewed")
    return replace(lease, begun=now), 200, (("x-ms-lease-id", lease.id),)


def lease_of(store: Store, volume: Volume, path: str) -> Lease | None:
    """The lease on something of a volume; an empty path is the volume itself."""
    members = store.lease(volume, path)
    return None if members is None else Lease(**members)


def lease_headers(store: Store, volume: Volume, path: str) -> tuple[tuple[str, str], ...]:
    """The `x-ms-lease-*` headers of something, for its properties."""
    words = described(lease_of(store, volume, path), time.time())
    return tuple((f"x-ms-lease-{name}", word) for name, word in words.items())


def lease_elements(store: Store, volume: Volume, path: str) -> str:
    """The `Lease*` elements of something, for a listing."""
    words = described(lease_of(store, volume, path), time.time())
    return "".join(
        f"<Lease{name.title()}>{word}</Lease{name.title()}>" for name, word in words.items()
    )


def guard(
    store: Store,
    volume: Volume,
    path: str,
    headers: Mapping[str, str],
    header: str,
    *,
    writes: bool,
) -> None:
    """Hold a request against the lease on something it uses.

    A write into something whose lease has ended ends the memory of that lease.

    Arguments:
        store: where the lease is.
        volume: what is used, or what it is in.
        path: of what is used; empty for the volume itself.
        headers: of the request.
        header: the one that names the lease id, `x-ms-lease-id` for most.
        writes: whether the request needs the lease of something that is leased.

    Raises:
        StorageError: 412, for want of the right lease id.
    """
    lease, now = lease_of(store, volume, path), time.time()
    if lease is not None and volume.stat(volume.segments(path)) is None:
        store.set_lease(volume, path, None)  # what was leased is gone: a job removed it
        lease = None
    check_use(lease, headers.get(header), _subject(volume, path), writes=writes, now=now)
    if lease is not None and writes and lease.state(now) in ("expired", "broken"):
        store.set_lease(volume, path, None)


class Leases:
    """The Lease operation on containers, blobs, shares and files.

    Arguments:
        store: where everything is.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def lease(self, request: Request) -> Response:
        """Lease Container, Lease Blob, Lease Share, Lease File.

        Raises:
            StorageError: it is not there, or its lease is not in a state for that.
        """
        store, path = self._store, request.path
        volume = store.volume(request.account.name, request.kind, request.volume)
        facts = store.facts(volume)
        tag, modified = facts.etag, facts.modified
        if path:
            try:
                descriptor = volume.open(volume.segments(path))
            except IsADirectoryError:
                raise StorageError("ResourceTypeMismatch") from None
            except (FileNotFoundError, NotADirectoryError):
                missing = "BlobNotFound" if request.kind is Kind.BLOB else "ResourceNotFound"
                raise StorageError(missing) from None
            try:
                status = os.fstat(descriptor)
            finally:
                os.close(descriptor)
            check_conditions(request, status)
            tag, modified = etag(status), last_modified(request.kind, status)
        after, code, headers = change(
            lease_of(store, volume, path),
            request.headers,
            request.kind,
            is_volume=not path,
            now=time.time(),
        )
        store.set_lease(volume, path, None if after is None else after.to_json())
        version = (("etag", tag), ("last-modified", http_date(int(modified))))
        return Response(code, (*version, *headers))


def _subject(volume: Volume, path: str) -> str:
    """What is leased, as the codes of lease errors have it."""
    if path:
        return "Blob" if volume.kind is Kind.BLOB else "File"
    return "Container" if volume.kind is Kind.BLOB else "Share"


_PROPOSED: Final = "x-ms-proposed-lease-id"


def _acquired(lease: Lease | None, name: str, duration: int, now: float) -> Lease:
    state = lease.state(now) if lease is not None else "available"
    if lease is not None and state == "breaking" and lease.id == name:
        raise StorageError("LeaseIsBreakingAndCannotBeAcquired")
    if lease is not None and state in ("leased", "breaking") and lease.id != name:
        raise StorageError("LeaseAlreadyPresent")
    return Lease(name, duration, now)


def _broken(lease: Lease | None, period: int | None, now: float) -> Lease:
    if lease is None:
        raise StorageError("LeaseNotPresentWithLeaseOperation")
    state = lease.state(now)
    if state == "broken":
        return lease
    if state == "expired":
        return replace(lease, ends=now)
    left = lease.remaining(now) if lease.ends is None else lease.ends - now
    if period is not None:
        left = min(left, period)
    return replace(lease, ends=now + (0 if left == float("inf") else left))


def _canonical(text: str, header: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise StorageError("InvalidHeaderValue", f"{header} is {text!r}: no GUID.") from None


def _duration(headers: Mapping[str, str], *, only_infinite: bool) -> int:
    text = headers.get("x-ms-lease-duration", str(INFINITE) if only_infinite else None)
    if text is None:
        raise StorageError("MissingRequiredHeader", "x-ms-lease-duration.")
    if text == str(INFINITE):
        return INFINITE
    seconds = number(text)
    if seconds is None or not _SHORTEST <= seconds <= _LONGEST or only_infinite:
        meant = "-1" if only_infinite else f"{_SHORTEST} to {_LONGEST} seconds, or -1"
        found = f"x-ms-lease-duration is {text[:80]!r}"
        raise StorageError("InvalidHeaderValue", f"{found}, not {meant}.")
    return seconds


def _period(headers: Mapping[str, str]) -> int | None:
    text = headers.get("x-ms-lease-break-period")
    if text is None:
        return None
    seconds = number(text)
    if seconds is None or seconds > _LONGEST:
        raise StorageError("InvalidHeaderValue", f"x-ms-lease-break-period is {text[:80]!r}.")
    return seconds
