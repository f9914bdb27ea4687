"""Storage alone as a process of the tests' own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMMAND = (sys.executable, "-m", "batchai_quickstart.storage")


@dataclass(frozen=True, slots=True)
class Alone:
    """A running storage process and what it said."""

    process: subprocess.Popen[str]
    text: str

    def value(self, account: str, name: str) -> str:
        """What stands behind a name in the paragraph of an account."""
        paragraph = next(
            each for each in self.text.split("\n\n") if each.startswith(f"{account}\n")
        )
        found = re.search(rf"^  {name} +(\S+)$", paragraph, re.MULTILINE)
        assert found, paragraph
        return found[1]

    def connection_string(self, account: str) -> str:
        """The account's, as a shell would take it from the text."""
        lines = [line for line in self.text.splitlines() if f";AccountName={account};" in line]
        quoted = lines[0].removeprefix("export AZURE_STORAGE_CONNECTION_STRING=")
        assert quoted[0] == quoted[-1] == "'"
        return quoted[1:-1]

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it with a signal, and return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(20)


@contextlib.contextmanager
def storage_alone(root: Path, *options: str, command: tuple[str, ...] = COMMAND) -> Iterator[Alone]:
    """Start storage on a root, wait until it answers, and end it afterwards."""
    process = subprocess.Popen(
        [*command, "--root", str(root), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        # It is written at once; what readline would keep in its buffer is wanted here.
        text = os.read(process.stdout.fileno(), 1 << 16).decode()
        assert text, process.stderr.read()
        yield Alone(process, text)
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=20)
