"""Names of CNTK's native module that scripts use."""

import torch

from cntk._absent import absent, refuse
from cntk._random import SEEDS
from cntk.logging._writer import ProgressWriter

__all__ = [
    "ProgressWriter",
    "disable_cpueval_optimization",
    "disable_forward_values_sharing",
    "disable_gradient_accumulation_optimization",
    "enable_cpueval_optimization",
    "enable_forward_values_sharing",
    "enable_gradient_accumulation_optimization",
    "force_deterministic_algorithms",
    "get_random_seed",
    "is_random_seed_fixed",
    "reset_random_seed",
    "set_computation_network_trace_level",
    "set_fixed_random_seed",
    "set_gpumemory_allocation_trace_level",
    "set_math_lib_trace_level",
    "should_force_deterministic_algorithms",
]


def set_fixed_random_seed(value: int) -> None:
    """Give every initialiser, dropout and learner that is made from now on the same seed."""
    SEEDS.fixed = int(value)


def reset_random_seed(value: int = 0) -> None:
    """Let seeds count up again, from `value`."""
    SEEDS.fixed, SEEDS.next = None, int(value)


def is_random_seed_fixed() -> bool:
    """Return whether `set_fixed_random_seed` is in force."""
    return SEEDS.fixed is not None


def get_random_seed() -> int:
    """Return the seed that the next one to ask gets."""
    return SEEDS.next if SEEDS.fixed is None else SEEDS.fixed


def force_deterministic_algorithms() -> None:
    """Use only algorithms that give the same result each time; on a CPU they all do."""
    torch.use_deterministic_algorithms(mode=True, warn_only=True)


def should_force_deterministic_algorithms() -> bool:
    """Return whether `force_deterministic_algorithms` was called."""
    return torch.are_deterministic_algorithms_enabled()


def set_computation_network_trace_level(traceLevel: int) -> None:
    """Accept level 0; any other, which prints what each node computes, is refused by name."""
    if traceLevel:
        raise refuse(f"cntk_py.set_computation_network_trace_level({traceLevel})")


def set_math_lib_trace_level(traceLevel: int) -> None:
    """Accept level 0; any other is refused by name."""
    if traceLevel:
        raise refuse(f"cntk_py.set_math_lib_trace_level({traceLevel})")


def set_gpumemory_allocation_trace_level(traceLevel: int) -> None:
    """Accept level 0; any other is refused by name."""
    if traceLevel:
        raise refuse(f"cntk_py.set_gpumemory_allocation_trace_level({traceLevel})")


# How CNTK shares memory changes no result; torch shares it in its own way.


def enable_forward_values_sharing() -> None:
    """Do nothing: torch frees what is not needed any more."""


def disable_forward_values_sharing() -> None:
    """Do nothing: torch frees what is not needed any more."""


def enable_gradient_accumulation_optimization() -> None:
    """Do nothing: torch adds up gradients in place where it can."""


def disable_gradient_accumulation_optimization() -> None:
    """Do nothing: torch adds up gradients in place where it can."""


def enable_cpueval_optimization() -> None:
    """Do nothing: evaluation has no slower way."""


def disable_cpueval_optimization() -> None:
    """Do nothing: evaluation has no slower way."""


__getattr__ = absent(__name__)
