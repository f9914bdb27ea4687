"""Long polls: what a request says to be held, and whether the service held it.

A request with `Prefer: wait=SECONDS` (RFC 7240) is held by our service until there is news: a
resource that differs from the one in `If-None-Match`, bytes beyond the range asked for. A service
that does so says `Preference-Applied: wait`; any other answers at once, and is asked politely.
"""

from collections.abc import Mapping

LONGEST = 30
"""Seconds a request may be held: shorter than proxies and NAT tables keep silent connections."""
CONNECT_TIMEOUT, READ_TIMEOUT = 10, 60
"""Seconds to connect, and for an answer beyond the time it may be held."""


def preference(wait: float | None, etag: str | None = None) -> dict[str, str]:
    """Return the headers of a long poll; none where nothing is to be waited for.

    Arguments:
        wait: seconds the answer may be held, sent as whole ones from 1 to `LONGEST`; None: not.
        etag: the version known already.
    """
    headers = {}
    if wait is not None:
        headers["Prefer"] = f"wait={max(1, min(LONGEST, round(wait)))}"
    if etag is not None:
        headers["If-None-Match"] = etag
    return headers


def is_held(headers: Mapping[str, str]) -> bool:
    """Tell whether the service that sent these headers holds long polls."""
    return "wait" in headers.get("Preference-Applied", "")


def version(headers: Mapping[str, str]) -> tuple[str | None, bool]:
    """Return the version of a representation, and whether the service holds long polls."""
    return headers.get("ETag"), is_held(headers)
