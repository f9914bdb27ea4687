"""Shared access signatures: made for one file, and verified however they were made.

One function writes each text that is signed, so what is made here is verified by the same rules
as what Azure's own packages make.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlencode

from batchai_quickstart.storage.policies import Policy
from batchai_quickstart.storage.protocol import Request, StorageError
from batchai_quickstart.storage.signing import sign, signed_by
from batchai_quickstart.storage.store import Account
from batchai_quickstart.storage.volume import Kind

_VERSION: Final = "2026-04-06"
_OLDEST: Final = "2015-04-05"
_FORMATS = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S.%fZ")

_OVERRIDES: Final = {
    "rscc": "cache-control",
    "rscd": "content-disposition",
    "rsce": "content-encoding",
    "rscl": "content-language",
    "rsct": "content-type",
}
_DELEGATED = frozenset({"skoid", "sktid", "skt", "ske", "sks", "skv", "saoid", "suoid", "sduoid"})


def sign_read(
    account: Account,
    volume_kind: Kind,
    volume_name: str,
    path: str,
    *,
    expiry: datetime,
    permissions: str = "r",
) -> str:
    """The query string that gives access to one file or blob for a time.

    Arguments:
        account: whose first key signs.
        volume_kind: share or container.
        volume_name: its name.
        path: of the file in it, not percent-encoded.
        expiry: with a time zone; seconds are what counts.
        permissions: letters in the order of the official packages, for example `r` or `rl`.
    """
    query = {
        "sv": _VERSION,
        "se": expiry.astimezone(UTC).strftime(_FORMATS[0]),
        "sr": "b" if volume_kind is Kind.BLOB else "f",
        "sp": permissions,
    }
    resource = f"/{volume_kind}/{account.name}/{volume_name}/{path}"
    query["sig"] = sign(account.keys[0], _service_text(query, volume_kind, resource))
    return urlencode(query, quote_via=quote)


def verify(
    request: Request,
    level: str,
    account_letters: str,
    service_letters: str,
    policies: Iterable[Policy],
    *,
    now: float,
) -> None:
    """Hold a request against its signature, and note what the signature grants.

    Arguments:
        request: the request; its `permissions` and `overrides` are set.
        level: what an account signature must cover: `s`, `c` or `o`.
        account_letters: letters of which an account signature must grant one.
        service_letters: the same for a signature of one resource; empty when none reaches here.
        policies: the stored access policies of the container or share.
        now: seconds since the epoch.

    Raises:
        StorageError: the signature is wrong, out of its time, or does not cover the request.
    """
    query: Mapping[str, str] = request.query
    if query.get("sv", "") < _OLDEST:
        raise StorageError("AuthenticationFailed", "Its version (sv) is missing or too old.")
    if delegated := sorted(_DELEGATED & query.keys()):
        raise StorageError(
            "AuthenticationFailed", f"User delegation ({', '.join(delegated)}) is not used here."
        )
    for_account = "ss" in query
    text = _account_text(query, request) if for_account else _resource_text(query, request)
    if not signed_by(request.account, text, query["sig"]):
        raise StorageError("AuthenticationFailed", "The signature does not match the request.")
    if "si" in query:
        query = _with_policy(query, policies)
    _check_time(query, now)
    _check_origin(query, request)
    letters = service_letters
    if for_account:
        letters = account_letters
        if request.kind[0] not in query["ss"]:
            raise StorageError("AuthorizationServiceMismatch")
        if level not in query.get("srt", ""):
            raise StorageError("AuthorizationResourceTypeMismatch")
    elif not letters:
        raise StorageError("AuthorizationFailure", "Use an account key or an account signature.")
    granted = frozenset(query.get("sp", ""))
    if not granted & set(letters):
        raise StorageError("AuthorizationPermissionMismatch", f"It needs one of {letters!r}.")
    request.permissions = granted
    request.overrides = tuple(
        (header, _header_value(name, query[name]))
        for name, header in _OVERRIDES.items()
        if name in query
    )


def _header_value(name: str, text: str) -> str:
    """The text of a parameter as a header can have it."""
    if any(character < " " or character == "\x7f" for character in text):
        raise StorageError("InvalidQueryParameterValue", f"{name} has a control character.")
    return text.encode("utf-8", "replace").decode("latin-1")


def _with_policy(query: Mapping[str, str], policies: Iterable[Policy]) -> Mapping[str, str]:
    """A signature's fields and those of the policy it refers to."""
    if "ss" in query:
        raise StorageError("AuthenticationFailed", "An account signature has no policy (si).")
    for name, *values in policies:
        if name == query["si"]:
            stored = dict(zip(("st", "se", "sp"), values, strict=True))
            break
    else:
        raise StorageError("AuthenticationFailed", f"There is no policy {query['si']!r} (si).")
    stored = {field: value for field, value in stored.items() if value}
    if twice := sorted(stored.keys() & query.keys()):
        raise StorageError(
            "AuthenticationFailed", f"Both the signature and its policy say {', '.join(twice)}."
        )
    return {**query, **stored}


