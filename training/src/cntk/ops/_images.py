"""Operations on images: convolution, pooling, batch normalization."""

from collections.abc import Sequence
from typing import Any, Final

from cntk._absent import refuse
from cntk._dictionary import NDShape, SizeT
from cntk.ops._building import _node, _variables
from cntk.ops.functions import Function
from cntk.variables import Constant, Shape, _as_shape

MAX_POOLING: Final = 0
AVG_POOLING: Final = 1


def convolution(
    convolution_map: Any,
    operand: Any,
    strides: Any = (1,),
    sharing: Sequence[bool] = (True,),
    auto_padding: Sequence[bool] = (True,),
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
        dilation: Steps within the kernel, as `strides`.
        reduction_rank: 1: the kernels sum over the channels. 0 is provided by `layers.Convolution`.
        groups: Groups of channels with kernels of their own.
        max_temp_mem_size_in_samples: Kept in files.
        name: Of the function.
    """
    if reduction_rank != 1:
        raise refuse(f"convolution(reduction_rank={reduction_rank})")
    if not all(sharing):
        raise refuse("convolution(sharing=False)")
    kernel, x = _variables([convolution_map, operand])
    axes = len(kernel.shape) - 2
    step = _each(strides, axes)
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
        "strides": NDShape(reversed(step)),
        "transpose": False,
        "outputShape": NDShape((0,)),
        "maxTempMemSizeInSamples": SizeT(max_temp_mem_size_in_samples),
        "kernelShape": NDShape(reversed(kernel.shape[1:])),
        "groups": SizeT(groups),
    }
    return _node("Convolution", [kernel, x], attributes, name)


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


def _each(value: Any, axes: int) -> Shape:
    listed = _as_shape(value)
    return listed * axes if len(listed) == 1 else listed[-axes:]


def batch_normalization(
    operand: Any,
    scale: Any,
    bias: Any,
    running_mean: Any,
    running_inv_std: Any,
    spatial: bool,
    normalization_time_constant: float = 5000,
    blend_time_constant: float = 0,
    epsilon: float = 0.00001,
    use_cudnn_engine: bool = True,
    disable_regularization: bool = False,
    name: str = "",
    running_count: Any = None,
) -> Function:
    """Normalise by the minibatch's mean and variance in training, by running ones elsewhere.

    Args:
        operand: Shape (channels, ...).
        scale: What the normalised values are multiplied by, shape (channels,) if spatial.
        bias: What is added then, likewise.
        running_mean: A constant; training changes it.
        running_inv_std: The running variance, despite its name; a constant, training changes it.
        spatial: Whether all places of a channel are taken together.
        normalization_time_constant: In samples.
        blend_time_constant: Only 0 is provided.
        epsilon: Added to the variance.
        use_cudnn_engine: Kept in files.
        disable_regularization: Kept in files.
        name: Of the function.
        running_count: How many samples training has seen; a constant.
    """
    if blend_time_constant != 0:
        raise refuse("batch_normalization(blend_time_constant=...)")
    attributes = {
        "normalizationTimeConstant": float(normalization_time_constant),
        "blendTimeConstant": float(blend_time_constant),
        "spatial": bool(spatial),
        "disableRegularization": bool(disable_regularization),
        "epsilon": float(epsilon),
        "useCuDNNEngine": bool(use_cudnn_engine),
    }
    count = Constant(0.0) if running_count is None else running_count
    return _node(
        "BatchNormalization",
        [operand, scale, bias, running_mean, running_inv_std, count],
        attributes,
        name,
    )
