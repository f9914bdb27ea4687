"""Giving an entry of a directory another name in one step, as `os.rename` alone cannot.

Linux has `renameat2` and macOS `renameatx_np`; where neither is, or the file system cannot do it
(NFS, some FUSE), a look comes before a plain rename, which is as near as the system gets.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from typing import Final

_LINUX: Final = ("renameat2", 1, 2)
_DARWIN: Final = ("renameatx_np", 4, 2)
_NAME, _EXCLUSIVE, _SWAP = _DARWIN if sys.platform == "darwin" else _LINUX
_UNABLE: Final = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


def move_exclusively(source: int, old: str, target: int, new: str) -> None:
    """Rename; what has the new name already stays.

    Arguments:
        source: descriptor of the directory the entry is in.
        old: its name there.
        target: descriptor of the directory it goes to.
        new: its name there.

    Raises:
        FileExistsError: something has the new name.
    """
    if _asked(source, old, target, new, _EXCLUSIVE):
        return
    try:
        os.stat(new, dir_fd=target, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(old, new, src_dir_fd=source, dst_dir_fd=target)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)


def move_over_file(source: int, old: str, target: int, new: str) -> None:
    """Rename a directory to the name a file has; the file is removed.

    A rename replaces a file by files only, so the two names are swapped first.

    Raises:
        IsADirectoryError, PermissionError: a directory has the new name, and keeps it.
    """
    if _asked(source, old, target, new, _SWAP):
        try:
            os.unlink(old, dir_fd=source)
        except OSError:
            _asked(source, old, target, new, _SWAP)
            raise
    else:
        os.unlink(new, dir_fd=target)
        os.rename(old, new, src_dir_fd=source, dst_dir_fd=target)


def _function() -> Callable[..., int] | None:
    try:
        found = getattr(ctypes.CDLL(None, use_errno=True), _NAME)
    except (AttributeError, OSError):
        return None
    found.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    found.restype = ctypes.c_int
    return found  # type: ignore[no-any-return]  # of a library without types


_RENAME: Final = _function()


def _asked(source: int, old: str, target: int, new: str, flags: int) -> bool:
    """Ask the system for a special rename; False when it cannot do such."""
    if _RENAME is None:
        return False
    if _RENAME(source, os.fsencode(old), target, os.fsencode(new), flags) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNABLE:
        return False
    raise OSError(number, os.strerror(number), new)
