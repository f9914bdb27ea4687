"""Convolutions, forward and transposed, as layers."""

from typing import Any, Final

import numpy as np

from cntk import ops
from cntk._absent import refuse
from cntk.default_options import default_override_or, get_default_override
from cntk.initializer import glorot_uniform
from cntk.layers._building import _activated, _Activation, _layer, _ranked, _spread
from cntk.ops.functions import Function
from cntk.variables import InferredDimension, Parameter, Shape, _as_shape

_GLOROT: Final = glorot_uniform()


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
        num_filters: How many kernels; None: one, and the result has no axis of filters.
        sequential: Not provided.
        activation: A function, several in a row, or None.
        init: Of W, shape (filters, channels, kernel...).
        pad: Whether to pad, for all spatial axes or for each.
        strides: For all spatial axes or for each.
        sharing: True; nothing else is provided.
        bias: Whether there is a b, shape (filters, 1...).
        init_bias: Of b.
        reduction_rank: 1: the input has a channel axis; 0: it has none.
        transpose_weight: False; CNTK has nothing else either.
        dilation: Steps within the kernel.
        groups: 1; CNTK's layer has nothing else, its function `convolution` does.
        max_temp_mem_size_in_samples: Kept in files.
        op_name: Accepted; the layer is called `Convolution`, as in CNTK.
        name: Of the layer.
    """
    del op_name
    activation = get_default_override(Convolution, activation=activation)
    init = get_default_override(Convolution, init=init)
    pad = get_default_override(Convolution, pad=pad)
    bias = get_default_override(Convolution, bias=bias)
    init_bias = get_default_override(Convolution, init_bias=init_bias)
    kernel = _as_shape(filter_shape)
    if sequential:
        raise refuse("Convolution(sequential=True)")
    if not sharing:
        raise refuse("Convolution(sharing=False)")
    _check(reduction_rank, groups, transpose_weight=transpose_weight)
    filters = () if num_filters is None else _as_shape(num_filters)
    step, padding = _spread(strides, kernel, "strides"), _spread(pad, kernel, "pad")
    within = _spread(dilation, kernel, "dilation")
    shape = (*(filters or (1,)), InferredDimension, *kernel)
    if isinstance(init, np.ndarray):
        weights = _as_kernels(init, filters, kernel)
        shape = weights.shape
    else:
        weights = _ranked(init, -1, len(kernel))
    weight = Parameter(shape, weights, name="W")
    ones = tuple(1 for _ in kernel)
    offset = Parameter(((filters or (1,)) + ones), init_bias, name="b") if bias else None

    def build(x: Any) -> Any:
        if reduction_rank == 0:
            x = ops.reshape(x, (1,), -len(kernel), -len(kernel))
        product = ops.convolution(
            weight,
            x,
            step,
            auto_padding=(False, *padding),
            dilation=within,
            groups=groups,
            max_temp_mem_size_in_samples=max_temp_mem_size_in_samples,
        )
        if offset is not None:
            product = product + offset
        if not filters:
            product = ops.reshape(product, (), -len(kernel) - 1, -len(kernel))
        return _activated(activation, product)

    return _layer("Convolution", build, name)


def _check(reduction_rank: int, groups: int, *, transpose_weight: bool) -> None:
    if reduction_rank not in (0, 1):
        message = "Convolution: reduction_rank must be 0 or 1"
        raise NotImplementedError(message)
    if transpose_weight:
        message = "Convolution: transpose_weight option currently not supported"
        raise NotImplementedError(message)
    if groups <= 0:
        message = "Convolution: groups must be strictly positive, i.e. groups > 0."
        raise ValueError(message)
    if groups > 1:
        message = (
            "Convolution: groups > 1, is not currently supported by Convolution layer. For group "
            "convolution with groups > 1, use CNTK's low-level convolution node (cntk.convolution)."
        )
        raise ValueError(message)


def _as_kernels(init: Any, filters: Shape, kernel: Shape) -> Any:
    """Return an array as kernels of one channel."""
    if init.shape != filters + kernel:
        message = "a constant initializer was passed that is of wrong shape"
        raise ValueError(message)
    return init.reshape((*(filters or (1,)), 1, *kernel))


def _kernel(rank: int, title: str, filter_shape: Any) -> Shape:
    listed = _as_shape(filter_shape)
    if rank == 1 and len(listed) != 1:
        message = f"{title}: filter_shape must be a scalar"
        raise ValueError(message)
    if len(listed) > rank:
        example = ",".join("3" * rank)
        message = (
            f"{title}: filter_shape must be a scalar or a {rank}D tuple, e.g. 3 or ({example})"
        )
        raise ValueError(message)
    return _spread(listed, (0,) * rank, "filter_shape")


def Convolution1D(  # noqa: N802 (CNTK's name)
    filter_shape: int | Shape,
    num_filters: int | Shape | None = None,
    activation: _Activation = default_override_or(None),
    init: Any = default_override_or(_GLOROT),
    pad: Any = default_override_or(False),
    strides: Any = 1,
    bias: bool = default_override_or(True),
    init_bias: Any = default_override_or(0),
    reduction_rank: int = 1,
    dilation: Any = 1,
    name: str = "",
) -> Function:
    """Return a convolution over one spatial axis; see `Convolution`."""
    return Convolution(
        _kernel(1, "Convolution1D", filter_shape),
        num_filters,
        activation=get_default_override(Convolution1D, activation=activation),
        init=get_default_override(Convolution1D, init=init),
        pad=get_default_override(Convolution1D, pad=pad),
        strides=strides,
        bias=get_default_override(Convolution1D, bias=bias),
        init_bias=get_default_override(Convolution1D, init_bias=init_bias),
        reduction_rank=reduction_rank,
        dilation=dilation,
        name=name,
    )


def Convolution2D(  # noqa: N802 (CNTK's name)
    filter_shape: int | Shape,
    num_filters: int | Shape | None = None,
    activation: _Activation = default_override_or(None),
    init: Any = default_override_or(_GLOROT),
    pad: Any = default_override_or(False),
    strides: Any = 1,
    bias: bool = default_override_or(True),
    init_bias: Any = default_override_or(0),
    reduction_rank: int = 1,
    dilation: Any = 1,
    groups: int = 1,
    name: str = "",
) -> Function:
    """Return a convolution over two spatial axes; see `Convolution`."""
    return Convolution(
        _kernel(2, "Convolution2D", filter_shape),
        num_filters,
        activation=get_default_override(Convolution2D, activation=activation),
        init=get_default_override(Convolution2D, init=init),
        pad=get_default_override(Convolution2D, pad=pad),
        strides=strides,
        bias=get_default_override(Convolution2D, bias=bias),
        init_bias=get_default_override(Convolution2D, init_bias=init_bias),
        reduction_rank=reduction_rank,
        dilation=dilation,
        groups=groups,
        name=name,
    )


def Convolution3D(  # noqa: N802 (CNTK's name)
    filter_shape: int | Shape,
    num_filters: int | Shape | None = None,
    activation: _Activation = default_override_or(None),
    init: Any = default_override_or(_GLOROT),
    pad: Any = default_override_or(False),
    strides: Any = 1,
    bias: bool = default_override_or(True),
    init_bias: Any = default_override_or(0),
    reduction_rank: int = 1,
    dilation: Any = 1,
    groups: int = 1,
    name: str = "",
) -> Function:
    """Return a convolution over three spatial axes; see `Convolution`."""
    return Convolution(
        _kernel(3, "Convolution3D", filter_shape),
        num_filters,
        activation=get_default_override(Convolution3D, activation=activation),
        init=get_default_override(Convolution3D, init=init),
        pad=get_default_override(Convolution3D, pad=pad),
        strides=strides,
        bias=get_default_override(Convolution3D, bias=bias),
        init_bias=get_default_override(Convolution3D, init_bias=init_bias),
        reduction_rank=reduction_rank,
        dilation=dilation,
        groups=groups,
        name=name,
    )
