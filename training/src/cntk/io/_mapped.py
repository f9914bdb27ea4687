"""A big text file: what its lines are is known at once, their values are read while training runs.

A first minibatch needs a few lines of the whole file. So the ends of the lines are found first, the
lines of the first minibatches are read by themselves, and a thread reads everything meanwhile. It
starts with the second minibatch: the first one has the processors for itself.
"""

import atexit
import mmap
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from cntk.io import _blocks, _ctf

_LEAST: Final = 1 << 23
"""Bytes; smaller files are read at once."""
_PIECE: Final = 1 << 18
_MANY: Final = 4096
"""Lines; for more at a time it is better to wait for all."""
_NEWLINE, _BAR = ord("\n"), ord("|")


@final
class Mapped:
    """A file whose lines are plain, each of them a sample.

    Args:
        path: Of the file.
        fields: What each stream is in it.
        text: The file's bytes.
        ends: Behind each line, shape (lines,).
        shape: Of the first line.
    """

    def __init__(
        self,
        path: Path,
        fields: Mapping[str, _ctf.Field],
        text: mmap.mmap,
        ends: npt.NDArray[np.int64],
        shape: _blocks.Shape,
    ) -> None:
        self._text: mmap.mmap | None = text
        self._ends = ends
        self._shape = shape
        self._names = list(fields)
        self._columns: dict[str, Any] | None = None
        self._problem: BaseException | None = None
        self._stop = threading.Event()
        self.lengths = np.diff(ends, prepend=0)
        # The thread must not keep alive what nobody uses any more.
        me = weakref.ref(self)
        work = _Work(path, fields, text, ends, shape, self._stop)
        self._thread = threading.Thread(
            target=_run, args=(work, me), name="cntk-lines", daemon=True
        )
        weakref.finalize(self, self._stop.set)
        self._asked = False

    @property
    def complete(self) -> bool:
        """Whether everything has been read."""
        return self._columns is not None

    def take(self, lines: npt.NDArray[np.int64]) -> dict[str, Any]:
        """Return each stream's values in these lines, shape (lines, dim), bytes or floats.

        Raises:
            RuntimeError: The file is malformed, wherever that is.
        """
        if self._columns is None and self._problem is None and len(lines) <= _MANY:
            if self._asked:
                self._start()
            self._asked = True
            found = self._alone(lines)
            if found is not None:
                return found
        return {name: column[lines] for name, column in self.columns().items()}

    def columns(self) -> dict[str, Any]:
        """Return all values; wait for them."""
        if self._columns is None and self._problem is None:
            self._start()
            self._thread.join()
        if self._problem is not None:
            raise self._problem
        assert self._columns is not None
        return self._columns

    def _start(self) -> None:
        if self._thread.ident is None:
            atexit.register(_halt, self._stop, weakref.ref(self._thread))
            self._thread.start()

    def _alone(self, lines: npt.NDArray[np.int64]) -> dict[str, Any] | None:
        text = self._text
        if text is None:
            return None
        stops = self._ends[lines]
        starts = (stops - self.lengths[lines]).tolist()
        joined = b"".join(text[a:b] for a, b in zip(starts, stops.tolist(), strict=True))
        if not joined.endswith(b"\n"):
            # The file's last line, which lacks its end (elsewhere it makes one of too many bars).
            return None
        columns = _blocks.read(np.frombuffer(joined, np.uint8), self._shape)
        return None if columns is None else dict(zip(self._names, columns, strict=True))

    def _done(self, columns: dict[str, Any] | None, problem: BaseException | None) -> None:
        self._columns, self._problem, self._text = columns, problem, None


@final
class _Work:
    """What the thread knows."""

    def __init__(
        self,
        path: Path,
        fields: Mapping[str, _ctf.Field],
        text: mmap.mmap,
        ends: npt.NDArray[np.int64],
        shape: _blocks.Shape,
        stop: threading.Event,
    ) -> None:
        self._path, self._fields = path, fields
        self._text, self._ends, self._shape = text, ends, shape
        self._stop = stop

    def __call__(self) -> dict[str, Any] | None:
        """Return all columns; None if nobody wants them any more."""
        data = np.frombuffer(self._text, np.uint8)
        columns = [np.empty((len(self._ends), f.dim), np.uint8) for f in self._fields.values()]
        begin = line = 0
        while line < len(self._ends):
            if self._stop.is_set():
                return None
            stop = max(int(np.searchsorted(self._ends, begin + _PIECE, side="right")), line + 1)
            end = int(self._ends[stop - 1])
            found = _blocks.read(_ended(data[begin:end]), self._shape)
            if found is None:
                return dict(_ctf.read(self._path, self._fields).columns)
            for i, values in enumerate(found):
                if values.dtype != columns[i].dtype and columns[i].dtype == np.uint8:
                    columns[i] = columns[i].astype(np.float32)
                columns[i][line:stop] = values
            begin, line = end, stop
        return dict(zip(self._fields, columns, strict=True))


def _ended(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return data if data[-1] == _NEWLINE else np.append(data, np.uint8(_NEWLINE))


def _run(work: Callable[[], dict[str, Any] | None], owner: "weakref.ref[Mapped]") -> None:
    columns, problem = None, None
    try:
        columns = work()
    except Exception as error:
        problem = error
    mapped = owner()
    if mapped is not None and (columns is not None or problem is not None):
        mapped._done(columns, problem)


def _halt(stop: threading.Event, thread: "weakref.ref[threading.Thread]") -> None:
    """Let the thread end before the interpreter does."""
    stop.set()
    running = thread()
    if running is not None:
        running.join()


def mapped(path: Path, fields: Mapping[str, _ctf.Field]) -> Mapped | None:
    """Return a file that is read in the background; None if it is small, sparse or not plain.

    Args:
        path: Of the file.
        fields: For each stream, by the name that scripts use, what it is in the file.
    """
    if any(f.is_sparse for f in fields.values()):
        return None
    try:
        with path.open("rb") as file:
            if path.stat().st_size < _LEAST:
                return None
            first = file.readline(_LEAST)
            text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError:
        # The other reader says what is wrong.
        return None
    names, widths = zip(*((f.name, f.dim) for f in fields.values()), strict=True)
    shape = _blocks.shape_of(first.rstrip(b"\r\n"), list(names), list(widths))
    if shape is None:
        return None
    data = np.frombuffer(text, np.uint8)
    parts = [
        np.flatnonzero(data[at : at + _PIECE] == _NEWLINE) + (at + 1)
        for at in range(0, len(data), _PIECE)
    ]
    if data[-1] != _NEWLINE:
        parts.append(np.array([len(data)]))
    ends = np.concatenate(parts)
    if (data[ends[:-1]] != _BAR).any():
        return None
    return Mapped(path, fields, text, ends, shape)
