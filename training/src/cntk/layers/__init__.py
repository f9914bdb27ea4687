"""Layers: functions that return functions."""

from cntk._absent import absent
from cntk.default_options import (
    default_options,
    default_options_for,
    default_override_or,
    get_default_override,
)
from cntk.layers.higher_order_layers import For, Sequential, identity
from cntk.layers.layers import (
    Activation,
    AveragePooling,
    BatchNormalization,
    Convolution,
    Convolution1D,
    Convolution2D,
    Convolution3D,
    Dense,
    Dropout,
    GlobalAveragePooling,
    GlobalMaxPooling,
    Label,
    MaxPooling,
)

__all__ = [
    "Activation",
    "AveragePooling",
    "BatchNormalization",
    "Convolution",
    "Convolution1D",
    "Convolution2D",
    "Convolution3D",
    "Dense",
    "Dropout",
    "For",
    "GlobalAveragePooling",
    "GlobalMaxPooling",
    "Label",
    "MaxPooling",
    "Sequential",
    "default_options",
    "default_options_for",
    "default_override_or",
    "get_default_override",
    "identity",
]
__getattr__ = absent(__name__)
