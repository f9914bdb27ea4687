"""`.dnn` files: saving is a walk over the graph, loading builds it again.

Entries stand in the order in which CNTK 2.7 writes them, so a model that came from CNTK goes back
byte for byte as long as its graph is a chain; any other graph is written in an order that CNTK
reads as well. Where a function needs an output that is made further down, as in a loop, a
placeholder with that output's uid stands among the inputs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, final

import numpy as np
import numpy.typing as npt

from cntk._absent import refuse
from cntk._dictionary import Dictionary, FileAxis, NDShape, SizeT, decode, encode
from cntk._graph import BLOCK, Node, make, make_block, nodes
from cntk._operations import BY_CODE, COMBINE, name_of
from cntk._substitution import close, settle
from cntk.axis import Axes
from cntk.variables import Constant, Kind, Parameter, Variable

_COMPOSITE_VERSION: Final = SizeT(3)
_VARIABLE_VERSION: Final = SizeT(1)
_PRIMITIVE_VERSION: Final = SizeT(24)
_TYPES: Final = {np.dtype(np.float32): SizeT(1), np.dtype(np.float64): SizeT(2)}
_DTYPES: Final[dict[int, "np.dtype[Any]"]] = {1: np.dtype(np.float32), 2: np.dtype(np.float64)}
_T = TypeVar("_T")
_OUTPUT: Final = re.compile(r"(.+)_Output_(\d+)")
_TRAILING_DIGITS: Final = re.compile("[0-9]+$")
_UNKNOWN: Final = "UnknownAxes"


def to_bytes(outputs: Sequence[Variable], uid: str, name: str = "") -> bytes:
    """Return the file of the model that computes `outputs`.

    Args:
        outputs: Of one function, or several to be written as a combination.
        uid: Of the whole as a composite function.
        name: The combination's name; a single function's own name stands in its node.
    """
    node = outputs[0]._node
    if node is not None and node.outputs == tuple(outputs) and name in ("", node.name):
        root, extra, name = node.uid, [], node.name
    else:
        digits = _TRAILING_DIGITS.search(uid)
        root = f"Combine{digits[0] if digits else 0}"
        extra = [_primitive(root, COMBINE, name, [v.uid for v in outputs], {})]
    ordered = _in_order(outputs)
    functions = [entry for part in ordered for entry in _functions(part)]
    return encode(
        {
            "version": _COMPOSITE_VERSION,
            "type": "CompositeFunction",
            **({"name": name} if name else {}),
            "uid": uid,
            "root": root,
            "inputs": [_variable(v) for v in (*_leaves(outputs), *_ahead(ordered))],
            "primitive_functions": [*functions, *extra],
        }
    )


def from_bytes(data: bytes) -> tuple[list[Variable], str, str]:
    """Build the model that a file describes.

    Args:
        data: The whole file.

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
    entries = _dictionaries(model, "primitive_functions")
    uids = {_required(entry, "uid", str) for entry in entries}
    reading = _Reading()
    for entry in _dictionaries(model, "inputs"):
        uid = _required(entry, "uid", str)
        reading.known[uid] = _read_variable(entry, uid)
        made_by = _OUTPUT.fullmatch(uid)
        if made_by is not None and made_by[1] in uids:
            reading.ahead[reading.known[uid]] = []
    for entry in entries:
        _read_function(entry, reading)
    if reading.ahead:
        missing = next(iter(reading.ahead))
        message = f"There are no inputs corresponding to input uid = '{missing.uid}'."
        raise RuntimeError(message)
    root = _required(model, "root", str)
    if root not in reading.made:
        message = f"There are no inputs corresponding to input uid = '{root}_Output_0'."
        raise RuntimeError(message)
    outputs = [reading.closed.get(v, v) for v in reading.made[root]]
    if reading.closed:
        try:
            settle(outputs)
        except RecursionError:
            message = "The model's blocks go in a circle."
            raise ValueError(message) from None
    node = outputs[0]._node
    # The name of a single function stands in its node.
    name = "" if node is not None and node.uid == root else str(model.get("name", ""))
    return outputs, _required(model, "uid", str), name


# Writing.


def _in_order(outputs: Sequence[Variable]) -> list[Node]:
    """Return all nodes, those inside blocks too, each after what it needs."""
    ordered: dict[str, Node] = {}
    for node in nodes(outputs):
        if node.block is not None:
            ordered.update((inner.uid, inner) for inner in _in_order(node.block.roots))
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
            found.update((v, None) for v in node.block.roots if v._node is None)
            stack.extend(v._node for v in node.block.roots)
    return list(found)


def _ahead(ordered: Sequence[Node]) -> list[Variable]:
    """Return the outputs that are needed before they are made."""
    made: set[Variable] = set()
    found: dict[Variable, None] = {}
    for node in ordered:
        found.update((v, None) for v in node.inputs if v._node is not None and v not in made)
        made.update(node.outputs)
    return list(found)


def _variable(variable: Variable) -> Dictionary:
    """Return a leaf's entry; the order of its keys is the one in CNTK's files."""
    value = {"value": variable.value} if isinstance(variable, Parameter | Constant) else {}
    sparse: Dictionary = {"is_sparse": variable.is_sparse}
    shape: Dictionary = {"shape": NDShape(reversed(variable.shape))}
    what: Dictionary = {
        "data_type": _TYPES[variable.dtype],
        "uid": variable.uid,
        "dynamic_axis": list(reversed(variable._axes or ())),
    }
    title: Dictionary = {"type": "Variable", **({"name": variable.name} if variable.name else {})}
    number = Kind.PLACEHOLDER if variable.is_output else variable.kind
    kind: Dictionary = {"kind": SizeT(number), "needs_gradient": variable.needs_gradient}
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


