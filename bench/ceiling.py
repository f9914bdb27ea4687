"""The ceiling of storage: an ASGI application that takes and gives the same bytes, and no more.

No signatures, no checks, no names on disk, no conditions: all content is in one file, in the order
of arrival, and what is known of it in memory. It runs under the server and the event loop that
ours runs under, so what a client does with it is what it could do with ours at best.

    python bench/ceiling.py DIRECTORY       prints its port when it answers
"""

import os
import re
import sys
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote

from batchai_quickstart.serving import Server, bind, run

PIECE = 1 << 20
PAGE = 5000
DATE = "Wed, 25 Nov 2026 00:00:00 GMT"
TIME = "2026-11-25T00:00:00.0000000Z"
SAID = [
    (b"x-ms-version", b"2025-11-05"),
    (b"x-ms-request-id", b"00000000000000000000000000000000"),
    (b"etag", b'"0x100000018B2F4D2E3A1B2C3D4"'),
    (b"last-modified", DATE.encode()),
]
OF_FILES = [
    (b"x-ms-file-attributes", b"Archive"),
    (b"x-ms-file-creation-time", TIME.encode()),
    (b"x-ms-file-last-write-time", TIME.encode()),
    (b"x-ms-file-change-time", TIME.encode()),
    (b"x-ms-file-permission-key", b"0"),
    (b"x-ms-file-id", b"1"),
    (b"x-ms-file-parent-id", b"0"),
]
BLOB = (
    f"<Properties><Creation-Time>{DATE}</Creation-Time><Last-Modified>{DATE}</Last-Modified>"
    "<Etag>0x100000018B2F4D2E3A1B2C3D4</Etag><Content-Length>{size}</Content-Length>"
    "<Content-Type>application/octet-stream</Content-Type>"
    "<Content-MD5>1B2M2Y8AsgTpgAmY7PhCfg==</Content-MD5><BlobType>BlockBlob</BlobType>"
    "<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>"
    "<ServerEncrypted>false</ServerEncrypted></Properties>"
)
FILE = "<FileId>1</FileId><Properties><Content-Length>{size}</Content-Length>{times}</Properties>"
TIMES = (
    f"<CreationTime>{TIME}</CreationTime><LastAccessTime>{TIME}</LastAccessTime>"
    f"<LastWriteTime>{TIME}</LastWriteTime><ChangeTime>{TIME}</ChangeTime>"
    f"<Last-Modified>{DATE}</Last-Modified>"
)


@dataclass
class Stored:
    """A blob or file: its parts as (offset, length) in the one file, and its MD5 as it was told."""

    parts: list[tuple[int, int]]
    size: int
    md5: bytes = b""


