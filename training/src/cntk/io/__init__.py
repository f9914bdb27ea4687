"""Readers: from files to minibatches."""

from cntk._absent import absent
from cntk.io._memory import MinibatchSourceFromData, UserMinibatchSource
from cntk.io._source import (
    INFINITELY_REPEAT,
    CTFDeserializer,
    MinibatchData,
    MinibatchSource,
    StreamDef,
    StreamDefs,
    StreamInformation,
)

__all__ = [
    "INFINITELY_REPEAT",
    "CTFDeserializer",
    "MinibatchData",
    "MinibatchSource",
    "MinibatchSourceFromData",
    "StreamDef",
    "StreamDefs",
    "StreamInformation",
    "UserMinibatchSource",
]
FULL_DATA_SWEEP = 2**64 - 2
DEFAULT_RANDOMIZATION_WINDOW_IN_CHUNKS = 128
__getattr__ = absent(__name__)
