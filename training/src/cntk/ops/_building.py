"""How functions are made of operations: as one node, or as a block of several."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cntk._graph import make, make_block, placeholder_like
from cntk._operations import BY_NAME
from cntk.ops.functions import Function, as_variable
from cntk.variables import Variable


def _node(
    op: str, operands: Sequence[Any], attributes: dict[str, Any] | None = None, name: str = ""
) -> Function:
    return Function._of(make(BY_NAME[op], _variables(operands), attributes, name))


def _variables(operands: Sequence[Any]) -> list[Variable]:
    typed = next((v for v in operands if isinstance(v, Variable | Function)), None)
    return [as_variable(v, np.float32 if typed is None else typed.dtype) for v in operands]


def _compound(
    op: str,
    build: Callable[..., Any],
    operands: Sequence[Any],
    name: str = "",
    attributes: dict[str, Any] | None = None,
) -> Function:
    """Return a block: CNTK 2.7 makes these operations of smaller ones, and so do its files."""
    outer = _variables(operands)
    inner = [placeholder_like(v) for v in outer]
    root = as_variable(build(*inner))
    return Function._of(
        make_block(op, root, list(zip(inner, outer, strict=True)), name, attributes=attributes)
    )


def _unary(op: str, text: str) -> Callable[..., Function]:
    def function(x: Any, name: str = "") -> Function:
        return _node(op, [x], None, name)

    return _documented(function, text)


def _binary(op: str, text: str) -> Callable[..., Function]:
    def function(left: Any, right: Any, name: str = "") -> Function:
        return _node(op, [left, right], None, name)

    return _documented(function, text)


def _documented(function: Callable[..., Function], text: str) -> Callable[..., Function]:
    function.__doc__ = text
    return function
