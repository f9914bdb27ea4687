"""Functions: what users hold of a graph, call, evaluate, save and load."""

from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cntk import _modelfile, _text
from cntk._absent import absent, refuse
from cntk._graph import Node, leaves, rebuild
from cntk._onnx_export import to_onnx
from cntk._program import Program
from cntk.ops import _evaluation
from cntk.ops._finding import find_all, find_one
from cntk.ops._tracing import block, check_types, place, trace
from cntk.tensor import TensorOpsMixin
from cntk.variables import Constant, Parameter, Record, Shape, Variable, _next_uid

Array = npt.NDArray[Any]


class CloneMethod(Enum):
    """What happens to the parameters of a function that is cloned."""

    share = "share"
    clone = "clone"
    freeze = "freeze"


class ModelFormat(Enum):
    """Formats that a function is saved in."""

    CNTKv2 = "CNTKv2"
    ONNX = "ONNX"


class Function(TensorOpsMixin):
    """A function of its arguments: one or more outputs of a graph and all that they need.

    Calling it with variables or functions returns the function with these in place of its
    arguments; calling it with arrays evaluates it.

    Args:
        f: A Python function; it is called once with a placeholder for each of its parameters, and
            what it returns is the function. (`cntk.Function` works as a decorator.)
        name: A name for the result.
        make_block: Whether the result is a layer, one node of the graph.
        op_name: What kind of layer, as it prints.
    """

    def __init__(
        self,
        f: "Callable[..., Any] | Function",
        name: str = "",
        make_block: bool = False,
        op_name: str = "",
    ) -> None:
        self._outputs: tuple[Variable, ...]
        self._order: tuple[Variable, ...]
        if isinstance(f, Function):
            self._outputs, self._order = f._outputs, f._order
        elif make_block:
            self._outputs, self._order = block(f, op_name, name)
            name = ""
        else:
            self._outputs, self._order = trace(f)
        self._name = name
        self._composite_uid = _next_uid("CompositeFunction")
        self._is_root = False
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
        function._is_root = False
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
        """Its name, unique in the process."""
        return self._node.uid if self._is_root else self._composite_uid

    @property
    def root_function(self) -> "Function":
        """The last operation alone."""
        root = Function._of(self._outputs, self._order, self._name)
        root._is_root = True
        return root

    @property
    def is_primitive(self) -> bool:
        """Whether it stands for one operation or layer alone: a `root_function`."""
        return self._is_root

    @property
    def is_composite(self) -> bool:
        """Whether it stands for all that leads to its outputs."""
        return not self._is_root

    @property
    def is_block(self) -> bool:
        """Whether it is a `root_function` that is a layer or compound operation."""
        return self._is_root and self._is_one_node and self._node.block is not None

    @property
    def attributes(self) -> dict[str, Any]:
        """A `root_function`'s attributes; shapes and lists in Python's order."""
        return (
            _text.attributes(self._node.attributes) if self._is_root and self._is_one_node else {}
        )

    def set_attribute(self, name: str, value: Any) -> None:
        """Change `dropoutRate` or `rngSeed` of the last operation."""
        if name not in ("dropoutRate", "rngSeed") or name not in self._node.attributes:
            message = f"set_attribute: only dropoutRate and rngSeed of a dropout, not '{name}'."
            raise ValueError(message)
        self._node.attributes[name] = type(self._node.attributes[name])(value)

    @property
    def type(self) -> Record:
        """The only output's type."""
        return Record(shape=self.shape, dtype=self.dtype, dynamic_axes=self.output.dynamic_axes)

    @property
    def block_arguments_mapping(self) -> "tuple[tuple[Variable, Variable], ...]":
        """Pairs of a placeholder inside a layer and what stands for it."""
        block = self._node.block
        return () if block is None else block.arguments

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

    @property
    def signature(self) -> tuple[Variable, ...]:
        """What a call takes: its arguments."""
        return self.arguments

    def argument_map(self, *args: Any, **kwargs: Any) -> dict[Variable, Any]:
        """Return which argument gets what; TypeError unless each gets something."""
        wanted = self.signature
        if len(args) + len(kwargs) != len(wanted):
            message = (
                f"CNTK Function expected {len(wanted)} arguments, got {len(args) + len(kwargs)}"
            )
            raise TypeError(message)
        given = dict(zip(wanted, args, strict=False))
        by_name = {v.name: v for v in wanted}
        for name, value in kwargs.items():
            if name not in by_name:
                message = f"got an unexpected keyword argument '{name}'"
                raise TypeError(message)
            if by_name[name] in given:
                message = f"got multiple values for argument '{name}'"
                raise SyntaxError(message)
            given[by_name[name]] = value
        return given

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = self.argument_map(*args, **kwargs)
        if any(isinstance(value, Variable | Function) for value in given.values()):
            replaced = {v: as_variable(value, v.dtype) for v, value in given.items()}
            check_types(replaced)
            return Function._of(tuple(rebuild(self._outputs, replaced)), name=self._name)
        result = self.eval(given)
        return tuple(result.values()) if isinstance(result, dict) else result

    def __rshift__(self, other: Any) -> Any:
        """Return `other` applied to this function; a tuple of functions gives one with them all."""
        mine = self.outputs
        if isinstance(other, tuple):
            parts = [f(mine[i if len(mine) > 1 else 0]) for i, f in enumerate(other)]
            return Function._of(tuple(v for part in parts for v in part.outputs))
        return other(*mine) if len(mine) > 1 else other(self)

    def __lshift__(self, other: Any) -> Any:
        """Return this function applied to `other`."""
        return self(other)

    @staticmethod
    def with_signature(*args: Any, **kwargs: Any) -> "Callable[[Callable[..., Any]], Function]":
        """Return a decorator that makes a function with arguments of these types.

        Args:
            args: Types of `cntk.layers.typing`, in the order of the arguments.
            kwargs: Types by name.
        """
        from cntk.layers.typing import Signature  # layers are made of functions

        return lambda f: Function(Signature(*args, **kwargs)(f))

    def update_signature(self, *arg_types: Any, **kwarg_types: Any) -> None:
        """Put inputs in the place of placeholders.

        Args:
            arg_types: Shapes or types of `cntk.layers.typing`, in the order of the arguments; None
                leaves one as it is.
            kwarg_types: The same by name.
        """
        replaced = {}
        for argument, kind in self.argument_map(*arg_types, **kwarg_types).items():
            if isinstance(kind, int | tuple):
                kind = Record(shape=kind if isinstance(kind, tuple) else (kind,))
            if kind is not None:
                replaced[argument] = place(argument.name, kind)
        self.replace_placeholders(replaced)

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
        wanted = None if outputs is None else [as_variable(v) for v in outputs]
        return _evaluation.evaluate(self, arguments, wanted)

    def forward(
        self,
        arguments: Any,
        outputs: Any = None,
        keep_for_backward: Any = None,
        device: Any = None,
        as_numpy: bool = True,
    ) -> Any:
        """Compute outputs and perhaps keep what `backward` needs.

        Args:
            arguments: As those of `eval`.
            outputs: Some of the outputs; None: all.
            keep_for_backward: The outputs whose gradients `backward` is to start from.
            device: Accepted; everything is computed on the default device.
            as_numpy: Accepted; results are arrays.

        Returns:
            A state for `backward`, None without `keep_for_backward`; and a dictionary of arrays.
        """
        del device, as_numpy
        wanted = self.outputs if outputs is None else [as_variable(v) for v in outputs]
        return _evaluation.forward(self, arguments, wanted, keep_for_backward or ())

    def backward(
        self, state: Any, root_gradients: Any, variables: Any, as_numpy: bool = True
    ) -> Any:
        """Compute gradients of leaves.

        Args:
            state: What `forward` returned.
            root_gradients: Outputs to their gradients, arrays of the outputs' shapes.
            variables: Arguments or parameters.
            as_numpy: Accepted; results are arrays.

        Returns:
            A dictionary of arrays.
        """
        del as_numpy
        roots = {as_variable(v): value for v, value in root_gradients.items()}
        return _evaluation.backward(state, roots, variables)

    def grad(
        self,
        at: Any,
        wrt: Any = None,
        outputs: Any = None,
        device: Any = None,
        as_numpy: bool = True,
        grad_root: Any = None,
    ) -> Any:
        """Compute gradients of the outputs' sum over the minibatch.

        Args:
            at: As the arguments of `eval`.
            wrt: Parameters or inputs; None: all inputs that need a gradient.
            outputs: Outputs whose values are wanted as well.
            device: Accepted; everything is computed on the default device.
            as_numpy: Accepted; results are arrays.
            grad_root: The output that is derived; None: all.

        Returns:
            A dictionary of arrays, or one array for one variable; with `outputs` the same of these
            behind it.
        """
        del device, as_numpy
        wanted = [as_variable(v) for v in outputs or ()]
        root = None if grad_root is None else as_variable(grad_root)
        return _evaluation.gradient(self, at, None if wrt is None else list(wrt), wanted, root)

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

    @staticmethod
    def register_udf_deserialize_callback(op_name: str, callback: Callable[..., Any]) -> None:
        """Let `callback` make the user functions of a class that a file names.

        Args:
            op_name: The class with its module.
            callback: Takes inputs, name and state, and returns the function.
        """
        from cntk.ops._user import register_udf_deserialize_callback  # they are functions

        register_udf_deserialize_callback(op_name, callback)

    def replace_placeholder(self, substitution: Any) -> "Function":
        """Put a variable in the place of the only placeholder."""
        (placeholder,) = self.placeholders
        return self.replace_placeholders({placeholder: substitution})

    # Finding parts.

    def find_all_with_name(self, name: str, depth: int = 0) -> list[Any]:
        """Return all functions and variables called `name`; `depth` -1 looks into blocks too."""
        return find_all(self, name, depth)

    def find_by_name(self, name: str, depth: int = 0) -> Any:
        """Return the part called `name`, or None; raises ValueError if there are several."""
        return find_one(self, name, depth)

    # Files.

    def save(
        self,
        filename: str | Path,
        format: ModelFormat = ModelFormat.CNTKv2,
        use_external_files_to_store_parameters: bool = False,
    ) -> None:
        """Write the model, in one step; folders that are missing are made.

        Args:
            filename: Of the file.
            format: CNTK's own, a `.dnn` file, or ONNX.
            use_external_files_to_store_parameters: Not provided.
        """
        if use_external_files_to_store_parameters:
            raise refuse("Function.save(use_external_files_to_store_parameters=True)")
        path = Path(filename)
        if format is ModelFormat.ONNX:
            content = to_onnx(self._outputs, self.name)
        else:
            content = _modelfile.to_bytes(self._outputs, self._composite_uid, self._name)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(content)
        part.replace(path)

    @staticmethod
    def load(
        model: str | Path | bytes, device: Any = None, format: ModelFormat = ModelFormat.CNTKv2
    ) -> "Function":
        """Read a `.dnn` file.

        Args:
            model: Its path, or its bytes.
            device: Accepted; everything lives on the default device.
            format: CNTK's own; nothing else is provided.

        Raises:
            ValueError: There is no such file.
            RuntimeError: It is no CNTK model.
        """
        del device
        if format is not ModelFormat.CNTKv2:
            raise refuse(f"Function.load(format={format})")
        if not isinstance(model, bytes):
            if not Path(model).is_file():
                message = f"Cannot load the model {model} that is neither a file nor a byte buffer."
                raise ValueError(message)
            model = Path(model).read_bytes()
        from cntk.ops import _user  # users' functions are functions

        outputs, uid, name = _modelfile.from_bytes(model, _user.read)
        return Function._of(tuple(outputs), name=name if len(outputs) > 1 else "", uid=uid)

    def restore(self, filename: str | Path) -> None:
        """Take the parameters' values from a file that was written from this function."""
        stored = {p.uid: p for p in Function.load(filename).parameters}
        for parameter in self.parameters:
            if parameter.uid not in stored or stored[parameter.uid].shape != parameter.shape:
                message = f"{filename} is no file of this function: it lacks {parameter!r}."
                raise ValueError(message)
            parameter.value = stored[parameter.uid].value


def load_model(
    model: str | Path | bytes, device: Any = None, format: ModelFormat = ModelFormat.CNTKv2
) -> Function:
    """Read a `.dnn` file; see `Function.load`."""
    return Function.load(model, device, format)


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


def BlockFunction(op_name: str, name: str) -> "Callable[[Callable[..., Any]], Function]":  # noqa: N802
    """Return a decorator that makes a layer of a Python function.

    Args:
        op_name: What kind of layer, as it prints.
        name: The user's name for it.
    """
    return lambda f: Function(f, name, make_block=True, op_name=op_name)


from cntk.ops._user import UserFunction as UserFunction  # noqa: E402 (it is made of `Function`)

__getattr__ = absent(__name__)
