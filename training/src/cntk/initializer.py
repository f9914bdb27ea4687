"""Initialisers: what the first values of a parameter are.

The numbers are CNTK's on a CPU, each kind from its own 64-bit Mersenne twister.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from cntk._absent import absent
from cntk._random import SEEDS, MersenneTwister64

DefaultParamInitScale: Final = 1
SentinelValueForInferParamInitRank: Final = 2**31 - 1
"""As a rank: the parameter's maker decides."""
SentinelValueForAutoSelectRandomSeed: Final = 2**64 - 3
"""As a seed: a parameter that is made takes the process's next one."""
_INFERRED: Final = SentinelValueForInferParamInitRank
_Draw = Callable[[MersenneTwister64, int, float], npt.NDArray[np.float64]]


@final
@dataclass(frozen=True, slots=True)
class _Random:
    """A distribution around 0 whose width follows from the parameter's shape.

    Args:
        draw: Takes a generator, a count and the width.
        width: From fan-in and fan-out; half the interval or the standard deviation.
        seed: Of its Mersenne twister.
        output_rank: How many axes count as outputs: the last ones, or the first ones if negative.
        filter_rank: How many trailing axes are a kernel's, which counts on both sides.
        ranked: Whether the width depends on the ranks at all.
    """

    draw: _Draw
    width: Callable[[float, float], float]
    seed: int
    output_rank: int = _INFERRED
    filter_rank: int = _INFERRED
    ranked: bool = False


@final
@dataclass(frozen=True, slots=True)
class _Bilinear:
    """Weights with which a transposed convolution interpolates; its kernel is square."""

    kernel_width: int
    kernel_height: int


Initializer = (
    _Random | _Bilinear | float | int | np.floating[Any] | np.integer[Any] | npt.NDArray[Any]
)
"""What `init` takes: one of this module, a number or an array."""


def _uniformly(source: MersenneTwister64, count: int, limit: float) -> npt.NDArray[np.float64]:
    # CNTK rounds the limit to single precision first and each value once more.
    limit = float(np.float32(limit))
    return source.uniform(count) * (2 * limit) - limit


def _normally(source: MersenneTwister64, count: int, deviation: float) -> npt.NDArray[np.float64]:
    return source.normals(count) * float(np.float32(deviation))


def _truncated(source: MersenneTwister64, count: int, deviation: float) -> npt.NDArray[np.float64]:
    kept = np.empty(0)
    while kept.size < count:
        drawn = source.normal(count - kept.size)
        kept = np.concatenate([kept, drawn[np.abs(drawn) <= 2]])
    return kept * float(np.float32(deviation))


def _scaled(name: str, scale: float) -> float:
    if scale <= 0:
        message = f"CreateInitializer: scale value for initializer '{name}' cannot be 0."
        raise ValueError(message)
    return float(scale)


def uniform(scale: float, seed: int | None = None) -> _Random:
    """Draw from [-scale, scale)."""
    width = _scaled("uniform1", scale)
    return _Random(_uniformly, lambda _in, _out: width, _seed(seed))


def normal(
    scale: float,
    output_rank: int = SentinelValueForInferParamInitRank,
    filter_rank: int = SentinelValueForInferParamInitRank,
    seed: int | None = None,
) -> _Random:
    """Draw from the normal distribution of standard deviation `scale`."""
    width = _scaled("normal", scale)
    return _Random(
        _normally, lambda _in, _out: width, _seed(seed), output_rank, filter_rank, ranked=True
    )


def truncated_normal(stdev: float, seed: int | None = None) -> _Random:
    """Draw from the normal distribution of deviation `stdev`, without what is beyond 2 of them."""
    width = _scaled("TruncNormal", stdev)
    return _Random(_truncated, lambda _in, _out: width, _seed(seed))


def _by_fans(
    name: str, draw: _Draw, width: Callable[[float, float], float], text: str
) -> Callable[..., _Random]:
    def initializer(
        scale: float = DefaultParamInitScale,
        output_rank: int = SentinelValueForInferParamInitRank,
        filter_rank: int = SentinelValueForInferParamInitRank,
        seed: int | None = None,
    ) -> _Random:
        factor = _scaled(name, scale)
        return _Random(
            draw,
            lambda i, o: factor * math.sqrt(width(i, o)),
            _seed(seed),
            output_rank,
            filter_rank,
            ranked=True,
        )

    initializer.__doc__ = text
    return initializer


