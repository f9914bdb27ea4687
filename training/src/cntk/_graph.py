"""The graph: nodes, their variables, and the walks over them.

A node is an operation with inputs and attributes. A node changes once only: when a placeholder
among its inputs is resolved (see `_substitution`), which may close a loop. Shapes follow as nodes
are built. A block is a node that names a part of the graph: the part hangs from placeholders that
stand for the block's inputs.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from cntk._dictionary import Dictionary
from cntk.axis import Axes, text_of
from cntk.variables import InferredDimension, Kind, Shape, Variable, _next_uid, _type_name

Bound = Callable[..., Any]


def joint_axes(name: str, _attributes: Dictionary, operands: Sequence[Variable]) -> Axes | None:
    """Return the dynamic axes that the operands have in common: what has none goes with all.

    Args:
        name: The operation's, for the message.
        _attributes: Of the node.
        operands: Those whose axes are unknown do not count.

    Raises:
        RuntimeError: Two operands have different axes.
    """
    found: Axes | None = None
    for v in operands:
        if v._axes is None or (found and not v._axes):
            continue
        if found and v._axes != found:
            message = (
                f"Operation '{name}': Operand '{v!r}' has dynamic axes, that do not match the "
                f"dynamic axes '{text_of(found)}' of the other operands."
            )
            raise RuntimeError(message)
        found = v._axes
    return found if found or all(v._axes is not None for v in operands) else None


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
        axes: The name, attributes and operands to the dynamic axes of the result; None while they
            are unknown.
        more: Attributes and operands to the shapes of further outputs; what `bind` returns gives a
            tuple then.
        along: The operand along whose sequences the result lies, for an operation that needs to
            know which rows are whose: what `bind` returns takes all operands' layouts first. -1: it
            makes a layout of its own and returns it behind the result.
        takes_sparse: What `bind` returns takes operands whose zeros are left out; for any other
            operation they are filled in first.
        keeps_sparse: Then the result is of the first operand's kind.
        lenient: In a loop the shape may follow from the operands that are known already.
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
    along: int | None = None
    takes_sparse: bool = False
    keeps_sparse: bool = False
    lenient: bool = False


@final
@dataclass(frozen=True, slots=True)
class Block:
    """A named part of a graph.

    Args:
        name: The layer's or compound operation's name.
        roots: The part's outputs.
        arguments: Pairs of a placeholder inside and the variable outside that it stands for.
        uid: Of the part as a composite function.
        combination: The uid of the combination of several roots; empty for one root alone.
    """

    name: str
    roots: tuple[Variable, ...]
    arguments: tuple[tuple[Variable, Variable], ...]
    uid: str
    combination: str = ""


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
        RuntimeError: Their dynamic axes do not.
    """
    types = {v.dtype for v in inputs if v._shape is not None}
    if len(types) > 1:
        texts = ", ".join(map(repr, inputs))
        names = " and ".join(f"'{_type_name(v.dtype)}'" for v in inputs)
        message = (
            f"Primitive op '{op.name}' passed operands '{texts}' with different DataTypes {names}."
        )
        raise ValueError(message)
    node = Node(op, inputs, dict(attributes or {}), name, uid or _next_uid(op.name), None)
    count = 1
    if op.more is not None:
        count += len(op.more(node.attributes, inputs))
    return _give_outputs(node, count)


def make_block(
    name: str,
    roots: Variable | Sequence[Variable],
    arguments: Sequence[tuple[Variable, Variable]],
    user_name: str = "",
    uid: str = "",
    composite_uid: str = "",
    attributes: Dictionary | None = None,
    combination: str = "",
) -> tuple[Variable, ...]:
    """Name the part of a graph above `roots` and return the block's outputs.

    Args:
        name: The layer's or compound operation's name.
        roots: The part's output, or several.
        arguments: Pairs of a placeholder inside and the variable that it stands for.
        user_name: What the user calls the block.
        uid: Of a block that came from a file.
        composite_uid: Of its part, likewise.
        attributes: What the file keeps with it.
        combination: The uid of the combination of the roots, likewise.
    """
    roots = (roots,) if isinstance(roots, Variable) else tuple(roots)
    inner = {placeholder for placeholder, _ in arguments}
    captured = [v for v in leaves(roots) if v not in inner]
    if (len(roots) > 1 or roots[0]._node is None) and not combination:
        combination = _next_uid("Combine")
    block = Block(
        name,
        roots,
        tuple(arguments),
        composite_uid or _next_uid("CompositeFunction"),
        combination,
    )
    inputs = [*captured, *(outer for _, outer in arguments)]
    node = Node(BLOCK, inputs, dict(attributes or {}), user_name, uid or _next_uid("Block"), block)
    return _give_outputs(node, len(roots))


