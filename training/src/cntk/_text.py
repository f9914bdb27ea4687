"""How functions print, in CNTK's form."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cntk._dictionary import FileAxis, NDShape, SizeT
from cntk._graph import python_inputs
from cntk.axis import Axis
from cntk.variables import Variable

if TYPE_CHECKING:
    from cntk.ops.functions import Function


def call(function: "Function") -> str:
    """Return `Dense(x: Tensor[4]) -> Tensor[3]`: what it takes and what it makes."""
    takes: Sequence[Variable] = function.arguments
    if function.is_primitive and function._is_one_node:
        takes = [v for v in python_inputs(function._node) if not (v.is_parameter or v.is_constant)]
    given = ", ".join(f"{v.name}: {type_of(v)}" if v.name else type_of(v) for v in takes)
    made = [type_of(v) for v in function.outputs]
    result = f"Tuple[{', '.join(made)}]" if len(made) > 1 else made[0]
    title = f"{function.name}: " if function.name else ""
    # The last operation is named when it is all there is between the arguments and the result.
    name = function.op_name if _is_one_operation(function) else "Composite"
    return f"{title}{name}({given}) -> {result}"


def signature(function: "Function") -> str:
    """Return `Composite(Dense): Input(...) -> Output(...)`: its variables in full."""
    takes: Sequence[Variable] = function.arguments
    title = f"Composite({function.op_name})"
    if function.is_primitive and function._is_one_node:
        title, takes = function.op_name, python_inputs(function._node)
    given, made = (", ".join(map(repr, listed)) for listed in (takes, function.outputs))
    return f"{title}: {given} -> {made}"


def _is_one_operation(function: "Function") -> bool:
    if not function._is_one_node:
        return False
    node = function._node
    if function.is_primitive:
        return True
    # CNTK compares as many inputs of both as there are.
    own = python_inputs(node)
    return all(a is b for a, b in zip(function.inputs, own, strict=False))


def type_of(variable: Variable) -> str:
    """Return `Tensor[2,3]`: a variable's type in one word."""
    if variable._shape is None:
        return "Sequence[tensor]"
    double = variable.dtype == np.float64
    if not variable.shape:
        return "np.float64" if double else "np.float32"
    dims = ",".join(map(str, variable.shape))
    kind = "Tensor" if variable._batched else "ParameterTensor"
    return f"{kind}[{'np.float64,' if double else ''}{dims}]"


def attributes(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a node's attributes as Python has them: shapes and paddings in Python's order."""

    def plain(key: str, value: Any) -> Any:
        if isinstance(value, NDShape):
            return value.python
        if isinstance(value, FileAxis):
            return Axis._of(value)
        if isinstance(value, SizeT):
            return int(value)
        if isinstance(value, list):
            listed = reversed(value) if key in ("sharing", "autoPadding") else value
            return [plain(key, v) for v in listed]
        return value

    return {key: plain(key, value) for key, value in found.items()}
