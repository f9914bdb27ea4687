"""Layers with parameters, pooling and dropout: functions that return functions.

Each is a block around a placeholder; calling the result on something puts that in the placeholder's
place, and the parameters' open dimensions follow from it. Two calls share the parameters.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from cntk import ops
from cntk._absent import absent, refuse
from cntk._graph import make_block
from cntk.default_options import default_override_or, get_default_override
from cntk.initializer import glorot_uniform, initializer_with_rank
from cntk.ops.functions import Function, as_variable
from cntk.variables import Constant, InferredDimension, Kind, Parameter, Shape, Variable, _as_shape

_Activation = Callable[..., Any] | Function | Sequence[Any] | None
_GLOROT: Final = glorot_uniform()


def _layer(op: str, build: Callable[[Variable], Any], name: str) -> Function:
    inner, outer = (Variable(None, kind=Kind.PLACEHOLDER, name=label) for label in ("", "x"))
    return Function._of(make_block(op, as_variable(build(inner)), [(inner, outer)], name))


def _ranked(init: Any, output_rank: int, filter_rank: int | None = None) -> Any:
    """Return an initialiser that knows which axes of a weight are outputs and which a kernel's."""
    if init is None:
        message = "init parameter cannot be None"
        raise ValueError(message)
    return initializer_with_rank(init, output_rank, filter_rank)


def _activated(activation: _Activation, x: Any) -> Any:
    for function in activation if isinstance(activation, list | tuple) else (activation,):
        x = x if function is None else function(x)
    return x


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


def Convolution(  # noqa: N802 (CNTK's name)
    filter_shape: int | Shape,
    num_filters: int | Shape | None = None,
    sequential: bool = False,
    activation: _Activation = default_override_or(None),
    init: Any = default_override_or(_GLOROT),
    pad: Any = default_override_or(False),
    strides: Any = 1,
    sharing: bool = True,
    bias: bool = default_override_or(True),
    init_bias: Any = default_override_or(0),
    reduction_rank: int = 1,
    transpose_weight: bool = False,
    dilation: Any = 1,
    groups: int = 1,
    max_temp_mem_size_in_samples: int = 0,
    op_name: str = "Convolution",
    name: str = "",
) -> Function:
    """Return a convolution of (channels, spatial...) to (filters, spatial...).

    Args:
        filter_shape: The kernel's spatial shape.
        num_filters: How many kernels.
        sequential: Not provided.
        activation: A function, several in a row, or None.
        init: Of W, shape (filters, channels, kernel...).
        pad: Whether to pad, for all spatial axes or for each.
        strides: For all spatial axes or for each.
        sharing: True; nothing else is provided.
        bias: Whether there is a b, shape (filters, 1...).
        init_bias: Of b.
        reduction_rank: 1: the input has a channel axis; 0: it has none.
        transpose_weight: Not provided.
        dilation: Steps within the kernel.
        groups: Groups of channels with kernels of their own.
        max_temp_mem_size_in_samples: Kept in files.
        op_name: What the layer is called in texts and files.
        name: Of the layer.
    """
    activation = get_default_override(Convolution, activation=activation)
    init = get_default_override(Convolution, init=init)
    pad = get_default_override(Convolution, pad=pad)
    bias = get_default_override(Convolution, bias=bias)
    init_bias = get_default_override(Convolution, init_bias=init_bias)
    kernel = _as_shape(filter_shape)
    if (
        sequential
        or transpose_weight
        or not sharing
        or reduction_rank not in (0, 1)
        or num_filters is None
    ):
        raise refuse(
            "Convolution with sequential, transpose_weight, no sharing, several channel axes or "
            "no num_filters"
        )
    (filters,) = _as_shape(num_filters)
    channels = InferredDimension if reduction_rank else 1
    weight = Parameter((filters, channels, *kernel), _ranked(init, -1, len(kernel)), name="W")
    offset = Parameter((filters, *(1 for _ in kernel)), init_bias, name="b") if bias else None

    def build(x: Any) -> Any:
        if reduction_rank == 0:
            x = ops.reshape(x, 1, 0, 0)
        product = ops.convolution(
            weight,
            x,
            _spread(strides, kernel),
            auto_padding=(False, *_spread(pad, kernel)),
            dilation=_spread(dilation, kernel),
            groups=groups,
            max_temp_mem_size_in_samples=max_temp_mem_size_in_samples,
        )
        return _activated(activation, product if offset is None else product + offset)

    return _layer(op_name, build, name)


def _of_rank(rank: int, title: str) -> Callable[..., Function]:
    def layer(
        filter_shape: int | Shape, num_filters: int | Shape | None = None, **options: Any
    ) -> Function:
        kernel = _spread(filter_shape, (0,) * rank)
        return Convolution(kernel, num_filters, **options)

    layer.__name__ = title
    layer.__doc__ = f"Return a convolution over {rank} spatial axes; see `Convolution`."
    return layer


Convolution1D: Final = _of_rank(1, "Convolution1D")
Convolution2D: Final = _of_rank(2, "Convolution2D")
Convolution3D: Final = _of_rank(3, "Convolution3D")


def _spread(value: Any, axes: Sequence[Any]) -> tuple[Any, ...]:
    """Return one value for each axis."""
    listed = tuple(value) if isinstance(value, tuple | list) else (value,)
    if len(listed) == 1:
        listed *= len(axes)
    if len(listed) != len(axes):
        message = f"{value!r} does not have a value for each of {len(axes)} spatial axes."
        raise ValueError(message)
    return listed


def _pool(kind: int, filter_shape: Any, strides: Any, pad: Any, name: str, op: str) -> Function:
    window = _as_shape(filter_shape)
    step, padding = _spread(strides, window), _spread(pad, window)
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
    if (dropout_rate is None) == (keep_prob is None):
        message = "Dropout: exactly one of dropout_rate and keep_prob must be given."
        raise ValueError(message)
    rate = 1.0 - keep_prob if keep_prob is not None else dropout_rate
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


def Label(name: str) -> Function:  # noqa: N802 (CNTK's name)
    """Return a layer that changes nothing but the name."""
    return Function(lambda x: ops.alias(x, name))


__getattr__ = absent(__name__)
