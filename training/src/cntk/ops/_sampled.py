"""Operations that draw classes by their weights."""

from typing import Any

from cntk._dictionary import SizeT
from cntk._random import SEEDS
from cntk.ops._arithmetic import SentinelValueForAutoSelectRandomSeed
from cntk.ops._building import _node
from cntk.ops.functions import Function


def _sampling(op: str, weights: Any, count: int, seed: int, name: str, *, repeat: bool) -> Function:
    number = SEEDS.take() if seed == SentinelValueForAutoSelectRandomSeed else seed
    attributes = {
        "numSamples": SizeT(count),
        "allowDuplicates": bool(repeat),
        "rngSeed": SizeT(number),
        "rngOffset": SizeT(0),
    }
    return _node(op, [weights], attributes, name)


def random_sample(
    weights: Any,
    num_samples: int,
    allow_duplicates: bool,
    seed: int = SentinelValueForAutoSelectRandomSeed,
    name: str = "",
) -> Function:
    """Draw classes by their weights, one-hot, shape (num_samples, classes), without a batch axis.

    Args:
        weights: Shape (classes,), without a batch axis.
        num_samples: How many are drawn.
        allow_duplicates: Whether a class may be drawn twice.
        seed: Of the generator; the process's next one by default.
        name: Of the function.
    """
    return _sampling("RandomSample", weights, num_samples, seed, name, repeat=allow_duplicates)


def random_sample_inclusion_frequency(
    weights: Any,
    num_samples: int,
    allow_duplicates: bool,
    seed: int = SentinelValueForAutoSelectRandomSeed,
    name: str = "",
) -> Function:
    """Return how often each class is among `random_sample`'s, on average, shape (classes,)."""
    op = "RandomSampleInclusionFrequency"
    return _sampling(op, weights, num_samples, seed, name, repeat=allow_duplicates)
