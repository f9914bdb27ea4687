"""A root, the directory of all a service's state: where it is, and whose it is."""

import os
import signal
from pathlib import Path
from types import FrameType

from batchai_quickstart.errors import ConfigurationError

LEAVING = 10
"""Whole seconds a service that was told to leave may take."""


def default_root() -> Path:
    """Return the directory of the user's own service: `BATCHAI_ROOT`, else their data directory."""
    configured = os.environ.get("BATCHAI_ROOT")
    if configured:
        return Path(configured).resolve()
    import platformdirs

    return platformdirs.user_data_path("batchai-quickstart", appauthor=False)


class Lock:
    """The right to serve a root, held by an open file until the process ends.

    Arguments:
        root: the directory; made, for its owner alone, when it is not there.
        patience: whole seconds to wait for a holder to leave.

    Raises:
        ConfigurationError: another process holds it, or the directory cannot be written.
    """

    def __init__(self, root: Path, *, patience: int = 0) -> None:
        try:
            import fcntl
        except ImportError:
            raise ConfigurationError(
                "This platform has no POSIX file locks: run the service under WSL or on another "
                "machine."
            ) from None
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC
            self._fd = os.open(root / "service.lock", flags, 0o600)
        except OSError as error:
            raise ConfigurationError(f"The root {root} cannot be used: {error}.") from None
        try:
            if patience:
                signal.signal(signal.SIGALRM, _out_of_patience)
                signal.alarm(patience)
            fcntl.flock(self._fd, fcntl.LOCK_EX | (0 if patience else fcntl.LOCK_NB))
            signal.alarm(0)
        except BlockingIOError:
            pid = os.read(self._fd, 32).decode().strip()
            os.close(self._fd)
            raise ConfigurationError(
                f"A service is running on {root} already (pid {pid}): use it, stop it "
                f"with `python -m batchai_quickstart stop` or `kill {pid}`, or give another --root."
            ) from None
        os.ftruncate(self._fd, 0)
        os.write(self._fd, f"{os.getpid()}\n".encode())


def _out_of_patience(number: int, frame: FrameType | None) -> None:
    raise BlockingIOError


def write_private(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner alone."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text)
    temporary.replace(path)
