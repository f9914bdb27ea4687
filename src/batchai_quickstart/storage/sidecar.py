"""What a directory cannot say: accounts and keys, volumes, and the properties of files.

One SQLite file, readable by its owner alone because it holds the accounts' keys. A row about a
file names the inode it was written for, and what depends on the content also the file's stamp;
so a row never speaks for a file that a job put in its place or changed afterwards. Files nobody
said anything about have no row.

A row is written before the file changes, and what it replaces is kept in the journal until the
change is known to be complete: `verdict` says after a crash which of the two the file is.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

_SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    name TEXT PRIMARY KEY, key1 TEXT NOT NULL, key2 TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS volumes (
    account TEXT, kind TEXT, name TEXT, facts TEXT NOT NULL,
    PRIMARY KEY (account, kind, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (
    account TEXT, kind TEXT, volume TEXT, path BLOB,
    inode INTEGER NOT NULL, stamp TEXT NOT NULL, properties TEXT NOT NULL,
    PRIMARY KEY (account, kind, volume, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases (
    account TEXT, kind TEXT, volume TEXT, path BLOB, lease TEXT NOT NULL,
    PRIMARY KEY (account, kind, volume, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS services (
    account TEXT, kind TEXT, settings TEXT NOT NULL, PRIMARY KEY (account, kind)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS permissions (
    account TEXT, kind TEXT, volume TEXT, key TEXT, text TEXT NOT NULL,
    PRIMARY KEY (account, kind, volume, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS moves (
    id INTEGER PRIMARY KEY, account TEXT, kind TEXT, volume TEXT,
    source TEXT, target TEXT, inode INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS journal (
    change INTEGER PRIMARY KEY, account TEXT, kind TEXT, volume TEXT, path BLOB,
    inode INTEGER, stamp TEXT,
    old_inode INTEGER, old_stamp TEXT, old_properties TEXT);
"""
_IN_VOLUMES = ("journal", "leases", "entries", "permissions", "moves")
_OF_PATH = "account = ? AND kind = ? AND volume = ? AND path = ?"


def stamp(status: os.stat_result) -> str:
    """Changes whenever the content of a file does: modification time and size."""
    return stamp_of(status.st_mtime_ns, status.st_size)


def stamp_of(mtime: int, size: int) -> str:
    """The stamp of a file of that modification time, in nanoseconds, and size."""
    return f"{mtime:x}-{size:x}"


@dataclass(frozen=True, slots=True)
class Properties:
    """What a client said about a file.

    Arguments:
        headers: response headers to repeat, by lower-case name (`content-type`, ...).
        metadata: the client's own names and values.
        md5: base64 MD5 of the content, as the client declared it.
        blocks: (block id, bytes) of the blocks the content was made of.
        kind: `AppendBlob` for one; empty for every other file.
        tags: index tags of a blob.
        copy: what is told of the copy that made the content: answer headers by name.
        changed: the system's time of change when a client named another one, and that one, in
            nanoseconds since the epoch; empty when none did.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    md5: str | None = None
    blocks: tuple[tuple[str, int], ...] = ()
    kind: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    copy: Mapping[str, str] = field(default_factory=dict)
    changed: tuple[int, ...] = ()

    def to_json(self) -> str:
        """The non-empty members as one JSON object."""
        members = {
            "headers": dict(self.headers),
            "metadata": dict(self.metadata),
            "md5": self.md5,
            "blocks": self.blocks,
            "kind": self.kind,
            "tags": dict(self.tags),
            "copy": dict(self.copy),
            "changed": self.changed,
        }
        return json.dumps({name: value for name, value in members.items() if value})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        members: dict[str, Any] = json.loads(text)
        blocks = tuple((name, size) for name, size in members.get("blocks", ()))
        changed = tuple(members.get("changed", ()))
        return cls(**(members | {"blocks": blocks, "changed": changed}))

    def without_content(self) -> "Properties":
        """What stays true after the content changed."""
        return replace(self, md5=None, blocks=(), copy={}, changed=())


NOTHING = Properties()
"""The properties of a file nobody said anything about."""

VolumeKey = tuple[str, str, str]
"""Account, kind, name."""

State = tuple[int, str]
"""Inode and stamp of a file."""


def state(status: os.stat_result) -> State:
    """The state of the file of that status."""
    return status.st_ino, stamp(status)


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A change of a file of which nobody noted that it is complete.

    Arguments:
        number: of the change.
        key: the volume.
        path: of the file in it.
        after: what the file was to become; None when it was to go.
        inode: of the row there was before; None when there was none.
        stamp: of that row.
        said: what it said.
    """

    number: int
    key: VolumeKey
    path: str
    after: State | None
    inode: int | None
    stamp: str
    said: Properties


