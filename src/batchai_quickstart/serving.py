"""An ASGI application as a process: its sockets, its server, its way to leave."""

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import uvicorn

from batchai_quickstart.errors import ConfigurationError
from batchai_quickstart.roots import write_private
from batchai_quickstart.spelling import HTTP


class Server(uvicorn.Server):
    """uvicorn's server without its ten wake-ups a second: it sleeps until it is told to leave.

    Arguments:
        app: the application; its lifespan is its caller's.
        release: called when the server is about to leave: answers everyone who waits.
    """

    def __init__(self, app: Any, release: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=HTTP,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=1,
            )
        )
        self._release = release
        self._told = asyncio.Event()

    def leave(self) -> None:
        """End `serve`; called on the event loop."""
        self.should_exit = True
        self._release()
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


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a process's main coroutine on the fastest event loop there is."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


def listen(root: Path, host: str, port: int | None) -> socket.socket:
    """Bind the listening socket of a root.

    The last port is tried first, so handles made before a restart of the service keep working.

    Arguments:
        root: where the port is remembered.
        host: address to listen on.
        port: port to listen on; None takes the one used last if it is free, else any.

    Raises:
        ConfigurationError: the port is taken, or the address is not this machine's.
    """
    if port is not None:
        listener = bind(host, port, "choose another with --port, or leave it out for a free one")
    else:
        listener = _bind_last(root, host) or bind(host, 0, "choose another with --host")
    write_private(root / "port", f"{listener.getsockname()[1]}\n")
    return listener


def bind(host: str, port: int, advice: str) -> socket.socket:
    """Bind a listening socket.

    Arguments:
        host: address to listen on.
        port: port to listen on; 0 takes any.
        advice: what to do when that cannot be.

    Raises:
        ConfigurationError: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        what = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used: {error}"
        raise ConfigurationError(f"Port {port} of {host} {what}: {advice}.") from None
    listener.setblocking(False)
    return listener


def origin(host: str, listener: socket.socket) -> str:
    """`http://HOST:PORT` of a listening socket, as a client on this machine may write it."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - it is compared, not bound
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    address = f"[{host}]" if ":" in host else host
    return f"http://{address}:{listener.getsockname()[1]}"


def _bind_last(root: Path, host: str) -> socket.socket | None:
    try:
        return bind(host, int((root / "port").read_text()), "")
    except (OSError, ValueError, ConfigurationError):
        return None
