"""How a Python function becomes a function of the graph: it is called once with open places."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cntk._absent import refuse
from cntk._graph import leaves, make_block, placeholder_like
from cntk._text import type_of
from cntk.axis import Axis
from cntk.variables import Constant, Kind, Record, Variable


def arguments_of(f: Callable[..., Any]) -> tuple[list[str], dict[str, Any]]:
    """Return the names of a function's parameters without a default, and its annotations."""
    empty = inspect.Parameter.empty
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = inspect.signature(f).parameters.values()
    names = [p.name for p in found if p.default is empty and p.kind in kinds]
    return names, dict(getattr(f, "__annotations__", {}))


def place(name: str, annotation: Any) -> Variable:
    """Return an argument's variable: an input if its type is known, else a placeholder."""
    if annotation in (float, np.float32, np.float64):
        dtype = np.float64 if annotation is np.float64 else np.float32
        annotation = Record(shape=(), dtype=dtype)
    if isinstance(annotation, Record) and "shape" in annotation:
        axes: Sequence[Axis] = annotation.get("dynamic_axes", [Axis.default_batch_axis()])
        from cntk.ops import input_variable  # it is made of functions

        options = {k: annotation[k] for k in ("dtype", "is_sparse") if k in annotation}
        return input_variable(annotation["shape"], dynamic_axes=axes, name=name, **options)
    return Variable(None, kind=Kind.PLACEHOLDER, name=name)


def trace(f: Callable[..., Any]) -> tuple[tuple[Variable, ...], tuple[Variable, ...]]:
    """Return the outputs of a Python function, and its arguments in order."""
    names, annotations = arguments_of(f)
    places = tuple(place(name, annotations.get(name)) for name in names)
    return _called(f, places), places


def block(
    f: Callable[..., Any], op_name: str, name: str
) -> tuple[tuple[Variable, ...], tuple[Variable, ...]]:
    """Return the output of a layer made of a Python function, and its arguments in order."""
    names, annotations = arguments_of(f)
    outer = tuple(place(title, annotations.get(title)) for title in names)
    inner = tuple(placeholder_like(v) for v in outer)
    for v, title in zip(inner, names, strict=True):
        v.name = title
    outputs = _called(f, inner)
    if len(outputs) > 1:
        raise refuse(f"BlockFunction({op_name!r}) with several outputs")
    return make_block(op_name, outputs[0], list(zip(inner, outer, strict=True)), name), outer


def _called(f: Callable[..., Any], places: Sequence[Variable]) -> tuple[Variable, ...]:
    title = getattr(f, "__name__", type(f).__name__)
    result = f(*places)
    if result is None:
        message = f"CNTK Function '{title}' must return a value"
        raise TypeError(message)
    outputs: list[Variable] = []
    for part in result if isinstance(result, tuple | list) else [result]:
        if isinstance(part, Variable):
            outputs.append(part)
        else:
            outputs.extend(getattr(part, "outputs", None) or [Constant(part)])
    used = leaves(outputs)
    unused = [v.name for v in places if v not in used]
    if unused:
        message = (
            f"CNTK Function '{title}' has {len(unused)} unused arguments ({', '.join(unused)}), "
            "which is currently not supported"
        )
        raise TypeError(message)
    return tuple(outputs)


def check_types(given: Mapping[Variable, Variable]) -> None:
    """Raise TypeError where an input of a known type would get something of another."""
    for i, (wanted, value) in enumerate(given.items()):
        if wanted.is_placeholder or wanted._shape is None or value._shape is None:
            continue
        rank = len(wanted.shape)
        fits = value.shape[len(value.shape) - rank :] == wanted.shape and rank <= len(value.shape)
        if not fits or value.dtype != wanted.dtype:
            title = f"argument {wanted.name}" if wanted.name else f"positional argument {i}"
            message = (
                f"{title}'s type {type_of(wanted)} is incompatible with the type "
                f"{type_of(value)} of the passed Variable"
            )
            raise TypeError(message)
