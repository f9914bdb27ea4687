"""Operations between values with and without a sequence axis, and one-hot vectors."""

from typing import Any

from cntk._dictionary import SizeT
from cntk.axis import Axis, to_file
from cntk.ops._building import _node
from cntk.ops.functions import Function


def reconcile_dynamic_axes(x: Any, dynamic_axes_as: Any, name: str = "") -> Function:
    """Return x with the dynamic axes of another operand; sequences must have its lengths.

    Args:
        x: Shape any; without a sequence axis each step gets its sequence's value.
        dynamic_axes_as: Whose axes the result has.
        name: Of the function.
    """
    return _node("ReconcileDynamicAxis", [x, dynamic_axes_as], None, name)


def to_sequence(
    x: Any,
    sequence_lengths: Any = None,
    sequence_axis_name_prefix: str = "toSequence_",
    name: str = "",
) -> Function:
    """Let the first static axis be a new sequence axis.

    Args:
        x: Shape (steps, ...) for each sample.
        sequence_lengths: How many of the steps count, shape () for each sample; all by default.
        sequence_axis_name_prefix: The new axis' name begins so.
        name: Of the function.
    """
    operands = [x] if sequence_lengths is None else [x, sequence_lengths]
    return _node("ToSequenceOp", operands, {"sequenceAxis": sequence_axis_name_prefix}, name)


def to_sequence_like(x: Any, dynamic_axes_like: Any, name: str = "") -> Function:
    """Let the first static axis be the sequence axis of another operand.

    Args:
        x: Shape (steps, ...) for each sample, with the longest sequence's steps.
        dynamic_axes_like: Whose axis, and lengths, the result has.
        name: Of the function.
    """
    return _node("ToSequenceLikeOp", [x, dynamic_axes_like], None, name)


def one_hot(
    x: Any, num_classes: int, sparse_output: bool = False, axis: int | Axis = -1, name: str = ""
) -> Function:
    """Return for each number a vector with 1 at that place.

    Args:
        x: Whole numbers from 0, any shape.
        num_classes: How long the vectors are; a number outside gives zeros.
        sparse_output: Kept in files.
        axis: Where the new axis stands, counted in the result's shape.
        name: Of the function.
    """
    attributes = {
        "numClass": SizeT(num_classes),
        "oneHotOutputSparse": bool(sparse_output),
        "onehotAxis": to_file(axis),
    }
    return _node("OneHotOp", [x], attributes, name)
