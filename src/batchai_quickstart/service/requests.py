"""One ARM request as the handlers see it, and the answers they give."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response

from batchai_quickstart.errors import InvalidRequestError

API_VERSION = "2018-05-01"

RETRY_AFTER = 1
"""Seconds between polls of an operation; whole and at least 1, or old clients sleep 30."""

MAX_WAIT = 60.0
"""Longest long poll in seconds; clients simply ask again."""


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed request.

    Arguments:
        method: upper case.
        path: decoded path, as sent.
        query: query parameters; names compare without case through `parameter`.
        headers: request headers.
        body: raw body.
        base: scheme and host the client used, for absolute links.
    """

    method: str
    path: str
    query: QueryParams
    headers: Headers
    body: bytes
    base: str

    def parameter(self, name: str) -> str | None:
        """Return a query parameter; names compare without case."""
        for key, value in self.query.multi_items():
            if key.lower() == name.lower():
                return value
        return None

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """Return an integer query parameter within its bounds.

        Raises:
            InvalidRequestError: it is no integer or out of range.
        """
        text = self.parameter(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise InvalidRequestError(
                f"{name} must be a whole number from {low} to {high}; found {text!r}.",
                code="InvalidQueryParameterValue",
                target=name,
            )
        return int(text)

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object.

        Raises:
            InvalidRequestError: it is not one (code `InvalidRequestContent`).
        """
        try:
            data = json.loads(self.body)
        except ValueError as error:
            found = str(error)
        else:
            if isinstance(data, dict):
                return data
            found = f"a JSON {type(data).__name__}"
        raise InvalidRequestError(
            f"The request body must be a JSON object; found: {found}.",
            code="InvalidRequestContent",
        )

    @property
    def wait(self) -> float | None:
        """Seconds of `Prefer: wait=N` (RFC 7240), at most MAX_WAIT; None when not asked for."""
        for part in self.headers.get("prefer", "").split(","):
            name, _, value = part.strip().partition("=")
            if name.lower() == "wait" and value.isascii() and value.isdigit():
                return min(float(value), MAX_WAIT)
        return None

    def link(self, path: str, **query: str) -> str:
        """Build an absolute URL on the host the client used."""
        return f"{self.base}{path}?{urlencode(query)}" if query else f"{self.base}{path}"


def answer(
    body: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Build a response: JSON, or empty when there is no body."""
    content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    response = Response(
        content, status, headers, "application/json; charset=utf-8" if body is not None else None
    )
    response.headers["x-ms-request-id"] = str(uuid.uuid4())
    response.headers["cache-control"] = "no-cache"
    return response
