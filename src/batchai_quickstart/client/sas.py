"""Shared access signatures: links that carry their own permission.

Written out by hand because it is three lists of fields and an HMAC: the official packages take a
third of a second to load, which is longer than most of what is signed here.
"""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, urlencode

from batchai_quickstart.client.access import Service
from batchai_quickstart.errors import InvalidRequestError

_VERSION: Final = "2022-11-02"
_LETTERS: Final = {"blob": "racwdxltfmeopi", "file": "rcwdl"}
"""Permissions of a service signature, in the order the services demand."""


def account_signature(name: str, key: str, expiry: datetime) -> str:
    """The query that lets its holder do everything with an account's files and blobs for a time.

    Arguments:
        name: the account's name.
        key: its base64 key.
        expiry: with a time zone.
    """
    query = {
        "sv": _VERSION,
        "ss": "bf",
        "srt": "sco",
        "sp": "rwdlac",
        "se": _moment(expiry),
        "spr": "https,http",
    }
    fields = [name, *(query.get(field, "") for field in ("sp", "ss", "srt", "st", "se"))]
    fields += ["", query["spr"], _VERSION, "", ""]
    return _signed(query, key, fields)


def service_signature(
    service: Service,
    name: str,
    key: str,
    volume: str,
    path: str,
    *,
    expiry: datetime,
    permissions: str,
) -> str:
    """The query that gives access to one file, or to a whole container or share, for a time.

    Arguments:
        service: Blob or Files.
        name: the account's name.
        key: its base64 key.
        volume: container or share.
        path: of the file in it; empty for all of it.
        expiry: with a time zone.
        permissions: letters in any order, for example `rl`.

    Raises:
        InvalidRequestError: no such permission.
    """
    letters = _LETTERS[service]
    if not permissions or (unknown := sorted(set(permissions) - set(letters))):
        what = f"unknown are {', '.join(unknown)}" if permissions else "none was given"
        raise InvalidRequestError(
            f"the permissions {permissions!r} are not some of {letters!r}: {what}",
            code="InvalidQueryParameterValue",
        )
    scope = (service[0] if path else "c") if service == "blob" else ("f" if path else "s")
    query = {
        "sv": _VERSION,
        "se": _moment(expiry),
        "sr": scope,
        "sp": "".join(letter for letter in letters if letter in permissions),
    }
    resource = f"/{service}/{name}/{volume}" + (f"/{path}" if path else "")
    fields = [query["sp"], "", query["se"], resource, "", "", "", _VERSION]
    if service == "blob":
        fields += [scope, "", ""]
    return _signed(query, key, fields + [""] * 5)


def end_of_link(expiry: object) -> datetime:
    """When a link ends that is to live for a time, or until a moment.

    Arguments:
        expiry: a `timedelta` or a `datetime` with a time zone.

    Raises:
        InvalidRequestError: it is neither.
    """
    if isinstance(expiry, timedelta):
        return datetime.now(UTC) + expiry
    if isinstance(expiry, datetime) and expiry.tzinfo is not None:
        return expiry
    raise InvalidRequestError(
        f"expiry={expiry!r} is neither a timedelta, such as timedelta(hours=1), nor a datetime "
        "with a time zone, such as datetime(2030, 1, 1, tzinfo=UTC)",
        code="InvalidQueryParameterValue",
    )


def _signed(query: dict[str, str], key: str, fields: list[str]) -> str:
    text = "\n".join(fields)
    digest = hmac.digest(base64.b64decode(key), text.encode(), hashlib.sha256)
    return urlencode({**query, "sig": base64.b64encode(digest).decode()}, quote_via=quote)


def _moment(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
