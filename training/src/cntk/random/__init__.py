"""Operations that draw random numbers, anew at each evaluation; on a CPU they are CNTK's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cntk._absent import absent, refuse
from cntk._dictionary import NDShape, SizeT
from cntk._random import SEEDS
from cntk.ops._arithmetic import SentinelValueForAutoSelectRandomSeed
from cntk.ops._building import _node
from cntk.ops.functions import Function
from cntk.variables import DTYPES, Shape, _as_shape

auto_select = SentinelValueForAutoSelectRandomSeed
"""As a seed: the process's next one."""


def uniform(
    shape: int | Shape,
    dtype: npt.DTypeLike = np.float32,
    low: float = 0.0,
    high: float = 1.0,
    seed: int = auto_select,
    name: str = "",
) -> Function:
    """Draw from [low, high), shape `shape`, without a batch axis."""
    return _draw("uniform", (low, high), seed, name, shape, dtype)


def normal(
    shape: int | Shape,
    dtype: npt.DTypeLike = np.float32,
    mean: float = 0.0,
    scale: float = 1.0,
    seed: int = auto_select,
    name: str = "",
) -> Function:
    """Draw from the normal distribution of standard deviation `scale`, shape `shape`."""
    return _draw("normal", (mean, scale), seed, name, shape, dtype)


def gumbel(
    shape: int | Shape,
    dtype: npt.DTypeLike = np.float32,
    loc: float = 0.0,
    scale: float = 1.0,
    seed: int = auto_select,
    name: str = "",
) -> Function:
    """Draw from the Gumbel distribution, shape `shape`."""
    return _draw("gumbel", (loc, scale), seed, name, shape, dtype)


def bernoulli(
    shape: int | Shape,
    dtype: npt.DTypeLike = np.float32,
    mean: float = 0.5,
    seed: int = auto_select,
    name: str = "",
) -> Function:
    """Draw 1 with the probability `mean`, else 0, shape `shape`."""
    return _draw("bernoulli", (mean,), seed, name, shape, dtype)


def uniform_like(
    x: Any, low: float = 0.0, high: float = 1.0, seed: int = auto_select, name: str = ""
) -> Function:
    """Draw from [low, high) for each element of x."""
    return _draw("uniform", (low, high), seed, name, x=x)


def normal_like(
    x: Any, mean: float = 0.0, scale: float = 1.0, seed: int = auto_select, name: str = ""
) -> Function:
    """Draw from the normal distribution of deviation `scale` for each element of x."""
    return _draw("normal", (mean, scale), seed, name, x=x)


def gumbel_like(
    x: Any, loc: float = 0.0, scale: float = 1.0, seed: int = auto_select, name: str = ""
) -> Function:
    """Draw from the Gumbel distribution for each element of x."""
    return _draw("gumbel", (loc, scale), seed, name, x=x)


def bernoulli_like(x: Any, mean: float = 0.5, seed: int = auto_select, name: str = "") -> Function:
    """Draw 1 with the probability `mean`, else 0, for each element of x."""
    return _draw("bernoulli", (mean,), seed, name, x=x)


def _draw(
    kind: str,
    parameters: Sequence[float],
    seed: int,
    name: str,
    shape: int | Shape = (),
    dtype: npt.DTypeLike = np.float32,
    x: Any = None,
) -> Function:
    number = SEEDS.take() if seed == auto_select else seed
    attributes: dict[str, Any] = {
        "randomDistributionType": kind,
        "randomDistributionArgs": [float(value) for value in parameters],
        "rngSeed": SizeT(number),
        "rngOffset": SizeT(0),
    }
    if x is not None:
        return _node("RandomDistribution", [x], attributes, name)
    types = {known: n for n, known in DTYPES.items()}
    if np.dtype(dtype) not in types:
        raise refuse(f"random.{kind}(dtype={dtype})")
    attributes["newShape"] = NDShape(reversed(_as_shape(shape)))
    attributes["newDataType"] = types[np.dtype(dtype)]
    return _node("RandomDistribution", [], attributes, name)


__getattr__ = absent(__name__)
