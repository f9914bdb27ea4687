"""Where the service is and which credential speaks to it.

Endpoint and credential come from the call, else from `BATCHAI_ENDPOINT` / `BATCHAI_TOKEN` /
`BATCHAI_SUBSCRIPTION_ID`, else from `config.toml` in the user's configuration directory, else from
the embedded service, which is found or started.
"""

import importlib
import ipaddress
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, final
from urllib.parse import urlsplit

from batchai_quickstart.errors import ConfigurationError
from batchai_quickstart.ids import ResourceId

if TYPE_CHECKING:
    import requests

    from batchai_quickstart.client.gateway import Gateway

POOL_SIZE = 64
"""Connections kept open to one host: as many threads may speak at once without reconnecting."""


class ServiceInfo(Protocol):
    """What a running service tells about itself (`service.json`)."""

    @property
    def endpoint(self) -> str:
        """Base URL, for example `http://127.0.0.1:8800`."""

    @property
    def token(self) -> str:
        """The bearer token it wants."""

    @property
    def subscription_id(self) -> str:
        """The subscription its resources live in."""


def _find_or_start() -> ServiceInfo:
    # By name and only when needed: the client may not depend on the service (they are joined by
    # batchai_quickstart.local alone), and most programs that set an endpoint never need it.
    local: Any = importlib.import_module("batchai_quickstart.local")
    info: ServiceInfo = local.find_or_start()
    return info


embedded: Callable[[], ServiceInfo] = _find_or_start
"""Finds the user's running service, or starts it; replaced by programs that bring their own."""


@dataclass(frozen=True, slots=True)
class Source:
    """One place settings may come from; None where it says nothing.

    Arguments:
        name: what to call it in messages.
        endpoint: base URL of the service.
        token: bearer token.
        subscription_id: subscription to work in.
    """

    name: str
    endpoint: str | None = None
    token: str | None = field(default=None, repr=False)
    subscription_id: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The outcome of looking through the sources.

    Arguments:
        endpoint: base URL of the service, without a trailing slash.
        token: bearer token; None: sign in with the Azure identity of this machine.
        subscription_id: subscription to work in; None: ask the service which there is.
        is_embedded: the user's own service, which may be started again when it is gone.
    """

    endpoint: str
    token: str | None = field(repr=False)
    subscription_id: str | None
    is_embedded: bool = False


def environment_source(environ: Mapping[str, str]) -> Source:
    """The settings in environment variables; empty ones count as absent."""
    return Source(
        "environment variables",
        environ.get("BATCHAI_ENDPOINT") or None,
        environ.get("BATCHAI_TOKEN") or None,
        environ.get("BATCHAI_SUBSCRIPTION_ID") or None,
    )


def config_path() -> Path:
    """The user's configuration file, whether or not it exists."""
    import platformdirs

    return platformdirs.user_config_path("batchai-quickstart", appauthor=False) / "config.toml"


