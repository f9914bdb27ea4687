"""A loop: operations that need their own results of earlier (or later) steps of a sequence.

What does not depend on the loop is computed before, for all steps at once; so is what only its
results go into. Inside, step follows step. The sequences are sorted by length, so those that still
run are the first rows of the step before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import torch

from cntk._absent import refuse
from cntk._layout import Layout
from cntk._sequences import before_the_first, steps_back
from cntk._steps import Step
from cntk.variables import Variable

_Tensor = torch.Tensor
_DELAYS: Final = ("PastValue", "FutureValue")
_LARGE: Final = 1 << 15
"""Elements of a matrix from which its gradient is computed once for all steps."""


@final
@dataclass(frozen=True, slots=True)
class _Delay:
    """A value of an earlier or later step.

    Args:
        source: The slot of what is delayed.
        output: The slot of its result.
        back: How many steps; always positive.
        initial: What the rows have where there is no such step.
    """

    source: int
    output: int
    back: int
    initial: Callable[[Layout, Layout | None, _Tensor], _Tensor]


@final
class Loop:
    """One loop, ready to run.

    Args:
        steps: All its operations.
        needed: The results that are used outside.
        training: Whether dropout drops.

    Attributes:
        states: The delays' initial states.
        operands: All else that comes from outside.
        like: A variable whose sequences the loop runs along.

    Raises:
        RuntimeError: It runs in both directions, or needs itself without a delay.
    """

    def __init__(self, steps: Sequence[Step], needed: Sequence[Variable], training: bool) -> None:
        inside = {v for step in steps for v in step.outputs}
        delays = [s for s in steps if s.node.op.name in _DELAYS and s.inputs[0] in inside]
        if any(step.inputs[0].shape != step.output.shape for step in delays):
            raise refuse("A loop whose initial state has more elements than its value")
        if len({steps_back(step.node) > 0 for step in delays}) > 1:
            name = delays[-1].node
            message = (
                "It is not allowed to have multiple different stepping directions in the same loop "
                f"(loop connected to {name.uid} {name.op.name} operation)."
            )
            raise RuntimeError(message)
        ordered = _ordered(steps, delays)
        self._forward = steps_back(delays[0].node) > 0
        self.states = [step.inputs[1] for step in delays]
        self.operands: list[Variable] = []
        self.like = _like(steps, inside)
        slots: dict[Variable, int] = {}

        def slot(v: Variable) -> int:
            if v not in slots and v not in inside:
                self.operands.append(v)
            return slots.setdefault(v, len(slots))

        self._calls = [
            (
                _call(step, inside, training),
                tuple(slot(v) for v in _operands(step)),
                slot(step.output),
            )
            for step in ordered
        ]
        self._delays = [
            _Delay(
                slot(step.inputs[0]),
                slot(step.output),
                abs(steps_back(step.node)),
                before_the_first(step.node),
            )
            for step in delays
        ]
        self._outputs = [slot(v) for v in needed]
        self._kept = sorted({*self._outputs, *(delay.source for delay in self._delays)})
        self._places = [slots[v] for v in self.operands]
        self._matrices = {slots[v] for v in _matrices(ordered, inside)}
        self._size = len(slots)

    def run(self, layout: Layout, *given: Any) -> tuple[Any, ...]:
        """Compute all steps.

        Args:
            layout: Of the sequences.
            given: The layouts of `states`, then the values of `states`, then those of `operands`.

        Returns:
            The results that were asked for, shape (rows,) + sample shape.
        """
        counts = layout.counts
        local: list[Any] = [None] * self._size
        streams: list[tuple[int, tuple[_Tensor, ...]]] = []
        states = len(self.states)
        for variable, place, value in zip(
            self.operands, self._places, given[2 * states :], strict=True
        ):
            if variable._sequence is not None:
                streams.append((place, torch.split(value, counts)))
            elif variable._batched:
                spread = value.index_select(0, layout.sequence_of_row)
                streams.append((place, torch.split(spread, counts)))
            else:
                local[place] = _noted(value) if place in self._matrices else value
        initial = [
            torch.split(_rows(delay.initial(layout, own, state), layout), counts)
            for delay, own, state in zip(
                self._delays, given[:states], given[states : 2 * states], strict=True
            )
        ]
        kept: dict[int, list[Any]] = {place: [None] * len(counts) for place in self._kept}
        delayed = [
            (delay.output, kept[delay.source], delay.back, before)
            for delay, before in zip(self._delays, initial, strict=True)
        ]
        kept_items = list(kept.items())
        find = _earlier if self._forward else _later
        for t in range(len(counts)) if self._forward else reversed(range(len(counts))):
            for place, parts in streams:
                local[place] = parts[t]
            for output, history, back, before in delayed:
                local[output] = find(history, t, back, before[t])
            for call, taken, output in self._calls:
                local[output] = call(*[local[i] for i in taken])
            for place, history in kept_items:
                history[t] = local[place]
        return (*(torch.cat(kept[place]) for place in self._outputs), None)


def _rows(initial: _Tensor, layout: Layout) -> _Tensor:
    return initial.expand(layout.rows, *initial.shape[1:])


def _earlier(history: list[Any], t: int, back: int, before: _Tensor) -> _Tensor:
    """Return the rows of `back` steps ago of the sequences that have step `t`."""
    if t < back:
        return before
    past: _Tensor = history[t - back]
    alive = len(before)
    return past if len(past) == alive else past.narrow(0, 0, alive)


def _later(history: list[Any], t: int, ahead: int, before: _Tensor) -> _Tensor:
    """Return the rows of `ahead` steps on; the last rows' sequences have ended by then."""
    if t + ahead >= len(history):
        return before
    future: _Tensor = history[t + ahead]
    missing = len(before) - len(future)
    return torch.cat([future, before.narrow(0, len(future), missing)]) if missing else future


