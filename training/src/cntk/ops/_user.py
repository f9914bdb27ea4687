"""Functions whose forward and backward steps are plain Python."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import torch

from cntk._dictionary import Dictionary, SizeT
from cntk._graph import Bound, Node, Operation, make
from cntk.axis import BATCH, Axes, Axis
from cntk.ops._evaluation import _array
from cntk.ops.functions import Function, as_variable
from cntk.variables import Kind, Shape, Variable, _as_shape, _next_uid

CODE: Final = -1
"""What stands for a number in the table: a user's function has none."""
_CLASSES: Final[dict[str, type["UserFunction"]]] = {}
_FACTORIES: Final[dict[str, Callable[..., Any]]] = {}


class UserFunction(Function):
    """A function of one's own: subclasses define `forward`, `backward` and `infer_outputs`.

    `forward(argument, device, outputs_to_retain)` returns a state and the result for one output;
    for several it is `forward(arguments, outputs, device, outputs_to_retain)`, fills `outputs` and
    returns the state. `backward(state, root_gradients)` returns the gradient of one input; for
    several it is `backward(state, root_gradients, variables)` and fills `variables`. Arrays have
    the shape (batch,) + shape.

    Args:
        inputs: What it is applied to.
        as_numpy: True: arguments and results are arrays; nothing else is provided.
        attributes: Kept as they are.
        name: A user's name for it.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _CLASSES[cls._op_name()] = cls

    def __init__(
        self,
        inputs: Sequence[Any],
        as_numpy: bool = True,
        attributes: dict[str, Any] | None = None,
        name: str = "",
    ) -> None:
        if not as_numpy:
            message = "UserFunction(as_numpy=False) is not provided by this package yet."
            raise NotImplementedError(message)
        self.as_numpy = as_numpy
        self._given = dict(attributes or {})
        self._operands = tuple(as_variable(v) for v in inputs)
        self._order = ()
        self._name = name
        self._composite_uid = _next_uid("CompositeFunction")
        self._programs = {}
        self._is_root = True
        self._made: tuple[Variable, ...] | None = None

    @property
    def _outputs(self) -> tuple[Variable, ...]:  # type: ignore[override]
        # Made at its first use: a subclass sets what infer_outputs needs after this __init__.
        if self._made is None:
            self._made = _node_of(self)
        return self._made

    @property
    def inputs(self) -> tuple[Variable, ...]:
        """What it is applied to."""
        return self._operands

    @property
    def name(self) -> str:
        """The user's name for it."""
        return self._name

    @property
    def op_name(self) -> str:
        """Its class with the module."""
        return self._op_name()

    @classmethod
    def _op_name(cls) -> str:
        return f"{cls.__module__}.{cls.__name__}"

    def infer_outputs(self) -> list[Variable]:
        """Return what `output_variable` makes for each output."""
        message = "infer_outputs has to be overwritten"
        raise NotImplementedError(message)

    def clone(self, cloned_inputs: Any, substitutions: Any = None) -> Any:
        """Return the function applied to other inputs."""
        del substitutions
        again: Any = type(self)
        return again(*cloned_inputs, name=self.name)

    def serialize(self) -> dict[str, Any]:
        """Return what a file is to keep: numbers, strings, arrays, lists and dictionaries."""
        return {}


def output_variable(
    shape: int | Shape,
    dtype: npt.DTypeLike,
    dynamic_axes: Sequence[Axis],
    needs_gradient: bool = True,
    name: str = "",
) -> Variable:
    """Return the description of an output of a function of one's own."""
    return Variable(
        _as_shape(shape),
        dtype,
        kind=Kind.OUTPUT,
        name=name,
        batched=bool(dynamic_axes),
        needs_gradient=needs_gradient,
    )


def user_function(user_func: UserFunction) -> Function:
    """Return a function of one's own as one that others can use."""
    return Function._of(user_func._outputs)


def register_udf_deserialize_callback(op_name: str, callback: Callable[..., Any]) -> None:
    """Let `callback` of inputs, name and state make the functions of a class that a file names."""
    if op_name in _FACTORIES:
        message = (
            f"A callback for the UserFunction with op name {op_name} has already been registered."
        )
        raise ValueError(message)
    _FACTORIES[op_name] = callback


