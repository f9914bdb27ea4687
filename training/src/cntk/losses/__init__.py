"""Losses: what training makes small."""

import math
from typing import Any

import numpy as np

from cntk import ops
from cntk._absent import absent
from cntk.initializer import glorot_normal
from cntk.ops._arithmetic import SentinelValueForAutoSelectRandomSeed
from cntk.ops._building import _compound, _node, _variables
from cntk.ops.functions import Function
from cntk.variables import Constant, Parameter, Variable


def cross_entropy_with_softmax(
    output_vector: Any, target_vector: Any, axis: Any = -1, name: str = ""
) -> Function:
    """Return logsumexp(z) - sum(y * z) along an axis, which stays with length 1.

    Args:
        output_vector: z, before any softmax, shape (..., classes).
        target_vector: y, likewise; what it does not add up to 1 counts as it is.
        axis: Of the classes.
        name: Of the function.
    """

    def build(z: Any, y: Any) -> Any:
        if axis == -1:
            return ops.minus(ops.reduce_log_sum_exp(z, -1), ops.times_transpose(z, y))
        return ops.minus(
            ops.reduce_log_sum_exp(z, axis), ops.reduce_sum(ops.element_times(y, z), axis)
        )

    return _compound("CrossEntropyWithSoftmax", build, [output_vector, target_vector], name)


def squared_error(output: Any, target: Any, name: str = "") -> Function:
    """Return the sum of squared differences over all elements, shape ()."""

    def build(a: Any, b: Any) -> Any:
        difference = ops.minus(a, b)
        return ops.reduce_sum(ops.element_times(difference, difference))

    return _compound("SquaredError", build, [output, target], name)


def binary_cross_entropy(output: Any, target: Any, name: str = "") -> Function:
    """Return -(y * log(p) + (1 - y) * log(1 - p)), element by element, kept finite."""

    def build(p: Any, y: Any) -> Any:
        zeros = ops.element_times(ops.minus(1.0, y), ops.log(ops.minus(1.000001, p)))
        return ops.negate(ops.plus(ops.element_times(y, ops.log(ops.plus(0.000001, p))), zeros))

    return _compound("BinaryCrossEntropy", build, [output, target], name)


def weighted_binary_cross_entropy(
    output: Any, target: Any, weight: Any, name: str = ""
) -> Function:
    """Return -(y * log(p) + (1 - y) * log(1 - p)) * weight, for a minibatch as a whole.

    As in CNTK the value is the mean over the samples and the gradient that of the sum.

    Args:
        output: p, between 0 and 1.
        target: y, 0 or 1, of the same shape.
        weight: Likewise.
        name: Of the function.
    """
    return _node("Logistic", [output, target, weight], None, name)


def cosine_distance(x: Any, y: Any, name: str = "") -> Function:
    """Return the cosine of the angle between x and y, of equal shapes; shape ()."""
    return _node("CosDistance", [x, y], None, name)


def cosine_distance_with_negative_samples(
    x: Any, y: Any, shift: int, num_negative_samples: int, name: str = ""
) -> Function:
    """Return the cosines of x with its own y and with those of samples further on.

    Args:
        x: A vector.
        y: A vector of the same length.
        shift: How many samples further on the first stranger stands; the batch goes round.
        num_negative_samples: How many strangers, each one sample further on.
        name: Of the function.

    Returns:
        A function of shape (1 + num_negative_samples,).
    """
    operands = [x, y, float(shift), float(num_negative_samples)]
    return _node("CosDistanceWithNegativeSamples", operands, None, name)


def lambda_rank(output: Any, gain: Any, group: Any, name: str = "") -> Function:
    """Return 100 * (1 - NDCG), averaged over queries, for a minibatch as a whole.

    Args:
        output: A document's score, shape (1,).
        gain: How good it is, shape (1,), without a gradient.
        group: The number of its query, shape (1,); a query's documents stand together, the best one
            first.
        name: Of the function.
    """
    if any(v.needs_gradient for v in _variables([gain, group])):
        message = "LambdaRank operation needs input type (no gradient) for gain input."
        raise ValueError(message)
    return _node("LambdaRank", [output, gain, group], None, name)


