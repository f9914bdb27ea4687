"""Index tags of blobs: pairs of text, and the expressions that are asked about them."""

import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from batchai_quickstart.storage.document import read
from batchai_quickstart.storage.protocol import StorageError

_AT_MOST: Final = 10
_ALLOWED: Final = re.compile(r"[A-Za-z0-9 +\-./:=_]*")

Expression = Callable[[Mapping[str, str]], bool]
"""Whether tags are what was asked for; the container's name is the tag `@container`."""


def from_header(text: str | None) -> dict[str, str]:
    """The tags of an `x-ms-tags` header, `name=value&...` percent-encoded; none without one.

    Raises:
        StorageError: they are not what Azure takes as tags.
    """
    if not text:
        return {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise StorageError("InvalidHeaderValue", f"x-ms-tags is {text!r}.") from None
    return _checked(pairs)


def from_document(document: bytes) -> dict[str, str]:
    """The tags of the body of Set Blob Tags.

    Raises:
        StorageError: it is not such a document, or they are not what Azure takes as tags.
    """
    tags = read(document, "Tags")
    tags.only("TagSet")
    pairs = []
    for tag_set in tags.children:
        tag_set.only("Tag")
        for tag in tag_set.children:
            tag.only("Key", "Value")
            pairs.append((tag.value("Key") or "", tag.value("Value") or ""))
    return _checked(pairs)


def to_xml(tags: Mapping[str, str]) -> str:
    """A `Tags` element."""
    inner = "".join(
        f"<Tag><Key>{escape(name)}</Key><Value>{escape(value)}</Value></Tag>"
        for name, value in sorted(tags.items())
    )
    return f"<Tags><TagSet>{inner}</TagSet></Tags>"


def _checked(pairs: list[tuple[str, str]]) -> dict[str, str]:
    if len(pairs) > _AT_MOST:
        raise StorageError("InvalidTag", f"A blob has {_AT_MOST} tags at most.")
    for name, value in pairs:
        if not (1 <= len(name) <= 128 and len(value) <= 256):
            raise StorageError("InvalidTag", f"{name[:80]!r} or its value is empty or too long.")
        if not (_ALLOWED.fullmatch(name) and _ALLOWED.fullmatch(value)):
            raise StorageError(
                "InvalidTag", f"{name!r} or its value has a character that no tag has."
            )
    tags = dict(pairs)
    if len(tags) < len(pairs):
        raise StorageError("InvalidTag", "A name is there twice.")
    return tags


_TOKEN: Final = re.compile(
    r"""\s*(?: (?P<op><>|<=|>=|=|<|>) | (?P<and>AND)\b | (?P<or>OR)\b
        | "(?P<quoted>[^"]*)" | (?P<bare>@?[A-Za-z_][A-Za-z0-9_]*) | '(?P<value>(?:[^']|'')*)' )""",
    re.VERBOSE | re.IGNORECASE,
)
_COMPARE: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "=": str.__eq__,
    "<>": str.__ne__,
    "<": str.__lt__,
    "<=": str.__le__,
    ">": str.__gt__,
    ">=": str.__ge__,
}


def expression(text: str, *, searching: bool) -> Expression:
    """The meaning of a `where` parameter or an `x-ms-if-tags` header.

    Comparisons of a tag's name with a value in single quotes, joined by AND and, in a condition,
    by OR, which binds less: Azure's "Find Blobs by Tags" and "Specifying conditional headers".

    Arguments:
        text: the expression.
        searching: for Find Blobs by Tags, which knows no OR and no `<>`.

    Raises:
        StorageError: it is no such expression.
    """
    wrong = StorageError(
        "InvalidQueryParameterValue" if searching else "InvalidHeaderValue",
        f"{text[:200]!r} is no expression over tags, like \"name\" = 'value' AND ...",
    )
    alternatives: list[list[Expression]] = [[]]
    position, wants_comparison = 0, True
    tokens: list[re.Match[str]] = []
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            raise wrong
        tokens.append(match)
        position = match.end()
    while tokens:
        if not wants_comparison:
            joint = tokens.pop(0)
            if joint["or"] and not searching:
                alternatives.append([])
            elif not joint["and"]:
                raise wrong
        alternatives[-1].append(_comparison(tokens[:3], wrong, searching))
        del tokens[:3]
        wants_comparison = False
    if not alternatives[-1]:
        raise wrong
    return lambda tags: any(all(each(tags) for each in every) for every in alternatives)


def _comparison(tokens: list[re.Match[str]], wrong: StorageError, searching: bool) -> Expression:
    if len(tokens) < 3:
        raise wrong
    name = tokens[0]["quoted"] or tokens[0]["bare"]
    operator, value = tokens[1]["op"], tokens[2]["value"]
    if not name or not operator or value is None or (searching and operator == "<>"):
        raise wrong
    compare, wanted = _COMPARE[operator], value.replace("''", "'")
    return lambda tags: name in tags and compare(tags[name], wanted)
