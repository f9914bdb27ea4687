"""Where a request is addressed: by path, by host name, or as Azurite's clients do.

    http://HOST:PORT/blob/ACCOUNT/VOLUME/PATH          any host, one port for both services
    http://ACCOUNT.blob.SUFFIX/VOLUME/PATH             any suffix; `file` for Files
    http://HOST:10000/ACCOUNT/VOLUME/PATH              on a port that stands for one service

An account with `-secondary` behind its name is its read-only second address.
"""

import json
import os
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from batchai_quickstart.storage.protocol import Response, StorageError, error_response
from batchai_quickstart.storage.volume import Kind

FOREIGN: Final = {"queue": "Queue", "table": "Table", "dfs": "Data Lake"}
"""Azure's services that are not here, by the name they have in addresses."""

_HOST = re.compile(
    r"([a-z0-9]{3,24})(-secondary)?(?:-ipv6|-dualstack)?"
    r"\.(blob|file|queue|table|dfs)\.[^:/]+(?::[0-9]*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Address:
    """What a request is addressed to.

    Arguments:
        kind: which service.
        account: the account's name.
        volume: container or share; empty for the service itself.
        path: of the blob, file or directory, decoded; empty for the volume itself.
        secondary: whether it is the account's read-only second address.
    """

    kind: Kind
    account: str
    volume: str
    path: str
    secondary: bool = False


class ForeignServiceError(Exception):
    """An address of a service of Azure that is not here.

    Arguments:
        service: a key of `FOREIGN`.
    """

    def __init__(self, service: str) -> None:
        super().__init__(f"{FOREIGN[service]} storage is not done by this service.")
        self.service = service

    def response(self, request_id: str) -> Response:
        """The answer to its client: XML for Queue, and the JSON each of the others reads."""
        refusal = StorageError("NotImplemented", str(self))
        answer = error_response(refusal, request_id)
        if self.service == "queue":
            return answer
        content = "application/json"
        members: dict[str, object] = {"code": refusal.code, "message": refusal.message}
        body: dict[str, object] = {"error": members}
        if self.service == "table":
            content += ";odata=minimalmetadata"
            members["message"] = {"lang": "en-US", "value": refusal.message}
            body = {"odata.error": members}
        headers = (("content-type", content), ("x-ms-error-code", refusal.code))
        return Response(refusal.status, headers, json.dumps(body).encode())


def account_in_host(host: str) -> str:
    """The account a Host header names, `ACCOUNT.blob.SUFFIX`; empty when it names none."""
    match = _HOST.fullmatch(host)
    return match[1].lower() if match else ""


def address(host: str, raw_path: str, port_kind: Kind | None = None) -> Address:
    """What a request is addressed to.

    Arguments:
        host: the Host header.
        raw_path: the request's path, percent-encoded.
        port_kind: the service the port stands for, whose paths begin with the account.

    Raises:
        StorageError: the address names no account.
        ForeignServiceError: it is Queue's, Table's or Data Lake's.
    """
    if match := _HOST.fullmatch(host):
        service, account, rest = match[3].lower(), match[1].lower(), raw_path.removeprefix("/")
        secondary = match[2] is not None
    else:
        parts = raw_path.split("/", 3)[1:] if port_kind is None else raw_path.split("/", 2)
        service, account, rest = [*parts, "", "", ""][:3]
        service = service if port_kind is None else port_kind
        secondary = account.endswith("-secondary")
        account = account.removesuffix("-secondary")
    if service in FOREIGN:
        raise ForeignServiceError(service)
    if service not in ("blob", "file") or not account:
        below = "/blob/ACCOUNT or /file/ACCOUNT" if port_kind is None else "/ACCOUNT"
        raise StorageError("InvalidUri", f"{raw_path!r} is not below {below}.")
    # Names that a job made need not be UTF-8: their bytes survive the way back to the disk.
    volume, _, path = os.fsdecode(unquote_to_bytes(rest)).partition("/")
    return Address(Kind(service), account, volume, path, secondary)
