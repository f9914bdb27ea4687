"""Transposed convolutions as layers: what makes a small image a large one."""

from typing import Any, Final

from cntk import ops
from cntk._absent import refuse
from cntk.default_options import default_override_or, get_default_override
from cntk.initializer import glorot_uniform
from cntk.layers._building import _activated, _Activation, _layer, _ranked, _spread
from cntk.layers._convolutions import _kernel
from cntk.ops.functions import Function
from cntk.variables import InferredDimension, Parameter, Shape, _as_shape

_GLOROT: Final = glorot_uniform()


def ConvolutionTranspose(  # noqa: N802 (CNTK's name)
    filter_shape: int | Shape,
    num_filters: int | Shape,
    activation: _Activation = default_override_or(None),
    init: Any = default_override_or(_GLOROT),
    pad: Any = default_override_or(False),
    strides: Any = 1,
    sharing: bool = True,
    bias: bool = default_override_or(True),
    init_bias: Any = default_override_or(0),
    output_shape: Any = default_override_or(None),
    reduction_rank: int = 1,
    dilation: Any = 1,
    max_temp_mem_size_in_samples: int = 0,
    name: str = "",
) -> Function:
    """Return a transposed convolution of (channels, spatial...) to (filters, spatial...).

    Args:
        filter_shape: The kernel's spatial shape.
        num_filters: How many filters the result has.
        activation: A function, several in a row, or None.
        init: Of W, shape (channels, filters, kernel...).
        pad: Whether the convolution that this one turns round pads; for all axes or for each.
        strides: For all spatial axes or for each.
        sharing: True; nothing else is provided.
        bias: Whether there is a b, shape (filters, 1...).
        init_bias: Of b.
        output_shape: The result's spatial shape, where that is not to follow.
        reduction_rank: 1: the input has a channel axis; 0: it has none.
        dilation: Steps within the kernel.
        max_temp_mem_size_in_samples: Kept in files.
        name: Of the layer.
    """
    activation = get_default_override(ConvolutionTranspose, activation=activation)
    init = get_default_override(ConvolutionTranspose, init=init)
    pad = get_default_override(ConvolutionTranspose, pad=pad)
    bias = get_default_override(ConvolutionTranspose, bias=bias)
    init_bias = get_default_override(ConvolutionTranspose, init_bias=init_bias)
    output_shape = get_default_override(ConvolutionTranspose, output_shape=output_shape)
    if not sharing:
        raise refuse("ConvolutionTranspose(sharing=False)")
    if reduction_rank not in (0, 1):
        message = "ConvolutionTranspose: reduction_rank must be 0 or 1"
        raise NotImplementedError(message)
    kernel, filters = _as_shape(filter_shape), _as_shape(num_filters)
    step, padding = _spread(strides, kernel, "strides"), _spread(pad, kernel, "pad")
    within = _spread(dilation, kernel, "dilation")
    full = None if output_shape is None else filters + _as_shape(output_shape)
    weights = _ranked(init, -1, len(kernel))
    weight = Parameter((InferredDimension, *filters, *kernel), weights, name="W")
    ones = tuple(1 for _ in kernel)
    offset = Parameter(filters + ones, init_bias, name="b") if bias else None

    def build(x: Any) -> Any:
        if reduction_rank == 0:
            x = ops.reshape(x, (1,), -len(kernel), -len(kernel))
        product = ops.convolution_transpose(
            weight,
            x,
            step,
            auto_padding=(False, *padding),
            output_shape=full,
            dilation=within,
            max_temp_mem_size_in_samples=max_temp_mem_size_in_samples,
        )
        return _activated(activation, product if offset is None else product + offset)

    return _layer("ConvolutionTranspose", build, name)


def ConvolutionTranspose1D(  # noqa: N802 (CNTK's name)
    filter_shape: int | Shape,
    num_filters: int | Shape,
    activation: _Activation = default_override_or(None),
    init: Any = default_override_or(_GLOROT),
    pad: Any = default_override_or(False),
    strides: Any = 1,
    bias: bool = default_override_or(True),
    init_bias: Any = default_override_or(0),
    output_shape: Any = default_override_or(None),
    reduction_rank: int = 1,
    dilation: Any = 1,
    name: str = "",
) -> Function:
    """Return a transposed convolution over one spatial axis; see `ConvolutionTranspose`."""
    return ConvolutionTranspose(
        _kernel(1, "ConvolutionTranspose1D", filter_shape),
        num_filters,
        activation=get_default_override(ConvolutionTranspose1D, activation=activation),
        init=get_default_override(ConvolutionTranspose1D, init=init),
        pad=get_default_override(ConvolutionTranspose1D, pad=pad),
        strides=strides,
        bias=get_default_override(ConvolutionTranspose1D, bias=bias),
        init_bias=get_default_override(ConvolutionTranspose1D, init_bias=init_bias),
        output_shape=get_default_override(ConvolutionTranspose1D, output_shape=output_shape),
        reduction_rank=reduction_rank,
        dilation=dilation,
        name=name,
    )


def ConvolutionTranspose2D(  # noqa: N802 (CNTK's name)
    filter_shape: int | Shape,
    num_filters: int | Shape,
    activation: _Activation = default_override_or(None),
    init: Any = default_override_or(_GLOROT),
    pad: Any = default_override_or(False),
    strides: Any = 1,
    bias: bool = default_override_or(True),
    init_bias: Any = default_override_or(0),
    output_shape: Any = default_override_or(None),
    reduction_rank: int = 1,
    dilation: Any = 1,
    name: str = "",
) -> Function:
    """Return a transposed convolution over two spatial axes; see `ConvolutionTranspose`."""
    return ConvolutionTranspose(
        _kernel(2, "ConvolutionTranspose2D", filter_shape),
        num_filters,
        activation=get_default_override(ConvolutionTranspose2D, activation=activation),
        init=get_default_override(ConvolutionTranspose2D, init=init),
        pad=get_default_override(ConvolutionTranspose2D, pad=pad),
        strides=strides,
        bias=get_default_override(ConvolutionTranspose2D, bias=bias),
        init_bias=get_default_override(ConvolutionTranspose2D, init_bias=init_bias),
        output_shape=get_default_override(ConvolutionTranspose2D, output_shape=output_shape),
        reduction_rank=reduction_rank,
        dilation=dilation,
        name=name,
    )


def ConvolutionTranspose3D(  # noqa: N802 (CNTK's name)
    filter_shape: int | Shape,
    num_filters: int | Shape,
    activation: _Activation = default_override_or(None),
    init: Any = default_override_or(_GLOROT),
    pad: Any = default_override_or(False),
    strides: Any = 1,
    bias: bool = default_override_or(True),
    init_bias: Any = default_override_or(0),
    output_shape: Any = default_override_or(None),
    reduction_rank: int = 1,
    dilation: Any = 1,
    name: str = "",
) -> Function:
    """Return a transposed convolution over three spatial axes; see `ConvolutionTranspose`."""
    return ConvolutionTranspose(
        _kernel(3, "ConvolutionTranspose3D", filter_shape),
        num_filters,
        activation=get_default_override(ConvolutionTranspose3D, activation=activation),
        init=get_default_override(ConvolutionTranspose3D, init=init),
        pad=get_default_override(ConvolutionTranspose3D, pad=pad),
        strides=strides,
        bias=get_default_override(ConvolutionTranspose3D, bias=bias),
        init_bias=get_default_override(ConvolutionTranspose3D, init_bias=init_bias),
        output_shape=get_default_override(ConvolutionTranspose3D, output_shape=output_shape),
        reduction_rank=reduction_rank,
        dilation=dilation,
        name=name,
    )
