"""Operations along the sequence axis. Shapes are those of one step."""

from typing import Any

import numpy as np
import numpy.typing as npt

from cntk import ops
from cntk._absent import absent
from cntk._dictionary import SizeT
from cntk.axis import Axis, static
from cntk.ops._building import _compound, _node
from cntk.ops.functions import Function
from cntk.variables import Shape, Variable

__all__ = [
    "broadcast_as",
    "delay",
    "first",
    "future_value",
    "gather",
    "input",
    "input_variable",
    "is_first",
    "is_last",
    "last",
    "past_value",
    "reduce_max",
    "reduce_sum",
    "scatter",
    "slice",
    "softmax",
    "unpack",
    "where",
]


def input_variable(
    shape: int | Shape,
    dtype: npt.DTypeLike = np.float32,
    needs_gradient: bool = False,
    is_sparse: bool = False,
    sequence_axis: Axis | None = None,
    name: str = "",
) -> Variable:
    """Return an input of sequences: data of `shape` for each step.

    Args:
        shape: Of one step.
        dtype: numpy's `float32` or `float64`.
        needs_gradient: Whether `grad` may ask for it.
        is_sparse: Whether its values are fed with their zeros left out.
        sequence_axis: Inputs with the same axis have sequences of the same lengths in each
            minibatch; the default one if none is given.
        name: A user's name for it.
    """
    axes = [Axis.default_batch_axis(), sequence_axis or Axis.default_dynamic_axis()]
    return ops.input_variable(shape, dtype, needs_gradient, is_sparse, axes, name)


input = input_variable  # the name of CNTK 2.0

# Steps before and after.


def past_value(x: Any, initial_state: Any = None, time_step: int = 1, name: str = "") -> Function:
    """Return for each step the value of `time_step` steps earlier.

    Args:
        x: A sequence.
        initial_state: What stands before the first step: a number, an array, a value without a
            sequence axis, or a sequence, whose last steps count. 0 by default.
        time_step: How many steps.
        name: Of the function.
    """
    return _delayed("PastValue", x, initial_state, time_step, name)


def future_value(x: Any, initial_state: Any = None, time_step: int = 1, name: str = "") -> Function:
    """Return for each step the value of `time_step` steps later.

    Args:
        x: A sequence.
        initial_state: What stands behind the last step, as for `past_value`; of a sequence its
            first steps count.
        time_step: How many steps.
        name: Of the function.
    """
    return _delayed("FutureValue", x, initial_state, time_step, name)


def _delayed(op: str, x: Any, initial_state: Any, time_step: int, name: str) -> Function:
    if time_step < 1:
        message = f"{op}: time_step must be at least 1, not {time_step}."
        raise ValueError(message)
    initial = 0.0 if initial_state is None else initial_state
    return _node(op, [x, initial], {"offset": SizeT(time_step)}, name)


def delay(x: Any, initial_state: Any = None, time_step: int = 1, name: str = "") -> Any:
    """Return `past_value` for a positive time_step, `future_value` for a negative one, x for 0."""
    if time_step > 0:
        return past_value(x, initial_state, time_step, name)
    if time_step < 0:
        return future_value(x, initial_state, -time_step, name)
    return ops.alias(x, name) if name else x


def is_first(seq: Any, name: str = "") -> Function:
    """Return 1 at the first step of each sequence, 0 elsewhere, shape ()."""
    return _compound("Sequence::IsFirst", lambda x: _edge(x, 1), [seq], name)


def is_last(seq: Any, name: str = "") -> Function:
    """Return 1 at the last step of each sequence, 0 elsewhere, shape ()."""
    return _compound("Sequence::IsLast", lambda x: _edge(x, -1), [seq], name)


def _edge(x: Any, width: int) -> Function:
    """Mark the first `width` steps; the last ones for a negative width."""
    zeros = ops.reconcile_dynamic_axes(0.0, x)
    return delay(zeros, 1.0, width)  # type: ignore[no-any-return]


# Choosing steps.


def first(seq: Any, name: str = "") -> Function:
    """Return the first step of each sequence; the result has no sequence axis."""
    return slice(seq, 0, 1, name)


def last(seq: Any, name: str = "") -> Function:
    """Return the last step of each sequence; the result has no sequence axis."""
    return slice(seq, -1, 0, name)


def slice(seq: Any, begin_index: int, end_index: int, name: str = "") -> Function:
    """Return the steps from `begin_index` to before `end_index`.

    Args:
        seq: A sequence.
        begin_index: Counted from the first step, or from the end if negative.
        end_index: Likewise; 0 is the end.
        name: Of the function.
    """
    if begin_index == end_index == 0:
        return ops.alias(seq, name)
    length = end_index - begin_index

    def build(x: Variable) -> Function:
        marks: Any = None
        if end_index != 0:
            marks = _edge(x, end_index)
            marks = ops.minus(1.0, marks) if end_index < 0 else marks
        if begin_index != 0:
            begin = _edge(x, begin_index)
            begin = ops.minus(1.0, begin) if begin_index > 0 else begin
            marks = begin if marks is None else ops.element_times(begin, marks)
        return _chosen(x, x, _where(marks, (0 if length > 0 else 1, length)))

    return _compound("Sequence::Slice", build, [seq], name)


