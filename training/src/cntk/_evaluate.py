"""Values and gradients of functions, for the scripts that ask for them by themselves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import numpy.typing as npt
import torch

from cntk._absent import refuse
from cntk._feed import arrays, feed, named
from cntk._graph import nodes
from cntk._layout import Packed
from cntk._program import Program
from cntk.variables import Variable

if TYPE_CHECKING:
    from cntk.ops.functions import Function

Fed = dict[Variable, Any]
"""Tensors, packed sequences, or samples whose zeros are left out."""


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
    values: Mapping[Variable, Any]
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
    for given in fed.values():
        tensor = given.values if isinstance(given, Packed) else given
        if isinstance(tensor, torch.Tensor):
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
    starts = [state.values[v] for v in roots]
    for v, value in zip(roots, starts, strict=True):
        if isinstance(value, Packed) and not value.layout.same(roots[v].layout):
            message = f"The gradient of '{v!r}' must have as many steps as its value has."
            raise ValueError(message)
    made = _gradients([_bare(t) for t in starts], [_bare(t) for t in roots.values()], leaves)
    return _shown(wanted, made, state.fed, as_numpy=as_numpy)


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
            _leaf(v, fed).requires_grad_()
    program = _program(function, tuple(dict.fromkeys([start, *shown])), training=True)
    fixed = [v._tensor for v in wanted if v.is_constant]
    try:
        for tensor in fixed:
            tensor.requires_grad_()
        leaves = _leaves(function, wanted, fed)
        results = program.run(fed)
        value = _bare(results[program.outputs.index(start)])
        made = _gradients([value], [torch.ones_like(value)], leaves)
    finally:
        for tensor in fixed:
            tensor.requires_grad_(False)
    found = _shown(wanted, made, fed, as_numpy=as_numpy)
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
    return [_leaf(v, fed) for v in wanted]


def _leaf(v: Any, fed: Fed) -> torch.Tensor:
    tensor: Any = _bare(fed[v]) if v in fed else v._tensor
    if not isinstance(tensor, torch.Tensor):
        raise refuse("the gradient of a sparse input")
    return tensor


def _bare(value: Any) -> Any:
    return value.values if isinstance(value, Packed) else value


def _shown(
    wanted: Sequence[Any], gradients: Sequence[torch.Tensor], fed: Fed, *, as_numpy: bool
) -> dict[Any, Any]:
    """Return gradients as users get them, those of sequences as lists."""
    found: dict[Any, Any] = {}
    for v, gradient in zip(wanted, gradients, strict=True):
        given = fed.get(v)
        value = Packed(gradient, given.layout) if isinstance(given, Packed) else gradient
        found[v] = _array(value, as_numpy=as_numpy)
    return found


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

    def run(self, fed: Fed) -> list[Any]:
        """Compute the outputs, sequences packed."""
        return self.program.run_packed(fed)


def _told(
    asked: Sequence[Any],
    wanted: Sequence[Variable],
    program: _Outputs,
    results: Sequence[Any],
    *,
    as_numpy: bool,
) -> dict[Any, Any]:
    """Return the outputs' values under what they were asked for by."""
    values = dict(zip(program.outputs, results, strict=True))
    return {key: _array(values[v], as_numpy=as_numpy) for key, v in zip(asked, wanted, strict=True)}


def _array(value: Any, *, as_numpy: bool) -> Any:
    made = arrays(value)
    if as_numpy:
        return made
    return [part.view(Held) for part in made] if isinstance(made, list) else made.view(Held)
