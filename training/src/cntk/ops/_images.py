"""Operations on images: convolution, pooling, batch normalization."""

from collections.abc import Sequence
from typing import Any, Final

from cntk._absent import refuse
from cntk._dictionary import NDShape, SizeT
from cntk.ops._building import _compound, _node, _variables
from cntk.ops._shapes import reshape
from cntk.ops.functions import Function
from cntk.variables import Shape, Variable, _as_shape

MAX_POOLING: Final = 0
AVG_POOLING: Final = 1
MAX_UNPOOLING: Final = 0


def convolution(
    convolution_map: Any,
    operand: Any,
    strides: Any = (1,),
    sharing: Sequence[bool] = (True,),
    auto_padding: Sequence[bool] = (True,),
    sequential: bool = False,
    dilation: Any = (1,),
    reduction_rank: int = 1,
    groups: int = 1,
    max_temp_mem_size_in_samples: int = 0,
    name: str = "",
) -> Function:
    """Convolve an image, shape (channels, spatial...), with kernels.

    Args:
        convolution_map: The kernels, shape (filters, channels, spatial...).
        operand: What is convolved.
        strides: For each spatial axis, or one number for all.
        sharing: Kernels are shared by all places; nothing else is provided.
        auto_padding: For each spatial axis, perhaps with the channel axis first; one value for all.
        sequential: Not provided.
        dilation: Steps within the kernel, as `strides`.
        reduction_rank: 1: the kernels sum over the channels; 0: neither they nor the operand have a
            channel axis.
        groups: Groups of channels with kernels of their own.
        max_temp_mem_size_in_samples: Kept in files.
        name: Of the function.
    """
    if sequential:
        raise refuse("convolution(sequential=True)")
    if reduction_rank not in (0, 1):
        message = "reduction_rank: must be 1 or 0"
        raise ValueError(message)
    if not all(sharing):
        raise refuse("convolution(sharing=False)")
    kernel, x = _variables([convolution_map, operand])
    options = (strides, auto_padding, dilation, groups, max_temp_mem_size_in_samples)
    if reduction_rank == 1:
        return _convolve(kernel, x, *options, name=name)

    def build(image: Variable) -> Function:
        axes = len(kernel.shape) - 1
        channels = (reshape(v, (1,), -axes, -axes).output for v in (kernel, image))
        return _convolve(next(channels), next(channels), *options)

    return _compound("Convolution", build, [x], name)


def convolution_transpose(
    convolution_map: Any,
    operand: Any,
    strides: Any = (1,),
    sharing: Sequence[bool] = (True,),
    auto_padding: Sequence[bool] = (True,),
    output_shape: Any = None,
    dilation: Any = (1,),
    reduction_rank: int = 1,
    max_temp_mem_size_in_samples: int = 0,
    name: str = "",
) -> Function:
    """Return what a convolution with these kernels would make the operand of: its gradient.

    Args:
        convolution_map: The kernels, shape (channels of the operand, filters, spatial...).
        operand: Shape (channels, spatial...).
        strides: For each spatial axis, or one number for all.
        sharing: Kernels are shared by all places; nothing else is provided.
        auto_padding: Whether the result is without the cells that the convolution would pad: of a
            size n then (n - 1) * stride + 1, otherwise (n - 1) * stride + kernel.
        output_shape: The result's shape (filters, spatial...), where that is not to follow.
        dilation: Steps within the kernel, as `strides`.
        reduction_rank: 1: the operand has a channel axis; nothing else is provided.
        max_temp_mem_size_in_samples: Kept in files.
        name: Of the function.
    """
    if reduction_rank != 1:
        raise refuse(f"convolution_transpose(reduction_rank={reduction_rank})")
    if not all(sharing):
        raise refuse("convolution_transpose(sharing=False)")
    kernel, x = _variables([convolution_map, operand])
    shape = (0,) if output_shape is None else _as_shape(output_shape)
    return _convolve(
        kernel,
        x,
        strides,
        auto_padding,
        dilation,
        1,
        max_temp_mem_size_in_samples,
        shape,
        transpose=True,
        name=name,
    )


