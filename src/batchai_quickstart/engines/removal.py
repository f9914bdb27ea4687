"""Removing a directory and everything in it, whatever a job did to its permissions."""

import os
import shutil
import stat
from contextlib import suppress


def remove_tree(path: str) -> None:
    """Remove directory `path` with all it contains; links in it are removed, never followed.

    What cannot be removed stays; nothing is raised, also when `path` does not exist.
    """
    try:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            return
    except OSError:
        return
    shutil.rmtree(path, ignore_errors=True)
    if not os.path.lexists(path):
        return
    # A directory without write permission keeps its entries: give the permission back, again.
    with suppress(OSError):
        os.chmod(path, stat.S_IRWXU)  # noqa: PTH101
    for directory, names, _ in os.walk(path):
        for name in names:
            below = os.path.join(directory, name)  # noqa: PTH118
            with suppress(OSError):
                if not os.path.islink(below):  # noqa: PTH114
                    os.chmod(below, stat.S_IRWXU)  # noqa: PTH101
    shutil.rmtree(path, ignore_errors=True)
