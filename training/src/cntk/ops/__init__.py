"""Operations: functions that build functions. Shapes are those of one sample."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from cntk._absent import absent, refuse
from cntk.axis import BATCH
from cntk.axis import dynamic_axes as axes_given
from cntk.initializer import Initializer
from cntk.ops._arithmetic import (
    SentinelValueForAutoSelectRandomSeed,
    abs,
    alias,
    clip,
    cos,
    dropout,
    element_divide,
    element_max,
    element_min,
    element_select,
    element_times,
    elu,
    equal,
    exp,
    floor,
    greater,
    greater_equal,
    hardmax,
    leaky_relu,
    less,
    less_equal,
    log,
    log_add_exp,
    log_softmax,
    minus,
    negate,
    not_equal,
    plus,
    pow,
    reciprocal,
    relu,
    sigmoid,
    sin,
    softmax,
    softplus,
    sqrt,
    square,
    stop_gradient,
    tanh,
)
from cntk.ops._dynamic import (
    one_hot,
    reconcile_dynamic_axes,
    to_sequence,
    to_sequence_like,
)
from cntk.ops._images import (
    AVG_POOLING,
    MAX_POOLING,
    batch_normalization,
    convolution,
    pooling,
)
from cntk.ops._shapes import (
    TIMES_NO_INFERRED_INPUT_RANK,
    argmax,
    argmin,
    as_composite,
    combine,
    flatten,
    reduce_log_sum_exp,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_sum,
    reshape,
    slice,
    splice,
    squeeze,
    swapaxes,
    times,
    times_transpose,
    transpose,
)
from cntk.ops.functions import CloneMethod, Function, load_model
from cntk.variables import Constant, Kind, Parameter, Shape, Variable, _as_shape

__all__ = [
    "AVG_POOLING",
    "MAX_POOLING",
    "TIMES_NO_INFERRED_INPUT_RANK",
    "CloneMethod",
    "Function",
    "SentinelValueForAutoSelectRandomSeed",
    "abs",
    "alias",
    "argmax",
    "argmin",
    "as_composite",
    "batch_normalization",
    "clip",
    "combine",
    "constant",
    "convolution",
    "cos",
    "dropout",
    "element_divide",
    "element_max",
    "element_min",
    "element_select",
    "element_times",
    "elu",
    "equal",
    "exp",
    "flatten",
    "floor",
    "greater",
    "greater_equal",
    "hardmax",
    "input",
    "input_variable",
    "leaky_relu",
    "less",
    "less_equal",
    "load_model",
    "log",
    "log_add_exp",
    "log_softmax",
    "minus",
    "negate",
    "not_equal",
    "one_hot",
    "parameter",
    "placeholder",
    "plus",
    "pooling",
    "pow",
    "reciprocal",
    "reconcile_dynamic_axes",
    "reduce_log_sum_exp",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_sum",
    "relu",
    "reshape",
    "sequence",
    "sigmoid",
    "sin",
    "slice",
    "softmax",
    "softplus",
    "splice",
    "sqrt",
    "square",
    "squeeze",
    "stop_gradient",
    "swapaxes",
    "tanh",
    "times",
    "times_transpose",
    "to_sequence",
    "to_sequence_like",
    "transpose",
]


def input_variable(
    shape: int | Iterable[int],
    dtype: npt.DTypeLike = np.float32,
    needs_gradient: bool = False,
    is_sparse: bool = False,
    dynamic_axes: Any = None,
    name: str = "",
) -> Variable:
    """Return an input: data of `shape` for each sample.

    Args:
        shape: Of one sample.
        dtype: numpy's `float32` or `float64`.
        needs_gradient: Whether `grad` may ask for it.
        is_sparse: Whether its values are fed with their zeros left out; the last axis is the wide
            one.
        dynamic_axes: The batch axis by default; with a sequence axis each sample is a step of a
            sequence.
        name: A user's name for it.
    """
    dims = _as_shape(shape)
    if any(dim < 0 for dim in dims):
        raise refuse("An input with a free dimension")
    return Variable(
        dims,
        dtype,
        kind=Kind.INPUT,
        name=name,
        axes=(BATCH,) if dynamic_axes is None else axes_given(dynamic_axes),
        needs_gradient=needs_gradient,
        is_sparse=is_sparse,
    )


input = input_variable  # the name of CNTK 2.0


def placeholder(
    shape: int | Iterable[int] | None = None, dynamic_axes: Any = None, name: str = ""
) -> Variable:
    """Return an open place that a function or a variable takes later."""
    return Variable(
        None if shape is None else _as_shape(shape),
        kind=Kind.PLACEHOLDER,
        name=name,
        axes=None if dynamic_axes is None else axes_given(dynamic_axes),
    )


def parameter(
    shape: Shape | int | None = None,
    init: Initializer | list[Any] = 0.0,
    dtype: npt.DTypeLike | None = None,
    device: Any = None,
    name: str = "",
) -> Parameter:
    """Return a parameter; see `cntk.Parameter`."""
    return Parameter(shape, init, dtype, device, name)


def constant(
    value: npt.ArrayLike = 0.0,
    shape: Shape | int | None = None,
    dtype: npt.DTypeLike | None = None,
    device: Any = None,
    name: str = "",
) -> Constant:
    """Return a constant; see `cntk.Constant`."""
    return Constant(value, shape, dtype, device, name)


from cntk.ops import sequence  # noqa: E402 (it is made of the operations above)

__getattr__ = absent(__name__)
