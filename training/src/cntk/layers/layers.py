"""Layers with parameters, pooling and dropout: functions that return functions.

Each is a block around a placeholder; calling the result on something puts that in the placeholder's
place, and the parameters' open dimensions follow from it. Two calls share the parameters.
"""

from typing import Any, Final

from cntk import ops
from cntk._absent import absent
from cntk.default_options import default_override_or, get_default_override
from cntk.initializer import glorot_uniform
from cntk.layers._building import _activated, _Activation, _layer, _ranked, _spread
from cntk.layers._convolutions import Convolution, Convolution1D, Convolution2D, Convolution3D
from cntk.layers._transposed import (
    ConvolutionTranspose,
    ConvolutionTranspose1D,
    ConvolutionTranspose2D,
    ConvolutionTranspose3D,
)
from cntk.layers.blocks import identity
from cntk.ops.functions import Function
from cntk.variables import Constant, InferredDimension, Parameter, Shape, Variable, _as_shape

__all__ = [
    "Activation",
    "AveragePooling",
    "BatchNormalization",
    "Convolution",
    "Convolution1D",
    "Convolution2D",
    "Convolution3D",
    "ConvolutionTranspose",
    "ConvolutionTranspose1D",
    "ConvolutionTranspose2D",
    "ConvolutionTranspose3D",
    "Dense",
    "Dropout",
    "GlobalAveragePooling",
    "GlobalMaxPooling",
    "Label",
    "LayerNormalization",
    "MaxPooling",
    "MaxUnpooling",
    "identity",
]
_GLOROT: Final = glorot_uniform()
PoolingType_Max: Final = ops.MAX_POOLING
PoolingType_Average: Final = ops.AVG_POOLING
SentinelValueForAutoSelectRandomSeed: Final = ops.SentinelValueForAutoSelectRandomSeed


def Dense(  # noqa: N802 (CNTK's name)
    shape: int | Shape,
    activation: _Activation = default_override_or(None),
    init: Any = default_override_or(_GLOROT),
    input_rank: int | None = None,
    map_rank: int | None = None,
    bias: bool = default_override_or(True),
    init_bias: Any = default_override_or(0),
    name: str = "",
) -> Function:
    """Return a fully connected layer: activation(x @ W + b).

    Args:
        shape: Of the output.
        activation: A function, several in a row, or None.
        init: Of W, shape (input..., output...).
        input_rank: How many of the input's last axes are summed over; all by default.
        map_rank: How many of the input's first axes stay; instead of `input_rank`.
        bias: Whether there is a b, shape (output...).
        init_bias: Of b.
        name: Of the layer.
    """
    activation = get_default_override(Dense, activation=activation)
    init = get_default_override(Dense, init=init)
    bias = get_default_override(Dense, bias=bias)
    init_bias = get_default_override(Dense, init_bias=init_bias)
    if input_rank is not None and map_rank is not None:
        message = "Dense: input_rank and map_rank cannot be specified at the same time."
        raise ValueError(message)
    out = _as_shape(shape)
    open_axes = (InferredDimension,) * (1 if input_rank is None else input_rank)
    mapped = -1 if input_rank is not None else map_rank or 0
    weight = Parameter(open_axes + out, _ranked(init, len(out)), name="W")
    offset = Parameter(out, init_bias, name="b") if bias else None

    def build(x: Variable) -> Any:
        product = ops.times(x, weight, len(out), mapped)
        return _activated(activation, product if offset is None else product + offset)

    return _layer("Dense", build, name)


def _pool(kind: int, filter_shape: Any, strides: Any, pad: Any, name: str, op: str) -> Function:
    window = _as_shape(filter_shape)
    step, padding = _spread(strides, window, "strides"), _spread(pad, window, "pad")
    return _layer(op, lambda x: ops.pooling(x, kind, window, step, padding), name)


def MaxPooling(  # noqa: N802 (CNTK's name)
    filter_shape: int | Shape,
    strides: Any = 1,
    pad: Any = default_override_or(False),
    name: str = "",
) -> Function:
    """Return a layer that takes the maximum of windows over the last axes; padding never counts."""
    pad = get_default_override(MaxPooling, pad=pad)
    return _pool(ops.MAX_POOLING, filter_shape, strides, pad, name, "MaxPooling")


def AveragePooling(  # noqa: N802 (CNTK's name)
    filter_shape: int | Shape,
    strides: Any = 1,
    pad: Any = default_override_or(False),
    name: str = "",
) -> Function:
    """Return a layer that takes the average of windows over the last axes, without padding."""
    pad = get_default_override(AveragePooling, pad=pad)
    return _pool(ops.AVG_POOLING, filter_shape, strides, pad, name, "AveragePooling")


def GlobalMaxPooling(name: str = "") -> Function:  # noqa: N802 (CNTK's name)
    """Return a layer from (channels, spatial...) to the maxima, (channels, 1...)."""
    return _layer("GlobalMaxPooling", lambda x: ops.pooling(x, ops.MAX_POOLING, (), (1,)), name)


def GlobalAveragePooling(name: str = "") -> Function:  # noqa: N802 (CNTK's name)
    """Return a layer from (channels, spatial...) to the averages, (channels, 1...)."""
    return _layer("GlobalAveragePooling", lambda x: ops.pooling(x, ops.AVG_POOLING, (), (1,)), name)


