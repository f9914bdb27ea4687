"""Models as ONNX files: what each operation is there.

The way out for old models. Only what a loaded model computes in evaluation is written: dropout is
left out, batch normalization uses its running statistics. The batch axis comes first, called N.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, final

import numpy as np

from cntk._absent import refuse
from cntk._graph import Node
from cntk._onnx import TYPES, OnnxGraph
from cntk._program import _Places, _steps
from cntk._rearrange import _product_dims, _reduced, _slice_ranges, _transposed
from cntk._select import CONSTANT_PAD, REFLECT_PAD
from cntk._spatial import MAX_POOLING, convolution_window, pooling_window
from cntk.variables import Shape, Variable

_SAME: Final = {
    "Negate": "Neg",
    "Sigmoid": "Sigmoid",
    "StableSigmoid": "Sigmoid",
    "Tanh": "Tanh",
    "ReLU": "Relu",
    "Exp": "Exp",
    "Log": "Log",
    "Sqrt": "Sqrt",
    "Floor": "Floor",
    "Abs": "Abs",
    "Reciprocal": "Reciprocal",
    "Sin": "Sin",
    "Cos": "Cos",
    "Tan": "Tan",
    "Asin": "Asin",
    "Acos": "Acos",
    "Atan": "Atan",
    "Sinh": "Sinh",
    "Cosh": "Cosh",
    "Asinh": "Asinh",
    "Atanh": "Atanh",
    "ELU": "Elu",
    "NoOp": "Identity",
    "StopGradient": "Identity",
    "Dropout": "Identity",
    "Plus": "Add",
    "Minus": "Sub",
    "ElementTimes": "Mul",
    "Pow": "Pow",
}
_TRUTHS: Final = {
    "Equal": "Equal",
    "NotEqual": "Equal",
    "Less": "Less",
    "LessEqual": "LessOrEqual",
    "Greater": "Greater",
    "GreaterEqual": "GreaterOrEqual",
}
_REDUCTIONS: Final = {
    "Sum": "ReduceSum",
    "Mean": "ReduceMean",
    "Max": "ReduceMax",
    "Min": "ReduceMin",
    "Prod": "ReduceProd",
    "LogSum": "ReduceLogSumExp",
    "Argmax": "ArgMax",
    "Argmin": "ArgMin",
}


def to_onnx(outputs: Sequence[Variable], name: str) -> bytes:
    """Return a model's ONNX file.

    Args:
        outputs: What it computes.
        name: Of the graph.

    Raises:
        NotImplementedError: An operation has no form in ONNX, or none is provided.
    """
    return _Export().model(outputs, name)


@final
class _Export:
    """One model on its way into one file."""

    def __init__(self) -> None:
        self.graph = OnnxGraph()
        self.names: dict[Variable, str] = {}
        self.inputs: list[Variable] = []

    def model(self, outputs: Sequence[Variable], title: str) -> bytes:
        places = _Places()
        wanted = [places.inside(v) for v in outputs]
        for step in _steps(wanted, places):
            operands = [self.value(v) for v in step.inputs]
            made = self.node(step.node, operands)
            self.names.update(zip(step.node.outputs, made, strict=True))
        made_of = [self.value(v) for v in wanted]
        taken = {v.name or v.uid for v in self.inputs}
        labels: list[str] = []
        for i, (v, value) in enumerate(zip(outputs, made_of, strict=True)):
            label = v.name or v.uid
            labels.append(f"{label}_{i}" if label in taken else label)
            taken.add(labels[-1])
            self.graph.rename(value, labels[-1])
        return self.graph.model(
            title or "model",
            [(v.name or v.uid, v.dtype, _dims(v)) for v in self.inputs],
            [(label, v.dtype, _dims(v)) for label, v in zip(labels, outputs, strict=True)],
        )

    def value(self, variable: Variable) -> str:
        """Return the name of an operand; leaves become inputs or values of the model."""
        if variable not in self.names:
            name = variable.name or variable.uid
            if variable.is_parameter or variable.is_constant:
                self.names[variable] = self.graph.constant(
                    variable._tensor.detach().cpu().numpy(), variable.dtype, variable.uid
                )
            else:
                self.names[variable] = name
                self.inputs.append(variable)
        return self.names[variable]

    def numbers(self, values: Sequence[int]) -> str:
        return self.graph.constant(list(values), np.int64)

    def reshaped(self, value: str, shape: Sequence[int], *, batched: bool) -> str:
        """Give a value another shape; a batch axis stays in front."""
        dims = [-1 if dim < 0 else dim for dim in shape]
        return self.graph.add("Reshape", value, self.numbers([-1, *dims] if batched else dims))

    def node(self, node: Node, operands: list[str]) -> list[str]:
        name = node.op.name
        add = self.graph.add
        if name in _SAME:
            return [add(_SAME[name], *self.aligned(node, operands))]
        if name in _TRUTHS:
            truth = add(_TRUTHS[name], *self.aligned(node, operands))
            return [self.float(node, add("Not", truth) if name == "NotEqual" else truth)]
        special: Callable[[Node, list[str]], Any] | None = getattr(self, f"_{name}", None)
        if special is None:
            raise refuse(f"ONNX export of the operation {name}")
        made = special(node, operands)
        return made if isinstance(made, list) else [made]

    def aligned(self, node: Node, operands: list[str]) -> list[str]:
        """Let operands of a lower rank have axes of length 1 behind the batch axis."""
        rank = max((len(v.shape) for v in node.inputs), default=0)
        return [
            self.reshaped(value, (1,) * (rank - len(v.shape)) + v.shape, batched=True)
            if v._batched and len(v.shape) < rank
            else value
            for v, value in zip(node.inputs, operands, strict=True)
        ]

    def float(self, node: Node, value: str) -> str:
        return self.graph.add("Cast", value, to=TYPES[node.outputs[0].dtype])

    def whole(self, value: str) -> str:
        return self.graph.add("Cast", value, to=TYPES[np.dtype(np.int64)])

    # Element by element.

    def _Clip(self, node: Node, operands: list[str]) -> str:  # noqa: N802 (the table's name)
        x, low, high = self.aligned(node, operands)
        return self.graph.add("Min", self.graph.add("Max", x, low), high)

    def _Select(self, node: Node, operands: list[str]) -> str:  # noqa: N802
        flag, yes, no = self.aligned(node, operands)
        zero = self.graph.constant(0, node.inputs[0].dtype)
        nonzero = self.graph.add("Not", self.graph.add("Equal", flag, zero))
        return self.graph.add("Where", nonzero, yes, no)

    def _LogPlus(self, node: Node, operands: list[str]) -> str:  # noqa: N802
        a, b = self.aligned(node, operands)
        add, one = self.graph.add, self.graph.constant(1, node.inputs[0].dtype)
        small = add("Exp", add("Neg", add("Abs", add("Sub", a, b))))
        return add("Add", add("Max", a, b), add("Log", add("Add", small, one)))

    def _Softmax(self, node: Node, operands: list[str]) -> str:  # noqa: N802
        return self.over_sample("Softmax", node, operands[0])

    def _Hardmax(self, node: Node, operands: list[str]) -> str:  # noqa: N802
        return self.over_sample("Hardmax", node, operands[0])

    def over_sample(self, op: str, node: Node, value: str) -> str:
        operand = node.inputs[0]
        if "axis" in node.attributes:
            raise refuse(f"ONNX export of {op} along an axis")
        flat = self.reshaped(value, (math.prod(operand.shape),), batched=operand._batched)
        made = self.graph.add(op, flat, axis=-1)
        return self.reshaped(made, operand.shape, batched=operand._batched)

    def _Cast(self, node: Node, operands: list[str]) -> str:  # noqa: N802
        return self.float(node, operands[0])

    # Products, reductions, shapes.

    def _Times(self, node: Node, operands: list[str]) -> str:  # noqa: N802
        return self.product(node, operands, transpose=False)

    def _TransposeTimes(self, node: Node, operands: list[str]) -> str:  # noqa: N802
        return self.product(node, operands, transpose=True)

    def product(self, node: Node, operands: list[str], *, transpose: bool) -> str:
        dims = _product_dims(node.attributes, node.inputs, transpose=transpose)
        rest, inner, out = map(math.prod, dims)
        right, left = operands
        right_batched, left_batched = (v._batched for v in node.inputs)
        matrix = self.reshaped(
            right, (out, inner) if transpose else (inner, out), batched=right_batched
        )
        if transpose:
            matrix = self.graph.add(
                "Transpose", matrix, perm=[0, 2, 1] if right_batched else [1, 0]
            )
        if right_batched:
            rows = self.reshaped(left, (rest, inner), batched=left_batched)
        else:
            rows = self.graph.add("Reshape", left, self.numbers((-1, inner)))
        made = self.graph.add("MatMul", rows, matrix)
        return self.reshaped(made, dims[0] + dims[2], batched=left_batched or right_batched)

    def _ReduceElements(self, node: Node, operands: list[str]) -> str:  # noqa: N802
        operand, result = node.inputs[0], node.outputs[0]
        kind = node.attributes["reductionOpName"]
        axes = [axis - len(operand.shape) for axis in _reduced(node.attributes, operand)]
        if operand._batched != result._batched or kind not in _REDUCTIONS:
            raise refuse("ONNX export of a reduction over the batch axis")
        value = operands[0]
        if len(axes) == len(operand.shape):
            value = self.reshaped(value, (math.prod(operand.shape),), batched=operand._batched)
            axes = [-1]
        op = _REDUCTIONS[kind]
        if op == "ReduceSum":
            made = self.graph.add(op, value, self.numbers(axes))
        elif op in ("ArgMax", "ArgMin"):
            made = self.float(node, self.graph.add(op, value, axis=axes[0]))
        else:
            made = self.graph.add(op, value, axes=axes)
        return self.reshaped(made, result.shape, batched=operand._batched)

    def _Reshape(self, node: Node, operands: list[str]) -> str:  # noqa: N802
        return self.reshaped(operands[0], node.outputs[0].shape, batched=node.inputs[0]._batched)

    _Squeeze = _Reshape

    def _Slice(self, node: Node, operands: list[str]) -> str:  # noqa: N802
        operand = node.inputs[0]
        ranges = _slice_ranges(node.attributes, operand)
        # Going backwards to before the first one is written as a number below all.
        ends = [r.stop if r.stop >= 0 else -(2**31) for r in ranges.values()]
        bounds = (
            [r.start for r in ranges.values()],
            ends,
            [axis + operand._batched for axis in ranges],
            [r.step for r in ranges.values()],
        )
        return self.graph.add("Slice", operands[0], *map(self.numbers, bounds))

    def _Splice(self, node: Node, operands: list[str]) -> str:  # noqa: N802
        if len({v._batched for v in node.inputs}) > 1:
            raise refuse("ONNX export of a splice of what has a batch axis and what has none")
        rank = len(node.outputs[0].shape)
        lifted = [
            self.reshaped(value, (1,) * (rank - len(v.shape)) + v.shape, batched=v._batched)
            if len(v.shape) < rank
            else value
            for v, value in zip(node.inputs, operands, strict=True)
        ]
        axis = -1 - node.attributes["axis"].index
        return self.graph.add("Concat", *lifted, axis=axis)

    def _TransposeAxes(self, node: Node, operands: list[str]) -> str:  # noqa: N802
        batched = int(node.inputs[0]._batched)
        order = [axis + batched for axis in _transposed(node.attributes, node.inputs[0])]
        return self.graph.add("Transpose", operands[0], perm=[0] * batched + order)

    def _Gather(self, _node: Node, operands: list[str]) -> str:  # noqa: N802
        return self.graph.add("Gather", operands[1], self.whole(operands[0]), axis=0)

    def _OneHotOp(self, node: Node, operands: list[str]) -> str:  # noqa: N802
        axis = -1 - node.attributes["onehotAxis"].index
        classes = self.numbers([int(node.attributes["numClass"])])
        marks = self.graph.constant([0, 1], node.inputs[0].dtype)
        index = self.whole(self.graph.add("Floor", operands[0]))
        return self.graph.add("OneHot", index, classes, marks, axis=axis)

    def _TopK(self, node: Node, operands: list[str]) -> list[str]:  # noqa: N802
        axis = -1 - node.attributes["axis"].index
        count = self.numbers([int(node.attributes["numItems"])])
        values, places = self.graph.add_several(2, "TopK", operands[0], count, axis=axis)
        return [values, self.float(node, places)]

    def _Pad(self, node: Node, operands: list[str]) -> str:  # noqa: N802
        modes = {CONSTANT_PAD: "constant", REFLECT_PAD: "reflect"}
        mode = modes.get(int(node.attributes["paddingMode"]))
        if mode is None:
            raise refuse("ONNX export of symmetric padding")
        batch = [0] * node.inputs[0]._batched
        sides = (node.attributes[key][::-1] for key in ("paddingHead", "paddingFoot"))
        cells = [c for side in sides for c in (*batch, *side)]
        fill = self.graph.constant(node.attributes["paddingConstantValue"], node.inputs[0].dtype)
        return self.graph.add("Pad", operands[0], self.numbers(cells), fill, mode=mode)

    # Images.

    def _Convolution(self, node: Node, operands: list[str]) -> str:  # noqa: N802
        kernel, x = node.inputs
        if kernel._batched or not x._batched:
            raise refuse("ONNX export of a convolution without a batch, or with kernels for each")
        _, window, dilation = convolution_window(node.attributes, node.inputs)
        weight = operands[0]
        if len(kernel.shape) == len(x.shape):
            weight = self.reshaped(weight, (1, *kernel.shape), batched=False)
        options: dict[str, Any] = {
            "kernel_shape": [k for k, _, _, _ in window],
            "strides": [s for _, s, _, _ in window],
            "dilations": dilation,
            "group": int(node.attributes.get("groups", 1)),
        }
        lows, highs = [low for _, _, low, _ in window], [high for _, _, _, high in window]
        if not node.attributes["transpose"]:
            return self.graph.add("Conv", operands[1], weight, pads=lows + highs, **options)
        options["output_padding"] = [max(0, -high) for high in highs]
        pads = lows + [max(0, high) for high in highs]
        return self.graph.add("ConvTranspose", operands[1], weight, pads=pads, **options)

    def _Pooling(self, node: Node, operands: list[str]) -> str:  # noqa: N802
        operand, result = node.inputs[0], node.outputs[0].shape
        _, window = pooling_window(node.attributes, node.inputs)
        while len(window) > 1 and window[0][:2] == (1, 1):
            window = window[1:]
        lead: Shape = operand.shape[: len(operand.shape) - len(window)]
        flat = (math.prod(lead), *operand.shape[len(lead) :])
        options: dict[str, Any] = {
            "kernel_shape": [k for k, _, _, _ in window],
            "strides": [s for _, s, _, _ in window],
            "pads": [low for _, _, low, _ in window] + [high for _, _, _, high in window],
        }
        op = "MaxPool"
        if node.attributes["poolingType"] != MAX_POOLING:
            op, options["count_include_pad"] = "AveragePool", int(node.attributes["includePad"])
        value = self.graph.add("Reshape", operands[0], self.numbers((-1, *flat)))
        made = self.graph.add(op, value, **options)
        return self.reshaped(made, result, batched=operand._batched)

    def _BatchNormalization(self, node: Node, operands: list[str]) -> str:  # noqa: N802
        operand, epsilon = node.inputs[0], float(node.attributes["epsilon"])
        x, *statistics = operands[:5]
        if node.attributes["spatial"]:
            return self.graph.add("BatchNormalization", x, *statistics, epsilon=epsilon)
        size = math.prod(operand.shape)
        flat = self.reshaped(x, (size,), batched=True)
        rows = [self.reshaped(value, (size,), batched=False) for value in statistics]
        made = self.graph.add("BatchNormalization", flat, *rows, epsilon=epsilon)
        return self.reshaped(made, operand.shape, batched=True)


def _dims(variable: Variable) -> list[int | str]:
    batch: list[int | str] = ["N"] if variable._batched else []
    return [*batch, *("M" if dim < 0 else dim for dim in variable.shape)]
