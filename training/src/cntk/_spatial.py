"""Rows of the table for images: convolution and pooling, with CNTK's rule for padding.

Padding on request gives ceil(n / stride) positions with (k - 1) // 2 cells on the left whatever the
stride; the rest stands on the right. Padding never counts as a value of a maximum, and in an
average only when asked for.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

import torch
from torch.nn import functional

from cntk._absent import refuse
from cntk._dictionary import Dictionary, NDShape
from cntk._graph import Bound, Node, Operation, infer_dimensions
from cntk.variables import InferredDimension, Shape, Variable

MAX_POOLING: Final = 0
"""A pooling's type in files; 1 is the average."""
_CONVOLUTIONS: Final = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED: Final = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}
_MAXIMA: Final = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_AVERAGES: Final = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}
_Window = list[tuple[int, int, int, int]]
"""For each spatial axis in Python's order: kernel, stride, cells added left and right."""


def _extent(
    size: int, kernel: int, stride: int, auto: bool, low: int, high: int, ceil: bool
) -> tuple[int, int, int]:
    """Return positions and the cells to add on the left and right of an axis."""
    if auto:
        count = -(-size // stride)
        low = (kernel - 1) // 2
        return count, low, max(0, (count - 1) * stride + kernel - size - low)
    room = size + low + high - kernel
    if room < 0:
        message = f"Convolution operation requires that kernel dim {kernel} <= input dim {size}."
        raise ValueError(message)
    count = (-(-room // stride) if ceil else room // stride) + 1
    return count, low, high + max(0, (count - 1) * stride - room)


def _fill(values: Sequence[int], rank: int, default: int) -> list[int]:
    """Return a file's list for `rank` axes in Python's order; one entry stands for all."""
    listed = [*values] * rank if len(values) == 1 else [*values, *[default] * rank]
    return listed[:rank][::-1]


# Convolution. A file's lists have the spatial axes, fastest first, then the channel axis.


def _settle_convolution(attributes: Dictionary, operands: Sequence[Variable]) -> Dictionary:
    kernel, operand = operands
    if InferredDimension in kernel.shape:
        if attributes["transpose"]:
            known = (operand.shape[0], *kernel.shape[1:])
        else:
            groups = int(attributes["groups"])
            known = (kernel.shape[0], operand.shape[0] // groups, *kernel.shape[2:])
        infer_dimensions(kernel, known)
    if len(kernel.shape) == len(operand.shape):
        # One filter alone: its axis is left out.
        return {**attributes, "kernelShape": NDShape(reversed(kernel.shape))}
    channels = kernel.shape[0 if attributes["transpose"] else 1]
    strides = NDShape(attributes["strides"])
    if len(strides) < len(operand.shape):
        strides = NDShape((*strides, channels))
    return {**attributes, "strides": strides, "kernelShape": NDShape(reversed(kernel.shape[1:]))}


def convolution_window(
    attributes: Dictionary, operands: Sequence[Variable]
) -> tuple[Shape, _Window, list[int]]:
    kernel, operand = operands
    rank = len(operand.shape) - 1
    shape = kernel.shape if len(kernel.shape) == rank + 2 else (1, *kernel.shape)
    if len(shape) != rank + 2 or not 1 <= rank <= 3:
        message = f"Convolution: a kernel {kernel!r} does not go with an operand {operand!r}."
        raise ValueError(message)
    transposed = bool(attributes["transpose"])
    taken = shape[0 if transposed else 1]
    if not transposed and taken > operand.shape[0]:
        message = (
            f"Convolution operation requires that kernel dim {taken} <= input dim "
            f"{operand.shape[0]}."
        )
        raise ValueError(message)
    if taken * int(attributes.get("groups", 1)) != operand.shape[0]:
        message = (
            f"Convolution: the kernel {kernel!r} and the operand {operand!r} differ in channels."
        )
        raise ValueError(message)
    dilation = _fill(attributes.get("dilation", NDShape((1,))), rank, 1)
    strides = _fill(attributes["strides"], rank, 1)
    auto = _fill(attributes["autoPadding"], rank, 0)
    lows, highs = _fill(attributes["lowerPad"], rank, 0), _fill(attributes["upperPad"], rank, 0)
    dims: list[int] = []
    window: _Window = []
    wanted = NDShape(attributes.get("outputShape", (0,))).python
    for i, size in enumerate(operand.shape[1:]):
        width = (shape[2 + i] - 1) * dilation[i] + 1
        if transposed:
            full = (size - 1) * strides[i] + width
            low, high = ((width - 1) // 2, width // 2) if auto[i] else (lows[i], highs[i])
            count = wanted[1 + i] if len(wanted) == rank + 1 else full - low - high
            dims.append(count)
            window.append((shape[2 + i], strides[i], low, full - low - count))
            continue
        count, low, high = _extent(
            size, width, strides[i], bool(auto[i]), lows[i], highs[i], ceil=False
        )
        dims.append(count)
        window.append((shape[2 + i], strides[i], low, high))
    return (shape[1 if transposed else 0], *dims), window, dilation


def _convolution_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    return convolution_window(attributes, operands)[0]


def _convolution(node: Node, _training: bool) -> Bound:
    _, window, dilation = convolution_window(node.attributes, node.inputs)
    convolve = _CONVOLUTIONS[len(window)]
    strides = [stride for _, stride, _, _ in window]
    groups = int(node.attributes.get("groups", 1))
    batched = node.inputs[1]._batched
    if len(node.inputs[0].shape) == len(node.inputs[1].shape):
        plain = convolve
        convolve = lambda x, kernel, *options: plain(x, kernel.unsqueeze(0), *options)  # noqa: E731
    if node.attributes["transpose"]:
        return _transposed(window, strides, dilation, batched)
    pad, symmetric = _padding(window)

    def run(kernel: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        x = x if batched else x.unsqueeze(0)
        x = functional.pad(x, pad) if pad else x
        result = convolve(x, kernel, None, strides, symmetric, dilation, groups)
        return result if batched else result[0]

    return run


def _transposed(window: _Window, strides: list[int], dilation: list[int], batched: bool) -> Bound:
    """Cut from the whole transposed convolution what the padding of the forward one hides."""
    convolve = _TRANSPOSED[len(window)]
    cells = [-cells for _, _, low, high in reversed(window) for cells in (low, high)]

    def run(kernel: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        x = x if batched else x.unsqueeze(0)
        whole = convolve(x, kernel, None, strides, 0, 0, 1, dilation)
        result = functional.pad(whole, cells) if any(cells) else whole
        return result if batched else result[0]

    return run


def _padding(window: _Window) -> tuple[list[int], list[int]]:
    """Return what `torch.nn.functional.pad` must add, and what the operation itself can."""
    if all(low == high for _, _, low, high in window):
        return [], [low for _, _, low, _ in window]
    cells = [cells for _, _, low, high in reversed(window) for cells in (low, high)]
    return cells, [0] * len(window)


# Pooling. A file lists only the axes that have a window, fastest first.


def _settle_pooling(attributes: Dictionary, operands: Sequence[Variable]) -> Dictionary:
    """Let an empty window, a global pooling's, span all spatial axes."""
    if attributes["poolingWindowShape"]:
        return attributes
    return {**attributes, "poolingWindowShape": NDShape(reversed(operands[0].shape[1:]))}


def pooling_window(attributes: Dictionary, operands: Sequence[Variable]) -> tuple[Shape, _Window]:
    shape = operands[0].shape
    kernels = NDShape(attributes["poolingWindowShape"])
    rank = len(kernels)
    if rank > len(shape):
        message = f"Pooling: a window of {rank} axes does not fit the operand {operands[0]!r}."
        raise ValueError(message)
    strides, auto = _fill(attributes["strides"], rank, 1), _fill(attributes["autoPadding"], rank, 0)
    lows, highs = _fill(attributes["lowerPad"], rank, 0), _fill(attributes["upperPad"], rank, 0)
    ceil = bool(attributes.get("ceilOutDim", False))
    lead, sizes = shape[: len(shape) - rank], shape[len(shape) - rank :]
    dims: list[int] = []
    window: _Window = []
    for i, (size, kernel) in enumerate(zip(sizes, kernels.python, strict=True)):
        count, low, high = _extent(size, kernel, strides[i], bool(auto[i]), lows[i], highs[i], ceil)
        dims.append(count)
        window.append((kernel, strides[i], low, high))
    return (*lead, *dims), window


def _pooling_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    return pooling_window(attributes, operands)[0]


def _pooling(node: Node, _training: bool) -> Bound:
    attributes, operand = node.attributes, node.inputs[0]
    shape, window = pooling_window(attributes, node.inputs)
    while len(window) > 1 and len(window) >= len(operand.shape):
        # torch wants a channel axis in front of the window's axes; a window of one cell says the
        # same.
        if window[0][:2] != (1, 1):
            break
        window = window[1:]
    if not 1 <= len(window) <= 3:
        raise refuse(f"Pooling over {len(window)} axes")
    kernels = [kernel for kernel, _, _, _ in window]
    strides = [stride for _, stride, _, _ in window]
    # Leading axes beyond the channel are taken into the batch: a window never spans them.
    sizes = operand.shape[len(operand.shape) - len(window) :]
    channels = operand.shape[: len(operand.shape) - len(window)]
    flat = (math.prod(channels), *sizes) if len(channels) != 1 or not operand._batched else None
    pool = _pool(attributes, window, kernels, strides)

    def run(x: torch.Tensor) -> torch.Tensor:
        if flat is None:
            return pool(x)
        return pool(x.reshape(-1, *flat)).reshape(*x.shape[:1] if operand._batched else (), *shape)

    return run


def _pool(
    attributes: Dictionary, window: _Window, kernels: list[int], strides: list[int]
) -> Callable[[torch.Tensor], torch.Tensor]:
    pad, symmetric = _padding(window)
    # torch's own padding may reach half a kernel at most.
    if any(cells * 2 > kernel for cells, kernel in zip(symmetric, kernels, strict=True)):
        pad = [cells for _, _, low, high in reversed(window) for cells in (low, high)]
        symmetric = [0] * len(window)
    average = _AVERAGES[len(window)]
    if attributes["poolingType"] == MAX_POOLING:
        maximum = _MAXIMA[len(window)]
        if pad:
            return lambda x: maximum(functional.pad(x, pad, value=-math.inf), kernels, strides)
        return lambda x: maximum(x, kernels, strides, symmetric)
    include = bool(attributes.get("includePad", False))
    if not pad:
        return lambda x: average(x, kernels, strides, symmetric, count_include_pad=include)
    if include:
        return lambda x: average(functional.pad(x, pad), kernels, strides)

    def real_cells_only(x: torch.Tensor) -> torch.Tensor:
        share = average(functional.pad(torch.ones_like(x[:1, :1]), pad), kernels, strides)
        return average(functional.pad(x, pad), kernels, strides) / share

    return real_cells_only


_PADDING: Final = ("strides", "autoPadding", "lowerPad", "upperPad")
ROWS: Final[tuple[Operation, ...]] = (
    Operation(
        17,
        "Pooling",
        _pooling_shape,
        _pooling,
        _settle_pooling,
        ("poolingType", "poolingWindowShape", *_PADDING),
    ),
    Operation(
        33,
        "Convolution",
        _convolution_shape,
        _convolution,
        _settle_convolution,
        ("sharing", "transpose", "maxTempMemSizeInSamples", *_PADDING),
    ),
)
