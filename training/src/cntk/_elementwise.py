"""Rows of the table that work element by element: arithmetic, comparisons, activations, dropout."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch.nn import functional

from cntk._absent import refuse
from cntk._dictionary import Dictionary
from cntk._graph import Bound, Node, Operation, infer_dimensions
from cntk._random import MersenneTwister64
from cntk.axis import to_python
from cntk.variables import DTYPES, InferredDimension, Shape, Variable

_Tensor = torch.Tensor


def _common_shape(op: str, operands: Sequence[Variable]) -> Shape:
    """Return the shape that the operands broadcast to, their last axes aligned."""
    known = [v for v in operands if InferredDimension not in v.shape]
    for operand in operands:
        if InferredDimension in operand.shape and known:
            rank = len(operand.shape)
            other = max((v.shape for v in known), key=len)[-rank:]
            pairs = zip(operand.shape[-len(other) :], other, strict=True)
            infer_dimensions(operand, tuple(b if a == InferredDimension else a for a, b in pairs))
    shape: list[int] = []
    for at in range(-max(len(v.shape) for v in operands), 0):
        dims = {v.shape[at] for v in operands if len(v.shape) >= -at} - {1}
        if len(dims) > 1:
            left = operands[0]
            right = next(v for v in operands[1:] if not _go_together(left.shape, v.shape))
            message = (
                f"Binary elementwise operation {op}: Left operand '{left!r}' shape "
                f"'{_text(left.shape)}' is not compatible with right operand '{right!r}' shape "
                f"'{_text(right.shape)}'."
            )
            raise RuntimeError(message)
        shape.append(dims.pop() if dims else 1)
    return tuple(shape)


def _go_together(left: Shape, right: Shape) -> bool:
    return all(1 in (a, b) or a == b for a, b in zip(left[::-1], right[::-1], strict=False))


def _aligned(node: Node, function: Callable[..., _Tensor]) -> Bound:
    """Let tensors with a batch axis broadcast as samples do: the last axes against each other."""
    rank = max(len(v.shape) for v in node.inputs)
    views = [
        (1,) * (rank - len(v.shape)) + v.shape if v._batched and len(v.shape) < rank else None
        for v in node.inputs
    ]
    if not any(view is not None for view in views):
        return function

    def run(*tensors: _Tensor) -> _Tensor:
        pairs = zip(tensors, views, strict=True)
        return function(*(t if view is None else t.reshape(-1, *view) for t, view in pairs))

    return run


def _row(code: int, name: str, function: Callable[..., _Tensor]) -> Operation:
    return Operation(
        code,
        name,
        lambda _attributes, operands: _common_shape(name, operands),
        lambda node, _training: _aligned(node, function),
    )


def _text(shape: Shape) -> str:
    return f"[{' x '.join(map(str, shape))}]"


def _truth(compare: Callable[[_Tensor, _Tensor], _Tensor]) -> Callable[[_Tensor, _Tensor], _Tensor]:
    return lambda a, b: compare(a, b).to(a.dtype)


def _clip(x: _Tensor, low: _Tensor, high: _Tensor) -> _Tensor:
    """Let the gradient pass where x is within its bounds, and none to the bounds."""
    inside = torch.where(x > high, high.detach(), x)
    return torch.where(x < low, low.detach(), inside)


def _select(condition: _Tensor, yes: _Tensor, no: _Tensor) -> _Tensor:
    return torch.where(condition != 0, yes, no)


def _softmax(node: Node, _training: bool) -> Bound:
    """Take all elements of a sample together, as CNTK does, unless the file names an axis."""
    operand = node.inputs[0]
    if "axis" in node.attributes:
        axis = to_python(node.attributes["axis"], len(operand.shape)) - len(operand.shape)
        return lambda x: torch.softmax(x, axis)
    return _over_sample(operand, lambda x: torch.softmax(x, -1))


def _hardmax(node: Node, _training: bool) -> Bound:
    """Mark the first maximum of all elements of a sample."""

    def mark(x: _Tensor) -> _Tensor:
        # argmax leaves open which of equal maxima it finds: weigh them by position first.
        size = x.shape[-1]
        best = x == x.amax(-1, keepdim=True)
        weight = torch.arange(size, 0, -1, device=x.device)
        return functional.one_hot((best * weight).argmax(-1), size).to(x.dtype)

    return _over_sample(node.inputs[0], mark)


def _over_sample(operand: Variable, function: Callable[[_Tensor], _Tensor]) -> Bound:
    """Apply a function of the last axis to whole samples."""
    if len(operand.shape) == 1:
        return function
    lead = int(operand._batched)
    return lambda x: function(x.reshape(*x.shape[:lead], -1)).reshape(x.shape)


def _dropout(node: Node, training: bool) -> Bound:
    """Drop in training only, with one generator for each node as long as it lives."""
    if not training:
        return lambda x: x

    def on_cpu(x: _Tensor, rate: float, seed: int) -> _Tensor:
        source = node.state.setdefault("cpu", MersenneTwister64(seed))
        keep = (source.uniform(x.numel()) > rate).astype(np.float32)
        keep *= np.float32(1 / (1 - rate))
        return x * torch.from_numpy(keep).view(x.shape).to(x.dtype)

    def run(x: _Tensor) -> _Tensor:
        # Both may be changed between minibatches.
        rate, seed = float(node.attributes["dropoutRate"]), int(node.attributes["rngSeed"])
        if rate == 0:
            return x
        if x.device.type == "cpu":
            return on_cpu(x, rate, seed)
        if "gpu" not in node.state:
            node.state["gpu"] = torch.Generator(x.device).manual_seed(seed)
        uniform = torch.rand(x.shape, generator=node.state["gpu"], device=x.device)
        return x * (uniform > rate) * (1 / (1 - rate))

    return run


def _same(_attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    return operands[0].shape


def _flat(function: Callable[[_Tensor], _Tensor]) -> Callable[[_Tensor], _Tensor]:
    """Return the function without its gradient: a step has none, whatever torch says."""
    return lambda x: function(x.detach())


def _sign_with_gradient(x: _Tensor) -> _Tensor:
    """Return 1 above 0 and -1 elsewhere; the gradient passes where x is within [-1, 1]."""
    passed = x.clamp(-1, 1)
    return torch.where(x > 0, 1.0, -1.0).to(x.dtype) + (passed - passed.detach())


def _filled(node: Node, _training: bool) -> Bound:
    value = float(node.attributes["fillValue"])
    return lambda x: torch.full_like(x, value, requires_grad=False)


def _cast_type(attributes: Dictionary, _operands: Sequence[Variable]) -> "np.dtype[Any]":
    if attributes["newDataType"] not in DTYPES:
        raise refuse(f"cast to CNTK's data type {attributes['newDataType']}")
    return DTYPES[attributes["newDataType"]]


def _cast(node: Node, _training: bool) -> Bound:
    target = node.outputs[0]._torch_type
    return lambda x: x.to(target)


def _eye(_node: Node, _training: bool) -> Bound:
    return lambda x: torch.eye(*x.shape, dtype=x.dtype, device=x.device)


def _assigned_shape(_attributes: Dictionary, operands: Sequence[Variable]) -> Shape:
    target, value = operands
    if not (target.is_parameter or target.is_constant):
        message = "Assign: only a Parameter or a Constant can be assigned to."
        raise RuntimeError(message)
    if InferredDimension in target.shape:
        infer_dimensions(target, value.shape)
    return _common_shape("Assign", operands)


def _store(target: _Tensor, value: _Tensor) -> None:
    target.data.copy_(value.detach())


ROWS: Final[tuple[Operation, ...]] = (
    _row(0, "Negate", torch.neg),
    _row(1, "Sigmoid", torch.sigmoid),
    _row(2, "Tanh", torch.tanh),
    _row(3, "ReLU", torch.relu),
    _row(4, "Exp", torch.exp),
    _row(5, "Log", torch.log),
    _row(6, "Sqrt", torch.sqrt),
    _row(7, "Floor", _flat(torch.floor)),
    _row(8, "Abs", torch.abs),
    _row(9, "Reciprocal", torch.reciprocal),
    Operation(10, "Softmax", _same, _softmax),
    Operation(11, "Hardmax", _same, _hardmax),
    Operation(15, "Dropout", _same, _dropout, attributes=("dropoutRate", "rngSeed", "rngOffset")),
    _row(19, "Plus", torch.add),
    _row(20, "Minus", torch.sub),
    _row(21, "ElementTimes", torch.mul),
    _row(22, "Equal", _truth(torch.eq)),
    _row(23, "NotEqual", _truth(torch.ne)),
    _row(24, "Less", _truth(torch.lt)),
    _row(25, "LessEqual", _truth(torch.le)),
    _row(26, "Greater", _truth(torch.gt)),
    _row(27, "GreaterEqual", _truth(torch.ge)),
    _row(41, "Clip", _clip),
    _row(42, "Select", _select),
    _row(52, "LogPlus", torch.logaddexp),
    _row(54, "Sin", torch.sin),
    _row(55, "Cos", torch.cos),
    _row(62, "NoOp", lambda x: x),
    _row(64, "StopGradient", torch.detach),
    _row(65, "ELU", functional.elu),
    _row(69, "Pow", torch.pow),
    Operation(
        73,
        "Assign",
        _assigned_shape,
        lambda _node, _training: lambda _target, value: value,
        after=_store,
    ),
    _row(75, "StableSigmoid", torch.sigmoid),
    _row(77, "Sinh", torch.sinh),
    _row(78, "Cosh", torch.cosh),
    _row(81, "Asin", torch.asin),
    _row(82, "Acos", torch.acos),
    _row(85, "Atanh", torch.atanh),
    _row(86, "Asinh", torch.asinh),
    Operation(89, "ConstantOp", _same, _filled, attributes=("fillValue",)),
    Operation(91, "Cast", _same, _cast, attributes=("newDataType",), dtype=_cast_type),
    Operation(92, "EyeLikeOp", _same, _eye),
    _row(94, "StraightThrough", _sign_with_gradient),
    _row(95, "Tan", torch.tan),
    _row(96, "Atan", torch.atan),
)
