"""Operations that pick, mark, add or rearrange cells, and those that name parts of a graph."""

from collections.abc import Sequence
from typing import Any

from cntk._absent import refuse
from cntk._dictionary import SizeT
from cntk._graph import make_block, rebuild
from cntk._select import CONSTANT_PAD
from cntk.axis import to_file
from cntk.ops._building import _compound, _node
from cntk.ops._shapes import reshape, swapaxes, transpose
from cntk.ops.functions import Function, as_variable
from cntk.variables import Variable


def top_k(x: Any, k: int, axis: Any = -1, name: str = "") -> Function:
    """Return the `k` greatest values along an axis, greatest first, and their positions."""
    attributes = {"axis": to_file(-1), "numItems": SizeT(k)}
    if axis == -1:
        return _node("TopK", [x], attributes, name)
    # CNTK's operation itself knows the last axis only.
    values, places = _node("TopK", [swapaxes(x, axis, -1)], attributes).outputs
    return combine(swapaxes(values, axis, -1), swapaxes(places, axis, -1), name=name)


def gather(reference: Any, indices: Any, axis: Any = None, name: str = "") -> Function:
    """Return the parts of `reference` that `indices` count along an axis, by default the first.

    Args:
        reference: Shape (n, ...), without a batch axis.
        indices: Whole numbers from 0 to n - 1, any shape; it stands in the place of the axis.
        axis: Of `reference`.
        name: Of the function.
    """
    if axis is None:
        return _node("Gather", [indices, reference], None, name)

    def build(places: Variable, whole: Variable) -> Function:
        return swapaxes(_node("Gather", [places, swapaxes(whole, axis, 0)]), axis, 0)

    return _compound("GatherOp", build, [indices, reference], name, {"axis": to_file(axis)})


def one_hot(
    x: Any, num_classes: int, sparse_output: bool = False, axis: Any = -1, name: str = ""
) -> Function:
    """Return 1 at the place that each element of x counts, 0 elsewhere and for what is no class.

    Args:
        x: Whole numbers from 0 to `num_classes` - 1.
        num_classes: The length of the new axis.
        sparse_output: Kept in files; the values here are dense.
        axis: Where the new axis stands in the result.
        name: Of the function.
    """
    attributes = {
        "numClass": SizeT(num_classes),
        "oneHotOutputSparse": bool(sparse_output),
        "onehotAxis": to_file(axis),
    }
    return _node("OneHotOp", [x], attributes, name)


def pad(
    x: Any,
    pattern: Sequence[Sequence[int]],
    mode: int = CONSTANT_PAD,
    constant_value: float = 0,
    name: str = "",
) -> Function:
    """Add cells around x.

    Args:
        x: The operand.
        pattern: For each axis how many cells in front and behind.
        mode: `CONSTANT_PAD`, `REFLECT_PAD` (without the edge itself) or `SYMMETRIC_PAD`.
        constant_value: What constant padding consists of.
        name: Of the function.
    """
    if any(len(pair) != 2 for pair in pattern):
        message = "padding pattern should be a integer list with shape [n, 2]"
        raise ValueError(message)
    attributes = {
        "paddingHead": [SizeT(head) for head, _ in reversed(pattern)],
        "paddingFoot": [SizeT(foot) for _, foot in reversed(pattern)],
        "paddingMode": SizeT(mode),
        "paddingConstantValue": float(constant_value),
    }
    return _node("Pad", [x], attributes, name)


def crop_manual(
    node_input: Any, node_referent: Any, offset_x: int, offset_y: int, name: str = ""
) -> Function:
    """Return the last two axes cut to the size of another operand's.

    Args:
        node_input: What is cropped.
        node_referent: Whose height and width count.
        offset_x: The first column.
        offset_y: The first row.
        name: Of the function.
    """
    attributes = {"offset": [SizeT(offset_x), SizeT(offset_y)]}
    return _node("Crop", [node_input, node_referent], attributes, name)


def crop_automatic(node_input: Any, node_referent: Any, name: str = "") -> Function:
    """Crop as `crop_manual`, from where both lie over each other in what they are made of."""
    return _node("Crop", [node_input, node_referent], None, name)


