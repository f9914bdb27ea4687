"""Wires that misbehave: a proxy that breaks connections, a service that says anything."""

import contextlib
import http.server
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from typing import Literal

Way = Literal["up", "down"]


class Proxy:
    """Passes TCP connections on to a port, counts their bytes, and breaks them where told.

    Arguments:
        port: of the service.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.passed: dict[Way, int] = {"up": 0, "down": 0}
        self.cuts: deque[tuple[Way, int]] = deque()
        """For each connection to come: after how many bytes which way it breaks."""
        self.budget: int | None = None
        """Bytes up that still pass before everything is broken; None: all."""
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self.budget == 0:
                    near.close()
                    continue
                cut = self.cuts.popleft() if self.cuts else None
                threading.Thread(target=self._pass_on, args=(near, cut), daemon=True).start()

    def _pass_on(self, near: socket.socket, cut: tuple[Way, int] | None) -> None:
        with near, socket.create_connection(("127.0.0.1", self._target)) as far:
            limits = dict([cut] if cut else [])
            up = threading.Thread(
                target=self._pump, args=("up", near, far, limits.get("up")), daemon=True
            )
            up.start()
            self._pump("down", far, near, limits.get("down"))
            up.join()

    def _pump(
        self, way: Way, source: socket.socket, sink: socket.socket, limit: int | None
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                with self._lock:
                    self.passed[way] += len(data)
                    if way == "up" and self.budget is not None:
                        self.budget = max(0, self.budget - len(data))
                        limit = limit if self.budget else 0
                if limit is not None and len(data) >= limit:
                    sink.sendall(data[:limit])
                    break
                limit = None if limit is None else limit - len(data)
                sink.sendall(data)
        # Whichever way ends, the other one has nobody to speak to.
        for each in (source, sink):
            _reset(each)


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


Answers = Callable[[str, str, Message], tuple[int, Mapping[str, str], bytes]]
"""Method, path with query, headers -> status, headers, body."""


@contextlib.contextmanager
def service_saying(answers: Answers) -> Iterator[int]:
    """A service on a port of its own that says whatever a test wants."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, body = answers(self.command, self.path, self.headers)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if self.command != "HEAD":  # of which a test says what it wants
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_request(self, code: object = "-", size: object = "-") -> None:
            pass

    for verb in ("GET", "PUT", "HEAD", "DELETE"):
        setattr(Handler, f"do_{verb}", Handler.answer)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
