"""Permissions of files: security descriptors under a key, kept and told again.

A share keeps each text once; files name its key. Nobody here enforces them: who may do what with
a file on disk is the system's business, and who may ask this service is the signature's.
"""

import hashlib
import json
import re
from typing import Final, final

from batchai_quickstart.storage.protocol import Request, Response, StorageError
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.transfer import small_body
from batchai_quickstart.storage.volume import Kind, Volume

KEY: Final = "x-ms-file-permission-key"
_HEADER: Final = "x-ms-file-permission"
_FORMAT: Final = "x-ms-file-permission-format"
_IN_HEADER: Final = 8 << 10
"""Bytes of a permission in a header; longer ones go through Create Permission."""
_AT_MOST: Final = 256 << 10
"""Bytes of the body of Create Permission."""

_SID = r"(?:[A-Z]{2}|S-1-(?:0x[0-9A-Fa-f]+|[0-9]+)(?:-[0-9]+)+)"
_SDDL: Final = re.compile(rf"O:{_SID}G:{_SID}D:[ -~]*")
"""Owner, group and access control list, which Azure asks for; in Microsoft's SDDL."""


def key_of(text: str) -> str:
    """The key of a permission, in the form Azure's have: two numbers."""
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    one, two = (int.from_bytes(part, "big") for part in (digest[:8], digest[8:]))
    return f"{one}*{two}"


DEFAULT: Final = "O:SYG:SYD:(A;OICI;FA;;;WD)"
"""Of files and directories nobody gave another: everybody may do everything."""
DEFAULT_KEY: Final = key_of(DEFAULT)


def asked(request: Request, store: Store, volume: Volume) -> str | None:
    """The key of the permission that a request gives a file; None when it gives none.

    Raises:
        StorageError: the permission is not valid, or there is none of that key.
    """
    text, key = request.headers.get(_HEADER), request.headers.get(KEY)
    _check_format(request.headers.get(_FORMAT, "sddl"))
    if text is not None and key is not None:
        raise StorageError("InvalidHeaderValue", f"Both {_HEADER} and {KEY} are there.")
    if text is not None and text.lower() not in ("inherit", "preserve"):
        if len(text) > _IN_HEADER:
            raise StorageError("InvalidHeaderValue", f"{_HEADER} is longer than {_IN_HEADER}.")
        return _kept(store, volume, text)
    if key is None or key.lower() in ("inherit", "preserve"):
        return None
    if _text(store, volume, key) is None:
        raise StorageError("FileInvalidPermissionKey", f"It is {key[:80]!r}.")
    return key


@final
class Permissions:
    """Create Permission and Get Permission.

    Arguments:
        store: where everything is.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def create(self, request: Request) -> Response:
        """Create Permission."""
        volume = self._store.volume(request.account.name, Kind.FILE, request.volume)
        try:
            document = json.loads(await small_body(request, _AT_MOST))
            text = document["permission"]
            form = document.get("format", "sddl")
        except (ValueError, TypeError, KeyError, RecursionError):
            raise StorageError("InvalidInput", 'The body is JSON: {"permission": "..."}.') from None
        if not isinstance(text, str) or not isinstance(form, str):
            raise StorageError("InvalidInput", "Permission and format are texts.")
        _check_format(form)
        return Response(201, ((KEY, _kept(self._store, volume, text)),))

    async def get(self, request: Request) -> Response:
        """Get Permission."""
        volume = self._store.volume(request.account.name, Kind.FILE, request.volume)
        _check_format(request.headers.get(_FORMAT, "sddl"))
        key = request.headers.get(KEY)
        if key is None:
            raise StorageError("MissingRequiredHeader", f"{KEY}.")
        text = _text(self._store, volume, key)
        if text is None:
            raise StorageError("FileInvalidPermissionKey", f"It is {key[:80]!r}.")
        body = json.dumps({"permission": text}).encode()
        return Response(200, (("content-type", "application/json"),), body)


def _kept(store: Store, volume: Volume, text: str) -> str:
    if not _SDDL.fullmatch(text):
        raise StorageError(
            "FileInvalidPermission",
            f"{text[:80]!r} is not SDDL with an owner, a group and an access control list.",
        )
    key = key_of(text)
    store.keep_permission(volume, key, text)
    return key


def _text(store: Store, volume: Volume, key: str) -> str | None:
    return DEFAULT if key == DEFAULT_KEY else store.permission(volume, key)


def _check_format(form: str) -> None:
    if form.lower() != "sddl":
        raise StorageError("UnsupportedHeader", f"{_FORMAT}: {form[:80]}; sddl is.")