def MaxUnpooling(  # noqa: N802 (CNTK's name)
    filter_shape: int | Shape, strides: Any = 1, pad: Any = False, name: str = ""
) -> Function:
    """Return a layer of two arguments: what was pooled, and the image whose maxima it were."""
    window = _as_shape(filter_shape)
    step, padding = _spread(strides, window, "strides"), _spread(pad, window, "pad")
    return _layer(
        "MaxUnpooling",
        lambda x, y: ops.unpooling(x, y, ops.MAX_UNPOOLING, window, step, padding),
        name,
        ("x", "y"),
    )


def Dropout(  # noqa: N802 (CNTK's name)
    dropout_rate: float | None = None,
    keep_prob: float | None = None,
    seed: int = ops.SentinelValueForAutoSelectRandomSeed,
    name: str = "",
) -> Function:
    """Return a layer that drops a share of the values in training.

    Args:
        dropout_rate: The share; either this or `keep_prob`.
        keep_prob: The share that stays.
        seed: Of its generator; the process's next one by default.
        name: Of the layer.
    """
    if dropout_rate is None and keep_prob is None:
        message = "Dropout: either dropout_rate or keep_prob must be specified."
        raise ValueError(message)
    if dropout_rate is not None and keep_prob is not None:
        message = "Dropout: dropout_rate and keep_prob cannot be specified at the same time."
        raise ValueError(message)
    if keep_prob is not None and not 0.0 <= keep_prob < 1.0:
        message = "Dropout: keep_prob must be in the interval [0,1)"
        raise ValueError(message)
    rate = 1 - keep_prob if keep_prob is not None else dropout_rate
    return _layer("Dropout", lambda x: ops.dropout(x, rate or 0.0, seed), name)


def BatchNormalization(  # noqa: N802 (CNTK's name)
    map_rank: int | None = default_override_or(None),
    init_scale: Any = 1,
    normalization_time_constant: float = default_override_or(5000),
    blend_time_constant: float = 0,
    epsilon: float = default_override_or(0.00001),
    use_cntk_engine: bool = default_override_or(False),
    disable_regularization: bool = default_override_or(False),
    name: str = "",
) -> Function:
    """Return a layer that normalises by the minibatch in training, else by running statistics.

    Args:
        map_rank: 1: one mean and variance for each channel; None: for each element.
        init_scale: Of the scale that the normalised values get.
        normalization_time_constant: How slowly the running statistics follow, in samples.
        blend_time_constant: Only 0 is provided.
        epsilon: Added to the variance.
        use_cntk_engine: Kept in files.
        disable_regularization: Kept in files.
        name: Of the layer.
    """
    map_rank = get_default_override(BatchNormalization, map_rank=map_rank)
    constant = get_default_override(
        BatchNormalization, normalization_time_constant=normalization_time_constant
    )
    epsilon = get_default_override(BatchNormalization, epsilon=epsilon)
    cntk_engine = get_default_override(BatchNormalization, use_cntk_engine=use_cntk_engine)
    unregularized = get_default_override(
        BatchNormalization, disable_regularization=disable_regularization
    )
    if map_rank not in (None, 1):
        message = f"BatchNormalization: map_rank can only be 1 or None, not {map_rank}."
        raise ValueError(message)
    shape = (InferredDimension,)
    scale, bias = Parameter(shape, init_scale, name="scale"), Parameter(shape, 0, name="bias")
    mean = Constant(0, shape, name="aggregate_mean")
    variance = Constant(0, shape, name="aggregate_variance")
    count = Constant(0, (), name="aggregate_count")

    def build(x: Variable) -> Any:
        return ops.batch_normalization(
            x,
            scale,
            bias,
            mean,
            variance,
            map_rank == 1,
            constant,
            blend_time_constant,
            epsilon,
            not cntk_engine,
            unregularized,
            running_count=count,
        )

    return _layer("BatchNormalization", build, name)


def Activation(activation: _Activation = default_override_or(None), name: str = "") -> Function:  # noqa: N802
    """Return an activation as a layer of its own."""
    function = get_default_override(Activation, activation=activation)
    return _layer(
        "Activation", lambda x: ops.alias(x) if function is None else _activated(function, x), name
    )


def LayerNormalization(  # noqa: N802 (CNTK's name)
    initial_scale: Any = 1,
    initial_bias: Any = 0,
    epsilon: float = default_override_or(0.00001),
    name: str = "",
) -> Function:
    """Return a layer that brings each sample to mean 0 and deviation 1, then scales and shifts.

    Args:
        initial_scale: Of the scale, of the input's shape.
        initial_bias: Of the shift, of the input's shape.
        epsilon: Added to the standard deviation.
        name: Of the layer.
    """
    small = get_default_override(LayerNormalization, epsilon=epsilon)
    scale = Parameter((InferredDimension,), initial_scale, name="scale")
    bias = Parameter((InferredDimension,), initial_bias, name="bias")

    def build(x: Variable) -> Any:
        centred = ops.minus(x, ops.reduce_mean(x))
        deviation = ops.sqrt(ops.reduce_mean(ops.element_times(centred, centred)))
        if small != 0:
            deviation = ops.plus(deviation, float(small))
        return ops.element_divide(centred, deviation) * scale + bias

    return _layer("LayerNormalization", build, name)


def Label(name: str) -> Function:  # noqa: N802 (CNTK's name)
    """Return a layer that changes nothing but the name."""
    return Function(lambda x: ops.alias(x, name))


__getattr__ = absent(__name__)
