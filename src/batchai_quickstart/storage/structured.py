"""Structured bodies: content in segments, each followed by its CRC64, and the whole by its own.

A message of the schema XSM/1.0 is a header (a byte with the schema's version, eight with the length
of the message, two with its properties, two with the number of segments), the segments (two bytes
with a number from 1 on, eight with a length, the content, eight with its CRC64), and eight bytes
with the CRC64 of all content. Numbers are little-endian. That is how the official clients write and
read it (`StructuredMessageEncodeStream` of azure-storage-blob 12.31 and its counterpart). What is
said of content elsewhere, ranges and MD5s included, is said of it without the frame.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from struct import Struct
from typing import Final, final

from starlette.types import Message, Receive

from batchai_quickstart.storage.checksum import crc64
from batchai_quickstart.storage.protocol import Request, Response, Span, StorageError, number

BODY: Final = "x-ms-structured-body"
LENGTH: Final = "x-ms-structured-content-length"
SCHEMA: Final = "XSM/1.0; properties=crc64"
"""The only kind there is."""

SEGMENT: Final = 4 << 20
"""Bytes of content in a segment written here, as in one written by the official clients."""

_HEADER: Final = Struct("<BQHH")
_SEGMENT: Final = Struct("<HQ")
_SUM: Final = Struct("<Q")
_VERSION, _CRC64 = 1, 1
_SEGMENTS_AT_MOST: Final = 0xFFFF


async def handled(request: Request, handler: Callable[[Request], Awaitable[Response]]) -> Response:
    """The answer of a handler, which itself sees and gives content without the frame.

    Arguments:
        request: one with a structured body, one that asks for such an answer, or any other.
        handler: of an operation that honours what the request asks.

    Raises:
        StorageError: a header names something else than what there is, or one is missing.
    """
    asked = request.headers.get(BODY)
    if asked is None:
        if LENGTH in request.headers:
            raise StorageError("MissingRequiredHeader", f"{BODY}, because there is {LENGTH}.")
        return await handler(request)
    if asked != SCHEMA:
        raise StorageError(
            "InvalidHeaderValue", f"{BODY} is {asked[:80]!r}: {SCHEMA!r} it must be."
        )
    said = ((BODY, SCHEMA),)
    if request.method != "GET":
        _unframe(request)
        answer = await handler(request)
        return replace(answer, headers=(*answer.headers, *said))
    answer = await handler(request)
    if not isinstance(answer.body, Span):
        return answer
    headers = (*answer.headers, *said, (LENGTH, str(answer.body.length)))
    return Response(answer.status, headers, replace(answer.body, framed=True))


def _unframe(request: Request) -> None:
    """Have a request's length and body be those of the content."""
    text = request.headers.get(LENGTH)
    if text is None:
        raise StorageError("MissingRequiredHeader", f"{LENGTH}, because there is {BODY}.")
    content = number(text)
    if content is None:
        raise StorageError("InvalidHeaderValue", f"{LENGTH} is {text[:80]!r}.")
    if "content-length" not in request.headers:
        raise StorageError("MissingContentLengthHeader")
    request.receive = _unframed(request.receive, Decoder(request.length, content))
    request.headers = {**request.headers, "content-length": str(content)}


def _unframed(receive: Receive, decoder: "Decoder") -> Receive:
    async def unframed() -> Message:
        message = await receive()
        if message["type"] == "http.disconnect":
            return message
        content = decoder.feed(message.get("body", b""))
        more = message.get("more_body", False)
        if not more:
            decoder.finish()
        return {**message, "body": content, "more_body": more}

    return unframed


