"""A graph made ready to run: one list of torch calls, in order, for training or for evaluation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, final

import torch

from cntk._graph import Node
from cntk._spatial import MAX_POOLING
from cntk.variables import Variable


@final
@dataclass(slots=True)
class _Step:
    """One call: which node, on which values, to which value."""

    node: Node
    inputs: list[Variable]
    output: Variable


@final
class Program:
    """The calls that compute some variables.

    Args:
        outputs: What is wanted.
        training: Whether dropout drops and batch normalization learns.
    """

    def __init__(self, outputs: Sequence[Variable], training: bool) -> None:
        places = _Places()
        wanted = [places.inside(v) for v in outputs]
        steps = _behind_pooling(_steps(wanted, places), wanted)
        slots: dict[Variable, int] = {}
        calls: list[tuple[Callable[..., Any], tuple[int, ...], int]] = []
        last: list[tuple[Callable[..., Any], tuple[int, ...]]] = []
        for step in steps:
            taken = tuple(slots.setdefault(v, len(slots)) for v in step.inputs)
            run = step.node.op.bind(step.node, training)
            made = slots.setdefault(step.output, len(slots))
            calls.append((run, taken, made))
            for i, other in enumerate(step.node.outputs[1:], 1):
                calls.append((itemgetter(i), (made,), slots.setdefault(other, len(slots))))
            if len(step.node.outputs) > 1:
                calls.append((itemgetter(0), (made,), made))
            if step.node.op.after is not None:
                last.append((step.node.op.after, taken))
        self._outputs = [slots.setdefault(v, len(slots)) for v in wanted]
        computed = {v for step in steps for v in (step.output, *step.node.outputs[1:])}
        self._leaves = [(v, slot) for v, slot in slots.items() if v not in computed]
        self._calls = [*calls, *((run, taken, len(slots)) for run, taken in last)]
        self._size = len(slots) + bool(last)
        self.inputs = [v for v, _ in self._leaves if v.is_input or v.is_placeholder]

    def run(self, fed: Mapping[Variable, torch.Tensor]) -> list[torch.Tensor]:
        """Compute the outputs.

        Args:
            fed: A tensor of shape (batch,) + shape for each of `inputs`.

        Returns:
            A tensor for each wanted variable: (batch,) + shape, or shape alone for what no input
            takes part in.

        Raises:
            ValueError: An input was not fed.
        """
        values: list[Any] = [None] * self._size
        for variable, slot in self._leaves:
            if variable.is_input or variable.is_placeholder:
                if variable not in fed:
                    message = (
                        f"Values for 1 required arguments '{variable!r}' have not been provided."
                    )
                    raise ValueError(message)
                values[slot] = fed[variable]
            else:
                values[slot] = variable._tensor
        for call, taken, output in self._calls:
            values[output] = call(*[values[i] for i in taken])
        return [values[i] for i in self._outputs]


@final
class _Places:
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
                variable = block.root
            else:
                return variable


def _steps(outputs: Sequence[Variable], places: _Places) -> list[_Step]:
    done: dict[Variable, _Step] = {}
    stack = [(v, False) for v in reversed(outputs)]
    while stack:
        variable, expanded = stack.pop()
        node = variable._node
        if node is not None:
            variable = node.outputs[0]
        if node is None or variable in done:
            continue
        inputs = [places.inside(v) for v in node.inputs]
        if expanded:
            done[variable] = _Step(node, inputs, variable)
        else:
            stack.append((variable, True))
            stack.extend((v, False) for v in reversed(inputs))
    return list(done.values())


def _behind_pooling(steps: list[_Step], wanted: Sequence[Variable]) -> list[_Step]:
    """Let what only a max pooling reads follow it where the result is the same, on fewer cells.

    Rectifying and adding what is the same all over a window never change which cell is the
    greatest, so a bias and a ReLU between a convolution and its pooling come after the pooling.
    """
    uses: dict[Variable, int] = dict.fromkeys(wanted, 1)
    for step in steps:
        for v in step.inputs:
            uses[v] = uses.get(v, 0) + 1
    makers = {step.output: i for i, step in enumerate(steps)}
    for i, step in enumerate(steps):
        pooling, at = step, i
        while pooling.inputs and (before := makers.get(pooling.inputs[0])) is not None:
            maker = steps[before]
            place = _monotone_operand(maker.node, pooling.node)
            if place is None or uses[maker.output] != 1:
                break
            # The two calls change places; the value between them keeps the maker's name.
            operands = [*maker.inputs]
            operands[place] = maker.output
            steps[at] = _Step(maker.node, operands, pooling.output)
            makers[pooling.output] = at
            pooling, at = _Step(pooling.node, [maker.inputs[place]], maker.output), before
            steps[at] = pooling
            makers[pooling.output] = at
    return steps


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
