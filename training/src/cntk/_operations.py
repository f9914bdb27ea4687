"""The table of operations: found by name to build a graph, and by code to read a file."""

from typing import Final

from cntk import _elementwise, _normalize, _products, _rearrange, _sequences, _spatial
from cntk._graph import BLOCK, Operation

_ROWS: Final = (
    *_elementwise.ROWS,
    *_products.ROWS,
    *_rearrange.ROWS,
    *_spatial.ROWS,
    *_normalize.ROWS,
    *_sequences.ROWS,
    BLOCK,
)
BY_NAME: Final[dict[str, Operation]] = {row.name: row for row in _ROWS}
BY_CODE: Final[dict[int, Operation]] = {row.code: row for row in _ROWS}
COMBINE: Final = 44
"""A file's code for several outputs together; in a graph they are no node of their own."""

_OTHERS: Final = """
18 SumAll, 34 SquaredError, 35 CrossEntropyWithSoftmax, 36 ClassificationError, 45 RandomSample,
46 RandomSampleInclusionFrequency, 47 ROIPooling, 48 Logistic, 49 OptimizedRNNStack, 51 LogSoftmax,
53 CosDistance, 56 Pass, 58 Unpooling, 59 LambdaRank, 60 NDCG, 61 EditDistanceError, 63
LabelsToGraph, 66 ForwardBackward, 67 CosDistanceWithNegativeSamples, 73 Assign, 74 Gather, 76
RandomDistribution, 77 Sinh, 78 Cosh, 79 UnpackBatch, 80 ToBatch, 81 Asin, 82 Acos, 83 Pad, 84 Crop,
85 Atanh, 86 Asinh, 87 TopK, 89 ConstantOp, 90 LatticeSequenceWithSoftmax, 91 Cast, 92 EyeLikeOp, 93
CustomProxyOp, 94 StraightThrough, 95 Tan, 96 Atan, 97 ConvolutionSequenceShape"""


def name_of(code: int) -> str:
    """Return CNTK's name of an operation, also of one that the table lacks."""
    if code in BY_CODE:
        return BY_CODE[code].name
    others = dict(entry.split() for entry in " ".join(_OTHERS.split()).split(", "))
    return str(others.get(str(code), f"operation {code}"))
