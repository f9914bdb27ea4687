"""The device everything is computed on: the first GPU if there is one, else the CPU."""

import sys
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, final

import torch

from cntk._absent import absent


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
    """Return the device that is used when nobody chooses."""
    return all_devices()[0]


def try_set_default_device(device: DeviceDescriptor, acquire_device_lock: bool = False) -> bool:
    """Choose the device for what is created from now on.

    Args:
        device: What `cpu()` or `gpu(n)` returned.
        acquire_device_lock: Accepted; devices are not locked here.

    Returns:
        False when another one is in use already.
    """
    del acquire_device_lock
    if _DEFAULT.used is not None:
        return device == _DEFAULT.used
    _DEFAULT.wanted = device
    return True


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
