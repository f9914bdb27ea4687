"""Operations, losses and metrics of CNTK 2.7, each on fixed inputs, built through the `cntk` API.

`python reference_operations.py FILE.npz` under real CNTK 2.7 (Python 3.6) made
`data/operations_cntk27.npz`: for each function its `.dnn` file, outputs, gradients and texts. The
tests build the same functions here and compare.
"""

import os
import sys
import tempfile
import warnings
from functools import partial
from typing import Any, Dict, List

import numpy as np

SHAPES = {
    "x": (2, 4, 5),
    "u": (5,),
    "w": (5,),
    "p": (5,),
    "q": (5,),
    "y": (5,),
    "i": (3,),
    "r": (2, 4),
    "h": (1,),
    "s": (1,),
}


def inputs() -> Dict[str, Any]:
    """Return three samples: reals x, u, w; shares p, q; one-hot y; indices i; rois r; gains h."""
    draw = np.random.RandomState(11)
    reals = {n: draw.randint(-40, 41, (3,) + SHAPES[n]) / 16.0 for n in "xuw"}
    shares = {n: draw.randint(1, 16, (3, 5)) / 16.0 for n in "pq"}
    made = dict(reals, y=np.eye(5)[[1, 0, 4]], i=draw.randint(0, 4, (3, 3)), **shares)
    made["r"] = np.array(
        [[[0, 0, 4, 3], [1, 1, 3, 3]], [[0, 1, 1, 2], [2, 0, 4, 1]], [[1, 2, 2, 3]] * 2]
    )
    made["h"], made["s"] = np.array([[3], [2], [1]]), np.array([[7], [7], [7]])
    return {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in made.items()}


def functions(C: Any) -> Dict[str, Any]:
    """Return all functions by name; in this order their parameters take the seeds 0, 1, ..."""
    places = {
        name: C.input_variable(shape, name=name, needs_gradient=name in "xuwp")
        for name, shape in SHAPES.items()
    }
    made: Dict[str, Any] = {}
    for group in (elements, arrangements, reductions, windows, products, criteria, constants):
        for name, build in group(C, **places).items():
            made[name] = build()
    return made


def elements(C: Any, x: Any, u: Any, w: Any, p: Any, y: Any, **_: Any) -> Dict[str, Any]:
    simple = "sinh cosh tan atan asinh ceil round floor softsign selu square relu".split()
    made: Dict[str, Any] = {n: partial(getattr(C, n), x) for n in simple}
    inside = "asin acos atanh sqrt log reciprocal".split()
    made.update({n + "_p": partial(getattr(C, n), p) for n in inside})
    made.update(
        hard_sigmoid=lambda: C.hard_sigmoid(x, 0.2, 0.5),
        selu_options=lambda: C.selu(x, 2.0, 0.5),
        elu_alpha=lambda: C.elu(x, 0.3),
        leaky_alpha=lambda: C.leaky_relu(x, 0.2),
        param_relu=lambda: C.param_relu(C.constant(np.full((2, 4, 5), 0.3, np.float32)), x),
        softplus_steep=lambda: C.softplus(x, steepness=4),
        element_and=lambda: C.element_and(C.greater(u, 0.0), y),
        element_or=lambda: C.element_or(C.greater(u, 0.0), y),
        element_xor=lambda: C.element_xor(C.greater(u, 0.0), y),
        element_not=lambda: C.element_not(y),
        mean=lambda: C.mean([u, w, p]),
        sum=lambda: C.sum([u, w, p]),
        plus_many=lambda: C.plus(u, w, p, y, name="many"),
        times_many=lambda: C.element_times(u, w, p, y),
        max_many=lambda: C.element_max(u, w, p),
        min_many=lambda: C.element_min(u, w, p),
        log_add_exp_many=lambda: C.log_add_exp(u, w, p),
        clip_variables=lambda: C.clip(u, C.minus(w, 1.0), C.plus(w, 1.0)),
        select=lambda: C.element_select(C.greater(u, w), u, p),
        pow=lambda: C.pow(p, w),
        straight_through=lambda: C.ops.straight_through_impl(u),
        stop_gradient=lambda: C.plus(C.stop_gradient(u), w),
        ones_like=lambda: C.ones_like(x),
        zeros_like=lambda: C.zeros_like(x),
        cast=lambda: C.cast(u, np.float64),
        log_softmax=lambda: C.log_softmax(x),
        log_softmax_axis=lambda: C.log_softmax(x, axis=1),
        softmax_axis=lambda: C.softmax(x, axis=1),
        softmax_vector=lambda: C.softmax(u),
        hardmax=lambda: C.hardmax(u),
        operators=lambda: (2.0 - u) * w / p - (-u) + abs(w),
        named=lambda: C.tanh(u, name="bent"),
    )
    return made


