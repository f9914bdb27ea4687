"""How functions print, in CNTK's form."""

from typing import TYPE_CHECKING

import numpy as np

from cntk._graph import python_inputs
from cntk.variables import Variable

if TYPE_CHECKING:
    from cntk.ops.functions import Function


def call(function: "Function") -> str:
    """Return `Dense(x: Tensor[4]) -> Tensor[3]`: what it takes and what it makes."""
    given = ", ".join(
        f"{v.name}: {_tensor(v)}" if v.name else _tensor(v) for v in function.arguments
    )
    made = [_tensor(v) for v in function.outputs]
    result = f"Tuple[{', '.join(made)}]" if len(made) > 1 else made[0]
    title = f"{function.name}: " if function.name else ""
    # The last operation is named when it is all there is between the arguments and the result.
    name = function.op_name if _is_one_operation(function) else "Composite"
    return f"{title}{name}({given}) -> {result}"


def signature(function: "Function") -> str:
    """Return `Composite(Dense): Input(...) -> Output(...)`: its variables in full."""
    arguments = ", ".join(map(repr, function.arguments))
    return f"Composite({function.op_name}): {arguments} -> {', '.join(map(repr, function.outputs))}"


def _is_one_operation(function: "Function") -> bool:
    if not function._is_one_node:
        return False
    node = function._node
    # CNTK compares as many inputs of both as there are.
    own = python_inputs(node)
    return all(a is b for a, b in zip(function.inputs, own, strict=False))


def _tensor(variable: Variable) -> str:
    if variable._shape is None:
        return "Sequence[tensor]"
    double = variable.dtype == np.float64
    if not variable.shape:
        return "np.float64" if double else "np.float32"
    dims = ",".join(map(str, variable.shape))
    kind = "Tensor" if variable._batched else "ParameterTensor"
    return f"{kind}[{'np.float64,' if double else ''}{dims}]"
