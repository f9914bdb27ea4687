"""Operations that sum up, join or rearrange: matrix products, reductions, reshaping, slices."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from cntk._absent import refuse
from cntk._dictionary import FileAxis, NDShape, SizeT
from cntk.axis import ALL, ALL_STATIC, Axis, static, to_file
from cntk.ops._building import _compound, _documented, _node
from cntk.ops.functions import Function, as_variable
from cntk.variables import Variable, _as_shape

TIMES_NO_INFERRED_INPUT_RANK: Final = -1

# Products.


def times(
    left: Any,
    right: Any,
    output_rank: int = 1,
    infer_input_rank_to_map: int = TIMES_NO_INFERRED_INPUT_RANK,
    name: str = "",
) -> Function:
    """Return the matrix product: the last axes of `left` against the first of `right`.

    Args:
        left: Shape (rest..., inner...).
        right: Shape (inner..., out...), `output_rank` of them out.
        output_rank: How many axes of `right` the result has.
        infer_input_rank_to_map: For a parameter with open dimensions: how many axes of `left` stay
            in the result; -1 when the parameter has all its axes.
        name: Of the function.
    """
    attributes = {"outputRank": SizeT(output_rank), "inferInputRankToMap": infer_input_rank_to_map}
    return _node("Times", [right, left], attributes, name)


def times_transpose(left: Any, right: Any, name: str = "") -> Function:
    """Return the matrix product with the transpose of `right`, shape (out, inner)."""
    return _node("TransposeTimes", [right, left], {"outputRank": SizeT(1)}, name)


# Reductions.


def _reduction(op: str, text: str) -> Callable[..., Function]:
    def function(x: Any, axis: Any = None, keepdims: bool = True, name: str = "") -> Function:
        axes = list(axis) if isinstance(axis, list | tuple) else [axis]
        if not keepdims and not all(map(_is_static, axes)):
            message = "Cannot query the static axis index for a non-static axis"
            raise ValueError(message)
        if keepdims:
            return _reduce(op, x, axes, name)
        dropped = _dropping_order(as_variable(x), axes)
        return _compound(
            "ReduceElements", lambda v: _without(_reduce(op, v, axes), dropped), [x], name
        )

    return _documented(
        function,
        f"{text} An axis stays with length 1 unless keepdims is False; None means all axes.",
    )


def _reduce(op: str, x: Any, axes: list[Any], name: str = "") -> Function:
    where: dict[str, Any] = {"axis": to_file(axes[0])}
    if len(axes) > 1:
        where = {"axisVec": [to_file(axis) for axis in axes]}
    keep = where.get("axis") not in (ALL_STATIC, ALL)
    return _node(
        "ReduceElements",
        [x],
        {**where, "reductionOpName": op, "reductionKeepDimensions": keep},
        name,
    )


def _is_static(axis: Any) -> bool:
    return axis is not None and (not isinstance(axis, Axis) or axis.is_static_axis)


def _number(axis: Any) -> int:
    return axis.static_axis_index() if isinstance(axis, Axis) else int(axis)


def _dropping_order(operand: Variable, axes: list[Any]) -> list[int]:
    """Return the axes in an order in which dropping one does not renumber the next."""
    axes = [_number(axis) for axis in axes]
    if operand._shape is not None:
        axes = [axis % len(operand.shape) for axis in axes]
    if all(axis < 0 for axis in axes):
        return sorted(axes)
    if all(axis >= 0 for axis in axes):
        return sorted(axes, reverse=True)
    raise refuse("A reduction that drops axes of an unknown shape, counted from both ends")


def _without(x: Function, axes: list[int]) -> Function:
    for axis in axes:
        x = reshape(x, (), axis, axis + 1 or None)
    return x


reduce_sum = _reduction("Sum", "Return the sum along axes.")
reduce_mean = _reduction("Mean", "Return the mean along axes.")
reduce_max = _reduction("Max", "Return the maximum along axes.")
reduce_min = _reduction("Min", "Return the minimum along axes.")
reduce_prod = _reduction("Prod", "Return the product along axes.")
reduce_log_sum_exp = _reduction("LogSum", "Return log(sum(exp(x))) along axes.")


def _reduction_of(op: str, before: Callable[[Any], Any], text: str) -> Callable[..., Function]:
    def function(x: Any, axis: Any = None, keepdims: bool = True, name: str = "") -> Function:
        return _compound(op, lambda v: reduce_sum(before(v), axis, keepdims), [x], name)

    return _documented(function, text)


def _times_itself(x: Any) -> Function:
    return _node("ElementTimes", [x, x])


reduce_l1 = _reduction_of(
    "ReduceL1",
    lambda x: _node("Abs", [x]),
    "Return the sum of absolute values along axes; see `reduce_sum`.",
)
reduce_sum_square = _reduction_of(
    "ReduceSumSquare", _times_itself, "Return the sum of squares along axes; see `reduce_sum`."
)


def reduce_l2(x: Any, axis: Any = None, keepdims: bool = True, name: str = "") -> Function:
    """Return the square root of the sum of squares along axes; see `reduce_sum`."""
    return _compound(
        "ReduceL2",
        lambda v: _node("Sqrt", [reduce_sum(_times_itself(v), axis, keepdims)]),
        [x],
        name,
    )


def argmax(x: Any, axis: Any = None, name: str = "") -> Function:
    """Return the position of the maximum along an axis, over all without one, as a float."""
    return _reduce("Argmax", x, [axis], name)


def argmin(x: Any, axis: Any = None, name: str = "") -> Function:
    """Return the position of the minimum along an axis, over all without one, as a float."""
    return _reduce("Argmin", x, [axis], name)


# Shapes.


def reshape(
    x: Any,
    shape: int | Iterable[int],
    begin_axis: int | None = None,
    end_axis: int | None = None,
    name: str = "",
) -> Function:
    """Give the axes from `begin_axis` up to `end_axis` another shape; -1 follows from the rest."""
    new = NDShape(dim % 2**64 for dim in reversed(_as_shape(shape)))
    begin, end = (
        _bound(axis, default) for axis, default in ((end_axis, static(0)), (begin_axis, static(-1)))
    )
    return _node("Reshape", [x], {"newShape": new, "beginAxis": begin, "endAxis": end}, name)


def _bound(axis: int | None, default: FileAxis) -> FileAxis:
    if axis is None:
        return default
    return static(-axis if axis < 0 else -axis - 1)


def flatten(x: Any, axis: int | None = None, name: str = "") -> Function:
    """Return x as a matrix: the axes before `axis`, 0 by default, are the rows."""
    middle = axis or 0
    build = lambda v: reshape(reshape(v, (-1,), middle, None), (-1 if middle else 1,), 0, middle)  # noqa: E731
    return _compound("Flatten", build, [x], name)


def squeeze(x: Any, axes: Any = None, name: str = "") -> Function:
    """Return x without its axes of length 1, or without those of them that are listed."""
    if axes is None:
        return _node("Squeeze", [x], None, name)
    listed = axes if isinstance(axes, list | tuple) else [axes]
    return _node("Squeeze", [x], {"axisVec": [to_file(axis) for axis in listed]}, name)


def expand_dims(x: Any, axis: Any, name: str = "") -> Function:
    """Return x with an axis of length 1 more.

    Args:
        x: The operand.
        axis: Negative: the new axis's place in the result, -1 the last; otherwise the axis of the
            operand that it stands behind, as in CNTK.
        name: Of the function.
    """
    if axis == Axis.new_leading_axis():
        place = static(-1)
    else:
        number = _number(axis)
        place = static(-1 - number) if number < 0 else static(-number - 2)
    attributes = {"newShape": NDShape((1,)), "beginAxis": place, "endAxis": place}
    return _compound("ExpandDims", lambda v: _node("Reshape", [v], attributes), [x], name)


def slice(
    x: Any, axis: Any, begin_index: Any, end_index: Any, strides: Any = None, name: str = ""
) -> Function:
    """Return x from `begin_index` to before `end_index` (0: to the end) along an axis.

    Args:
        x: The operand.
        axis: One axis or a list of them, with as many indices.
        begin_index: Of what stays; negative: from the end.
        end_index: Of what comes behind it; negative: from the end.
        strides: Steps; negative ones turn the order around. None: 1.
        name: Of the function.
    """
    axes = list(axis) if isinstance(axis, list | tuple) else [axis]
    begins, ends = _as_shape(begin_index), _as_shape(end_index)
    steps = [1] * len(axes) if strides is None else list(_as_shape(strides))
    columns: dict[str, list[Any]] = {
        "axis": [to_file(axis) for axis in axes],
        "beginIndex": list(begins),
        "endIndex": list(ends),
        "sliceStrides": steps,
    }
    if len(axes) == 1:
        return _node("Slice", [x], {key: values[0] for key, values in columns.items()}, name)
    return _node("Slice", [x], {f"{key}Vec": values for key, values in columns.items()}, name)


def splice(*inputs: Any, axis: Any = -1, name: str = "") -> Function:
    """Join the operands along an axis; `Axis.new_leading_axis()` makes a new one."""
    if len(inputs) == 1:
        return Function._of(as_variable(inputs[0]))
    return _node("Splice", inputs, {"axis": to_file(axis)}, name)


def transpose(x: Any, perm: Any, name: str = "") -> Function:
    """Return x with its axes in the order of `perm`."""
    if isinstance(perm, int | Axis):
        message = "transpose expects a permutation; to swap two axes use swapaxes"
        raise TypeError(message)
    rank = len(perm)
    if not all(-rank <= axis < rank for axis in perm):
        message = (
            "invalid permutation element: elements must be from {-len(perm), ..., len(perm)-1}"
        )
        raise ValueError(message)
    order = [axis % rank for axis in perm]
    if len(set(order)) != rank:
        message = "duplicate item in permutation"
        raise ValueError(message)
    operand = as_variable(x)
    if operand._shape is not None and len(operand.shape) != rank:
        message = f"transpose: {tuple(perm)} is no order of the {len(operand.shape)} axes of {x!r}."
        raise ValueError(message)
    return _node(
        "TransposeAxes",
        [x],
        {"axisVec": [static(rank - 1 - axis) for axis in reversed(order)]},
        name,
    )


def swapaxes(x: Any, axis1: Any = 0, axis2: Any = 1, name: str = "") -> Function:
    """Return x with two axes exchanged."""
    return _node("TransposeAxes", [x], {"axis1": to_file(axis1), "axis2": to_file(axis2)}, name)
