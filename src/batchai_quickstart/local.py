"""The embedded service: found where it runs, started where it does not.

The service is always a process of its own, so scripts come and go while jobs go on. This module
joins the client's world to it; of the service it imports nothing.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from batchai_quickstart.errors import ConfigurationError, ServiceError
from batchai_quickstart.roots import default_root

if TYPE_CHECKING:
    from batchai_quickstart.client.connection import Connection

IDLE_EXIT = 3600.0
"""Seconds without a request, and with nothing running, after which a detached service leaves."""

_STOP_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class ServiceInfo:
    """How to reach a running service: the content of its `service.json`.

    Arguments:
        endpoint: `http://HOST:PORT`.
        token: bearer token.
        subscription_id: its one subscription.
        pid: its process.
        version: version of batchai-quickstart it runs.
        python: the interpreter it runs on, which `python` means in jobs.
        root: directory of its state.
    """

    endpoint: str
    token: str
    subscription_id: str
    pid: int
    version: str
    python: str
    root: Path

    def __repr__(self) -> str:
        return f"ServiceInfo(endpoint={self.endpoint!r}, pid={self.pid}, root={str(self.root)!r})"

    @classmethod
    def from_json(cls, text: str) -> "ServiceInfo":
        """Read the content of a `service.json`."""
        data: dict[str, Any] = json.loads(text)
        return cls(
            endpoint=data["endpoint"],
            token=data["token"],
            subscription_id=data["subscriptionId"],
            pid=data["pid"],
            version=data["version"],
            python=data["python"],
            root=Path(data["root"]),
        )


def find(root: Path | None = None) -> ServiceInfo | None:
    """Return the service that answers for a root (the user's own by default), or None."""
    path = (root or default_root()).resolve() / "service.json"
    try:
        info = ServiceInfo.from_json(path.read_text())
        status(info)
    except (OSError, ValueError, KeyError, ServiceError):
        return None
    return info


def status(info: ServiceInfo) -> dict[str, Any]:
    """Ask a service what it is doing.

    Returns:
        Its facts: endpoint, pid, version, engine, clusters, running and queued jobs.

    Raises:
        ServiceError: it does not answer, or another program answers at its address.
    """
    import http.client  # costs 15 ms, and most imports of this module never ask

    address = urlsplit(info.endpoint)
    # The service is on this machine: no proxy of the environment may come in between.
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    try:
        connection.request("GET", "/status", headers={"Authorization": f"Bearer {info.token}"})
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read()) if response.status == 200 else {}
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ServiceError(f"No service answers at {info.endpoint}: {error}.") from None
    finally:
        connection.close()
    if answer.get("root") != str(info.root):
        raise ServiceError(f"Another program answers at {info.endpoint}.")
    return answer


def find_or_start(root: Path | None = None) -> ServiceInfo:
    """Return the service of a root (the user's own by default), starting it detached if need be.

    However many processes call this at once, one service is started.

    Raises:
        ServiceError: it could not be started; the message holds the end of its log.
        ConfigurationError: the root cannot be used, or the platform cannot run the service.
    """
    root = (root or default_root()).resolve()
    info = find(root)
    if info is not None:
        return info
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _starting(root):
            info = find(root)
            if info is None:
                info, process = _start(root, "--idle-exit", str(IDLE_EXIT))
                # It may well outlive this process; if not, no zombie is left in it.
                threading.Thread(target=process.wait, daemon=True).start()
            return info
    except OSError as error:
        raise ConfigurationError(f"The root {root} cannot be used: {error}.") from None


