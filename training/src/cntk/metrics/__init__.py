"""Metrics: what is reported beside the loss."""

from typing import Any

from cntk import ops
from cntk._absent import absent, refuse
from cntk.ops._building import _compound
from cntk.ops.functions import Function


def classification_error(
    output_vector: Any, target_vector: Any, axis: int = -1, topN: int = 1, name: str = ""
) -> Function:
    """Return 1 where the greatest output is not at the target's place, else 0, shape (1,).

    Args:
        output_vector: Scores, shape (classes,); of equal ones the first counts.
        target_vector: One-hot, shape (classes,).
        axis: The last; no other is provided.
        topN: 1; nothing else is provided.
        name: Of the function.
    """
    if axis != -1 or topN != 1:
        raise refuse(f"classification_error(axis={axis}, topN={topN})")

    def build(z: Any, y: Any) -> Any:
        return ops.minus(1.0, ops.times_transpose(ops.hardmax(z), y))

    return _compound("ClassificationError", build, [output_vector, target_vector], name)


__getattr__ = absent(__name__)