def _give_outputs(node: Node, count: int) -> tuple[Variable, ...]:
    for i in range(count):
        output = Variable(
            None,
            node.inputs[0].dtype,
            kind=Kind.OUTPUT,
            name=node.name,
            axes=None,
            needs_gradient=any(v.needs_gradient for v in node.inputs),
            uid=f"{node.uid}_Output_{i}",
        )
        output._node = node
        node.outputs += (output,)
    follow(node)
    return node.outputs


def placeholder_like(variable: Variable) -> Variable:
    """Return a placeholder that knows what `variable` knows."""
    made = Variable(
        variable._shape,
        variable.dtype,
        kind=Kind.PLACEHOLDER,
        name=variable.name,
        axes=variable._axes,
        needs_gradient=variable.needs_gradient and variable._shape is None,
        is_sparse=variable.is_sparse,
    )
    made._source = variable
    return made


def behind(variable: Variable) -> Variable:
    """Return the primitive operation's output or the leaf that a variable really is."""
    while True:
        if variable._source is not None:
            variable = variable._source
        elif variable._node is not None and variable._node.block is not None:
            outputs = variable._node.outputs
            variable = variable._node.block.roots[outputs.index(variable)]
        else:
            return variable


def follow(node: Node, guess: int = 0) -> bool:
    """Let a node's outputs follow from its inputs; return whether anything became known or changed.

    Args:
        node: Whose outputs.
        guess: Whether a shape may follow from some of the operands: 0 no, 1 from those of more than
            one element, which no broadcasting makes greater, 2 from any.
    """
    known: list[tuple[Shape | None, Axes | None]]
    if node.block is not None:
        known = [(v._shape, v._axes) for v in node.block.roots]
    else:
        op, operands = node.op, node.inputs
        axes = op.axes(op.name, node.attributes, operands)
        shapes: tuple[Shape | None, ...] = (None,) * len(node.outputs)
        if all(v._shape is not None for v in operands):
            node.attributes = op.settle(node.attributes, operands)
            more = () if op.more is None else op.more(node.attributes, operands)
            shapes = (op.shape(node.attributes, operands), *more)
            axes = op.axes(op.name, node.attributes, operands)
        elif guess and op.lenient and node.outputs[0]._shape is None:
            known_operands = [v for v in operands if v._shape is not None]
            telling = [v for v in known_operands if guess > 1 or math.prod(v.shape) != 1]
            if telling:
                shapes = (op.shape(node.attributes, telling),)
        elif guess:
            shapes = tuple(v._shape for v in node.outputs)
        known = [(shape, axes) for shape in shapes]
    changed = False
    for output, (shape, axes) in zip(node.outputs, known, strict=True):
        if (output._shape, output._axes) != (shape, axes):
            output._shape, output._axes = shape, axes
            changed = True
    return changed


def nodes(outputs: Sequence[Variable], stop: Collection[Variable] = ()) -> list[Node]:
    """Return the nodes that make `outputs`, each after those it needs; a block is one node.

    In a loop one node must come before one that it needs.

    Args:
        outputs: What is wanted.
        stop: Variables that are not looked behind.
    """
    done: dict[str, Node] = {}
    entered: set[str] = set()
    stack = [(v._node, False) for v in reversed(outputs) if v not in stop]
    while stack:
        node, expanded = stack.pop()
        if node is None:
            continue
        if expanded:
            done[node.uid] = node
        elif node.uid not in entered:
            entered.add(node.uid)
            stack.append((node, True))
            stack.extend((v._node, False) for v in reversed(node.inputs) if v not in stop)
    return list(done.values())


def leaves(outputs: Sequence[Variable]) -> list[Variable]:
    """Return the leaves above `outputs`, in the order in which operands are written."""
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
            stack.extend(reversed(node.inputs))
    return list(found)


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
