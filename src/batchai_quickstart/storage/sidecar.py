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
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from batchai_quickstart.storage.properties import NOTHING, Properties, State, stamp
from batchai_quickstart.storage.unsettled import Unsettled, VolumeKey

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

    def refresh(self, key: VolumeKey, path: str, look: Callable[[], os.stat_result | None]) -> None:
        """Have the row about a file name the state it is in; what was said of older content goes.

        `verdict` knows a file that did not change by the state its row names.

        Arguments:
            key: the volume.
            path: of the file in it.
            look: gives the file's status, None when there is none; asked only if there is a row.
        """
        rows = self._rows(key, path)
        status = look() if rows else None
        if status and rows[0][0] == status.st_ino and rows[0][1] != stamp(status):
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


def _fitting(row: tuple[Any, ...], status: os.stat_result) -> Properties:
    inode, written, text = row
    if inode != status.st_ino:
        return NOTHING
    said = Properties.from_json(text)
    return said if written == stamp(status) else said.without_content()
