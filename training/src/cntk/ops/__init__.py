"""Operations: functions that build functions. Shapes are those of one sample."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from cntk._absent import absent, refuse
from cntk._select import CONSTANT_PAD, REFLECT_PAD, SYMMETRIC_PAD
from cntk.axis import Axis
from cntk.initializer import Initializer
from cntk.ops._arithmetic import (
    SentinelValueForAutoSelectRandomSeed,
    abs,
    acos,
    alias,
    asin,
    asinh,
    assign,
    atan,
    atanh,
    cast,
    ceil,
    clip,
    cos,
    cosh,
    dropout,
    element_and,
    element_divide,
    element_max,
    element_min,
    element_not,
    element_or,
    element_select,
    element_times,
    element_xor,
    elu,
    equal,
    exp,
    eye_like,
    floor,
    greater,
    greater_equal,
    hard_sigmoid,
    hardmax,
    leaky_relu,
    less,
    less_equal,
    log,
    log_add_exp,
    log_softmax,
    mean,
    minus,
    negate,
    not_equal,
    ones_like,
    param_relu,
    plus,
    pow,
    reciprocal,
    relu,
    round,
    selu,
    sigmoid,
    sin,
    sinh,
    softmax,
    softplus,
    softsign,
    sqrt,
    square,
    stop_gradient,
    straight_through_impl,
    sum,
    tan,
    tanh,
    zeros_like,
)
from cntk.ops._building import (
    associative_multi_arg,
)
from cntk.ops._images import (
    AVG_POOLING,
    MAX_POOLING,
    MAX_UNPOOLING,
    convolution,
    convolution_transpose,
    pooling,
    roipooling,
    unpooling,
)
from cntk.ops._normalizing import (
    batch_normalization,
    image_scaler,
    local_response_normalization,
    mean_variance_normalization,
    per_dim_mean_variance_normalize,
)
from cntk.ops._sampled import (
    random_sample,
    random_sample_inclusion_frequency,
)
from cntk.ops._selecting import (
    as_block,
    as_composite,
    combine,
    crop_automatic,
    crop_automatic_with_ancestors,
    crop_manual,
    depth_to_space,
    gather,
    one_hot,
    pad,
    space_to_depth,
    to_batch,
    top_k,
    unpack_batch,
)
from cntk.ops._shapes import (
    TIMES_NO_INFERRED_INPUT_RANK,
    argmax,
    argmin,
    expand_dims,
    flatten,
    reduce_l1,
    reduce_l2,
    reduce_log_sum_exp,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_sum,
    reduce_sum_square,
    reshape,
    slice,
    splice,
    squeeze,
    swapaxes,
    times,
    times_transpose,
    transpose,
)
from cntk.ops._user import output_variable
from cntk.ops.functions import BlockFunction, CloneMethod, Function, ModelFormat, load_model
from cntk.variables import Constant, Kind, Parameter, Shape, Variable, _as_shape

__all__ = [
    "AVG_POOLING",
    "CONSTANT_PAD",
    "MAX_POOLING",
    "MAX_UNPOOLING",
    "REFLECT_PAD",
    "SYMMETRIC_PAD",
    "TIMES_NO_INFERRED_INPUT_RANK",
    "BlockFunction",
    "CloneMethod",
    "Function",
    "ModelFormat",
    "SentinelValueForAutoSelectRandomSeed",
    "abs",
    "acos",
    "alias",
    "argmax",
    "argmin",
    "as_block",
    "as_composite",
    "asin",
    "asinh",
    "assign",
    "associative_multi_arg",
    "atan",
    "atanh",
    "batch_normalization",
    "cast",
    "ceil",
    "clip",
    "combine",
    "constant",
    "convolution",
    "convolution_transpose",
    "cos",
    "cosh",
    "crop_automatic",
    "crop_automatic_with_ancestors",
    "crop_manual",
    "depth_to_space",
    "dropout",
    "element_and",
    "element_divide",
    "element_max",
    "element_min",
    "element_not",
    "element_or",
    "element_select",
    "element_times",
    "element_xor",
    "elu",
    "equal",
    "exp",
    "expand_dims",
    "eye_like",
    "flatten",
    "floor",
    "gather",
    "greater",
    "greater_equal",
    "hard_sigmoid",
    "hardmax",
    "image_scaler",
    "input",
    "input_variable",
    "leaky_relu",
    "less",
    "less_equal",
    "load_model",
    "local_response_normalization",
    "log",
    "log_add_exp",
    "log_softmax",
    "mean",
    "mean_variance_normalization",
    "minus",
    "negate",
    "not_equal",
    "one_hot",
    "ones_like",
    "output_variable",
    "pad",
    "param_relu",
    "parameter",
    "per_dim_mean_variance_normalize",
    "placeholder",
    "plus",
    "pooling",
    "pow",
    "random_sample",
    "random_sample_inclusion_frequency",
    "reciprocal",
    "reduce_l1",
    "reduce_l2",
    "reduce_log_sum_exp",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_sum",
    "reduce_sum_square",
    "relu",
    "reshape",
    "roipooling",
    "round",
    "selu",
    "sigmoid",
    "sin",
    "sinh",
    "slice",
    "softmax",
    "softplus",
    "softsign",
    "space_to_depth",
    "splice",
    "sqrt",
    "square",
    "squeeze",
    "stop_gradient",
    "straight_through_impl",
    "sum",
    "swapaxes",
    "tan",
    "tanh",
    "times",
    "times_transpose",
    "to_batch",
    "top_k",
    "transpose",
    "unpack_batch",
    "unpooling",
    "zeros_like",
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
    axes = [Axis.default_batch_axis()] if dynamic_axes is None else _listed(dynamic_axes)
    if any(axis.is_sequence_axis for axis in axes):
        raise refuse("input_variable with a sequence axis")
    return Variable(
        dims, dtype, kind=Kind.INPUT, name=name, batched=bool(axes), needs_gradient=needs_gradient
    )


def _listed(axes: Any) -> list[Axis]:
    return [axes] if isinstance(axes, Axis) else list(axes)


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
