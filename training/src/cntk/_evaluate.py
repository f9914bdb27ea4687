"""Values and gradients of functions, for the scripts that ask for them by themselves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import numpy.typing as npt
import torch

from cntk._feed import feed, named
from cntk._graph import nodes
from cntk._program import Program
from cntk.variables import Variable

if TYPE_CHECKING:
    from cntk.ops.functions import Function

Fed = dict[Variable, torch.Tensor]


@final
class Held(np.ndarray[Any, Any]):
    """What `as_numpy=False` gives: an array that has `asarray`, as CNTK's values do."""

    def asarray(self) -> npt.NDArray[Any]:
        """Return the values as a plain array."""
        return np.asarray(self)


@final
@dataclass(frozen=True, slots=True)
class BackPropState:
    """What `Function.forward` keeps for `Function.backward`.

    Args:
        function: Whose values they are.
        values: The outputs that gradients can come from.
        fed: The inputs' values.
    """

    function: "Function"
    values: Mapping[Variable, torch.Tensor]
    fed: Fed

    def device(self) -> Any:
        """Return the device the values are on."""
        from cntk.device import use_default_device

        return use_default_device()


def forward(
    function: "Function",
    arguments: Any,
    outputs: Iterable[Any] | None,
    keep: Iterable[Any] | None,
    *,
    as_numpy: bool,
) -> tuple[BackPropState | None, dict[Any, Any]]:
    """Compute outputs; see `Function.forward`."""
    asked = list(function.outputs if outputs is None else outputs)
    wanted, kept = _variables(function, asked), _variables(function, keep or ())
    if not wanted:
        message = (
            "At least one output has to be specified when calling Forward method of the Function "
            f"'{function!r}'."
        )
        raise ValueError(message)
    program = _program(function, tuple(dict.fromkeys([*wanted, *kept])), training=bool(kept))
    fed = feed(named(function.arguments, arguments, repr(function)))
    if not kept:
        with torch.no_grad():
            results = program.run(fed)
        return None, _told(asked, wanted, program, results, as_numpy=as_numpy)
    for tensor in fed.values():
        tensor.requires_grad_(tensor.is_floating_point())
    results = program.run(fed)
    values = dict(zip(program.outputs, results, strict=True))
    state = BackPropState(function, {v: values[v] for v in kept}, fed)
    return state, _told(asked, wanted, program, results, as_numpy=as_numpy)


def backward(
    function: "Function",
    state: BackPropState | None,
    root_gradients: Any,
    variables: Iterable[Any],
    *,
    as_numpy: bool,
) -> dict[Any, Any]:
    """Carry gradients back from outputs; see `Function.backward`."""
    if state is None:
        message = (
            "You are attempting to backpropagate on a minibatch for which the corresponding "
            "forward operation did not keep any intermediate results, Please set keep_for_backward "
            "in forward to the variables in root_gradients.keys()"
        )
        raise ValueError(message)
    given = named(function.outputs, root_gradients, repr(function))
    for v in given:
        if v not in state.values:
            message = f"forward did not keep '{v!r}' for backward: name it in keep_for_backward."
            raise ValueError(message)
    roots = feed(given)
    wanted = list(variables)
    leaves = _leaves(function, wanted, state.fed)
    made = _gradients([state.values[v] for v in roots], list(roots.values()), leaves)
    return {v: _array(g, as_numpy=as_numpy) for v, g in zip(wanted, made, strict=True)}


def grad(
    function: "Function",
    at: Any,
    wrt: Any,
    outputs: Iterable[Any] | None,
    root: Any,
    *,
    as_numpy: bool,
) -> Any:
    """Compute gradients of the sum over the minibatch; see `Function.grad`."""
    if wrt is None:
        wanted = [v for v in function.arguments if v.needs_gradient]
        if not wanted:
            message = f"None of the Function '{function!s}' arguments have 'needs_gradient == True'"
            raise ValueError(message)
    else:
        wanted = [wrt] if isinstance(wrt, Variable) else list(wrt)
    if root is None and len(function.outputs) != 1:
        message = (
            f"A Function instance '{function!r}' with more than one output cannot be implicitly "
            "converted to a Variable."
        )
        raise RuntimeError(message)
    (start,) = _variables(function, [function.output if root is None else root])
    asked = list(outputs or ())
    shown = _variables(function, asked)
    fed = feed(named(function.arguments, at, repr(function)))
    for v in wanted:
        if v in fed:
            fed[v].requires_grad_()
    program = _program(function, tuple(dict.fromkeys([start, *shown])), training=True)
    fixed = [v._tensor for v in wanted if v.is_constant]
    try:
        for tensor in fixed:
            tensor.requires_grad_()
        leaves = _leaves(function, wanted, fed)
        results = program.run(fed)
        value = results[program.outputs.index(start)]
        made = _gradients([value], [torch.ones_like(value)], leaves)
    finally:
        for tensor in fixed:
            tensor.requires_grad_(False)
    found = {v: _array(g, as_numpy=as_numpy) for v, g in zip(wanted, made, strict=True)}
    if not asked:
        return single(found)
    told = _told(asked, shown, program, results, as_numpy=as_numpy)
    return single(found), single(told)