def _convolve(
    kernel: Variable,
    operand: Variable,
    strides: Any,
    auto_padding: Sequence[bool],
    dilation: Any,
    groups: int,
    memory: int,
    output_shape: Shape = (0,),
    *,
    transpose: bool = False,
    name: str = "",
) -> Function:
    axes = len(kernel.shape) - 1 - (len(kernel.shape) > len(operand.shape))
    step = _as_shape(strides)
    pad = [bool(p) for p in (auto_padding if len(auto_padding) > 1 else [auto_padding[0]] * axes)]
    within = _each(dilation, axes)
    channel_pad = pad[0] if len(pad) > axes else len(auto_padding) == 1 and bool(auto_padding[0])
    attributes = {
        "upperPad": NDShape((0,) * (axes + 1)),
        "dilation": NDShape((*reversed(within), 1)),
        "sharing": [True] * (axes + 1),
        "autoPadding": [*reversed(pad[-axes:]), channel_pad],
        "sequential": False,
        "lowerPad": NDShape((0,) * (axes + 1)),
        "strides": NDShape(reversed(step if len(step) > 1 else step * axes)),
        "transpose": transpose,
        "outputShape": NDShape(reversed(output_shape)),
        "maxTempMemSizeInSamples": SizeT(memory),
        "kernelShape": NDShape(()),
        "groups": SizeT(groups),
    }
    return _node("Convolution", [kernel, operand], attributes, name)


def pooling(
    operand: Any,
    pooling_type: int,
    pooling_window_shape: Any,
    strides: Any = (1,),
    auto_padding: Sequence[bool] = (False,),
    ceil_out_dim: bool = False,
    include_pad: bool = False,
    name: str = "",
) -> Function:
    """Take the maximum or the average of windows over the last axes.

    Args:
        operand: Shape (channels, spatial...).
        pooling_type: `MAX_POOLING` or `AVG_POOLING`.
        pooling_window_shape: Cells for each spatial axis.
        strides: For each spatial axis, or one number for all.
        auto_padding: For each spatial axis, or one value for all.
        ceil_out_dim: Whether a last, partial window counts.
        include_pad: Whether an average counts padding as zeros.
        name: Of the function.
    """
    window = _as_shape(pooling_window_shape)
    attributes = {
        "poolingWindowShape": NDShape(reversed(window)),
        "autoPadding": [bool(p) for p in reversed(list(auto_padding))],
        "poolingType": SizeT(pooling_type),
        "ceilOutDim": bool(ceil_out_dim),
        "lowerPad": NDShape((0,)),
        "upperPad": NDShape((0,)),
        "strides": NDShape(reversed(_each(strides, len(window) or 1))),
        "includePad": bool(include_pad),
    }
    return _node("Pooling", [operand], attributes, name)


def unpooling(
    operand: Any,
    pooling_input: Any,
    unpooling_type: int,
    unpooling_window_shape: Any,
    strides: Any = (1,),
    auto_padding: Sequence[bool] = (False,),
    name: str = "",
) -> Function:
    """Put what was pooled back to where the maxima were; 0 elsewhere.

    Args:
        operand: Of the shape of the pooling's result.
        pooling_input: What was pooled; the result has its shape.
        unpooling_type: `MAX_UNPOOLING`.
        unpooling_window_shape: The pooling's.
        strides: The pooling's.
        auto_padding: The pooling's.
        name: Of the function.
    """
    if unpooling_type != MAX_UNPOOLING:
        raise refuse(f"unpooling(unpooling_type={unpooling_type})")
    window = _as_shape(unpooling_window_shape)
    attributes = {
        "unpoolingWindowShape": NDShape(reversed(window)),
        "strides": NDShape(reversed(_each(strides, len(window)))),
        "autoPadding": [bool(p) for p in reversed(list(auto_padding))],
        "poolingType": SizeT(MAX_POOLING),
        "lowerPad": NDShape((0,)),
        "upperPad": NDShape((0,)),
    }
    return _node("Unpooling", [operand, pooling_input], attributes, name)


def roipooling(
    operand: Any,
    rois: Any,
    pooling_type: int,
    roi_output_shape: Any,
    spatial_scale: float,
    name: str = "",
) -> Function:
    """Take the maxima of bins of regions, shape (regions, channels) + `roi_output_shape`.

    Args:
        operand: Images, shape (channels, height, width).
        rois: Regions of each, shape (regions, 4): left, top, right, bottom, the ends included.
        pooling_type: `MAX_POOLING`.
        roi_output_shape: How many bins a region has: (rows, columns).
        spatial_scale: What the regions' numbers are multiplied by.
        name: Of the function.
    """
    if pooling_type != MAX_POOLING:
        message = "Unsupported pooling type, ROIPooling support only MAX pooling."
        raise ValueError(message)
    attributes = {
        "poolingType": SizeT(MAX_POOLING),
        "roiOutputShape": NDShape(reversed(_as_shape(roi_output_shape))),
        "spatialScale": float(spatial_scale),
    }
    return _node("ROIPooling", [operand, rois], attributes, name)


def _each(value: Any, axes: int) -> Shape:
    listed = _as_shape(value)
    return listed * axes if len(listed) == 1 else listed[-axes:]
