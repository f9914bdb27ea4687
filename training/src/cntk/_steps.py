"""The operations behind some variables, in an order in which they can run.

Blocks are looked through. What depends on itself, through past or future values, is one component:
a loop.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from cntk._graph import Node
from cntk._spatial import MAX_POOLING
from cntk.variables import Variable


@final
@dataclass(slots=True)
class Step:
    """One call: which node, on which values, to which values."""

    node: Node
    inputs: list[Variable]
    output: Variable
    more: tuple[Variable, ...] = ()

    @property
    def outputs(self) -> tuple[Variable, ...]:
        """All that the call computes."""
        return (self.output, *self.more)


@final
class Places:
    """Where a variable's value really comes from: blocks are looked through."""

    def __init__(self) -> None:
        self._stands_for: dict[Variable, Variable] = {}

    def inside(self, variable: Variable) -> Variable:
        """Return the primitive's output or the leaf behind `variable`."""
        passed: set[Variable] = set()
        while True:
            if variable in passed:
                message = f"{variable!r} stands for itself: the model's blocks go in a circle."
                raise ValueError(message)
            passed.add(variable)
            if variable in self._stands_for:
                variable = self._stands_for[variable]
            elif variable._node is not None and variable._node.block is not None:
                block = variable._node.block
                self._stands_for.update(block.arguments)
                variable = block.roots[variable._node.outputs.index(variable)]
            else:
                return variable


def components(outputs: Sequence[Variable], places: Places) -> list[list[Step]]:
    """Return the steps that compute `outputs`, each after those it needs; loops stand together.

    Tarjan's algorithm: a component is complete when its first step is left again.
    """
    found: list[list[Step]] = []
    steps: dict[str, Step] = {}
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    on_path: set[str] = set()
    stack: list[tuple[Node, bool]] = [
        (v._node, False) for v in reversed(outputs) if v._node is not None
    ]
    while stack:
        node, left = stack.pop()
        uid = node.uid
        if not left and uid in number:
            continue
        if not left:
            number[uid] = lowest[uid] = len(number)
            path.append(uid)
            on_path.add(uid)
            inputs = [places.inside(v) for v in node.inputs]
            steps[uid] = Step(node, inputs, node.outputs[0], node.outputs[1:])
            stack.append((node, True))
            stack.extend((v._node, False) for v in reversed(inputs) if v._node is not None)
            continue
        before = [v._node.uid for v in steps[uid].inputs if v._node is not None]
        lowest[uid] = min([lowest[uid], *(lowest[u] for u in before if u in on_path)])
        if lowest[uid] == number[uid]:
            at = path.index(uid)
            found.append([steps[u] for u in path[at:]])
            on_path.difference_update(path[at:])
            del path[at:]
    return found


def is_loop(component: Sequence[Step]) -> bool:
    """Return whether the component's steps need themselves."""
    return len(component) > 1 or component[0].output in component[0].inputs


def behind_pooling(parts: list[list[Step]], wanted: Iterable[Variable]) -> list[list[Step]]:
    """Let what only a max pooling reads follow it where the result is the same, on fewer cells.

    Rectifying and adding what is the same all over a window never change which cell is the
    greatest, so a bias and a ReLU between a convolution and its pooling come after the pooling.
    """
    uses: dict[Variable, int] = dict.fromkeys(wanted, 1)
    for step in (step for part in parts for step in part):
        for v in step.inputs:
            uses[v] = uses.get(v, 0) + 1
    steps = [part[0] for part in parts]
    loops = {i: part for i, part in enumerate(parts) if is_loop(part)}
    makers = {step.output: i for i, step in enumerate(steps) if i not in loops}
    for i, step in enumerate(steps):
        if i in loops:
            continue
        pooling, at = step, i
        while (before := makers.get(pooling.inputs[0])) is not None:
            maker = steps[before]
            place = _monotone_operand(maker.node, pooling.node)
            if place is None or uses[maker.output] != 1:
                break
            # The two calls change places; the value between them keeps the maker's name.
            operands = [*maker.inputs]
            operands[place] = maker.output
            steps[at] = Step(maker.node, operands, pooling.output)
            makers[pooling.output] = at
            pooling, at = Step(pooling.node, [maker.inputs[place]], maker.output), before
            steps[at] = pooling
            makers[pooling.output] = at
    return [loops.get(i, [step]) for i, step in enumerate(steps)]


def _monotone_operand(node: Node, pooling: Node) -> int | None:
    """Return the operand whose greatest cells stay the greatest through `node`, if there is one."""
    if pooling.op.name != "Pooling" or pooling.attributes["poolingType"] != MAX_POOLING:
        return None
    if node.op.name == "ReLU":
        return 0
    if node.op.name != "Plus":
        return None
    shape, axes = node.outputs[0].shape, len(pooling.attributes["poolingWindowShape"])
    for place, (main, other) in enumerate((node.inputs, node.inputs[::-1])):
        spread = len(other.shape) == len(shape) and not any(d != 1 for d in other.shape[-axes:])
        if main.shape == shape and main._batched and spread and not other._batched:
            return place
    return None
