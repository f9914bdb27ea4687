"""A connection to a service that is not there: `responses` answers in its place."""

from collections.abc import Iterator

import pytest
import responses

from batchai_quickstart import Connection

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
