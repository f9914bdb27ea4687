"""Layers of CNTK 2.7 and two of its networks for CIFAR-10, built through the `cntk` API.

`python reference_layers.py FILE.npz` under real CNTK 2.7 (Python 3.6) made
`data/layers_cntk27.npz`: for each layer its `.dnn` file, output and text, for the networks
the losses of their first steps. The tests build and train the same here and compare.
"""

import json
import os
import subprocess
import sys
import tempfile
import warnings
from typing import Any, Dict, List

import numpy as np


def inputs() -> Dict[str, Any]:
    """Return three samples of x (2, 4, 5), small (2, 2, 2) and v (6,)."""
    draw = np.random.RandomState(3)
    shapes = {"x": (3, 2, 4, 5), "small": (3, 2, 2, 2), "v": (3, 6)}
    return {
        name: np.ascontiguousarray(draw.randint(-40, 41, shape) / 16.0, dtype=np.float32)
        for name, shape in shapes.items()
    }


def functions(C: Any) -> Dict[str, Any]:
    """Return all functions by name; in this order their parameters take the seeds 0, 1, ..."""
    x = C.input_variable((2, 4, 5), name="x")
    small, v = C.input_variable((2, 2, 2), name="small"), C.input_variable(6, name="v")
    made: Dict[str, Any] = {}
    made.update(convolutions(C, x, small))
    made.update(others(C, x, v))
    made.update(composed(C, v))
    return made


def convolutions(C: Any, x: Any, small: Any) -> Dict[str, Any]:
    L = C.layers
    flat = C.reduce_sum(x, axis=0, keepdims=False)
    return {
        "transposed": L.ConvolutionTranspose((3, 3), 4)(small),
        "transposed_options": L.ConvolutionTranspose2D(
            (3, 3), 4, activation=C.relu, pad=True, strides=2, bias=False, output_shape=(4, 4)
        )(small),
        "transposed_1d": L.ConvolutionTranspose1D(3, 2, strides=2)(C.reshape(x, (2, 20))),
        "transposed_3d": L.ConvolutionTranspose3D(2, 3)(C.reshape(x, (2, 2, 2, 5))),
        "convolution_1d": L.Convolution1D(3, 4, pad=True, strides=2)(C.reshape(x, (2, 20))),
        "convolution_3d": L.Convolution3D(2, 3, init=C.he_normal())(C.reshape(x, (2, 2, 2, 5))),
        "convolution_one": L.Convolution2D((2, 3))(x),
        "convolution_gray": L.Convolution2D((2, 3), 3, reduction_rank=0, pad=True)(flat),
        "convolution_array": L.Convolution(
            (2, 2), init=np.arange(4, dtype=np.float32).reshape(2, 2), reduction_rank=0, bias=False
        )(flat),
        "convolution_named": L.Convolution2D((3, 3), 2, pad=[True, False], name="here")(x),
        "unpooling": L.MaxUnpooling((2, 2), strides=2)(L.MaxPooling((2, 2), strides=2)(x), x),
        "global_max": L.GlobalMaxPooling()(x),
        "global_average": L.GlobalAveragePooling()(x),
        "average": L.AveragePooling((2, 2), strides=(1, 2), pad=True)(x),
    }


def others(C: Any, x: Any, v: Any) -> Dict[str, Any]:
    L = C.layers
    made = {
        "layer_normalization": L.LayerNormalization(2, 0.5)(x),
        "layer_normalization_plain": L.LayerNormalization(epsilon=0)(v),
        "stabilizer": L.Stabilizer()(v),
        "stabilizer_off": C.relu(L.Stabilizer(enable_self_stabilization=False)(v)),
        "batch_normalization": L.BatchNormalization(init_scale=2)(v),
        "label": L.Label("hi")(v),
        "dense_shapes": L.Dense((2, 3), input_rank=2, activation=C.tanh, bias=False)(x),
        "dense_map": L.Dense(3, map_rank=1, init=C.normal(0.3), init_bias=0.5, name="d")(x),
        "dropout": L.Dropout(keep_prob=0.75)(v),
    }
    with C.default_options(activation=C.relu, init=C.he_normal(), bias=False):
        made["dense_defaults"] = L.Dense(3)(v)
    with C.default_options_for([L.Dense, L.Convolution2D], init_bias=1.5):
        made["dense_for"] = L.Dense(3)(v)
    return made


def composed(C: Any, v: Any) -> Dict[str, Any]:
    L = C.layers

    twice = C.BlockFunction("Twice", "two")(lambda a: a * 2.0)
    both = C.BlockFunction("Both", "")(lambda a, b: C.tanh(a) + b)
    scaled = C.Function(lambda a, b: a * C.relu(b))
    typed = C.Function.with_signature(L.typing.Tensor[6])(lambda a: a + 1.0)
    parts = (L.Dense(2), L.Dense(3))
    return {
        "residual": L.Sequential([L.ResNetBlock(L.Dense(6)), C.relu])(v),
        "residual_named": L.ResNetBlock(L.Dense(6), name="res")(v),
        "clique": L.SequentialClique([L.Dense(6), L.Dense(6, activation=C.tanh)], name="cl")(v),
        "sequential": L.Sequential([L.Dense(4), [C.relu, L.Dense(2)]], name="net")(v),
        "side_by_side": L.Sequential([L.Dense(4), parts, C.splice])(v),
        "for": L.For(range(2), lambda i: L.Dense(i + 3))(v),
        "shifted": (L.Dense(3) >> C.tanh)(v),
        "block": twice(v),
        "block_of_two": both(v, C.relu(v)),
        "by_name": scaled(b=v, a=v * 2.0),
        "typed": typed(v),
        "pair": C.Function(lambda a: (C.relu(a), a * 2.0))(v),
    }


