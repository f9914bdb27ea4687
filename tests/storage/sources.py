"""What the tests of copies copy from: URLs with signatures, and another server."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient, BlobSasPermissions, generate_blob_sas
from azure.storage.fileshare import FileSasPermissions, ShareFileClient, generate_file_sas

from batchai_quickstart.storage import Account
from tests.storage.conftest import Service, code


def signed(service: Service, client: BlobClient, permissions: str = "r") -> str:
    """The URL of a blob with a signature that grants reading."""
    token = generate_blob_sas(
        str(client.account_name),
        client.container_name,
        client.blob_name,
        account_key=_key(service, str(client.account_name)),
        permission=BlobSasPermissions.from_string(permissions),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    return f"{client.url.partition('?')[0]}?{token}"


def signed_file(service: Service, client: ShareFileClient) -> str:
    """The URL of a file with a signature that grants reading."""
    token = generate_file_sas(
        str(client.account_name),
        str(client.share_name),
        client.file_path,
        account_key=_key(service, str(client.account_name)),
        permission=FileSasPermissions(read=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    return f"{client.url.partition('?')[0]}?{token}"


def refusal(call: Callable[..., object], *arguments: Any, **options: Any) -> tuple[int | None, str]:
    """Status and code of the error of a call."""
    with pytest.raises(HttpResponseError) as refused:
        call(*arguments, **options)
    return refused.value.status_code, code(refused)


def _key(service: Service, account: str) -> str:
    # Given an endpoint with a path, the official clients take all of the path for the account.
    found: Account = service.store.account(account.rpartition("/")[2])
    return found.keys[0]


@dataclass
class Elsewhere:
    """Another HTTP server.

    Arguments:
        port: where it listens on 127.0.0.1.
        content: of each path; asked for by ranges as well.
        headers: of every answer with content.
        status: of the answers to paths that have no content, by path.
        shorter: bytes that are missing at the end of every body.
        asked: the headers of the requests there were, by lower-case name.
    """

    port: int
    content: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    shorter: int = 0
    asked: list[Mapping[str, str]] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    """Another server for the time of a test."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            there.asked.append({name.lower(): value for name, value in self.headers.items()})
            content = there.content.get(self.path)
            if content is None:
                self.send_response(there.status.get(self.path, 404))
                self.send_header("Location", there.url("/other"))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            wanted = self.headers.get("Range")
            self.send_response(206 if wanted else 200)
            if wanted:
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                whole, content = len(content), content[int(first) : int(last) + 1]
                self.send_header("Content-Range", f"bytes {first}-{last}/{whole}")
            self.send_header("Content-Length", str(len(content)))
            for name, value in there.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: len(content) - there.shorter])
            self.close_connection = bool(there.shorter)

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Nothing: the tests' output is theirs."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there = Elsewhere(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
