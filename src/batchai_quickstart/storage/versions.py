"""Which version of the protocol a request speaks."""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from batchai_quickstart.storage.protocol import VERSION, StorageError
from batchai_quickstart.storage.volume import Kind

OLDEST: Final = date(2015, 2, 21)
"""The first version whose requests are signed by today's rules."""

AHEAD: Final = timedelta(days=366)
"""How far past today a version may be dated: clients name versions before they are in force."""

_FORM = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


def version_of(
    kind: Kind, headers: Mapping[str, str], query: Mapping[str, str], default: str = ""
) -> str:
    """The version to answer a request in.

    The header goes before the `api-version` of a shared access signature and that before its
    `sv`. Without any of them Blob has a default, and Files asks for the header where a request is
    signed with a key.

    Arguments:
        kind: the service that is asked.
        headers: of the request, by lower-case name.
        query: of the request, by lower-case name.
        default: what is set for the service; empty for the latest.

    Raises:
        StorageError: the version is none, or the header is missing.
    """
    header = headers.get("x-ms-version")
    if header is None:
        if kind is Kind.FILE and "authorization" in headers:
            raise StorageError("MissingRequiredHeader", "x-ms-version.")
        stated = query.get("api-version") or (query.get("sv") if "sig" in query else None)
        if stated is None:
            return default or VERSION
        if not is_version(stated):
            raise StorageError("InvalidQueryParameterValue", f"The version {stated!r}.")
        return stated
    if not is_version(header):
        raise StorageError("InvalidHeaderValue", f"x-ms-version is {header!r}.")
    return header


def is_version(text: str) -> bool:
    """Whether a text names a version that is answered."""
    try:
        return _FORM.fullmatch(text) is not None and (
            OLDEST <= date.fromisoformat(text) <= date.today() + AHEAD
        )
    except ValueError:
        return False
