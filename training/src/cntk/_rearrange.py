"""Rows of the table that move, join or sum up: reductions, reshaping, slices, one-hot vectors."""

import math
from collections.abc import Callable, Sequence
from typing import Final

import torch

from cntk._absent import refuse
from cntk._dictionary import Dictionary, FileAxis, NDShape
from cntk._graph import Bound, Node, Operation
from cntk.axis import ALL, ALL_STATIC, BATCH, Axes, from_end, static, to_python
from cntk.variables import InferredDimension, Shape, Variable

_Tensor = torch.Tensor
_OPEN: Final = InferredDimension % 2**64
"""A dimension of a reshape that follows from the others, as files write it."""

# Reductions.


def _log_sum(x: _Tensor, axes: tuple[int, ...], keep: bool) -> _Tensor:
    return torch.logsumexp(x, axes, keepdim=keep)


def _product_over(x: _Tensor, axes: tuple[int, ...], keep: bool) -> _Tensor:
    for axis in sorted(axes, reverse=True):
        x = torch.prod(x, axis, keepdim=keep)
    return x


def _position(find: Callable[..., _Tensor]) -> Callable[[_Tensor, tuple[int, ...], bool], _Tensor]:
    def run(x: _Tensor, axes: tuple[int, ...], keep: bool) -> _Tensor:
        if len(axes) != 1:
            raise refuse("argmax or argmin over several axes at once")
        return find(x, axes[0], keepdim=keep).to(x.dtype)

    return run


_REDUCTIONS: Final[dict[str, Callable[[_Tensor, tuple[int, ...], bool], _Tensor]]] = {
    "Sum": lambda x, axes, keep: torch.sum(x, axes, keepdim=keep),
    "Mean": lambda x, axes, keep: torch.mean(x, axes, keepdim=keep),
    "Max": lambda x, axes, keep: torch.amax(x, axes, keepdim=keep),
    "Min": lambda x, axes, keep: torch.amin(x, axes, keepdim=keep),
    "LogSum": _log_sum,
    "Prod": _product_over,
    "Argmax": _position(torch.argmax),
    "Argmin": _position(torch.argmin),
}


def _listed(attributes: Dictionary) -> list[FileAxis]:
    return list(attributes["axisVec"]) if "axisVec" in attributes else [attributes["axis"]]


def _settle_axes(attributes: Dictionary, operands: Sequence[Variable]) -> Dictionary:
    """Count the axes from the fastest one, now that the rank is known."""
    rank = len(operands[0].shape)
    settled = dict(attributes)
    for key in ("axis", "axis1", "axis2", "beginAxis", "endAxis"):
        if isinstance(settled.get(key), FileAxis):
            settled[key] = from_end(settled[key], rank)
    if "axisVec" in settled:
        settled["axisVec"] = [from_end(axis, rank) for axis in settled["axisVec"]]
    return settled


def _reduced(attributes: Dictionary, operand: Variable) -> tuple[int, ...]:
    """Return the reduced axes in Python's order; all of them for an empty operand of rank 0."""
    rank = len(operand.shape)
    axes = _listed(attributes)
    if axes in ([ALL_STATIC], [ALL]):
        return tuple(range(rank))
    if axes == [BATCH]:
        return ()
    if any(axis.index == BATCH.index for axis in axes):
        name = next(axis.name for axis in axes if axis.index == BATCH.index)
        message = (
            f"Reduction operation over multiple axes can not contain sequence axis: Axis('{name}')"
        )
        raise ValueError(message)
    return tuple(to_python(axis, rank) for axis in axes)


def _reduce_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    axes = _reduced(attributes, operands[0])
    if attributes["reductionOpName"] not in _REDUCTIONS:
        raise refuse(f"ReduceElements with {attributes['reductionOpName']!r}")
    if _listed(attributes) in ([ALL_STATIC], [ALL]):
        return ()
    keep = attributes["reductionKeepDimensions"]
    dims = enumerate(operands[0].shape)
    return tuple(1 if i in axes else dim for i, dim in dims if keep or i not in axes)


def _reduce_axes(_name: str, attributes: Dictionary, operands: Sequence[Variable]) -> Axes | None:
    axes = operands[0]._axes
    if _listed(attributes) not in ([ALL], [BATCH]) or axes is None:
        return axes
    if len(axes) > 1 and _listed(attributes) == [BATCH]:
        message = (
            f"ReduceElements: operand {operands[0]!r}; Reduction along the batch axis on input "
            "sequence is currently unsupported."
        )
        raise RuntimeError(message)
    return ()


