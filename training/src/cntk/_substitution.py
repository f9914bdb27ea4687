"""Other variables in a graph's places: in a new graph, or in the graph itself.

Giving a graph other inputs builds other nodes. Resolving a placeholder changes the nodes that take
it; so a loop is closed, and shapes must go around it until they are steady.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cntk._graph import Node, follow, make, make_block, nodes, placeholder_like
from cntk.variables import Kind, Variable


def rebuild(outputs: Sequence[Variable], replaced: Mapping[Variable, Variable]) -> list[Variable]:
    """Build the graph above `outputs` anew with other leaves.

    Args:
        outputs: What is wanted again.
        replaced: Old variable to new one; all other leaves are shared with the old graph.

    Returns:
        The new outputs, in the order of `outputs`.
    """
    now = dict(replaced)
    # Where a loop closes, a placeholder stands for what is not built yet.
    ahead: dict[Variable, Variable] = {}

    def current(v: Variable) -> Variable:
        if v in now:
            return now[v]
        return v if v._node is None else ahead.setdefault(v, _forward(v))

    for node in nodes(outputs, stop=replaced):
        inputs = [current(v) for v in node.inputs]
        if node.block is None:
            made = make(node.op, inputs, node.attributes, node.name)
        else:
            block = node.block
            pairs = [
                (placeholder_like(current(outer)), current(outer)) for _, outer in block.arguments
            ]
            inner = {old: new for (old, _), (new, _) in zip(block.arguments, pairs, strict=True)}
            inner.update((v, current(v)) for v in node.inputs)
            roots = rebuild(block.roots, inner)
            made = make_block(block.name, roots, pairs, node.name, attributes=node.attributes)
        now.update(zip(node.outputs, made, strict=True))
    results = [now.get(v, v) for v in outputs]
    if ahead:
        resolve(results, {placeholder: now[v] for v, placeholder in ahead.items()})
    return results


def _forward(variable: Variable) -> Variable:
    return Variable(
        None,
        variable.dtype,
        kind=Kind.PLACEHOLDER,
        axes=None,
        needs_gradient=variable.needs_gradient,
    )


def resolve(outputs: Sequence[Variable], replaced: Mapping[Variable, Variable]) -> None:
    """Put variables in the place of placeholders in the graph above `outputs` itself.

    This is how a loop is closed: what takes a placeholder's place may be made from it.

    Args:
        outputs: Where the graph hangs from.
        replaced: Placeholder to what it stands for.
    """
    close(nodes(outputs), replaced)
    settle(outputs)


def close(takers: Sequence[Node], replaced: Mapping[Variable, Variable]) -> None:
    """Put variables in the place of placeholders among the inputs of some nodes."""
    for node in takers:
        _put(node, replaced)


def settle(outputs: Sequence[Variable]) -> None:
    """Let shapes and axes in the graph above `outputs` follow from the leaves.

    Raises:
        ValueError: Going around a loop a shape grows.
    """
    _settle_all(nodes(outputs))


def _put(node: Node, replaced: Mapping[Variable, Variable]) -> None:
    if not any(v in replaced for v in node.inputs):
        return
    node.inputs = tuple(replaced.get(v, v) for v in node.inputs)
    if node.block is not None:
        block = node.block
        pairs = [(inner, replaced.get(outer, outer)) for inner, outer in block.arguments]
        node.block = replace(block, arguments=tuple(pairs))
        for inside in nodes(block.roots):
            _put(inside, replaced)


def _settle_all(ordered: Sequence[Node]) -> None:
    """Let shapes and axes follow until nothing changes; in a loop they must go around it."""
    _until_steady(ordered, 0)
    # While places are open nothing is guessed: a parameter would take its shape from a guess.
    if any(v._shape is None for node in ordered for v in node.inputs if v._node is None):
        return
    if not any(_needs_itself(node) for node in ordered if node.outputs[0]._shape is None):
        return
    for guess in (1, 2):
        _until_steady(ordered, guess)
        if all(v._shape is not None for node in ordered for v in node.outputs):
            break
    _until_steady(ordered, 0)


def _until_steady(ordered: Sequence[Node], guess: int) -> None:
    for _ in range(len(ordered) + 2):
        changed = [_settle_one(node, guess) for node in ordered]
        if not any(changed):
            return
    names = ", ".join(node.uid for node in ordered[:3])
    message = f"The shapes in the loop of {names}... change each time around it."
    raise ValueError(message)


def _needs_itself(node: Node) -> bool:
    return any(inner is node for inner in nodes(node.inputs))


def _settle_one(node: Node, guess: int) -> bool:
    block = node.block
    if block is not None:
        for inner, outer in block.arguments:
            inner._shape, inner._axes, inner.dtype = outer._shape, outer._axes, outer.dtype
            inner._source = outer
        _until_steady(nodes(block.roots), guess)
    for output in node.outputs:
        output.dtype = next((v.dtype for v in node.inputs if v._shape is not None), output.dtype)
    if not guess:
        return follow(node)
    try:
        return follow(node, guess)
    except ValueError:
        # What was guessed so far does not fit yet; a later round knows more.
        return False
