"""The device everything is computed on: the first GPU if there is one, else the CPU."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, final

import numpy as np
import torch

from cntk._absent import absent
from cntk._workers import place


def _keep_memory() -> None:
    """Let freed blocks of up to 31 MiB stay with the process.

    glibc maps greater blocks than it has yet seen freed, and gives them back at once; a network's
    values, and what reading a file needs, would then be fresh pages each time: a third of the time
    of training, two thirds of reading. One freed block, of which no page is touched, is how it
    learns.
    """
    np.empty(31 << 20, np.uint8)


_keep_memory()


class DeviceKind(IntEnum):
    """Kinds of devices, numbered as CNTK numbers them."""

    CPU = 0
    GPU = 1


@final
@dataclass(frozen=True, slots=True)
class DeviceDescriptor:
    """One device.

    Args:
        _kind: CPU or GPU.
        _index: The GPU's number; 0 for the CPU.
    """

    _kind: DeviceKind
    _index: int = 0

    def type(self) -> DeviceKind:
        """Return the kind."""
        return self._kind

    def id(self) -> int:
        """Return the number among its kind."""
        return self._index

    def is_locked(self) -> bool:
        """Return False: devices are not locked here."""
        return False

    def __str__(self) -> str:
        if self._kind is DeviceKind.CPU:
            return "CPU"
        return f"GPU[{self._index}] {torch.cuda.get_device_name(self._index)}"

    @property
    def _torch(self) -> torch.device:
        return torch.device("cpu" if self._kind is DeviceKind.CPU else f"cuda:{self._index}")


@final
class _Default:
    """The process's choice; it stands once it has been used."""

    def __init__(self) -> None:
        self.wanted: DeviceDescriptor | None = None
        self.used: DeviceDescriptor | None = None
        self.excluded: tuple[DeviceDescriptor, ...] = ()


_DEFAULT: Final = _Default()


def cpu() -> DeviceDescriptor:
    """Return the CPU."""
    return DeviceDescriptor(DeviceKind.CPU)


def gpu(device_id: int) -> DeviceDescriptor:
    """Return GPU number `device_id`.

    Raises:
        ValueError: The machine has no such GPU.
    """
    count = torch.cuda.device_count()
    if not 0 <= device_id < count:
        message = (
            f"Specified GPU device id ({device_id}) is invalid: there are {count} usable GPUs."
        )
        raise ValueError(message)
    return DeviceDescriptor(DeviceKind.GPU, device_id)


def all_devices() -> tuple[DeviceDescriptor, ...]:
    """Return the GPUs, then the CPU."""
    return (*map(gpu, range(torch.cuda.device_count())), cpu())


def best() -> DeviceDescriptor:
    """Return the device that is used when nobody chooses.

    With several processes on a machine each has a GPU of its own, as long as there are enough.
    """
    free = [device for device in all_devices() if device not in _DEFAULT.excluded]
    if not free:
        message = "All devices are excluded: set_excluded_devices leaves none to compute on."
        raise ValueError(message)
    gpus = [device for device in free if device.type() is DeviceKind.GPU]
    return gpus[place().local_rank % len(gpus)] if gpus else free[0]


def try_set_default_device(device: DeviceDescriptor, acquire_device_lock: bool = False) -> bool:
    """Choose the device for what is created from now on.

    Args:
        device: What `cpu()` or `gpu(n)` returned.
        acquire_device_lock: Accepted; devices are not locked here.

    Returns:
        False when another one is in use already, or it is excluded.
    """
    del acquire_device_lock
    if device in _DEFAULT.excluded:
        return False
    if _DEFAULT.used is not None:
        return device == _DEFAULT.used
    _DEFAULT.wanted = device
    return True


def set_excluded_devices(excluded_devices: Iterable[DeviceDescriptor]) -> None:
    """Choose devices that are never used, until one is in use."""
    if _DEFAULT.used is None:
        _DEFAULT.excluded = tuple(excluded_devices)


def use_default_device() -> DeviceDescriptor:
    """Return the device in use; the first call settles it and says so on stderr."""
    if _DEFAULT.used is None:
        _DEFAULT.used = _DEFAULT.wanted or best()
        print(
            f"Selected {_DEFAULT.used} as the process wide default device.",
            file=sys.stderr,
            flush=True,
        )
    return _DEFAULT.used


__getattr__ = absent(__name__)
