"""What Blob and Files have in common on the wire: requests, errors, answers, conditions, ranges.

Errors are a table, not a class each: `StorageError("BlobNotFound")` knows its status and text.
"""

import asyncio
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache
from typing import Final
from urllib.parse import quote_from_bytes, unquote
from xml.sax.saxutils import escape

from starlette.types import Receive

from batchai_quickstart.storage.store import Account
from batchai_quickstart.storage.volume import Kind

VERSION: Final = "2026-10-06"
"""Announced to clients that name no version of their own."""

ERRORS: Final[dict[str, tuple[int, str]]] = {
    "AuthenticationFailed": (403, "The request is not signed, or not with a key of the account."),
    "AuthorizationFailure": (403, "This request is not authorized to perform this operation."),
    "AuthorizationPermissionMismatch": (403, "The signature does not grant this permission."),
    "AuthorizationProtocolMismatch": (403, "The signature is for https only."),
    "AuthorizationResourceTypeMismatch": (403, "The signature is for another resource type."),
    "AuthorizationServiceMismatch": (403, "The signature is for another service."),
    "AuthorizationSourceIPMismatch": (403, "The signature is for another address."),
    "BlobAlreadyExists": (409, "The specified blob already exists."),
    "AppendPositionConditionNotMet": (412, "The append position condition is not met."),
    "BlobIsSealed": (409, "The append blob is sealed: nothing can be added to it."),
    "BlobNotFound": (404, "The specified blob does not exist."),
    "BlockCountExceedsLimit": (409, "The blob has as many blocks as it can have."),
    "BothUserTagsAndSourceTagsCopyPresentException": (
        409,
        "Tags are either given or taken from the source.",
    ),
    "CannotVerifyCopySource": (400, "The source of the copy cannot be read."),
    "ConditionNotMet": (412, "The condition specified by the conditional headers is not met."),
    "CannotDeleteFileOrDirectory": (409, "The file or directory is read-only: it stays."),
    "ContainerAlreadyExists": (409, "The specified container already exists."),
    "ContainerNotFound": (404, "The specified container does not exist."),
    "DirectoryNotEmpty": (409, "The specified directory is not empty."),
    "FileInvalidPermission": (400, "The specified file permission is not valid."),
    "FileInvalidPermissionKey": (400, "The share has no file permission of that key."),
    "InsufficientAccountPermissions": (403, "Write operations are not allowed."),
    "InternalError": (500, "The server encountered an internal error."),
    "InvalidAuthenticationInfo": (401, "The authentication scheme is not supported."),
    "InvalidBlobOrBlock": (400, "The specified blob or block content is invalid."),
    "InvalidBlockList": (400, "The specified block list is invalid."),
    "InvalidHeaderValue": (400, "The value of an HTTP header is not in the correct format."),
    "InvalidInput": (400, "An input of the request is not valid."),
    "InvalidMetadata": (400, "The metadata specified is invalid."),
    "InvalidQueryParameterValue": (400, "The value of a query parameter is not valid."),
    "InvalidRange": (416, "The range specified is invalid for the current size of the resource."),
    "InvalidResourceName": (400, "The specified resource name is not valid."),
    "InvalidBlobType": (409, "The blob type is invalid for this operation."),
    "InvalidTag": (400, "The tags specified are invalid."),
    "InvalidUri": (400, "The requested URI does not represent any resource."),
    "InvalidXmlDocument": (400, "The XML document of the request is not valid."),
    "LeaseAlreadyPresent": (409, "There is already a lease present."),
    "LeaseIdMissing": (412, "There is a lease, and the request names no lease id."),
    "LeaseIsBreakingAndCannotBeAcquired": (409, "The lease is being broken: acquire it later."),
    "LeaseIsBreakingAndCannotBeChanged": (409, "The lease is being broken: it cannot be changed."),
    "LeaseIsBrokenAndCannotBeRenewed": (409, "The lease was broken: it cannot be renewed."),
    "LeaseIdMismatchWithLeaseOperation": (409, "The lease id is not the one of the lease."),
    "LeaseLost": (412, "The lease has expired or was broken."),
    "LeaseNotPresentWithLeaseOperation": (409, "There is currently no lease."),
    **{
        f"LeaseIdMismatchWith{subject}Operation": (
            412,
            f"The lease id is not the one of the lease on the {subject.lower()}.",
        )
        for subject in ("Blob", "Container", "File", "Share")
    },
    **{
        f"LeaseNotPresentWith{subject}Operation": (
            412,
            f"There is currently no lease on the {subject.lower()}.",
        )
        for subject in ("Blob", "Container", "File", "Share")
    },
    "CorsPreflightFailure": (403, "CORS is not enabled, or no rule allows this request."),
    "Crc64Mismatch": (400, "The CRC64 of the body is not the one the request names."),
    "Md5Mismatch": (400, "The MD5 of the body is not the one the request names."),
    "MaxBlobSizeConditionNotMet": (412, "The max blob size condition is not met."),
    "MissingContentLengthHeader": (411, "The Content-Length header was not specified."),
    "MissingRequiredHeader": (400, "A header that is required was not specified."),
    "MissingRequiredQueryParameter": (400, "A query parameter that is required is missing."),
    "NoPendingCopyOperation": (409, "There is currently no pending copy operation."),
    "NotImplemented": (501, "The operation is not implemented here."),
    "OutOfRangeInput": (400, "One of the request inputs is out of range."),
    "OutOfRangeQueryParameterValue": (400, "A query parameter is outside the permitted range."),
    "ParentNotFound": (404, "The specified parent path does not exist."),
    "PublicAccessNotPermitted": (409, "Public access is not permitted on this account."),
    "ReadOnlyAttribute": (409, "The specified resource is read-only and cannot be changed."),
    "RequestBodyTooLarge": (413, "The request body is too large."),
    "ResourceAlreadyExists": (409, "The specified resource already exists."),
    "ResourceNotFound": (404, "The specified resource does not exist."),
    "ResourceTypeMismatch": (409, "A file is where a directory is needed, or the other way round."),
    "ShareAlreadyExists": (409, "The specified share already exists."),
    "ShareNotFound": (404, "The specified share does not exist."),
    "SourceConditionNotMet": (412, "A condition on the source of the copy is not met."),
    "UnauthorizedBlobOverwrite": (403, "The signature does not allow overwriting a blob."),
    "UnsupportedHeader": (400, "A header of the request is not supported here."),
    "UnsupportedHttpVerb": (405, "The resource does not support the HTTP verb."),
    "UnsupportedQueryParameter": (400, "A query parameter is not supported here."),
}
"""Code -> (status, message), the codes Azure uses."""


