"""Batch normalization: the row of the table that keeps running statistics.

The statistics are constants beside the node. For a minibatch of n samples the running values move
by 1 - exp(-n / time constant) towards the batch's own; the first minibatch sets them. The running
variance is the unbiased one, training normalises with the biased one.
"""

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from cntk._dictionary import Dictionary
from cntk._graph import Bound, Node, Operation, infer_dimensions
from cntk.variables import InferredDimension, Shape, Variable


def _shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    shape = operands[0].shape
    own = shape[:1] if attributes["spatial"] else shape
    for statistic in operands[1:5]:
        if InferredDimension in statistic.shape:
            infer_dimensions(statistic, own)
        elif statistic.shape != own:
            message = f"BatchNormalization: {statistic!r} is not of the shape {own}."
            raise ValueError(message)
    return shape


def _bind(node: Node, training: bool) -> Bound:
    attributes, operand = node.attributes, node.inputs[0]
    spatial = bool(attributes["spatial"])
    epsilon = float(attributes["epsilon"])
    time_constant = float(attributes["normalizationTimeConstant"])
    rank = len(operand.shape)
    axes = (0, *range(2, rank + 1)) if spatial else (0,)
    view = (1, -1, *(1 for _ in range(rank - 1))) if spatial else (1, *operand.shape)

    def update(
        x: Tensor, mean: Tensor, variance: Tensor, statistics: tuple[Tensor, Tensor, Tensor]
    ) -> None:
        running_mean, running_variance, count = statistics
        values = x.numel() // mean.numel()
        unbiased = variance * (values / max(values - 1, 1))
        if time_constant < 0 or math.isinf(time_constant):
            step = 0.0
        else:
            step = 1.0 if time_constant == 0 else -math.expm1(-len(x) / time_constant)
        first = (count == 0).to(x.dtype)
        alpha = first + (1 - first) * step
        running_mean.add_(alpha * (mean - running_mean))
        running_variance.add_(alpha * (unbiased - running_variance))
        count.add_(len(x))

    def train(x: Tensor, scale: Tensor, bias: Tensor, *statistics: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, axes, correction=0)
        with torch.no_grad():
            update(x, mean, variance, (statistics[0], statistics[1], statistics[2]))
        normal = (x - mean.view(view)) * torch.rsqrt(variance + epsilon).view(view)
        return normal * scale.view(view) + bias.view(view)

    def evaluate(
        x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, _count: Tensor
    ) -> Tensor:
        factor = scale * torch.rsqrt(variance + epsilon)
        return (x - mean.view(view)) * factor.view(view) + bias.view(view)

    return train if training else evaluate


ROWS: Final[tuple[Operation, ...]] = (
    Operation(
        40,
        "BatchNormalization",
        _shape,
        _bind,
        attributes=("spatial", "normalizationTimeConstant", "blendTimeConstant", "epsilon"),
    ),
)
