"""Looking into graphs, and making runs repeat themselves."""

import warnings
from typing import Any

from cntk import cntk_py
from cntk._absent import absent, refuse


def force_deterministic(seed: int) -> None:
    """Give everything random the same seed, and use only algorithms that repeat themselves."""
    warnings.warn("RNN based nodes don't run deterministically yet.", Warning, stacklevel=2)
    cntk_py.set_fixed_random_seed(seed)
    cntk_py.force_deterministic_algorithms()


def dump_signature(root: Any, tag: str | None = None) -> None:
    """Print what a function takes and makes."""
    del tag
    print(str(root))


def set_computation_network_trace_level(level: int) -> None:
    """Accept level 0; any other, which prints the nodes' values, is refused by name."""
    cntk_py.set_computation_network_trace_level(level)


def set_checked_mode(enable: bool) -> None:
    """Accept False; the checked mode is refused by name."""
    if enable:
        raise refuse("debugging.set_checked_mode(True)")


def set_node_timing(enable: bool) -> None:
    """Accept False; timing of nodes is refused by name."""
    if enable:
        raise refuse("debugging.set_node_timing(True)")


__all__ = [
    "dump_signature",
    "force_deterministic",
    "set_checked_mode",
    "set_computation_network_trace_level",
    "set_node_timing",
]
__getattr__ = absent(__name__)