def outputs(function: Any, values: Dict[str, Any]) -> List[Any]:
    """Return a function's outputs as a list of arrays."""
    result = function.eval({argument: values[argument.name] for argument in function.arguments})
    if isinstance(result, dict):
        return [np.asarray(result[output]) for output in function.outputs]
    return [np.asarray(result)]


# The networks of CNTK's examples Image/Classification/ConvNet and ResNet, for smaller pictures.


def convnet(C: Any, x: Any) -> Any:
    """Return CNTK's ConvNet for CIFAR-10 with its normalizations, with fewer filters."""
    L = C.layers
    with C.default_options(activation=C.relu):
        model = L.Sequential(
            [
                L.For(
                    range(2),
                    lambda i: [
                        L.Convolution((3, 3), [8, 16][i], pad=True),
                        L.MaxPooling((3, 3), strides=(2, 2)),
                    ],
                ),
                L.For(range(2), lambda i: [L.Dense([32, 16][i]), L.Dropout(0.5)]),
                L.Dense(10, activation=None),
            ]
        )
    return model(x / 256.0)


def convnet_lrn(C: Any, x: Any) -> Any:
    """Return CNTK's ConvNet for CIFAR-10 with local response normalization."""
    L = C.layers
    with C.default_options(activation=C.relu, pad=True):
        model = L.Sequential(
            [
                L.Convolution2D((5, 5), 16, init=C.normal(0.05), pad=True),
                lambda h: C.local_response_normalization(h, 4, 1.0, 0.001, 0.75),
                L.MaxPooling((3, 3), (2, 2)),
                L.Dense(16),
                L.Dropout(0.25),
                L.Dense(10, activation=None),
            ]
        )
    return model(x / 256.0)


def resnet(C: Any, x: Any) -> Any:
    """Return CNTK's ResNet for CIFAR-10 with one block of each kind and fewer filters."""
    L = C.layers

    def normalized(h: Any, size: Any, filters: int, strides: Any = (1, 1), scale: Any = 1) -> Any:
        c = L.Convolution(
            size,
            filters,
            activation=None,
            init=C.he_normal(),
            pad=True,
            strides=strides,
            bias=False,
        )(h)
        return L.BatchNormalization(
            map_rank=1,
            normalization_time_constant=4096,
            use_cntk_engine=False,
            init_scale=scale,
            disable_regularization=True,
        )(c)

    def basic(h: Any, filters: int) -> Any:
        inner = C.relu(normalized(h, (3, 3), filters))
        return C.relu(normalized(inner, (3, 3), filters) + h)

    def wider(h: Any, filters: int) -> Any:
        inner = C.relu(normalized(h, (3, 3), filters, (2, 2)))
        short = normalized(h, (1, 1), filters, (2, 2))
        return C.relu(normalized(inner, (3, 3), filters) + short)

    h = C.relu(normalized(x / 256.0, (3, 3), 8))
    h = basic(h, 8)
    h = wider(h, 16)
    pooled = L.AveragePooling(filter_shape=(6, 6), name="final_avg_pooling")(h)
    return L.Dense(10, init=C.normal(0.01))(pooled)


def losses(C: Any, build: Any, steps: int = 6) -> List[float]:
    """Train a network on made-up pictures of 12 x 12 and return the loss of each minibatch."""
    x, y = C.input_variable((3, 12, 12)), C.input_variable(10)
    z = build(C, x)
    loss, metric = C.cross_entropy_with_softmax(z, y), C.classification_error(z, y)
    rate = C.learning_rate_schedule(0.02, C.UnitType.minibatch)
    learner = C.momentum_sgd(
        z.parameters, rate, C.momentum_schedule(0.9), l2_regularization_weight=1e-4
    )
    trainer = C.Trainer(z, (loss, metric), [learner])
    draw = np.random.RandomState(7)
    found = []
    for _ in range(steps):
        pictures = draw.randint(0, 256, (16, 3, 12, 12)).astype(np.float32)
        classes = np.eye(10, dtype=np.float32)[draw.randint(0, 10, 16)]
        trainer.train_minibatch({x: pictures, y: classes})
        found.append(trainer.previous_minibatch_loss_average)
    return found


NETWORKS = {"convnet": convnet, "convnet_lrn": convnet_lrn, "resnet": resnet}


def main() -> None:
    import cntk

    warnings.simplefilter("ignore")
    if sys.argv[1] == "losses":
        json.dump(losses(cntk, NETWORKS[sys.argv[2]]), sys.stdout)
        return
    values = inputs()
    stored: Dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "function.dnn")
        for name, function in functions(cntk).items():
            function.save(path)
            with open(path, "rb") as file:
                stored["file_" + name] = np.frombuffer(file.read(), np.uint8)
            for k, output in enumerate(outputs(function, values)):
                stored["output{}_{}".format(k, name)] = output
            stored["text_" + name] = np.array([str(function)])
    for name in NETWORKS:
        # Each in a process of its own: CNTK's convolutions crash after some others.
        out = subprocess.check_output([sys.executable, __file__, "losses", name])
        stored["losses_" + name] = np.array(json.loads(out.decode()))
    np.savez_compressed(sys.argv[1], **stored)


if __name__ == "__main__":
    main()