def verdict(
    change: Unsettled, status: os.stat_result | None
) -> Literal["done", "undone", "torn", "neither"]:
    """What a file says about a change of it that a crash may have cut off.

    Arguments:
        change: the change.
        status: of the file; None when there is none.

    Returns:
        `done` or `undone`: what is said now, or what was said before, is about this file. `torn`:
        a part of a block was added to an append blob. `neither`: it is another file.
    """
    if status is None:
        return "done" if change.after is None else "neither"
    if change.inode == status.st_ino and change.stamp == stamp(status):
        return "undone"
    if change.after is None or change.after[0] != status.st_ino:
        # An inode number alone is no proof: the next new file may get that of one that is gone.
        return "neither"
    if change.inode == status.st_ino and change.said.kind:
        before, after = (_size(each) for each in (change.stamp, change.after[1]))
        if before < status.st_size < after:
            return "torn"
    return "done"


class Sidecar:
    """The SQLite file beside the directories.

    Arguments:
        path: the file; made with mode 0600 when it is not there.
        sync: whether what is kept is on the disk at once.
    """

    def __init__(self, path: Path, *, sync: bool = False) -> None:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute(f"PRAGMA synchronous={'FULL' if sync else 'NORMAL'}")
        self._db.executescript(_SCHEMA)
        self._settled: list[tuple[int]] = []
        # Leases are asked for with every request and are few: all of them are in memory.
        self._leases: dict[VolumeKey, dict[str, dict[str, Any]]] = {}
        for *key, path, lease in self._run("SELECT * FROM leases"):
            account, kind, volume = key
            of_volume = self._leases.setdefault((account, kind, volume), {})
            of_volume[os.fsdecode(path)] = json.loads(lease)

    def close(self) -> None:
        """Close the file."""
        with self._together():
            pass
        self._db.close()

    def _run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    @contextmanager
    def _together(self) -> Iterator[sqlite3.Connection]:
        """One transaction, with which the settled changes leave the journal."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                if self._settled:
                    self._db.executemany("DELETE FROM journal WHERE change = ?", self._settled)
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # it may have ended the transaction itself
                    self._db.execute("ROLLBACK")
                raise
            self._settled.clear()

    # Accounts and volumes: few, read once at the start and kept by the store.

    def accounts(self) -> list[tuple[str, str, str]]:
        """(name, key1, key2) of every account."""
        return [(name, one, two) for name, one, two in self._run("SELECT * FROM accounts")]

    def add_account(self, name: str, key1: str, key2: str) -> None:
        """Keep an account and its keys, a new one or not."""
        self._run("INSERT OR REPLACE INTO accounts VALUES (?, ?, ?)", name, key1, key2)

    def drop_account(self, name: str) -> None:
        """Forget an account, its volumes and everything in them."""
        for key in [key for key in self._leases if key[0] == name]:
            del self._leases[key]
        with self._together() as db:
            for table in (*_IN_VOLUMES, "volumes", "services"):
                db.execute(f"DELETE FROM {table} WHERE account = ?", (name,))
            db.execute("DELETE FROM accounts WHERE name = ?", (name,))

    def services(self) -> list[tuple[str, str, dict[str, Any]]]:
        """(account, kind, settings) of every service for which something is set."""
        rows = self._run("SELECT account, kind, settings FROM services")
        return [(account, kind, json.loads(settings)) for account, kind, settings in rows]

    def put_service(self, account: str, kind: str, settings: Mapping[str, Any]) -> None:
        """Keep what is set for a service."""
        row = (account, kind, json.dumps(dict(settings)))
        self._run("REPLACE INTO services VALUES (?, ?, ?)", *row)

    def volumes(self) -> list[tuple[VolumeKey, dict[str, Any]]]:
        """Every volume with its facts."""
        rows = self._run("SELECT account, kind, name, facts FROM volumes")
        return [((account, kind, name), json.loads(facts)) for account, kind, name, facts in rows]

    def put_volume(self, key: VolumeKey, facts: Mapping[str, Any]) -> None:
        """Keep a volume's facts: creation, modification, metadata, quota."""
        self._run("REPLACE INTO volumes VALUES (?, ?, ?, ?)", *key, json.dumps(dict(facts)))

    def drop_volume(self, key: VolumeKey) -> None:
        """Forget a volume and everything in it."""
        self._leases.pop(key, None)
        with self._together() as db:
            for table, column in (*((each, "volume") for each in _IN_VOLUMES), ("volumes", "name")):
                where = f"account = ? AND kind = ? AND {column} = ?"
                db.execute(f"DELETE FROM {table} WHERE {where}", key)

    # Leases, of a volume itself under the empty path.

    def lease(self, key: VolumeKey, path: str) -> dict[str, Any] | None:
        """The lease on something, as it was put; None when there is none."""
        return self._leases.get(key, {}).get(path)

    def put_lease(self, key: VolumeKey, path: str, lease: Mapping[str, Any]) -> None:
        """Keep a lease."""
        self._leases.setdefault(key, {})[path] = dict(lease)
        row = (*key, os.fsencode(path), json.dumps(dict(lease)))
        self._run("REPLACE INTO leases VALUES (?, ?, ?, ?, ?)", *row)

    def drop_lease(self, key: VolumeKey, path: str) -> None:
        """Forget a lease; none there is no error."""
        if self._leases.get(key, {}).pop(path, None) is not None:
            self._run(f"DELETE FROM leases WHERE {_OF_PATH}", *key, os.fsencode(path))

    # Files.

    def put(self, key: VolumeKey, path: str, status: os.stat_result, said: Properties) -> None:
        """Keep what was said about the file of that status; nothing said, nothing kept."""
        if said == NOTHING:
            self.drop(key, path)
            return
        row = (*key, os.fsencode(path), status.st_ino, stamp(status), said.to_json())
        self._run("REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", *row)

    def drop(self, key: VolumeKey, path: str) -> None:
        """Forget a file."""
        self._run(f"DELETE FROM entries WHERE {_OF_PATH}", *key, os.fsencode(path))

    def _rows(self, key: VolumeKey, path: str) -> list[tuple[Any, ...]]:
        return self._run(
            f"SELECT inode, stamp, properties FROM entries WHERE {_OF_PATH}",
            *key,
            os.fsencode(path),
        )

    def refresh(self, key: VolumeKey, path: str, status: os.stat_result) -> None:
        """Have the row about a file name the state it is in; what was said of older content goes.

        `verdict` knows a file that did not change by the state its row names.
        """
        rows = self._rows(key, path)
        if rows and rows[0][0] == status.st_ino and rows[0][1] != stamp(status):
            self.put(key, path, status, _fitting(rows[0], status))

    def begin(self, key: VolumeKey, path: str, after: State | None, said: Properties) -> int:
        """Keep what is said about a file that is about to change, and what was said before.

        Arguments:
            key: the volume.
            path: of the file in it.
            after: what the file becomes; None when it goes.
            said: about the file as it will be.

        Returns:
            The change's number, for `settle` or `undo`.
        """
        where = (*key, os.fsencode(path))
        with self._together() as db:
            number = db.execute(
                "INSERT INTO journal SELECT NULL, ?, ?, ?, ?, ?, ?, inode, stamp, properties"
                f" FROM (SELECT 1) LEFT JOIN entries ON {_OF_PATH}",
                (*where, *(after or (None, None)), *where),
            ).lastrowid
            assert number is not None
            if after is None or said == NOTHING:
                db.execute(f"DELETE FROM entries WHERE {_OF_PATH}", where)
            else:
                row = (*where, *after, said.to_json())
                db.execute("REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return number

    def settle(self, number: int, *, at_once: bool = False) -> None:
        """Note that a change is complete: with the next change, or at once."""
        self._settled.append((number,))
        if at_once:
            with self._together():
                pass

    def undo(self, number: int) -> None:
        """Put back what was said before a change that did not come about."""
        of_change = "FROM journal WHERE change = ?"
        with self._together() as db:
            db.execute(
                "DELETE FROM entries WHERE (account, kind, volume, path) ="
                f" (SELECT account, kind, volume, path {of_change})",
                (number,),
            )
            db.execute(
                "INSERT INTO entries SELECT account, kind, volume, path, old_inode, old_stamp,"
                f" old_properties {of_change} AND old_inode IS NOT NULL",
                (number,),
            )
            db.execute(f"DELETE {of_change}", (number,))

    def unsettled(self) -> list[Unsettled]:
        """The changes that are not known to be complete, the last one first."""
        return [
            Unsettled(
                number,
                (account, kind, volume),
                os.fsdecode(path),
                None if inode is None else (inode, written),
                old_inode,
                old_written or "",
                Properties.from_json(old or "{}"),
            )
            for (
                number,
                account,
                kind,
                volume,
                path,
                inode,
                written,
                old_inode,
                old_written,
                old,
            ) in self._run("SELECT * FROM journal ORDER BY change DESC")
        ]

    def get(self, key: VolumeKey, path: str, status: os.stat_result) -> Properties:
        """What was said about the file of that status."""
        rows = self._rows(key, path)
        return _fitting(rows[0], status) if rows else NOTHING

    def of(self, key: VolumeKey, found: Mapping[str, os.stat_result]) -> dict[str, Properties]:
        """What was said about some files and directories of one directory, in one query.

        Arguments:
            key: the volume.
            found: their statuses by path.
        """
        statuses = {os.fsencode(path): status for path, status in found.items()}
        rows = self._run(
            "SELECT path, inode, stamp, properties FROM entries"
            " WHERE account = ? AND kind = ? AND volume = ?"
            f" AND path IN ({','.join('?' * len(statuses))})",
            *key,
            *statuses,
        )
        return {os.fsdecode(path): _fitting(tuple(row), statuses[path]) for path, *row in rows}

    # Permissions of a share: texts by key.

    def permission(self, key: VolumeKey, name: str) -> str | None:
        """The text of a key; None when there is none."""
        rows = self._run(
            "SELECT text FROM permissions"
            " WHERE account = ? AND kind = ? AND volume = ? AND key = ?",
            *key,
            name,
        )
        return str(rows[0][0]) if rows else None

    def put_permission(self, key: VolumeKey, name: str, text: str) -> None:
        """Keep a text under its key."""
        self._run("REPLACE INTO permissions VALUES (?, ?, ?, ?, ?)", *key, name, text)

    # Moves, kept from before the rename on disk until the rows have followed.

    def begin_move(self, key: VolumeKey, source: str, target: str, inode: int) -> int:
        """Note that a file or directory is about to get another path; answers the note's id."""
        row = (*key, os.fsencode(source), os.fsencode(target), inode)
        statement = "INSERT INTO moves VALUES (NULL, ?, ?, ?, ?, ?, ?) RETURNING id"
        return int(self._run(statement, *row)[0][0])

    def moves(self) -> list[tuple[int, VolumeKey, str, str, int]]:
        """The moves that were begun and not ended: id, volume, source, target, inode."""
        return [
            (note, (account, kind, volume), os.fsdecode(source), os.fsdecode(target), inode)
            for note, account, kind, volume, source, target, inode in self._run(
                "SELECT * FROM moves"
            )
        ]

    def end_move(self, note: int, key: VolumeKey, source: str, target: str, *, moved: bool) -> None:
        """Have what was said, and the leases, follow what moved and all below; drop the note.

        Arguments:
            note: its id.
            key: the volume.
            source: the path something had.
            target: the path it has.
            moved: whether it has; otherwise only the note goes.
        """
        with self._lock, self._db:  # which ends the transaction one way or the other
            self._db.execute("BEGIN")
            if moved:
                for table in ("entries", "leases"):
                    self._move_rows(table, key, os.fsencode(source), os.fsencode(target))
            self._db.execute("DELETE FROM moves WHERE id = ?", (note,))
        leases = self._leases.get(key, {})
        if moved:
            going = {
                path: leases.pop(path)
                for path in list(leases)
                if path == source or path.startswith(f"{source}/")
            }
            for path in list(leases):
                if path == target or path.startswith(f"{target}/"):
                    del leases[path]
            leases.update({target + path[len(source) :]: lease for path, lease in going.items()})

    def _move_rows(self, table: str, key: VolumeKey, source: bytes, target: bytes) -> None:
        # What is below a path lies between it with a slash and it with the byte after a slash.
        here = (
            "WHERE account = ? AND kind = ? AND volume = ? AND (path = ? OR path >= ? AND path < ?)"
        )
        there = (*key, target, target + b"/", target + b"0")
        self._db.execute(f"DELETE FROM {table} {here}", there)
        # `||` makes text of bytes, whatever they are, and the cast makes the same bytes of it.
        self._db.execute(
            f"UPDATE {table} SET path = CAST(? || substr(path, ?) AS BLOB) {here}",
            (target, len(source) + 1, *key, source, source + b"/", source + b"0"),
        )

    def tagged(
        self, account: str, volume: str, floor: tuple[str, str]
    ) -> Iterator[tuple[VolumeKey, str]]:
        """The blobs of an account that have tags, as (container, path) in ascending order.

        Arguments:
            account: the account's name.
            volume: of this container only; empty for all of them.
            floor: the first container and path wanted.
        """
        rows = self._run(
            "SELECT kind, volume, path FROM entries WHERE account = ? AND kind = 'blob'"
            " AND (? = '' OR volume = ?) AND (volume, path) >= (?, ?)"
            " AND json_extract(properties, '$.tags') IS NOT NULL ORDER BY volume, path",
            account,
            volume,
            volume,
            floor[0],
            os.fsencode(floor[1]),
        )
        for kind, name, path in rows:
            yield (account, kind, name), os.fsdecode(path)

    def between(
        self, key: VolumeKey, found: Iterable[tuple[str, os.stat_result]]
    ) -> dict[str, Properties]:
        """What was said about the files of one page of a listing, in one query.

        Arguments:
            key: the volume.
            found: (path, status) in ascending order of path.
        """
        # Bytes, because a job's names need not be valid text; they sort like the text.
        statuses = {os.fsencode(path): status for path, status in found}
        if not statuses:
            return {}
        paths = list(statuses)
        rows = self._run(
            "SELECT path, inode, stamp, properties FROM entries"
            " WHERE account = ? AND kind = ? AND volume = ? AND path BETWEEN ? AND ?",
            *key,
            paths[0],
            paths[-1],
        )
        return {
            os.fsdecode(path): _fitting(tuple(row), statuses[path])
            for path, *row in rows
            if path in statuses
        }


def _size(stamp: str) -> int:
    """The size of the file of that stamp."""
    return int(stamp.rpartition("-")[2], 16)


def _fitting(row: tuple[Any, ...], status: os.stat_result) -> Properties:
    inode, written, text = row
    if inode != status.st_ino:
        return NOTHING
    said = Properties.from_json(text)
    return said if written == stamp(status) else said.without_content()
