"""The graph: nodes, their variables, and the walks over them.

A node is an operation with inputs and attributes. Nodes never change; giving a graph other inputs
builds other nodes, and shapes follow as they are built. A block is a node that names a part of the
graph: the part hangs from placeholders that stand for the block's inputs.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch

from cntk._dictionary import Dictionary
from cntk.axis import BATCH, Axes
from cntk.variables import InferredDimension, Kind, Shape, Variable, _next_uid, _type_name

_TRAILING_DIGITS: Final = re.compile("[0-9]+$")
_PRODUCTS: Final = ("Times", "TransposeTimes")
Bound = Callable[..., torch.Tensor]


def joint_axes(_name: str, _attributes: Dictionary, operands: Sequence[Variable]) -> Axes | None:
    """Return the batch axis if any operand has it."""
    return (BATCH,) if any(v._batched for v in operands) else ()


@final
@dataclass(frozen=True, slots=True)
class Operation:
    """A row of the table of operations.

    Args:
        code: Its number in CNTK's files.
        name: CNTK's name, also the beginning of its nodes' uids.
        shape: Attributes and operands to the shape of one sample of the result; every operand's
            shape is known.
        bind: A node, and whether it is for training, to the function that computes its output. The
            operands come as tensors of shape (batch,) + shape, or shape alone for what is the same
            for all samples.
        settle: Attributes and operands to attributes in the form that files have.
        attributes: The names that a file must have, beyond those it can do without.
        axes: The name, attributes and operands to the dynamic axes of the result.
        more: Attributes and operands to the shapes of further outputs; what `bind` returns gives a
            tuple then.
        dtype: The type of the result.
        after: What happens to the operands when all else is computed.
        remake: Other operands to the outputs of a new node, for what cannot be made of attributes.
        entry: A node to its entry in a file, for what is no primitive there.
    """

    code: int
    name: str
    shape: Callable[[Dictionary, Sequence[Variable]], Shape]
    bind: Callable[["Node", bool], Bound]
    settle: Callable[[Dictionary, Sequence[Variable]], Dictionary] = lambda attributes, _operands: (
        attributes
    )
    attributes: tuple[str, ...] = ()
    axes: Callable[[str, Dictionary, Sequence[Variable]], Axes | None] = joint_axes
    more: Callable[[Dictionary, Sequence[Variable]], tuple[Shape, ...]] | None = None
    dtype: Callable[[Dictionary, Sequence[Variable]], "np.dtype[Any]"] = (
        lambda _attributes, operands: operands[0].dtype
    )
    after: Callable[..., None] | None = None
    remake: Callable[[Sequence[Variable]], tuple[Variable, ...]] | None = None
    entry: Callable[["Node"], Dictionary] | None = None


@final
@dataclass(frozen=True, slots=True)
class Block:
    """A named part of a graph.

    Args:
        name: The layer's or compound operation's name.
        root: The part's output.
        arguments: Pairs of a placeholder inside and the variable outside that it stands for.
        uid: Of the part as a composite function.
    """

    name: str
    root: Variable
    arguments: tuple[tuple[Variable, Variable], ...]
    uid: str


@final
class Node:
    """One operation on variables; use `make` or `make_block`.

    Args:
        op: The row of the table.
        inputs: Operands in the files' order, which is the reverse of Python's for matrix products.
        attributes: As files have them.
        name: A user's name for it.
        uid: Unique in the process.
        block: What it consists of, for a block.
        state: What the operation keeps from one minibatch to the next.
    """

    __slots__ = ("attributes", "block", "inputs", "name", "op", "outputs", "state", "uid")

    def __init__(
        self,
        op: Operation,
        inputs: Sequence[Variable],
        attributes: Dictionary,
        name: str,
        uid: str,
        block: Block | None,
    ) -> None:
        self.op = op
        self.inputs = tuple(inputs)
        self.attributes = attributes
        self.name = name
        self.uid = uid
        self.block = block
        self.state: dict[str, Any] = {}
        self.outputs: tuple[Variable, ...] = ()


def make(
    op: Operation,
    inputs: Sequence[Variable],
    attributes: Dictionary | None = None,
    name: str = "",
    uid: str = "",
) -> tuple[Variable, ...]:
    """Build a node and return its outputs.

    Args:
        op: The row of the table.
        inputs: Operands in the files' order.
        attributes: Of the node.
        name: A user's name.
        uid: Of a node that came from a file.

    Raises:
        ValueError: The operands' types or shapes do not go together.
    """
    types = {v.dtype for v in inputs if not (v.is_placeholder and v._shape is None)}
    if len(types) > 1:
        texts = ", ".join(map(repr, inputs))
        names = " and ".join(f"'{_type_name(v.dtype)}'" for v in inputs)
        message = (
            f"Primitive op '{op.name}' passed operands '{texts}' with different DataTypes {names}."
        )
        raise ValueError(message)
    attributes = dict(attributes or {})
    shape: Shape | None = None
    if all(v._shape is not None for v in inputs):
        attributes = op.settle(attributes, inputs)
        shape = op.shape(attributes, inputs)
    node = Node(op, inputs, attributes, name, uid or _next_uid(op.name), None)
    more = () if op.more is None else op.more(attributes, inputs)
    return _give_outputs(node, [shape, *(None if shape is None else m for m in more)])


def make_block(
    name: str,
    root: Variable,
    arguments: Sequence[tuple[Variable, Variable]],
    user_name: str = "",
    uid: str = "",
    composite_uid: str = "",
    attributes: Dictionary | None = None,
) -> tuple[Variable, ...]:
    """Name the part of a graph above `root` and return the block's outputs.

    Args:
        name: The layer's or compound operation's name.
        root: The part's output.
        arguments: Pairs of a placeholder inside and the variable that it stands for.
        user_name: What the user calls the block.
        uid: Of a block that came from a file.
        composite_uid: Of its part, likewise.
        attributes: What the file keeps with it.
    """
    inner = {placeholder for placeholder, _ in arguments}
    captured = [v for v in leaves([root]) if v not in inner]
    captured.sort(key=lambda v: _creation(v.uid))
    block = Block(name, root, tuple(arguments), composite_uid or _next_uid("CompositeFunction"))
    inputs = [*captured, *(outer for _, outer in arguments)]
    return _give_outputs(
        Node(BLOCK, inputs, dict(attributes or {}), user_name, uid or _next_uid("Block"), block),
        [root._shape],
    )


def _creation(uid: str) -> int:
    """Return the number in the uid: variables are numbered as they are created."""
    digits = _TRAILING_DIGITS.search(uid)
    return int(digits[0]) if digits else 0


def _give_outputs(node: Node, shapes: Sequence[Shape | None]) -> tuple[Variable, ...]:
    if node.block is None:
        dtype = node.op.dtype(node.attributes, node.inputs)
        batched = bool(node.op.axes(node.op.name, node.attributes, node.inputs))
    else:
        dtype, batched = node.block.root.dtype, node.block.root._batched
    outputs = [
        Variable(
            shape,
            dtype,
            kind=Kind.OUTPUT,
            name=node.name,
            batched=batched,
            needs_gradient=any(v.needs_gradient for v in node.inputs),
            uid=f"{node.uid}_Output_{i}",
        )
        for i, shape in enumerate(shapes)
    ]
    for output in outputs:
        output._node = node
    node.outputs = tuple(outputs)
    return node.outputs


def placeholder_like(variable: Variable) -> Variable:
    """Return a placeholder that knows what `variable` knows."""
    return Variable(
        variable._shape,
        variable.dtype,
        kind=Kind.PLACEHOLDER,
        batched=variable._batched,
        needs_gradient=variable.needs_gradient and variable._shape is None,
    )


def nodes(outputs: Sequence[Variable]) -> list[Node]:
    """Return the nodes that make `outputs`, each after those it needs; a block is one node."""
    done: dict[str, Node] = {}
    stack = [(v._node, False) for v in reversed(outputs)]
    while stack:
        node, expanded = stack.pop()
        if node is None or node.uid in done:
            continue
        if expanded:
            done[node.uid] = node
        else:
            stack.append((node, True))
            stack.extend((v._node, False) for v in reversed(node.inputs))
    return list(done.values())


def python_inputs(node: Node) -> tuple[Variable, ...]:
    """Return a node's inputs in Python's order; files have a product's the other way round."""
    return node.inputs[::-1] if node.op.name in _PRODUCTS else node.inputs


