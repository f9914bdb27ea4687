"""Loaded by a child process at its start: notes what it asks of the disk, or ends it right there.

There is no strace on every machine. This stands at the same border, between the service and the
system's calls, and changes nothing of what they do.

    DISK_NOTES   a file: each call is added to it as a line, with the path it is about
    DISK_CRASH   `before` or `after`, and a call (`rename`, `utime`, ...), or `amid write`: the
                 process kills itself there, once the file `DISK_ARMED` exists
"""

import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

_NOTES = os.environ.get("DISK_NOTES")
_MOMENT, _, _CALL = os.environ.get("DISK_CRASH", "").partition(" ")
_ARMED = os.environ.get("DISK_ARMED", "")
_CALLS = ("rename", "unlink", "rmdir", "mkdir", "utime", "ftruncate", "fsync", "fdatasync", "write")
_write = os.write
_connect = sqlite3.connect


def _note(*words: object) -> None:
    if _NOTES:
        descriptor = os.open(_NOTES, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        _write(descriptor, (" ".join(map(str, words)) + "\n").encode())
        os.close(descriptor)


def _crash(moment: str, call: str) -> bool:
    return (moment, call) == (_MOMENT, _CALL) and os.path.exists(_ARMED)  # noqa: PTH110


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


def _place(argument: Any) -> Any:
    return Path(f"/proc/self/fd/{argument}").readlink() if isinstance(argument, int) else argument


def _wrap(name: str) -> None:
    function = getattr(os, name)

    def wrapper(*arguments: Any, **named: Any) -> Any:
        if name != "write":
            _note(name, _place(arguments[0]))
        if _crash("before", name):
            _die()
        if name == "write" and _crash("amid", name):
            _write(arguments[0], arguments[1][: len(arguments[1]) // 2])
            _die()
        result = function(*arguments, **named)
        if _crash("after", name):
            _die()
        return result

    setattr(os, name, wrapper)


def _connected(*arguments: Any, **named: Any) -> sqlite3.Connection:
    connection: sqlite3.Connection = _connect(*arguments, **named)
    connection.set_trace_callback(lambda statement: _note("sqlite", *statement.split()))
    return connection


if _NOTES or _CALL:
    for _name in _CALLS:
        _wrap(_name)
if _NOTES:
    setattr(sqlite3, "connect", _connected)  # noqa: B010 - the type checker knows it too well