def crop_automatic_with_ancestors(
    node_input: Any, node_referent: Any, ancestor_input: Any, ancestor_referent: Any, name: str = ""
) -> Function:
    """Crop as `crop_automatic`, with two ancestors that count as the same."""
    operands = [node_input, node_referent, ancestor_input, ancestor_referent]
    return _node("Crop", operands, None, name)


def unpack_batch(x: Any, name: str = "") -> Function:
    """Return all samples as one tensor, shape (samples,) + shape, without a batch axis."""
    return _node("UnpackBatchAxis", [x], None, name)


def to_batch(x: Any, name: str = "") -> Function:
    """Return what stands along the first axis of x as samples."""
    return _node("ToBatchAxis", [x], None, name)


def depth_to_space(operand: Any, block_size: float, name: str = "") -> Function:
    """Return blocks of pixels instead of channels: (C, H, W) to (C / b^2, H * b, W * b)."""
    b = _whole(block_size)
    channels = as_variable(operand).shape[0]
    if channels % (b * b):
        message = (
            f"DepthToSpace: Number of channels in the operand ({channels}) must be divisible by "
            f"(blocksize x blocksize), i.e., ({b} x {b})."
        )
        raise RuntimeError(message)

    def build(x: Variable) -> Function:
        blocks = transpose(reshape(x, (b, b, -1), 0, 1), (2, 3, 0, 4, 1))
        return reshape(reshape(blocks, (-1,), 1, 3), (-1,), 2, 4)

    return _compound("DepthToSpace", build, [operand], name, {"blockSize": SizeT(b)})


def space_to_depth(operand: Any, block_size: float, name: str = "") -> Function:
    """Return channels instead of blocks of pixels: (C, H, W) to (C * b^2, H / b, W / b)."""
    b = _whole(block_size)
    width, height = as_variable(operand).shape[:0:-1]
    if width % b or height % b:
        message = (
            f"SpaceToDepth: All spatial dimensions in the operand ({width} x {height}) must be "
            f"divisible by blocksize ({b})."
        )
        raise RuntimeError(message)

    def build(x: Variable) -> Function:
        cut = reshape(reshape(x, (-1, b), 2, 3), (-1, b), 1, 2)
        return reshape(transpose(cut, (2, 4, 0, 1, 3)), (-1,), 0, 3)

    return _compound("SpaceToDepth", build, [operand], name, {"blockSize": SizeT(b)})


def _whole(block_size: float) -> int:
    if not float(block_size).is_integer():
        message = "block_size must be an integer."
        raise ValueError(message)
    return int(block_size)


def combine(*operands: Any, name: str = "") -> Function:
    """Return one function with the outputs of all operands, or of a list of them."""
    listed = (
        operands[0] if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
    )
    outputs = [
        v
        for part in listed
        for v in (part.outputs if isinstance(part, Function) else [as_variable(part)])
    ]
    return Function._of(tuple(outputs), name=name)


def as_composite(root_function: Function, name: str = "") -> Function:
    """Return the function itself."""
    return Function(root_function, name)


def as_block(
    composite: Function,
    block_arguments_map: Sequence[tuple[Any, Any]],
    block_op_name: str,
    block_instance_name: str = "",
) -> Function:
    """Return a function as one that stands for itself: a layer.

    Args:
        composite: A function with one output.
        block_arguments_map: Pairs of a placeholder inside and what stands for it outside.
        block_op_name: What kind of function it is, as it prints.
        block_instance_name: The user's name for it.
    """
    if len(composite.outputs) != 1:
        raise refuse("as_block of a function with several outputs")
    pairs = [(as_variable(inner), as_variable(outer)) for inner, outer in block_arguments_map]
    inside = {
        inner: Variable(
            outer._shape, outer.dtype, kind=inner.kind, name=inner.name, batched=outer._batched
        )
        for inner, outer in pairs
    }
    (root,) = rebuild(composite.outputs, inside)
    arguments = [(inside[inner], outer) for inner, outer in pairs]
    return Function._of(make_block(block_op_name, root, arguments, block_instance_name))
