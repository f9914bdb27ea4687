"""Which parts of a file hold something, and how a part is made to hold nothing.

The file system knows in units of its blocks; Azure Files speaks of units of 512 bytes.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Callable, Iterator
from typing import Final

from batchai_quickstart.storage.transfer import PIECE, write

_UNIT: Final = 512
_NO_UNIT: Final = bytes(_UNIT)
_BLOCK: Final = 64 << 10
"""Bytes at either end of a stretch of data that are looked at: no file system has bigger blocks."""

_PUNCH: Final = 0x01 | 0x02
"""FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE of Linux."""
_UNABLE: Final = (errno.EOPNOTSUPP, errno.ENOSYS, errno.ENODEV)


def ranges(descriptor: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of a file that hold something other than zeros.

    Zeros inside a long part that were written as such may count as something: what is told to be
    empty is.

    Arguments:
        descriptor: of the file.
        start: the first byte that is of interest.
        end: the byte behind the last one; not beyond the file's end.

    Yields:
        Offset of the first byte and of the byte behind the last one, ascending, in units of 512
        bytes as far as `start` and `end` allow.
    """
    for first, last in _stretches(descriptor, start, end):
        head = min(first + _BLOCK, last)
        tail = max(last - _BLOCK, head)
        middle = [(head, tail)] if head < tail else []
        ends = _filled(descriptor, first, head), _filled(descriptor, tail, last)
        yield from _joined([*ends[0], *middle, *ends[1]])


def _stretches(descriptor: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """What the file system takes for data, in whole units."""
    offset = start
    while offset < end:
        try:
            first = os.lseek(descriptor, offset, os.SEEK_DATA)
            last = os.lseek(descriptor, first, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                return
            first, last = offset, end  # a file system that cannot say
        if first >= end:
            return
        first = max(first // _UNIT * _UNIT, start)
        last = min(-(-last // _UNIT) * _UNIT, end)
        yield first, last
        offset = last


def _filled(descriptor: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    content = os.pread(descriptor, end - start, start)
    offset = start
    while offset < end:
        following = min(offset // _UNIT * _UNIT + _UNIT, end)
        piece = content[offset - start : following - start]
        if piece != _NO_UNIT[: len(piece)]:
            yield offset, following
        offset = following


def _joined(parts: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    begin, stop = -1, -1
    for first, last in parts:
        if first == stop:
            stop = last
            continue
        if stop > begin:
            yield begin, stop
        begin, stop = first, last
    if stop > begin:
        yield begin, stop


def clear(descriptor: int, start: int, length: int) -> None:
    """Make a part of a file zeros, and give its space back where the system can.

    Arguments:
        descriptor: of the file, whose end the part does not pass.
        start: the first byte.
        length: bytes.
    """
    if _FALLOCATE is not None:
        if _FALLOCATE(descriptor, _PUNCH, start, length) == 0:
            return
        number = ctypes.get_errno()
        if number not in _UNABLE:
            raise OSError(number, os.strerror(number))
    zeros = bytes(min(length, PIECE))
    for offset in range(start, start + length, len(zeros)):
        write(descriptor, [zeros[: start + length - offset]], offset)


def _function() -> Callable[..., int] | None:
    if sys.platform != "linux":
        return None
    found = getattr(ctypes.CDLL(None, use_errno=True), "fallocate64", None)
    if found is not None:
        found.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
        found.restype = ctypes.c_int
    return found


_FALLOCATE: Final = _function()
