"""How layers are made: a block around placeholders that calling the layer fills."""

from collections.abc import Callable, Sequence
from typing import Any

from cntk._graph import make_block
from cntk.initializer import initializer_with_rank
from cntk.ops.functions import Function, as_variable
from cntk.variables import Kind, Variable

_Activation = Callable[..., Any] | Function | Sequence[Any] | None


def _layer(
    op: str, build: Callable[..., Any], name: str, labels: Sequence[str] = ("x",)
) -> Function:
    inner = [Variable(None, kind=Kind.PLACEHOLDER) for _ in labels]
    outer = [Variable(None, kind=Kind.PLACEHOLDER, name=label) for label in labels]
    pairs = list(zip(inner, outer, strict=True))
    return Function._of(make_block(op, as_variable(build(*inner)), pairs, name), tuple(outer))


def _activated(activation: _Activation, x: Any) -> Any:
    for function in activation if isinstance(activation, list | tuple) else (activation,):
        x = x if function is None else function(x)
    return x


def _ranked(init: Any, output_rank: int, filter_rank: int | None = None) -> Any:
    """Return an initialiser that knows which axes of a weight are outputs and which a kernel's."""
    if init is None:
        message = "init parameter cannot be None"
        raise ValueError(message)
    return initializer_with_rank(init, output_rank, filter_rank)


def _spread(value: Any, axes: Sequence[Any], what: str) -> tuple[Any, ...]:
    """Return one value for each axis."""
    listed = tuple(value) if isinstance(value, tuple | list) else (value,)
    if len(listed) == 1:
        listed *= len(axes)
    if len(listed) != len(axes):
        message = (
            f"{what} parameter ({listed}) must be a scalar or have same number of elements as the "
            f"filter_shape parameter ({tuple(axes)})"
        )
        raise ValueError(message)
    return listed
