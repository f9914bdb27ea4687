"""Which NVIDIA GPUs this machine has, asked without loading CUDA."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

_LISTED = re.compile(r"^GPU (\d+): .*\(UUID: ([^)]+)\)", re.MULTILINE)


def gpus(environ: Mapping[str, str], root: Path = Path("/")) -> tuple[int, ...]:
    """Indices, in PCI bus order, of the GPUs that may be used.

    Arguments:
        environ: the service's environment; its CUDA_VISIBLE_DEVICES narrows the choice.
        root: where /proc and /dev are.
    """
    uuids = _from_driver(root)
    if uuids is None:
        uuids = _from_tool()
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return tuple(uuids)
    return _visible(visible, uuids)


def _visible(setting: str, uuids: Mapping[int, str]) -> tuple[int, ...]:
    """What CUDA_VISIBLE_DEVICES leaves: as CUDA does, reading stops at the first invalid entry."""
    chosen: list[int] = []
    for entry in setting.split(","):
        word = entry.strip()
        if word.isdecimal():
            found = [index for index in uuids if index == int(word)]
        else:
            found = [index for index, uuid in uuids.items() if word and uuid.startswith(word)]
        if len(found) != 1:
            break
        chosen += found
    return tuple(dict.fromkeys(chosen))


def _from_driver(root: Path) -> dict[int, str] | None:
    """Index -> UUID from the kernel driver; None when it does not say.

    A container may see the driver's list of the whole machine, but only its own device files.
    """
    try:
        cards = sorted((root / "proc/driver/nvidia/gpus").iterdir())
    except OSError:
        return None
    uuids: dict[int, str] = {}
    for card in cards:
        try:
            text = (card / "information").read_text()
        except OSError:
            return None
        minor = re.search(r"Device Minor:\s*(\d+)", text)
        uuid = re.search(r"GPU UUID:\s*(\S+)", text)
        if minor is None:
            return None
        if (root / f"dev/nvidia{minor[1]}").exists():
            uuids[len(uuids)] = uuid[1] if uuid else ""
    return uuids


def _from_tool() -> dict[int, str]:
    """Index -> UUID as nvidia-smi lists them; empty without it."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return {}
    try:
        answer = subprocess.run(
            [tool, "-L"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return {int(index): uuid for index, uuid in _LISTED.findall(answer.stdout)}