xavier = _by_fans(
    "xavier",
    _uniformly,
    lambda i, _out: 3 / i,
    "Draw from [-limit, limit), limit = scale * sqrt(3 / fan_in).",
)
glorot_uniform = _by_fans(
    "glorotUniform",
    _uniformly,
    lambda i, o: 6 / (i + o),
    "Draw from [-limit, limit), limit = scale * sqrt(6 / (fan_in + fan_out)).",
)
glorot_normal = _by_fans(
    "glorotNormal",
    _normally,
    lambda i, o: 2 / (i + o),
    "Draw normally with the deviation scale * sqrt(2 / (fan_in + fan_out)).",
)
he_uniform = _by_fans(
    "heUniform",
    _uniformly,
    lambda i, _out: 6 / i,
    "Draw from [-limit, limit), limit = scale * sqrt(6 / fan_in).",
)
he_normal = _by_fans(
    "heNormal",
    _normally,
    lambda i, _out: 2 / i,
    "Draw normally with the deviation scale * sqrt(2 / fan_in).",
)


def bilinear(kernel_width: int, kernel_height: int) -> _Bilinear:
    """Interpolate between pixels: for a kernel of shape (channels, channels, size, size)."""
    return _Bilinear(kernel_width, kernel_height)


def initializer_with_rank(
    initializer: Initializer, output_rank: int | None = None, filter_rank: int | None = None
) -> Initializer:
    """Return the initialiser with ranks that it did not have.

    Args:
        initializer: One of this module.
        output_rank: How many axes count as outputs; negative: the first ones.
        filter_rank: How many trailing axes are a kernel's.

    Raises:
        ValueError: It has another rank already.
    """
    if not isinstance(initializer, _Random) or not initializer.ranked:
        return initializer
    ranks = {"Output": output_rank, "Filter": filter_rank}
    owns = (initializer.output_rank, initializer.filter_rank)
    for (name, rank), own in zip(ranks.items(), owns, strict=True):
        if rank is not None and own not in (_INFERRED, rank):
            message = (
                f"{name} rank of a non-uniform random initialier cannot be overridden "
                "if it has been already specified!"
            )
            raise ValueError(message)
    return replace(
        initializer,
        output_rank=owns[0] if output_rank is None else output_rank,
        filter_rank=owns[1] if filter_rank is None else filter_rank,
    )


def _seed(seed: int | None) -> int:
    return SentinelValueForAutoSelectRandomSeed if seed is None else int(seed)


def _settled(init: Initializer) -> Initializer:
    """Return `init` with its seed taken: the moment a parameter is created."""
    if isinstance(init, _Random) and init.seed == SentinelValueForAutoSelectRandomSeed:
        return replace(init, seed=SEEDS.take())
    return init


def _values(init: Initializer, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return the first values of a parameter, C order, of `shape`."""
    if isinstance(init, _Bilinear):
        return _interpolation(init, shape).astype(dtype)
    if not isinstance(init, _Random):
        return np.broadcast_to(np.asarray(init, dtype), shape).copy()
    width = init.width(*_fans(init, shape)) if init.ranked else init.width(1, 1)
    drawn = init.draw(MersenneTwister64(init.seed), math.prod(shape), width)
    return drawn.astype(dtype).reshape(shape)


def _fans(init: _Random, shape: tuple[int, ...]) -> tuple[float, float]:
    """Return fan-in and fan-out of a parameter of `shape`; a kernel counts on both sides."""
    outputs = 1 if init.output_rank == _INFERRED else init.output_rank
    filters = 0 if init.filter_rank == _INFERRED else init.filter_rank
    if filters + abs(outputs) > len(shape):
        text = " x ".join(map(str, shape))
        message = (
            f"Sum of filter rank ({filters}) and output rank ({outputs}) of the parameter "
            f"initializer cannot exceed the Parameter shape '[{text}]' rank ({len(shape)})"
        )
        raise ValueError(message)
    end = len(shape) - filters
    kernel, rest = math.prod(shape[end:]), shape[:end]
    made = rest[:-outputs] if outputs < 0 else rest[end - outputs :]
    fan_out = math.prod(made)
    return float(math.prod(rest) // fan_out * kernel), float(fan_out * kernel)


def _interpolation(init: _Bilinear, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    width, height = init.kernel_width, init.kernel_height
    if width != height:
        message = "Filter for bilinear interpolation must be square."
        raise RuntimeError(message)
    if len(shape) != 4 or shape[0] != shape[1]:
        message = (
            "Number of input and output channels of filter for bilinear interpolation must be "
            "equal."
        )
        raise RuntimeError(message)
    factor = (width + 1) // 2
    centre = factor - 1 if width % 2 else factor - 0.5
    ramp = 1 - np.abs(np.arange(width) - centre) / factor
    values = np.zeros(shape)
    values[np.arange(shape[0]), np.arange(shape[0])] = np.outer(ramp, ramp)
    return values


__getattr__ = absent(__name__)
