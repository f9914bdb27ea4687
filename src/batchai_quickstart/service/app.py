"""The whole service behind one port: ARM, Blob and Files, and its own status."""

import hmac
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from batchai_quickstart import engines
from batchai_quickstart.service.arm import Arm
from batchai_quickstart.service.registry import Registry, utcnow, wire_time
from batchai_quickstart.service.removal import Remover
from batchai_quickstart.service.scheduler import Scheduler
from batchai_quickstart.storage.addresses import FOREIGN, account_in_host
from batchai_quickstart.storage.app import storage_app
from batchai_quickstart.storage.changes import Changes
from batchai_quickstart.storage.store import Store

STATUS_PATH = "/status"
_OWN_PATHS = (STATUS_PATH, "/subscriptions", "/providers")
_STORAGE_PATHS = tuple(f"/{service}/" for service in ("blob", "file", *FOREIGN))
OPERATIONS_KEPT = timedelta(days=1)
"""How long the outcome of a long-running operation can be asked for."""


class Service:
    """Everything the service is made of, as one ASGI application.

    Arguments:
        root: directory of all its state.
        engine: what nodes are made of, by name (`local`).
        sync: whether an upload is answered only once it is on the disk.
        token: bearer token of ARM requests.
        subscription: id of the one subscription.
        python: the interpreter `python` means in jobs.
        facts: shown by `/status` beside the service's own.
    """

    def __init__(
        self,
        root: Path,
        *,
        engine: str,
        sync: bool = False,
        token: str,
        subscription: str,
        python: str,
        facts: dict[str, Any],
    ) -> None:
        self.registry = Registry(root / "registry")
        self.store = Store(root / "storage", sync=sync)
        self.changes = Changes()
        self.scheduler = Scheduler(
            self.registry, self.store, self.changes, engines.load(engine), root, python
        )
        self.remover = Remover(self.registry, self.scheduler, self.store, self.changes)
        self.last_request = time.monotonic()
        self._authorization = f"Bearer {token}".encode()
        self._facts = {**facts, "engine": engine}
        self._storage = storage_app(self.store, self.changes)
        self._arm = Arm(
            self.registry,
            self.scheduler,
            self.store,
            self.changes,
            self.remover,
            token=token,
            subscription=subscription,
        )

    def start(self) -> None:
        """Pick up what earlier processes of this root left running; called on the event loop."""
        self.registry.forget_operations(wire_time(utcnow() - OPERATIONS_KEPT))
        self.scheduler.restore()
        self.remover.restore()
        self._arm.restore()

    def release(self) -> None:
        """Answer everyone who waits, and let nobody wait any more: the service is about to go."""
        self.changes.close()
        self._arm.release()

    async def close(self) -> None:
        """Stop serving; running jobs go on."""
        await self.remover.close()
        await self.scheduler.close()
        self.release()
        self.store.close()
        self.registry.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to the part it is for."""
        assert scope["type"] == "http", scope["type"]
        self.last_request = time.monotonic()
        path = scope["path"]
        if path.startswith(_STORAGE_PATHS) or self._is_for_storage(_host(scope), path):
            await self._storage(scope, receive, send)
        elif path == STATUS_PATH:
            await self._status(Headers(scope=scope))(scope, receive, send)
        else:
            await self._arm(scope, receive, send)

    def _is_for_storage(self, host: str, path: str) -> bool:
        # A machine may be called `lab.file.example`: what is ours stays ours there, unless there
        # is an account of that name.
        account = account_in_host(host)
        return account != "" and (
            not path.startswith(_OWN_PATHS)
            or any(each.name == account for each in self.store.accounts())
        )

    def _status(self, headers: Headers) -> Response:
        sent = headers.get("authorization", "").encode()
        if not hmac.compare_digest(sent, self._authorization):
            return Response(status_code=401)
        return JSONResponse({**self._facts, **self.scheduler.summary()})


def _host(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"host":
            return bytes(value).decode("latin-1")
    return ""
