"""Endpoint and credential: which source wins, and what is refused."""

import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest
import responses

from batchai_quickstart import ConfigurationError, Connection
from batchai_quickstart.client import connection as connections
from batchai_quickstart.client.connection import (
    Settings,
    Source,
    config_source,
    environment_source,
    is_loopback,
    resolve,
)

A, B = "http://127.0.0.1:1", "http://127.0.0.1:2"


@dataclass
class Info:
    """An embedded service."""

    endpoint: str = "http://127.0.0.1:7/"
    token: str = "embedded"
    subscription_id: str = "sub-e"


def never() -> Info:
    """The embedded service where it must not be asked for."""
    raise AssertionError("the embedded service was started")


def test_first_source_with_an_endpoint_wins() -> None:
    """The call comes before the environment, the environment before the file."""
    call, env, file = (
        Source(n, e, t, s)
        for n, e, t, s in [
            ("call", None, None, None),
            ("env", A, "t-env", None),
            ("file", B, "t-file", "s-file"),
        ]
    )
    assert resolve((call, env, file), never) == Settings(A, "t-env", None)
    assert resolve((Source("call", B, "t-call"), env), never) == Settings(B, "t-call", None)
    assert resolve((call, file), never) == Settings(B, "t-file", "s-file")


def test_token_is_not_sent_to_another_endpoint() -> None:
    """A token that stands beside another endpoint is not used."""
    with pytest.raises(ConfigurationError, match=f"no token for {B}"):
        resolve((Source("call", B), Source("env", A, "for-a")), never)


def test_token_alone_goes_with_the_endpoint_of_a_later_source() -> None:
    """A token in the environment fits an endpoint in the file."""
    settings = resolve((Source("env", None, "t"), Source("file", A, "old", "s")), never)
    assert settings == Settings(A, "t", "s")


def test_embedded_service_is_the_last_resort() -> None:
    """Without any endpoint the embedded service is found or started."""
    settings = resolve((Source("call"), Source("env")), Info)
    assert settings == Settings("http://127.0.0.1:7", "embedded", "sub-e", True)


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("127.0.0.1:1", "is no URL"),
        ("ftp://127.0.0.1", "is no URL"),
        ("http://batchai.example.com", "clear text"),
        ("http://127.0.0.1.example.com:80", "clear text"),
        (A, "no token"),
    ],
)
def test_bad_endpoints_are_refused(endpoint: str, reason: str) -> None:
    """What is no URL, sends a token in clear over the network, or lacks one, is refused."""
    token = None if reason == "no token" else "t"
    with pytest.raises(ConfigurationError, match=reason):
        resolve((Source("call", endpoint, token),), never)


def test_https_needs_no_token() -> None:
    """An https endpoint without a token is for the Azure identity of this machine."""
    assert resolve((Source("call", "https://x.example/"),), never).token is None


def test_loopback_is_this_machine_only() -> None:
    """Names that only begin like loopback are not this machine."""
    inside = ("http://127.0.0.1:1", "http://localhost", "http://[::1]:8", "http://127.9.9.9/x")
    outside = ("http://localhost.evil.com", "http://127.0.0.1@evil.com", "http://10.0.0.1")
    assert [is_loopback(url) for url in inside + outside] == [True] * 4 + [False] * 3


def test_empty_variables_count_as_absent() -> None:
    """A variable set to nothing says nothing."""
    environ = {"BATCHAI_ENDPOINT": "", "BATCHAI_TOKEN": "t"}
    assert environment_source(environ) == Source("environment variables", None, "t", None)


def test_config_file(tmp_path: Path) -> None:
    """The file's three keys are read; mistakes are told with the file's name."""
    path = tmp_path / "config.toml"
    assert config_source(path) == Source(str(path))
    path.write_text(f'endpoint = "{A}"\ntoken = "t"\nsubscription_id = "s"\n')
    assert config_source(path) == Source(str(path), A, "t", "s")
    for text, reason in [("endpoint =", "TOML"), ("port = 1", "unknown key"), ("token=1", "text")]:
        path.write_text(text)
        with pytest.raises(ConfigurationError, match=reason):
            config_source(path)


def test_default_follows_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection a process for the same settings; other settings, another connection."""
    monkeypatch.setenv("BATCHAI_ENDPOINT", A)
    monkeypatch.setenv("BATCHAI_TOKEN", "t")
    first = connections.default()
    assert connections.default() is first
    monkeypatch.setenv("BATCHAI_ENDPOINT", B)
    assert connections.default().endpoint == B


def test_token_shows_nowhere() -> None:
    """Neither a connection nor its settings print their token."""
    opened = Connection.open(A, token="hush")
    assert "hush" not in repr(opened)
    assert "hush" not in repr(opened._settings)
    assert "hush" not in repr(Source("call", A, "hush"))


def test_connection_survives_pickling() -> None:
    """A connection comes back from a pickle equal and usable."""
    opened = Connection.open(A, token="t", subscription_id="s")
    again = pickle.loads(pickle.dumps(opened))  # noqa: S301 - our own
    assert again == opened
    assert again.subscription_id == "s"


def test_pickled_embedded_connection_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to the embedded service carries no token: it finds the service anew."""
    monkeypatch.setattr(connections, "embedded", Info)
    pickled = pickle.dumps(Connection.open())
    assert b"embedded" not in pickled
    monkeypatch.setattr(connections, "embedded", lambda: Info("http://127.0.0.1:8", "new"))
    assert pickle.loads(pickled).endpoint == "http://127.0.0.1:8"  # noqa: S301 - our own


def test_subscription_is_the_services_only_one(wire: responses.RequestsMock) -> None:
    """Without a configured subscription the service is asked; it must have just one."""
    url = f"{A}/subscriptions"
    wire.get(url, json={"value": [{"subscriptionId": "only"}]})
    assert Connection.open(A, token="t").subscription_id == "only"
    wire.upsert(
        responses.GET, url, json={"value": [{"subscriptionId": "a"}, {"subscriptionId": "b"}]}
    )
    with pytest.raises(ConfigurationError, match="2 subscriptions"):
        _ = Connection.open(A, token="t").subscription_id


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_process_opens_its_own_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a fork the HTTP session is a new one."""
    opened = Connection.open(A, token="t", subscription_id="s")
    before = opened.session
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert opened.session is not before
