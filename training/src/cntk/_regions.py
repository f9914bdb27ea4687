"""Rows of the table for places of an image: unpooling to where maxima were, pooling of regions."""

import math
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from cntk._dictionary import Dictionary, NDShape
from cntk._graph import Bound, Node, Operation
from cntk._spatial import pooling_window
from cntk.variables import Shape, Variable

_MAXIMA: Final = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}


def _pooled(attributes: Dictionary) -> Dictionary:
    """Return the attributes of the pooling that an unpooling undoes."""
    return {**attributes, "poolingWindowShape": attributes["unpoolingWindowShape"]}


def _unpooled_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    pooled, original = operands
    expected = pooling_window(_pooled(attributes), [original])[0]
    if pooled.shape != expected:
        message = (
            f"Unpooling: {pooled!r} is not of the shape {expected} of the pooled {original!r}."
        )
        raise ValueError(message)
    return original.shape


def _unpooling(node: Node, _training: bool) -> Bound:
    """Put each value where its window's maximum was; 0 elsewhere."""
    shape, window = pooling_window(_pooled(node.attributes), [node.inputs[1]])
    while len(window) > 1 and window[0][:2] == (1, 1):
        window = window[1:]
    original = node.inputs[1].shape
    sizes = original[len(original) - len(window) :]
    counts = shape[len(shape) - len(window) :]
    pad = [cells for _, _, low, high in reversed(window) for cells in (low, high)]
    kernels = [kernel for kernel, _, _, _ in window]
    strides = [stride for _, stride, _, _ in window]
    padded = [size + low + high for size, (_, _, low, high) in zip(sizes, window, strict=True)]
    inner = [slice(low, low + size) for size, (_, _, low, _) in zip(sizes, window, strict=True)]
    maximum = _MAXIMA[len(window)]

    def run(pooled: Tensor, x: Tensor) -> Tensor:
        flat = functional.pad(x.detach().reshape(1, -1, *sizes), pad, value=-math.inf)
        _, places = maximum(flat, kernels, strides, return_indices=True)
        values = pooled.reshape(1, -1, math.prod(counts))
        room = values.new_zeros(*values.shape[:2], math.prod(padded))
        filled = room.scatter(2, places.reshape(values.shape), values)
        return filled.reshape(-1, *padded)[(slice(None), *inner)].reshape(x.shape)

    return run


# Regions of interest: rows (left, top, right, bottom), whole pixels after scaling.


def _roi_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    image, regions = operands
    if len(image.shape) != 3 or len(regions.shape) != 2 or regions.shape[1] != 4:
        message = (
            f"ROIPooling: {image!r} must be (channels, height, width) and {regions!r} (regions, 4)."
        )
        raise ValueError(message)
    size = NDShape(attributes["roiOutputShape"]).python
    return (regions.shape[0], image.shape[0], *size)


def _roi_pooling(node: Node, _training: bool) -> Bound:
    height, width = NDShape(node.attributes["roiOutputShape"]).python
    scale = float(node.attributes["spatialScale"])
    batched = [v._batched for v in node.inputs]

    def bins(first: Tensor, last: Tensor, count: int, size: int) -> Tensor:
        """Return which pixels belong to each of `count` bins, shape (regions, count, size)."""
        # A region that ends before it begins reaches, in CNTK, to the image's edge.
        length = torch.where(last < first, torch.full_like(first, size * count), last - first + 1)
        step = (length / count).unsqueeze(1)
        i = torch.arange(count, device=first.device)
        low = (i * step).floor() + first.unsqueeze(1)
        high = ((i + 1) * step).ceil() + first.unsqueeze(1)
        at = torch.arange(size, device=first.device)
        return (at >= low.unsqueeze(2)) & (at < high.unsqueeze(2))

    def one(image: Tensor, regions: Tensor) -> Tensor:
        # Away from zero at a half, as the C library rounds.
        left, top, right, bottom = (regions * scale + 0.5).floor().unbind(1)
        columns = bins(left, right, width, image.shape[2])
        rows = bins(top, bottom, height, image.shape[1])
        made = []
        for row, column in zip(rows, columns, strict=True):
            across = torch.where(column[:, None, None], image, -math.inf).max(3).values
            cells = torch.where(row[:, None, None], across, -math.inf).max(3).values
            made.append(cells.permute(2, 0, 1))
        pooled = torch.stack(made)
        return torch.where(pooled == -math.inf, 0.0, pooled)

    def run(image: Tensor, regions: Tensor) -> Tensor:
        regions = regions.detach()
        if not any(batched):
            return one(image, regions)
        count = max(len(t) for t, b in zip((image, regions), batched, strict=True) if b)
        images = image if batched[0] else image.expand(count, *image.shape)
        places = regions if batched[1] else regions.expand(count, *regions.shape)
        return torch.stack([one(*pair) for pair in zip(images, places, strict=True)])

    return run


ROWS: Final[tuple[Operation, ...]] = (
    Operation(
        47, "ROIPooling", _roi_shape, _roi_pooling, attributes=("roiOutputShape", "spatialScale")
    ),
    Operation(
        58,
        "Unpooling",
        _unpooled_shape,
        _unpooling,
        attributes=("unpoolingWindowShape", "strides", "autoPadding", "lowerPad", "upperPad"),
    ),
)
