"""The two protocols as one ASGI application."""

import os
from collections.abc import Mapping
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batchai_quickstart.storage.arrival import Arrival
from batchai_quickstart.storage.changes import Changes
from batchai_quickstart.storage.dispatch import Dispatch
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.transfer import ClientLeftError, Incoming, drain, respond
from batchai_quickstart.storage.volume import Kind


def storage_app(
    store: Store, changes: Changes, *, ports: Mapping[int, Kind | None] | None = None
) -> ASGIApp:
    """Blob and Files REST over a store's directories.

    Requests are addressed as `/blob/ACCOUNT/...` and `/file/ACCOUNT/...`, or, with a Host of
    `ACCOUNT.blob.*` or `ACCOUNT.file.*`, by their whole path.

    Arguments:
        store: where everything is.
        changes: who waits for files; closed with the application's lifespan. A server that waits
            for open requests before it ends the lifespan must close it earlier.
        ports: ports the server listens on; where one stands for one service, addresses are
            `/ACCOUNT/...`. Others are learned from the requests that come in there.
    """
    port_kinds = dict(ports or {})
    dispatch = Dispatch(store, changes, port_kinds)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send, changes)
            return
        if scope["type"] != "http":
            raise ValueError(f"storage speaks HTTP, not {scope['type']}")
        headers, spelling = _headers(scope)
        incoming = Incoming(receive)
        arrival = Arrival(
            method=scope["method"],
            raw_path=(scope.get("raw_path") or scope["path"].encode()).decode("latin-1"),
            query=scope["query_string"],
            headers=headers,
            receive=incoming,
            client=(scope.get("client") or ("",))[0],
            scheme=scope.get("scheme", "http"),
            port_kind=port_kinds.setdefault((scope.get("server") or ("", 0))[1], None),
            id=os.urandom(16).hex(),
            spelling=spelling,
        )
        try:
            answer = await dispatch.answer(arrival)
        except ClientLeftError:
            return
        if headers.get("content-length", "0") != "0" and not incoming.complete:
            await drain(incoming)
        with suppress(ConnectionResetError):
            await respond(_outgoing(send), (), answer)

    return app


def _outgoing(send: Send) -> Send:
    """The sending side of a connection, which says in one way that the connection is closed."""

    async def outgoing(message: Message) -> None:
        try:
            await send(message)
        except RuntimeError:
            # uvloop's, when the server has closed the connection: what came behind this request
            # was no HTTP. Other loops keep silent.
            raise ConnectionResetError from None

    return outgoing


def _headers(scope: Scope) -> tuple[dict[str, str], dict[str, str]]:
    """Headers by lower-case name, and names that were written otherwise."""
    found: dict[str, str] = {}
    spelling: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        written, value = raw_name.decode("latin-1"), raw_value.decode("latin-1").strip()
        name = written.lower()
        if name != written:
            spelling[name] = written
        found[name] = f"{found[name]},{value}" if name in found else value
    return found, spelling


async def _lifespan(receive: Receive, send: Send, changes: Changes) -> None:
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    changes.close()
    await send({"type": "lifespan.shutdown.complete"})
