"""The table of operations: found by name to build a graph, and by code to read a file."""

from typing import Final

from cntk import (
    _criteria,
    _elementwise,
    _normalize,
    _rearrange,
    _regions,
    _sampling,
    _select,
    _spatial,
)
from cntk._graph import BLOCK, Operation

_ROWS: Final = (
    *_elementwise.ROWS,
    *_rearrange.ROWS,
    *_select.ROWS,
    *_spatial.ROWS,
    *_regions.ROWS,
    *_normalize.ROWS,
    *_sampling.ROWS,
    *_criteria.ROWS,
    BLOCK,
)
BY_NAME: Final[dict[str, Operation]] = {row.name: row for row in _ROWS}
BY_CODE: Final[dict[int, Operation]] = {row.code: row for row in _ROWS}
COMBINE: Final = 44
"""A file's code for several outputs together; in a graph they are no node of their own."""

_OTHERS: Final = """
13 Where, 18 SumAll, 28 PackedIndex, 29 GatherPacked, 30 ScatterPacked, 37 PastValue, 38
FutureValue, 49 OptimizedRNNStack, 50 ReconcileDynamicAxis, 56 Pass, 61 EditDistanceError, 63
LabelsToGraph, 66 ForwardBackward, 70 ToSequence, 71 ToSequenceLike, 72 UnpackSequence, 90
LatticeSequenceWithSoftmax, 93 CustomProxyOp, 97 ConvolutionSequenceShape"""


def name_of(code: int) -> str:
    """Return CNTK's name of an operation, also of one that the table lacks."""
    if code in BY_CODE:
        return BY_CODE[code].name
    others = dict(entry.split() for entry in " ".join(_OTHERS.split()).split(", "))
    return str(others.get(str(code), f"operation {code}"))
