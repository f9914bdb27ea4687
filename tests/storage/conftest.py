"""A storage service on a real port, and the official clients for it."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient, ContainerClient
from azure.storage.fileshare import ShareClient, ShareServiceClient

from batchai_quickstart.spelling import HTTP
from batchai_quickstart.storage import Account, Changes, Kind, Store, Volume, storage_app


@dataclass(frozen=True, slots=True)
class Service:
    """A running storage service with one account."""

    port: int
    store: Store
    changes: Changes
    account: Account
    loop: asyncio.AbstractEventLoop

    def url(self, kind: Kind, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}/{kind}/{self.account.name}{path}"

    def credential(self, key: int = 0) -> dict[str, str]:
        return {"account_name": self.account.name, "account_key": self.account.keys[key]}

    def blobs(self, **options: Any) -> BlobServiceClient:
        options.setdefault("credential", self.credential())
        return BlobServiceClient(self.url(Kind.BLOB), **options)

    def shares(self, **options: Any) -> ShareServiceClient:
        options.setdefault("credential", self.credential())
        return ShareServiceClient(self.url(Kind.FILE), **options)

    def on_loop(self, call: Callable[[], None]) -> None:
        """Run something on the service's event loop, and wait for it."""
        done: Future[None] = Future()

        def run() -> None:
            try:
                call()
                done.set_result(None)
            except BaseException as error:
                done.set_exception(error)

        self.loop.call_soon_threadsafe(run)
        done.result(10)


def _loop_of(name: str) -> asyncio.AbstractEventLoop:
    if name == "httptools":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def code(refused: pytest.ExceptionInfo[HttpResponseError]) -> str:
    """The wire's error code of an error that an official client raised."""
    headers: Mapping[str, str] = getattr(refused.value.response, "headers", {})
    return headers["x-ms-error-code"]


@pytest.fixture(scope="session", params=["httptools", "h11"])
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The service under uvicorn: once with httptools and uvloop, once in plain Python."""
    store = Store(tmp_path_factory.mktemp("storage"))
    account = store.create_account("mystorage")
    changes = Changes()
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        storage_app(store, changes),
        http=HTTP if request.param == "httptools" else request.param,
        ws="none",
        log_level="warning",
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    loop = _loop_of(request.param)
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.serve([listener])))
    thread.start()
    try:
        yield Service(listener.getsockname()[1], store, changes, account, loop)
    finally:
        server.should_exit = True
        loop.call_soon_threadsafe(changes.close)
        thread.join(20)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        listener.close()
        store.close()
        assert not list((store.root / "staging").iterdir())


@pytest.fixture
def fresh_name(request: pytest.FixtureRequest) -> str:
    """A volume name that no other test has."""
    return f"v{abs(hash(request.node.nodeid)):x}"


@pytest.fixture
def volume_of(service: Service, fresh_name: str) -> Callable[[Kind], Volume]:
    """Makes the container or share of this test, behind the clients' backs."""
    return lambda kind: service.store.create_volume(service.account.name, kind, fresh_name)


@pytest.fixture
def container(service: Service, fresh_name: str) -> Iterator[ContainerClient]:
    """A fresh container."""
    with service.blobs() as client:
        container = client.create_container(fresh_name)
        yield container
        container.delete_container()


@pytest.fixture
def share(service: Service, fresh_name: str) -> Iterator[ShareClient]:
    """A fresh share."""
    with service.shares() as client:
        share = client.create_share(fresh_name)
        yield share
        share.delete_share()


@pytest.fixture
def container_path(service: Service, container: ContainerClient) -> Path:
    """The directory of the fresh container."""
    name = str(container.container_name)
    return service.store.volume(service.account.name, Kind.BLOB, name).path


@pytest.fixture
def share_path(service: Service, share: ShareClient) -> Path:
    """The directory of the fresh share."""
    return service.store.volume(service.account.name, Kind.FILE, str(share.share_name)).path
