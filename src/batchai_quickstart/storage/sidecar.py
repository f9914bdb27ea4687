"""What a directory cannot say: accounts and keys, volumes, and the properties of files.

One SQLite file, readable by its owner alone because it holds the accounts' keys. A row about a
file names the inode it was written for, and what depends on the content also the file's stamp;
so a row never speaks for a file that a job put in its place or changed afterwards. Files nobody
said anything about have no row.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

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
"""


def stamp(status: os.stat_result) -> str:
    """Changes whenever the content of a file does: modification time and size."""
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"


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
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    md5: str | None = None
    blocks: tuple[tuple[str, int], ...] = ()
    kind: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    copy: Mapping[str, str] = field(default_factory=dict)

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
        }
        return json.dumps({name: value for name, value in members.items() if value})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        members: dict[str, Any] = json.loads(text)
        blocks = tuple((name, size) for name, size in members.get("blocks", ()))
        return cls(**(members | {"blocks": blocks}))

    def without_content(self) -> "Properties":
        """What stays true after the content changed."""
        return replace(self, md5=None, blocks=(), copy={})


NOTHING = Properties()
"""The properties of a file nobody said anything about."""

VolumeKey = tuple[str, str, str]
"""Account, kind, name."""


class Sidecar:
    """The SQLite file beside the directories.

    Arguments:
        path: the file; made with mode 0600 when it is not there.
    """

    def __init__(self, path: Path) -> None:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    # Accounts and volumes: few, read once at the start and kept by the store.

    def accounts(self) -> list[tuple[str, str, str]]:
        """(name, key1, key2) of every account."""
        return [(name, one, two) for name, one, two in self._run("SELECT * FROM accounts")]

    def add_account(self, name: str, key1: str, key2: str) -> None:
        """Keep a new account."""
        self._run("INSERT INTO accounts VALUES (?, ?, ?)", name, key1, key2)

    def drop_account(self, name: str) -> None:
        """Forget an account, its volumes and everything in them."""
        for table, column in (("entries", "account"), ("volumes", "account"), ("accounts", "name")):
            self._run(f"DELETE FROM {table} WHERE {column} = ?", name)  # noqa: S608

    def volumes(self) -> list[tuple[VolumeKey, dict[str, Any]]]:
        """Every volume with its facts."""
        rows = self._run("SELECT account, kind, name, facts FROM volumes")
        return [((account, kind, name), json.loads(facts)) for account, kind, name, facts in rows]

    def put_volume(self, key: VolumeKey, facts: Mapping[str, Any]) -> None:
        """Keep a volume's facts: creation, modification, metadata, quota."""
        self._run("REPLACE INTO volumes VALUES (?, ?, ?, ?)", *key, json.dumps(dict(facts)))

    def drop_volume(self, key: VolumeKey) -> None:
        """Forget a volume and everything in it."""
        self._run("DELETE FROM entries WHERE account = ? AND kind = ? AND volume = ?", *key)
        self._run("DELETE FROM volumes WHERE account = ? AND kind = ? AND name = ?", *key)

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
        self._run(
            "DELETE FROM entries WHERE account = ? AND kind = ? AND volume = ? AND path = ?",
            *key,
            os.fsencode(path),
        )

    def get(self, key: VolumeKey, path: str, status: os.stat_result) -> Properties:
        """What was said about the file of that status."""
        rows = self._run(
            "SELECT inode, stamp, properties FROM entries"
            " WHERE account = ? AND kind = ? AND volume = ? AND path = ?",
            *key,
            os.fsencode(path),
        )
        return _fitting(rows[0], status) if rows else NOTHING

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
