"""Operations that bring values to a common scale."""

import warnings
from typing import Any

import numpy as np

from cntk._absent import refuse
from cntk._dictionary import Float32, SizeT
from cntk.ops._arithmetic import element_divide, element_times, exp, log, minus, plus, sqrt
from cntk.ops._building import _compound, _node
from cntk.ops._images import convolution
from cntk.ops._shapes import reduce_mean, reshape, splice
from cntk.ops.functions import Function, as_variable
from cntk.variables import Constant, Variable


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
    use_cudnn_engine: bool = False,
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
    if running_count is None:
        running_count = Constant(0.0)
        warnings.warn(
            "batch_normalization requires an additional 'running_count' parameter, which can be "
            "instantiated as 'constant(0)'",
            Warning,
            stacklevel=2,
        )
    return _node(
        "BatchNormalization",
        [operand, scale, bias, running_mean, running_inv_std, running_count],
        attributes,
        name,
    )


def local_response_normalization(
    operand: Any, depth_radius: int, bias: float, alpha: float, beta: float, name: str = ""
) -> Function:
    """Divide by (bias + alpha * mean of squares over neighbouring channels) ** beta.

    Args:
        operand: Shape (channels, height, width).
        depth_radius: How many channels on each side are neighbours; outside they count as 0.
        bias: Keeps the divisor away from 0.
        alpha: The weight of the squares.
        beta: The exponent.
        name: Of the function.
    """
    width = 2 * depth_radius + 1
    weight = Constant(np.full((1, width, 1, 1), alpha / width, as_variable(operand).dtype))

    def build(x: Variable) -> Function:
        squares = reshape(element_times(x, x), (1, -1), 0, 1)
        near = reshape(convolution(weight, squares), (-1,), 0, 2)
        return element_divide(x, exp(element_times(beta, log(plus(bias, near)))))

    attributes = {
        "depthRadius": SizeT(depth_radius),
        "bias": float(bias),
        "alpha": float(alpha),
        "beta": float(beta),
    }
    return _compound("LocalResponseNormalization", build, [operand], name, attributes)


def mean_variance_normalization(
    operand: Any,
    epsilon: float = 0.00001,
    use_stats_across_channels: bool = False,
    do_variance_scaling: bool = True,
    name: str = "",
) -> Function:
    """Subtract each sample's mean and divide by its standard deviation + epsilon.

    Args:
        operand: Shape (channels, ...).
        epsilon: Keeps the divisor away from 0.
        use_stats_across_channels: Whether all channels are taken together.
        do_variance_scaling: Whether it is divided at all.
        name: Of the function.
    """
    if epsilon < 0:
        message = "epsilon must be non-negative."
        raise ValueError(message)
    first = 0 if use_stats_across_channels else 1
    axes = list(range(first, len(as_variable(operand).shape)))

    def build(x: Variable) -> Function:
        centred = minus(x, reduce_mean(x, axes))
        if not do_variance_scaling:
            return centred
        deviation = sqrt(reduce_mean(element_times(centred, centred), axes))
        small = Constant(epsilon, dtype=as_variable(operand).dtype, name="mvn_epsilon")
        return element_divide(centred, plus(deviation, small))

    attributes = {
        "useStatsAcrossChannels": bool(use_stats_across_channels),
        "doVarianceScaling": bool(do_variance_scaling),
        "epsilon": float(epsilon),
    }
    return _compound("MeanVarianceNormalization", build, [operand], name, attributes)


def per_dim_mean_variance_normalize(
    operand: Any, mean: Any, inv_stddev: Any, name: str = ""
) -> Function:
    """Return (operand - mean) * inv_stddev, element by element."""

    def build(x: Variable, centre: Variable, scale: Variable) -> Function:
        return element_times(minus(x, centre), scale)

    return _compound("PerDimMeanVarianceNormalize", build, [operand, mean, inv_stddev], name)


def image_scaler(x: Any, scalar: float, biases: Any, name: str = "") -> Function:
    """Return x * scalar + the bias of each channel; x has the shape (channels, height, width)."""
    offsets = [float(bias) for bias in biases]
    channels = as_variable(x).shape[0]
    if len(offsets) != channels:
        message = (
            f"ImageScaler: number of biases ({len(offsets)}) does not equal channels of the image "
            f"({channels})"
        )
        raise RuntimeError(message)

    def build(image: Variable) -> Function:
        shift = reshape(splice(*(Constant(bias) for bias in offsets)), (-1, 1, 1))
        return plus(element_times(image, scalar), shift)

    single, *others = (Float32(np.float32(value)) for value in (scalar, *offsets))
    attributes = {"Scaler": single, "Biases": others}
    return _compound("ImageScaler", build, [x], name, attributes)
