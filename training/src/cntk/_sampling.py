"""Rows of the table that draw random numbers, each from its node's own Mersenne twister.

On a CPU the numbers are CNTK's. One minibatch goes on where the last one stopped.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cntk._absent import refuse
from cntk._dictionary import Dictionary, NDShape
from cntk._graph import Bound, Node, Operation
from cntk._random import MersenneTwister64
from cntk.device import use_default_device
from cntk.variables import DTYPES, Shape, Variable

_Numbers = npt.NDArray[np.float64]
_EXPERIMENTS: Final = 10
"""How often CNTK tries to find out how many draws a sample without repetition takes."""


def _uniform(source: MersenneTwister64, count: int, low: float, high: float) -> _Numbers:
    return low + (high - low) * source.uniform(count)


def _normal(source: MersenneTwister64, count: int, mean: float, scale: float) -> _Numbers:
    return mean + scale * source.normals(count)


def _gumbel(source: MersenneTwister64, count: int, loc: float, scale: float) -> _Numbers:
    return loc - scale * np.log(-np.log1p(-source.uniform(count)))


def _bernoulli(source: MersenneTwister64, count: int, mean: float) -> _Numbers:
    return (source.uniform(count) > 1 - mean).astype(np.float64)


_DISTRIBUTIONS: Final[dict[str, Callable[..., _Numbers]]] = {
    "uniform": _uniform,
    "normal": _normal,
    "gumbel": _gumbel,
    "bernoulli": _bernoulli,
}


def _source(node: Node) -> MersenneTwister64:
    seed = int(node.attributes["rngSeed"])
    source: MersenneTwister64 = node.state.setdefault("cpu", MersenneTwister64(seed))
    return source


def _distribution_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    if attributes["randomDistributionType"] not in _DISTRIBUTIONS:
        raise refuse(f"The random distribution {attributes['randomDistributionType']!r}")
    return operands[0].shape if operands else NDShape(attributes["newShape"]).python


def _distribution_type(attributes: Dictionary, operands: Sequence[Variable]) -> "np.dtype[Any]":
    return operands[0].dtype if operands else DTYPES[attributes["newDataType"]]


def _distribution(node: Node, _training: bool) -> Bound:
    draw = _DISTRIBUTIONS[node.attributes["randomDistributionType"]]
    parameters = [float(value) for value in node.attributes["randomDistributionArgs"]]
    shape, dtype = node.outputs[0].shape, node.outputs[0]._torch_type

    def run(*like: Tensor) -> Tensor:
        size = like[0].shape if like else shape
        device = like[0].device if like else use_default_device()._torch
        numbers = draw(_source(node), math.prod(size), *parameters)
        return torch.from_numpy(numbers).to(device, dtype).reshape(size)

    return run


# Samples of classes, weighted.


def _draw_classes(
    source: MersenneTwister64, weights: Tensor, count: int, *, repeat: bool
) -> tuple[list[int], int]:
    """Return the classes drawn and how many draws it took."""
    sums = np.cumsum(weights.detach().cpu().numpy().astype(np.float64))
    if repeat:
        return np.searchsorted(sums, source.uniform(count) * sums[-1]).tolist(), count
    chosen: dict[int, None] = {}
    tries = 0
    while len(chosen) < count:
        chosen[int(np.searchsorted(sums, source.uniform(1)[0] * sums[-1]))] = None
        tries += 1
    return list(chosen), tries


def _check_sample(attributes: Dictionary, operands: Sequence[Variable]) -> None:
    weights, count = operands[0], int(attributes["numSamples"])
    if weights._batched or len(weights.shape) != 1:
        message = f"RandomSample: the weights {weights!r} must be a vector without a batch axis."
        raise RuntimeError(message)
    if not attributes["allowDuplicates"] and count > weights.shape[0]:
        message = f"RandomSample: {count} samples without duplicates of {weights.shape[0]} classes."
        raise RuntimeError(message)


def _sample_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    _check_sample(attributes, operands)
    return (int(attributes["numSamples"]), operands[0].shape[0])


def _sample(node: Node, _training: bool) -> Bound:
    count, repeat = int(node.attributes["numSamples"]), bool(node.attributes["allowDuplicates"])

    def run(weights: Tensor) -> Tensor:
        classes, _ = _draw_classes(_source(node), weights, count, repeat=repeat)
        made = torch.zeros(count, len(weights), dtype=weights.dtype, device=weights.device)
        made[torch.arange(count), torch.tensor(classes)] = 1
        return made

    return run


def _frequency_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    _check_sample(attributes, operands)
    return operands[0].shape


def _frequency(node: Node, _training: bool) -> Bound:
    count, repeat = int(node.attributes["numSamples"]), bool(node.attributes["allowDuplicates"])

    def run(weights: Tensor) -> Tensor:
        share = weights / weights.sum()
        if repeat:
            return share * count
        # CNTK finds out once.
        if "tries" not in node.state:
            source = _source(node)
            node.state["tries"] = sum(
                _draw_classes(source, weights, count, repeat=False)[1] for _ in range(_EXPERIMENTS)
            )
        return -torch.expm1(node.state["tries"] / _EXPERIMENTS * torch.log1p(-share))

    return run


_RANDOM: Final = ("rngSeed", "rngOffset")
ROWS: Final[tuple[Operation, ...]] = (
    Operation(
        45,
        "RandomSample",
        _sample_shape,
        _sample,
        attributes=("numSamples", "allowDuplicates", *_RANDOM),
    ),
    Operation(
        46,
        "RandomSampleInclusionFrequency",
        _frequency_shape,
        _frequency,
        attributes=("numSamples", "allowDuplicates", *_RANDOM),
    ),
    Operation(
        76,
        "RandomDistribution",
        _distribution_shape,
        _distribution,
        attributes=("randomDistributionType", "randomDistributionArgs", *_RANDOM),
        dtype=_distribution_type,
    ),
)
