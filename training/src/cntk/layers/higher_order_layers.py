"""Layers made of layers."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cntk._absent import absent
from cntk.ops.functions import Function


def identity(x: Any) -> Any:
    """Return x itself."""
    return x


def Sequential(layers: Sequence[Any], name: str = "") -> Function:  # noqa: N802 (CNTK's name)
    """Return the layers one after the other; a list in the list counts as its elements."""
    flat = list(_flat(layers))

    def apply(x: Any) -> Any:
        for layer in flat:
            x = layer(x)
        return x

    return Function(apply, name)


def For(what_range: Iterable[Any], constructor: Callable[..., Any], name: str = "") -> Function:  # noqa: N802
    """Return the layers that `constructor` makes for each element of a range, one after the other.

    Args:
        what_range: What is counted through, as in a `for` statement.
        constructor: Takes the element, or nothing, and returns a layer.
        name: Of the result.
    """
    takes_element = bool(inspect.signature(constructor).parameters)
    return Sequential(
        [constructor(i) if takes_element else constructor() for i in what_range], name
    )


def _flat(layers: Iterable[Any]) -> Iterable[Any]:
    for layer in layers:
        if isinstance(layer, list | tuple):
            yield from _flat(layer)
        else:
            yield layer


__getattr__ = absent(__name__)