def _where(condition: Any, lengths: tuple[int, int] | None, name: str = "") -> Function:
    """Return the chosen steps' positions.

    Args:
        condition: How often each step is chosen.
        lengths: The new length as a multiple of the old one, and what is added to that; None for a
            length that depends on the data.
        name: Of the function.
    """
    attributes: dict[str, Any] = {}
    if lengths is not None:
        attributes["newSequenceAxisLengthScalingFactor"] = SizeT(lengths[0])
        attributes["newSequenceAxisLengthAdditiveFactor"] = int(lengths[1])
    return _node("Where", [condition], attributes, name)


def _chosen(x: Any, like: Any, where: Any) -> Function:
    return _node("GatherPacked", [x, _node("PackedIndex", [like, where])])


def where(condition: Any, name: str = "") -> Function:
    """Return the positions of the steps where the condition is not 0, as a new sequence.

    Args:
        condition: Shape (); another number than 0 or 1 says how often the step is repeated. What a
            broken number is rounded up by, the next one gets less.
        name: Of the function.
    """
    return _where(condition, None, name)


def gather(
    seq: Any,
    condition: Any,
    new_sequence_axis_typeinfo: tuple[int, int] | None = None,
    name: str = "",
) -> Function:
    """Return the steps of a sequence where the condition is not 0, as a new sequence.

    Args:
        seq: A sequence.
        condition: As for `where`; of the same lengths.
        new_sequence_axis_typeinfo: The new length as a multiple of the old one, and what is added
            to that: (0, 1) for exactly one step. By default the new axis is one of its own.
        name: Of the function.
    """
    return _compound(
        "Sequence::Gather",
        lambda x, c: _chosen(x, x, _where(c, new_sequence_axis_typeinfo)),
        [seq, condition],
        name,
    )


def scatter(
    seq: Any,
    condition: Any,
    new_sequence_axis_typeinfo: tuple[int, int] | None = None,
    name: str = "",
) -> Function:
    """Put the steps of a sequence where the condition is not 0, zeros elsewhere.

    Args:
        seq: As many steps as the condition chooses.
        condition: As for `where`; the result has its lengths.
        new_sequence_axis_typeinfo: As for `gather`.
        name: Of the function.
    """

    def build(x: Variable, c: Variable) -> Function:
        index = _node("PackedIndex", [c, _where(c, new_sequence_axis_typeinfo)])
        return _node("ScatterPacked", [x, index, c])

    return _compound("Sequence::Scatter", build, [seq, condition], name)


def broadcast_as(operand: Any, broadcast_as_operand: Any, name: str = "") -> Function:
    """Repeat a value without a sequence axis for each step of another operand's sequences."""
    return _compound(
        "Sequence::BroadcastAs",
        ops.reconcile_dynamic_axes,
        [operand, broadcast_as_operand],
        name,
    )


# Reductions.


def reduce_sum(seq: Any, name: str = "") -> Function:
    """Return the sum of all steps of each sequence; the result has no sequence axis."""
    return _reduced(seq, "Sum", 0.0, name)


def reduce_max(seq: Any, name: str = "") -> Function:
    """Return the maximum of all steps of each sequence; the result has no sequence axis."""
    return _reduced(seq, "Max", float("-inf"), name)


def _reduced(seq: Any, kind: str, padding: float, name: str) -> Function:
    def build(x: Variable) -> Function:
        attributes = {
            "axis": static(-1),
            "reductionOpName": kind,
            "reductionKeepDimensions": False,
        }
        return _node("ReduceElements", [unpack(x, padding, no_mask_output=True)], attributes)

    return _compound("Sequence::ReduceElements", build, [seq], name)


def softmax(seq: Any, name: str = "") -> Function:
    """Return exp(x) divided by its sum over all steps, element by element."""

    def build(x: Variable) -> Function:
        powers = ops.exp(ops.minus(x, broadcast_as(reduce_max(x), x)))
        return ops.element_divide(powers, broadcast_as(reduce_sum(powers), x))

    return _compound("Sequence::Softmax", build, [seq], name)


def unpack(x: Any, padding_value: float, no_mask_output: bool = False, name: str = "") -> Function:
    """Let the sequence axis be the first static axis.

    Args:
        x: A sequence.
        padding_value: Fills the gaps behind the ends of shorter sequences.
        no_mask_output: Whether to leave out the second output: 1 for a step, 0 for a gap.
        name: Of the function.

    Returns:
        Shapes (longest,) + x's shape and (longest,).
    """
    attributes = {
        "sequenceUnpackPaddingValue": float(padding_value),
        "sequenceUnpackSuppressMaskOutput": bool(no_mask_output),
    }
    return _node("UnpackSequenceOp", [x], attributes, name)


__getattr__ = absent(__name__)
