"""execution.log: what the service did for a job, in lines a person reads."""

import os
from datetime import UTC, datetime


class ExecutionLog:
    """Lines with UTC times, gathered and appended a few at a time.

    Arguments:
        path: the file; its directory may appear later than the first line.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lines: list[str] = []

    def say(self, text: str) -> None:
        """Note one line, with the present time."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._lines.append(f"{moment.removesuffix('+00:00')}Z {text}\n")

    def open(self) -> int:
        """Open the file for `write`; the caller closes the descriptor.

        Raises:
            OSError: the file cannot be written.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._path, flags, 0o666)

    def write(self, descriptor: int) -> None:
        """Append what was noted."""
        text = "".join(self._lines)
        self._lines.clear()
        os.write(descriptor, text.encode("utf-8", "backslashreplace"))

    def flush(self) -> None:
        """Append what was noted to the file.

        Raises:
            OSError: the file cannot be written.
        """
        descriptor = self.open()
        try:
            self.write(descriptor)
        finally:
            os.close(descriptor)
