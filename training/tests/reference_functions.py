"""Small functions of three fixed inputs, built through the `cntk` API alone.

`python reference_functions.py FILE.npz` under real CNTK 2.7 (Python 3.6) made
`data/functions_cntk27.npz`: for each function its `.dnn` file, its output and its text. The tests
build the same functions here and compare.
"""

import os
import sys
import tempfile
from typing import Any, Dict, List

import numpy as np


def inputs() -> Dict[str, Any]:
    """Return the values of the inputs x (2, 5, 6), v (5,) and y (5,) for three samples."""
    draw = np.random.RandomState(5)
    x = (draw.randint(-40, 41, (3, 2, 5, 6)) / 16.0).astype(np.float32)
    v = (draw.randint(-40, 41, (3, 5)) / 16.0).astype(np.float32)
    return {"x": x, "v": v, "y": np.eye(5, dtype=np.float32)[[1, 0, 4]]}


def functions(C: Any) -> Dict[str, Any]:
    """Return all functions by name; in this order their parameters take the seeds 0, 1, ..."""
    x = C.input_variable((2, 5, 6), name="x")
    v, y = C.input_variable(5, name="v"), C.input_variable(5, name="y")
    made: Dict[str, Any] = {}
    made.update(images(C, x))
    made.update(networks(C, x))
    made.update(reductions(C, x))
    made.update(elements(C, x))
    made.update(shapes(C, x, v))
    made.update(criteria(C, v, y))
    return made


def images(C: Any, x: Any) -> Dict[str, Any]:
    L = C.layers
    made: Dict[str, Any] = {}
    for pad in (True, False):
        for k in (2, 3):
            for s in (1, 2):
                case = "k{}_s{}_{}".format(k, s, "pad" if pad else "valid")
                layer = L.Convolution2D(
                    (k, k), 3, strides=s, pad=pad, init=C.glorot_uniform(seed=7)
                )
                made["convolution_" + case] = layer(x)
                made["max_" + case] = L.MaxPooling((k, k), strides=s, pad=pad)(x)
                made["average_" + case] = L.AveragePooling((k, k), strides=s, pad=pad)(x)
    flat = C.reduce_sum(x, axis=0, keepdims=False)
    made["convolution_rank0"] = L.Convolution((2, 3), 4, reduction_rank=0, activation=C.tanh)(flat)
    made["convolution_1d"] = L.Convolution1D(3, 2, pad=True)(C.reshape(x, (2, 30)))
    made["ceil"] = C.pooling(x, C.MAX_POOLING, (3, 3), (2, 2), [False, False], True)
    made["include_pad"] = C.pooling(x, C.AVG_POOLING, (3, 3), (1, 1), [True, True], False, True)
    made["global_max"] = L.GlobalMaxPooling()(x)
    made["global_average"] = L.GlobalAveragePooling()(x)
    return made


def networks(C: Any, x: Any) -> Dict[str, Any]:
    L = C.layers
    convolution = L.Convolution2D((3, 3), 4, activation=C.relu, name="c")
    layers = [convolution, L.MaxPooling((2, 2), 2), L.Dropout(0.5), L.Dense(5, name="out")]
    return {
        "dense": L.Dense(4, activation=C.sigmoid)(x),
        "dense_map": L.Dense((2, 2), map_rank=1)(x),
        "dense_input_rank": L.Dense(3, input_rank=1)(x),
        "batch_normalization": L.BatchNormalization(map_rank=1)(x),
        "sequential": L.Sequential(layers)(x),
        "label": L.Label("hi")(x),
        "activation": L.Activation(C.tanh)(x),
    }


def reductions(C: Any, x: Any) -> Dict[str, Any]:
    made: Dict[str, Any] = {}
    for kind in ("sum", "mean", "max", "min", "log_sum_exp", "prod"):
        reduce = getattr(C, "reduce_" + kind)
        made[kind + "_all"] = reduce(x)
        made[kind + "_0"] = reduce(x, axis=0)
        made[kind + "_12"] = reduce(x, axis=(1, 2))
        made[kind + "_last_dropped"] = reduce(x, axis=-1, keepdims=False)
    made["argmax"] = C.argmax(x, axis=1)
    made["argmin"] = C.argmin(x, axis=-1)
    return made


