"""Random numbers of CNTK 2.7 on a CPU: initialisers, distributions, samples.

`python reference_random.py FILE.npz` under real CNTK 2.7 (Python 3.6) made
`data/random_cntk27.npz`; the tests draw the same numbers here and compare.
"""

import sys
import warnings
from typing import Any, Dict

import numpy as np


def parameters(C: Any) -> Dict[str, Any]:
    """Return parameters whose values are drawn when they are made."""
    shape = (4, 5, 3, 2)
    made = {
        "normal": C.parameter((4000,), init=C.normal(1.0, seed=3)),
        "normal_odd": C.parameter((7,), init=C.normal(0.5, seed=9)),
        "truncated_normal": C.parameter((2000,), init=C.truncated_normal(1.0, seed=3)),
        "he_normal": C.parameter((30, 20), init=C.he_normal(seed=5)),
        "glorot_normal": C.parameter((30, 20), init=C.glorot_normal(seed=5)),
        "double": C.parameter((100,), init=C.normal(1.0, seed=3), dtype=np.float64),
        "bilinear": C.parameter((2, 2, 4, 4), init=C.initializer.bilinear(4, 4)),
        "bilinear_odd": C.parameter((1, 1, 3, 3), init=C.initializer.bilinear(3, 3)),
        "scaled": C.parameter((2, 2), init=C.glorot_uniform(2, seed=1)),
        "vector": C.parameter((5,), init=C.he_normal(seed=1)),
        "uniform": C.parameter((2, 2), init=C.uniform(2, seed=3)),
    }
    for kind in ("glorot_uniform", "he_uniform", "xavier", "he_normal"):
        for output, filters in ((1, 0), (2, 0), (1, 1), (2, 1), (-1, 2), (1, 2)):
            drawn = C.initializer.initializer_with_rank(getattr(C, kind)(seed=1), output, filters)
            made["{}_{}_{}".format(kind, output, filters)] = C.parameter(shape, init=drawn)
    return made


def functions(C: Any) -> Dict[str, Any]:
    """Return functions without arguments that draw anew at each evaluation."""
    weights = C.constant(np.array([1, 2, 3, 4, 5, 6], np.float32))
    made = {
        "uniform_op": C.random.uniform((4, 3), low=-1, high=2, seed=4),
        "normal_op": C.random.normal((5, 3), mean=1, scale=2, seed=4),
        "gumbel_op": C.random.gumbel((4, 3), loc=1, scale=2, seed=4),
        "bernoulli_op": C.random.bernoulli((4, 3), mean=0.3, seed=4),
    }
    for name, repeat in (("repeated", True), ("distinct", False)):
        made["sample_" + name] = C.random_sample(weights, 4, repeat, seed=3)
        made["frequency_" + name] = C.random_sample_inclusion_frequency(weights, 4, repeat, seed=3)
    return made


def likes(C: Any) -> Dict[str, Any]:
    """Return functions that draw for each element of a minibatch of three vectors of five."""
    x = C.input_variable(5, name="x")
    return {
        "uniform_like": C.random.uniform_like(x, low=-1, high=2, seed=4),
        "normal_like": C.random.normal_like(x, mean=1, scale=2, seed=4),
        "gumbel_like": C.random.gumbel_like(x, loc=1, scale=2, seed=4),
        "bernoulli_like": C.random.bernoulli_like(x, mean=0.3, seed=4),
    }


def drawn(C: Any) -> Dict[str, Any]:
    """Return all numbers; what is drawn at evaluation is drawn twice."""
    numbers = {name: parameter.value for name, parameter in parameters(C).items()}
    for name, function in functions(C).items():
        for i in range(2):
            result = function.eval()
            numbers["{}_{}".format(name, i)] = getattr(result, "toarray", lambda r=result: r)()
    for name, function in likes(C).items():
        for i in range(2):
            numbers["{}_{}".format(name, i)] = function.eval(np.zeros((3, 5), np.float32))
    return {name: np.asarray(value) for name, value in numbers.items()}


def main() -> None:
    import cntk

    warnings.simplefilter("ignore")
    np.savez_compressed(sys.argv[1], **drawn(cntk))


if __name__ == "__main__":
    main()
