"""What is shown of a transfer, and where."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from batchai_quickstart import BlobContainer, FileShare

Volume = FileShare | BlobContainer

SHOW = """
import sys
from batchai_quickstart.client.bars import shown
with shown({progress}, "3 files up", 3_000_000) as step:
    step(3_000_000)
"""


def _seen(progress: str) -> str:
    """What a terminal gets on standard error."""
    near, far = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    command = [sys.executable, "-c", SHOW.format(progress=progress)]
    process = subprocess.Popen(command, stderr=far, stdout=subprocess.PIPE, env=environ)
    os.close(far)
    seen = b""
    try:
        while piece := os.read(near, 1 << 16):
            seen += piece
    except OSError:
        pass  # so a terminal ends on Linux
    finally:
        os.close(near)
    assert process.communicate(timeout=20)[0] == b""
    assert process.returncode == 0
    return seen.decode()


def test_terminal_shows_one_bar_for_all() -> None:
    """By default a terminal gets a bar with the bytes and their speed; False keeps it quiet."""
    told = _seen("None")
    assert "3 files up" in told
    assert "3.0/3.0 MB" in told
    assert _seen("False") == ""


@pytest.mark.parametrize("progress", [True, False, None])
def test_nothing_is_shown_where_nobody_looks(
    progress: bool | None, volume: Volume, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal nothing is written unless it is asked for; never to standard output."""
    (tmp_path / "f").write_text("x")
    volume.upload_batch(tmp_path, progress=progress)
    volume.download_batch(tmp_path / "back", progress=progress)
    told = capfd.readouterr()
    assert told.out == ""
    assert bool(told.err) is bool(progress)


def test_function_hears_of_every_byte(volume: Volume, tmp_path: Path) -> None:
    """A function of one's own is told the bytes done, up to the bytes in all."""
    (tmp_path / "large").write_bytes(bytes(9 << 20))
    (tmp_path / "small").write_bytes(b"xyz")
    for transfer in (
        lambda tell: volume.upload_batch(tmp_path, progress=tell),
        lambda tell: volume.download_batch(tmp_path / "back", progress=tell),
    ):
        told: list[tuple[int, int]] = []
        transfer(lambda done, total, told=told: told.append((done, total)))
        total = (9 << 20) + 3
        assert told[-1] == (total, total)
        assert told == sorted(told)
        assert len(told) >= 3
