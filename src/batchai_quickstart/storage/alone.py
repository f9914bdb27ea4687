"""Storage without jobs, as a process: Blob and Files over one root's directories."""

import argparse
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from batchai_quickstart.roots import Lock, default_root
from batchai_quickstart.serving import Server, bind, listen, origin
from batchai_quickstart.serving import run as run_loop
from batchai_quickstart.storage.app import storage_app
from batchai_quickstart.storage.changes import Changes
from batchai_quickstart.storage.store import Account, Store
from batchai_quickstart.storage.volume import Kind

DEVELOPMENT: Final = (
    "devstoreaccount1",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
)
"""The account and the key every client knows for `UseDevelopmentStorage=true`."""

DEVELOPMENT_PORTS: Final = {Kind.BLOB: 10000, Kind.FILE: 10003}
"""Azurite's port for Blob, and the first free one behind those of its other services."""

_FIRST_ACCOUNT = "mystorage"


def run(options: argparse.Namespace) -> int:
    """Do what the options of `options.add_serving` and `options.add_storage` say.

    Returns:
        The exit status.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    wanted = {Kind.BLOB: options.blob_port, Kind.FILE: options.file_port}
    ports = {kind: port for kind, port in wanted.items() if port is not None}
    accounts = list(options.account or ())
    if options.devstoreaccount1:
        accounts.append(DEVELOPMENT)
        ports = DEVELOPMENT_PORTS | ports
    serve(
        (options.root or default_root()).resolve(),
        host=options.host,
        port=options.port,
        accounts=accounts,
        ports=ports,
        sync=options.fsync,
        announce=_to_stdout,
    )
    return 0


def serve(
    root: Path,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    accounts: Sequence[tuple[str, str | None]] = (),
    ports: Mapping[Kind, int] | None = None,
    sync: bool = False,
    announce: Callable[[str], None],
) -> None:
    """Serve Blob and Files in the foreground until SIGTERM or SIGINT.

    Arguments:
        root: the directory a whole service would have; files are in `storage` below it.
        host: address to listen on.
        port: port for both services; None takes the one used last if it is free, else any.
        accounts: names of accounts to have, and their first keys or None; an empty root gets an
            account without being asked.
        ports: further ports, each for one service, with addresses like Azurite's.
        sync: whether an upload is answered only once it is on the disk.
        announce: gets a text with every address and connection string once requests are answered.

    Raises:
        ConfigurationError: the root is in use or not writable, or a port is taken.
        InvalidRequestError: the name of an account is not valid.
    """
    lock = Lock(root)
    run_loop(_serve(root, host, port, accounts, ports or {}, sync, announce))
    del lock


async def _serve(
    root: Path,
    host: str,
    port: int | None,
    accounts: Sequence[tuple[str, str | None]],
    ports: Mapping[Kind, int],
    sync: bool,
    announce: Callable[[str], None],
) -> None:
    store = Store(root / "storage", sync=sync)
    changes = Changes()
    listeners = []
    try:
        for name, key in accounts:
            store.create_account(name, key)
        if not store.accounts():
            store.create_account(_FIRST_ACCOUNT)
        listeners.append(listen(root, host, port))
        endpoint = origin(host, listeners[0])
        origins: dict[Kind, str] = {}
        kinds: dict[int, Kind | None] = {listeners[0].getsockname()[1]: None}
        for kind, wanted in ports.items():
            advice = f"choose another with --{kind}-port"
            listeners.append(bind(host, wanted, advice))
            kinds[listeners[-1].getsockname()[1]] = kind
            origins[kind] = origin(host, listeners[-1])
        server = Server(storage_app(store, changes, ports=kinds), changes.close)
        announce(announcement(store, endpoint, origins))
        await server.serve(sockets=listeners)
    finally:
        changes.close()
        for listener in listeners:
            listener.close()
        store.close()


def announcement(store: Store, endpoint: str, origins: Mapping[Kind, str]) -> str:
    """What a person needs to use the accounts of a store, fit for copying.

    Arguments:
        store: whose accounts.
        endpoint: `http://HOST:PORT` of both services.
        origins: the same of the ports that stand for one service.
    """
    lines = [f"Storage of {store.root} at {endpoint}; Ctrl-C ends it."]
    for account in store.accounts():
        directory = store.root / "accounts" / account.name
        rows = [
            ("Blob", f"{endpoint}/blob/{account.name}"),
            ("Files", f"{endpoint}/file/{account.name}"),
            *((f"{kind} port", f"{url}/{account.name}") for kind, url in origins.items()),
            ("containers", f"{directory / Kind.BLOB}"),
            ("shares", f"{directory / Kind.FILE}"),
        ]
        lines += ["", account.name, *(f"  {name:11} {value}" for name, value in rows)]
        if account.keys[0] == DEVELOPMENT[1]:
            lines.append("  Its key is public: whoever reaches the port may read and write.")
        lines.append(
            f"export AZURE_STORAGE_CONNECTION_STRING='{connection_string(account, endpoint)}'"
        )
    return "\n".join(lines) + "\n"


def connection_string(account: Account, endpoint: str) -> str:
    """The connection string of an account, as Azure's clients take it.

    Arguments:
        account: the account, whose first key it holds.
        endpoint: `http://HOST:PORT` of both services.
    """
    fields = {
        "DefaultEndpointsProtocol": endpoint.partition(":")[0],
        "AccountName": account.name,
        "AccountKey": account.keys[0],
        "BlobEndpoint": f"{endpoint}/blob/{account.name}",
        "FileEndpoint": f"{endpoint}/file/{account.name}",
    }
    return ";".join(f"{name}={value}" for name, value in fields.items())


def _to_stdout(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
