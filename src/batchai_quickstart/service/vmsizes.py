"""The VM sizes clusters are made of: what Azure documented for them.

vCPUs, memory and GPUs of the N series come from the GPU sizes page of the Azure documentation of
2018/2019; other sizes are accepted by name, as Batch AI did, and count no GPU.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VmSize:
    """One size: virtual processors, memory in GiB, number of GPUs."""

    cpus: int
    memory: int
    gpus: int


_GPU_SIZES: dict[str, VmSize] = {
    f"standard_{name}": VmSize(cpus, memory, gpus)
    for names, cpus, memory, gpus in (
        ("nc6", 6, 56, 1),
        ("nc12", 12, 112, 2),
        ("nc24 nc24r", 24, 224, 4),
        ("nc6s_v2 nc6s_v3 nd6s", 6, 112, 1),
        ("nc12s_v2 nc12s_v3 nd12s", 12, 224, 2),
        ("nc24s_v2 nc24rs_v2 nc24s_v3 nc24rs_v3 nd24s nd24rs", 24, 448, 4),
        ("nd40s_v2", 40, 672, 8),
        ("nv6", 6, 56, 1),
        ("nv12", 12, 112, 2),
        ("nv24", 24, 224, 4),
        ("nv6s_v2", 6, 112, 1),
        ("nv12s_v2", 12, 224, 2),
        ("nv24s_v2", 24, 448, 4),
    )
    for name in names.split()
}


def vm_size(name: str) -> VmSize:
    """Look a size up, without case; sizes off the table are one processor without a GPU.

    Arguments:
        name: for example `Standard_NC6` or `STANDARD_D2_V2`.
    """
    return _GPU_SIZES.get(name.lower()) or VmSize(cpus=1, memory=0, gpus=0)


def is_vm_size(name: str) -> bool:
    """Whether `name` has the form of a VM size (`Standard_...` or `Basic_...`)."""
    return re.fullmatch(r"(standard|basic)_[a-z]+\d+\w*", name, re.IGNORECASE) is not None