def _reduce(node: Node, _training: bool) -> Bound:
    operand = node.inputs[0]
    reduce = _REDUCTIONS[node.attributes["reductionOpName"]]
    axes = tuple(axis - len(operand.shape) for axis in _reduced(node.attributes, operand))
    result = node.outputs[0].shape
    if _listed(node.attributes) == [ALL]:
        return lambda x: reduce(x.reshape(-1), (-1,), False)
    if _listed(node.attributes) == [BATCH]:
        return lambda x: reduce(x, (0,), False) if operand._batched else x
    if not axes:
        return lambda x: x
    if _listed(node.attributes) == [ALL_STATIC] and len(axes) > 1:
        # One axis for all of them, so that a position counts in C order.
        lead = operand._batched
        return lambda x: reduce(x.reshape(*x.shape[: int(lead)], -1), (-1,), False)
    return lambda x: reduce(x, axes, True).reshape(*x.shape[: int(operand._batched)], *result)


# Shapes.


def _settle_reshape(attributes: Dictionary, operands: Sequence[Variable]) -> Dictionary:
    """Count the part's bounds from the fastest axis; a negative one is -1 - Python's position."""
    rank = len(operands[0].shape)
    settled = dict(attributes)
    for key in ("beginAxis", "endAxis"):
        index = settled[key].index
        settled[key] = static(index + rank + 1 if index < 0 else index)
    return settled


def _reshape_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    old = operands[0].shape
    start, stop = (len(old) - attributes[key].index for key in ("endAxis", "beginAxis"))
    if not 0 <= start <= stop <= len(old):
        message = f"Reshape: the axes {start} to {stop} are not within {operands[0]!r}."
        raise ValueError(message)
    part = list(NDShape(attributes["newShape"]).python)
    cells = math.prod(old[start:stop])
    if part.count(_OPEN) == 1:
        hole = part.index(_OPEN)
        known = math.prod(dim for i, dim in enumerate(part) if i != hole)
        part[hole] = cells // known if known else 0
    if math.prod(part) != cells:
        message = (
            f"Reshape: the {cells} elements of {operands[0]!r} do not fill the shape {tuple(part)}."
        )
        raise ValueError(message)
    return (*old[:start], *part, *old[stop:])


def _reshape(node: Node, _training: bool) -> Bound:
    shape, batched = node.outputs[0].shape, node.inputs[0]._batched
    return lambda x: x.reshape(-1, *shape) if batched else x.reshape(shape)


def _slice_range(attributes: Dictionary, operand: Variable) -> tuple[int, range]:
    axis = to_python(attributes["axis"], len(operand.shape))
    size = operand.shape[axis]
    begin, end = int(attributes["beginIndex"]), int(attributes["endIndex"])
    begin = begin + size if begin < 0 else begin
    end = end + size if end <= 0 else end
    step = int(attributes.get("sliceStrides", 1))
    if not 0 <= begin < end <= size or step < 1:
        message = (
            f"Slice: from {begin} to {end} by {step} is not within axis {axis} of {operand!r}."
        )
        raise ValueError(message)
    return axis, range(begin, end, step)


def _slice_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    if "axis" not in attributes:
        raise refuse("Slice along several axes at once")
    axis, kept = _slice_range(attributes, operands[0])
    shape = operands[0].shape
    return (*shape[:axis], len(kept), *shape[axis + 1 :])


def _slice(node: Node, _training: bool) -> Bound:
    axis, kept = _slice_range(node.attributes, node.inputs[0])
    place = axis + node.inputs[0]._batched
    if kept.step == 1:
        start, length = kept.start, len(kept)
        return lambda x: x.narrow(place, start, length)
    cut = (slice(None),) * place + (slice(kept.start, kept.stop, kept.step),)
    return lambda x: x[cut]


def _settle_splice(attributes: Dictionary, operands: Sequence[Variable]) -> Dictionary:
    """Count the axis from the fastest one; beyond the operands' axes it is a new one."""
    axis = attributes["axis"]
    return attributes if axis.index >= 0 else _settle_axes(attributes, operands)


