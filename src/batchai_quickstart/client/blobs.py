"""A container on the wire: block blobs.

A blob longer than a part goes up as blocks, which nobody sees until the list of them is committed.
A block's id is made of the local file's size and time and of the block's place and content, so an
upload that broke off finds what is there already, and sends the rest.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, final
from xml.sax.saxutils import escape

from batchai_quickstart.client.access import Service
from batchai_quickstart.client.bars import Step
from batchai_quickstart.client.driver import PART, content_type, item_file, item_name, pages
from batchai_quickstart.client.lanes import Job, Lanes
from batchai_quickstart.client.localfiles import Source
from batchai_quickstart.client.rest import Rest
from batchai_quickstart.client.stored import StoredFile
from batchai_quickstart.errors import ConflictError, InvalidRequestError, NotFoundError

_BLOCKS: Final = 50_000
_ID_BYTES: Final = 16
_COMMITS: Final = 3


@final
@dataclass(frozen=True, slots=True)
class Blobs:
    """The `Driver` of a container.

    Arguments:
        rest: the account's wire.
        volume: the container's name.
    """

    rest: Rest
    volume: str

    @property
    def service(self) -> Service:
        """Blob."""
        return "blob"

    def create(self) -> None:
        """Create Container."""
        query = {"restype": "container"}
        try:
            self.rest.send("blob", "PUT", self.volume, query=query)
        except ConflictError as error:
            if error.code != "ContainerAlreadyExists":
                raise

    def delete(self) -> None:
        """Delete Container."""
        with suppress(NotFoundError):
            self.rest.send("blob", "DELETE", self.volume, query={"restype": "container"})

    def entries(self, path: str) -> Iterator[StoredFile]:
        """List Blobs, by a delimiter."""
        query = {"restype": "container", "delimiter": "/", "prefix": f"{path}/" if path else ""}
        for page in pages(self.rest, "blob", self.volume, "", query):
            for item in page.iterfind("Blobs/*"):
                name = item_name(item)
                if item.tag == "BlobPrefix":
                    yield StoredFile(name.removesuffix("/"), None, None, is_directory=True)
                else:
                    yield item_file(item, name)

    def walk(self, path: str) -> Iterator[StoredFile]:
        """List Blobs, flat."""
        query = {"restype": "container", "prefix": f"{path}/" if path else ""}
        for page in pages(self.rest, "blob", self.volume, "", query):
            for item in page.iterfind("Blobs/Blob"):
                yield item_file(item, item_name(item))

    def put(self, name: str, source: Source, lanes: Lanes, step: Step) -> None:
        """Put Blob in one piece, or Put Block and Put Block List."""
        if source.size <= PART:
            self._put_whole(name, source)
            step(source.size)
            return
        for attempt in range(1, _COMMITS + 1):
            ids, digest = self._put_blocks(name, source, lanes, step)
            source.check()
            try:
                self._commit(name, ids, digest)
            except InvalidRequestError as error:
                # Another client committed this blob meanwhile, and so swept our blocks away.
                if error.code != "InvalidBlockList" or attempt == _COMMITS:
                    raise
                step(-source.size)
            else:
                return

    def prepare(self, directory: str) -> None:
        """Create the container: blobs need no directories."""
        self.create()

    def delete_directory(self, path: str) -> None:
        """Nothing: a directory is there while a blob's name begins by it."""

    def _put_whole(self, name: str, source: Source) -> None:
        content = b"".join(part for _, part in source.parts(PART))
        source.check()
        digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        headers = {
            "x-ms-blob-type": "BlockBlob",
            "x-ms-blob-content-type": content_type(name),
            "x-ms-blob-content-md5": digest,
            "Content-MD5": digest,
        }
        self.rest.send("blob", "PUT", self.volume, name, headers=headers, body=content)

    def _put_blocks(
        self, name: str, source: Source, lanes: Lanes, step: Step
    ) -> tuple[list[str], bytes]:
        """Send the blocks that are not there yet; their ids in order, and the blob's MD5."""
        there = self._uncommitted(name)
        # All ids of a blob are of one length, also beside those another client left behind.
        length = len(base64.b64decode(next(iter(there), ""))) or _ID_BYTES
        size = max(PART, -(-source.size // _BLOCKS))
        digest = hashlib.md5(usedforsecurity=False)
        ids: dict[int, str] = {}

        def send(offset: int, part: bytes) -> None:
            facts = f"{source.size} {source.modified} {offset} {zlib.crc32(part)}"
            block = hashlib.blake2b(facts.encode(), digest_size=length).digest()
            ids[offset] = base64.b64encode(block).decode()
            if there.get(ids[offset]) != len(part):
                query = {"comp": "block", "blockid": ids[offset]}
                self.rest.send("blob", "PUT", self.volume, name, query=query, body=part)
            step(len(part))

        def jobs() -> Iterator[Job]:
            for offset, part in source.parts(size):
                digest.update(part)
                yield partial(send, offset, part)

        lanes.run(jobs(), -(-source.size // size))
        return [ids[offset] for offset in sorted(ids)], digest.digest()

    def _uncommitted(self, name: str) -> dict[str, int]:
        query = {"comp": "blocklist", "blocklisttype": "uncommitted"}
        try:
            document = self.rest.send("blob", "GET", self.volume, name, query=query).xml()
        except NotFoundError as error:
            if error.code != "BlobNotFound":
                raise
            return {}
        return {
            block.findtext("Name") or "": int(block.findtext("Size") or 0)
            for block in document.iterfind("UncommittedBlocks/Block")
        }

    def _commit(self, name: str, ids: list[str], digest: bytes) -> None:
        # "Latest" looks among committed blocks, too: so a commit may be sent again.
        inner = "".join(f"<Latest>{escape(each)}</Latest>" for each in ids)
        headers = {
            "x-ms-blob-content-type": content_type(name),
            "x-ms-blob-content-md5": base64.b64encode(digest).decode(),
        }
        self.rest.send(
            "blob",
            "PUT",
            self.volume,
            name,
            query={"comp": "blocklist"},
            headers=headers,
            body=f"<BlockList>{inner}</BlockList>".encode(),
        )