@dataclass
class Ceiling:
    """The application.

    Arguments:
        descriptor: of the file all content goes into.
    """

    descriptor: int
    end: int = 0
    blocks: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    stored: dict[str, Stored] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)

    async def __call__(self, scope, receive, send) -> None:
        query = {
            name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()
        }
        headers, path = dict(scope["headers"]), scope["path"]
        status, said, body = 201, [], b""
        if scope["method"] == "PUT":
            status = await self._put(path, query, headers, receive)
        elif scope["method"] == "POST":
            self._fill(path, int(query["count"]))
        elif query.get("comp") == "list":
            status, said, body = (
                200,
                [(b"content-type", b"application/xml")],
                self._list(path, query),
            )
        elif path not in self.stored or query.get("comp") == "blocklist":
            noun = b"Resource" if path.startswith("/file/") else b"Blob"
            status, said = 404, [(b"x-ms-error-code", noun + b"NotFound")]
        else:
            await self._get(path, scope["method"], headers, send)
            return
        more = OF_FILES if path.startswith("/file/") else []
        length = (b"content-length", b"%d" % len(body))
        start = {"status": status, "headers": [length, *SAID, *more, *said]}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": body})

    async def _put(self, path: str, query: dict, headers: dict, receive) -> int:
        comp = query.get("comp", "")
        if "restype" in query:
            return 201
        if comp == "block":
            self.blocks[path, query["blockid"]] = await self._take(receive)
        elif comp == "blocklist":
            document = b"".join([piece async for piece in _body(receive)]).decode()
            parts = [
                self.blocks.pop((path, name))
                for name in re.findall(r"<Latest>([^<]*)</Latest>", document)
            ]
            self._keep(path, parts, headers.get(b"x-ms-blob-content-md5", b""))
        elif comp == "range":
            first = int(headers[b"x-ms-range"].removeprefix(b"bytes=").partition(b"-")[0])
            await self._take(receive, self.stored[path].parts[0][0] + first)
        elif comp == "rename":
            source = headers[b"x-ms-file-rename-source"].decode().partition("?")[0]
            self._forget(path)
            self.stored[path] = self.stored.pop(unquote(source[source.index("/file/") :]))
        elif comp == "properties":
            self.stored[path].md5 = headers.get(b"x-ms-content-md5", b"")
        elif not comp and path.startswith("/file/"):
            length = int(headers[b"x-ms-content-length"])
            self._keep(path, [(self.end, length)], b"")
            self.end += length
        elif not comp:
            part = await self._take(receive)
            self._keep(path, [part], headers.get(b"x-ms-blob-content-md5", b""))
        return 200 if comp in ("metadata", "properties", "rename") else 201

    async def _take(self, receive, offset: int | None = None) -> tuple[int, int]:
        """Write a body into the file; where, and how much it was."""
        pieces = [piece async for piece in _body(receive)]
        length = sum(map(len, pieces))
        if offset is None:
            offset, self.end = self.end, self.end + length
        at = offset
        for first in range(0, len(pieces), 1000):
            at += os.pwritev(self.descriptor, pieces[first : first + 1000], at)
        return offset, length

    def _keep(self, path: str, parts: list[tuple[int, int]], md5: bytes) -> None:
        self._forget(path)
        self.stored[path] = Stored(parts, sum(length for _, length in parts), md5)

    def _forget(self, path: str) -> None:
        if path not in self.stored:
            self.names.clear()

    def _fill(self, directory: str, count: int) -> None:
        self.stored |= {f"{directory}{number:06}": Stored([], 0) for number in range(count)}
        self.names.clear()

    async def _get(self, path: str, method: str, headers: dict, send) -> None:
        found = self.stored[path]
        first, last, status = 0, found.size - 1, 200
        said = [
            *SAID,
            (b"content-type", b"application/octet-stream"),
            (b"accept-ranges", b"bytes"),
        ]
        asked = headers.get(b"x-ms-range") or headers.get(b"range")
        if asked:
            begin, _, end = asked.removeprefix(b"bytes=").partition(b"-")
            first, last, status = int(begin), min(int(end or last), last), 206
            said.append((b"content-range", b"bytes %d-%d/%d" % (first, last, found.size)))
        if path.startswith("/file/"):
            said += [(b"x-ms-type", b"File"), *OF_FILES]
            name = b"x-ms-content-md5"
        else:
            said.append((b"x-ms-blob-type", b"BlockBlob"))
            name = b"x-ms-blob-content-md5"
        if found.md5:
            said.append((name if asked else b"content-md5", found.md5))
        said.append((b"content-length", b"%d" % (last - first + 1)))
        await send({"type": "http.response.start", "status": status, "headers": said})
        place = 0
        for offset, length in found.parts if method == "GET" else ():
            begin, end = max(first, place), min(last + 1, place + length)
            for at in range(begin, end, PIECE):
                count = min(PIECE, end - at)
                piece = os.pread(self.descriptor, count, offset + at - place)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            place += length
        await send({"type": "http.response.body", "body": b""})

    def _list(self, path: str, query: dict) -> bytes:
        is_file = path.startswith("/file/")
        base = path.rstrip("/") + "/"
        prefix = base + query.get("prefix", "")
        if prefix not in self.names:
            self.names[prefix] = sorted(name for name in self.stored if name.startswith(prefix))
        first = int(query.get("marker", "0"))
        page = self.names[prefix][first : first + int(query.get("maxresults", PAGE))]
        following = first + len(page)
        rest = str(following) if following < len(self.names[prefix]) else ""
        tag, form = ("File", FILE) if is_file else ("Blob", BLOB)
        times = TIMES if "timestamps" in query.get("include", "").lower() else ""
        items = "".join(
            f"<{tag}><Name>{name.removeprefix(base)}</Name>"
            f"{form.format(size=self.stored[name].size, times=times)}</{tag}>"
            for name in page
        )
        around = "Entries" if is_file else "Blobs"
        return (
            f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="">'
            f"<{around}>{items}</{around}><NextMarker>{rest}</NextMarker></EnumerationResults>"
        ).encode()


async def _body(receive):
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client has left")
        more = message.get("more_body", False)
        if message.get("body"):
            yield message["body"]


async def main(directory: str) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
    ceiling = Ceiling(os.open(f"{directory}/content", flags))
    listener = bind("127.0.0.1", 0, "")
    print(listener.getsockname()[1], flush=True)
    await Server(ceiling, lambda: None).serve(sockets=[listener])


if __name__ == "__main__":
    run(main(sys.argv[1]))
