"""The service as a process: one a root, found through `service.json`, gone when idle."""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import shutil
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from batchai_quickstart import models
from batchai_quickstart.roots import LEAVING, Lock, write_private
from batchai_quickstart.service.app import Service
from batchai_quickstart.serving import Server, listen, origin, run

log = logging.getLogger(__name__)


def serve(
    root: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    engine: str = "local",
    sync: bool = False,
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
        sync: whether an upload is answered only once it is on the disk.
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
    # Who was started by find_or_start may have come while another service is leaving.
    lock = Lock(root, patience=LEAVING if ready_fd is not None else 0)
    run(_serve(root, host, port, engine, sync, idle_exit, ready_fd, lifeline_fd, temporary))
    if temporary:
        shutil.rmtree(root, ignore_errors=True)
    del lock


async def _serve(
    root: Path,
    host: str,
    port: int | None,
    engine: str,
    sync: bool,
    idle_exit: float | None,
    ready_fd: int | None,
    lifeline_fd: int | None,
    temporary: bool,
) -> None:
    identity = _identity(root)
    listener = listen(root, host, port)
    info: dict[str, Any] = {
        "endpoint": origin(host, listener),
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
        sync=sync,
        token=info["token"],
        subscription=info["subscriptionId"],
        python=sys.executable,
        facts={key: value for key, value in info.items() if key != "token"},
    )
    service.start()
    server = Server(service, service.release)
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


def _lifeline_ended(loop: asyncio.AbstractEventLoop, fd: int, server: Server) -> None:
    loop.remove_reader(fd)
    server.leave()


def _leave_when_idle(
    loop: asyncio.AbstractEventLoop, service: Service, server: Server, limit: float
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


def _version() -> str:
    from importlib.metadata import version

    return version("batchai-quickstart")
