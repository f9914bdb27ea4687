"""Losses: what training makes small."""

from typing import Any

from cntk import ops
from cntk._absent import absent, refuse
from cntk.ops._building import _compound
from cntk.ops.functions import Function


def cross_entropy_with_softmax(
    output_vector: Any, target_vector: Any, axis: int = -1, name: str = ""
) -> Function:
    """Return logsumexp(z) - sum(y * z), shape (1,).

    Args:
        output_vector: z, before any softmax, shape (classes,).
        target_vector: y, shape (classes,); what it does not add up to 1 counts as it is.
        axis: The last; no other is provided.
        name: Of the function.
    """
    if axis != -1:
        raise refuse(f"cross_entropy_with_softmax(axis={axis})")

    def build(z: Any, y: Any) -> Any:
        return ops.minus(ops.reduce_log_sum_exp(z, -1), ops.times_transpose(z, y))

    return _compound("CrossEntropyWithSoftmax", build, [output_vector, target_vector], name)


def squared_error(output: Any, target: Any, name: str = "") -> Function:
    """Return the sum of squared differences over all elements, shape ()."""

    def build(a: Any, b: Any) -> Any:
        difference = ops.minus(a, b)
        return ops.reduce_sum(ops.element_times(difference, difference))

    return _compound("SquaredError", build, [output, target], name)


def binary_cross_entropy(output: Any, target: Any, name: str = "") -> Function:
    """Return -(y * log(p) + (1 - y) * log(1 - p)), element by element, kept finite."""

    def build(p: Any, y: Any) -> Any:
        zeros = ops.element_times(ops.minus(1.0, y), ops.log(ops.minus(1.000001, p)))
        return ops.negate(ops.plus(ops.element_times(y, ops.log(ops.plus(0.000001, p))), zeros))

    return _compound("BinaryCrossEntropy", build, [output, target], name)


__getattr__ = absent(__name__)
