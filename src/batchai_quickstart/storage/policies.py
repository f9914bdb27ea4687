"""Stored access policies: what a shared access signature may refer to instead of saying it."""

from collections.abc import Iterable
from typing import Final
from xml.sax.saxutils import escape

from batchai_quickstart.storage.document import read
from batchai_quickstart.storage.protocol import StorageError

_AT_MOST: Final = 5
_FIELDS: Final = ("Start", "Expiry", "Permission")

Policy = tuple[str, str, str, str]
"""Id, start, expiry and permissions, as they were sent; empty where they were left out."""


def from_document(document: bytes) -> tuple[Policy, ...]:
    """The policies of the body of Set Container ACL or Set Share ACL.

    Raises:
        StorageError: it is not such a document, or has more than five policies.
    """
    if not document.strip():
        return ()
    identifiers = read(document, "SignedIdentifiers")
    identifiers.only("SignedIdentifier")
    if len(identifiers.children) > _AT_MOST:
        raise StorageError("InvalidXmlDocument", f"There are {_AT_MOST} policies at most.")
    policies: list[Policy] = []
    for each in identifiers.children:
        each.only("Id", "AccessPolicy")
        name = each.value("Id") or ""
        if not 1 <= len(name) <= 64:
            raise StorageError("InvalidXmlDocument", "An Id has 1 to 64 characters.")
        rules = next((child for child in each.children if child.tag == "AccessPolicy"), None)
        if rules is not None:
            rules.only(*_FIELDS)
        start, expiry, permission = (
            ("" if rules is None else rules.value(field) or "") for field in _FIELDS
        )
        policies.append((name, start, expiry, permission))
    if len({policy[0] for policy in policies}) < len(policies):
        raise StorageError("InvalidXmlDocument", "An Id is there twice.")
    return tuple(policies)


def to_xml(policies: Iterable[Policy]) -> str:
    """A `SignedIdentifiers` element."""
    parts = []
    for name, *values in policies:
        inner = "".join(
            f"<{field}>{escape(value)}</{field}>"
            for field, value in zip(_FIELDS, values, strict=True)
            if value
        )
        parts.append(
            f"<SignedIdentifier><Id>{escape(name)}</Id>"
            f"<AccessPolicy>{inner}</AccessPolicy></SignedIdentifier>"
        )
    return f"<SignedIdentifiers>{''.join(parts)}</SignedIdentifiers>"
