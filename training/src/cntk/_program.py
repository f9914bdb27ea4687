"""A graph made ready to run: one list of torch calls, in order, for training or for evaluation."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, final

import torch

from cntk._dictionary import FileAxis
from cntk._layout import Layout, Packed
from cntk._loops import Loop
from cntk._steps import Places, Step, behind_pooling, components, is_loop
from cntk._substitution import settle
from cntk.axis import text_of
from cntk.variables import Variable

_Call = tuple[Callable[..., Any], tuple[int, ...], int]
_NOTHING: Final = 0
"""The slot of what is not there: the layout of a value without a sequence axis."""


@final
class Program:
    """The calls that compute some variables.

    Layouts travel beside the values: in slots of their own, one for each set of variables whose
    sequences stand in the same places.

    Args:
        outputs: What is wanted.
        training: Whether dropout drops and batch normalization learns.
    """

    def __init__(self, outputs: Sequence[Variable], training: bool) -> None:
        places = Places()
        wanted = [places.inside(v) for v in outputs]
        parts = components(wanted, places)
        if any(v._shape is None for part in parts for step in part for v in step.outputs):
            # A placeholder further up was resolved through another function.
            settle(outputs)
        parts = behind_pooling(parts, wanted)
        self._size = 1
        self._calls: list[_Call] = []
        self._slots: dict[Variable, int] = {}
        self._layouts: dict[Variable | FileAxis, int] = {}
        self._sparse: set[Variable] = set()
        self._dense: dict[Variable, int] = {}
        for part in parts:
            if is_loop(part):
                self._add_loop(part, parts, wanted, training)
            else:
                self._add(part[0], training)
        self._outputs = [self._as_dense(v) for v in wanted]
        self._output_layouts = [self._layout(v) for v in wanted]
        made = {v for part in parts for step in part for v in step.outputs}
        self._leaves = [(v, slot) for v, slot in self._slots.items() if v not in made]
        self.inputs = [v for v, _ in self._leaves if v.is_input or v.is_placeholder]
        self._packed = [
            (v, slot, self._layout(v)) for v, slot in self._leaves if self._layout(v) != _NOTHING
        ]

    # Building.

    def _new(self) -> int:
        self._size += 1
        return self._size - 1

    def _slot(self, variable: Variable) -> int:
        if variable not in self._slots:
            self._slots[variable] = self._new()
            if variable.is_sparse and variable._node is None:
                self._sparse.add(variable)
        return self._slots[variable]

    def _as_dense(self, variable: Variable) -> int:
        slot = self._slot(variable)
        if variable not in self._sparse:
            return slot
        if variable not in self._dense:
            self._dense[variable] = self._new()
            self._calls.append((_dense, (slot,), self._dense[variable]))
        return self._dense[variable]

    def _layout(self, variable: Variable) -> int:
        """Return the slot of the layout of a variable's value."""
        axis = variable._sequence
        if axis is None:
            return _NOTHING
        key = variable if variable._node is not None else axis
        if key not in self._layouts:
            self._layouts[key] = self._new()
        return self._layouts[key]

    def _add(self, step: Step, training: bool) -> None:
        op = step.node.op
        take = self._slot if op.takes_sparse else self._as_dense
        taken = tuple(take(v) for v in step.inputs)
        if op.takes_sparse and op.keeps_sparse and step.inputs[0] in self._sparse:
            self._sparse.add(step.output)
        bound = op.bind(step.node, training)
        if op.along is None:
            self._follow(step, next((v for v in step.inputs if v._sequence is not None), None))
        else:
            taken = (*(self._layout(v) for v in step.inputs), *taken)
            if op.along >= 0:
                self._follow(step, step.inputs[op.along])
        outputs = [self._slot(v) for v in step.outputs]
        if op.along == -1:
            outputs.append(self._layout(step.output) or self._new())
        self._append(bound, taken, outputs)

    def _follow(self, step: Step, like: Variable | None) -> None:
        """Let a step's outputs have the layout of one of its operands."""
        for output in step.outputs:
            if output._sequence is not None and like is not None:
                self._layouts[output] = self._layout(like)

    def _append(
        self, bound: Callable[..., Any], taken: tuple[int, ...], outputs: list[int]
    ) -> None:
        if len(outputs) == 1:
            self._calls.append((bound, taken, outputs[0]))
            return
        whole = self._new()
        self._calls.append((bound, taken, whole))
        self._calls.extend((itemgetter(i), (whole,), slot) for i, slot in enumerate(outputs))

    def _add_loop(
        self,
        part: list[Step],
        parts: list[list[Step]],
        wanted: Sequence[Variable],
        training: bool,
    ) -> None:
        made = {v for step in part for v in step.outputs}
        outside = {v for other in parts if other is not part for s in other for v in s.inputs}
        needed = [v for v in made if v in outside or v in wanted]
        loop = Loop(part, needed, training)
        layout = self._layout(loop.like)
        for v in made:
            self._layouts[v] = layout
        states = tuple(self._layout(v) for v in loop.states)
        taken = tuple(self._as_dense(v) for v in (*loop.states, *loop.operands))
        outputs = [self._slot(v) for v in needed]
        # Its result is a tuple, also for one output.
        self._append(loop.run, (layout, *states, *taken), [*outputs, self._new()])

    # Running.

    def run(self, fed: Mapping[Variable, Any]) -> list[torch.Tensor]:
        """Compute the outputs.

        Args:
            fed: A tensor of shape (batch,) + shape for each of `inputs`, or `Packed` sequences.

        Returns:
            A tensor for each wanted variable: (batch,) + shape, or shape alone for what no input
            takes part in.

        Raises:
            ValueError: An input was not fed.
        """
        values = self._values(fed)
        return [values[i] for i in self._outputs]

    def run_packed(self, fed: Mapping[Variable, Any]) -> list[Any]:
        """Compute the outputs as `run` does, those with a sequence axis as `Packed`."""
        values = self._values(fed)
        return [
            values[i] if where == _NOTHING else Packed(values[i], values[where])
            for i, where in zip(self._outputs, self._output_layouts, strict=True)
        ]

    def _values(self, fed: Mapping[Variable, Any]) -> list[Any]:
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
        if self._packed:
            self._place_layouts(values)
        for call, taken, output in self._calls:
            values[output] = call(*[values[i] for i in taken])
        return values

    def _place_layouts(self, values: list[Any]) -> None:
        first: dict[int, Variable] = {}
        for variable, slot, where in self._packed:
            packed: Packed = values[slot]
            known: Layout | None = values[where]
            if known is not None and not known.same(packed.layout):
                message = (
                    "Different minibatch layouts detected (difference in sequence lengths or count "
                    "or start flags) in data specified for the Function's arguments "
                    f"'{variable!r}' vs. '{first[where]!r}', though these arguments have the same "
                    f"dynamic axes '{text_of(variable._axes)}'"
                )
                raise ValueError(message)
            values[slot], values[where] = packed.values, known or packed.layout
            first.setdefault(where, variable)


def _dense(rows: Any) -> torch.Tensor:
    tensor: torch.Tensor = rows.dense()
    return tensor