def leaves(outputs: Sequence[Variable]) -> list[Variable]:
    """Return the leaves above `outputs` in the order of Python's operands, depth first."""
    found: dict[Variable, None] = {}
    seen: set[str] = set()
    stack = list(reversed(outputs))
    while stack:
        variable = stack.pop()
        node = variable._node
        if node is None:
            found[variable] = None
        elif node.uid not in seen:
            seen.add(node.uid)
            stack.extend(reversed(python_inputs(node)))
    return list(found)


def rebuild(outputs: Sequence[Variable], replaced: Mapping[Variable, Variable]) -> list[Variable]:
    """Build the graph above `outputs` anew with other leaves.

    Args:
        outputs: What is wanted again.
        replaced: Old variable to new one; all other leaves are shared with the old graph.

    Returns:
        The new outputs, in the order of `outputs`.
    """
    now = dict(replaced)
    waiting = [v for v in outputs if v not in now]
    for node in nodes(waiting):
        if node.outputs[0] in now:
            continue
        inputs = [now.get(v, v) for v in node.inputs]
        if node.op.remake is not None:
            made = node.op.remake(inputs)
        elif node.block is None:
            made = make(node.op, inputs, node.attributes, node.name)
        else:
            pairs = [
                (placeholder_like(now.get(outer, outer)), now.get(outer, outer))
                for _, outer in node.block.arguments
            ]
            inner = {
                old: new for (old, _), (new, _) in zip(node.block.arguments, pairs, strict=True)
            }
            inner.update((v, now[v]) for v in node.inputs if v in now)
            (root,) = rebuild([node.block.root], inner)
            made = make_block(node.block.name, root, pairs, node.name, attributes=node.attributes)
        now.update(zip(node.outputs, made, strict=True))
    return [now.get(v, v) for v in outputs]


def _block_runs_its_part(_node: Node, _training: bool) -> Bound:
    message = "A block is computed by the nodes of its part."
    raise AssertionError(message)


BLOCK: Final = Operation(
    57, "Block", lambda _attributes, operands: operands[0].shape, _block_runs_its_part
)


def infer_dimensions(variable: Variable, shape: Shape) -> None:
    """Settle the open dimensions of a parameter or constant."""
    if InferredDimension in variable.shape:
        variable._infer(shape)
