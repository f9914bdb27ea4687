"""Blob Batch: many small requests in the body of one, each answered as if it had come alone."""

import os
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final, final

from starlette.types import Message

from batchai_quickstart.storage.addresses import address
from batchai_quickstart.storage.arrival import Arrival
from batchai_quickstart.storage.protocol import (
    Request,
    Response,
    StorageError,
    parse_query,
)
from batchai_quickstart.storage.transfer import announced_length, small_body
from batchai_quickstart.storage.volume import Kind

PARTS_AT_MOST: Final = 256
BODY_AT_MOST: Final = 4 << 20

_BOUNDARY: Final = re.compile(
    r'multipart/mixed\s*;\s*boundary="?([!-~]{1,70}?)"?\s*', re.IGNORECASE
)
_LINE: Final = re.compile(r"(DELETE|PUT) (/[!->@-~]*)(?:\?([!-~]*))? HTTP/1\.1")
_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")

Answer = Callable[[Arrival], Awaitable[Response]]


@final
class Batches:
    """The batch operations of the service and of a container.

    Arguments:
        answer: answers a request as it was sent.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def submit(self, request: Request) -> Response:
        """Blob Batch: the parts are done in order, and a part's error ends no other part."""
        boundary = _boundary(request.headers.get("content-type", ""))
        announced_length(request, BODY_AT_MOST)
        parts = split(await small_body(request, BODY_AT_MOST), boundary)
        arrivals = [_arrival(request, part) for _, part in parts]
        ours = f"batchresponse_{request.id}"
        lines: list[bytes] = []
        for (content_id, _), arrival in zip(parts, arrivals, strict=True):
            lines.append(f"--{ours}\r\nContent-Type: application/http\r\n".encode())
            if content_id:
                lines.append(f"Content-ID: {content_id}\r\n".encode())
            lines.append(b"\r\n" + _text(await self._answer(arrival)) + b"\r\n")
        lines.append(f"--{ours}--\r\n".encode())
        content = (("content-type", f"multipart/mixed; boundary={ours}"),)
        return Response(202, content, b"".join(lines))


def _boundary(content_type: str) -> str:
    match = _BOUNDARY.fullmatch(content_type)
    if match is None:
        raise StorageError("InvalidHeaderValue", "Content-Type is not multipart/mixed.")
    return match[1]


def split(body: bytes, boundary: str) -> list[tuple[str, str]]:
    """Content-ID and HTTP request of each part of a batch.

    Arguments:
        body: the whole batch.
        boundary: what stands between its parts.

    Raises:
        StorageError: it has no parts, too many, or something that is no request.
    """
    text = body.decode("latin-1").replace("\r\n", "\n")
    opening, *pieces = f"\n{text}".split(f"\n--{boundary}")
    if opening.strip() or len(pieces) < 2 or pieces[-1].rstrip() != "--":
        raise StorageError("InvalidInput", "The batch does not begin and end with its boundary.")
    if len(pieces) - 1 > PARTS_AT_MOST:
        raise StorageError("InvalidInput", f"A batch has {PARTS_AT_MOST} requests at most.")
    found = []
    for piece in pieces[:-1]:
        head, _, part = piece.removeprefix("\n").partition("\n\n")
        headers = _headers(head.split("\n"))
        if headers.get("content-type", "").lower() != "application/http":
            raise StorageError("InvalidInput", "A part of the batch is not application/http.")
        content_id = headers.get("content-id", "")
        if not content_id.isascii():
            raise StorageError("InvalidInput", f"The Content-ID {content_id!r}.")
        found.append((content_id, part))
    return found


def _headers(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None or not match[2].isprintable():
            raise StorageError("InvalidInput", f"{line[:80]!r} is no header.")
        name = match[1].lower()
        found[name] = f"{found[name]},{match[2]}" if name in found else match[2]
    return found


def _arrival(request: Request, part: str) -> Arrival:
    """A part of a batch as the request it stands for."""
    head, _, body = part.partition("\n\n")
    first, *lines = head.split("\n")
    match = _LINE.fullmatch(first)
    if match is None:
        raise StorageError("InvalidInput", f"{first[:80]!r} asks for nothing that batches do.")
    headers = {
        **_headers([line for line in lines if line]),
        "host": request.headers.get("host", ""),
    }
    method, path, query = match[1], match[2], match[3] or ""
    if body.strip() or headers.get("content-length", "0") != "0":
        raise StorageError("InvalidInput", "A part of a batch has no body.")
    asked = parse_query(query.encode("latin-1"))
    # The official clients begin with the account, whatever comes before it in their own address.
    whole = path.startswith(f"/{Kind.BLOB}/{request.account.name}/")
    port_kind = request.port_kind or (None if whole else Kind.BLOB)
    to = address(headers["host"], path, port_kind)
    wanted = (method, asked.get("comp", "").lower()) in (("DELETE", ""), ("PUT", "tier"))
    if not wanted or "restype" in asked or to.kind is not Kind.BLOB or not to.path:
        raise StorageError("InvalidInput", "A batch deletes blobs or sets their tiers.")
    if to.account != request.account.name or (request.volume and to.volume != request.volume):
        raise StorageError("InvalidInput", f"{path!r} is not below the batch's own address.")
    return Arrival(
        method=method,
        raw_path=path,
        query=query.encode("latin-1"),
        headers=headers,
        receive=_nothing,
        client=request.client,
        scheme=request.scheme,
        port_kind=port_kind,
        id=os.urandom(16).hex(),
    )


def _text(answer: Response) -> bytes:
    """An answer as HTTP writes it."""
    assert isinstance(answer.body, bytes)
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    lines += [f"content-length: {len(answer.body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + answer.body


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}
