"""Functions: what users hold of a graph, call, evaluate, save and load."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt
import torch

from cntk import _modelfile, _text
from cntk._absent import absent
from cntk._feed import feed, named
from cntk._graph import Node, leaves, nodes, rebuild
from cntk._program import Program
from cntk.tensor import TensorOpsMixin
from cntk.variables import Constant, Kind, Parameter, Shape, Variable, _next_uid

Array = npt.NDArray[Any]


class CloneMethod(Enum):
    """What happens to the parameters of a function that is cloned."""

    share = "share"
    clone = "clone"
    freeze = "freeze"


@final
class Function(TensorOpsMixin):
    """A function of its arguments: one or more outputs of a graph and all that they need.

    Calling it with variables or functions returns the function with these in place of its
    arguments; calling it with arrays evaluates it.

    Args:
        f: A Python function; it is called once with a placeholder for each of its parameters, and
            what it returns is the function. (`cntk.Function` works as a decorator.)
        name: A name for the result.
    """

    def __init__(self, f: "Callable[..., Any] | Function", name: str = "") -> None:
        built = f if isinstance(f, Function) else _trace(f)
        self._outputs: tuple[Variable, ...] = built._outputs
        self._order: tuple[Variable, ...] = built._order
        self._name = name
        self._composite_uid = _next_uid("CompositeFunction")
        self._programs: dict[bool, Program] = {}

    @staticmethod
    def _of(
        outputs: "Variable | tuple[Variable, ...]",
        order: tuple[Variable, ...] = (),
        name: str = "",
        uid: str = "",
    ) -> "Function":
        function = object.__new__(Function)
        function._outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        function._order = order
        function._name = name
        function._composite_uid = uid or _next_uid("CompositeFunction")
        function._programs = {}
        return function

    # What it is.

    @property
    def _node(self) -> Node:
        node = self._outputs[0]._node
        if node is None:
            message = f"{self._outputs[0]!r} is no function's output."
            raise ValueError(message)
        return node

    @property
    def _is_one_node(self) -> bool:
        node = self._outputs[0]._node
        return node is not None and self._outputs == node.outputs

    @property
    def name(self) -> str:
        """The user's name for it, empty if there is none."""
        return self._name or (self._node.name if self._is_one_node else "")

    @property
    def op_name(self) -> str:
        """The layer's, compound operation's or primitive operation's name."""
        if not self._is_one_node:
            return "Combine"
        return self._node.op.name if self._node.block is None else self._node.block.name

    @property
    def uid(self) -> str:
        """The name of its root, unique in the process."""
        return self._node.uid

    @property
    def root_function(self) -> "Function":
        """The function of the last operation."""
        return self

    @property
    def is_block(self) -> bool:
        """Whether it is a layer or compound operation made of others."""
        return self._node.block is not None

    @property
    def block_root(self) -> "Function":
        """What a block is made of."""
        if self._node.block is None:
            message = f"{self!r} is no block."
            raise ValueError(message)
        return Function._of(self._node.block.root)

    @property
    def outputs(self) -> tuple[Variable, ...]:
        """All outputs."""
        return self._outputs

    @property
    def output(self) -> Variable:
        """The only output; raises ValueError when there are several."""
        if len(self._outputs) != 1:
            message = f"{self!r} has {len(self._outputs)} outputs: choose one of `outputs`."
            raise ValueError(message)
        return self._outputs[0]

    @property
    def shape(self) -> Shape:
        """The output's shape."""
        return self.output.shape

    @property
    def dtype(self) -> "np.dtype[Any]":
        """The output's type."""
        return self.output.dtype

    @property
    def inputs(self) -> tuple[Variable, ...]:
        """All leaves in the order of the operands: parameters, constants and arguments."""
        return tuple(leaves(self._outputs))

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What learners may change, the last layer's first."""
        return tuple(v for v in self.inputs if isinstance(v, Parameter))

    @property
    def constants(self) -> tuple[Constant, ...]:
        """Its fixed values."""
        return tuple(v for v in self.inputs if isinstance(v, Constant))

    @property
    def placeholders(self) -> tuple[Variable, ...]:
        """Its open places."""
        return tuple(v for v in self.arguments if v.is_placeholder)

    @property
    def arguments(self) -> tuple[Variable, ...]:
        """What it must be given, in the order in which a call takes it."""
        if self._order:
            return self._order
        return tuple(v for v in self.inputs if v.is_input or v.is_placeholder)

    def __getattr__(self, name: str) -> Any:
        """Return the parameter, constant or named function of that name within the last layer."""
        if name.startswith("_"):
            raise AttributeError(name)
        if len(self._outputs) == 1 and hasattr(self.output, name):
            return getattr(self.output, name)
        for variable in self._node.inputs if len(self._outputs) == 1 else ():
            if variable.name == name:
                return variable
        message = f"'{self!r}' has no attribute '{name}'."
        raise AttributeError(message)

    def __str__(self) -> str:
        return _text.call(self)

    def __repr__(self) -> str:
        return _text.signature(self)

    # Using it.

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = dict(zip(self.arguments, args, strict=False))
        if len(args) > len(self.arguments):
            message = f"{self!r} takes {len(self.arguments)} arguments, not {len(args)}."
            raise TypeError(message)
        by_name = {v.name: v for v in self.arguments}
        for name, value in kwargs.items():
            if name not in by_name:
                message = f"{self!r} has no argument '{name}'."
                raise TypeError(message)
            given[by_name[name]] = value
        if any(isinstance(value, Variable | Function) for value in given.values()):
            replaced = {v: as_variable(value, v.dtype) for v, value in given.items()}
            return Function._of(tuple(rebuild(self._outputs, replaced)), name=self._name)
        return self.eval(given)

    def __rshift__(self, other: "Function") -> "Function":
        """Return `other` applied to this function."""
        return other(self)  # type: ignore[no-any-return]

    def eval(
        self, arguments: Any = None, outputs: Any = None, device: Any = None, as_numpy: bool = True
    ) -> Any:
        """Compute the outputs.

        Args:
            arguments: Input, or its name, to array of shape (batch,) + its shape; or the array for
                a single input.
            outputs: Some of the outputs; None: all.
            device: Accepted; everything is computed on the default device.
            as_numpy: Accepted; results are arrays.

        Returns:
            An array of shape (batch,) + shape, or a dictionary of them for several outputs.
        """
        del device, as_numpy
        fed = feed(named(self.arguments, arguments, repr(self)))
        with torch.no_grad():
            results = self._program(training=False).run(fed)
        made = {v: t.cpu().numpy() for v, t in zip(self._outputs, results, strict=True)}
        if outputs is not None:
            return {as_variable(v): made[as_variable(v)] for v in outputs}
        return made if len(made) > 1 else made[self.output]

    def grad(
        self,
        at: Any,
        wrt: Any = None,
        outputs: Any = None,
        device: Any = None,
        as_numpy: bool = True,
    ) -> Any:
        """Compute gradients of the outputs' sum over the minibatch.

        Args:
            at: As the arguments of `eval`.
            wrt: Parameters or inputs; None: all inputs that need a gradient.
            outputs: Not provided.
            device: Accepted; everything is computed on the default device.
            as_numpy: Accepted; results are arrays.

        Returns:
            A dictionary of arrays, or one array for one variable.
        """
        del device, as_numpy
        if outputs is not None:
            message = "Function.grad(outputs=...) is not provided by this package yet."
            raise NotImplementedError(message)
        wanted = [v for v in self.arguments if v.needs_gradient] if wrt is None else list(wrt)
        fed = feed(named(self.arguments, at, repr(self)))
        for variable in wanted:
            if variable in fed:
                fed[variable].requires_grad_()
        results = self._program(training=False).run(fed)
        tensors = [fed[v] if v in fed else v._tensor for v in wanted]  # noqa: SIM401 (an input has no tensor)
        total = torch.stack([t.sum() for t in results]).sum()
        if total.requires_grad:
            gradients = torch.autograd.grad(total, tensors, materialize_grads=True)
        else:
            gradients = tuple(map(torch.zeros_like, tensors))
        made = {v: g.detach().cpu().numpy() for v, g in zip(wanted, gradients, strict=True)}
        return made if len(made) != 1 else next(iter(made.values()))

    def _program(self, *, training: bool) -> Program:
        if training not in self._programs:
            self._programs[training] = Program(self._outputs, training)
        return self._programs[training]

    # Changing it.

    def clone(
        self, method: "CloneMethod | str", substitutions: Mapping[Any, Any] | None = None
    ) -> "Function":
        """Return a copy.

        Args:
            method: Whether parameters are shared, copied, or copied as constants.
            substitutions: Variables of this function to what takes their place.
        """
        method = CloneMethod(method)
        replaced: dict[Variable, Variable] = {
            as_variable(old): as_variable(new) for old, new in (substitutions or {}).items()
        }
        for parameter in self.parameters:
            if method is CloneMethod.clone:
                replaced.setdefault(
                    parameter,
                    Parameter(None, parameter.value, parameter.dtype, name=parameter.name),
                )
            elif method is CloneMethod.freeze:
                replaced.setdefault(
                    parameter, Constant(parameter.value, dtype=parameter.dtype, name=parameter.name)
                )
        return Function._of(tuple(rebuild(self._outputs, replaced)), name=self._name)

    def replace_placeholders(self, substitutions: Mapping[Any, Any]) -> "Function":
        """Put variables in the place of placeholders, in this function itself, and return it."""
        replaced = {as_variable(old): as_variable(new) for old, new in substitutions.items()}
        self._outputs = tuple(rebuild(self._outputs, replaced))
        self._order, self._programs = (), {}
        return self

    def replace_placeholder(self, substitution: Any) -> "Function":
        """Put a variable in the place of the only placeholder."""
        (placeholder,) = self.placeholders
        return self.replace_placeholders({placeholder: substitution})

    # Finding parts.

    def find_all_with_name(self, name: str, depth: int = 0) -> list[Any]:
        """Return all functions and variables called `name`; `depth` -1 looks into blocks too."""
        return [part for part in self._parts(self._outputs, depth) if part.name == name]

    def find_by_name(self, name: str, depth: int = 0) -> Any:
        """Return the part called `name`, or None; raises ValueError if there are several."""
        found = self.find_all_with_name(name, depth)
        if len(found) > 1:
            message = f"found multiple functions matching name '{name}': use find_all_with_name."
            raise ValueError(message)
        return found[0] if found else None

    def _parts(self, outputs: tuple[Variable, ...], depth: int) -> Iterator[Any]:
        yield from leaves(outputs)
        for node in reversed(nodes(outputs)):
            yield Function._of(node.outputs)
            if node.block is not None and depth != 0:
                yield from self._parts((node.block.root,), depth - 1)

    # Files.

    def save(self, filename: str | Path) -> None:
        """Write the model as a `.dnn` file, in one step; folders that are missing are made."""
        path = Path(filename)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(_modelfile.to_bytes(self._outputs, self._composite_uid, self._name))
        part.replace(path)

    @staticmethod
    def load(model: str | Path | bytes, device: Any = None) -> "Function":
        """Read a `.dnn` file.

        Args:
            model: Its path, or its bytes.
            device: Accepted; everything lives on the default device.

        Raises:
            ValueError: There is no such file.
            RuntimeError: It is no CNTK model.
        """
        del device
        if not isinstance(model, bytes):
            if not Path(model).is_file():
                message = f"Cannot load the model {model} that is neither a file nor a byte buffer."
                raise ValueError(message)
            model = Path(model).read_bytes()
        outputs, uid, name = _modelfile.from_bytes(model)
        return Function._of(tuple(outputs), name=name if len(outputs) > 1 else "", uid=uid)

    def restore(self, filename: str | Path) -> None:
        """Take the parameters' values from a file that was written from this function."""
        stored = {p.uid: p for p in Function.load(filename).parameters}
        for parameter in self.parameters:
            if parameter.uid not in stored or stored[parameter.uid].shape != parameter.shape:
                message = f"{filename} is no file of this function: it lacks {parameter!r}."
                raise ValueError(message)
            parameter.value = stored[parameter.uid].value


def load_model(model: str | Path | bytes, device: Any = None) -> Function:
    """Read a `.dnn` file; see `Function.load`."""
    return Function.load(model, device)


def as_variable(value: Any, dtype: npt.DTypeLike = np.float32) -> Variable:
    """Return the variable that `value` stands for: itself, an output, or a new constant."""
    if isinstance(value, Variable):
        return value
    if isinstance(value, Function):
        return value.output
    return Constant(
        value,
        dtype=value.dtype if isinstance(value, np.ndarray) and value.dtype == np.float64 else dtype,
    )


def _trace(function: Callable[..., Any]) -> Function:
    names = list(inspect.signature(function).parameters)
    places = [Variable(None, kind=Kind.PLACEHOLDER, name=name) for name in names]
    result = function(*places)
    if isinstance(result, tuple):
        return Function._of(tuple(as_variable(part) for part in result), tuple(places))
    return Function._of(as_variable(result), tuple(places))


__getattr__ = absent(__name__)
