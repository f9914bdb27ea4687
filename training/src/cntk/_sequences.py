"""Rows of the table that know sequences: delays, choosing and placing steps, packing and unpacking.

What these operations bind takes the layouts of all operands first, None for an operand that has no
sequence axis.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import torch

from cntk._dictionary import Dictionary, FileAxis
from cntk._elementwise import common_shape
from cntk._graph import Bound, Node, Operation, behind
from cntk._layout import Layout, on_device
from cntk.axis import BATCH, Axes
from cntk.variables import FreeDimension, Shape, Variable

_Tensor = torch.Tensor
_Layouts = Layout | None

# Delays.


def _delay_axes(name: str, _attributes: Dictionary, operands: Sequence[Variable]) -> Axes | None:
    operand = operands[0]
    if operand._axes is not None and len(operand._axes) != 2:
        message = (
            f"PastValue/FutureValue Function '{name}: {operand!r} -> Unknown': Input operand "
            f"'{operand!r}' with #dynamic axes != 2 (1 sequence axis and 1 batch axis) is not "
            "supported."
        )
        raise RuntimeError(message)
    return operand._axes


def steps_back(node: Node) -> int:
    """Return how many steps a delay looks back; negative for a look ahead."""
    offset = int(node.attributes["offset"])
    return offset if node.op.name == "PastValue" else -offset


def before_the_first(node: Node) -> Callable[[Layout, _Layouts, _Tensor], _Tensor]:
    """Return what gives each row of a delay's result its initial state.

    The function takes the layout, the initial state's own layout and its value, and returns a
    tensor of shape (rows or 1,) + shape.
    """
    initial, shape = node.inputs[1], node.outputs[0].shape
    back = steps_back(node)

    def rows(layout: Layout, own: _Layouts, state: _Tensor) -> _Tensor:
        if own is not None:
            state = state.index_select(0, layout.beyond(back, own))
        elif initial._batched:
            state = state.index_select(0, layout.sequence_of_row)
        else:
            state = state[None]
        return _spread(state, shape)

    return rows


def _spread(rows: _Tensor, shape: Shape) -> _Tensor:
    """Repeat rows of a smaller sample shape to fill the shape."""
    if rows.shape[1:] == shape:
        return rows
    missing = len(shape) + 1 - rows.dim()
    return rows.reshape(len(rows), *(1,) * missing, *rows.shape[1:]).expand(-1, *shape)


def _delay(node: Node, _training: bool) -> Bound:
    back, initial = steps_back(node), before_the_first(node)
    shape = node.outputs[0].shape
    ones = (1,) * len(shape)

    def run(layout: Layout, own: _Layouts, x: _Tensor, state: _Tensor) -> _Tensor:
        rows, inside = layout.shifted(back)
        before = initial(layout, own, state)
        moved = _spread(x.index_select(0, rows), shape)
        return torch.where(inside.view(-1, *ones), moved, before)

    return run


# Choosing steps.


def _need_sequence(name: str, operand: Variable) -> None:
    if operand._axes is not None and operand._sequence is None:
        message = f"Operation '{name}': Operand '{operand!r}' has no sequence axis."
        raise RuntimeError(message)


def _where_axes(name: str, attributes: Dictionary, operands: Sequence[Variable]) -> Axes | None:
    _need_sequence(name, operands[0])
    return _new_axes(attributes)


def _new_axes(attributes: Dictionary) -> Axes | None:
    if "newDynamicAxes" not in attributes:
        return None
    return tuple(sorted(attributes["newDynamicAxes"], key=lambda axis: axis.ordered))


def _settle_where(attributes: Dictionary, operands: Sequence[Variable]) -> Dictionary:
    """Name the new axis once the old one is known, as CNTK names it."""
    (condition,) = operands
    old = condition._sequence
    if "newDynamicAxes" in attributes or old is None:
        return attributes
    # Equal conditions give equal axes, so what makes the condition is asked for its name.
    title = f"whereNodeDynamicAxis_conditionVar_{behind(condition).uid}"
    axis: FileAxis | None = FileAxis(old.index, title, ordered=True)
    if "newSequenceAxisLengthScalingFactor" in attributes:
        factor = int(attributes["newSequenceAxisLengthScalingFactor"])
        axis = _derived(old, factor, int(attributes["newSequenceAxisLengthAdditiveFactor"]))
    return {**attributes, "newDynamicAxes": [*([axis] if axis else []), BATCH]}


def _derived(axis: FileAxis, factor: int, more: int) -> FileAxis | None:
    """Return the axis of sequences whose length is `factor` times that of others, plus `more`.

    None when that is always one step: then it is no sequence.
    """
    if (factor, more) == (1, 0):
        return axis
    if factor == 0:
        return None if more == 1 else _named_after(axis, f"_fixedSliceOf_{more}")
    sign = "plus" if more > 0 else "minus"
    end = f"_{sign}_{abs(more)}" if more else ""
    return _named_after(axis, f"_times_{factor}{end}")


def _named_after(axis: FileAxis, end: str) -> FileAxis:
    return FileAxis(axis.index, axis.name + end, ordered=True)


def _where(node: Node, _training: bool) -> Bound:
    sequences = node.outputs[0]._sequence is not None

    def run(layout: Layout, condition: _Tensor) -> tuple[_Tensor, _Layouts]:
        factors = condition.detach().reshape(-1)[layout.to_listed].cpu().numpy().astype(np.float64)
        sums = np.cumsum(factors)
        # Each sequence counts for itself: take off what came before it.
        before = np.concatenate([[0.0], sums])[layout.starts[:-1]]
        ends = np.ceil(sums - np.repeat(before, layout.lengths)).astype(np.int64)
        begins = np.concatenate([[0], ends[:-1]])
        begins[layout.starts[:-1]] = 0
        steps = np.arange(layout.rows) - np.repeat(layout.starts[:-1], layout.lengths)
        chosen = np.repeat(steps, ends - begins)
        lengths = ends[layout.starts[1:] - 1]
        if not sequences:
            if (lengths != 1).any():
                message = f"{node.uid}: a sequence does not have exactly one chosen step."
                raise RuntimeError(message)
            return on_device(chosen).to(condition.dtype), None
        made = Layout.of(lengths)
        return on_device(chosen)[made.to_packed].to(condition.dtype), made

    return run


def _index_axes(name: str, _attributes: Dictionary, operands: Sequence[Variable]) -> Axes | None:
    _need_sequence(name, operands[0])
    return operands[1]._axes


def _second_axes(_name: str, _attributes: Dictionary, operands: Sequence[Variable]) -> Axes | None:
    return operands[1]._axes


def _last_axes(name: str, _attributes: Dictionary, operands: Sequence[Variable]) -> Axes | None:
    _need_sequence(name, operands[-1])
    return operands[-1]._axes


def _scalar(_attributes: Dictionary, _operands: Sequence[Variable]) -> Shape:
    return ()


def _first_shape(_attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    return operands[0].shape


def _by_rows(_attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    if operands[1].shape != () or not operands[1]._batched:
        message = f"'{operands[1]!r}' is no index of steps: it must be one number for each."
        raise ValueError(message)
    return operands[0].shape


def _packed_index(_node: Node, _training: bool) -> Bound:
    """Turn steps of sequences into rows."""

    def run(layout: Layout, chosen: _Layouts, _x: Any, steps: _Tensor) -> _Tensor:
        if chosen is None:
            sequences = on_device(np.arange(len(layout.lengths)))
        else:
            sequences = chosen.sequence_of_row
        offsets, rank = on_device(layout.offsets), on_device(layout.rank)
        return offsets[steps.detach().long()] + rank[sequences]

    return run


def _gather(_node: Node, _training: bool) -> Bound:
    return lambda _layout, _chosen, x, rows: x.index_select(0, rows)


def _scatter(_node: Node, _training: bool) -> Bound:
    def run(
        _own: _Layouts, _chosen: _Layouts, layout: Layout, x: _Tensor, rows: _Tensor, _c: _Tensor
    ) -> _Tensor:
        return x.new_zeros((layout.rows, *x.shape[1:])).index_copy(0, rows, x)

    return run


def _reconcile(node: Node, _training: bool) -> Bound:
    """Give a value the dynamic axes of another one."""
    operand, like = node.inputs
    shape = operand.shape

    def run(own: _Layouts, layout: _Layouts, x: _Tensor, other: Any) -> _Tensor:
        if not operand._batched:
            return x.expand(len(other), *shape)
        if own is not None and layout is not None:
            fits = own.same(layout)
        elif layout is not None:
            fits = len(x) == len(layout.lengths)
        else:
            fits = own is None and len(x) == len(other)
        if not fits:
            message = (
                f"{node.uid} ReconcileDynamicAxis operation discovered that {operand.uid} produced "
                f"an MB layout that is incompatible with that of {like.uid}."
            )
            raise ValueError(message)
        return x if own is not None or layout is None else x.index_select(0, layout.sequence_of_row)

    return run


# Packing and unpacking.


def _pack_axes(_name: str, attributes: Dictionary, operands: Sequence[Variable]) -> Axes | None:
    if operands[0]._axes is None:
        return None
    return _new_axes(attributes)


def _settle_pack(attributes: Dictionary, operands: Sequence[Variable]) -> Dictionary:
    if "newDynamicAxes" in attributes:
        return attributes
    name = f"{attributes.get('sequenceAxis', 'toSequence_')}{operands[0].uid}"
    return {**attributes, "newDynamicAxes": [FileAxis(BATCH.index, name, ordered=True), BATCH]}


def _without_first(_attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    return operands[0].shape[1:]


def _to_sequence(node: Node, _training: bool) -> Bound:
    """Let the first static axis be the sequence axis."""

    def run(_own: _Layouts, *operands: Any) -> tuple[_Tensor, Layout]:
        x, given = operands[-1], None
        if len(node.inputs) > 1:
            x, given = operands[-2:]
        count, steps = x.shape[:2]
        if given is None:
            lengths = np.full(count, steps)
        else:
            lengths = given.detach().reshape(-1).cpu().numpy().astype(np.int64)
        layout = Layout.of(lengths)
        rows = layout.sequence_of * steps + layout.step_of
        return x.reshape(count * steps, *x.shape[2:]).index_select(0, on_device(rows)), layout

    return run


def _to_sequence_like(node: Node, _training: bool) -> Bound:
    def run(_own: _Layouts, layout: Layout, x: _Tensor, _like: Any) -> _Tensor:
        steps = x.shape[1]
        if steps != len(layout.counts):
            message = (
                f"{node.uid} ToSequenceLike operation's Input(0) trailing dimension ({steps}) must "
                f"match the number of timesteps ({len(layout.counts)}) in Input(1)'s MBLayout."
            )
            raise ValueError(message)
        rows = on_device(layout.sequence_of * steps + layout.step_of)
        return x.reshape(len(x) * steps, *x.shape[2:]).index_select(0, rows)

    return run


def _batch_axes(name: str, _attributes: Dictionary, operands: Sequence[Variable]) -> Axes | None:
    _need_sequence(name, operands[0])
    axes = operands[0]._axes
    return None if axes is None else tuple(axis for axis in axes if not axis.ordered)


def _unpacked_shape(_attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    return (FreeDimension, *operands[0].shape)


def _mask_shape(attributes: Dictionary, _operands: Sequence[Variable]) -> tuple[Shape, ...]:
    return () if attributes["sequenceUnpackSuppressMaskOutput"] else ((FreeDimension,),)


def _unpack(node: Node, _training: bool) -> Bound:
    """Let the sequence axis be the first static axis, the gaps filled."""
    padding = float(node.attributes["sequenceUnpackPaddingValue"])
    masked = len(node.outputs) > 1

    def run(layout: Layout, x: _Tensor) -> Any:
        count, steps = len(layout.lengths), len(layout.counts)
        rows = on_device(layout.sequence_of * steps + layout.step_of)
        flat = x.new_full((count * steps, *x.shape[1:]), padding).index_copy(0, rows, x)
        whole = flat.view(count, steps, *x.shape[1:])
        if not masked:
            return whole
        mask = x.new_zeros(count * steps).index_fill(0, rows, 1.0).view(count, steps)
        return whole, mask

    return run


ROWS: Final[tuple[Operation, ...]] = (
    *(
        Operation(
            code,
            name,
            common_shape,
            _delay,
            attributes=("offset",),
            axes=_delay_axes,
            along=0,
            lenient=True,
        )
        for code, name in ((37, "PastValue"), (38, "FutureValue"))
    ),
    Operation(13, "Where", _scalar, _where, _settle_where, axes=_where_axes, along=-1),
    Operation(
        28, "PackedIndex", _scalar, _packed_index, axes=_index_axes, along=1, takes_sparse=True
    ),
    Operation(
        29,
        "GatherPacked",
        _by_rows,
        _gather,
        axes=_second_axes,
        along=1,
        takes_sparse=True,
        keeps_sparse=True,
    ),
    Operation(30, "ScatterPacked", _by_rows, _scatter, axes=_last_axes, along=2),
    Operation(
        50,
        "ReconcileDynamicAxis",
        _first_shape,
        _reconcile,
        axes=_second_axes,
        along=1,
        takes_sparse=True,
        keeps_sparse=True,
    ),
    Operation(
        70, "ToSequenceOp", _without_first, _to_sequence, _settle_pack, axes=_pack_axes, along=-1
    ),
    Operation(71, "ToSequenceLikeOp", _without_first, _to_sequence_like, axes=_last_axes, along=1),
    Operation(
        72,
        "UnpackSequenceOp",
        _unpacked_shape,
        _unpack,
        attributes=("sequenceUnpackPaddingValue", "sequenceUnpackSuppressMaskOutput"),
        axes=_batch_axes,
        more=_mask_shape,
        along=0,
    ),
)
