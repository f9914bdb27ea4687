"""Layers along sequences: recurrences, folds and unfolds, delays and windows."""

from collections.abc import Callable
from typing import Any

import numpy as np

from cntk import ops
from cntk._absent import absent
from cntk.default_options import default_override_or, get_default_override
from cntk.layers.blocks import ForwardDeclaration, block_function
from cntk.ops import sequence
from cntk.ops.functions import Function, trace
from cntk.variables import Constant

_STATES = "hcabdefgij"
"""What the states of a recurrence are called."""


def _as_function(step: Any) -> Function:
    return step if isinstance(step, Function) else Function(step)


def _named(function: Any, name: str) -> Any:
    if not name:
        return function
    function = _as_function(function)
    if len(function.outputs) == 1:
        return ops.alias(function, name)
    return ops.combine(list(function.outputs), name=name)


def _state(given: Any) -> Any:
    """Return an initial state as an operand; numbers become constants."""
    if isinstance(given, tuple):
        return tuple(map(_state, given))
    if given is None:
        return Constant(0)
    return Constant(given, shape=(1,)) if np.isscalar(given) else given


def Delay(  # noqa: N802 (CNTK's name)
    T: int = 1, initial_state: Any = default_override_or(0), name: str = ""
) -> Function:
    """Return a layer that delays a sequence by T steps; a negative T looks ahead, 0 does nothing.

    Args:
        T: How many steps.
        initial_state: What stands before the first step.
        name: Of the layer.
    """
    initial = _state(get_default_override(Delay, initial_state=initial_state))
    # As in CNTK the block holds a step of the sequence also when that is the sequence itself.
    return block_function(
        "Delay", lambda x: sequence.delay(x, initial_state=initial, time_step=T), name
    )


def PastValueWindow(  # noqa: N802 (CNTK's name)
    window_size: int, axis: int, go_backwards: bool = default_override_or(False), name: str = ""
) -> Function:
    """Return a layer from a sequence to its last steps beside each other, and which are there.

    Args:
        window_size: How many steps, the last one first.
        axis: Along which they stand, new or of the steps.
        go_backwards: The first steps instead, the first one first.
        name: Of the layer.

    Returns:
        Of the values and of 1 for a step, 0 for none.
    """
    backwards = get_default_override(PastValueWindow, go_backwards=go_backwards)

    def nth(x: Any, number: int) -> Any:
        choose = sequence.first if backwards else sequence.last
        return choose(Delay(-number if backwards else number)(x))

    def window(x: Any) -> tuple[Any, Any]:
        ones = sequence.broadcast_as(1, x)
        values = [nth(x, t) for t in range(window_size)]
        valid = [nth(ones, t) for t in range(window_size)]
        return ops.splice(*values, axis=axis, name="value"), ops.splice(
            *valid, axis=axis, name="valid"
        )

    return block_function("PastValueWindow", window, name)


def RecurrenceFrom(  # noqa: N802 (CNTK's name)
    step_function: Any,
    go_backwards: bool = default_override_or(False),
    return_full_state: bool = False,
    name: str = "",
) -> Any:
    """Return a layer that runs a step along a sequence, from states that are given with it.

    Args:
        step_function: From the states and a step of the input to the new states.
        go_backwards: Whether to begin at the end.
        return_full_state: Whether to return all states, not the first one only.
        name: Of the layer.

    Returns:
        A function of the first states, then the sequence. A state that is a sequence counts with
        its last step.
    """
    backwards = get_default_override(RecurrenceFrom, go_backwards=go_backwards)
    step = _as_function(step_function)
    states = step.arguments[:-1]
    if len(step.outputs) != len(states):
        message = (
            "RecurrenceFrom: number of state variables inconsistent between create_placeholder() "
            "and recurrent block"
        )
        raise TypeError(message)
    if not 1 <= len(states) <= len(_STATES):
        message = (
            f"RecurrenceFrom() currently supports recurrence with up to {len(_STATES)} state "
            "variables"
        )
        raise ValueError(message)

    def run(*given: Any) -> Any:
        *initial, x = given
        ahead = [ForwardDeclaration(name=state.name) for state in states]
        before = [
            sequence.delay(v, initial_state=start, time_step=-1 if backwards else 1)
            for v, start in zip(ahead, initial, strict=True)
        ]
        out = step(*before, x)
        out.replace_placeholders(dict(zip(ahead, out.outputs, strict=True)))
        return out.outputs if return_full_state else out.outputs[0]

    return _named(trace(run, [*_STATES[: len(states)], "x"]), name)


