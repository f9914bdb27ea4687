"""Layers: functions that return functions."""

from cntk._absent import absent
from cntk.default_options import (
    default_options,
    default_options_for,
    default_override_or,
    get_default_override,
)
from cntk.layers.blocks import GRU, LSTM, ForwardDeclaration, RNNStep, RNNUnit, Stabilizer
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
    Embedding,
    GlobalAveragePooling,
    GlobalMaxPooling,
    Label,
    MaxPooling,
)
from cntk.layers.sequence import (
    Delay,
    Fold,
    PastValueWindow,
    Recurrence,
    RecurrenceFrom,
    UnfoldFrom,
)

__all__ = [
    "GRU",
    "LSTM",
    "Activation",
    "AveragePooling",
    "BatchNormalization",
    "Convolution",
    "Convolution1D",
    "Convolution2D",
    "Convolution3D",
    "Delay",
    "Dense",
    "Dropout",
    "Embedding",
    "Fold",
    "For",
    "ForwardDeclaration",
    "GlobalAveragePooling",
    "GlobalMaxPooling",
    "Label",
    "MaxPooling",
    "PastValueWindow",
    "RNNStep",
    "RNNUnit",
    "Recurrence",
    "RecurrenceFrom",
    "Sequential",
    "Stabilizer",
    "UnfoldFrom",
    "default_options",
    "default_options_for",
    "default_override_or",
    "get_default_override",
    "identity",
]
__getattr__ = absent(__name__)
