"""Rows of the table that compare two operands: distances, losses and metrics over a minibatch.

Some of CNTK's add up the whole minibatch themselves: their result has no batch axis.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, final

import torch
from torch import Tensor

from cntk._dictionary import Dictionary
from cntk._graph import Bound, Node, Operation
from cntk.axis import Axes
from cntk.variables import Shape, Variable

_TINY: Final = 1e-6
"""What CNTK keeps vectors' lengths away from 0 with."""


def _whole(_name: str, _attributes: Dictionary, _operands: Sequence[Variable]) -> Axes:
    return ()


def _scalar(_attributes: Dictionary, _operands: Sequence[Variable]) -> Shape:
    return ()


def _flat(x: Tensor, variable: Variable) -> Tensor:
    """Return samples as rows."""
    return x.reshape(len(x) if variable._batched else 1, -1)


def _on_rows(function: Callable[..., Tensor]) -> Callable[[Node, bool], Bound]:
    """Let a function of samples as rows run on a node's operands."""

    def bind(node: Node, _training: bool) -> Bound:
        variables = node.inputs

        def run(*tensors: Tensor) -> Tensor:
            return function(*map(_flat, tensors, variables))

        return run

    return bind


def _cosine(x: Tensor, y: Tensor) -> Tensor:
    length_x, length_y = (torch.sqrt((v * v).sum(1).clamp_min(_TINY**2)) for v in (x, y))
    return (x * y).sum(1) / (length_x * length_y)


def _cosine_shape(_attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    if operands[0].shape != operands[1].shape:
        message = f"CosDistance: {operands[0]!r} and {operands[1]!r} differ in shape."
        raise ValueError(message)
    return ()


def _cosine_samples_shape(_attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    return (int(operands[3]._tensor) + 1,)


def _cosine_samples(node: Node, _training: bool) -> Bound:
    """Compare with the own partner first, then with those of the samples `shift` further on."""
    shift, count = (int(v._tensor) for v in node.inputs[2:])

    def run(x: Tensor, y: Tensor, _shift: Tensor, _count: Tensor) -> Tensor:
        x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
        others = [torch.roll(y, -(shift + k), 0) for k in range(count)]
        return torch.stack([_cosine(x, other) for other in (y, *others)], 1)

    return run


def _squared(x: Tensor, y: Tensor) -> Tensor:
    return ((x - y) ** 2).sum()


def _cross_entropy(labels: Tensor, z: Tensor) -> Tensor:
    return (torch.logsumexp(z, 1) - (labels * z).sum(1)).sum()


def _logistic(p: Tensor, y: Tensor, *weight: Tensor) -> Tensor:
    terms = y * torch.log(p) + (1 - y) * torch.log1p(-p)
    if not weight:
        return -terms.sum()
    total = -(terms * weight[0]).sum()
    # With weights CNTK reports the weighted mean times the number of samples, but its gradient is
    # that of the sum.
    return total.detach() * len(p) / weight[0].sum() + (total - total.detach())


def _logistic_shape(_attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    if len({v.shape for v in operands}) > 1:
        message = (
            "The Matrix dimensions of the arguments of the Logistic operation do not match: "
            f"{', '.join(map(repr, operands))}."
        )
        raise RuntimeError(message)
    return ()


def _wrong(z: Tensor, y: Tensor, *top: Tensor) -> Tensor:
    """Count the samples whose true class is not among the first ones."""
    places = torch.argsort(z, dim=1, descending=True, stable=True)[:, : int(top[0]) if top else 1]
    return (places != y.argmax(1, keepdim=True)).all(1).sum().to(z.dtype)


# Ranking. The documents of a query stand together, the best one first.


def _queries(query: Tensor) -> list[slice]:
    ids = query.flatten().tolist()
    starts = [i for i, number in enumerate(ids) if i == 0 or number != ids[i - 1]]
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(ids)], strict=True)]


def _discounts(scores: Tensor) -> Tensor:
    """Return each document's 1 / log2(rank + 1) by its score; of equal ones the later leads."""
    order = torch.argsort(scores.flip(0), descending=True, stable=True)
    ranks = torch.empty_like(order)
    ranks[len(scores) - 1 - order] = torch.arange(len(scores), device=scores.device)
    return 1 / torch.log2(ranks.to(scores.dtype) + 2)


def _ideal(gains: Tensor) -> Tensor:
    return (gains / torch.log2(torch.arange(len(gains), device=gains.device) + 2)).sum()


@final
class _LambdaRank(torch.autograd.Function):
    """C. Burges, From RankNet to LambdaRank to LambdaMART, 2010, with gains as they are given."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, gains: Tensor, query: Tensor) -> Tensor:
        slopes = torch.zeros_like(scores)
        groups = _queries(query)
        lost = scores.new_zeros(())
        for part in groups:
            z, g = scores[part], gains[part]
            ideal, discount = _ideal(g), _discounts(z)
            if ideal == 0:
                lost += 1
                continue
            lost += 1 - (g * discount).sum() / ideal
            better = torch.triu(g[:, None] > g[None, :], 1)
            change = ((g[:, None] - g[None, :]) * (discount[:, None] - discount[None, :])).abs()
            force = torch.sigmoid(z[None, :] - z[:, None]) * change / ideal * better
            slopes[part] = force.sum(0) - force.sum(1)
        ctx.save_for_backward(slopes)
        return 100 * lost * len(scores) / len(groups)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (slopes,) = ctx.saved_tensors
        return gradient * slopes, None, None


def _lambda_rank(scores: Tensor, gains: Tensor, query: Tensor) -> Tensor:
    result: Tensor = _LambdaRank.apply(scores.flatten(), gains.flatten(), query)  # type: ignore[no-untyped-call]
    return result


def _ndcg(scores: Tensor, gains: Tensor, query: Tensor) -> Tensor:
    """Return 100 times the gain of each query's first document as a share of the best one's."""
    groups = _queries(query)
    shares = scores.new_zeros(())
    for part in groups:
        g, first = gains[part].flatten(), _discounts(scores[part].flatten()).argmax()
        shares += g[first] / g[0] if g[0] > 0 else 0
    return 100 * shares * len(scores) / len(groups)


def _ranking_shape(_attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    if any(v.shape not in ((), (1,)) for v in operands):
        message = f"A ranking takes one score, gain and query for each sample, not {operands}."
        raise ValueError(message)
    return ()


ROWS: Final[tuple[Operation, ...]] = (
    Operation(34, "SquaredError", _scalar, _on_rows(_squared), axes=_whole),
    Operation(35, "CrossEntropyWithSoftmax", _scalar, _on_rows(_cross_entropy), axes=_whole),
    Operation(36, "ClassificationError", _scalar, _on_rows(_wrong), axes=_whole),
    Operation(48, "Logistic", _logistic_shape, _on_rows(_logistic), axes=_whole),
    Operation(53, "CosDistance", _cosine_shape, _on_rows(_cosine)),
    Operation(59, "LambdaRank", _ranking_shape, _on_rows(_lambda_rank), axes=_whole),
    Operation(60, "NDCG", _ranking_shape, _on_rows(_ndcg), axes=_whole),
    Operation(67, "CosDistanceWithNegativeSamples", _cosine_samples_shape, _cosine_samples),
)
