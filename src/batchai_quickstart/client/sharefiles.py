"""A share on the wire: files that are written in place by ranges.

Azure Files shows a file from its creation on, zeros and all. So a file goes up under a name of
its own beside its place (`.0123456789abcdef.upload`), made of its size and time, and is renamed
when it is whole. Its metadata say up to where everything has arrived, so an upload that broke off
goes on from there. A service that cannot rename gets the file in its place.
"""

import base64
import hashlib
import os
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, final

from batchai_quickstart.client.access import Service
from batchai_quickstart.client.bars import Step
from batchai_quickstart.client.driver import (
    PART,
    content_type,
    facts,
    item_file,
    item_name,
    pages,
)
from batchai_quickstart.client.lanes import Job, Lanes
from batchai_quickstart.client.localfiles import Source
from batchai_quickstart.client.rest import Rest
from batchai_quickstart.client.stored import StoredFile
from batchai_quickstart.errors import (
    ConflictError,
    NotFoundError,
    RequestError,
    ServiceError,
    TransferError,
)

_MARKED: Final = 4 * PART
"""Bytes between two notes of how much has arrived."""
_UNFINISHED: Final = re.compile(r"(?:.*/)?\.[0-9a-f]{16}\.upload")
_NO_RENAME: Final = ("NotImplemented", "UnsupportedHttpVerb", "UnsupportedHeader")


def is_unfinished(name: str) -> bool:
    """Whether a name is that of an upload that has not ended."""
    return _UNFINISHED.fullmatch(name) is not None


