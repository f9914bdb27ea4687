"""Where a picture must be cropped to lie over another one made from the same picture.

Each operation between a picture and its ancestor maps a place x to a * x + b there: a convolution
or pooling of kernel k, stride s and p cells of padding on the left has a = s and
b = (k - 1) // 2 - p, a transposed one the inverse; operations on each cell change nothing.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from cntk._absent import refuse
from cntk._dictionary import Dictionary
from cntk.variables import Variable

_Map = tuple[Fraction, Fraction]


def crop_offsets(operands: Sequence[Variable]) -> tuple[int, int]:
    """Return the first column and row of the first operand that lie over the second one's.

    Args:
        operands: What is cropped and what it must match; perhaps two ancestors of them that count
            as the same picture.

    Raises:
        RuntimeError: They have no common ancestor, or do not fit together.
    """
    cropped, matched = (dict(_ancestors(v)) for v in operands[:2])
    if len(operands) == 4:
        ends = (operands[2], operands[3])
    else:
        common = next((v for v in cropped if v in matched), None)
        if common is None:
            message = "Crop: the operands have no common ancestor: give the offsets."
            raise RuntimeError(message)
        ends = (common, common)
    if ends[0] not in cropped or ends[1] not in matched:
        message = f"Crop: {ends[0]!r} or {ends[1]!r} is no ancestor of its operand."
        raise RuntimeError(message)
    offsets = []
    for (a, b), (c, d) in zip(cropped[ends[0]], matched[ends[1]], strict=True):
        cells = (d - b) / a
        if a != c or cells.denominator != 1:
            message = "Crop: the operands' scales differ, or their offset is no whole number."
            raise RuntimeError(message)
        offsets.append(int(cells))
    return offsets[0], offsets[1]


def _ancestors(variable: Variable) -> Iterator[tuple[Variable, tuple[_Map, _Map]]]:
    """Yield what a picture is made of, nearest first, with the maps of columns and rows to it."""
    identity = (Fraction(1), Fraction(0))
    waiting: list[tuple[Variable, tuple[_Map, _Map]]] = [(variable, (identity, identity))]
    seen: set[Variable] = set()
    stands_for: dict[Variable, Variable] = {}
    while waiting:
        picture, maps = waiting.pop(0)
        if picture in seen:
            continue
        seen.add(picture)
        yield picture, maps
        node = picture._node
        if node is None:
            if picture in stands_for:
                waiting.append((stands_for[picture], maps))
            continue
        if node.block is not None:
            stands_for.update(node.block.arguments)
            waiting.append((node.block.root, maps))
            continue
        for operand in node.inputs:
            if len(operand.shape) == len(picture.shape) and not operand.is_parameter:
                own = [_step(node.op.name, node.attributes, node.inputs, i) for i in (0, 1)]
                steps = [(a * c, a * d + b) for (a, b), (c, d) in zip(own, maps, strict=True)]
                waiting.append((operand, (steps[0], steps[1])))


def _step(op: str, attributes: Dictionary, operands: Sequence[Variable], axis: int) -> _Map:
    """Return the map along the last (0) or last but one (1) axis that one operation makes."""
    if op == "Crop":
        offset = attributes.get("offset") or crop_offsets(operands)
        return Fraction(1), Fraction(int(offset[axis]))
    if op not in ("Convolution", "Pooling"):
        return Fraction(1), Fraction(0)
    kernels = attributes["kernelShape" if op == "Convolution" else "poolingWindowShape"]
    if axis >= len(kernels) - (op == "Convolution"):
        return Fraction(1), Fraction(0)
    if any(d != 1 for d in attributes.get("dilation", ())):
        raise refuse("An automatic crop across a dilated convolution")
    lists = (attributes[key] for key in ("strides", "autoPadding", "lowerPad"))
    stride, padded, low = (values[min(axis, len(values) - 1)] for values in lists)
    left = (kernels[axis] - 1) // 2 if padded else low
    a, b = Fraction(int(stride)), Fraction((int(kernels[axis]) - 1) // 2 - int(left))
    return (1 / a, -b / a) if attributes.get("transpose") else (a, b)
