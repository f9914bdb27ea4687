"""What is said of a blob: taken from a request's headers, and told in an answer's."""

from typing import Final

from batchai_quickstart.storage import tags
from batchai_quickstart.storage.download import Entry, Headers
from batchai_quickstart.storage.protocol import Request, Response, StorageError, etag, http_date
from batchai_quickstart.storage.sidecar import Properties
from batchai_quickstart.storage.staging import Block

TIER: Final = "x-ms-access-tier"
PLAIN: Final = "application/octet-stream"

_CONTENT_HEADERS: Final = {
    "x-ms-blob-content-type": "content-type",
    "x-ms-blob-content-encoding": "content-encoding",
    "x-ms-blob-content-language": "content-language",
    "x-ms-blob-content-disposition": "content-disposition",
    "x-ms-blob-cache-control": "cache-control",
}


def said_by(
    request: Request, *, default_type: str, blocks: list[tuple[str, Block]] | None = None
) -> Properties:
    """What a request that makes a blob says of it.

    Arguments:
        request: the request.
        default_type: content type of a blob whose request names none.
        blocks: what the blob is made of, with their ids.

    Raises:
        StorageError: a header's value is none of those it can have.
    """
    headers = content_headers(request)
    headers.setdefault("content-type", default_type)
    if headers["content-type"] == PLAIN:
        del headers["content-type"]
    md5 = request.headers.get("x-ms-blob-content-md5") or (
        None if "comp" in request.query else request.headers.get("content-md5")
    )
    sizes = tuple((name, block.length) for name, block in blocks or ())
    asked = tags.from_header(request.headers.get("x-ms-tags"))
    return Properties(headers | tier_of(request), request.metadata(), md5, sizes, tags=asked)


def content_headers(request: Request) -> dict[str, str]:
    """The content headers that a request sets, by the names they are answered with."""
    return {
        kept: request.headers[name]
        for name, kept in _CONTENT_HEADERS.items()
        if request.headers.get(name)
    }


def tier_of(request: Request) -> dict[str, str]:
    """The access tier that a request asks for, as a header to keep.

    Raises:
        StorageError: there is no such tier, or not here.
    """
    asked = request.headers.get(TIER)
    if asked is None:
        return {}
    if asked == "Archive":
        raise StorageError("NotImplemented", "The access tier Archive.")
    if asked not in ("Hot", "Cool", "Cold"):
        raise StorageError("InvalidHeaderValue", f"{TIER} is {asked!r}, not Hot, Cool or Cold.")
    return {TIER: asked}


def kept_of(before: Properties) -> dict[str, str]:
    """What of a blob's headers stays when its content headers are set."""
    return {name: value for name, value in before.headers.items() if name.startswith("x-ms-")}


def describe(entry: Entry) -> Headers:
    """The headers of a blob that a file of a share does not have."""
    created = http_date(int(entry.status.st_mtime))
    count = len(entry.said.tags)
    return (
        *((("x-ms-tag-count", str(count)),) if count else ()),
        *entry.said.copy.items(),
        ("x-ms-blob-type", entry.said.kind or "BlockBlob"),
        ("x-ms-creation-time", created),
        ("x-ms-server-encrypted", "false"),
    )


def written(status: int, entry: Entry, extra: Headers = ()) -> Response:
    """The answer to a request that made or changed a blob.

    Arguments:
        status: of the answer.
        entry: the blob as it is now.
        extra: headers beside those all such answers have.
    """
    headers = (
        ("etag", etag(entry.status)),
        ("last-modified", http_date(int(entry.status.st_mtime))),
        ("x-ms-request-server-encrypted", "false"),
    )
    return Response(status, (*headers, *extra))