class StorageError(Exception):
    """An answer of the storage protocol that is an error.

    Arguments:
        code: a key of `ERRORS`.
        detail: what was found in this request; appended to the code's own message.
        headers: added to the answer.
        status: of the answer, where it is not the one the code mostly has.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        headers: tuple[tuple[str, str], ...] = (),
        status: int | None = None,
    ) -> None:
        self.code = code
        usual, text = ERRORS[code]
        self.status = status or usual
        self.message = f"{text} {detail}".rstrip()
        self.headers = headers
        super().__init__(self.message)


@dataclass(slots=True)
class Request:
    """One request, addressed and taken apart.

    Arguments:
        method: the HTTP verb.
        kind: which service it speaks to.
        account: the account in its address.
        volume: container or share; empty for the service itself.
        path: of the blob, file or directory, decoded; empty for the volume itself.
        raw_path: the path as it was sent, which is what signatures cover.
        query: decoded values by lower-case name.
        headers: values by lower-case name.
        client: the peer's address, empty when unknown.
        scheme: http or https.
        id: `x-ms-request-id` of the answer.
        permissions: the letters a shared access signature grants; None grants everything.
        overrides: response headers a shared access signature sets.
        waits: whether the preference `wait` is honoured.
        guard: raises while a lease forbids the request; asked whenever conditions are.
        version: of the protocol, which the answer names again.
        port_kind: the service its port stands for, whose addresses name none; see `addresses`.
        spelling: names of headers as they were written, by lower-case name, where they differ.
        secondary: whether it came to the account's second address.
    """

    method: str
    kind: Kind
    account: Account
    volume: str
    path: str
    raw_path: str
    query: dict[str, str]
    headers: dict[str, str]
    receive: Receive
    client: str = ""
    scheme: str = "http"
    id: str = ""
    permissions: frozenset[str] | None = None
    overrides: tuple[tuple[str, str], ...] = ()
    waits: bool = False
    guard: Callable[[], None] | None = None
    version: str = VERSION
    port_kind: Kind | None = None
    spelling: Mapping[str, str] = field(default_factory=dict)
    secondary: bool = False

    @property
    def length(self) -> int:
        """The announced length of the body, 0 when there is none."""
        text = self.headers.get("content-length", "0")
        if (length := number(text)) is None:
            raise StorageError("InvalidHeaderValue", f"Content-Length is {text[:80]!r}.")
        return length

    def flag(self, name: str) -> bool:
        """The value of a header that is `true` or `false`; false when it is not there."""
        text = self.headers.get(name, "false").lower()
        if text not in ("true", "false"):
            raise StorageError("InvalidHeaderValue", f"{name} is {text[:80]!r}: true or false.")
        return text == "true"

    def metadata(self) -> dict[str, str]:
        """The `x-ms-meta-*` headers, by the name that follows the prefix, capitals and all."""
        found = {
            self.spelling.get(name, name)[10:]: value
            for name, value in self.headers.items()
            if name.startswith("x-ms-meta-")
        }
        for name in found:
            if not (name.isascii() and name.isidentifier()):
                raise StorageError("InvalidMetadata", f"{name!r} is not an identifier.")
        return found

    async def left(self) -> None:
        """Return when the client has closed the connection."""
        while (await self.receive())["type"] != "http.disconnect":
            pass


@dataclass(frozen=True, slots=True)
class Span:
    """A part of an open file, sent as the body of an answer and closed afterwards."""

    descriptor: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: status, headers beside the ones every answer has, body."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | Span = field(default=b"")


# Queries.


def number(text: str) -> int | None:
    """A number in decimal digits as the wire has them; None for anything else."""
    # No length and no count has more digits, and Python refuses to read thousands of them.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None


def parse_query(raw: bytes) -> dict[str, str]:
    """Decoded values by lower-case name; a repeated name has its values joined by commas."""
    found: dict[str, str] = {}
    for pair in raw.decode("latin-1").split("&"):
        name, _, value = pair.partition("=")
        if name:
            name, value = unquote(name).lower(), unquote(value)
            found[name] = f"{found[name]},{value}" if name in found else value
    return found


# Times and tags.


@lru_cache(4096)
def http_date(seconds: int) -> str:
    """A time in the form of HTTP headers."""
    # A job may give a file any time, and years have four digits.
    return formatdate(min(max(seconds, _FIRST_SECOND), _LAST_SECOND), usegmt=True)


_FIRST_SECOND, _LAST_SECOND = -62135596800, 253402300799


def precise_time(nanoseconds: int) -> str:
    """A time as Azure Files writes it: seven digits of a second, UTC."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{moment}.{fraction // 100:07d}Z"