def stop(info: ServiceInfo) -> None:
    """End a service and wait until it is gone; its running jobs go on.

    Raises:
        ServiceError: it does not leave.
    """
    try:
        os.kill(info.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    if not _ended(info.pid, _STOP_TIMEOUT):
        raise ServiceError(
            f"The service (pid {info.pid}) did not end within {_STOP_TIMEOUT:.0f} s; the end of "
            f"{info.root / 'service.log'} may say why."
        )


def _ended(pid: int, timeout: float) -> bool:
    """Wait for the end of any process, a child not yet waited for included."""
    if sys.platform != "linux":
        import psutil

        return psutil.wait_procs([psutil.Process(pid)], timeout=timeout)[1] == []
    else:  # noqa: RET505 - the type checker knows platforms by branches
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            return bool(select.select([fd], [], [], timeout)[0])
        finally:
            os.close(fd)


def check_platform(platform: str = sys.platform) -> None:
    """Say plainly where the service cannot run.

    Arguments:
        platform: as `sys.platform` names it.

    Raises:
        ConfigurationError: on Windows.
    """
    if platform == "win32":
        raise ConfigurationError(
            "The service starts jobs through POSIX process sessions and symbolic-link mounts, "
            "which Windows lacks: run it under WSL or on another machine, and set "
            "BATCHAI_ENDPOINT and BATCHAI_TOKEN here. The client works on Windows."
        )


@contextlib.contextmanager
def _starting(root: Path) -> Iterator[None]:
    """Hold the right to start the service of a root; others wait here for its end."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    fd = os.open(root / "start.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _start(
    root: Path, *options: str, pass_fds: tuple[int, ...] = ()
) -> "tuple[ServiceInfo, subprocess.Popen[bytes]]":
    """Start a service in a session of its own and wait until it answers."""
    check_platform()
    read, write = os.pipe()
    log = root / "service.log"
    command = [sys.executable, "-m", "batchai_quickstart", "serve", "--root", str(root)]
    command += ["--ready-fd", str(write), *options]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=root,
            pass_fds=[write, *pass_fds],
            start_new_session=True,
        )
    os.close(write)
    with os.fdopen(read) as ready:
        answer = ready.read()  # ends when the service is ready, or has died
    if not answer:
        process.wait()
        tail = log.read_text(errors="replace")[-2000:]
        raise ServiceError(f"The service on {root} did not start. The end of {log}:\n{tail}")
    return ServiceInfo.from_json(answer), process


class LocalService:
    """A service of one's own, as a context manager: for tests and for embedding.

    Leaving the context ends the service. With a temporary root its jobs are terminated and all
    files removed; with a root of one's own jobs go on and the next service finds them.

    Arguments:
        root: directory of its state; None for a temporary one.

    Example:
        with LocalService() as service:
            workspace = Workspace.create("w", resource_group="g", location="eastus",
                                         connection=service.connect())
    """

    def __init__(self, root: Path | str | None = None) -> None:
        self._temporary = root is None
        self.root = Path(root).resolve() if root is not None else Path()
        self._info: ServiceInfo | None = None
        self._lifeline = -1
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def info(self) -> ServiceInfo:
        """How to reach it; raises ConfigurationError outside the context."""
        if self._info is None:
            raise ConfigurationError("LocalService is used outside its `with` block.")
        return self._info

    @property
    def endpoint(self) -> str:
        """`http://HOST:PORT`."""
        return self.info.endpoint

    @property
    def token(self) -> str:
        """The bearer token."""
        return self.info.token

    @property
    def subscription_id(self) -> str:
        """The one subscription."""
        return self.info.subscription_id

    def connect(self) -> "Connection":
        """Return a connection to it, for the `connection=` of every `create`, `get` and `list`."""
        from batchai_quickstart.client.connection import Connection

        return Connection.open(
            self.endpoint, token=self.token, subscription_id=self.subscription_id
        )

    def __enter__(self) -> Self:
        if self._temporary:
            self.root = Path(tempfile.mkdtemp(prefix="batchai-")).resolve()
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The service watches this pipe: it leaves when we do, however we end.
        read, self._lifeline = os.pipe()
        options = ["--lifeline-fd", str(read), *(["--temporary"] if self._temporary else [])]
        try:
            self._info, self._process = _start(self.root, *options, pass_fds=(read,))
        except BaseException:
            self._let_go()
            raise
        finally:
            os.close(read)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        info, self._info = self.info, None
        stop(info)
        if self._process is not None:
            self._process.wait()
        self._let_go()

    def _let_go(self) -> None:
        os.close(self._lifeline)
        if self._temporary:  # the service has done so already, unless it was killed
            shutil.rmtree(self.root, ignore_errors=True)