def _functions(node: Node) -> list[Dictionary]:
    """Return a function's entry, before it that of the combination of a block's roots."""
    inputs = [v.uid for v in node.inputs]
    block = node.block
    if block is None:
        return [_primitive(node.uid, node.op.code, node.name, inputs, node.attributes)]
    combination = block.combination
    roots = [v.uid for v in block.roots]
    entries = [_primitive(combination, COMBINE, "", roots, {})] if combination else []
    inner = block.roots[0]._node
    root, name = (combination, "") if combination or inner is None else (inner.uid, inner.name)
    entries.append(
        {
            "version": _PRIMITIVE_VERSION,
            "block_function_composite_arguments_map_values": [
                outer.uid for _, outer in block.arguments
            ],
            **_named("PrimitiveFunction", node.uid, node.name),
            "inputs": inputs,
            "op": SizeT(BLOCK.code),
            "block_function_composite": _part(root, name, block.uid),
            "block_function_composite_arguments_map_keys": [
                placeholder.uid for placeholder, _ in block.arguments
            ],
            "attributes": node.attributes,
            "block_function_op_name": block.name,
        }
    )
    return entries


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


@final
@dataclass(slots=True)
class _Reading:
    """What has been read so far.

    Args:
        known: Variables by uid.
        made: Functions' outputs by the function's uid.
        ahead: Placeholders for outputs that come further down, with the nodes that take them.
        closed: Such placeholders whose outputs have come.
    """

    known: dict[str, Variable] = field(default_factory=dict)
    made: dict[str, tuple[Variable, ...]] = field(default_factory=dict)
    ahead: dict[Variable, list[Node]] = field(default_factory=dict)
    closed: dict[Variable, Variable] = field(default_factory=dict)

    def look_up(self, uid: str) -> Variable:
        if uid not in self.known:
            message = f"There are no inputs corresponding to input uid = '{uid}'."
            raise RuntimeError(message)
        return self.known[uid]

    def add(self, uid: str, outputs: tuple[Variable, ...]) -> None:
        """Take in a new function; what stood for its outputs is replaced by them."""
        self.made[uid] = outputs
        node = outputs[0]._node
        for v in () if node is None else node.inputs:
            if v in self.ahead and node is not None:
                self.ahead[v].append(node)
        for output in outputs:
            placeholder = self.known.get(output.uid)
            if placeholder in self.ahead:
                close(self.ahead.pop(placeholder), {placeholder: output})
                self.closed[placeholder] = output
            self.known[output.uid] = output


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
    dtype = _DTYPES.get(_required(entry, "data_type", int))
    axes = _read_axes(_required(entry, "dynamic_axis", list))
    shape = _required(entry, "shape", NDShape).python
    name = str(entry.get("name", ""))
    if dtype is None:
        raise refuse(f"The model's input '{name or uid}' of a type other than float and double")
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
        axes=axes,
        needs_gradient=bool(entry["needs_gradient"]),
        is_sparse=bool(entry["is_sparse"]),
        uid=uid,
    )


def _read_axes(listed: list[Any]) -> Axes | None:
    if any(not isinstance(axis, FileAxis) for axis in listed) or len(listed) > 2:
        message = "The key 'dynamic_axis' holds something else than two axes at most."
        raise ValueError(message)
    if any(axis.name == _UNKNOWN for axis in listed):
        return None
    return tuple(sorted(listed, key=lambda axis: axis.ordered))


def _strings(entry: Dictionary, key: str) -> list[str]:
    values = _required(entry, key, list)
    if not all(isinstance(value, str) for value in values):
        message = f"The key '{key}' holds something else than strings."
        raise ValueError(message)
    return values


def _read_function(entry: Dictionary, reading: _Reading) -> None:
    """Build one function."""
    for key in ("version", "type"):
        _required(entry, key, object)
    uid, code = _required(entry, "uid", str), _required(entry, "op", int)
    inputs = [reading.look_up(reference) for reference in _strings(entry, "inputs")]
    attributes = _required(entry, "attributes", dict)
    name = str(entry.get("name", ""))
    if not inputs:
        message = f"The function '{uid}' has no inputs."
        raise ValueError(message)
    if code == COMBINE:
        reading.made[uid] = tuple(inputs)
        return
    if code not in BY_CODE:
        raise refuse(f"The operation {name_of(code)} of the model")
    if code == BLOCK.code:
        outputs = _read_block(entry, uid, name, attributes, reading)
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
    reading.add(uid, outputs)


def _read_block(
    entry: Dictionary, uid: str, name: str, attributes: Dictionary, reading: _Reading
) -> tuple[Variable, ...]:
    inner = _required(entry, "block_function_composite", dict)
    keys = _strings(entry, "block_function_composite_arguments_map_keys")
    values = _strings(entry, "block_function_composite_arguments_map_values")
    if len(keys) != len(values):
        message = f"The block '{uid}' has {len(keys)} arguments and {len(values)} values for them."
        raise ValueError(message)
    pairs = [
        (reading.look_up(key), reading.look_up(value))
        for key, value in zip(keys, values, strict=True)
    ]
    if any(not placeholder.is_placeholder for placeholder, _ in pairs):
        message = f"The block '{uid}' has an argument that is no placeholder."
        raise ValueError(message)
    root = _required(inner, "root", str)
    if root not in reading.made:
        message = f"There are no inputs corresponding to input uid = '{root}_Output_0'."
        raise RuntimeError(message)
    roots = tuple(reading.closed.get(v, v) for v in reading.made[root])
    combined = roots[0]._node is None or roots[0]._node.uid != root
    return make_block(
        _required(entry, "block_function_op_name", str),
        roots,
        pairs,
        name,
        uid,
        _required(inner, "uid", str),
        attributes,
        root if combined else "",
    )
