"""Looking for parts of a graph, and telling what it consists of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cntk._absent import absent, refuse
from cntk._graph import nodes
from cntk.ops._finding import parts
from cntk.ops.functions import Function
from cntk.variables import Variable


def depth_first_search(root: Any, visitor: Callable[[Any], bool], depth: int = 0) -> list[Any]:
    """Return the functions and variables for which `visitor` is true, nearest first.

    Args:
        root: A function or variable where the search begins.
        visitor: Takes a function or variable.
        depth: How deep into layers it goes; -1: without end.
    """
    outputs = (root,) if isinstance(root, Variable) else root.outputs
    return [part for part in parts(outputs, depth) if visitor(part)]


def find_all_with_name(node: Any, node_name: str, depth: int = 0) -> list[Any]:
    """Return all functions and variables with a name; see `depth_first_search`."""
    return depth_first_search(node, lambda part: bool(part.name == node_name), depth)


def find_by_name(node: Any, node_name: Any, depth: int = 0) -> Any:
    """Return the only function or variable with a name, None if there is none.

    Raises:
        ValueError: There are several.
    """
    if not isinstance(node_name, str):
        message = f"node name has to be a string. You gave a {type(node_name)}"
        raise ValueError(message)
    return _only(find_all_with_name(node, node_name, depth), node_name)


def find_by_uid(node: Any, node_uid: Any, depth: int = 0) -> Any:
    """Return the function or variable with a uid, None if there is none."""
    if not isinstance(node_uid, str):
        message = f"node_uid must be string of type str. You gave a {type(node_uid)}"
        raise ValueError(message)
    return _only(depth_first_search(node, lambda p: bool(p.uid == node_uid), depth), node_uid)


def _only(found: list[Any], what: str) -> Any:
    if len(found) > 1:
        message = (
            f'found multiple functions matching "{what}". If that was expected call '
            "find_all_with_name"
        )
        raise ValueError(message)
    return found[0] if found else None


def get_node_outputs(node: Any, depth: int = 0) -> list[Variable]:
    """Return the outputs of all functions of a graph; see `depth_first_search`."""
    found = depth_first_search(node, lambda part: isinstance(part, Function), depth)
    return [v for part in found for v in part.outputs]


def plot(root: Any, filename: str | None = None) -> str:
    """Return a line for each function of a graph, from the first to the last.

    Args:
        root: A function.
        filename: Only a `.dot` file is provided: the graph in the language of Graphviz.
    """
    lines, edges = [], []
    for node in nodes(root.outputs):
        shown = [v for v in node.inputs if node.block is None or not v.is_constant]
        title = node.op.name if node.block is None else node.block.name
        made = [v.uid for v in node.outputs]
        taken = ", ".join(v.uid for v in shown)
        lines += [f"{title}({taken}) -> {uid};\n" for uid in made]
        edges += [f'  "{v.uid}" -> "{uid}" [label="{title}"];\n' for v in shown for uid in made]
    if filename:
        if Path(filename).suffix.lower() != ".dot":
            raise refuse(f"plot to a {Path(filename).suffix} file")
        Path(filename).write_text(f"digraph network_graph {{\n{''.join(edges)}}}\n")
    return "\n".join(lines)


__getattr__ = absent(__name__)