def _values(query: Mapping[str, str], *names: str) -> list[str]:
    return [query.get(name, "") for name in names]


def _account_text(query: Mapping[str, str], request: Request) -> str:
    names = ["sp", "ss", "srt", "st", "se", "sip", "spr", "sv"]
    if query["sv"] >= "2020-12-06":
        names.append("ses")
    return "\n".join([request.account.name, *_values(query, *names), ""])


def _resource_text(query: Mapping[str, str], request: Request) -> str:
    scope = query.get("sr", "")
    resource = f"/{request.kind}/{request.account.name}/{request.volume}"
    if scope == ("b" if request.kind is Kind.BLOB else "f") and request.path:
        resource += f"/{request.path}"
    elif scope != ("c" if request.kind is Kind.BLOB else "s") or not request.volume:
        raise StorageError("AuthenticationFailed", f"A signature for {scope!r} is not for this.")
    return _service_text(query, request.kind, resource)


def _service_text(query: Mapping[str, str], kind: Kind, resource: str) -> str:
    fields = [*_values(query, "sp", "st", "se"), resource]
    fields += _values(query, "si", "sip", "spr", "sv")
    if kind is Kind.BLOB and query["sv"] >= "2018-11-09":
        fields += _values(query, "sr", "snapshot")
    if kind is Kind.BLOB and query["sv"] >= "2020-12-06":
        fields += _values(query, "ses")
    return "\n".join(fields + _values(query, *_OVERRIDES))


def _check_time(query: Mapping[str, str], now: float) -> None:
    if "se" not in query:
        raise StorageError("AuthenticationFailed", "The signature has no expiry (se).")
    if _moment(query["se"]) <= now:
        raise StorageError("AuthenticationFailed", f"The signature expired at {query['se']}.")
    if "st" in query and _moment(query["st"]) > now:
        raise StorageError("AuthenticationFailed", f"The signature begins at {query['st']}.")


def _moment(text: str) -> float:
    for form in _FORMATS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    raise StorageError("AuthenticationFailed", f"{text!r} is not a time.")


def _check_origin(query: Mapping[str, str], request: Request) -> None:
    try:
        client = ipaddress.ip_address(request.client) if request.client else None
        if client and "sip" in query:
            first, _, last = query["sip"].partition("-")
            low, high = ipaddress.ip_address(first), ipaddress.ip_address(last or first)
            if not int(low) <= int(client) <= int(high):
                raise StorageError("AuthorizationSourceIPMismatch")
    except ValueError:
        raise StorageError("AuthorizationSourceIPMismatch", "sip is not an address.") from None
    # Nobody can listen in on the loopback interface: http is as good as https there.
    local = client is not None and client.is_loopback
    if query.get("spr") == "https" and request.scheme != "https" and not local:
        raise StorageError("AuthorizationProtocolMismatch")
