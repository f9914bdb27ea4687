"""Rows of the table that move, join or sum up: matrix products, reductions, reshaping, slices."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, final

import torch

from cntk._absent import refuse
from cntk._dictionary import Dictionary, FileAxis, NDShape
from cntk._graph import Bound, Node, Operation, infer_dimensions, joint_axes
from cntk.axis import _NEW_LEADING, ALL, ALL_STATIC, BATCH, Axes, from_end, static, to_python
from cntk.variables import InferredDimension, Shape, Variable

_Tensor = torch.Tensor
_OPEN: Final = InferredDimension % 2**64
"""A dimension of a reshape that follows from the others, as files write it."""


def _text(shape: Shape) -> str:
    return f"[{' x '.join('?' if dim in (_OPEN, -1) else str(dim) for dim in shape)}]"


# Products. Files have the operands as column-major matrices: the right one of Python first.


def _product_dims(
    attributes: Dictionary, operands: Sequence[Variable], *, transpose: bool
) -> tuple[Shape, Shape, Shape]:
    """Return the dimensions of the left operand alone, those summed over, and the right's."""
    right, left = operands
    outputs = int(attributes["outputRank"])
    if transpose:
        out = right.shape[:-1]
        inner = right.shape[-1:]
    else:
        out = right.shape[len(right.shape) - outputs :]
        inner = right.shape[: len(right.shape) - outputs]
    if InferredDimension in right.shape:
        mapped = int(attributes.get("inferInputRankToMap", -1))
        inner = left.shape[mapped if mapped >= 0 else len(left.shape) - len(inner) :]
        infer_dimensions(right, (*out, *inner) if transpose else (*inner, *out))
    rest = left.shape[: len(left.shape) - len(inner)]
    if len(left.shape) < len(inner) or left.shape[len(rest) :] != inner:
        message = (
            f"Times: The {len(inner)} leading dimensions of the right operand with shape "
            f"'{_text(right.shape[::-1] if transpose else right.shape)}' do not match the left "
            f"operand's trailing dimensions with shape '{_text(left.shape)}'"
        )
        raise ValueError(message)
    if transpose and not out:
        out = (1,)
    return rest, inner, out


def _product(
    *, transpose: bool
) -> tuple[Callable[[Dictionary, Sequence[Variable]], Shape], Callable[[Node, bool], Bound]]:
    def shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
        rest, _, out = _product_dims(attributes, operands, transpose=transpose)
        return (*rest, *out)

    def bind(node: Node, _training: bool) -> Bound:
        dims = _product_dims(node.attributes, node.inputs, transpose=transpose)
        rest, inner, out = map(math.prod, dims)
        result = (*dims[0], *dims[2])
        right_batched, left_batched = (v._batched for v in node.inputs)
        flat_right = (out, inner) if transpose else (inner, out)

        def run(right: _Tensor, left: _Tensor) -> _Tensor:
            if not right_batched:
                matrix = right.reshape(flat_right)
                product = left.reshape(-1, inner) @ (matrix.T if transpose else matrix)
            else:
                matrix = right.reshape(-1, *flat_right)
                operand = (
                    left.reshape(-1, rest, inner) if left_batched else left.reshape(rest, inner)
                )
                product = torch.matmul(operand, matrix.mT if transpose else matrix)
            return (
                product.reshape(-1, *result)
                if left_batched or right_batched
                else product.reshape(result)
            )

        return run

    return shape, bind


# Reductions.


def _log_sum(x: _Tensor, axes: tuple[int, ...], keep: bool) -> _Tensor:
    return torch.logsumexp(x, axes, keepdim=keep)


@final
class _Product(torch.autograd.Function):
    """The product over axes; a factor of 0 gets no gradient, as in CNTK."""

    @staticmethod
    def forward(ctx: Any, x: _Tensor, axes: tuple[int, ...]) -> _Tensor:
        result = x
        for axis in axes:
            result = torch.prod(result, axis, keepdim=True)
        ctx.save_for_backward(x, result)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: _Tensor) -> tuple[_Tensor, None]:
        x, result = ctx.saved_tensors
        return torch.where(x == 0, 0, result * gradient / x), None


def _product_over(x: _Tensor, axes: tuple[int, ...], keep: bool) -> _Tensor:
    result: _Tensor = _Product.apply(x, axes)  # type: ignore[no-untyped-call]
    return result if keep else _without(result, axes)


def _without(x: _Tensor, axes: tuple[int, ...]) -> _Tensor:
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.squeeze(axis)
    return x


def _position(find: Callable[..., _Tensor]) -> Callable[[_Tensor, tuple[int, ...], bool], _Tensor]:
    def run(x: _Tensor, axes: tuple[int, ...], keep: bool) -> _Tensor:
        if len(axes) != 1:
            raise refuse("argmax or argmin over several axes at once")
        return find(x, axes[0], keepdim=keep).to(x.dtype)

    return run


