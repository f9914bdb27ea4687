"""Operations that sum up, join or rearrange: matrix products, reductions, reshaping, slices."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from cntk._absent import refuse
from cntk._dictionary import FileAxis, NDShape, SizeT
from cntk.axis import Axis, static, to_file
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
        if keepdims or axis is None:
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
    keep = axes not in ([None], [Axis.all_axes()])
    return _node(
        "ReduceElements",
        [x],
        {**where, "reductionOpName": op, "reductionKeepDimensions": keep},
        name,
    )


def _dropping_order(operand: Variable, axes: list[Any]) -> list[int]:
    """Return the axes in an order in which dropping one does not renumber the next."""
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
argmax = _reduction("Argmax", "Return the position of the maximum along an axis, as a float.")
argmin = _reduction("Argmin", "Return the position of the minimum along an axis, as a float.")

# Shapes.


def reshape(
    x: Any,
    shape: int | Iterable[int],
    begin_axis: int | Axis | None = None,
    end_axis: int | Axis | None = None,
    name: str = "",
) -> Function:
    """Give the axes from `begin_axis` up to `end_axis` another shape; -1 follows from the rest."""
    new = NDShape(dim % 2**64 for dim in reversed(_as_shape(shape)))
    begin, end = (
        _bound(axis, default) for axis, default in ((end_axis, static(0)), (begin_axis, static(-1)))
    )
    return _node("Reshape", [x], {"newShape": new, "beginAxis": begin, "endAxis": end}, name)


def _bound(axis: int | Axis | None, default: FileAxis) -> FileAxis:
    if axis is None:
        return default
    if isinstance(axis, Axis):
        # Python's shapes are reversed, so a new leading axis of CNTK's stands behind the last one.
        axis = axis.static_axis_index()
        if axis == Axis.new_leading_axis().static_axis_index():
            return static(0)
    return static(-axis if axis < 0 else -axis - 1)


def flatten(x: Any, axis: int | None = None, name: str = "") -> Function:
    """Return x as a matrix: the axes before `axis`, 0 by default, are the rows."""
    middle = axis or 0
    build = lambda v: reshape(reshape(v, (-1,), middle, None), (-1 if middle else 1,), 0, middle)  # noqa: E731
    return _compound("Flatten", build, [x], name)


def squeeze(x: Any, axes: Any = None, name: str = "") -> Function:
    """Return x without its axes of length 1."""
    if axes is not None:
        raise refuse("squeeze(axes=...)")
    return _node("Squeeze", [x], None, name)


def slice(
    x: Any, axis: int, begin_index: int, end_index: int, strides: int = 1, name: str = ""
) -> Function:
    """Return x from `begin_index` to before `end_index` (0: to the end) along one axis."""
    if not isinstance(axis, int):
        raise refuse("slice along several axes at once")
    attributes = {
        "axis": to_file(axis),
        "beginIndex": int(begin_index),
        "endIndex": int(end_index),
        "sliceStrides": int(strides),
    }
    return _node("Slice", [x], attributes, name)


def splice(*inputs: Any, axis: int = -1, name: str = "") -> Function:
    """Join the operands along an axis."""
    return _node("Splice", inputs, {"axis": to_file(axis)}, name)


def transpose(x: Any, perm: Sequence[int] | None = None, name: str = "") -> Function:
    """Return x with its axes in the order of `perm`, reversed by default."""
    rank = len(as_variable(x).shape)
    order = [axis % rank for axis in (range(rank)[::-1] if perm is None else perm)]
    if sorted(order) != list(range(rank)):
        message = f"transpose: {tuple(perm or ())} is no order of the {rank} axes of {x!r}."
        raise ValueError(message)
    return _node(
        "TransposeAxes",
        [x],
        {"axisVec": [static(rank - 1 - axis) for axis in reversed(order)]},
        name,
    )


def swapaxes(x: Any, axis1: int = 0, axis2: int = 1, name: str = "") -> Function:
    """Return x with two axes exchanged."""
    return _node("TransposeAxes", [x], {"axis1": to_file(axis1), "axis2": to_file(axis2)}, name)


def combine(*operands: Any, name: str = "") -> Function:
    """Return one function with the outputs of all operands."""
    listed = (
        operands[0] if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
    )
    outputs = [
        v
        for part in listed
        for v in (part.outputs if isinstance(part, Function) else [as_variable(part)])
    ]
    return Function._of(tuple(outputs), name=name)


def as_composite(root_function: Function, name: str = "") -> Function:
    """Return the function itself."""
    return Function(root_function, name)