def arrangements(C: Any, x: Any, u: Any, w: Any, i: Any, **_: Any) -> Dict[str, Any]:
    ramp = C.constant(np.arange(20, dtype=np.float32).reshape(5, 4))
    return {
        "top_k": lambda: C.top_k(x, 3),
        "top_k_axis": lambda: C.top_k(x, 2, axis=1),
        "gather": lambda: C.gather(ramp, i),
        "gather_axis": lambda: C.gather(ramp, i, axis=1),
        "gather_matrix": lambda: C.gather(C.reshape(ramp, (5, 2, 2)), C.reshape(i, (3, 1))),
        "one_hot": lambda: C.one_hot(i, 4),
        "one_hot_axis": lambda: C.one_hot(i, 4, axis=0),
        "pad_constant": lambda: C.pad(x, [(1, 2), (0, 1), (2, 0)], C.ops.CONSTANT_PAD, 1.5),
        "pad_reflect": lambda: C.pad(x, [(1, 1), (2, 1), (0, 3)], C.ops.REFLECT_PAD),
        "pad_symmetric": lambda: C.pad(x, [(1, 2), (2, 1), (0, 3)], C.ops.SYMMETRIC_PAD),
        "expand_dims": lambda: C.expand_dims(x, 1),
        "expand_dims_last": lambda: C.expand_dims(x, -1),
        "squeeze_axes": lambda: C.squeeze(C.reshape(x, (1, 8, 1, 5)), [0]),
        "transpose": lambda: C.transpose(x, (2, 0, 1)),
        "transpose_negative": lambda: C.transpose(x, (0, -1, -2)),
        "swapaxes": lambda: C.swapaxes(x, 0, -1),
        "slice_axes": lambda: C.slice(x, [0, 2], [1, -4], [2, 5]),
        "slice_strides": lambda: C.slice(x, 2, 0, 5, 2),
        "slice_back": lambda: C.slice(x, 2, 0, 0, -1),
        "index": lambda: x[1, :, ::2],
        "index_last": lambda: x[:, -1, 1:-1],
        "splice_many": lambda: C.splice(x, x * 2.0, C.relu(x), axis=0),
        "splice_vectors": lambda: C.splice(u, w),
        "splice_new_axis": lambda: C.splice(u, w, axis=C.Axis.new_leading_axis()),
        "reshape_part": lambda: C.reshape(x, (2, 2), 1, 2),
        "reshape_negative": lambda: C.reshape(x, (4, -1)),
        "flatten": lambda: C.flatten(x),
        "flatten_axis": lambda: C.flatten(x, axis=1),
        "depth_to_space": lambda: C.depth_to_space(C.reshape(x, (4, 2, 5)), 2),
        "space_to_depth": lambda: C.space_to_depth(C.reshape(x, (1, 4, 10)), 2),
        "crop_manual": lambda: C.crop_manual(x, C.constant(np.zeros((2, 2, 3), "f")), 1, 2),
        "crop_automatic": lambda: C.crop_automatic(
            C.convolution(C.constant(np.ones((2, 2, 1, 1), "f")), x, auto_padding=[False]),
            C.pooling(x, C.MAX_POOLING, (2, 2), (1, 1)),
        ),
        "unpack_batch": lambda: C.unpack_batch(u),
        "to_batch": lambda: C.to_batch(ramp),
        "eye_like": lambda: C.eye_like(u, sparse_output=False),
        "alias": lambda: C.alias(u, "other"),
        "combine": lambda: C.combine(C.relu(u), C.tanh(w), u),
        "block": lambda: _block(C, u),
    }


def _block(C: Any, u: Any) -> Any:
    inside = C.placeholder(name="inside")
    return C.as_block(C.relu(inside * 2.0), [(inside, u)], "Twice", "twice")


def reductions(C: Any, x: Any, u: Any, p: Any, **_: Any) -> Dict[str, Any]:
    made: Dict[str, Any] = {}
    kinds = "sum mean max min log_sum_exp prod l1 l2 sum_square".split()
    for kind in kinds:
        reduce = getattr(C, "reduce_" + kind)
        made[kind + "_all"] = partial(reduce, x)
        made[kind + "_1"] = partial(reduce, x, axis=1)
        made[kind + "_02"] = partial(reduce, x, axis=[0, 2])
        made[kind + "_dropped"] = partial(reduce, x, axis=1, keepdims=False)
    made.update(
        sum_02_dropped=lambda: C.reduce_sum(x, axis=(0, 2), keepdims=False),
        sum_batch=lambda: C.reduce_sum(p, axis=C.Axis.default_batch_axis()),
        mean_batch=lambda: C.reduce_mean(x, axis=C.Axis.default_batch_axis()),
        max_batch=lambda: C.reduce_max(p, axis=C.Axis.default_batch_axis()),
        sum_all_axes=lambda: C.reduce_sum(p, axis=C.Axis.all_axes()),
        mean_all_axes=lambda: C.reduce_mean(p, axis=C.Axis.all_axes()),
        argmax=lambda: C.argmax(x, axis=0),
        argmax_all=lambda: C.argmax(x),
        argmin=lambda: C.argmin(x, axis=-1),
    )
    return made