def elements(C: Any, x: Any) -> Dict[str, Any]:
    plain = (
        "negate tanh relu exp floor abs sin cos sigmoid elu hardmax softmax log_softmax softplus "
        "leaky_relu square"
    )
    made = {name: getattr(C, name)(x) for name in plain.split()}
    ramp = C.constant(np.arange(6, dtype=np.float32))
    column = C.constant(np.arange(5, dtype=np.float32).reshape(5, 1))
    signs = C.less(x, 0.0) + C.greater_equal(x, 1.0) * 2 + C.equal(x, 0.0) * 4
    bounds = C.not_equal(x, 0.5) * 8 + C.less_equal(x, -1.0) * 16 + C.greater(x, 1.5) * 32
    made.update(
        softmax_axis=C.softmax(x, axis=0),
        log=C.log(C.abs(x) + 1.0),
        sqrt=C.sqrt(C.abs(x)),
        reciprocal=C.reciprocal(x + 10.0),
        broadcast=x + ramp * column,
        compare=signs + bounds,
        select=C.element_select(C.less(x, 0.0), x, x * 3),
        clip=C.clip(x, -1.0, 0.5),
        maximum=C.element_max(x, 0.25),
        minimum=C.element_min(x, 0.25),
        divide=x / C.constant(4.0),
        power=C.pow(C.abs(x) + 0.5, 2.5),
        log_add_exp=C.log_add_exp(x, 1.0),
    )
    return made


def shapes(C: Any, x: Any, v: Any) -> Dict[str, Any]:
    def ramp(*shape: int) -> Any:
        return C.constant(np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape) / 8)

    return {
        "reshape": C.reshape(x, (10, -1)),
        "reshape_part": C.reshape(x, (10,), 0, 2),
        "reshape_insert": C.reshape(x, (1,), 1, 1),
        "flatten": C.flatten(x),
        "flatten_2": C.flatten(x, axis=2),
        "slice": x[1],
        "slice_2": x[:, 1:3, -2:],
        "splice": C.splice(x, C.relu(x), axis=1),
        "transpose": C.transpose(x, (2, 0, 1)),
        "swapaxes": C.swapaxes(x, 0, 2),
        "squeeze": C.squeeze(x[0]),
        "times": C.times(x, ramp(6, 2)),
        "times_left": C.times(ramp(2, 5), v),
        "times_both": C.times(C.reshape(v, (1, 5)), C.reshape(v, (5, 1))),
        "times_transpose": C.times_transpose(v, ramp(3, 5)),
        "combine": C.combine([C.relu(v), C.tanh(v)]),
    }


def criteria(C: Any, v: Any, y: Any) -> Dict[str, Any]:
    return {
        "cross_entropy": C.cross_entropy_with_softmax(v, y),
        "classification_error": C.classification_error(v, y),
        "squared_error": C.squared_error(v, y),
        "binary_cross_entropy": C.binary_cross_entropy(C.sigmoid(v), y),
    }


def outputs(function: Any, values: Dict[str, Any]) -> List[Any]:
    """Return a function's outputs as a list of arrays."""
    result = function.eval({argument: values[argument.name] for argument in function.arguments})
    if isinstance(result, dict):
        return [np.asarray(result[output]) for output in function.outputs]
    return [np.asarray(result)]


def main() -> None:
    import cntk

    values = inputs()
    stored = dict(values)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "function.dnn")
        for name, function in functions(cntk).items():
            function.save(path)
            with open(path, "rb") as file:
                stored["file_" + name] = np.frombuffer(file.read(), np.uint8)
            for i, output in enumerate(outputs(function, values)):
                stored[f"output{i}_{name}"] = output
            stored["text_" + name] = np.array([str(function)])
    np.savez_compressed(sys.argv[1], **stored)


if __name__ == "__main__":
    main()
