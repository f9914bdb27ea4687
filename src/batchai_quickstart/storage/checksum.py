"""The checksums that Azure's clients send with content and ask for."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from batchai_quickstart.storage.protocol import StorageError

CRC64: Final = "x-ms-content-crc64"


@cache
def _crc64() -> Any:
    # Azure's polynomial 0x9A6C9329AC4BC9B5 is the bit-reversed one of CRC-64/NVME.
    import anycrc

    return anycrc.Model("CRC64-NVME")


@dataclass(frozen=True, slots=True)
class Sums:
    """What was computed of some content.

    Arguments:
        md5: base64 MD5; None when nobody asked.
        crc64: base64 of the little-endian CRC; None when nobody asked.
    """

    md5: str | None = None
    crc64: str | None = None

    def headers(self) -> tuple[tuple[str, str], ...]:
        """The headers of an answer that repeat them."""
        found = (("content-md5", self.md5), (CRC64, self.crc64))
        return tuple((name, value) for name, value in found if value is not None)


class Sum:
    """Checksums of content that comes in pieces.

    Arguments:
        md5: compute it.
        crc64: compute it.
    """

    def __init__(self, *, md5: bool, crc64: bool) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        self._crc64 = 0 if crc64 else None

    @property
    def wanted(self) -> bool:
        """Whether any is to be computed."""
        return self._md5 is not None or self._crc64 is not None

    def update(self, piece: bytes) -> None:
        """Take the next piece in."""
        if self._md5 is not None:
            self._md5.update(piece)
        if self._crc64 is not None:
            self._crc64 = _crc64().calc(piece, self._crc64)

    def sums(self) -> Sums:
        """What was computed so far."""
        crc64 = None if self._crc64 is None else self._crc64.to_bytes(8, "little")
        return Sums(
            None if self._md5 is None else base64.b64encode(self._md5.digest()).decode(),
            None if crc64 is None else base64.b64encode(crc64).decode(),
        )


def check(sums: Sums, headers: Mapping[str, str]) -> None:
    """Compare what was computed with what a request announces.

    Raises:
        StorageError: they differ.
    """
    announced = headers.get("content-md5")
    if announced is not None and announced != sums.md5:
        raise StorageError("Md5Mismatch", f"It is {sums.md5}.")
    announced = headers.get(CRC64)
    if announced is not None and announced != sums.crc64:
        raise StorageError("Crc64Mismatch", f"It is {sums.crc64}.")
