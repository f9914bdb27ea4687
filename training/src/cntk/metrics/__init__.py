"""Metrics: what is reported beside the loss."""

from typing import Any

from cntk import ops
from cntk._absent import absent
from cntk.ops._building import _compound, _node, _variables
from cntk.ops.functions import Function


def classification_error(
    output_vector: Any, target_vector: Any, axis: Any = -1, topN: int = 1, name: str = ""
) -> Function:
    """Return 1 where the greatest output is not at the target's place, else 0, shape (1,).

    Args:
        output_vector: Scores, shape (classes,); of equal ones the first counts.
        target_vector: One-hot, shape (classes,).
        axis: Of the classes. Along another than the last the result is the share of wrong places,
            shape ().
        topN: The target may be among that many greatest outputs; with more than 1 the result is the
            number of wrong samples of a whole minibatch.
        name: Of the function.
    """
    if topN != 1:
        operands = [output_vector, target_vector, float(topN)]
        return _node("ClassificationError", operands, None, name)

    def build(z: Any, y: Any) -> Any:
        if axis == -1:
            return ops.minus(1.0, ops.times_transpose(ops.hardmax(z), y))
        greatest = ops.equal(z, ops.reduce_max(z, axis))
        wrong = ops.reduce_sum(ops.not_equal(y, greatest), axis)
        return ops.reduce_mean(ops.greater_equal(wrong, 1.0))

    return _compound("ClassificationError", build, [output_vector, target_vector], name)


def ndcg_at_1(output: Any, gain: Any, group: Any, name: str = "") -> Function:
    """Return 100 times the gain of each query's first document as a share of its best one's.

    Args:
        output: A document's score, shape (1,).
        gain: How good it is, shape (1,).
        group: The number of its query, shape (1,); a query's documents stand together, the best one
            first.
        name: Of the function.

    Returns:
        A function for a minibatch as a whole, averaged over queries.
    """
    if any(v.needs_gradient for v in _variables([output, gain, group])):
        message = "NDCG1Eval operation needs input type (no gradient) for the 1st input."
        raise ValueError(message)
    return _node("NDCG", [output, gain, group], None, name)


__getattr__ = absent(__name__)