def nce_loss(
    weights: Any,
    biases: Any,
    inputs: Any,
    labels: Any,
    noise_distribution: Any,
    num_samples: int = 32,
    allow_duplicates: bool = True,
    seed: int = SentinelValueForAutoSelectRandomSeed,
    name: str = "",
) -> Function:
    """Return a loss that tells the true class from sampled ones; shape ().

    Gutmann and Hyvarinen, Noise-contrastive estimation, 2010.

    Args:
        weights: A parameter of shape (classes, dimension).
        biases: A parameter of shape (classes, 1).
        inputs: Shape (dimension,).
        labels: One-hot, shape (classes,).
        noise_distribution: How often each class is drawn, shape (classes,); an array.
        num_samples: How many are drawn, the same for all samples of a minibatch.
        allow_duplicates: Whether a class may be drawn twice.
        seed: Of the generator; the process's next one by default.
        name: Of the function.
    """
    noise = _variables([noise_distribution])[0]
    shares = np.asarray(noise._tensor.detach().cpu(), np.float64).ravel()
    shares = shares / shares.sum()
    w, b = _variables([weights, biases])
    # The samples stand in for all draws from the noise: each weighs as much as one of them.
    known = np.log(num_samples * shares)
    constants = {
        "logNoisePrior": known[:, None],
        "noisePriorEntropy": float((shares * known).sum()) * num_samples,
        "noise": shares,
        "importanceWeights": np.full(len(shares), 1.0 / num_samples),
    }
    prior, entropy, distribution, importance = (
        Constant(np.asarray(value, w.dtype), name=key) for key, value in constants.items()
    )

    def build(x: Variable, y: Variable) -> Any:
        drawn = ops.random_sample(distribution, num_samples, allow_duplicates, seed)
        weigh = ops.times_transpose(importance, drawn)
        # One number for each sampled class.
        offsets, priors = (ops.reshape(ops.times(drawn, v), (-1,)) for v in (b, prior))
        logits = ops.times_transpose(x, ops.times(drawn, w)) + offsets
        strangers = ops.log_add_exp(logits, priors)
        on_strangers = float(num_samples) * ops.reduce_sum(weigh * strangers) - entropy
        offset, own_prior = (ops.reshape(ops.times(y, v), ()) for v in (b, prior))
        true = ops.reduce_sum(x * ops.times(y, w)) + offset
        on_true = ops.log_add_exp(true, own_prior) - true
        return on_true + on_strangers

    return _compound("NCE", build, [inputs, labels], name)


def fmeasure(output: Any, target: Any, beta: float = 1) -> Function:
    """Return 1 - (1 + beta^2) * precision * recall / (beta^2 * precision + recall).

    Args:
        output: Between 0 and 1; of shape (channels, height, width) each channel counts for itself.
        target: 0 or 1, of the same shape.
        beta: How much more recall counts than precision.
    """
    assert len(target.shape) == len(output.shape)
    axis = (1, 2) if len(output.shape) == 3 else None
    right = ops.reduce_sum(output * target, axis=axis)
    precision = right / ops.reduce_sum(output, axis=axis)
    recall = right / ops.reduce_sum(target, axis=axis)
    return 1 - (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


def hierarchical_softmax_layer(
    input_var: Any, label_index: Any, label_dim: int, label_classes: int | None = None
) -> tuple[Function, Function, list[Function]]:
    """Return probabilities of many labels, which stand in classes of about equal size.

    Args:
        input_var: Shape (dimension,).
        label_index: The number of the true label, shape (1,).
        label_dim: How many labels there are.
        label_classes: How many classes; by default about the square root of that.

    Returns:
        The true label's probability, the classes' probabilities, and for each class those of its
        labels.
    """
    dim = input_var.shape[0]
    classes = label_classes or math.ceil(math.sqrt(label_dim))
    size = math.ceil(label_dim / classes)
    target_class = ops.floor((label_index + 0.5) / size)
    target = ops.round(label_index - target_class * size)
    shapes = {"w1": (dim, classes), "b1": (classes,), "w2s": (classes, dim, size)}
    shapes["b2s"] = (classes, size)
    w1, b1, w2s, b2s = (
        Parameter(shape, glorot_normal(), name=f"hsoftmax_{key}") for key, shape in shapes.items()
    )
    of_classes = ops.softmax(b1 + ops.times(input_var, w1))
    marked = ops.one_hot(target_class, num_classes=classes, sparse_output=False)
    w2 = ops.reshape(ops.times(marked, w2s, output_rank=2), (dim, -1))
    b2 = ops.reshape(ops.times(marked, b2s, output_rank=1), (-1,))
    inside = ops.softmax(b2 + ops.times(input_var, w2))
    place = ops.one_hot(target, num_classes=size, sparse_output=False)
    of_target = ops.times_transpose(place, inside) * ops.times_transpose(marked, of_classes)
    everything = []
    for i in range(classes):
        this = ops.one_hot(Constant(float(i)), num_classes=classes, sparse_output=False)
        weight, bias = ops.times(this, w2s, output_rank=2), ops.times(this, b2s, output_rank=1)
        within = ops.softmax(bias + ops.times(input_var, weight))
        everything.append(within * ops.times_transpose(this, of_classes))
    return of_target, of_classes, everything


__getattr__ = absent(__name__)