def windows(C: Any, x: Any, r: Any, **_: Any) -> Dict[str, Any]:
    made: Dict[str, Any] = {}

    def kernel(*shape: int) -> Any:
        size = int(np.prod(shape))
        return C.constant((np.arange(size, dtype=np.float32).reshape(shape) % 7 - 3) / 4)

    for pad in (True, False):
        title = "pad" if pad else "valid"
        for step in (1, 2, 3):
            made["transposed_{}_{}".format(step, title)] = partial(
                C.convolution_transpose,
                kernel(2, 3, 3, 3),
                x,
                (step, step),
                auto_padding=[False, pad, pad],
            )
        pooled = C.pooling(x, C.MAX_POOLING, (2, 2), (2, 2), [pad])
        made["unpooling_" + title] = partial(
            C.unpooling, pooled, x, C.ops.MAX_UNPOOLING, (2, 2), (2, 2), [pad]
        )
    made.update(
        transposed_even=lambda: C.convolution_transpose(
            kernel(2, 1, 2, 4), x, (2, 2), auto_padding=[False, True, True]
        ),
        transposed_shape=lambda: C.convolution_transpose(
            kernel(2, 3, 3, 3), x, (2, 2), auto_padding=[False, True, True], output_shape=(3, 8, 10)
        ),
        transposed_shape_valid=lambda: C.convolution_transpose(
            kernel(2, 3, 3, 3), x, (2, 2), auto_padding=[False], output_shape=(3, 10, 12)
        ),
        convolution_groups=lambda: C.convolution(
            kernel(4, 1, 3, 3), x, auto_padding=[False, True, True], groups=2
        ),
        convolution_strides=lambda: C.convolution(
            kernel(3, 2, 3, 3), x, (2, 1, 2), auto_padding=[False, True, False]
        ),
        convolution_rank0=lambda: C.convolution(
            kernel(3, 3, 3), C.reduce_sum(x, 0, keepdims=False), reduction_rank=0
        ),
        convolution_2_axes=lambda: C.convolution(kernel(3, 2, 4, 2), x, auto_padding=[False]),
        pooling_channels=lambda: C.pooling(x, C.MAX_POOLING, (2, 2, 2), (1, 1, 2)),
        pooling_ceil=lambda: C.pooling(x, C.AVG_POOLING, (3, 3), (2, 2), [False], True),
        pooling_ceil_max=lambda: C.pooling(x, C.MAX_POOLING, (3, 2), (2, 3), [False], True),
        pooling_include=lambda: C.pooling(x, C.AVG_POOLING, (3, 3), (2, 2), [True], False, True),
        pooling_mixed=lambda: C.pooling(x, C.MAX_POOLING, (3, 2), (2, 1), [True, False]),
        pooling_defaults=lambda: C.pooling(x, C.AVG_POOLING, (2, 2)),
        roipooling=lambda: C.roipooling(x, r, C.MAX_POOLING, (2, 2), 1.0),
        roipooling_scaled=lambda: C.roipooling(x, r, C.MAX_POOLING, (3, 2), 0.5),
        lrn=lambda: C.local_response_normalization(C.reshape(x, (5, 4, 2)), 1, 1.0, 0.5, 0.75),
        mvn=lambda: C.mean_variance_normalization(x),
        mvn_across=lambda: C.mean_variance_normalization(x, 0.01, True, True),
        mvn_mean_only=lambda: C.mean_variance_normalization(x, 0.0, False, False),
        image_scaler=lambda: C.image_scaler(x, 0.5, [1.0, -1.0]),
        per_dim=lambda: C.per_dim_mean_variance_normalize(
            x, np.full((2, 4, 5), 0.5, np.float32), np.full((2, 4, 5), 2.0, np.float32)
        ),
    )
    return made