def _ordered(steps: Sequence[Step], delays: Sequence[Step]) -> list[Step]:
    """Return the steps that are no delays, each after those that it needs within one time step."""
    waiting = {step.output: step for step in steps if step not in delays}
    done: list[Step] = []
    while waiting:
        ready = [s for s in waiting.values() if not any(v in waiting for v in _operands(s))]
        if not ready:
            names = ", ".join(step.node.uid for step in waiting.values())
            message = f"The loop of {names} has no PastValue or FutureValue operation in it."
            raise RuntimeError(message)
        done.extend(ready)
        for step in ready:
            del waiting[step.output]
    return done


def _operands(step: Step) -> list[Variable]:
    # Within a loop a value has the loop's axes already.
    return step.inputs[:1] if step.node.op.name == "ReconcileDynamicAxis" else step.inputs


def _like(steps: Sequence[Step], inside: set[Variable]) -> Variable:
    for step in steps:
        rest = step.inputs[:1] if step.node.op.name in _DELAYS else step.inputs
        for v in rest:
            if v not in inside and v._sequence is not None:
                return v
    message = f"The loop of {steps[0].node.uid} runs along no sequence that is known outside it."
    raise RuntimeError(message)


def _call(step: Step, inside: set[Variable], training: bool) -> Callable[..., Any]:
    node = step.node
    if node.op.name == "ReconcileDynamicAxis":
        return lambda x: x
    if node.op.along is not None or step.more:
        raise refuse(f"{node.op.name} within a loop")
    if not _is_product(step, inside):
        return node.op.bind(node, training)

    def times(matrix: Any, x: _Tensor) -> _Tensor:
        if isinstance(matrix, _Collected):
            product: _Tensor = _Product.apply(x, matrix.value, matrix.notes)  # type: ignore[no-untyped-call] # torch's
            return product
        plain: _Tensor = x @ matrix
        return plain

    return times


def _is_product(step: Step, inside: set[Variable]) -> bool:
    """Return whether a step multiplies a vector by a matrix that is the same for all steps."""
    if step.node.op.name != "Times":
        return False
    right, left = step.inputs
    fixed = right not in inside and not right._batched
    return fixed and len(left.shape) == 1 and len(right.shape) == 2


def _matrices(steps: Sequence[Step], inside: set[Variable]) -> set[Variable]:
    """Return what is used for nothing but such products."""
    others = {v for s in steps if not _is_product(s, inside) for v in s.inputs}
    others |= {s.inputs[1] for s in steps if _is_product(s, inside)}
    return {s.inputs[0] for s in steps if _is_product(s, inside)} - others


# A great matrix's gradient: each step notes its part, and one product sums them up.


@final
@dataclass(frozen=True, slots=True)
class _Collected:
    """A matrix whose steps note what its gradient is made of."""

    value: _Tensor
    notes: list[tuple[_Tensor, _Tensor]]


def _noted(matrix: _Tensor) -> _Tensor | _Collected:
    if matrix.numel() < _LARGE or not (torch.is_grad_enabled() and matrix.requires_grad):
        return matrix
    notes: list[tuple[_Tensor, _Tensor]] = []
    value = _Gradient.apply(matrix, notes)  # type: ignore[no-untyped-call] # torch's
    return _Collected(value, notes)


class _Gradient(torch.autograd.Function):
    """The matrix itself; its gradient is the sum of what the steps have noted."""

    @staticmethod
    def forward(ctx: Any, matrix: _Tensor, notes: list[tuple[_Tensor, _Tensor]]) -> _Tensor:
        ctx.notes = notes
        ctx.set_materialize_grads(False)
        return matrix.view_as(matrix)

    @staticmethod
    def backward(ctx: Any, gradient: _Tensor | None) -> tuple[_Tensor | None, None]:
        if ctx.notes:
            lefts, rights = zip(*ctx.notes, strict=True)
            ctx.notes.clear()
            whole = torch.cat(lefts).T @ torch.cat(rights)
            gradient = whole if gradient is None else gradient + whole
        return gradient, None


class _Product(torch.autograd.Function):
    """x @ matrix, shape (rows, inner) by (inner, out); the matrix's gradient is noted."""

    @staticmethod
    def forward(
        ctx: Any, x: _Tensor, matrix: _Tensor, notes: list[tuple[_Tensor, _Tensor]]
    ) -> _Tensor:
        ctx.save_for_backward(x, matrix)
        ctx.notes = notes
        return x @ matrix

    @staticmethod
    def backward(ctx: Any, gradient: _Tensor) -> tuple[_Tensor, None, None]:
        x, matrix = ctx.saved_tensors
        ctx.notes.append((x, gradient))
        return gradient @ matrix.T, None, None