def config_source(path: Path) -> Source:
    """The settings of a configuration file: `endpoint`, `token`, `subscription_id`.

    Raises:
        ConfigurationError: the file is not TOML, or a value is not text.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Source(str(path))
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    import tomllib

    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from error
    known = ("endpoint", "token", "subscription_id")
    for key, value in data.items():
        if key not in known:
            raise ConfigurationError(f"{path}: unknown key {key!r}; known are {', '.join(known)}")
        if not isinstance(value, str):
            raise ConfigurationError(f"{path}: {key} must be text in quotes, found {value!r}")
    return Source(str(path), *(data.get(key) or None for key in known))


def resolve(
    sources: "tuple[Source, ...]", start: Callable[[], ServiceInfo], *, has_credential: bool = False
) -> Settings:
    """Choose the endpoint and what goes with it.

    The first source that names an endpoint decides. Token and subscription come from the first
    source that has one, but never from a source that names another endpoint: a token is not sent
    to a service it was not meant for.

    Arguments:
        sources: in order of precedence.
        start: finds or starts the embedded service; called when no source names an endpoint.
        has_credential: an Azure credential object was given, so no token is needed.

    Raises:
        ConfigurationError: the endpoint is not a URL, or no token may be sent to it.
    """
    endpoint = next((source.endpoint for source in sources if source.endpoint), None)
    if endpoint is None:
        info = start()
        subscription = next((s.subscription_id for s in sources if s.subscription_id), None)
        return Settings(
            info.endpoint.rstrip("/"), info.token, subscription or info.subscription_id, True
        )
    endpoint = endpoint.rstrip("/")
    fitting = [s for s in sources if s.endpoint is None or s.endpoint.rstrip("/") == endpoint]
    token = next((source.token for source in fitting if source.token), None)
    subscription = next((s.subscription_id for s in fitting if s.subscription_id), None)
    _check(endpoint, token, has_credential)
    return Settings(endpoint, None if has_credential else token, subscription)


def _check(endpoint: str, token: str | None, has_credential: bool) -> None:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigurationError(
            f"the endpoint {endpoint!r} is no URL; expected something like http://127.0.0.1:8800"
        )
    if parts.scheme == "https":
        return
    if not is_loopback(endpoint):
        raise ConfigurationError(
            f"the endpoint {endpoint} would get its token in clear text over the network; use "
            "https, or a tunnel to a port of this machine (ssh -L 8800:127.0.0.1:8800 HOST)"
        )
    if token is None or has_credential:
        raise ConfigurationError(
            f"no token for {endpoint}: set BATCHAI_TOKEN (`token` in the service.json of the "
            "service's directory), or pass token="
        )


def is_loopback(endpoint: str) -> bool:
    """Tell whether `endpoint` is a port of this machine, which no proxy can reach."""
    host = urlsplit(endpoint).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@final
class Connection:
    """A way to one service: opened on first use, shared by threads, reopened after fork and pickle.

    `Connection.open(...)` makes one. A pickled connection carries its token: treat the pickle like
    a password. One to the embedded service carries none and looks for the service again.

    Arguments:
        settings: endpoint, token and subscription.
        credential: an Azure credential object to sign in with instead of a token.
    """

    def __init__(self, settings: Settings, credential: Any = None) -> None:
        self._settings = settings
        self._credential = credential
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._opened: tuple[int, requests.Session, Gateway] | None = None

    @classmethod
    def open(
        cls,
        endpoint: str | None = None,
        *,
        token: str | None = None,
        subscription_id: str | None = None,
        credential: Any = None,
    ) -> "Connection":
        """Return a connection, taking what is not given from the environment and the config file.

        Arguments:
            endpoint: base URL of the service; by default the embedded service of this user.
            token: its bearer token.
            subscription_id: the subscription to work in; by default the only one of the service.
            credential: an `azure.core` token credential, for an https endpoint; by default
                `DefaultAzureCredential` where no token is known.

        Raises:
            ConfigurationError: no usable endpoint or credential.
        """
        call = Source("the call", endpoint, token, subscription_id)
        sources = (call, environment_source(os.environ), config_source(config_path()))
        settings = resolve(sources, embedded, has_credential=credential is not None)
        return cls(settings, credential)

    @property
    def endpoint(self) -> str:
        """Base URL of the service."""
        return self._settings.endpoint

    @property
    def subscription_id(self) -> str:
        """The subscription resources are created and looked up in."""
        return self._settings.subscription_id or self.gateway.subscription_id

    @property
    def gateway(self) -> "Gateway":
        """The service's operations."""
        return self._open()[2]

    @property
    def session(self) -> "requests.Session":
        """The HTTP session everything shares, for links to files."""
        return self._open()[1]

    def group(self, name: str) -> ResourceId:
        """The id of the resource group `name`."""
        return ResourceId(self.subscription_id, name)

    def close(self) -> None:
        """Close the network connections; the next use opens new ones."""
        with self._lock:
            if self._opened is not None and self._opened[0] == os.getpid():
                self._opened[1].close()
            self._opened = None

    def _open(self) -> "tuple[int, requests.Session, Gateway]":
        opened = self._opened
        # Sockets do not survive a fork: two processes would read each other's answers.
        if opened is not None and opened[0] == os.getpid():
            return opened
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                from batchai_quickstart.client.gateway import Gateway

                session = _session(self._settings.endpoint)
                locate = embedded if self._settings.is_embedded else None
                gateway = Gateway(self._settings, session, self._credential, locate)
                self._opened = (os.getpid(), session, gateway)
            return self._opened

    def __repr__(self) -> str:
        kind = "embedded, " if self._settings.is_embedded else ""
        return f"Connection({kind}{self.endpoint})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Connection) and self._settings == other._settings

    def __hash__(self) -> int:
        return hash(self._settings)

    def __reduce__(self) -> tuple[Any, ...]:
        if self._settings.is_embedded:
            return _reopened, (self._settings.subscription_id,)
        return Connection, (self._settings, self._credential)


def _reopened(subscription_id: str | None) -> Connection:
    return Connection(resolve((Source("pickle", None, None, subscription_id),), embedded))


def _session(endpoint: str) -> "requests.Session":
    import requests
    from urllib3.util import Retry

    session = requests.Session()
    # No proxy can reach this machine's own ports, and looking for one costs at every request.
    session.trust_env = not is_loopback(endpoint)
    adapter = requests.adapters.HTTPAdapter(max_retries=Retry(total=False, redirect=False))
    # 128 KiB writes: the default of 16 KiB halves the speed of uploads.
    adapter.init_poolmanager(16, POOL_SIZE, blocksize=1 << 17)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


_defaults: dict[tuple[Source, Source, str | None], Connection] = {}
_defaults_lock = threading.Lock()


def default() -> Connection:
    """The connection used where none is given: one a process for the same settings.

    Raises:
        ConfigurationError: no usable endpoint or credential.
    """
    root = os.environ.get("BATCHAI_ROOT")  # which service is the user's own
    key = (environment_source(os.environ), config_source(config_path()), root)
    with _defaults_lock:
        found = _defaults.get(key)
        if found is None:
            found = _defaults[key] = Connection.open()
        return found
