"""The XML documents that clients send: read strictly, and never more than was sent."""

from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from batchai_quickstart.storage.protocol import StorageError

_DEEPEST: Final = 8
_MOST: Final = 60_000
"""Elements of a document: more than the longest block list has."""


@dataclass(slots=True)
class Element:
    """An element of a document.

    Arguments:
        tag: its name.
        text: its own text, without blanks around it.
        children: the elements in it.
    """

    tag: str
    text: str = ""
    children: "list[Element]" = field(default_factory=list)

    def only(self, *tags: str) -> None:
        """Refuse the document when an element in this one has another tag than these."""
        for child in self.children:
            if child.tag not in tags:
                raise StorageError("InvalidXmlDocument", f"{child.tag} has no place in {self.tag}.")

    def value(self, tag: str) -> str | None:
        """The text of the element of that tag in this one; None when there is none."""
        return next((child.text for child in self.children if child.tag == tag), None)


def read(document: bytes, root: str) -> Element:
    """Read a document.

    Arguments:
        document: as it was sent.
        root: the tag its outermost element must have.

    Raises:
        StorageError: it is not well-formed, declares a document type, or is of another kind.
    """
    top = Element("")
    path = [top]
    text: list[str] = []
    left = iter(range(_MOST))
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise StorageError("InvalidXmlDocument", "It has a document type.")

    def start(tag: str, _: object) -> None:
        if len(path) > _DEEPEST:
            raise StorageError("InvalidXmlDocument", "Its elements are nested too deep.")
        if next(left, None) is None:
            raise StorageError("InvalidXmlDocument", f"It has more than {_MOST} elements.")
        element = Element(tag)
        path[-1].children.append(element)
        path.append(element)
        text.clear()

    def end(tag: str) -> None:
        path.pop().text = "".join(text).strip()
        text.clear()

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise StorageError("InvalidXmlDocument", str(error)) from None
    found = top.children[0]
    if found.tag != root:
        raise StorageError("InvalidXmlDocument", f"It is a {found.tag}, not a {root}.")
    return found