@final
class Decoder:
    """Takes the content out of a message that comes in pieces, and checks everything around it.

    Arguments:
        length: of the message, in bytes.
        content: bytes of content it is to have.
    """

    def __init__(self, length: int, content: int) -> None:
        self._length = length
        self._missing = content
        self._segments = 0
        self._number = 0
        self._left = 0  # of the content of this segment
        self._sum = self._total = 0
        self._field = b""
        self._wanted = _HEADER.size
        self._take: Callable[[bytes], None] = self._header

    def feed(self, piece: bytes) -> bytes:
        """Take the next piece in, and give the content in it.

        Raises:
            StorageError: this is no such message, or a CRC64 is wrong.
        """
        found: list[memoryview] = []
        rest = memoryview(piece)
        while rest:
            if self._left:
                part = rest[: self._left]
                self._sum, self._total = crc64(part, self._sum), crc64(part, self._total)
                self._left -= len(part)
                found.append(part)
            elif self._wanted:
                part = rest[: self._wanted - len(self._field)]
                self._field += part
                if len(self._field) == self._wanted:
                    field, self._field = self._field, b""
                    self._take(field)
            else:
                raise StorageError("InvalidInput", "The structured message goes on after its end.")
            rest = rest[len(part) :]
        return b"".join(found)

    def finish(self) -> None:
        """Nothing follows.

        Raises:
            StorageError: something should.
        """
        if self._wanted:
            raise StorageError("InvalidInput", "The structured message ends early.")

    def _expect(self, wanted: int, take: Callable[[bytes], None]) -> None:
        self._wanted, self._take = wanted, take

    def _header(self, field: bytes) -> None:
        version, length, properties, self._segments = _HEADER.unpack(field)
        if (version, properties) != (_VERSION, _CRC64):
            found = f"The structured message is of version {version}, its properties are"
            raise StorageError("InvalidInput", f"{found} {properties}: 1 and 1 are {SCHEMA}.")
        if length != self._length:
            found = f"The structured message says it has {length} bytes, the body has"
            raise StorageError("InvalidInput", f"{found} {self._length}.")
        needed = _framed_length(self._missing, self._segments)
        if length != needed:
            found = f"A structured message of {self._segments} segments with {self._missing} bytes"
            raise StorageError("InvalidInput", f"{found} has {needed}, this one has {length}.")
        self._next()

    def _next(self) -> None:
        if self._number < self._segments:
            self._expect(_SEGMENT.size, self._segment)
        else:
            self._expect(_SUM.size, self._end)

    def _segment(self, field: bytes) -> None:
        expected = self._number + 1
        self._number, self._left = _SEGMENT.unpack(field)
        if self._number != expected:
            found = f"Segment {self._number} is where {expected} should be."
            raise StorageError("InvalidInput", found)
        if self._left > self._missing:
            found = f"Segment {expected} has {self._left} bytes, {self._missing} are missing."
            raise StorageError("InvalidInput", found)
        self._missing -= self._left
        self._sum = 0
        self._expect(_SUM.size, self._segment_end)

    def _segment_end(self, field: bytes) -> None:
        _check(field, self._sum, f"segment {self._number}")
        self._next()

    def _end(self, field: bytes) -> None:
        if self._missing:
            found = f"The segments have {self._missing} bytes less than {LENGTH}."
            raise StorageError("InvalidInput", found)
        _check(field, self._total, "the message")
        self._expect(0, self._end)


def _check(field: bytes, computed: int, of: str) -> None:
    if field != _SUM.pack(computed):
        raise StorageError(
            "Crc64Mismatch", f"Of {of} it is {_SUM.pack(computed).hex()}, not {field.hex()}."
        )


@final
class Encoder:
    """Frames content that comes in pieces.

    Arguments:
        content: how many bytes there will be.
    """

    def __init__(self, content: int) -> None:
        # A number of a segment has two bytes: beyond 256 GiB segments are longer.
        self._size = max(SEGMENT, -(-content // _SEGMENTS_AT_MOST))
        self._segments = -(-content // self._size) or 1
        self._missing = content
        self._number = 0
        self._left = 0
        self._sum = self._total = 0
        self.length = _framed_length(content, self._segments)
        """Bytes of the message."""

    def feed(self, piece: bytes | memoryview) -> bytes:
        """Take the next piece in, the empty one where there is no content; give the framed one."""
        framed: list[bytes | memoryview] = []
        if not self._number:
            framed.append(_HEADER.pack(_VERSION, self.length, _CRC64, self._segments))
            framed.append(self._begin())
        rest = memoryview(piece)
        while True:
            part = rest[: self._left]
            rest = rest[len(part) :]
            self._sum, self._total = crc64(part, self._sum), crc64(part, self._total)
            self._left -= len(part)
            framed.append(part)
            if self._left:
                break
            framed.append(_SUM.pack(self._sum))
            if self._number == self._segments:
                framed.append(_SUM.pack(self._total))
                break
            framed.append(self._begin())
        return b"".join(framed)

    def _begin(self) -> bytes:
        self._number += 1
        self._left = min(self._size, self._missing)
        self._missing -= self._left
        self._sum = 0
        return _SEGMENT.pack(self._number, self._left)


def _framed_length(content: int, segments: int) -> int:
    return _HEADER.size + segments * (_SEGMENT.size + _SUM.size) + content + _SUM.size