def products(C: Any, x: Any, u: Any, w: Any, **_: Any) -> Dict[str, Any]:
    def ramp(*shape: int) -> Any:
        return C.constant(np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape) / 8)

    return {
        "times_rank2": lambda: C.times(x, ramp(5, 2, 3), output_rank=2),
        "times_all": lambda: C.times(x, ramp(2, 4, 5, 3), infer_input_rank_to_map=0),
        "times_map": lambda: C.times(x, ramp(4, 5, 3), infer_input_rank_to_map=1),
        "times_scalar_rank": lambda: C.times(u, ramp(5, 1), output_rank=1),
        "times_transpose_vectors": lambda: C.times_transpose(u, w),
        "times_transpose_matrix": lambda: C.times_transpose(x, ramp(3, 5)),
        "times_inferred": lambda: C.times(u, C.parameter((-1, 3), init=0.5)),
    }


def criteria(C: Any, x: Any, u: Any, w: Any, p: Any, y: Any, **more: Any) -> Dict[str, Any]:
    q, s = more["q"], more["s"]
    return {
        "cosine_distance": lambda: C.cosine_distance(u, w),
        "cosine_negative": lambda: C.cosine_distance_with_negative_samples(u, w, 1, 2),
        "binary_cross_entropy": lambda: C.binary_cross_entropy(p, y),
        "weighted_binary": lambda: C.weighted_binary_cross_entropy(
            C.slice(p, 0, 0, 1), C.slice(y, 0, 0, 1), C.slice(q, 0, 0, 1)
        ),
        "cross_entropy": lambda: C.cross_entropy_with_softmax(u, y),
        "cross_entropy_axis": lambda: C.cross_entropy_with_softmax(x, C.softmax(x), axis=1),
        "squared_error": lambda: C.squared_error(u, w),
        "squared_error_images": lambda: C.squared_error(x, C.relu(x)),
        "fmeasure": lambda: C.losses.fmeasure(p, y),
        "fmeasure_beta": lambda: C.losses.fmeasure(
            C.reshape(p, (1, 1, 5)), C.reshape(y, (1, 1, 5)), 2
        ),
        "classification_error": lambda: C.classification_error(u, y),
        "classification_top2": lambda: C.classification_error(u, y, topN=2),
        "classification_axis": lambda: C.classification_error(x, C.hardmax(x), axis=1),
        "lambda_rank": lambda: C.lambda_rank(C.slice(u, 0, 0, 1), more["h"], s),
        "ndcg_at_1": lambda: C.ndcg_at_1(C.slice(q, 0, 0, 1), more["h"], s),
    }


def constants(C: Any, u: Any, **_: Any) -> Dict[str, Any]:
    return {
        "constant_plus": lambda: C.plus(C.constant([1.0, 2.0, 3.0, 4.0, 5.0]), u),
        "constant_shape": lambda: C.plus(C.constant(2.0, shape=(5,)), u),
        "number": lambda: C.plus(u, 3),
        "list": lambda: C.plus(u, [1, 2, 3, 4, 5]),
        "array": lambda: C.element_times(u, np.arange(5, dtype=np.float32)),
        "parameter": lambda: C.element_times(u, C.parameter((5,), init=C.glorot_uniform())),
    }


def values_for(function: Any, values: Dict[str, Any]) -> Dict[Any, Any]:
    return {argument: values[argument.name] for argument in function.arguments}


def outputs(function: Any, values: Dict[str, Any]) -> List[Any]:
    """Return a function's outputs as a list of arrays."""
    given = values_for(function, values)
    result = function.eval(given)
    if isinstance(result, dict):
        return [np.asarray(result[output]) for output in function.outputs]
    return [np.asarray(result)]


def gradients(function: Any, values: Dict[str, Any]) -> Dict[str, Any]:
    """Return the gradients of the only output with respect to the inputs, by name."""
    wanted = [a for a in function.arguments if a.needs_gradient]
    if len(function.outputs) > 1 or not wanted:
        return {}
    result = function.grad(values_for(function, values), wrt=wanted)
    if not isinstance(result, dict):
        result = {wanted[0]: result}
    return {variable.name: np.asarray(g) for variable, g in result.items()}


# Nothing flows back through these in CNTK, and asking for it is an error there.
NO_GRADIENT = ("classification_top", "cast")


def main() -> None:
    import cntk

    warnings.simplefilter("ignore")
    values = inputs()
    stored = dict(values)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "function.dnn")
        for name, function in functions(cntk).items():
            function.save(path)
            with open(path, "rb") as file:
                stored["file_" + name] = np.frombuffer(file.read(), np.uint8)
            for k, output in enumerate(outputs(function, values)):
                stored["output{}_{}".format(k, name)] = output
            if not name.startswith(NO_GRADIENT):
                for variable, gradient in gradients(function, values).items():
                    stored["gradient_{}_{}".format(variable, name)] = gradient
            stored["text_" + name] = np.array([str(function)])
    np.savez_compressed(sys.argv[1], **stored)


if __name__ == "__main__":
    main()
