"""Cross-origin sharing on the wire: rules as XML, preflights, and the headers of answers."""

from typing import Final
from xml.sax.saxutils import escape

from batchai_quickstart.storage.document import Element
from batchai_quickstart.storage.download import Headers
from batchai_quickstart.storage.protocol import Request, Response, StorageError
from batchai_quickstart.storage.settings import CorsRule, ServiceSettings

_RULES_AT_MOST: Final = 5
_BYTES_AT_MOST: Final = 2 << 10
_LISTED_AT_MOST: Final = 64
_METHODS: Final = frozenset(
    ("DELETE", "GET", "HEAD", "MERGE", "OPTIONS", "PATCH", "POST", "PUT", "CONNECT", "TRACE")
)
_TAGS: Final = (
    "AllowedOrigins",
    "AllowedMethods",
    "AllowedHeaders",
    "ExposedHeaders",
    "MaxAgeInSeconds",
)


def rules_of(cors: Element) -> tuple[CorsRule, ...]:
    """The rules of a `Cors` element.

    Raises:
        StorageError: it breaks one of the limits that Azure's documentation names.
    """
    cors.only("CorsRule")
    if len(cors.children) > _RULES_AT_MOST:
        raise StorageError("InvalidXmlDocument", f"There are {_RULES_AT_MOST} CORS rules at most.")
    rules = tuple(map(_rule, cors.children))
    if len("".join(map(_xml, rules)).encode()) > _BYTES_AT_MOST:
        raise StorageError("InvalidXmlDocument", f"CORS rules have {_BYTES_AT_MOST} bytes at most.")
    return rules


def _rule(element: Element) -> CorsRule:
    element.only(*_TAGS)
    for tag in ("AllowedOrigins", "AllowedMethods", "MaxAgeInSeconds"):
        if not element.value(tag):
            raise StorageError("InvalidXmlDocument", f"A CorsRule needs {tag}.")
    lists = {
        tag: tuple(filter(None, (each.strip() for each in (element.value(tag) or "").split(","))))
        for tag in _TAGS[:-1]
    }
    for tag, values in lists.items():
        if len(values) > _LISTED_AT_MOST or any(len(each) > 256 for each in values):
            raise StorageError("InvalidXmlDocument", f"{tag} has too much in it.")
        # The rules become headers of answers.
        if not all(" " < character <= "~" for each in values for character in each):
            raise StorageError("InvalidXmlDocument", f"{tag} has characters no header can have.")
    if wrong := sorted(set(lists["AllowedMethods"]) - _METHODS):
        raise StorageError("InvalidXmlDocument", f"AllowedMethods has {', '.join(wrong)}.")
    seconds = element.value("MaxAgeInSeconds") or ""
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) < 10):
        raise StorageError("InvalidXmlDocument", f"MaxAgeInSeconds is {seconds[:80]!r}.")
    return CorsRule(*lists.values(), max_age=int(seconds))


def to_xml(settings: ServiceSettings) -> str:
    """The `Cors` element of settings."""
    return f"<Cors>{''.join(map(_xml, settings.cors))}</Cors>"


def _xml(rule: CorsRule) -> str:
    lists = (rule.origins, rule.methods, rule.headers, rule.exposed)
    values = (*(",".join(each) for each in lists), str(rule.max_age))
    inner = "".join(
        f"<{tag}>{escape(value)}</{tag}>" for tag, value in zip(_TAGS, values, strict=True)
    )
    return f"<CorsRule>{inner}</CorsRule>"


def preflight(request: Request, settings: ServiceSettings) -> Response:
    """Preflight Blob Request, Preflight File Request: what a browser asks before it asks.

    Nothing needs to be there, and nothing is signed.

    Raises:
        StorageError: 400, it names no origin or no method; 403, no rule allows it.
    """
    headers = request.headers
    origin, method = headers.get("origin"), headers.get("access-control-request-method")
    for name, value in (("Origin", origin), ("Access-Control-Request-Method", method)):
        if not value:
            raise StorageError("MissingRequiredHeader", f"{name}.")
    assert origin is not None
    assert method is not None
    asked = headers.get("access-control-request-headers", "")
    names = filter(None, (each.strip() for each in asked.split(",")))
    rule = settings.rule(origin, method, names)
    if rule is None:
        raise StorageError("CorsPreflightFailure", f"For {method} from {origin[:256]!r}.")
    answer = [
        *_allowed(rule, origin),
        ("access-control-allow-methods", method),
        ("access-control-max-age", str(rule.max_age)),
    ]
    if asked:
        answer.append(("access-control-allow-headers", asked))
    return Response(200, tuple(answer))


def answer_headers(method: str, origin: str | None, settings: ServiceSettings) -> Headers:
    """The headers that an answer has because of the rules of its service.

    Arguments:
        method: of the request.
        origin: of the page that asks; None when no page does.
        settings: of the service.
    """
    if not settings.cors:
        return ()
    rule = settings.rule(origin, method) if origin is not None else None
    found = [] if rule is None or origin is None else _allowed(rule, origin)
    if rule is not None and rule.exposed:
        found.append(("access-control-expose-headers", ",".join(rule.exposed)))
    # A cache must keep the answers to different origins apart, unless all get the same one.
    apart = not rule.for_all if rule else not any(each.for_all for each in settings.cors)
    if method in ("GET", "HEAD") and apart:
        found.append(("vary", "Origin"))
    return tuple(found)


def _allowed(rule: CorsRule, origin: str) -> list[tuple[str, str]]:
    if rule.for_all:
        return [("access-control-allow-origin", "*")]
    return [
        ("access-control-allow-origin", origin),
        ("access-control-allow-credentials", "true"),
    ]
