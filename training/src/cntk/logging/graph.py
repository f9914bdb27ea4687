"""Walks through a graph: finding parts by name or number, and writing it down or drawing it."""

import importlib
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from cntk._absent import absent
from cntk._graph import Node
from cntk.ops.functions import Function
from cntk.variables import Variable

_DRAWN: Final = (".svg", ".pdf", ".png", ".dot")
_SIGNS: Final = {"Plus": "+", "Minus": "-", "ElementTimes": "*", "Times": "@"}
_COLORS: Final = {"Input": "yellow", "Placeholder": "grey", "Parameter": "green"}


def depth_first_search(root: Any, visitor: Callable[[Any], bool], depth: int = 0) -> list[Any]:
    """Return the functions and variables of a graph for which `visitor` is true.

    Args:
        root: A function or variable.
        visitor: Takes a function or a leaf.
        depth: How many levels of blocks to look into; -1: all.

    Returns:
        Each part once, the root first, then operands from left to right; what is inside a block
        comes after what the block is made from.
    """
    return [part for part in _parts(root, sys.maxsize if depth == -1 else depth) if visitor(part)]


def _parts(root: Any, depth: int) -> Iterator[Any]:
    waiting: deque[tuple[Any, int]] = deque()
    if isinstance(root, Function) and len(root.outputs) != 1:
        yield root
        waiting.extend((v, depth) for v in root.outputs)
    else:
        waiting.append((root.output if isinstance(root, Function) else root, depth))
    seen: set[str] = set()
    while waiting:
        variable, level = waiting.popleft()
        node: Node | None = variable._node
        uid = variable.uid if node is None else node.uid
        if uid in seen:
            continue
        seen.add(uid)
        if node is None:
            yield variable
            continue
        yield Function._of(node.outputs)
        if node.block is None or level <= 0:
            waiting.extendleft((v, level) for v in reversed(node.inputs))
        else:
            waiting.extend((outer, level - 1) for _, outer in node.block.arguments)
            # What stands for the operands inside is not looked at: they were.
            seen.update(inner.uid for inner, _ in node.block.arguments)
            waiting.extend((root, level - 1) for root in node.block.roots)


def find_all_with_name(node: Any, node_name: str, depth: int = 0) -> list[Any]:
    """Return all functions and leaves called `node_name`; see `depth_first_search`."""
    return depth_first_search(node, lambda part: part.name == node_name, depth)


def find_by_name(node: Any, node_name: Any, depth: int = 0) -> Any:
    """Return the function or leaf called `node_name`, None if there is none.

    Raises:
        ValueError: There are several, or the name is no text.
    """
    if not isinstance(node_name, str):
        message = f"node name has to be a string. You gave a {type(node_name)}"
        raise ValueError(message)
    found = find_all_with_name(node, node_name, depth)
    if len(found) > 1:
        message = (
            f'found multiple functions matching "{node_name}". '
            "If that was expected call find_all_with_name"
        )
        raise ValueError(message)
    return found[0] if found else None


def find_by_uid(node: Any, node_uid: Any, depth: int = 0) -> Any:
    """Return the function or leaf with that uid, None if there is none."""
    if not isinstance(node_uid, str):
        message = (
            f"node_uid must be string of type str or unicode (Python 2.7). You gave a "
            f"{type(node_uid)}"
        )
        raise ValueError(message)
    found = depth_first_search(node, lambda part: part.uid == node_uid, depth)
    return found[0] if found else None


def get_node_outputs(node: Any, depth: int = 0) -> list[Variable]:
    """Return all outputs of the functions in a graph."""
    parts = depth_first_search(node, lambda part: isinstance(part, Function), depth)
    return [output for part in parts for output in part.outputs]


def plot(root: Any, filename: str | None = None) -> str:
    """Write a graph down, one line for each output, what is computed first above.

    Args:
        root: A function or variable.
        filename: Where to draw it, as .dot, .svg, .png or .pdf; that takes the package pydot_ng,
            and Graphviz for all but .dot.

    Returns:
        `Op(operands) -> output;` for each.

    Raises:
        ValueError: The file has another ending.
        ImportError: pydot_ng is not installed.
    """
    functions = depth_first_search(root, lambda part: isinstance(part, Function))
    if filename is not None:
        _draw(functions, str(filename))
    lines: list[str] = []
    for function in functions:
        taken = _operands(function)
        call = f"{function.op_name}({', '.join(v.uid for v in taken)})"
        lines.extend(f"{call} -> {output.uid};\n" for output in function.outputs)
    return "\n".join(reversed(lines))


def _operands(function: Function) -> list[Variable]:
    if len(function.outputs) != 1:
        return list(function.outputs)
    node = function._node
    # Constants inside a block are its own affair.
    return [v for v in node.inputs if node.block is None or not v.is_constant]


def _draw(functions: list[Function], filename: str) -> None:
    suffix = Path(filename).suffix.lower()
    if suffix not in _DRAWN:
        message = 'only file extensions ".svg", ".pdf", ".png", and ".dot" are supported'
        raise ValueError(message)
    try:
        pydot = importlib.import_module("pydot_ng")
    except ImportError as error:
        message = (
            "Unable to import pydot_ng, which is required to output SVG, PDF, PNG, and DOT format."
        )
        raise ImportError(message) from error
    picture = pydot.Dot(graph_name="network_graph", rankdir="TB")
    picture.set_node_defaults(shape="rectangle", style="filled", fillcolor="lightgray", fontsize=12)
    picture.set_edge_defaults(fontsize=10)
    for function in functions:
        label = _SIGNS.get(function.op_name, function.op_name)
        title = f"{label}\n{function.name}()" if function.name else label
        picture.add_node(pydot.Node(_uid(function), label=f'"{title}"'))
        for v in _operands(function):
            if v._node is None:
                kind = v.kind.name.title()
                text = f'"{v.name or kind}\n{v.shape}"'
                color = _COLORS.get(kind, "lightblue")
                picture.add_node(pydot.Node(v.uid, label=text, fillcolor=color))
            source = v.uid if v._node is None else v._node.uid
            edge = f'"{v.name or v.uid}\n{v.shape}"'
            picture.add_edge(pydot.Edge(source, _uid(function), label=edge))
    if suffix == ".dot":
        picture.write_raw(filename)
    else:
        getattr(picture, f"write_{suffix[1:]}")(filename, prog="dot")


def _uid(function: Function) -> str:
    return function._composite_uid if len(function.outputs) != 1 else function.uid


__getattr__ = absent(__name__)
