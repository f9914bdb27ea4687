"""Names of CNTK's native module that scripts use."""

import torch

from cntk._absent import absent
from cntk._random import SEEDS


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


__getattr__ = absent(__name__)