def etag(status: os.stat_result) -> str:
    """The entity tag of a file's content, in double quotes: new whenever the file changed."""
    return f'"0x{(status.st_size << 64) | status.st_mtime_ns:X}"'


def last_modified(kind: Kind, status: os.stat_result) -> int:
    """When a file changed as its service has it, in seconds since the epoch.

    To Files, what is said of a file is a part of it, and the time of its last write can be set at
    will; so the time is the system's own time of change.
    """
    return int(status.st_mtime if kind is Kind.BLOB else status.st_ctime)


def check_conditions(request: Request, status: os.stat_result | None) -> None:
    """Hold a request against its If-* headers.

    Arguments:
        request: the request.
        status: of the file it is about; None when there is none.

    Raises:
        StorageError: 304 for a read of something not modified, 409 for creating what exists,
            412 otherwise, and what `request.guard` raises.
    """
    if request.guard is not None:
        request.guard()
    headers = request.headers
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    reading = request.method in ("GET", "HEAD")
    if none_match is not None and status is not None and _matches(none_match, status):
        if reading:
            raise NotModifiedError(request.kind, status)
        if none_match.strip() == "*":
            raise StorageError(
                "BlobAlreadyExists" if request.kind is Kind.BLOB else "ResourceAlreadyExists"
            )
        raise StorageError("ConditionNotMet")
    if match is not None and (status is None or not _matches(match, status)):
        raise StorageError("ConditionNotMet")
    if status is None:
        return
    modified = last_modified(request.kind, status)
    unmodified = headers.get("if-unmodified-since") if match is None else None
    if unmodified and modified > _seconds(unmodified):
        raise StorageError("ConditionNotMet")
    changed = headers.get("if-modified-since") if none_match is None else None
    if changed and modified <= _seconds(changed):
        raise NotModifiedError(request.kind, status) if reading else StorageError("ConditionNotMet")


