"""The VM sizes clusters are made of: what Azure documented for them.

The GPUs of the N series come from the GPU sizes page of the Azure documentation of 2018/2019;
other sizes are accepted by name, as Batch AI did, and count no GPU.
"""

import re

_GPUS: dict[str, int] = {
    f"standard_{name}": count
    for names, count in (
        ("nc6 nc6s_v2 nc6s_v3 nd6s nv6 nv6s_v2", 1),
        ("nc12 nc12s_v2 nc12s_v3 nd12s nv12 nv12s_v2", 2),
        ("nc24 nc24r nc24s_v2 nc24rs_v2 nc24s_v3 nc24rs_v3 nd24s nd24rs nv24 nv24s_v2", 4),
        ("nd40s_v2", 8),
    )
    for name in names.split()
}


def gpus_of(name: str) -> int:
    """Return how many GPUs a size has; those off the table have none.

    Arguments:
        name: for example `Standard_NC6`; compared without case.
    """
    return _GPUS.get(name.lower(), 0)


def is_vm_size(name: str) -> bool:
    """Whether `name` has the form of a VM size (`Standard_...` or `Basic_...`)."""
    return re.fullmatch(r"(standard|basic)_[a-z]+\d+\w*", name, re.IGNORECASE) is not None
