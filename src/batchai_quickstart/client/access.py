"""What reaches a storage account: its endpoints and a credential, and how they are written down."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from batchai_quickstart.errors import ConfigurationError

Service = Literal["blob", "file"]

_DEVELOPMENT: Final = MappingProxyType(
    {
        "AccountName": "devstoreaccount1",
        # Public, the same for every emulator: it opens nothing but a machine's own test data.
        "AccountKey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr"
        "/KBHBeksoGMGw==",
        "BlobEndpoint": "http://127.0.0.1:10000/devstoreaccount1",
        "FileEndpoint": "http://127.0.0.1:10003/devstoreaccount1",
    }
)


_NAME: Final = re.compile("[a-z0-9-]{1,63}")


@dataclass(frozen=True, slots=True)
class Access:
    """An account as its clients reach it.

    Arguments:
        name: the account's name.
        blob_endpoint: base URL of its containers, without a trailing slash.
        file_endpoint: base URL of its shares, without a trailing slash.
        key: base64 account key, if that is the credential.
        sas: query of an account's shared access signature, if that is the credential.
        credential: an `azure.core` token credential, if that is it.
    """

    name: str
    blob_endpoint: str
    file_endpoint: str
    key: str | None = field(default=None, repr=False)
    sas: str | None = field(default=None, repr=False)
    credential: Any = field(default=None, repr=False)

    def endpoint(self, service: Service) -> str:
        """The base URL of one of the two services."""
        return self.blob_endpoint if service == "blob" else self.file_endpoint

    def connection_string(self) -> str:
        """The text that other clients take the account by; it holds the key or the signature.

        Raises:
            ConfigurationError: the account is reached by a token, which such a text cannot hold.
        """
        if self.key is not None:
            credential = {"AccountName": self.name, "AccountKey": self.key}
        elif self.sas is not None:
            credential = {"AccountName": self.name, "SharedAccessSignature": self.sas}
        else:
            raise ConfigurationError(
                f"storage account {self.name} is reached by a token; a connection string holds "
                "a key or a signature"
            )
        fields = {
            "DefaultEndpointsProtocol": urlsplit(self.blob_endpoint).scheme,
            **credential,
            "BlobEndpoint": self.blob_endpoint,
            "FileEndpoint": self.file_endpoint,
        }
        return ";".join(f"{name}={value}" for name, value in fields.items())


def access(
    name: str,
    *,
    key: str | None = None,
    sas: str | None = None,
    credential: Any = None,
    blob_endpoint: str | None = None,
    file_endpoint: str | None = None,
    scheme: str = "https",
    suffix: str = "core.windows.net",
) -> Access:
    """Put together what reaches an account.

    Arguments:
        name: the account's name.
        key: base64 account key.
        sas: query of an account's shared access signature.
        credential: an `azure.core` token credential.
        blob_endpoint: base URL of its containers; by default the one Azure gives the name.
        file_endpoint: the same of its shares.
        scheme: of the default endpoints.
        suffix: of the default endpoints' host names.

    Raises:
        ConfigurationError: not exactly one credential, or an endpoint or key that cannot be one.
    """
    if sum(each is not None for each in (key, sas, credential)) != 1:
        raise ConfigurationError(
            f"storage account {name} takes exactly one of key, sas and credential"
        )
    if not all((blob_endpoint, file_endpoint)) and not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is no name of a storage account: 3 to 24 lower-case letters and digits"
        )
    if key is not None:
        _check_key(name, key)
    endpoints = [
        (given or f"{scheme}://{name}.{service}.{suffix}").rstrip("/")
        for service, given in (("blob", blob_endpoint), ("file", file_endpoint))
    ]
    for endpoint in endpoints:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ConfigurationError(
                f"the endpoint {endpoint!r} of storage account {name} is no URL; expected "
                f"something like https://{name}.blob.core.windows.net"
            )
    query = sas.lstrip("?") if sas else None
    return Access(name, endpoints[0], endpoints[1], key, query, credential)


def parse_connection_string(text: str) -> Access:
    """Read a connection string, as the Azure portal shows it or an emulator prints it.

    Arguments:
        text: `AccountName=...;AccountKey=...;...`, one with a `SharedAccessSignature`, or
            `UseDevelopmentStorage=true`.

    Raises:
        ConfigurationError: it is none; the message never repeats its values.
    """
    fields: dict[str, str] = {}
    known = {name.lower(): name for name in (*_DEVELOPMENT, *_OTHER_FIELDS)}
    for part in text.strip().strip("'\"").split(";"):
        if part.strip():
            name, mark, value = part.partition("=")
            if not mark:
                raise ConfigurationError(
                    "a connection string is made of NAME=VALUE parts joined by semicolons; one "
                    f"part of {len(part)} characters has no equals sign"
                )
            fields[known.get(name.strip().lower(), name.strip())] = value.strip()
    if fields.get("UseDevelopmentStorage", "").lower() == "true":
        fields = {**_DEVELOPMENT, **fields}
    return _from_fields(fields)


_OTHER_FIELDS: Final = (
    "DefaultEndpointsProtocol",
    "EndpointSuffix",
    "SharedAccessSignature",
    "UseDevelopmentStorage",
)


def _from_fields(fields: Mapping[str, str]) -> Access:
    name = fields.get("AccountName") or _name_in(fields.get("BlobEndpoint", ""))
    key, sas = fields.get("AccountKey"), fields.get("SharedAccessSignature")
    if not name or not (key or sas):
        found = ", ".join(sorted(fields)) or "nothing"
        raise ConfigurationError(
            "a connection string names AccountName and AccountKey, or BlobEndpoint and "
            f"SharedAccessSignature; this one has {found}"
        )
    return access(
        name,
        key=key,
        # Where both are given the official clients take the key.
        sas=sas if not key else None,
        blob_endpoint=fields.get("BlobEndpoint"),
        file_endpoint=fields.get("FileEndpoint"),
        scheme=fields.get("DefaultEndpointsProtocol", "https"),
        suffix=fields.get("EndpointSuffix", "core.windows.net"),
    )


def _name_in(endpoint: str) -> str:
    """The account's name in an endpoint: the end of its path, else the beginning of its host."""
    parts = urlsplit(endpoint)
    return parts.path.strip("/").rpartition("/")[2] or (parts.hostname or "").partition(".")[0]


def _check_key(name: str, key: str) -> None:
    import base64
    import binascii

    try:
        base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(
            f"the key of storage account {name} is not base64; copy it whole, with the == at its "
            "end"
        ) from None
