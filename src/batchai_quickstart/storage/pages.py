"""Pages of listings: how many names, where the next page begins, and the XML around them."""

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Final, TypeVar
from xml.sax.saxutils import escape, quoteattr

from batchai_quickstart.storage.protocol import (
    Request,
    Response,
    StorageError,
    number,
    xml_response,
    xml_text,
)

PAGE_AT_MOST: Final = 5000

T = TypeVar("T")


def page_size(request: Request) -> int:
    """Names on the asked page: `maxresults`, 5000 at most and by default."""
    text = request.query.get("maxresults", "")
    if not text:
        return PAGE_AT_MOST
    if not (size := number(text)):
        raise StorageError("OutOfRangeQueryParameterValue", f"maxresults is {text[:80]!r}.")
    return min(size, PAGE_AT_MOST)


def floor(request: Request) -> str:
    """The first name wanted: from `marker`, which is opaque to clients, else `startfrom`."""
    marker = request.query.get("marker", "")
    if not marker:
        return request.query.get("startfrom", "")
    try:
        return base64.urlsafe_b64decode(marker).decode("utf-8", "surrogateescape")
    except (binascii.Error, ValueError):
        raise StorageError("OutOfRangeQueryParameterValue", f"marker is {marker!r}.") from None


def marker(name: str) -> str:
    """The marker of a page that begins with a name."""
    return base64.urlsafe_b64encode(name.encode("utf-8", "surrogateescape")).decode()


def page_of(items: Iterable[T], request: Request, name: Callable[[T], str]) -> tuple[list[T], str]:
    """The asked page of items in ascending order of their names, and the next page's marker."""
    first, limit = floor(request), page_size(request)
    page: list[T] = []
    for item in items:
        if name(item) < first:
            continue
        if len(page) == limit:
            return page, marker(name(item))
        page.append(item)
    return page, ""


def listing_response(
    request: Request, body: str, next_marker: str, attributes: str = ""
) -> Response:
    """An `EnumerationResults` document.

    Arguments:
        request: whose parameters it repeats.
        body: the element with the names.
        next_marker: empty on the last page.
        attributes: of the document element, beside the service's address.
    """
    query = request.query
    host = request.headers.get("host", "")
    repeated = "".join(
        f"<{tag}>{xml_text(query[name])}</{tag}>"
        for tag, name in (
            ("Prefix", "prefix"),
            ("Marker", "marker"),
            ("MaxResults", "maxresults"),
            ("Delimiter", "delimiter"),
        )
        if query.get(name)
    )
    endpoint = quoteattr(f"{request.scheme}://{host}/")
    return xml_response(
        f"<EnumerationResults ServiceEndpoint={endpoint}{attributes}>{repeated}{body}"
        f"<NextMarker>{escape(next_marker)}</NextMarker></EnumerationResults>"
    )
