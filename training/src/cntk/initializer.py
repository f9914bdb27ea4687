"""Initialisers: what the first values of a parameter are."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from cntk._absent import absent
from cntk._random import SEEDS, MersenneTwister64

_AUTOMATIC: Final = -1
"""A seed that nobody chose: a parameter that is made takes the next one."""


@final
@dataclass(frozen=True, slots=True)
class _Uniform:
    """A uniform distribution around 0 whose width follows from the parameter's shape.

    Args:
        limit: From fan-in and fan-out to half the width.
        seed: Of its Mersenne twister.
        output_rank: How many of the axes count as outputs; a convolution's kernel counts on both
            sides.
        filter_rank: How many trailing axes are the kernel's.
    """

    limit: Callable[[float, float], float]
    seed: int
    output_rank: int | None
    filter_rank: int | None


Initializer = _Uniform | float | int | np.floating[Any] | np.integer[Any] | npt.NDArray[Any]
"""What `init` takes: one of this module, a number or an array."""


def uniform(scale: float, seed: int = _AUTOMATIC) -> _Uniform:
    """Draw from [-scale, scale)."""
    return _Uniform(lambda _in, _out: scale, seed, None, None)


def glorot_uniform(
    output_rank: int | None = None,
    filter_rank: int | None = None,
    scale: float = 1.0,
    seed: int = _AUTOMATIC,
) -> _Uniform:
    """Draw from [-limit, limit), limit = scale * sqrt(6 / (fan_in + fan_out))."""
    return _Uniform(lambda i, o: scale * math.sqrt(6 / (i + o)), seed, output_rank, filter_rank)


def he_uniform(
    output_rank: int | None = None,
    filter_rank: int | None = None,
    scale: float = 1.0,
    seed: int = _AUTOMATIC,
) -> _Uniform:
    """Draw from [-limit, limit), limit = scale * sqrt(6 / fan_in)."""
    return _Uniform(lambda i, _out: scale * math.sqrt(6 / i), seed, output_rank, filter_rank)


def xavier(
    output_rank: int | None = None,
    filter_rank: int | None = None,
    scale: float = 1.0,
    seed: int = _AUTOMATIC,
) -> _Uniform:
    """Draw from [-limit, limit), limit = scale * sqrt(3 / fan_in)."""
    return _Uniform(lambda i, _out: scale * math.sqrt(3 / i), seed, output_rank, filter_rank)


def _settled(init: Initializer, output_rank: int, filter_rank: int) -> Initializer:
    """Return `init` with its seed taken and what it left open filled in."""
    if not isinstance(init, _Uniform):
        return init
    return _Uniform(
        init.limit,
        SEEDS.take() if init.seed == _AUTOMATIC else init.seed,
        output_rank if init.output_rank is None else init.output_rank,
        filter_rank if init.filter_rank is None else init.filter_rank,
    )


def _values(init: Initializer, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return the first values of a parameter, C order, of `shape`."""
    if not isinstance(init, _Uniform):
        return np.broadcast_to(np.asarray(init, dtype), shape).copy()
    limit = init.limit(*_fans(init, shape))
    count = math.prod(shape)
    drawn = MersenneTwister64(init.seed).uniform(count)
    # CNTK rounds the limit to single precision first and each value once more.
    limit = float(np.float32(limit))
    return (drawn * (2 * limit) - limit).astype(dtype).reshape(shape)


def _fans(init: _Uniform, shape: tuple[int, ...]) -> tuple[float, float]:
    """Return fan-in and fan-out of a parameter of `shape`.

    A kernel stands as (outputs, inputs, height, width) and counts on both sides; any other weight
    has its inputs first and its outputs last.
    """
    if init.filter_rank:
        kernel = math.prod(shape[-init.filter_rank :])
        outputs, inputs = shape[0], math.prod(shape[1 : -init.filter_rank])
        return float(inputs * kernel), float(outputs * kernel)
    split = len(shape) - (init.output_rank or 0)
    return float(math.prod(shape[:split])), float(math.prod(shape[split:]))


__getattr__ = absent(__name__)
