"""Block ids and block lists: which bytes a commit asks for."""

import base64
import binascii
from typing import Final

from batchai_quickstart.storage.document import read
from batchai_quickstart.storage.protocol import StorageError
from batchai_quickstart.storage.staging import Block, Upload

_BLOCKS_AT_MOST: Final = 50_000


def block_id(text: str | None) -> str:
    """A block id as it was sent: base64 of 1 to 64 bytes.

    Raises:
        StorageError: there is none, or it is something else.
    """
    if text is None:
        raise StorageError("MissingRequiredQueryParameter", "blockid.")
    try:
        size = len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not 1 <= size <= 64:
        raise StorageError(
            "InvalidQueryParameterValue", f"blockid {text!r} is not base64 of 1 to 64 bytes."
        )
    return text


def parse_block_list(document: bytes) -> list[tuple[str, str]]:
    """(`Committed`, `Uncommitted` or `Latest`; block id) of each entry of a `BlockList`.

    Raises:
        StorageError: it is not such a document, or declares a document type.
    """
    listed = read(document, "BlockList")
    listed.only("Committed", "Uncommitted", "Latest")
    found = [(entry.tag, entry.text) for entry in listed.children]
    if len(found) > _BLOCKS_AT_MOST:
        raise StorageError("InvalidBlockList", f"At most {_BLOCKS_AT_MOST} blocks.")
    return found


def chosen_blocks(
    listed: list[tuple[str, str]],
    upload: Upload | None,
    source: int,
    committed: dict[str, Block],
) -> list[tuple[str, Block]]:
    """Where the bytes of each listed block are.

    Arguments:
        listed: what `parse_block_list` read.
        upload: the uncommitted blocks of the blob.
        source: descriptor of the upload's file.
        committed: the blocks the blob is made of.

    Raises:
        StorageError: a block is not where the list says.
    """
    pending = upload.blocks if upload is not None else {}
    chosen = []
    for where, name in listed:
        if where != "Committed" and name in pending:
            chosen.append((name, Block(source, *pending[name])))
        elif where != "Uncommitted" and name in committed:
            chosen.append((name, committed[name]))
        else:
            raise StorageError("InvalidBlockList", f"There is no {where} block {name!r}.")
    return chosen


def committed_blocks(descriptor: int, blocks: tuple[tuple[str, int], ...]) -> dict[str, Block]:
    """The blocks of an open blob by id, from their ids and sizes in order."""
    found: dict[str, Block] = {}
    offset = 0
    for name, size in blocks:
        found[name] = Block(descriptor, offset, size)
        offset += size
    return found