@final
class _Extreme(torch.autograd.Function):
    """The greatest or least value; each place that has it gets the whole gradient, as in CNTK."""

    @staticmethod
    def forward(
        ctx: Any, x: _Tensor, find: Callable[..., _Tensor], axes: tuple[int, ...]
    ) -> _Tensor:
        result = find(x, axes, keepdim=True)
        ctx.save_for_backward(x, result)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: _Tensor) -> tuple[_Tensor, None, None]:
        x, result = ctx.saved_tensors
        return (x == result) * gradient, None, None


def _extreme(find: Callable[..., _Tensor]) -> Callable[[_Tensor, tuple[int, ...], bool], _Tensor]:
    def run(x: _Tensor, axes: tuple[int, ...], keep: bool) -> _Tensor:
        result: _Tensor = _Extreme.apply(x, find, axes)  # type: ignore[no-untyped-call]
        return result if keep else _without(result, axes)

    return run


_REDUCTIONS: Final[dict[str, Callable[[_Tensor, tuple[int, ...], bool], _Tensor]]] = {
    "Sum": lambda x, axes, keep: torch.sum(x, axes, keepdim=keep),
    "Mean": lambda x, axes, keep: torch.mean(x, axes, keepdim=keep),
    "Max": _extreme(torch.amax),
    "Min": _extreme(torch.amin),
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
    if BATCH in axes:
        raise refuse("A reduction over the batch axis and others at once")
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


def _reduce(node: Node, _training: bool) -> Bound:
    operand = node.inputs[0]
    reduce = _REDUCTIONS[node.attributes["reductionOpName"]]
    axes = tuple(axis - len(operand.shape) for axis in _reduced(node.attributes, operand))
    result = [-1 if dim < 0 else dim for dim in node.outputs[0].shape]
    listed = _listed(node.attributes)
    if operand._batched and listed == [BATCH]:
        return lambda x: reduce(x, (0,), False)
    if listed == [ALL]:
        return lambda x: reduce(x.reshape(-1), (0,), False)
    if not axes:
        return lambda x: x
    if _listed(node.attributes) == [ALL_STATIC] and len(axes) > 1:
        # One axis for all of them, so that a position counts in C order.
        lead = operand._batched
        return lambda x: reduce(x.reshape(*x.shape[: int(lead)], -1), (-1,), False)
    return lambda x: reduce(x, axes, True).reshape(*x.shape[: int(operand._batched)], *result)


def _reduced_axes(name: str, attributes: Dictionary, operands: Sequence[Variable]) -> Axes | None:
    listed = _listed(attributes)
    return () if listed in ([ALL], [BATCH]) else joint_axes(name, attributes, operands)


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
    wanted = NDShape(attributes["newShape"]).python
    part = list(wanted)
    cells = math.prod(old[start:stop])
    if part.count(_OPEN) == 1:
        hole = part.index(_OPEN)
        known = math.prod(dim for i, dim in enumerate(part) if i != hole)
        part[hole] = cells // known if known else 0
    if math.prod(part) != cells:
        rule = (
            "is not an integer multiple of the non-inferred dimensions."
            if _OPEN in wanted
            else "must be the same."
        )
        message = (
            f"Reshape: Operand (sub-)dimensions '{_text(old[start:stop])}' incompatible with "
            f"desired replacement (sub-)dimensions '{_text(wanted)}'. Number of elements {rule}."
        )
        raise ValueError(message)
    return (*old[:start], *part, *old[stop:])


def _reshape(node: Node, _training: bool) -> Bound:
    shape = tuple(-1 if dim < 0 else dim for dim in node.outputs[0].shape)
    batched = node.inputs[0]._batched
    if -1 in shape and batched:
        return lambda x: x.reshape(len(x), *shape)
    return lambda x: x.reshape(-1, *shape) if batched else x.reshape(shape)


def _slices(attributes: Dictionary) -> list[tuple[FileAxis, int, int, int]]:
    """Return axis, begin, end and step of each cut."""
    keys = ("axis", "beginIndex", "endIndex", "sliceStrides")
    if "axis" in attributes:
        return [(*(attributes[key] for key in keys[:3]), attributes.get(keys[3], 1))]
    columns = [attributes[f"{key}Vec"] for key in keys[:3]]
    steps = attributes.get("sliceStridesVec", [1] * len(columns[0]))
    return list(zip(*columns, steps, strict=True))


def _slice_ranges(attributes: Dictionary, operand: Variable) -> dict[int, range]:
    """Return what is kept of each axis that is cut, in Python's order."""
    ranges: dict[int, range] = {}
    for file_axis, first, last, step in _slices(attributes):
        axis = to_python(file_axis, len(operand.shape))
        size = operand.shape[axis]
        begin = first + size if first < 0 else first
        end = last + size if last <= 0 else last
        if not 0 <= begin < end <= size or step == 0:
            message = (
                f"Function 'Slice: {operand!r} -> Unknown': Slice operation index range "
                f"[{first},{last}), interpreted as [{begin},{end}), is invalid for input "
                f"'{operand!r}' shape '{_text(operand.shape)}'."
            )
            raise RuntimeError(message)
        whole = range(begin, end)
        ranges[axis] = whole[::step]
    return ranges


def _slice_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    ranges = _slice_ranges(attributes, operands[0])
    return tuple(len(ranges.get(i, range(dim))) for i, dim in enumerate(operands[0].shape))


def _slice(node: Node, _training: bool) -> Bound:
    operand = node.inputs[0]
    ranges = _slice_ranges(node.attributes, operand)
    whole = (slice(None),) * operand._batched
    if all(kept.step > 0 for kept in ranges.values()):
        cut = whole + tuple(
            slice(ranges[i].start, ranges[i].stop, ranges[i].step) if i in ranges else slice(None)
            for i in range(max(ranges) + 1)
        )
        return lambda x: x[cut]

    def backwards(x: _Tensor) -> _Tensor:
        for axis, kept in ranges.items():
            x = x.index_select(axis + operand._batched, torch.tensor(kept, device=x.device))
        return x

    return backwards


def _settle_splice(attributes: Dictionary, operands: Sequence[Variable]) -> Dictionary:
    rank = max(len(v.shape) for v in operands)
    axis = attributes["axis"]
    # One axis in front of all that there are is a new one.
    settled = (
        static(rank)
        if axis.index in (rank, _NEW_LEADING, -_NEW_LEADING - 1)
        else from_end(axis, rank)
    )
    return {**attributes, "axis": settled}


def _splice_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    rank = max(max(len(v.shape) for v in operands), attributes["axis"].index + 1)
    shapes = [(1,) * (rank - len(v.shape)) + v.shape for v in operands]
    axis = rank - 1 - attributes["axis"].index
    for at in range(rank):
        for i, shape in enumerate(shapes[1:], 1):
            if at != axis and shape[at] != shapes[0][at]:
                message = (
                    f"Splice: Conflicting dimensionality of axis {rank - 1 - at} between operand "
                    f"#{i} ({shape[at]}) and other(s) ({shapes[0][at]})."
                )
                raise ValueError(message)
    return (*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1 :])


