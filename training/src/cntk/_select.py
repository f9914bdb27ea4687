"""Rows of the table that pick, mark or add cells: gather, one-hot, padding, cropping."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from cntk._crop import crop_offsets
from cntk._dictionary import Dictionary
from cntk._graph import Bound, Node, Operation
from cntk.axis import BATCH, from_end, to_python
from cntk.variables import FreeDimension, Shape, Variable

CONSTANT_PAD, REFLECT_PAD, SYMMETRIC_PAD = range(3)


def _gather_shape(_attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    indices, reference = operands
    if reference._batched:
        message = "Gather operation's right operand doesn't expect to have dynamic axis"
        raise RuntimeError(message)
    return (*indices.shape, *reference.shape[1:])


def _gather(_node: Node, _training: bool) -> Bound:
    return lambda indices, reference: reference[indices.detach().long()]


def _settle_one_hot(attributes: Dictionary, operands: Sequence[Variable]) -> Dictionary:
    axis = from_end(attributes["onehotAxis"], len(operands[0].shape) + 1)
    return {**attributes, "onehotAxis": axis}


def _one_hot_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    shape = operands[0].shape
    at = to_python(attributes["onehotAxis"], len(shape) + 1)
    return (*shape[:at], int(attributes["numClass"]), *shape[at:])


def _one_hot(node: Node, _training: bool) -> Bound:
    classes = int(node.attributes["numClass"])
    axis = -1 - node.attributes["onehotAxis"].index

    def run(x: Tensor) -> Tensor:
        index = x.detach().floor().long()
        within = (index >= 0) & (index < classes)
        marks = functional.one_hot(index.clamp(0, classes - 1), classes) * within.unsqueeze(-1)
        return marks.movedim(-1, axis).to(x.dtype)

    return run


def _settle_axis(attributes: Dictionary, operands: Sequence[Variable]) -> Dictionary:
    return {**attributes, "axis": from_end(attributes["axis"], len(operands[0].shape))}


def _top_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    shape, count = operands[0].shape, int(attributes["numItems"])
    axis = to_python(attributes["axis"], len(shape))
    if count > shape[axis]:
        message = f"TopK: k {count} is greater than the dimension {shape[axis]} of the axis {axis}."
        raise ValueError(message)
    return (*shape[:axis], count, *shape[axis + 1 :])


def _top(node: Node, _training: bool) -> Bound:
    count, axis = int(node.attributes["numItems"]), -1 - node.attributes["axis"].index

    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        values, places = torch.topk(x, count, axis)
        return values, places.to(x.dtype)

    return run  # type: ignore[return-value]


# Padding. A file lists the axes fastest first.


def _pad_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    shape = operands[0].shape
    heads, feet = attributes["paddingHead"][::-1], attributes["paddingFoot"][::-1]
    if not len(heads) == len(feet) == len(shape):
        message = "Pad: the length of head and foot does not match input operand's dimension."
        raise RuntimeError(message)
    mode = int(attributes["paddingMode"])
    for dim, cells in zip(shape, zip(heads, feet, strict=True), strict=True):
        if mode == REFLECT_PAD and max(cells) > dim - 1:
            message = (
                "Pad: with REFLECTPAD mode, the head and foot length must be no greater than input "
                "dimension - 1."
            )
            raise RuntimeError(message)
        if mode == SYMMETRIC_PAD and max(cells) > dim:
            message = (
                "Pad: with SYMMETRICPAD mode, the head and foot length must be no greater than "
                "input dimension."
            )
            raise RuntimeError(message)
    return tuple(dim + a + b for dim, a, b in zip(shape, heads, feet, strict=True))


def _pad(node: Node, _training: bool) -> Bound:
    heads, feet = node.attributes["paddingHead"], node.attributes["paddingFoot"]
    mode = int(node.attributes["paddingMode"])
    if mode == CONSTANT_PAD:
        cells = [c for pair in zip(heads, feet, strict=True) for c in pair]
        value = float(node.attributes["paddingConstantValue"])
        return lambda x: functional.pad(x, cells, value=value)
    edge = int(mode == SYMMETRIC_PAD)
    places = []
    for dim, head, foot in zip(node.inputs[0].shape[::-1], heads, feet, strict=True):
        before = range(head - edge, -edge, -1)
        after = range(dim - 2 + edge, dim - 2 + edge - foot, -1)
        places.append([*before, *range(dim), *after])

    def mirror(x: Tensor) -> Tensor:
        for axis, order in enumerate(places):
            if len(order) != x.shape[-1 - axis]:
                x = x.index_select(x.dim() - 1 - axis, torch.tensor(order, device=x.device))
        return x

    return mirror


# Cropping: the last two axes are cut to those of the second operand.


def _crop_window(attributes: Dictionary, operands: Sequence[Variable]) -> tuple[int, int]:
    """Return the first row and column that stay."""
    if "offset" in attributes:
        column, row = (int(cells) for cells in attributes["offset"])
    else:
        column, row = crop_offsets(operands)
    height, width = operands[0].shape[-2:]
    rows, columns = operands[1].shape[-2:]
    if row < 0 or column < 0 or row + rows > height or column + columns > width:
        message = (
            f"Crop: {rows} rows from {row} and {columns} columns from {column} are not within "
            f"{operands[0]!r}."
        )
        raise RuntimeError(message)
    return row, column


def _crop_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    _crop_window(attributes, operands)
    return (*operands[0].shape[:-2], *operands[1].shape[-2:])


def _crop(node: Node, _training: bool) -> Bound:
    row, column = _crop_window(node.attributes, node.inputs)
    rows, columns = node.inputs[1].shape[-2:]
    return lambda x, *_others: x[..., row : row + rows, column : column + columns]


# The batch axis as a static one, and back.


def _of_all_samples(_attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    return (FreeDimension, *operands[0].shape)


def _of_one_sample(_attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    if operands[0]._batched or not operands[0].shape:
        message = (
            f"ToBatchAxis: {operands[0]!r} must have a static axis and no batch axis to begin with."
        )
        raise RuntimeError(message)
    return operands[0].shape[1:]


ROWS: Final[tuple[Operation, ...]] = (
    Operation(68, "OneHotOp", _one_hot_shape, _one_hot, _settle_one_hot, ("numClass",)),
    Operation(74, "Gather", _gather_shape, _gather, dtype=lambda _a, operands: operands[1].dtype),
    Operation(
        79,
        "UnpackBatchAxis",
        _of_all_samples,
        lambda _node, _training: lambda x: x,
        axes=lambda _name, _attributes, _operands: (),
    ),
    Operation(
        80,
        "ToBatchAxis",
        _of_one_sample,
        lambda _node, _training: lambda x: x,
        axes=lambda _name, _attributes, _operands: (BATCH,),
    ),
    Operation(
        83, "Pad", _pad_shape, _pad, attributes=("paddingHead", "paddingFoot", "paddingMode")
    ),
    Operation(84, "Crop", _crop_shape, _crop),
    Operation(
        87,
        "TopK",
        _top_shape,
        _top,
        _settle_axis,
        ("axis", "numItems"),
        more=lambda attributes, operands: (
            () if operands[0]._shape is None else _top_shape(attributes, operands),
        ),
    ),
)
