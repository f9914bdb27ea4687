"""How functions are made of operations: as one node, or as a block of several."""

from collections.abc import Callable, Sequence
from functools import wraps
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


def _rounding(op: str, text: str) -> Callable[..., Function]:
    def function(arg: Any, name: str = "") -> Function:
        return _node(op, [arg], None, name)

    return _documented(function, text)


def _binary(op: str, text: str) -> Callable[..., Function]:
    def function(left: Any, right: Any, name: str = "") -> Function:
        return _node(op, [left, right], None, name)

    return _documented(function, text)


def _logical(op: str, build: Callable[[Any, Any], Any], text: str) -> Callable[..., Function]:
    def function(x: Any, y: Any, name: str = "") -> Function:
        return _compound(op, build, [x, y], name)

    return _documented(function, text)


def associative_multi_arg(f: Callable[..., Function]) -> Callable[..., Function]:
    """Let a function of two operands take more: halves are joined, as in a tree.

    Args:
        f: Takes two operands and a name.

    Returns:
        A function of two or more operands; a last operand that is a string is the name.
    """

    @wraps(f)
    def function(left: Any, right: Any, *more: Any, name: str = "") -> Function:
        operands = [left, right, *more]
        if not name and len(operands) > 2 and isinstance(operands[-1], str):
            name = operands.pop()

        def joined(part: list[Any], title: str) -> Any:
            if len(part) == 1:
                return part[0]
            middle = len(part) // 2
            if middle == 1 and len(part) == 2:
                return f(*part, name=title)
            return f(joined(part[:middle], ""), joined(part[middle:], ""), name=title)

        result: Function = joined(operands, name)
        return result

    return function


def _documented(function: Callable[..., Function], text: str) -> Callable[..., Function]:
    function.__doc__ = text
    return function
