"""Names on the wire and names on disk.

A name is the same in both places, so that people and jobs find the blob `data/train.txt` as the
file `data/train.txt`. Only the empty segment, which Azure allows in the names of blobs (`a//b`,
`a/`) and no file system can hold, is written `%00`: NUL is in no name. A name that looks like that
form is escaped itself, so each name has one form on disk and each form is of one name.
"""

import re
from typing import Final

from batchai_quickstart.errors import InvalidRequestError

_EMPTY: Final = "%00"
# The form, and escaped forms: %2500, %252500, ...
_ALIKE: Final = re.compile("%(25)*00")


def to_disk(segment: str) -> str:
    """The name on disk of one segment of a blob's name.

    Arguments:
        segment: what is between two slashes.
    """
    if not segment:
        return _EMPTY
    return "%25" + segment[1:] if _ALIKE.fullmatch(segment) else segment


def from_disk(entry: str) -> str:
    """The segment that a name on disk stands for: the inverse of `to_disk`."""
    if not _ALIKE.fullmatch(entry):
        return entry
    return "" if entry == _EMPTY else "%" + entry[3:]


def without_trailing_dots(path: str) -> str:
    """A path in a share as Azure takes it from clients that do not say to keep trailing dots.

    Raises:
        InvalidRequestError: a segment has nothing but dots.
    """
    segments = [segment.rstrip(".") for segment in path.split("/")]
    if any(before and not after for before, after in zip(path.split("/"), segments, strict=True)):
        raise InvalidRequestError(
            f"The path {path!r} cannot be used: it has a segment of nothing but dots.",
            code="InvalidResourceName",
        )
    return "/".join(segments)
