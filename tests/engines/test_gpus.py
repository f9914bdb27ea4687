"""Which GPUs there are, on machines as the NVIDIA driver presents them."""

from pathlib import Path

import pytest

from batchai_quickstart.engines.gpus import gpus
from batchai_quickstart.engines.local import LocalEngine


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The /proc and /dev of a machine with three GPUs, the middle one not given to us."""
    for minor, bus in enumerate(["0000:17:00.0", "0000:65:00.0", "0000:ca:00.0"]):
        card = tmp_path / "proc/driver/nvidia/gpus" / bus
        card.mkdir(parents=True)
        (card / "information").write_text(
            f"Model: \t\t NVIDIA H200\nGPU UUID:   \t GPU-{minor}aaaa\nDevice Minor: \t {minor}\n"
        )
    (tmp_path / "dev").mkdir()
    for minor in (0, 2):
        (tmp_path / f"dev/nvidia{minor}").touch()
    return tmp_path


def test_gpus_with_a_device_file_count(machine: Path) -> None:
    """GPUs that the machine has but this container was not given are not counted."""
    assert gpus({}, machine) == (0, 1)


@pytest.mark.parametrize(
    ("setting", "left"),
    [("", ()), ("-1", ()), ("1", (1,)), ("1,0", (1, 0)), ("GPU-2a", (1,)), ("0,7,1", (0,))],
)
def test_the_owner_may_hold_gpus_back(machine: Path, setting: str, left: tuple[int, ...]) -> None:
    """CUDA_VISIBLE_DEVICES of the service narrows what it hands out, read as CUDA reads it."""
    assert gpus({"CUDA_VISIBLE_DEVICES": setting}, machine) == left


@pytest.mark.parametrize("answer", ["exit 9", "echo 'No devices were found'"])
def test_a_tool_without_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """An nvidia-smi that fails or lists nothing means no GPUs."""
    _tool(tmp_path, answer, monkeypatch)
    assert gpus({}, tmp_path) == ()


def test_the_tool_is_asked_without_driver_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the driver shows no files, nvidia-smi says which GPUs there are."""
    _tool(
        tmp_path,
        "echo 'GPU 0: Tesla K80 (UUID: GPU-1)'; echo 'GPU 1: Tesla K80 (UUID: GPU-2)'",
        monkeypatch,
    )
    assert gpus({}, tmp_path) == (0, 1)


def test_a_machine_without_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No driver and no tool: no GPUs; and an engine asks only once."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus({}, tmp_path) == ()
    engine = LocalEngine(environ={"CUDA_VISIBLE_DEVICES": ""})
    assert engine.gpus() is engine.gpus() == ()


def _tool(path: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
