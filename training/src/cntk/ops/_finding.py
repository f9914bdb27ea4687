"""Looking for parts of a function."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cntk._graph import python_inputs
from cntk.variables import Variable

if TYPE_CHECKING:
    from cntk.ops.functions import Function


def parts(outputs: Sequence[Variable], depth: int) -> Iterator[Any]:
    """Yield functions and variables, nearest first, each once.

    Args:
        outputs: Where the search begins.
        depth: How deep into layers it goes; -1: without end.
    """
    from cntk.ops.functions import Function  # a function finds functions

    stack = [(v, depth) for v in reversed(outputs)]
    seen: set[str] = set()
    while stack:
        variable, left = stack.pop()
        node = variable._node
        uid = variable.uid if node is None else node.uid
        if uid in seen:
            continue
        seen.add(uid)
        if node is None:
            yield variable
            continue
        yield Function._of(node.outputs).root_function
        if node.block is not None and left != 0:
            seen.update(inner.uid for inner, _ in node.block.arguments)
            stack.extend((outer, left) for _, outer in reversed(node.block.arguments))
            stack.append((node.block.root, left - 1))
        else:
            stack.extend((v, left) for v in reversed(python_inputs(node)))


def find_all(function: "Function", name: str, depth: int) -> list[Any]:
    """Return all parts called `name`."""
    return [part for part in parts(function.outputs, depth) if part.name == name]


def find_one(function: "Function", name: str, depth: int) -> Any:
    """Return the part called `name`, or None; ValueError if there are several."""
    found = find_all(function, name, depth)
    if len(found) > 1:
        message = (
            f'found multiple functions matching "{name}". If that was expected call '
            "find_all_with_name"
        )
        raise ValueError(message)
    return found[0] if found else None