def Recurrence(  # noqa: N802 (CNTK's name)
    step_function: Any,
    go_backwards: bool = default_override_or(False),
    initial_state: Any = default_override_or(0),
    return_full_state: bool = False,
    name: str = "",
) -> Any:
    """Return a layer that runs a step along a sequence.

    Args:
        step_function: From the states and a step of the input to the new states: `LSTM(...)`,
            `GRU(...)`, a Python function.
        go_backwards: Whether to begin at the end.
        initial_state: What the states are before the first step: a number, an array, something
            computed, or a tuple with one for each.
        return_full_state: Whether to return all states, not the first one only.
        name: Of the layer.
    """
    backwards = get_default_override(Recurrence, go_backwards=go_backwards)
    initial = _state(get_default_override(Recurrence, initial_state=initial_state))
    step = _as_function(step_function)
    count = len(step.arguments) - 1
    if len(step.outputs) != count:
        message = (
            "Recurrence: number of state variables inconsistent between create_placeholder() and "
            "recurrent block"
        )
        raise TypeError(message)
    if isinstance(initial, tuple) and len(initial) == 1:
        (initial,) = initial
    starts = initial if isinstance(initial, tuple) else (initial,) * count
    run = RecurrenceFrom(step, backwards, return_full_state)
    return _named(Function(lambda x: _results(run(*starts, x))), name)


def _results(function: Any) -> Any:
    return function.outputs if len(function.outputs) > 1 else function


def Fold(  # noqa: N802 (CNTK's name)
    folder_function: Any,
    go_backwards: bool = default_override_or(False),
    initial_state: Any = default_override_or(0),
    return_full_state: bool = False,
    name: str = "",
) -> Any:
    """Return a layer that gives the last state of a recurrence; arguments as for `Recurrence`."""
    backwards = get_default_override(Fold, go_backwards=go_backwards)
    initial = get_default_override(Fold, initial_state=initial_state)
    run = Recurrence(folder_function, backwards, initial, return_full_state)
    final = sequence.first if backwards else sequence.last

    def fold(x: Any) -> Any:
        made = tuple(final(v) for v in run(x).outputs)
        return made if len(made) > 1 else made[0]

    return _named(Function(fold), name)


def UnfoldFrom(  # noqa: N802 (CNTK's name)
    generator_function: Any,
    until_predicate: Callable[..., Any] | Function | None = None,
    length_increase: float = 1,
    name: str = "",
) -> Any:
    """Return a layer that makes a sequence from a first state, step by step.

    Args:
        generator_function: From a state to an output that is the next state, or to an output and a
            next state.
        until_predicate: From an output to whether it is the last one; what follows is cut off.
        length_increase: How many steps for each step of the sequence whose length counts.
        name: Of the layer.

    Returns:
        A function of the first state, and of a sequence whose length the result has.
    """
    generate = _as_function(generator_function)
    until = None if until_predicate is None else _as_function(until_predicate)
    if len(generate.arguments) != 1 or not 1 <= len(generate.outputs) <= 2:
        message = (
            "generator_function should take 1 positional argument (state) and return a single "
            "output or a tuple (output, new state)"
        )
        raise TypeError(message)

    def unfold_from(initial_state: Any, dynamic_axes_like: Any) -> Any:
        axis = dynamic_axes_like
        if length_increase != 1:
            axis = sequence.where(sequence.broadcast_as(length_increase, axis))
        ahead = ForwardDeclaration(name="unfold_state_fwd")
        before = sequence.delay(ahead, initial_state=initial_state, name="unfold_prev_state")
        made = generate(before)
        state = ops.reconcile_dynamic_axes(made.outputs[-1], axis, name="unfold_new_state")
        ahead.resolve_to(state)
        output = ops.combine([made.outputs[0]], name="unfold_output")
        if until is None:
            return output
        going_on = Recurrence(
            lambda h, x: (1 - sequence.past_value(x)) * h, initial_state=1, name="valid_frames"
        )(until(output))
        return sequence.gather(output, going_on, name="valid_output")

    return _named(Function(unfold_from), name)


__getattr__ = absent(__name__)
