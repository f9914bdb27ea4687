"""Functions: what users hold of a graph, call, evaluate, save and load."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt

from cntk import _evaluate, _modelfile, _text
from cntk._absent import absent
from cntk._graph import Node, leaves, nodes
from cntk._substitution import rebuild, resolve, settle
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
        self._name: str = name or built._name
        self._composite_uid = _next_uid("CompositeFunction")
        self._programs: dict[Any, Any] = {}

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
    def name(self) -> str:
        """The user's name for it, empty if there is none."""
        return self._name or (self._node.name if len(self._outputs) == 1 else "")

    @property
    def op_name(self) -> str:
        """The layer's, compound operation's or primitive operation's name."""
        if self._outputs != self._node.outputs:
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
        return Function._of(self._node.block.roots)

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
        if self.output._shape is None:
            settle(self._outputs)
        return self.output.shape

    @property
    def dtype(self) -> "np.dtype[Any]":
        """The output's type."""
        return self.output.dtype

    @property
    def inputs(self) -> tuple[Variable, ...]:
        """All leaves: parameters, constants and arguments, the last layer's first."""
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
        open_places = [v for v in self.inputs if v.is_input or v.is_placeholder]
        position = {uid: i for i, uid in enumerate(_first_uses(self._outputs))}
        return tuple(sorted(open_places, key=lambda v: position.get(v.uid, -1)))

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
        settle(self._outputs)
        return _text.call(self)

    def __repr__(self) -> str:
        settle(self._outputs)
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
            outputs: Some of the outputs, or of those of what the function is made of; None: all.
            device: Accepted; everything is computed on the default device.
            as_numpy: False: the arrays have a method `asarray` as well.

        Returns:
            An array of shape (batch,) + shape, for sequences a list with an array of shape
            (steps,) + shape for each; or a dictionary of such for several outputs.
        """
        del device
        return _evaluate.single(
            _evaluate.forward(self, arguments, outputs, None, as_numpy=as_numpy)[1]
        )

    def forward(
        self,
        arguments: Any,
        outputs: Any = None,
        keep_for_backward: Any = None,
        device: Any = None,
        as_numpy: bool = True,
    ) -> tuple[Any, dict[Any, Any]]:
        """Compute outputs, and keep what `backward` needs.

        Args:
            arguments: As for `eval`.
            outputs: As for `eval`.
            keep_for_backward: The outputs that gradients will come from. With any, the function
                runs as in training: dropout drops.
            device: Accepted; everything is computed on the default device.
            as_numpy: As for `eval`.

        Returns:
            What `backward` takes, None if nothing is kept; and a dictionary of the outputs' values.
        """
        del device
        return _evaluate.forward(self, arguments, outputs, keep_for_backward, as_numpy=as_numpy)

    def backward(
        self, state: Any, root_gradients: Any, variables: Any, as_numpy: bool = True
    ) -> dict[Any, Any]:
        """Carry gradients back from outputs.

        Args:
            state: From `forward`.
            root_gradients: Output to its gradient, shape (batch,) + shape.
            variables: Inputs, parameters or constants.
            as_numpy: As for `eval`.

        Returns:
            A dictionary of gradients: of shape (batch,) + shape for inputs, summed up over the
            minibatch for all else.
        """
        return _evaluate.backward(self, state, root_gradients, variables, as_numpy=as_numpy)

    def grad(
        self,
        at: Any,
        wrt: Any = None,
        outputs: Any = None,
        device: Any = None,
        as_numpy: bool = True,
        grad_root: Any = None,
    ) -> Any:
        """Compute gradients of the output's sum; the function runs as in training.

        Args:
            at: As the arguments of `eval`.
            wrt: Inputs, parameters or constants; None: all inputs that need a gradient.
            outputs: Outputs, also inside, whose values are wanted too.
            device: Accepted; everything is computed on the default device.
            as_numpy: As for `eval`.
            grad_root: Whose gradient, for a function with several outputs.

        Returns:
            A dictionary of arrays, or one array for one variable, for sequences as `eval` gives
            them; with `outputs` a pair of that and the same of their values.
        """
        del device
        return _evaluate.grad(self, at, wrt, outputs, grad_root, as_numpy=as_numpy)

    def train(
        self,
        minibatch_source: Any,
        minibatch_size: Any = 32,
        streams: Any = None,
        model_inputs_to_streams: Mapping[Any, Any] | None = None,
        parameter_learners: Any = (),
        callbacks: Any = (),
        progress_frequency: int | None = None,
        max_epochs: float | None = None,
        epoch_size: int | None = None,
        max_samples: int | None = None,
    ) -> Any:
        """Train a model by this criterion: a loss, or a loss and a metric.

        Args:
            minibatch_source: A source, or a tuple of arrays for the arguments.
            minibatch_size: A size, or a schedule of them.
            streams: The source's streams in the arguments' order.
            model_inputs_to_streams: The same by variables.
            parameter_learners: One or several.
            callbacks: Progress writers, and at most one each of `CheckpointConfig`,
                `CrossValidationConfig` and `TestConfig`.
            progress_frequency: Samples in an epoch of the log; None: `epoch_size`.
            max_epochs: How many epochs; None: 1.
            epoch_size: Samples in an epoch; None: those of the arrays.
            max_samples: Instead of `max_epochs`.

        Returns:
            A record of `updates` and `epoch_summaries`, lists of records of the means `loss` and
            `metric` of `samples`; with a `TestConfig` also `test_summary`.
        """
        from cntk.train import _of_function

        return _of_function.train(
            self,
            minibatch_source,
            minibatch_size,
            _of_function.mapped(self, streams, model_inputs_to_streams),
            parameter_learners,
            callbacks,
            progress_frequency,
            max_epochs,
            epoch_size,
            max_samples,
        )

    def test(
        self,
        minibatch_source: Any,
        minibatch_size: Any = 32,
        streams: Any = None,
        model_inputs_to_streams: Mapping[Any, Any] | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Measure a model by this criterion; the arguments are those of `train`.

        Returns:
            A record of the mean `metric`, or loss where there is none, and of `samples`.
        """
        from cntk.train import _of_function

        mapped = _of_function.mapped(self, streams, model_inputs_to_streams)
        return _of_function.test(self, minibatch_source, minibatch_size, mapped, callbacks)

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
        """Put variables in the place of placeholders, in the graph itself, and return the function.

        All functions that share the graph see the change. What takes a placeholder's place may be
        made from it: so a loop is closed.
        """
        replaced = {as_variable(old): as_variable(new) for old, new in substitutions.items()}
        resolve(self._outputs, replaced)
        self._outputs = tuple(replaced.get(v, v) for v in self._outputs)
        self._order, self._programs = (), {}
        return self

    def replace_placeholder(self, substitution: Any) -> "Function":
        """Put a variable in the place of the only placeholder."""
        (placeholder,) = self.placeholders
        return self.replace_placeholders({placeholder: substitution})

    # Finding parts.

    def find_all_with_name(self, name: str, depth: int = 0) -> list[Any]:
        """Return all functions and leaves called `name`; `depth` -1 looks into all blocks."""
        from cntk.logging import graph

        return graph.find_all_with_name(self, name, depth)

    def find_by_name(self, name: str, depth: int = 0) -> Any:
        """Return the part called `name`, or None; raises ValueError if there are several."""
        from cntk.logging import graph

        return graph.find_by_name(self, name, depth)

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
        return Function._of(tuple(outputs), name=name, uid=uid)

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
    parameters = inspect.signature(function).parameters.values()
    # An operation's further operands and its name are no arguments of the function.
    asked = [
        p.name
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return trace(function, asked)


def trace(function: Callable[..., Any], names: Sequence[str]) -> Function:
    """Return what a Python function makes of placeholders with these names."""
    places = [Variable(None, kind=Kind.PLACEHOLDER, axes=None, name=name) for name in names]
    result = function(*places)
    if isinstance(result, tuple):
        return Function._of(tuple(as_variable(part) for part in result), tuple(places))
    if isinstance(result, Function):
        return Function._of(result._outputs, tuple(places), result._name)
    return Function._of(as_variable(result), tuple(places))


def _first_uses(outputs: tuple[Variable, ...]) -> list[str]:
    return list(dict.fromkeys(v.uid for node in nodes(outputs) for v in node.inputs))


__getattr__ = absent(__name__)
