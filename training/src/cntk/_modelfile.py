"""`.dnn` files: saving is a walk over the graph, loading builds it again.

Entries stand in the order in which CNTK 2.7 writes them, so a model that came from CNTK goes back
byte for byte as long as its graph is a chain; any other graph is written in an order that CNTK
reads as well.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from cntk._absent import refuse
from cntk._dictionary import Dictionary, NDShape, SizeT, decode, encode
from cntk._graph import BLOCK, Node, _creation, make, make_block, nodes
from cntk._operations import BY_CODE, COMBINE, name_of
from cntk.axis import BATCH
from cntk.variables import DTYPES, Constant, Kind, Parameter, Variable

_COMPOSITE_VERSION: Final = SizeT(3)
_VARIABLE_VERSION: Final = SizeT(1)
_PRIMITIVE_VERSION: Final = SizeT(24)
_TYPES: Final = {dtype: SizeT(number) for number, dtype in DTYPES.items()}
_T = TypeVar("_T")
_OUTPUT: Final = re.compile(r"(.+)_Output_(\d+)")


def to_bytes(outputs: Sequence[Variable], uid: str, name: str = "") -> bytes:
    """Return the file of the model that computes `outputs`.

    Args:
        outputs: Of one function, or several to be written as a combination.
        uid: Of the whole as a composite function.
        name: The combination's name; a single function's own name stands in its node.
    """
    if outputs[0]._node is not None and [*outputs] == _all_outputs(outputs[0]):
        root, extra = outputs[0]._node.uid, []
        name = name or outputs[0]._node.name
    else:
        root = f"Combine{_creation(uid)}"
        extra = [_primitive(root, COMBINE, name, [v.uid for v in outputs], {})]
    functions = [_function(node) for node in _in_order(outputs)]
    return encode(
        {
            "version": _COMPOSITE_VERSION,
            "type": "CompositeFunction",
            **({"name": name} if name else {}),
            "uid": uid,
            "root": root,
            "inputs": [_variable(v) for v in _leaves(outputs)],
            "primitive_functions": [*functions, *extra],
        }
    )


def from_bytes(
    data: bytes, user: Callable[[Dictionary, list[Variable]], tuple[Variable, ...]]
) -> tuple[list[Variable], str, str]:
    """Build the model that a file describes.

    Args:
        data: The whole file.
        user: Makes the outputs of a user's function of its entry and inputs.

    Returns:
        Its outputs, and the uid and name of the composite function.

    Raises:
        RuntimeError: The bytes are no such file; CNTK's own words.
        ValueError: Something that must be there is missing, or does not fit together.
        NotImplementedError: An operation is not provided by this package yet.
    """
    model = decode(data)
    found = _required(model, "type", str)
    if found != "CompositeFunction":
        message = f"The type '{found}' does not match the expected type 'CompositeFunction'."
        raise ValueError(message)
    entries = {_required(f, "uid", str): f for f in _dictionaries(model, "primitive_functions")}
    known: dict[str, Variable] = {}
    for entry in _dictionaries(model, "inputs"):
        uid = _required(entry, "uid", str)
        made_by = _OUTPUT.fullmatch(uid)
        # A forward reference: the function that makes it comes later in the file, and is built
        # before it is used.
        if made_by is None or made_by[1] not in entries:
            known[uid] = _read_variable(entry, uid)
    combined: dict[str, list[Variable]] = {}
    for entry in _sorted(entries, known):
        _read_function(entry, known, combined, user)
    root = _required(model, "root", str)
    outputs = combined.get(root) or _all_outputs(_look_up(f"{root}_Output_0", known))
    return outputs, _required(model, "uid", str), str(model.get("name", ""))


def _all_outputs(first: Variable) -> list[Variable]:
    return [first] if first._node is None else [*first._node.outputs]


# Writing.


def _in_order(outputs: Sequence[Variable]) -> list[Node]:
    """Return all nodes, those inside blocks too, each after what it needs."""
    ordered: dict[str, Node] = {}
    for node in nodes(outputs):
        if node.block is not None:
            ordered.update((inner.uid, inner) for inner in _in_order([node.block.root]))
        ordered[node.uid] = node
    return list(ordered.values())


def _leaves(outputs: Sequence[Variable]) -> list[Variable]:
    """Return the leaves, those inside blocks too, in the order in which CNTK meets them."""
    found: dict[Variable, None] = {v: None for v in outputs if v._node is None}
    seen: set[str] = set()
    stack = [v._node for v in reversed(outputs)]
    while stack:
        node = stack.pop()
        if node is None or node.uid in seen:
            continue
        seen.add(node.uid)
        found.update((v, None) for v in node.inputs if v._node is None)
        stack.extend(v._node for v in reversed(node.inputs))
        if node.block is not None:
            stack.append(node.block.root._node)
    return list(found)


def _variable(variable: Variable) -> Dictionary:
    """Return a leaf's entry; the order of its keys is the one in CNTK's files."""
    value = {"value": variable.value} if isinstance(variable, Parameter | Constant) else {}
    sparse: Dictionary = {"is_sparse": False}
    shape: Dictionary = {"shape": NDShape(reversed(variable.shape))}
    what: Dictionary = {
        "data_type": _TYPES[variable.dtype],
        "uid": variable.uid,
        "dynamic_axis": [BATCH] if variable._batched else [],
    }
    title: Dictionary = {"type": "Variable", **({"name": variable.name} if variable.name else {})}
    kind: Dictionary = {"kind": SizeT(variable.kind), "needs_gradient": variable.needs_gradient}
    if variable.name:
        parts = (
            [sparse, what, title, shape, value, kind]
            if value
            else [sparse, shape, what, title, kind]
        )
    else:
        parts = (
            [title, sparse, what, kind, shape, value]
            if value
            else [title, sparse, shape, what, kind]
        )
    entry: Dictionary = {"version": _VARIABLE_VERSION}
    for part in parts:
        entry.update(part)
    return entry


def _function(node: Node) -> Dictionary:
    inputs = [v.uid for v in node.inputs]
    if node.op.entry is not None:
        return node.op.entry(node)
    if node.block is None:
        return _primitive(node.uid, node.op.code, node.name, inputs, node.attributes)
    block = node.block
    assert block.root._node is not None
    name = block.root._node.name
    return {
        "version": _PRIMITIVE_VERSION,
        "block_function_composite_arguments_map_values": [
            outer.uid for _, outer in block.arguments
        ],
        **_named("PrimitiveFunction", node.uid, node.name),
        "inputs": inputs,
        "op": SizeT(BLOCK.code),
        "block_function_composite": _part(block.root._node.uid, name, block.uid),
        "block_function_composite_arguments_map_keys": [inner.uid for inner, _ in block.arguments],
        "attributes": node.attributes,
        "block_function_op_name": block.name,
    }


def _primitive(
    uid: str, code: int, name: str, inputs: list[str], attributes: Dictionary
) -> Dictionary:
    return {
        "version": _PRIMITIVE_VERSION,
        **_named("PrimitiveFunction", uid, name),
        "inputs": inputs,
        "op": SizeT(code),
        "attributes": attributes,
    }


def _named(kind: str, uid: str, name: str) -> Dictionary:
    return {"uid": uid, "type": kind, "name": name} if name else {"type": kind, "uid": uid}


def _part(root: str, name: str, uid: str) -> Dictionary:
    """Return the composite function that a block consists of."""
    head: Dictionary = {"version": _COMPOSITE_VERSION}
    if name:
        return {**head, "root": root, "type": "CompositeFunction", "name": name, "uid": uid}
    return {**head, "type": "CompositeFunction", "root": root, "uid": uid}


# Reading.


def _required(dictionary: Dictionary, key: str, kind: type[_T]) -> _T:
    if key not in dictionary:
        message = f"Required key '{key}' is not found in the dictionary."
        raise ValueError(message)
    value = dictionary[key]
    if not isinstance(value, kind):
        message = f"The key '{key}' holds a {type(value).__name__}, not a {kind.__name__}."
        raise ValueError(message)
    return value


def _dictionaries(dictionary: Dictionary, key: str) -> list[Dictionary]:
    entries = _required(dictionary, key, list)
    if not all(isinstance(entry, dict) for entry in entries):
        message = f"The key '{key}' holds something else than dictionaries."
        raise ValueError(message)
    return entries


def _read_variable(entry: Dictionary, uid: str) -> Variable:
    for key in ("version", "type", "is_sparse", "needs_gradient"):
        _required(entry, key, object)
    number = _required(entry, "kind", int)
    dtype = DTYPES.get(_required(entry, "data_type", int))
    axes = _required(entry, "dynamic_axis", list)
    shape = _required(entry, "shape", NDShape).python
    name = str(entry.get("name", ""))
    if dtype is None or entry["is_sparse"] or any(axis != BATCH for axis in axes):
        raise refuse(
            f"The model's input '{name or uid}' (sparse, a sequence, or of a type other than "
            "float and double)"
        )
    if number in (Kind.PARAMETER, Kind.CONSTANT):
        value: npt.NDArray[Any] = _required(entry, "value", np.ndarray)
        if value.shape != shape:
            message = f"The value of '{name or uid}' has the shape {value.shape}, not {shape}."
            raise ValueError(message)
        if number == Kind.PARAMETER:
            return Parameter(shape, value, dtype, name=name, _uid=uid)
        return Constant(value, shape, dtype, name=name, _uid=uid)
    if number not in (Kind.INPUT, Kind.PLACEHOLDER):
        message = f"The variable '{uid}' is of the unknown kind {number}."
        raise ValueError(message)
    return Variable(
        shape,
        dtype,
        kind=Kind(number),
        name=name,
        batched=bool(axes),
        needs_gradient=bool(entry["needs_gradient"]),
        uid=uid,
    )


def _references(entry: Dictionary) -> list[str]:
    """Return the uids of what must be built before a function."""
    inputs = _strings(entry, "inputs")
    inner = entry.get("block_function_composite")
    if isinstance(inner, dict):
        root = _required(inner, "root", str)
        return [
            *inputs,
            f"{root}_Output_0",
            *_strings(entry, "block_function_composite_arguments_map_values"),
        ]
    return inputs


def _strings(entry: Dictionary, key: str) -> list[str]:
    values = _required(entry, key, list)
    if not all(isinstance(value, str) for value in values):
        message = f"The key '{key}' holds something else than strings."
        raise ValueError(message)
    return values


def _sorted(entries: dict[str, Dictionary], known: dict[str, Variable]) -> Iterable[Dictionary]:
    """Return the functions, each after those it needs."""
    combined = {uid for uid, entry in entries.items() if entry.get("op") == COMBINE}
    done: dict[str, Dictionary] = {}
    open_now: set[str] = set()
    for start in entries:
        stack = [start]
        while stack:
            uid = stack[-1]
            if uid in done:
                stack.pop()
                continue
            open_now.add(uid)
            waiting = []
            for reference in _references(entries[uid]):
                made_by = _OUTPUT.fullmatch(reference)
                if (
                    made_by
                    and made_by[1] in entries
                    and made_by[1] not in combined
                    and made_by[1] not in done
                ):
                    waiting.append(made_by[1])
                elif reference not in known and not (made_by and made_by[1] in entries):
                    message = f"There are no inputs corresponding to input uid = '{reference}'."
                    raise RuntimeError(message)
            if not waiting:
                done[uid] = entries[uid]
                open_now.discard(uid)
                stack.pop()
            elif open_now.intersection(waiting):
                raise refuse("A model with a loop (recurrence)")
            else:
                stack.extend(waiting)
    return done.values()


def _look_up(uid: str, known: dict[str, Variable]) -> Variable:
    if uid not in known:
        message = f"There are no inputs corresponding to input uid = '{uid}'."
        raise RuntimeError(message)
    return known[uid]


def _read_function(
    entry: Dictionary,
    known: dict[str, Variable],
    combined: dict[str, list[Variable]],
    user: Callable[[Dictionary, list[Variable]], tuple[Variable, ...]],
) -> None:
    """Build one function and add its output to `known`."""
    for key in ("version", "type"):
        _required(entry, key, object)
    uid = _required(entry, "uid", str)
    inputs = [_look_up(reference, known) for reference in _strings(entry, "inputs")]
    if entry["type"] == "UserDefinedFunction":
        outputs = user(entry, inputs)
        known.update((f"{uid}_Output_{i}", v) for i, v in enumerate(outputs))
        return
    code = _required(entry, "op", int)
    attributes = _required(entry, "attributes", dict)
    name = str(entry.get("name", ""))
    if not inputs and not ("newShape" in attributes and name_of(code) == "RandomDistribution"):
        message = f"The function '{uid}' has no inputs."
        raise ValueError(message)
    if code == COMBINE:
        combined[uid] = inputs
        return
    if code not in BY_CODE:
        raise refuse(f"The operation {name_of(code)} of the model")
    if code == BLOCK.code:
        outputs = _read_block(entry, uid, name, attributes, known)
    else:
        for key in BY_CODE[code].attributes:
            _required(attributes, key, object)
        try:
            outputs = make(BY_CODE[code], inputs, attributes, name, uid)
        except (TypeError, AttributeError, LookupError, ArithmeticError) as error:
            message = (
                f"The function '{uid}' has operands or attributes that {name_of(code)} cannot have."
            )
            raise ValueError(message) from error
    known.update((f"{uid}_Output_{i}", v) for i, v in enumerate(outputs))


def _read_block(
    entry: Dictionary, uid: str, name: str, attributes: Dictionary, known: dict[str, Variable]
) -> tuple[Variable, ...]:
    inner = _required(entry, "block_function_composite", dict)
    keys = _strings(entry, "block_function_composite_arguments_map_keys")
    values = _strings(entry, "block_function_composite_arguments_map_values")
    if len(keys) != len(values):
        message = f"The block '{uid}' has {len(keys)} arguments and {len(values)} values for them."
        raise ValueError(message)
    pairs = [
        (_look_up(key, known), _look_up(value, known))
        for key, value in zip(keys, values, strict=True)
    ]
    root = f"{_required(inner, 'root', str)}_Output_0"
    if root not in known and root.startswith("Combine"):
        raise refuse(f"The block '{uid}' with several outputs")
    if any(not placeholder.is_placeholder for placeholder, _ in pairs):
        message = f"The block '{uid}' has an argument that is no placeholder."
        raise ValueError(message)
    return make_block(
        _required(entry, "block_function_op_name", str),
        _look_up(root, known),
        pairs,
        name,
        uid,
        _required(inner, "uid", str),
        attributes,
    )
