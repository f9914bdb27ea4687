"""A live storage account; and a connection where `responses` answers in a service's place."""

import uuid
from collections.abc import Iterator

import pytest
import responses

from batchai_quickstart import (
    BlobContainer,
    Connection,
    FileShare,
    LocalService,
    ResourceGroup,
    StorageAccount,
)

ENDPOINT = "http://127.0.0.1:9999"
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(autouse=True)
def _no_subscription(monkeypatch: pytest.MonkeyPatch) -> None:
    """The subscription of the person who runs the tests reaches none of them."""
    monkeypatch.delenv("BATCHAI_SUBSCRIPTION_ID", raising=False)


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    """The network: answers only what a test registers, and all of it must be asked for."""
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def connection() -> Iterator[Connection]:
    """A connection with a token and a subscription of its own."""
    opened = Connection.open(ENDPOINT, token="secret-token", subscription_id=SUBSCRIPTION)
    yield opened
    opened.close()


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for, none of them made."""
    taken: list[float] = []
    monkeypatch.setattr("time.sleep", taken.append)
    return taken


@pytest.fixture(scope="module")
def account(service: LocalService) -> Iterator[StorageAccount]:
    """A storage account of a module's own, in a live service."""
    connection = Connection.open(service.endpoint, token=service.token)
    name = f"a{uuid.uuid4().hex[:12]}"
    group = ResourceGroup.create(name, location="eastus", connection=connection)
    yield StorageAccount.create(name, resource_group=name, connection=connection)
    group.delete()
    connection.close()


@pytest.fixture(params=["share", "container"])
def volume(
    request: pytest.FixtureRequest, account: StorageAccount
) -> Iterator[FileShare | BlobContainer]:
    """A share, then a container, not created yet."""
    name = f"v{uuid.uuid4().hex[:8]}"
    made: FileShare | BlobContainer = (
        account.share(name) if request.param == "share" else account.container(name)
    )
    yield made
    made.delete()