def _splice(node: Node, _training: bool) -> Bound:
    axis = -1 - node.attributes["axis"].index
    batched = [v._batched for v in node.inputs]
    rank = len(node.outputs[0].shape)
    missing = [rank - len(v.shape) for v in node.inputs]

    def lifted(x: _Tensor, has_batch: bool, axes: int) -> _Tensor:
        return x.reshape(*x.shape[: int(has_batch)], *(1,) * axes, *x.shape[int(has_batch) :])

    def run(*tensors: _Tensor) -> _Tensor:
        count = max((len(t) for t, b in zip(tensors, batched, strict=True) if b), default=0)
        whole = [
            t if b or not count else t.expand(count, *t.shape)
            for t, b in zip(tensors, batched, strict=True)
        ]
        if any(missing):
            parts = zip(whole, batched, missing, strict=True)
            whole = [lifted(t, b or count > 0, axes) for t, b, axes in parts]
        return torch.cat(whole, axis)

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


def _squeeze_shape(attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    shape = operands[0].shape
    if "axisVec" not in attributes:
        return tuple(dim for dim in shape if dim != 1)
    dropped = {to_python(axis, len(shape)) for axis in attributes["axisVec"]}
    for axis in dropped:
        if shape[axis] != 1:
            message = (
                f"Squeeze: cannot squeeze a static axis whose dimension (={shape[axis]}) is not 1."
            )
            raise RuntimeError(message)
    return tuple(dim for i, dim in enumerate(shape) if i not in dropped)


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
        31, "Times", *_product(transpose=False), attributes=("outputRank", "inferInputRankToMap")
    ),
    Operation(32, "TransposeTimes", *_product(transpose=True), attributes=("outputRank",)),
    Operation(
        39,
        "ReduceElements",
        _reduce_shape,
        _reduce,
        _settle_axes,
        ("reductionOpName", "reductionKeepDimensions"),
        axes=_reduced_axes,
    ),
    Operation(43, "Splice", _splice_shape, _splice, _settle_splice, ("axis",)),
    Operation(88, "Squeeze", _squeeze_shape, _reshape),
)
