"""`kill -9` on storage in the midst of its work, again and again."""

import hashlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, final

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobServiceClient, ContentSettings
from azure.storage.fileshare import ContentSettings as FileSettings
from azure.storage.fileshare import ShareServiceClient

from tests.alone import Alone, storage_alone

ROUNDS = int(os.environ.get("KILL_ROUNDS", "12"))
SECONDS = (0.02, 0.4)
"""The shortest and the longest life of a process."""

Found = dict[str, Any] | None
"""What can be seen of a thing from outside; None when it is not there."""


def _md5(content: bytes) -> bytearray:
    return bytearray(hashlib.md5(content, usedforsecurity=False).digest())


class Subject(Protocol):
    """A thing that clients change, seen from outside."""

    def connect(self, text: str, name: str) -> None:
        """Use a new life of the service."""

    def look(self) -> Found:
        """What is there now."""

    def step(self, writer: "Writer") -> None:
        """Change it, by way of the writer."""


@final
class Writer:
    """Changes one thing, a step after the other, and knows what it must be after a kill.

    Arguments:
        name: of the thing, and the seed of what is done with it.
        subject: the thing.
    """

    def __init__(self, name: str, subject: Subject) -> None:
        self.name, self.random, self._subject = name, random.Random(name), subject
        self.answered: Found = None
        self.allowed: Callable[[Found], bool] = lambda found: found == self.answered
        self.steps = 0

    def connect(self, text: str) -> None:
        """Use a new life of the service."""
        self._subject.connect(text, self.name)

    def step(self) -> None:
        """Change the thing."""
        self._subject.step(self)

    def attempt(self, allowed: Callable[[Found], bool], call: Callable[[], object]) -> None:
        """Do something; a kill in the midst of it leaves what is `allowed`."""
        self.allowed = allowed
        call()
        self.steps += 1

    def became(self, after: Found) -> None:
        """Note what the thing is now for sure."""
        self.answered = after
        self.allowed = lambda found: found == after

    def do(self, after: Found, call: Callable[[], object]) -> None:
        """Have `call` make `after` of the thing, at once or not at all."""
        before = self.answered
        self.attempt(lambda found: found in (before, after), call)
        self.became(after)

    def check(self) -> None:
        """Fail unless the thing is as answered, or as the step under way would have it."""
        found = self._subject.look()
        assert self.allowed(found), (self.name, _short(found), _short(self.answered))
        self.became(found)

    def content(self, most: int) -> bytes:
        """Bytes that no other step writes."""
        line = f"{self.name} {self.steps} {self.random.random()}\n".encode()
        return line * self.random.randint(1, most // len(line))


@final
class BlockBlob:
    """Puts, commits, describes and deletes a block blob."""

    def connect(self, text: str, name: str) -> None:
        service = BlobServiceClient.from_connection_string(text, retry_total=0)
        self.client = service.get_blob_client("data", name)

    def look(self) -> Found:
        try:
            got = self.client.download_blob()
        except ResourceNotFoundError:
            return None
        settings = self.client.get_blob_properties().content_settings
        return {
            "content": got.readall(),
            "type": settings.content_type,
            "md5": settings.content_md5,
            "metadata": dict(got.properties.metadata or {}),
        }

    def step(self, writer: Writer) -> None:
        choice, content = writer.random.randrange(5), writer.content(150_000)
        metadata, kind = {"step": str(writer.steps)}, f"text/step{writer.steps}"
        after = {"content": content, "type": kind, "md5": _md5(content), "metadata": metadata}
        settings = ContentSettings(kind, content_md5=_md5(content))
        if choice < 2:
            writer.do(
                after,
                lambda: self.client.upload_blob(
                    content, overwrite=True, metadata=metadata, content_settings=settings
                ),
            )
        elif choice == 2:
            pieces = [content[: len(content) // 2], content[len(content) // 2 :]]
            blocks = [BlobBlock(f"{index:04}") for index in range(2)]

            def commit() -> None:
                for block, piece in zip(reversed(blocks), reversed(pieces), strict=True):
                    self.client.stage_block(block.id, piece)
                self.client.commit_block_list(blocks, metadata=metadata, content_settings=settings)

            writer.do(after, commit)
        elif writer.answered is not None and choice == 3:
            after = {**writer.answered, "metadata": metadata}
            writer.do(after, lambda: self.client.set_blob_metadata(metadata))
        elif writer.answered is not None:
            writer.do(None, self.client.delete_blob)


@final
class AppendBlob:
    """Adds blocks to an append blob."""

    def connect(self, text: str, name: str) -> None:
        service = BlobServiceClient.from_connection_string(text, retry_total=0)
        self.client = service.get_blob_client("data", name)

    def look(self) -> Found:
        try:
            got = self.client.download_blob()
        except ResourceNotFoundError:
            return None
        count = self.client.get_blob_properties().append_blob_committed_block_count
        return {
            "content": got.readall(),
            "count": count or 0,
            "metadata": dict(got.properties.metadata or {}),
        }

    def step(self, writer: Writer) -> None:
        now = writer.answered
        if now is None or len(now["content"]) > 8 << 20:
            metadata = {"step": str(writer.steps)}
            writer.do(
                {"content": b"", "count": 0, "metadata": metadata},
                lambda: self.client.create_append_blob(metadata=metadata),
            )
        else:
            block = writer.content(2 << 20)
            after = {**now, "content": now["content"] + block, "count": now["count"] + 1}
            writer.do(after, lambda: self.client.append_block(block))


@final
class File:
    """Creates a file, writes ranges of it, describes, renames and deletes it."""

    def connect(self, text: str, name: str) -> None:
        service = ShareServiceClient.from_connection_string(text, retry_total=0)
        share = service.get_share_client("logs")
        self._names = [name, f"{name}-renamed"]
        self._clients = [share.get_file_client(each) for each in self._names]
        self.client = self._clients[0]

    def look(self) -> Found:
        there = [each for each in self._clients if each.exists()]
        if not there:
            return None
        [self.client] = there  # never at both places
        properties = self.client.get_file_properties()
        content = self.client.download_file().readall()
        md5 = properties.content_settings.content_md5
        assert md5 in (None, _md5(content)), "an MD5 of other content"
        return {
            "content": content,
            "type": properties.content_settings.content_type,
            "metadata": dict(properties.metadata or {}),
        }

    def step(self, writer: Writer) -> None:
        now, choice = writer.answered, writer.random.randrange(7)
        metadata, kind = {"step": str(writer.steps)}, f"text/step{writer.steps}"
        if now is None or choice == 0:
            size = writer.random.randint(1, 300_000)
            writer.do(
                {"content": bytes(size), "type": kind, "metadata": metadata},
                lambda: self.client.create_file(
                    size, metadata=metadata, content_settings=FileSettings(kind)
                ),
            )
        elif choice == 1:
            writer.do(
                {**now, "metadata": metadata}, lambda: self.client.set_file_metadata(metadata)
            )
        elif choice == 2:
            sized = FileSettings(kind, content_md5=_md5(now["content"]))
            writer.do({**now, "type": kind}, lambda: self.client.set_http_headers(sized))
        elif choice == 3:
            writer.do(None, self.client.delete_file)
        elif choice == 4:
            writer.do(now, self._rename)
        else:
            self._range(writer, now)

    def _rename(self) -> None:
        place = 1 - self._clients.index(self.client)
        self.client.rename_file(self._names[place])
        self.client = self._clients[place]

    def _range(self, writer: Writer, now: dict[str, Any]) -> None:
        # In place, as on Azure: after a kill each byte is the old or the new one.
        old = now["content"]
        start = writer.random.randrange(len(old))
        piece = writer.content(200_000)[: len(old) - start]
        new = old[:start] + piece + old[start + len(piece) :]

        def torn(found: Found) -> bool:
            return (
                found is not None
                and {**found, "content": b""} == {**now, "content": b""}
                and len(found["content"]) == len(old)
                and all(one in two for one, *two in zip(found["content"], old, new, strict=True))
            )

        writer.attempt(torn, lambda: self.client.upload_range(piece, start, len(piece)))
        writer.became({**now, "content": new})


@final
class Container:
    """Makes a container, fills it, and deletes it with everything in it."""

    def connect(self, text: str, name: str) -> None:
        service = BlobServiceClient.from_connection_string(text, retry_total=0)
        self.client = service.get_container_client(name)

    def look(self) -> Found:
        try:
            metadata = self.client.get_container_properties().metadata
            names = [each.name for each in self.client.list_blobs()]
        except ResourceNotFoundError:
            return None
        return {"blobs": names, "metadata": dict(metadata or {})}

    def step(self, writer: Writer) -> None:
        if writer.answered is None:
            metadata = {"step": str(writer.steps)}
            writer.do(
                {"blobs": [], "metadata": metadata},
                lambda: self.client.create_container(metadata=metadata),
            )
        elif len(writer.answered["blobs"]) < 8:
            name = f"{len(writer.answered['blobs'])}/{writer.steps}"
            after = {**writer.answered, "blobs": [*writer.answered["blobs"], name]}
            writer.do(after, lambda: self.client.upload_blob(name, b"x"))
        else:
            writer.do(None, self.client.delete_container)


def test_kills_lose_nothing_and_mix_nothing(tmp_path: Path) -> None:
    """After each kill everything is as answered or as the step under way would have it."""
    writers = [
        Writer("one", BlockBlob()),
        Writer("two", BlockBlob()),
        Writer("log", AppendBlob()),
        Writer("file", File()),
        Writer("all", Container()),
    ]
    moments = random.Random()
    for index in range(ROUNDS):
        with storage_alone(tmp_path / "root") as running:
            _prepare(running, first=index == 0)
            for writer in writers:
                writer.connect(running.connection_string("mystorage"))
                writer.check()
            assert not list((tmp_path / "root" / "storage" / "staging").iterdir())
            _work_until_killed(running, writers, moments.uniform(*SECONDS))
    assert all(writer.steps for writer in writers)
    with storage_alone(tmp_path / "root") as running:
        for writer in writers:
            writer.connect(running.connection_string("mystorage"))
            writer.check()
        containers = tmp_path / "root" / "storage" / "accounts" / "mystorage" / "blob"
        assert {each.name for each in containers.iterdir()} <= {"data", "all"}
    assert not list((tmp_path / "root" / "storage" / "staging").iterdir())


def _prepare(running: Alone, *, first: bool) -> None:
    if first:
        text = running.connection_string("mystorage")
        BlobServiceClient.from_connection_string(text).create_container("data")
        ShareServiceClient.from_connection_string(text).create_share("logs")


def _work_until_killed(running: Alone, writers: list[Writer], seconds: float) -> None:
    refusals: list[BaseException] = []

    def work(writer: Writer) -> None:
        try:
            while True:
                writer.step()
        except HttpResponseError as error:
            if error.status_code is not None:  # an answer, not the end of the connection
                refusals.append(error)
        except AzureError:
            pass  # the kill
        except BaseException as error:
            refusals.append(error)

    threads = [threading.Thread(target=work, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    running.end(signal.SIGKILL)
    for thread in threads:
        thread.join(20)
    assert not refusals


def _short(found: Found) -> Found:
    """What was found, short enough to read."""
    if found is None or "content" not in found:
        return found
    content = found["content"]
    return {**found, "content": (len(content), content[:40], content[-40:])}
