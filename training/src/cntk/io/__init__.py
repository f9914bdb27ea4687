"""Readers: from files to minibatches."""

from cntk._absent import absent
from cntk.io import transforms
from cntk.io._images import Base64ImageDeserializer, ImageDeserializer
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
from cntk.io._text import sequence_to_cntk_text_format

__all__ = [
    "INFINITELY_REPEAT",
    "Base64ImageDeserializer",
    "CTFDeserializer",
    "ImageDeserializer",
    "MinibatchData",
    "MinibatchSource",
    "MinibatchSourceFromData",
    "StreamDef",
    "StreamDefs",
    "StreamInformation",
    "UserMinibatchSource",
    "sequence_to_cntk_text_format",
    "transforms",
]
FULL_DATA_SWEEP = 2**64 - 2
DEFAULT_RANDOMIZATION_WINDOW_IN_CHUNKS = 128
__getattr__ = absent(__name__)
