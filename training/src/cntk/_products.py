"""Rows of the table for matrix products.

Files have the operands as column-major matrices: the right one of Python first.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch

from cntk._dictionary import Dictionary
from cntk._graph import Bound, Node, Operation, infer_dimensions
from cntk._sparse import SparseRows
from cntk.variables import InferredDimension, Shape, Variable

_Tensor = torch.Tensor


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
            f"Times: the operands {left!r} and {right!r} do not go together: the last dimensions "
            "of the first must be "
            "the first of the second."
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
        # Rows whose zeros are left out are those of the last axis: a sum over more must fill them.
        narrow = len(dims[1]) == 1
        lead = (-1,) if left_batched or right_batched else ()
        vectors = narrow and not dims[0] and left_batched and right_batched

        def run(right: Any, left: Any) -> _Tensor:
            if isinstance(left, SparseRows):
                if narrow and not right_batched:
                    # A parameter as it is: only so its gradient can leave out what is not used.
                    matrix = right if right.shape == flat_right else right.reshape(flat_right)
                    picked: _Tensor = left.times(matrix.T if transpose else matrix)
                    return picked.reshape(-1, *result)
                left = left.dense()
            if isinstance(right, SparseRows):
                if transpose and vectors and len(right.shape) == 1:
                    return right.dot(left).view(-1, 1)
                right = right.dense()
            if not right_batched:
                matrix = right.reshape(flat_right)
                product = left.reshape(-1, inner) @ (matrix.T if transpose else matrix)
            else:
                matrix = right.reshape(-1, *flat_right)
                operand = (
                    left.reshape(-1, rest, inner) if left_batched else left.reshape(rest, inner)
                )
                product = torch.matmul(operand, matrix.mT if transpose else matrix)
            made: _Tensor = product.reshape(*lead, *result)
            return made

        return run

    return shape, bind


ROWS: Final[tuple[Operation, ...]] = (
    Operation(
        31,
        "Times",
        *_product(transpose=False),
        attributes=("outputRank", "inferInputRankToMap"),
        takes_sparse=True,
    ),
    Operation(
        32,
        "TransposeTimes",
        *_product(transpose=True),
        attributes=("outputRank",),
        takes_sparse=True,
    ),
)
