"""Checkpoints: the model at a path, and the state of training beside it with the ending `.ckp`.

Both are messages of CNTK's own form. The model is the combination of what a trainer computes: the
model's outputs, the loss and its sum over the minibatch, the metric and its sum. Restoring goes by
the graph's structure, not by the names in it, so another process with the same script can do it.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch

from cntk import _modelfile
from cntk._dictionary import Dictionary, FileAxis, SizeT, decode, encode
from cntk._graph import Node
from cntk._operations import COMBINE
from cntk._steps import Places, Step, components
from cntk.ops.functions import Function
from cntk.variables import Constant, Parameter, Variable, _next_uid

_VERSION: Final = SizeT(1)
_FUNCTION_VERSION: Final = SizeT(24)
_REDUCE: Final = 39
_ALL_AXES: Final = FileAxis(2**31 - 5, "AllAxes", ordered=False)
_LOSS_SUM, _METRIC_SUM = "aggregateLoss", "aggregateEvalMetric"
_GENERATORS: Final = "GeneratorStates"
"""What CNTK does not have: the states of the generators on a GPU."""
_GREATEST_INT: Final = 2**31
Apply = Callable[[], None]


@final
@dataclass(frozen=True, slots=True)
class Outputs:
    """What a trainer computes.

    Args:
        model: The model's outputs; none when the criterion is all there is.
        loss: The loss.
        metric: The metric, if there is one.
    """

    model: tuple[Variable, ...]
    loss: Variable
    metric: Variable | None

    def all(self) -> tuple[Variable, ...]:
        """Return them without the sums."""
        return (*self.model, self.loss, *([] if self.metric is None else [self.metric]))

    def function(self) -> Function:
        """Return them as one function."""
        return Function._of(self.all())


# Writing.


def save(
    filename: str, outputs: Outputs, learners: Sequence[Any], external_state: dict[str, Any]
) -> None:
    """Write a checkpoint: both files whole, or neither."""
    path = Path(filename)
    state = {
        "Version": _VERSION,
        "DistributedState": {},
        "Learners": [learner._to_file() for learner in learners],
        "ExternalState": {_text_key(k): _to_file(v) for k, v in external_state.items()},
        **_generators(outputs),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = {path: _model(outputs), Path(f"{filename}.ckp"): encode(state)}
    parts = {target: target.with_name(f".{target.name}.{os.getpid()}.part") for target in contents}
    try:
        for target, content in contents.items():
            parts[target].write_bytes(content)
        # Without its state a model is no checkpoint: so no two files that do not belong together
        # are ever taken for one.
        Path(f"{filename}.ckp").unlink(missing_ok=True)
        for target in contents:
            parts[target].replace(target)
    finally:
        for part in parts.values():
            with contextlib.suppress(FileNotFoundError):
                part.unlink()


def _model(outputs: Outputs) -> bytes:
    uid = _next_uid("CompositeFunction")
    model = decode(_modelfile.to_bytes(outputs.all(), uid))
    functions = model["primitive_functions"]
    if functions[-1]["op"] == COMBINE:
        functions.pop()
    for function, node in _random_functions(functions, outputs):
        function["attributes"]["rngOffset"] = SizeT(node.state.get("drawn", 0))
    operands = [v.uid for v in outputs.model]
    for criterion, name in ((outputs.loss, _LOSS_SUM), (outputs.metric, _METRIC_SUM)):
        if criterion is not None:
            functions.append(_sum_of(criterion, name))
            operands += [criterion.uid, f"{functions[-1]['uid']}_Output_0"]
    root = _next_uid("Combine")
    functions.append(_function(root, COMBINE, operands, {}))
    model["root"] = root
    return encode(model)


def _sum_of(criterion: Variable, name: str) -> Dictionary:
    attributes = {
        "axis": _ALL_AXES,
        "reductionOpName": "Sum",
        "reductionKeepDimensions": False,
    }
    uid = _next_uid("ReduceElements")
    return {**_function(uid, _REDUCE, [criterion.uid], attributes), "name": name}


def _function(uid: str, op: int, inputs: list[str], attributes: Dictionary) -> Dictionary:
    return {
        "version": _FUNCTION_VERSION,
        "type": "PrimitiveFunction",
        "uid": uid,
        "inputs": inputs,
        "op": SizeT(op),
        "attributes": attributes,
    }


def _random_functions(
    functions: list[Dictionary], outputs: Outputs
) -> Iterator[tuple[Dictionary, Node]]:
    """Yield the functions that draw random numbers, with their nodes."""
    nodes = {step.node.uid: step.node for step in _walk(outputs.all())}
    for function in functions:
        if "rngOffset" in function["attributes"] and function["uid"] in nodes:
            yield function, nodes[function["uid"]]


def _generators(outputs: Outputs) -> Dictionary:
    states = [
        step.node.state["gpu"].get_state().numpy().view(np.int8)
        for step in _walk(outputs.all())
        if "gpu" in step.node.state
    ]
    return {_GENERATORS: states} if states else {}


def _text_key(key: Any) -> str:
    if not isinstance(key, str):
        message = f"The keys of a checkpoint's external state are texts, not {key!r}."
        raise TypeError(message)
    return key


def _to_file(value: Any) -> Any:
    """Return a script's value as files have it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dict):
        return {_text_key(k): _to_file(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_to_file(item) for item in value]
    if type(value) is int and not -_GREATEST_INT <= value < _GREATEST_INT:
        if not 0 <= value < 2**64:
            message = f"{value} does not fit into a CNTK file: an integer has 64 bits at most."
            raise OverflowError(message)
        return SizeT(value)
    return value


# Reading.


def restore(filename: str, outputs: Outputs, learners: Sequence[Any]) -> dict[str, Any]:
    """Read a checkpoint into what a trainer computes and its learners; all of it, or nothing.

    Raises:
        RuntimeError: A file is missing or damaged; CNTK's own words.
        ValueError: It is a checkpoint of something else.
    """
    model = _stripped(decode(_read(filename)))
    state_file = f"{filename}.ckp"
    try:
        state = decode(_read(state_file))
    except RuntimeError as error:
        if "open" in str(error):
            raise
        message = f"Failed to parse Dictionary from file ({state_file})."
        raise RuntimeError(message) from error
    stored, _, _ = _modelfile.from_bytes(encode(model))
    changes = [_values(outputs, stored), *_learned(state, learners)]
    external = state.get("ExternalState", {})
    if not isinstance(external, dict):
        message = f"The external state in {state_file} is no dictionary."
        raise ValueError(message)
    changes.append(_random(outputs, stored, state))
    for change in changes:
        change()
    return {key: _from_file(value) for key, value in external.items()}


def _read(filename: str) -> bytes:
    try:
        return Path(filename).read_bytes()
    except OSError as error:
        message = f"Cannot open file '{filename}' for reading."
        raise RuntimeError(message) from error


def _stripped(model: Dictionary) -> Dictionary:
    """Return a checkpoint's model without the sums that only the trainer needs."""
    functions = model.get("primitive_functions")
    if not isinstance(functions, list) or not all(isinstance(f, dict) for f in functions):
        message = "Required key 'primitive_functions' is not found in the dictionary."
        raise ValueError(message)
    sums = {
        f"{f.get('uid')}_Output_0"
        for f in functions
        if f.get("op") == _REDUCE and f.get("name") in (_LOSS_SUM, _METRIC_SUM)
    }
    kept = [f for f in functions if f"{f.get('uid')}_Output_0" not in sums]
    for i, function in enumerate(kept):
        if function.get("op") == COMBINE and isinstance(function.get("inputs"), list):
            inputs = [uid for uid in function["inputs"] if uid not in sums]
            kept[i] = {**function, "inputs": inputs}
    return {**model, "primitive_functions": kept}


def _learned(state: Dictionary, learners: Sequence[Any]) -> Iterator[Apply]:
    stored = state.get("Learners")
    if not isinstance(stored, list) or not all(isinstance(entry, dict) for entry in stored):
        message = "Required key 'Learners' is not found in the dictionary."
        raise ValueError(message)
    if len(stored) != len(learners):
        message = (
            f"RestoreFromCheckpoint: Number of learners ({len(learners)}) does not match learner "
            f"count in the checkpoint ({len(stored)})."
        )
        raise RuntimeError(message)
    for learner, entry in zip(learners, stored, strict=True):
        yield learner._from_file(entry)


def _walk(outputs: Sequence[Variable]) -> list[Step]:
    """Return the operations that compute `outputs`, blocks looked through, in a settled order."""
    places = Places()
    parts = components([places.inside(v) for v in outputs], places)
    return [step for part in parts for step in part]


def _values(outputs: Outputs, stored: Sequence[Variable]) -> Apply:
    """Return what takes over the values of a graph of the same structure.

    Raises:
        ValueError: The structure is another.
    """
    ours, theirs = outputs.all(), tuple(stored)
    pairs: dict[Variable, Variable] = {}
    same = len(ours) == len(theirs)
    here, there = (_walk(ours), _walk(theirs)) if same else ([], [])
    same = same and len(here) == len(there)
    for own, other in zip(here, there, strict=False):
        own_inputs, other_inputs = own.inputs, other.inputs
        same = same and own.node.op is other.node.op and len(own_inputs) == len(other_inputs)
        pairs.update(zip(own.outputs, other.outputs, strict=False))
        for v, w in zip(own_inputs, other_inputs, strict=False):
            alike = (v.kind, v.shape, v.dtype) == (w.kind, w.shape, w.dtype)
            same = same and alike and pairs.setdefault(v, w) is w
    if not same:
        message = (
            f"Function '{outputs.function()!r}' being restored is not equivalent (isomorphic) to "
            f"the Function '{Function._of(theirs)!r}' loaded from checkpoint."
        )
        raise ValueError(message)

    def apply() -> None:
        with torch.no_grad():
            for v, w in pairs.items():
                if isinstance(v, Parameter | Constant):
                    v._tensor.copy_(w._tensor)

    return apply


def _random(outputs: Outputs, stored: Sequence[Variable], state: Dictionary) -> Apply:
    """Return what lets each operation go on with the random numbers that it had come to."""
    drawing = [
        (own.node, int(other.node.attributes.get("rngOffset", 0)))
        for own, other in zip(_walk(outputs.all()), _walk(tuple(stored)), strict=True)
        if "rngOffset" in own.node.attributes
    ]
    states = state.get(_GENERATORS, [])

    def apply() -> None:
        for i, (node, offset) in enumerate(drawing):
            node.state.clear()
            node.state["drawn"] = offset
            if i < len(states) and torch.cuda.is_available():
                generator = torch.Generator("cuda")
                generator.set_state(torch.from_numpy(states[i].view(np.uint8).copy()))
                node.state["gpu"] = generator

    return apply


def _from_file(value: Any) -> Any:
    """Return a file's value as scripts have it."""
    if isinstance(value, dict):
        return {k: _from_file(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_from_file(item) for item in value]
    if isinstance(value, bool | str | np.ndarray) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    return float(value) if isinstance(value, float) else value
