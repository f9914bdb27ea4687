"""What exists: every resource, its secrets and its long-running operations, in SQLite.

One connection, one writer, in WAL mode. A write is durable against the death of the process as
soon as the call returns (`synchronous=NORMAL`: only a power cut may lose the newest ones, and
never breaks the file). Secret values live in a file of their own, readable by its owner alone.
"""

import asyncio
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from batchai_quickstart.ids import Kind, ResourceId

GROUP_TYPE = "Microsoft.Resources/resourceGroups"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resources (
    key TEXT PRIMARY KEY,           -- the id in lower case
    id TEXT NOT NULL,               -- with the case it was created with
    type TEXT NOT NULL,
    seq INTEGER NOT NULL,           -- order of creation
    rev INTEGER NOT NULL,           -- grows with every write
    location TEXT,
    tags TEXT,
    properties TEXT NOT NULL,       -- the wire's `properties`, without secrets
    private TEXT NOT NULL,          -- what only the service knows
    active INTEGER NOT NULL         -- 1 while the scheduler has work with it
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS resources_of_type ON resources (type, key);
CREATE INDEX IF NOT EXISTS resources_active ON resources (type, seq) WHERE active;
CREATE TABLE IF NOT EXISTS operations (
    name TEXT PRIMARY KEY, key TEXT NOT NULL, verb TEXT NOT NULL,
    started TEXT NOT NULL, ended TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS operations_open ON operations (key) WHERE ended IS NULL;
CREATE TABLE IF NOT EXISTS secrets.secrets (
    key TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (key, name)
) WITHOUT ROWID;
"""
_RECENT = 1000
"""Records kept in memory."""
_COLUMNS = "id, seq, rev, location, tags, properties, private, active"


@dataclass(frozen=True, slots=True)
class Record:
    """One resource as it is stored.

    Arguments:
        id: its ARM id.
        properties: the wire's `properties` (for a resource group: its `properties` too).
        location: Azure region name, for kinds that have one.
        tags: for kinds that have them.
        private: what the service keeps beside the wire's properties.
        active: whether the scheduler still has work with it (jobs: not finished).
        seq: order of creation.
        rev: grows with every write of any resource.
    """

    id: ResourceId
    properties: Mapping[str, Any]
    location: str | None = None
    tags: Mapping[str, str] | None = None
    private: Mapping[str, Any] | None = None
    active: bool = False
    seq: int = 0
    rev: int = 0

    @property
    def etag(self) -> str:
        """A strong entity tag of this state of the resource."""
        return f'"{self.rev:x}"'

    def with_properties(self, **changes: Any) -> "Record":
        """Return a copy with some wire properties set, or removed where the value is None."""
        merged = {**self.properties, **changes}
        return replace(self, properties={k: v for k, v in merged.items() if v is not None})

    def body(self) -> dict[str, Any]:
        """Build the wire's JSON object."""
        body: dict[str, Any] = {
            "id": str(self.id),
            "name": self.id.name,
            "type": self.id.kind.type if self.id.kind else GROUP_TYPE,
        }
        if self.location is not None:
            body["location"] = self.location
        if self.tags is not None:
            body["tags"] = self.tags
        body["properties"] = self.properties
        return body


@dataclass(frozen=True, slots=True)
class Operation:
    """A long-running operation: `verb` (`create`, `delete`, `terminate`) on the resource `key`."""

    name: str
    key: str
    verb: str
    started: str
    ended: str | None


class Registry:
    """Resources, secrets and operations below one directory.

    Arguments:
        directory: where `registry.sqlite` and `secrets.sqlite` (mode 0600) are kept; created.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        paths = [directory / "registry.sqlite", directory / "secrets.sqlite"]
        for path in paths:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        # Transactions are written out; the object lives on the event loop's thread alone.
        self._db = sqlite3.connect(paths[0], isolation_level=None)
        self._db.execute("ATTACH ? AS secrets", (str(paths[1]),))
        for schema in ("main", "secrets"):
            self._db.execute(f"PRAGMA {schema}.journal_mode = WAL")
            self._db.execute(f"PRAGMA {schema}.synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self._db.execute("DELETE FROM secrets.secrets WHERE key NOT IN (SELECT key FROM resources)")
        row = self._db.execute("SELECT max(seq), max(rev) FROM resources").fetchone()
        self._seq, self._rev = row[0] or 0, row[1] or 0
        self._depth = 0
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._touched: set[str] = set()
        # What was read or written lately: a job's life asks for the same few records many times.
        self._recent: dict[str, Record] = {}

    def close(self) -> None:
        """Close the files; every later call fails."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all writes inside one atomic, durable step; nested uses join the outer one.

        Each of the two files is atomic by itself: a crash in the middle of the commit may leave
        secrets without their resource, which the next start drops.
        """
        if self._depth == 0:
            self._db.execute("BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                self._touched.clear()
                self._recent.clear()
                self._db.execute("ROLLBACK")
            raise
        self._depth -= 1
        if self._depth == 0:
            self._db.execute("COMMIT")
            touched, self._touched = self._touched, set()
            for key in touched:
                _wake(self._waiters.get(key, ()))

    # -- resources -------------------------------------------------------------------------

    def get(self, id_: ResourceId) -> Record | None:
        """Return the resource, or None."""
        recent = self._recent.get(id_.key)
        if recent is not None:
            return recent
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM resources WHERE key = ?", (id_.key,)
        ).fetchone()
        return self._remember(_record(row)) if row else None

    def _remember(self, record: Record) -> Record:
        if len(self._recent) >= _RECENT:
            del self._recent[next(iter(self._recent))]
        self._recent[record.id.key] = record
        return record

    def put(self, record: Record, *, secrets: Mapping[str, str] | None = None) -> Record:
        """Store a resource (new, or replacing the one of the same id) and return it as stored.

        Arguments:
            record: its `seq` is kept when it has one, `rev` is always new.
            secrets: secret values that replace the resource's stored ones; None keeps them.
        """
        self._rev += 1
        seq = record.seq
        if seq == 0:
            self._seq += 1
            seq = self._seq
        stored = replace(record, seq=seq, rev=self._rev)
        id_ = stored.id
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO resources VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    id_.key,
                    str(id_),
                    _type(id_.kind),
                    stored.seq,
                    stored.rev,
                    stored.location,
                    json.dumps(stored.tags) if stored.tags is not None else None,
                    json.dumps(stored.properties),
                    json.dumps(stored.private or {}),
                    int(stored.active),
                ),
            )
            if secrets is not None:
                self._db.execute("DELETE FROM secrets.secrets WHERE key = ?", (id_.key,))
                self._db.executemany(
                    "INSERT INTO secrets.secrets VALUES (?, ?, ?)",
                    [(id_.key, name, value) for name, value in secrets.items()],
                )
            self._touched.add(id_.key)
            self._remember(stored)
        return stored

    def delete(self, id_: ResourceId) -> None:
        """Remove a resource, everything below it and their secrets; finish their operations."""
        below = (id_.key, f"{id_.key}/", f"{id_.key}0")  # "0" follows "/" in ASCII
        with self.transaction():
            rows = self._db.execute(
                "SELECT key FROM resources WHERE key = ? OR key > ? AND key < ?", below
            ).fetchall()
            for table in ("resources", "secrets.secrets"):
                self._db.execute(f"DELETE FROM {table} WHERE key = ? OR key > ? AND key < ?", below)
            for (key,) in rows:
                self._touched.add(key)
                self._recent.pop(key, None)
                self.finish_operations(key)

    def children(
        self, parent: ResourceId, kind: Kind, *, after: str = "", limit: int = -1
    ) -> list[Record]:
        """Return the resources of `kind` below `parent`, by key, continuing behind key `after`."""
        prefix = f"{parent.key}/"
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM resources "
            "WHERE type = ? AND key > ? AND key < ? ORDER BY key LIMIT ?",
            (_type(kind), max(prefix, after), f"{parent.key}0", limit),
        )
        return [_record(row) for row in rows]

    def in_subscription(
        self, subscription: str, kind: Kind | None, *, after: str = "", limit: int = -1
    ) -> list[Record]:
        """Return a subscription's resources of one kind (None: resource groups), by key."""
        prefix = f"/subscriptions/{subscription.lower()}/"
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM resources "
            "WHERE type = ? AND key > ? AND key < ? ORDER BY key LIMIT ?",
            (_type(kind), max(prefix, after), f"{prefix[:-1]}0", limit),
        )
        return [_record(row) for row in rows]

    def active(self, kind: Kind) -> list[Record]:
        """Return the resources of `kind` the scheduler has work with, oldest first."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM resources WHERE type = ? AND active ORDER BY seq",
            (_type(kind),),
        )
        return [_record(row) for row in rows]

    def all(self, kind: Kind | None) -> list[Record]:
        """Return every resource of one kind (None: resource groups), oldest first."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM resources WHERE type = ? ORDER BY seq", (_type(kind),)
        )
        return [_record(row) for row in rows]

    def secrets(self, id_: ResourceId) -> dict[str, str]:
        """Return the secret values stored with a resource."""
        return dict(
            self._db.execute("SELECT name, value FROM secrets.secrets WHERE key = ?", (id_.key,))
        )

    # -- operations ------------------------------------------------------------------------

    def begin_operation(self, name: str, id_: ResourceId, verb: str, started: str) -> None:
        """Record an operation that is under way."""
        with self.transaction():
            self._db.execute(
                "INSERT INTO operations VALUES (?, ?, ?, ?, NULL)",
                (name, id_.key, verb, started),
            )

    def finish_operations(self, key: str, *verbs: str) -> None:
        """Mark a resource's open operations (of the given verbs, or all) as succeeded now."""
        with self.transaction():
            self._db.execute(
                "UPDATE operations SET ended = ? WHERE key = ? AND ended IS NULL"
                + (f" AND verb IN ({','.join('?' * len(verbs))})" if verbs else ""),
                (wire_time(utcnow()), key, *verbs),
            )

    def operation(self, name: str) -> Operation | None:
        """Return an operation by its name (a GUID), or None."""
        row = self._db.execute("SELECT * FROM operations WHERE name = ?", (name,)).fetchone()
        return Operation(*row) if row else None

    def forget_operations(self, before: str) -> None:
        """Drop operations that ended before a wire time."""
        with self.transaction():
            self._db.execute("DELETE FROM operations WHERE ended < ?", (before,))

    # -- waiting ---------------------------------------------------------------------------

    def wake(self, id_: ResourceId | None = None) -> None:
        """End the waits for a resource, or all that are under way."""
        for key in list(self._waiters) if id_ is None else [id_.key]:
            _wake(self._waiters.get(key, ()))

    async def changed(self, keys: Iterable[str], timeout: float) -> None:
        """Return at the next write or removal of one of `keys`, or after `timeout` seconds.

        May return early (`wake`): look again.
        """
        future = asyncio.get_running_loop().create_future()
        wanted = list(keys)
        for key in wanted:
            self._waiters.setdefault(key, set()).add(future)
        try:
            async with asyncio.timeout(timeout):
                await future
        except TimeoutError:
            return
        finally:
            for key in wanted:
                waiting = self._waiters[key]
                waiting.discard(future)
                if not waiting:
                    del self._waiters[key]


def _wake(waiters: Iterable[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


def _type(kind: Kind | None) -> str:
    return kind.type if kind else GROUP_TYPE


def _record(row: tuple[Any, ...]) -> Record:
    id_, seq, rev, location, tags, properties, private, active = row
    return Record(
        id=ResourceId.parse(id_),
        properties=json.loads(properties),
        location=location,
        tags=json.loads(tags) if tags is not None else None,
        private=json.loads(private),
        active=bool(active),
        seq=seq,
        rev=rev,
    )


def utcnow() -> datetime:
    """Return the time, aware, in UTC."""
    return datetime.now(UTC)


def wire_time(moment: datetime) -> str:
    """Write a time as Batch AI did: UTC, `Z`, at most three decimals, trailing zeros cut."""
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{moment.microsecond // 1000:03d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"
