"""The official clients in their two forms, sync and aio, walked through one table of calls.

A table is read from top to bottom: each row calls one public method of one client, and says what
comes of it. The same rows serve both forms: what a call returns is awaited where it can be, a
listing becomes a list, and a download its content.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, final

import azure.storage.blob
import azure.storage.blob.aio
import azure.storage.fileshare
import azure.storage.fileshare.aio
from azure.core.exceptions import HttpResponseError

from batchai_quickstart.storage.volume import Kind
from tests.storage.conftest import Service

FORMS = {
    "sync": (azure.storage.blob, azure.storage.fileshare),
    "aio": (azure.storage.blob.aio, azure.storage.fileshare.aio),
}
CLIENTS = (
    "BlobServiceClient", "ContainerClient", "BlobClient", "BlobLeaseClient",
    "ShareServiceClient", "ShareClient", "ShareDirectoryClient", "ShareFileClient",
    "ShareLeaseClient",
)  # fmt: skip
NOT_DONE = "NotImplemented"


def client_class(form: str, name: str) -> type:
    """The class of a client in one of its forms."""
    blob, share = FORMS[form]
    found = getattr(share if name.startswith("Share") else blob, name)
    assert isinstance(found, type)
    return found


def public_methods(form: str) -> set[str]:
    """`Client.method` of every public method of every client."""
    return {
        f"{name}.{each}"
        for name in CLIENTS
        for each in dir(client_class(form, name))
        if not each.startswith("_") and callable(getattr(client_class(form, name), each))
    }


@dataclass(frozen=True, slots=True)
class Row:
    """One call.

    Arguments:
        method: `Client.method`.
        call: makes it, given the client and the scene; must name the method.
        shows: what its result must be; any true value.
        code: the wire's code it is refused with, or the name of the client's own exception; empty
            when it works.
    """

    method: str
    call: Callable[[Any, "Scene"], object]
    shows: Callable[[Any], object] = lambda found: True
    code: str = ""

    def __post_init__(self) -> None:
        name = self.method.partition(".")[2]
        assert name in self.call.__code__.co_names, f"{self.method} is not what its row calls"


@final
@dataclass(slots=True)
class Scene:
    """What the calls of a table are made with.

    Arguments:
        service: the running service.
        form: `sync` or `aio`.
        volume: name of the container or share; `VOLUME-2` is another one.
        sources: signed addresses of a blob and of a file, with the content of `SOURCE`.
    """

    service: Service
    form: str
    volume: str
    sources: dict[Kind, str]
    clients: dict[str, Any] = field(default_factory=dict)
    opened: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        blob, share = FORMS[self.form]
        blobs, shares = (
            self.also(
                make(
                    self.service.url(kind),
                    credential=self.service.credential(),
                    secondary_hostname=f"127.0.0.1:{self.service.port}",
                    retry_total=0,
                )
            )
            for make, kind in (
                (blob.BlobServiceClient, Kind.BLOB),
                (share.ShareServiceClient, Kind.FILE),
            )
        )
        container = blobs.get_container_client(self.volume)
        files = shares.get_share_client(self.volume)
        self.clients = {
            "BlobServiceClient": blobs,
            "ContainerClient": container,
            "BlobClient": container.get_blob_client("dir/grün.txt"),
            "ShareServiceClient": shares,
            "ShareClient": files,
            "ShareDirectoryClient": files.get_directory_client("dir"),
            "ShareFileClient": files.get_file_client("dir/grün.txt"),
        }

    def also(self, client: Any) -> Any:
        """A client that is to be closed in the end."""
        self.opened.append(client)
        return client

    @property
    def connection_string(self) -> str:
        """Of the account, with its endpoints."""
        account = self.service.account
        return (
            f"AccountName={account.name};AccountKey={account.keys[0]};"
            f"BlobEndpoint={self.service.url(Kind.BLOB)};FileEndpoint={self.service.url(Kind.FILE)}"
        )

    async def walk(self, rows: tuple[Row, ...]) -> list[str]:
        """Make every call in order; what came out otherwise than the table says."""
        wrong = []
        for row in rows:
            client = self.clients[row.method.partition(".")[0]]
            try:
                result = await settled(row.call(client, self))
            except HttpResponseError as error:
                found = getattr(error.response, "headers", {}).get("x-ms-error-code", str(error))
                fine = found == row.code
            except Exception as error:  # a client's own
                found, fine = repr(error), type(error).__name__ == row.code
            else:
                found = repr(result)
                fine = not row.code and bool(row.shows(result))
                self._keep(result)
            if not fine:
                wrong.append(f"{row.method}: expected {row.code or 'what it shows'}, found {found}")
        for client in self.opened:
            await settled(client.close())
        return wrong

    def _keep(self, result: Any) -> None:
        """A lease is a client of its own, which the rows below call."""
        if type(result).__name__ in ("BlobLeaseClient", "ShareLeaseClient"):
            self.clients[type(result).__name__] = result


async def settled(value: Any) -> Any:
    """The result of a call of either form: awaited, listed, read."""
    if inspect.isawaitable(value):
        value = await value
    if hasattr(value, "readall"):
        return await settled(value.readall())
    if hasattr(value, "__aiter__"):
        return [each async for each in value]
    return list(value) if hasattr(value, "by_page") or isinstance(value, Iterator) else value
