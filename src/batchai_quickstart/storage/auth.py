"""Who may do what: Shared Key, and the way to shared access signatures.

A signature covers the request as it was sent, so everything here works on raw paths and header
values and compares in constant time. Both keys of an account sign.
"""

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final, Literal

from batchai_quickstart.storage import sas
from batchai_quickstart.storage.protocol import Request, StorageError
from batchai_quickstart.storage.signing import signed_by
from batchai_quickstart.storage.store import VolumeFacts

CLOCK_SKEW: Final = 15 * 60
"""Seconds a signed request's date may lie in the past or future."""

_SIGNED_HEADERS = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)


@dataclass(frozen=True, slots=True)
class Right:
    """What an operation needs of a shared access signature.

    Arguments:
        level: resource type of an account signature: `s`ervice, `c`ontainer or `o`bject.
        account: letters of which an account signature must grant one.
        service: letters of which a signature for one resource must grant one; empty when such
            signatures do not reach the operation.
        public: `blob` when everybody may do it in a container with public access to blobs,
            `container` when only in one with public access to all of it.
    """

    level: Literal["s", "c", "o"]
    account: str
    service: str = ""
    public: Literal["", "blob", "container"] = ""


def authorize(
    request: Request, right: Right, facts: VolumeFacts | None, *, now: float | None = None
) -> None:
    """Let a request through, or not.

    Sets `request.permissions` to what a shared access signature grants.

    Arguments:
        request: the request.
        right: what its operation needs.
        facts: of the container or share it is about; None when there is none.
        now: seconds since the epoch; the clock by default.

    Raises:
        StorageError: it is not signed, not rightly signed, or not allowed to do this.
    """
    moment = time.time() if now is None else now
    header = request.headers.get("authorization")
    if header is not None:
        _shared_key(request, header, moment)
    elif "sig" in request.query:
        policies = facts.policies if facts is not None else ()
        sas.verify(request, right.level, right.account, right.service, policies, now=moment)
    elif facts is None or not facts.access or right.public not in ("blob", facts.access):
        raise StorageError("AuthenticationFailed", "There is no Authorization and no signature.")


def _shared_key(request: Request, header: str, now: float) -> None:
    scheme, _, credential = header.partition(" ")
    if scheme not in ("SharedKey", "SharedKeyLite"):
        raise StorageError("InvalidAuthenticationInfo", "Use SharedKey, SharedKeyLite or a SAS.")
    name, _, signature = credential.strip().partition(":")
    # Given an endpoint with a path, the official clients take all of the path for the account.
    if name not in (request.account.name, f"{request.kind}/{request.account.name}"):
        raise StorageError("AuthenticationFailed", f"It is signed for the account {name!r}.")
    _check_date(request.headers.get("x-ms-date") or request.headers.get("date", ""), now)
    lite = scheme == "SharedKeyLite"
    for canonical in _canonical_headers(request.headers):
        text = (_lite_text if lite else _text)(request, name, canonical)
        if signed_by(request.account, text, signature):
            return
    raise StorageError("AuthenticationFailed", "The signature is not the one of either key.")


def _check_date(date: str, now: float) -> None:
    try:
        stated = parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        raise StorageError(
            "AuthenticationFailed", f"The request has no valid date: {date!r}."
        ) from None
    if abs(stated - now) > CLOCK_SKEW:
        raise StorageError(
            "AuthenticationFailed", f"Its date {date!r} is more than 15 minutes off."
        )


def _canonical_headers(headers: dict[str, str]) -> list[str]:
    """The x-ms-* headers in the order of their names, once for each order in use.

    Clients differ: most sort by code point, others as the service's own text collation does,
    which does not look at hyphens at first.
    """
    names = [name for name in headers if name.startswith("x-ms-")]
    orders = [sorted(names), sorted(names, key=lambda name: (name.replace("-", ""), name))]
    if orders[0] == orders[1]:
        orders.pop()
    return ["".join(f"{name}:{headers[name]}\n" for name in order) for order in orders]


def _text(request: Request, name: str, canonical_headers: str) -> str:
    values = [request.headers.get(name, "") for name in _SIGNED_HEADERS]
    if values[2] == "0":
        values[2] = ""
    if "x-ms-date" in request.headers:
        values[5] = ""
    query = "".join(f"\n{name}:{request.query[name]}" for name in sorted(request.query))
    resource = f"/{name}{request.raw_path}{query}"
    return "\n".join((request.method, *values, canonical_headers + resource))


def _lite_text(request: Request, name: str, canonical_headers: str) -> str:
    headers = request.headers
    date = "" if "x-ms-date" in headers else headers.get("date", "")
    comp = f"?comp={request.query['comp']}" if "comp" in request.query else ""
    resource = f"/{name}{request.raw_path}{comp}"
    first = (request.method, headers.get("content-md5", ""), headers.get("content-type", ""), date)
    return "\n".join((*first, canonical_headers + resource))