@final
@dataclass(frozen=True, slots=True)
class ShareFiles:
    """The `Driver` of a share.

    Arguments:
        rest: the account's wire.
        volume: the share's name.
    """

    rest: Rest
    volume: str

    @property
    def service(self) -> Service:
        """Files."""
        return "file"

    def create(self) -> None:
        """Create Share."""
        try:
            self.rest.send("file", "PUT", self.volume, query={"restype": "share"})
        except ConflictError as error:
            if error.code != "ShareAlreadyExists":
                raise

    def delete(self) -> None:
        """Delete Share."""
        with suppress(NotFoundError):
            self.rest.send("file", "DELETE", self.volume, query={"restype": "share"})

    def entries(self, path: str) -> Iterator[StoredFile]:
        """List Directories and Files."""
        query = {"restype": "directory", "include": "Timestamps"}
        prefix = f"{path}/" if path else ""
        for page in pages(self.rest, "file", self.volume, path, query):
            for item in page.iterfind("Entries/*"):
                name = prefix + item_name(item)
                if item.tag == "Directory":
                    yield StoredFile(name, None, None, is_directory=True)
                else:
                    yield item_file(item, name)

    def walk(self, path: str) -> Iterator[StoredFile]:
        """The listings of a directory and all below."""
        for entry in self.entries(path):
            yield entry
            if entry.is_directory:
                yield from self.walk(entry.name)

    def put(self, name: str, source: Source, lanes: Lanes, step: Step) -> None:
        """Create File beside its place, Put Range, Set File Properties, Rename File."""
        if not source.size:
            source.check()
            self._create(name, source, {})
            return
        facts = os.fsencode(f"{name} {source.size} {source.modified}")
        token = hashlib.blake2b(facts, digest_size=8).hexdigest()
        directory, slash, _ = name.rpartition("/")
        beside = f"{directory}{slash}.{token}.upload"
        if self.rest.can_rename:
            self._write(beside, name, token, source, lanes, step)
            if self._rename(beside, name, source):
                return
            self.rest.can_rename = False
            self.rest.send("file", "DELETE", self.volume, beside, lost=(404,))
            step(-source.size)
        self._write(name, name, token, source, lanes, step)

    def prepare(self, directory: str) -> None:
        """Create the share, and a directory with all above it."""
        self.create()
        parts = directory.split("/") if directory else []
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            try:
                self.rest.send("file", "PUT", self.volume, path, query={"restype": "directory"})
            except ConflictError as error:
                if error.code != "ResourceAlreadyExists":
                    raise

    def delete_directory(self, path: str) -> None:
        """Delete Directory."""
        self.rest.send("file", "DELETE", self.volume, path, query={"restype": "directory"})

    def _write(
        self, target: str, name: str, token: str, source: Source, lanes: Lanes, step: Step
    ) -> None:
        """Bring a file's content and MD5 under the name `target`, going on where it broke off."""
        begin = self._arrived(target, token, source) if source.size > PART else None
        if begin is None:
            begin = 0
            self._create(target, source, {"x-ms-meta-upload": token})
        digest = hashlib.md5(usedforsecurity=False)
        arrived = _Arrived(begin)

        def send(offset: int, part: bytes) -> None:
            if offset >= begin:
                headers = {
                    "x-ms-write": "update",
                    "x-ms-range": f"bytes={offset}-{offset + len(part) - 1}",
                }
                self._change(target, "range", headers, part)
                if note := arrived.add(offset, len(part)):
                    marks = {"x-ms-meta-upload": token, "x-ms-meta-arrived": str(note)}
                    self._change(target, "metadata", marks)
            step(len(part))

        def jobs() -> Iterator[Job]:
            for offset, part in source.parts(PART):
                digest.update(part)
                yield partial(send, offset, part)

        try:
            lanes.run(jobs(), -(-source.size // PART))
            source.check()
        except TransferError:
            # The state of the file that this began with is no more: nobody can go on with it.
            self.rest.send("file", "DELETE", self.volume, target, takes=(404,))
            raise
        self._change(target, "metadata", {})
        md5 = base64.b64encode(digest.digest()).decode()
        said = {"x-ms-content-type": content_type(name), "x-ms-content-md5": md5}
        self._change(target, "properties", said)

    def _change(self, target: str, what: str, headers: dict[str, str], body: bytes = b"") -> None:
        query = {"comp": what}
        self.rest.send("file", "PUT", self.volume, target, query=query, headers=headers, body=body)

    def _create(self, target: str, source: Source, headers: dict[str, str]) -> None:
        described = {
            "x-ms-type": "file",
            "x-ms-content-length": str(source.size),
            "x-ms-content-type": content_type(target),
            **headers,
        }
        self.rest.send("file", "PUT", self.volume, target, headers=described)

    def _arrived(self, target: str, token: str, source: Source) -> int | None:
        """Up to where an upload that broke off is whole; None where there is none of this file."""
        answer = self.rest.send("file", "HEAD", self.volume, target, takes=(404,))
        headers = answer.headers
        if answer.status == 404 or headers.get("x-ms-meta-upload") != token:
            return None
        note = headers.get("x-ms-meta-arrived", "0")
        whole = headers.get("Content-Length") == str(source.size) and note.isdecimal()
        return min(int(note), source.size) if whole else None

    def _rename(self, beside: str, name: str, source: Source) -> bool:
        """Give a whole file its name; False where the service cannot do that."""
        headers = {
            "x-ms-file-rename-source": self.rest.signed(self.rest.url("file", self.volume, beside)),
            "x-ms-file-rename-replace-if-exists": "true",
            "x-ms-source-allow-trailing-dot": "true",
        }
        query = {"comp": "rename"}
        try:
            answer = self.rest.send(
                "file", "PUT", self.volume, name, query=query, headers=headers, lost=(404,)
            )
        except (RequestError, ServiceError) as error:
            if getattr(error, "code", None) not in _NO_RENAME:
                raise
            return False
        if answer.status == 404:
            there = facts(self, name)
            if there is None or there.size != source.size:
                raise TransferError(f"{name}: the upload was whole, and is gone; upload it again")
        return True


@final
class _Arrived:
    """Up to where everything has arrived, while parts arrive in any order.

    Arguments:
        begin: where it begins.
    """

    def __init__(self, begin: int) -> None:
        self._whole = self._noted = begin
        self._early: dict[int, int] = {}
        self._lock = threading.Lock()

    def add(self, offset: int, length: int) -> int:
        """Count a part; return what to note, 0 when a note would say little new."""
        with self._lock:
            self._early[offset] = length
            while self._whole in self._early:
                self._whole += self._early.pop(self._whole)
            if self._whole - self._noted < _MARKED:
                return 0
            self._noted = self._whole
            return self._whole