def _splice_dims(attributes: Dictionary, operands: Sequence[Variable]) -> tuple[int, list[Shape]]:
    """Return the axis, in Python's order, and the operands' shapes, all of one rank."""
    index = attributes["axis"].index
    rank = max(index + 1, *(len(v.shape) for v in operands))
    return rank - 1 - index, [(1,) * (rank - len(v.shape)) + v.shape for v in operands]


def _splice_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    axis, shapes = _splice_dims(attributes, operands)
    if any(s[:axis] + s[axis + 1 :] != shapes[0][:axis] + shapes[0][axis + 1 :] for s in shapes):
        message = f"Splice: the operands' shapes {shapes} differ in more than axis {axis}."
        raise ValueError(message)
    return (*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1 :])


def _splice(node: Node, _training: bool) -> Bound:
    axis, shapes = _splice_dims(node.attributes, node.inputs)
    place = axis - len(shapes[0])
    parts = [(v._batched, shape) for v, shape in zip(node.inputs, shapes, strict=True)]

    def run(*tensors: _Tensor) -> _Tensor:
        count = max((len(t) for t, (b, _) in zip(tensors, parts, strict=True) if b), default=0)
        whole = []
        for t, (batched, shape) in zip(tensors, parts, strict=True):
            if batched:
                whole.append(t.reshape(count, *shape))
            else:
                whole.append(t.reshape(shape).expand(*((count,) if count else ()), *shape))
        return torch.cat(whole, place)

    return run


def _transposed(attributes: Dictionary, operand: Variable) -> list[int]:
    """Return for each axis of the result, in Python's order, the operand's axis that it is."""
    rank = len(operand.shape)
    if "axisVec" in attributes:
        return [to_python(axis, rank) for axis in reversed(attributes["axisVec"])]
    order = list(range(rank))
    a, b = (to_python(attributes[key], rank) for key in ("axis1", "axis2"))
    order[a], order[b] = b, a
    return order


def _transpose_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    return tuple(operands[0].shape[axis] for axis in _transposed(attributes, operands[0]))


def _transpose(node: Node, _training: bool) -> Bound:
    batched = node.inputs[0]._batched
    order = [axis + batched for axis in _transposed(node.attributes, node.inputs[0])]
    return lambda x: x.permute([0, *order] if batched else order)


def _squeeze_shape(_attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    return tuple(dim for dim in operands[0].shape if dim != 1)


def _settle_one_hot(attributes: Dictionary, operands: Sequence[Variable]) -> Dictionary:
    """Count the new axis from the fastest one, among the axes that the result has."""
    rank = len(operands[0].shape) + 1
    return {**attributes, "onehotAxis": from_end(attributes["onehotAxis"], rank)}


def _one_hot_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    shape = operands[0].shape
    place = to_python(attributes["onehotAxis"], len(shape) + 1)
    return (*shape[:place], int(attributes["numClass"]), *shape[place:])


def _one_hot(node: Node, _training: bool) -> Bound:
    classes = int(node.attributes["numClass"])
    rank = len(node.outputs[0].shape)
    place = to_python(node.attributes["onehotAxis"], rank) - rank

    def run(x: _Tensor) -> _Tensor:
        places = torch.arange(classes, device=x.device)
        marks = (x.detach().long()[..., None] == places).to(x.dtype)
        return marks.movedim(-1, place)

    return run


ROWS: Final[tuple[Operation, ...]] = (
    Operation(12, "TransposeAxes", _transpose_shape, _transpose, _settle_axes),
    Operation(14, "Slice", _slice_shape, _slice, _settle_axes),
    Operation(
        16,
        "Reshape",
        _reshape_shape,
        _reshape,
        _settle_reshape,
        ("newShape", "beginAxis", "endAxis"),
    ),
    Operation(
        39,
        "ReduceElements",
        _reduce_shape,
        _reduce,
        _settle_axes,
        ("reductionOpName", "reductionKeepDimensions"),
        _reduce_axes,
    ),
    Operation(43, "Splice", _splice_shape, _splice, _settle_splice, ("axis",)),
    Operation(
        68,
        "OneHotOp",
        _one_hot_shape,
        _one_hot,
        _settle_one_hot,
        ("numClass", "oneHotOutputSparse", "onehotAxis"),
    ),
    Operation(88, "Squeeze", _squeeze_shape, _reshape),
)
