"""What clients said about a file, and which state of the file they said it about."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self


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

State = tuple[int, str]
"""Inode and stamp of a file."""


def state(status: os.stat_result) -> State:
    """The state of the file of that status."""
    return status.st_ino, stamp(status)
