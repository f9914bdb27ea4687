"""Layers made of layers."""

import inspect
from collections.abc import Callable, Iterable
from functools import reduce
from types import FunctionType
from typing import Any

from cntk import ops
from cntk._absent import absent
from cntk.layers.blocks import identity
from cntk.ops.functions import Function


def Sequential(layers: Any, name: str = "") -> Any:  # noqa: N802 (CNTK's name)
    """Return the layers one after the other.

    Args:
        layers: A list of functions; a list in it counts as its elements one after the other, a
            tuple as functions side by side. What is no list is returned as it is.
        name: Of the result.
    """
    if not isinstance(layers, list):
        return layers
    chained = reduce(lambda f, g: f >> g, (Sequential(layer) for layer in layers), identity)
    return _named(chained, name)


def For(what_range: Iterable[Any], constructor: Callable[..., Any], name: str = "") -> Any:  # noqa: N802
    """Return the layers that `constructor` makes for each element of a range, one after the other.

    Args:
        what_range: What is counted through, as in a `for` statement.
        constructor: A Python function of the element, or of nothing, that returns a layer.
        name: Of the result.
    """
    if not isinstance(constructor, FunctionType):
        message = "constructor must be a Python function/lambda"
        raise ValueError(message)
    takes_element = bool(inspect.signature(constructor).parameters)
    made = [constructor(i) if takes_element else constructor() for i in what_range]
    return _named(Sequential(made), name)


def SequentialClique(functions: Iterable[Any], name: str = "") -> Any:  # noqa: N802 (CNTK's name)
    """Return functions one after the other, each of the sum of all that came before."""
    listed = list(functions)

    def clique(x: Any) -> Any:
        out = x
        for function in listed:
            out = function(x)
            x = ops.plus(x, out)
        return out

    return _named(clique, name)


def ResNetBlock(f: Any, name: str = "") -> Any:  # noqa: N802 (CNTK's name)
    """Return x -> f(x) + x."""

    def skip(x: Any) -> Any:
        return ops.plus(f(x), x)

    return _named(skip, name)


def _named(f: Any, name: str) -> Any:
    if not name:
        return f
    function = f if isinstance(f, Function) else Function(f)
    if len(function.outputs) == 1:
        return ops.alias(function, name=name)
    return ops.combine(list(function.outputs), name=name)


__getattr__ = absent(__name__)
