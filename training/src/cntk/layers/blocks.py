"""One step of a recurrence: LSTM, GRU, plain; what scales their inputs; what closes loops."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from cntk import ops
from cntk._absent import absent
from cntk._graph import make_block
from cntk.default_options import default_override_or, get_default_override
from cntk.initializer import glorot_uniform
from cntk.layers.higher_order_layers import identity
from cntk.ops.functions import Function, as_variable
from cntk.variables import InferredDimension, Kind, Parameter, Shape, Variable, _as_shape

_GLOROT: Final = glorot_uniform()


class _Forward(Variable):
    """A placeholder for what is made from it."""

    def resolve_to(self, var: Any) -> None:
        """Put `var` in its place: the loop is closed."""
        as_variable(var).owner.replace_placeholders({self: var})  # type: ignore[union-attr]


def ForwardDeclaration(name: str = "forward_declaration") -> _Forward:  # noqa: N802 (CNTK's name)
    """Return a placeholder with a method `resolve_to`, for a value that depends on itself."""
    return _Forward(None, kind=Kind.PLACEHOLDER, axes=None, name=name)


def block_function(op: str, build: Callable[..., Any], name: str) -> Function:
    """Return what a Python function computes as a block with the function's parameters.

    Args:
        op: What the block is called in texts and files.
        build: Returns one result or a tuple.
        name: The user's name for the block.
    """
    labels = list(inspect.signature(build).parameters)
    inner = [Variable(None, kind=Kind.PLACEHOLDER, axes=None) for _ in labels]
    outer = [Variable(None, kind=Kind.PLACEHOLDER, axes=None, name=label) for label in labels]
    result = build(*inner)
    roots = [as_variable(v) for v in (result if isinstance(result, tuple) else (result,))]
    return Function._of(make_block(op, roots, list(zip(inner, outer, strict=True)), name))


def Stabilizer(  # noqa: N802 (CNTK's name)
    steepness: float = 4,
    enable_self_stabilization: bool = default_override_or(True),
    name: str = "",
) -> Any:
    """Return a layer that multiplies by a learned factor, 1 at first.

    Args:
        steepness: The factor is log(1 + exp(steepness * alpha)) / steepness.
        enable_self_stabilization: False: the layer changes nothing.
        name: Of the layer.
    """
    enabled = get_default_override(Stabilizer, enable_self_stabilization=enable_self_stabilization)
    if not enabled:
        return identity
    start = np.log(np.exp(steepness) - 1) / steepness
    factor = ops.softplus(Parameter((), float(start), name="alpha"), steepness=steepness)
    return block_function("Stabilizer", lambda x: factor * x, name)


@final
@dataclass(frozen=True, slots=True)
class _Weights:
    """What the units share: parameters and stabilizers, made in CNTK's order.

    Args:
        size: Of the state within the cell.
        b: Shape (k * size,), k stacked parts.
        W: Shape (input, k * size).
        H: Shape (output, parts of the state's projection).
        H1: Of GRU's candidate.
        peepholes: Ci, Cf and Co of the LSTM.
        projection: From the cell to the output.
        dh: Scales the previous output; the others likewise.
    """

    size: int
    b: Parameter
    W: Parameter
    H: Parameter
    H1: Parameter | None
    peepholes: tuple[Parameter, ...]
    projection: Parameter | None
    dh: Any
    dc: Any
    c: Any
    p: Any

    def part(self, stacked: Any, number: int) -> Function:
        """Return one of the parts that a projection stacks."""
        return ops.slice(stacked, -1, number * self.size, (number + 1) * self.size)

    def output(self, h: Any) -> Any:
        """Return the state as the unit gives it out."""
        return h if self.projection is None else ops.times(self.p(h), self.projection)


def _weights(
    op: str,
    shape: int | Shape,
    cell_shape: int | Shape | None,
    init: Any,
    init_bias: Any,
    parts: tuple[int, int],
    *,
    stabilize: bool,
    peepholes: bool = False,
    candidate: bool = False,
) -> _Weights:
    outputs = _as_shape(shape)
    cell = outputs if cell_shape is None else _as_shape(cell_shape)
    if len(outputs) != 1 or len(cell) != 1:
        message = f"{op}: shape and cell_shape must be vectors (rank-1 tensors)"
        raise ValueError(message)
    (size,) = cell

    def stabilizer(name: str) -> Any:
        return Stabilizer(enable_self_stabilization=stabilize, name=name)

    return _Weights(
        size,
        Parameter((parts[0] * size,), init_bias, name="b"),
        Parameter((InferredDimension, parts[0] * size), init, name="W"),
        Parameter((*outputs, parts[1] * size), init, name="H"),
        Parameter((*outputs, size), init, name="H1") if candidate else None,
        tuple(Parameter(cell, init, name=n) for n in ("Ci", "Cf", "Co")) if peepholes else (),
        Parameter((size, *outputs), init, name="P") if cell_shape is not None else None,
        stabilizer("dh_stabilizer"),
        stabilizer("dc_stabilizer"),
        stabilizer("c_stabilizer"),
        stabilizer("P_stabilizer"),
    )


def LSTM(  # noqa: N802 (CNTK's name)
    shape: int | Shape,
    cell_shape: int | Shape | None = None,
    activation: Any = default_override_or(ops.tanh),
    use_peepholes: bool = default_override_or(False),
    init: Any = default_override_or(_GLOROT),
    init_bias: Any = default_override_or(0),
    enable_self_stabilization: bool = default_override_or(False),
    name: str = "",
) -> Function:
    """Return one step of an LSTM: (h, c, x) of before and now to (h, c).

    Args:
        shape: Of h.
        cell_shape: Of c, when it is projected to h; the same by default.
        activation: Of the candidate and of the cell.
        use_peepholes: Whether the gates see the cell.
        init: Of W, shape (input, 4 * cell): input gate, candidate, forget gate, output gate; of H,
            shape (output, 4 * cell), and of what else is learned.
        init_bias: Of b, shape (4 * cell,).
        enable_self_stabilization: Whether what comes from the step before is scaled by learned
            factors.
        name: Of the block.
    """
    activation = get_default_override(LSTM, activation=activation)
    w = _weights(
        "LSTM",
        shape,
        cell_shape,
        get_default_override(LSTM, init=init),
        get_default_override(LSTM, init_bias=init_bias),
        (4, 4),
        stabilize=get_default_override(LSTM, enable_self_stabilization=enable_self_stabilization),
        peepholes=get_default_override(LSTM, use_peepholes=use_peepholes),
    )

    def seeing(x: Any, cell: Any, which: int) -> Any:
        return x + w.peepholes[which] * cell if w.peepholes else x

    def step(dh: Any, dc: Any, x: Any) -> tuple[Any, Any]:
        dhs, dcs = w.dh(dh), w.dc(dc)
        stacked = w.b + ops.times(x, w.W) + ops.times(dhs, w.H)
        gate_in = ops.sigmoid(seeing(w.part(stacked, 0), dcs, 0))
        candidate = gate_in * activation(w.part(stacked, 1))
        forget = ops.sigmoid(seeing(w.part(stacked, 2), dcs, 1))
        c = forget * dc + candidate
        gate_out = ops.sigmoid(seeing(w.part(stacked, 3), w.c(c) if w.peepholes else c, 2))
        return w.output(gate_out * activation(c)), c

    return block_function("LSTM", step, name)


def GRU(  # noqa: N802 (CNTK's name)
    shape: int | Shape,
    cell_shape: int | Shape | None = None,
    activation: Any = default_override_or(ops.tanh),
    init: Any = default_override_or(_GLOROT),
    init_bias: Any = default_override_or(0),
    enable_self_stabilization: bool = default_override_or(False),
    name: str = "",
) -> Function:
    """Return one step of a gated recurrent unit: (h, x) to h; arguments as for `LSTM`.

    W stacks update gate, reset gate and candidate, H the first two; H1 is the candidate's own.
    """
    activation = get_default_override(GRU, activation=activation)
    w = _weights(
        "GRU",
        shape,
        cell_shape,
        get_default_override(GRU, init=init),
        get_default_override(GRU, init_bias=init_bias),
        (3, 2),
        stabilize=get_default_override(GRU, enable_self_stabilization=enable_self_stabilization),
        candidate=True,
    )

    def step(dh: Any, x: Any) -> Any:
        dhs = w.dh(dh)
        from_x = w.b + ops.times(x, w.W)
        from_h = ops.times(dhs, w.H)
        update = ops.sigmoid(w.part(from_x, 0) + w.part(from_h, 0))
        reset = ops.sigmoid(w.part(from_x, 1) + w.part(from_h, 1))
        candidate = activation(w.part(from_x, 2) + ops.times(dhs * reset, w.H1))
        return w.output((1 - update) * candidate + update * dhs)

    return block_function("GRU", step, name)


def RNNStep(  # noqa: N802 (CNTK's name)
    shape: int | Shape,
    cell_shape: int | Shape | None = None,
    activation: Any = default_override_or(ops.sigmoid),
    init: Any = default_override_or(_GLOROT),
    init_bias: Any = default_override_or(0),
    enable_self_stabilization: bool = default_override_or(False),
    name: str = "",
) -> Function:
    """Return activation(x @ W + h @ H + b), one step of a plain recurrence: (h, x) to h."""
    activation = get_default_override(RNNStep, activation=activation)
    w = _weights(
        "RNNStep",
        shape,
        cell_shape,
        get_default_override(RNNStep, init=init),
        get_default_override(RNNStep, init_bias=init_bias),
        (1, 1),
        stabilize=get_default_override(
            RNNStep, enable_self_stabilization=enable_self_stabilization
        ),
    )

    def step(dh: Any, x: Any) -> Any:
        return w.output(activation(ops.times(x, w.W) + ops.times(w.dh(dh), w.H) + w.b))

    return block_function("RNNStep", step, name)


RNNUnit = RNNStep  # the name of CNTK 2.0

__getattr__ = absent(__name__)
