"""Evaluating a function and deriving it, on arrays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from cntk._feed import feed, named
from cntk.variables import Variable

if TYPE_CHECKING:
    from cntk.ops.functions import Function

Arrays = dict[Variable, Any]


@final
@dataclass(frozen=True, slots=True)
class BackPropState:
    """What a forward evaluation keeps for a backward one.

    Args:
        fed: The arguments' tensors.
        made: The outputs' tensors, with all that led to them.
    """

    fed: dict[Variable, torch.Tensor]
    made: dict[Variable, torch.Tensor]


def _fed(function: "Function", arguments: Any) -> dict[Variable, torch.Tensor]:
    if arguments is None and function.arguments:
        message = f"function expects {len(function.arguments)} arguments"
        raise ValueError(message)
    return feed(named(function.arguments, arguments, repr(function)))


def _array(tensor: torch.Tensor) -> Any:
    return tensor.detach().cpu().numpy()


def evaluate(function: "Function", arguments: Any, wanted: Sequence[Variable] | None) -> Any:
    """Return the only output's array, or the wanted outputs' arrays by variable."""
    fed = _fed(function, arguments)
    with torch.no_grad():
        results = function._program(training=False).run(fed)
    made = {v: _array(t) for v, t in zip(function.outputs, results, strict=True)}
    if wanted is not None:
        made = {v: made[v] for v in wanted}
    return made if len(made) > 1 else next(iter(made.values()))


def forward(
    function: "Function", arguments: Any, wanted: Sequence[Variable], kept: Iterable[Variable]
) -> tuple[BackPropState | None, Arrays]:
    """Return what `backward` needs, None if nothing is to be kept, and the outputs' arrays."""
    fed = _fed(function, arguments)
    if not list(kept):
        with torch.no_grad():
            results = function._program(training=False).run(fed)
        state = None
    else:
        for tensor in fed.values():
            tensor.requires_grad_()
        results = function._program(training=False).run(fed)
        state = BackPropState(fed, dict(zip(function.outputs, results, strict=True)))
    made = dict(zip(function.outputs, results, strict=True))
    return state, {v: _array(made[v]) for v in wanted}


def backward(
    state: BackPropState | None, root_gradients: Mapping[Variable, Any], wanted: Iterable[Variable]
) -> Arrays:
    """Return the gradients of some leaves, for gradients of some outputs."""
    if state is None:
        message = (
            "You are attempting to backpropagate on a minibatch for which the corresponding "
            "forward operation did not keep any intermediate results, Please set "
            "keep_for_backward in forward to the variables in root_gradients.keys()"
        )
        raise ValueError(message)
    leaves = list(wanted)
    roots = [state.made[v] for v in root_gradients]
    seeds = [
        torch.as_tensor(np.asarray(value), dtype=root.dtype, device=root.device).expand_as(root)
        for root, value in zip(roots, root_gradients.values(), strict=True)
    ]
    tensors = [state.fed[v] if v in state.fed else v._tensor for v in leaves]  # noqa: SIM401 (an input has no tensor)
    found = torch.autograd.grad(roots, tensors, seeds, retain_graph=True, materialize_grads=True)
    return {v: _array(g) for v, g in zip(leaves, found, strict=True)}


def gradient(
    function: "Function",
    at: Any,
    leaves: Sequence[Variable] | None,
    wanted: Sequence[Variable],
    root: Variable | None,
) -> Any:
    """Return the gradients of the outputs' sum, or with wanted outputs both.

    Args:
        function: What is derived.
        at: The arguments.
        leaves: What with respect to; None: the arguments that need a gradient.
        wanted: Outputs whose values are returned as well.
        root: The only output that is derived; None: all.
    """
    if leaves is None:
        leaves = [v for v in function.arguments if v.needs_gradient]
        if not leaves:
            message = f"None of the Function '{function}' arguments have 'needs_gradient == True'"
            raise ValueError(message)
    fed = _fed(function, at)
    for variable in leaves:
        if variable in fed:
            fed[variable].requires_grad_()
    results = function._program(training=False).run(fed)
    made = dict(zip(function.outputs, results, strict=True))
    tensors = [fed[v] if v in fed else v._tensor for v in leaves]  # noqa: SIM401 (an input has no tensor)
    roots = results if root is None else [made[root]]
    total = torch.stack([t.sum() for t in roots]).sum()
    if total.requires_grad:
        found = torch.autograd.grad(total, tensors, materialize_grads=True)
    else:
        found = tuple(map(torch.zeros_like, tensors))
    gradients = {v: _array(g) for v, g in zip(leaves, found, strict=True)}
    values = {v: _array(made[v]) for v in wanted}
    return _alone(gradients) if not values else (_alone(gradients), _alone(values))


def _alone(arrays: Arrays) -> Any:
    return arrays if len(arrays) != 1 else next(iter(arrays.values()))
