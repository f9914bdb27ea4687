"""How functions print, in CNTK's form."""

from typing import TYPE_CHECKING

from cntk.axis import SEQUENCE
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
    """Return whether the last operation's first operands are all that the whole depends on."""
    outputs = function.outputs
    last = function._node.inputs if outputs == function._node.outputs else outputs
    return all(a is b for a, b in zip(function.inputs, last, strict=False))


def _tensor(variable: Variable) -> str:
    if variable._shape is None:
        return "Sequence[tensor]"
    kind = "SparseTensor" if variable.is_sparse else "Tensor"
    if variable._axes == ():
        kind = "ParameterTensor"
    text = f"{kind}[{','.join(map(str, variable.shape))}]" if variable.shape else "np.float32"
    axis = variable._sequence
    if axis is None:
        return f"Sequence[{text}]" if variable._axes is None else text
    return f"Sequence[{text}]" if axis == SEQUENCE else f"SequenceOver[{axis.name}][{text}]"