def _node_of(function: UserFunction) -> tuple[Variable, ...]:
    known = all(v._shape is not None for v in function._operands)
    described = function.infer_outputs() if known else []
    axes: Axes = (BATCH,) if any(v._batched for v in described or function._operands) else ()

    def again(operands: Sequence[Variable]) -> tuple[Variable, ...]:
        made: Function = function.clone(list(operands))
        return made._outputs

    def entry(node: Node) -> Dictionary:
        kind = type(function)
        state = {"class": kind.__name__, "module": kind.__module__, "op_name": kind._op_name()}
        return {
            "version": SizeT(0),
            "uid": node.uid,
            "type": "UserDefinedFunction",
            "name": function.name,
            "inputs": [v.uid for v in node.inputs],
            "native": False,
            "user_defined_state": {**state, "state": function.serialize(), "version": SizeT(1)},
        }

    operation = Operation(
        CODE,
        "UserFunction",
        lambda _attributes, _operands: described[0].shape,
        lambda node, _training: _step(function, node),
        axes=lambda _name, _attributes, _operands: axes,
        more=lambda _attributes, _operands: tuple(v.shape for v in described[1:]),
        dtype=lambda _attributes, operands: (described or operands)[0].dtype,
        remake=again,
        entry=entry,
    )
    uid = _next_uid("UserDefinedFunction")
    return make(operation, function._operands, {}, function.name, uid)


def _step(function: UserFunction, node: Node) -> Bound:
    def run(*tensors: torch.Tensor) -> Any:
        results = _Step.apply(function, node, *tensors)  # type: ignore[no-untyped-call]
        return results if len(node.outputs) > 1 else results[0]

    return run


@final
class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, function: Any, node: Node, *tensors: torch.Tensor) -> Any:
        arrays = tuple(map(_array, tensors))
        arguments = arrays if len(arrays) > 1 else arrays[0]
        kept = set(node.outputs) if any(t.requires_grad for t in tensors) else set()
        if len(node.outputs) == 1:
            ctx.state, result = function.forward(arguments, None, kept)
            made: dict[Variable, Any] = {node.outputs[0]: result}
        else:
            made = dict.fromkeys(node.outputs)
            ctx.state = function.forward(arguments, made, None, kept)
        if any(value is None for value in made.values()):
            message = "not all outputs have been provided"
            raise ValueError(message)
        ctx.function, ctx.node, ctx.like = function, node, tensors
        device = tensors[0].device
        return tuple(
            torch.as_tensor(np.ascontiguousarray(made[v]), dtype=v._torch_type, device=device)
            for v in node.outputs
        )

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        function, node = ctx.function, ctx.node
        roots: Any = {v: _array(g) for v, g in zip(node.outputs, gradients, strict=True)}
        if len(roots) == 1:
            roots = next(iter(roots.values()))
        needed = ctx.needs_input_grad[2:]
        if len(node.inputs) == 1:
            found: Mapping[Variable, Any] = {node.inputs[0]: function.backward(ctx.state, roots)}
        else:
            found = {v: None for v, need in zip(node.inputs, needed, strict=True) if need}
            function.backward(ctx.state, roots, found)
        return (
            None,
            None,
            *(
                torch.as_tensor(np.asarray(found[v]), dtype=t.dtype, device=t.device)
                if need and found.get(v) is not None
                else None
                for v, t, need in zip(node.inputs, ctx.like, needed, strict=True)
            ),
        )


def read(entry: Dictionary, inputs: list[Variable]) -> tuple[Variable, ...]:
    """Make the function that a file describes; only of classes that the script has defined.

    Raises:
        ValueError: The script has no such class, or the class no `deserialize`.
    """
    state: Dictionary = entry.get("user_defined_state", {})
    op_name = str(state.get("op_name"))
    factory = _FACTORIES.get(op_name) or getattr(_CLASSES.get(op_name), "deserialize", None)
    if factory is None:
        message = (
            f"Cannot deserialize user function '{state.get('module')}.{state.get('class')}'. It "
            "neither has a static 'deserialize' method, nor a factory callback was provided for "
            f"the '{op_name}' op name. Its class must be defined before the model is loaded."
        )
        raise ValueError(message)
    made = factory(inputs, str(entry.get("name", "")), state.get("state", {}))
    outputs: tuple[Variable, ...] = made._outputs
    return outputs
