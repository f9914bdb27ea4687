"""Operations: functions that build functions. Shapes are those of one sample."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from cntk._absent import absent, refuse
from cntk.axis import Axis
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
    "parameter",
    "placeholder",
    "plus",
    "pooling",
    "pow",
    "reciprocal",
    "reduce_log_sum_exp",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_sum",
    "relu",
    "reshape",
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

    Raises:
        NotImplementedError: For sparse input and sequences.
    """
    dims = _as_shape(shape)
    if is_sparse:
        raise refuse("input_variable(is_sparse=True)")
    if any(dim < 0 for dim in dims):
        raise refuse("An input with a free dimension")
    axes = [Axis.default_batch_axis()] if dynamic_axes is None else list(dynamic_axes)
    return Variable(
        dims, dtype, kind=Kind.INPUT, name=name, batched=bool(axes), needs_gradient=needs_gradient
    )


input = input_variable  # the name of CNTK 2.0


def placeholder(
    shape: int | Iterable[int] | None = None, dynamic_axes: Any = None, name: str = ""
) -> Variable:
    """Return an open place that a function or a variable takes later."""
    del dynamic_axes
    return Variable(None if shape is None else _as_shape(shape), kind=Kind.PLACEHOLDER, name=name)


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


__getattr__ = absent(__name__)