def single(values: dict[Any, Any]) -> Any:
    """Return a dictionary's only value, or the dictionary when there are several."""
    return next(iter(values.values())) if len(values) == 1 else values


def _variables(function: "Function", given: Iterable[Any]) -> list[Variable]:
    """Return outputs of a function or of anything inside it.

    Raises:
        TypeError: Something else is among them.
        RuntimeError: One is no part of the function.
    """
    found = [getattr(v, "output", v) for v in given]
    for v in found:
        if not isinstance(v, Variable):
            message = (
                f"expected list of Variables or single-output Functions, but got [{type(v)}] "
                "instead"
            )
            raise TypeError(message)
        if v not in function.outputs and v not in _inside(function.outputs):
            known = ", ".join(map(repr, function.outputs))
            message = (
                f"Function '{function!r}': Requested output '{v!r}' is not part of the list of "
                f"outputs '{known}' that the Function was initially compiled for. Changing "
                "requested outputs across different Forward calls is currently unsupported."
            )
            raise RuntimeError(message)
    return found


def _inside(outputs: Sequence[Variable]) -> set[Variable]:
    found: set[Variable] = set()
    for node in nodes(outputs):
        found.update(node.inputs, node.outputs)
    return found


def _leaves(function: "Function", wanted: Sequence[Any], fed: Fed) -> list[torch.Tensor]:
    inputs = function.inputs
    for v in wanted:
        if v not in inputs:
            message = (
                f"Gradient requested for Variable '{v!r}' which is not a leaf input (Input, "
                f"Parameter or Constant) of the Function '{function!r}'; this is currently "
                "unsupported."
            )
            raise ValueError(message)
    return [fed[v] if v in fed else v._tensor for v in wanted]  # noqa: SIM401 (inputs have none)


def _gradients(
    values: Sequence[torch.Tensor], roots: Sequence[torch.Tensor], leaves: Sequence[torch.Tensor]
) -> Sequence[torch.Tensor]:
    pairs = [(v, r) for v, r in zip(values, roots, strict=True) if v.requires_grad]
    if not pairs or not leaves:
        return [torch.zeros_like(leaf) for leaf in leaves]
    starts, seeds = zip(*pairs, strict=True)
    # Whoever has a state may go back from it again.
    return torch.autograd.grad(
        starts, leaves, seeds, retain_graph=True, allow_unused=True, materialize_grads=True
    )


def _program(function: "Function", outputs: tuple[Variable, ...], *, training: bool) -> "_Outputs":
    key = (training, outputs)
    found: _Outputs | None = function._programs.get(key)
    if found is None:
        found = function._programs[key] = _Outputs(outputs, Program(outputs, training))
    return found


@final
@dataclass(frozen=True, slots=True)
class _Outputs:
    """A program and what it computes."""

    outputs: tuple[Variable, ...]
    program: Program

    def run(self, fed: Fed) -> list[torch.Tensor]:
        """Compute the outputs."""
        return self.program.run(fed)


def _told(
    asked: Sequence[Any],
    wanted: Sequence[Variable],
    program: _Outputs,
    results: Sequence[torch.Tensor],
    *,
    as_numpy: bool,
) -> dict[Any, Any]:
    """Return the outputs' values under what they were asked for by."""
    values = dict(zip(program.outputs, results, strict=True))
    return {key: _array(values[v], as_numpy=as_numpy) for key, v in zip(asked, wanted, strict=True)}


def _array(tensor: torch.Tensor, *, as_numpy: bool) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = tensor.detach().cpu().numpy()
    return array if as_numpy else array.view(Held)
