"""How functions are made of operations: as one node, or as a block of several."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from cntk._graph import make, make_block, placeholder_like
from cntk._operations import BY_NAME
from cntk.ops.functions import Function, as_variable
from cntk.variables import Variable

_ARITHMETIC: Final = ("Plus", "Minus", "ElementTimes", "LogPlus", "Pow")
_COMPARISONS: Final = ("Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual")
_OF_TWO: Final = frozenset((*_ARITHMETIC, *_COMPARISONS, "Times", "TransposeTimes", "CosDistance"))
"""Operations whose operands may differ in having a sequence axis."""


def _node(
    op: str, operands: Sequence[Any], attributes: dict[str, Any] | None = None, name: str = ""
) -> Function:
    variables = _variables(operands)
    if op in _OF_TWO:
        variables = _along_one_axis(*variables)
    return Function._of(make(BY_NAME[op], variables, attributes, name))


def _along_one_axis(left: Variable, right: Variable) -> list[Variable]:
    """Repeat an operand without a sequence axis for each step of the other one, as CNTK does."""
    for one, other in ((left, right), (right, left)):
        known = one._axes and other._axes and not (one.is_placeholder or other.is_placeholder)
        if known and one._sequence is not None and other._sequence is None:
            (spread,) = make(BY_NAME["ReconcileDynamicAxis"], [other, one])
            return [spread if v is other else v for v in (left, right)]
    return [left, right]


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
