"""The service as a process: one a root, found through `service.json`, gone when idle."""

import asyncio
import contextlib
import errno
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from batchai_quickstart import models
from batchai_quickstart.errors import ConfigurationError
from batchai_quickstart.service.app import Service

LEAVING = 10
"""Whole seconds a service that was told to leave may take."""

log = logging.getLogger(__name__)


class Lock:
    """The right to be the service of a root, held by an open file until the process ends.

    Arguments:
        path: the lock file; its first line names the holder's pid.

        patience: whole seconds to wait for a holder to leave.

    Raises:
        ConfigurationError: another process holds it.
    """

    def __init__(self, path: Path, *, patience: int = 0) -> None:
        import fcntl  # absent on Windows, where no service is started

        self._fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            if patience:
                signal.signal(signal.SIGALRM, _out_of_patience)
                signal.alarm(patience)
            fcntl.flock(self._fd, fcntl.LOCK_EX | (0 if patience else fcntl.LOCK_NB))
            signal.alarm(0)
        except BlockingIOError:
            pid = os.read(self._fd, 32).decode().strip()
            os.close(self._fd)
            raise ConfigurationError(
                f"A service is running on {path.parent} already (pid {pid}): use it, stop it "
                "with `python -m batchai_quickstart stop`, or give another --root."
            ) from None
        os.ftruncate(self._fd, 0)
        os.write(self._fd, f"{os.getpid()}\n".encode())


def _out_of_patience(number: int, frame: FrameType | None) -> None:
    raise BlockingIOError


def serve(
    root: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    engine: str = "local",
    idle_exit: float | None = None,
    ready_fd: int | None = None,
    lifeline_fd: int | None = None,
    temporary: bool = False,
) -> None:
    """Run the service in the foreground until SIGTERM or SIGINT.

    Arguments:
        root: directory of all its state; created with mode 0700.
        host: address to listen on.
        port: port to listen on; None takes the one used last on this root if it is free, else
            any.
        engine: what nodes are made of.
        idle_exit: leave after so many seconds without a request while nothing runs.
        ready_fd: file descriptor that gets the content of service.json once requests are
            answered, and is closed.
        lifeline_fd: read end of a pipe; the service leaves when its other end is closed.
        temporary: leave nothing behind: terminate what runs, and remove the root.

    Raises:
        ConfigurationError: the root is in use or not writable, or the port is taken.
    """
    for fd in (ready_fd, lifeline_fd):
        if fd is not None:
            os.set_inheritable(fd, False)  # or jobs would hold the other end
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Who was started by find_or_start may have come while another service is leaving.
        lock = Lock(root / "service.lock", patience=LEAVING if ready_fd is not None else 0)
    except OSError as error:
        raise ConfigurationError(f"The root {root} cannot be used: {error}.") from None
    main = _serve(root, host, port, engine, idle_exit, ready_fd, lifeline_fd, temporary)
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)
    if temporary:
        shutil.rmtree(root, ignore_errors=True)
    del lock


async def _serve(
    root: Path,
    host: str,
    port: int | None,
    engine: str,
    idle_exit: float | None,
    ready_fd: int | None,
    lifeline_fd: int | None,
    temporary: bool,
) -> None:
    identity = _identity(root)
    listener = _listen(root, host, port)
    address = f"[{host}]" if ":" in host else host
    info: dict[str, Any] = {
        "endpoint": f"http://{address}:{listener.getsockname()[1]}",
        "token": identity["token"],
        "subscriptionId": identity["subscriptionId"],
        "pid": os.getpid(),
        "version": _version(),
        "python": sys.executable,
        "root": str(root),
    }
    service = Service(
        root,
        engine=engine,
        token=info["token"],
        subscription=info["subscriptionId"],
        python=sys.executable,
        facts={key: value for key, value in info.items() if key != "token"},
    )
    service.start()
    server = _Server(
        uvicorn.Config(
            service,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        ),
        service,
    )
    # The socket listens already: whoever reads service.json now is answered.
    write_private(root / "service.json", json.dumps(info, indent=2) + "\n")
    if ready_fd is not None:
        with os.fdopen(ready_fd, "w") as ready:
            json.dump(info, ready)
    loop = asyncio.get_running_loop()
    # Whoever waited for us now imports its own half; a request would pay for this otherwise.
    for model in (
        models.ClusterCreateParameters,
        models.JobCreateParameters,
        models.JobBaseProperties,
    ):
        loop.call_soon(model.model_rebuild)
    if lifeline_fd is not None:
        loop.add_reader(lifeline_fd, _lifeline_ended, loop, lifeline_fd, server)
    if idle_exit is not None:
        _leave_when_idle(loop, service, server, idle_exit)
    log.info(
        "serving %s at %s (token in service.json there); Ctrl-C ends it, and running jobs go on",
        root,
        info["endpoint"],
    )
    try:
        await server.serve(sockets=[listener])
    finally:
        (root / "service.json").unlink(missing_ok=True)
        if temporary:
            await service.scheduler.terminate_all()
        await service.close()


class _Server(uvicorn.Server):
    """uvicorn's server without its ten wake-ups a second: it sleeps until it is told to leave."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._told = asyncio.Event()

    def leave(self) -> None:
        self.should_exit = True
        self._service.release()
        self._told.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own would raise the signal again at the end, before we have cleaned up.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.leave)
        yield

    async def main_loop(self) -> None:
        await self._told.wait()


def _lifeline_ended(loop: asyncio.AbstractEventLoop, fd: int, server: _Server) -> None:
    loop.remove_reader(fd)
    server.leave()


def _leave_when_idle(
    loop: asyncio.AbstractEventLoop, service: Service, server: _Server, limit: float
) -> None:
    idle = time.monotonic() - service.last_request
    if idle >= limit and not service.scheduler.busy:
        server.leave()
        return
    delay = limit - idle if idle < limit else limit
    loop.call_later(delay, _leave_when_idle, loop, service, server, limit)


def _identity(root: Path) -> dict[str, str]:
    """Read, or make once, the token and the subscription id of a root."""
    path = root / "identity.json"
    with contextlib.suppress(FileNotFoundError):
        found: dict[str, str] = json.loads(path.read_text())
        return found
    identity = {"token": secrets.token_urlsafe(32), "subscriptionId": str(uuid.uuid4())}
    write_private(path, json.dumps(identity))
    return identity


def _listen(root: Path, host: str, port: int | None) -> socket.socket:
    """Bind a listening socket.

    The last port is tried first, so handles made before a restart of the service keep working.
    """
    wanted = [port] if port is not None else [*_last_port(root), 0]
    for candidate in wanted:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen(512)
        except OSError as error:
            listener.close()
            if candidate != wanted[-1]:
                continue
            what = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used: {error}"
            raise ConfigurationError(
                f"Port {candidate} of {host} {what}: choose another with --port, or leave "
                "--port out to get a free one."
            ) from None
        listener.setblocking(False)
        write_private(root / "port", f"{listener.getsockname()[1]}\n")
        return listener
    raise AssertionError


def _last_port(root: Path) -> list[int]:
    try:
        return [int((root / "port").read_text())]
    except (OSError, ValueError):
        return []


def write_private(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner alone."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text)
    temporary.replace(path)


def _version() -> str:
    from importlib.metadata import version

    return version("batchai-quickstart")