class NotModifiedError(Exception):
    """A conditional read of something that is still the same: 304."""

    def __init__(self, kind: Kind, status: os.stat_result) -> None:
        super().__init__("not modified")
        modified = http_date(last_modified(kind, status))
        self.headers = (("etag", etag(status)), ("last-modified", modified))


def _matches(tags: str, status: os.stat_result) -> bool:
    wanted = [tag.strip().removeprefix("W/").strip('"') for tag in tags.split(",")]
    return "*" in wanted or etag(status).strip('"') in wanted


def _seconds(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        raise StorageError("InvalidHeaderValue", f"{date[:80]!r} is not a date.") from None


# Ranges and preferences.

_RANGE = re.compile(r"bytes=([0-9]{0,20})-([0-9]{0,20})")


def requested_range(request: Request) -> tuple[int | None, int | None] | None:
    """First and last byte asked for; (None, n) asks for the last n; None is the whole.

    `x-ms-range` goes before `Range`, which is what the storage clients and plain HTTP clients
    send. A `Range` this service does not understand is ignored, as HTTP has it.
    """
    own = request.headers.get("x-ms-range")
    text = own if own is not None else request.headers.get("range")
    if text is None:
        return None
    match = _RANGE.fullmatch(text.strip())
    if match is None or match.groups() == ("", ""):
        if own is not None:
            raise StorageError("InvalidHeaderValue", f"x-ms-range is {own!r}.")
        return None
    first, last = (int(digits) if digits else None for digits in match.groups())
    if first is not None and last is not None and last < first:
        raise StorageError("InvalidHeaderValue", f"The range {text!r} ends before it begins.")
    return first, last


_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


def preferred_wait(request: Request) -> float | None:
    """Seconds of the preference `wait` (`Prefer: wait=30`, RFC 7240), at most 300."""
    for preference in request.headers.get("prefer", "").split(","):
        name, _, value = preference.partition("=")
        if name.strip().lower() == "wait":
            seconds = value.strip().strip('"')
            if not _SECONDS.fullmatch(seconds):
                raise StorageError("InvalidHeaderValue", f"Prefer is {preference!r}.")
            return min(float(seconds), 300.0)
    return None


# XML.

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def xml_name(name: str) -> str:
    """A `Name` element; percent-encoded, and marked so, when XML cannot hold the name."""
    if _NOT_XML.search(name):
        return f'<Name Encoded="true">{quote_from_bytes(os.fsencode(name))}</Name>'
    return f"<Name>{escape(name)}</Name>"


def xml_text(text: str) -> str:
    """Text of an element; what XML cannot hold is replaced."""
    return escape(_NOT_XML.sub("\ufffd", text))


def xml_metadata(metadata: dict[str, str]) -> str:
    """A `Metadata` element."""
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in metadata.items())
    return f"<Metadata>{inner}</Metadata>"


def xml_response(body: str, *, status: int = 200) -> Response:
    """An answer whose body is an XML document."""
    document = f'<?xml version="1.0" encoding="utf-8"?>{body}'.encode("utf-8", "replace")
    return Response(status, (("content-type", "application/xml"),), document)


def error_response(error: StorageError, request_id: str) -> Response:
    """The answer for an error: header and XML body, as Azure writes them."""
    moment = precise_time(time.time_ns())
    text = f"{error.message}\nRequestId:{request_id}\nTime:{moment}"
    body = f"<Error><Code>{error.code}</Code><Message>{xml_text(text)}</Message></Error>"
    answer = xml_response(body, status=error.status)
    headers = (*answer.headers, ("x-ms-error-code", error.code), *error.headers)
    return Response(error.status, headers, answer.body)


async def finished(task: "asyncio.Task[None]") -> None:
    """Cancel a task and wait until it has ended."""
    task.cancel()
    await asyncio.wait([task])
