"""Operations element by element: arithmetic, comparisons, activations, dropout."""

from collections.abc import Sequence
from functools import reduce
from typing import Any, Final

import numpy as np

from cntk._absent import refuse
from cntk._dictionary import Float32, SizeT
from cntk._random import SEEDS
from cntk.axis import to_file
from cntk.ops._building import (
    _binary,
    _compound,
    _logical,
    _node,
    _rounding,
    _unary,
    _variables,
    associative_multi_arg,
)
from cntk.ops._shapes import reduce_max, reduce_sum
from cntk.ops.functions import Function
from cntk.variables import DTYPES, Variable

SentinelValueForAutoSelectRandomSeed: Final = 2**64 - 3
"""As a seed: the process's next one."""

negate = _unary("Negate", "Return -x, element by element.")
tanh = _unary("Tanh", "Return the hyperbolic tangent, element by element.")
relu = _unary("ReLU", "Return max(0, x), element by element.")
exp = _unary("Exp", "Return e to the power of x, element by element.")
log = _unary("Log", "Return the natural logarithm, element by element.")
sqrt = _unary("Sqrt", "Return the square root, element by element.")
abs = _unary("Abs", "Return |x|, element by element.")
reciprocal = _unary("Reciprocal", "Return 1 / x, element by element.")
sin = _unary("Sin", "Return the sine, element by element.")
cos = _unary("Cos", "Return the cosine, element by element.")
sigmoid = _unary("StableSigmoid", "Return 1 / (1 + exp(-x)), element by element.")
hardmax = _unary("Hardmax", "Return 1 at the first maximum of a whole sample, 0 elsewhere.")
floor = _rounding("Floor", "Return the greatest whole number not above x, element by element.")
sinh = _unary("Sinh", "Return the hyperbolic sine, element by element.")
cosh = _unary("Cosh", "Return the hyperbolic cosine, element by element.")
tan = _unary("Tan", "Return the tangent, element by element.")
asin = _unary("Asin", "Return the inverse of the sine, element by element.")
acos = _unary("Acos", "Return the inverse of the cosine, element by element.")
atan = _unary("Atan", "Return the inverse of the tangent, element by element.")
asinh = _unary("Asinh", "Return the inverse of the hyperbolic sine, element by element.")
atanh = _unary("Atanh", "Return the inverse of the hyperbolic tangent, element by element.")
straight_through_impl = _unary(
    "StraightThrough", "Return 1 above 0, else -1; the gradient passes where x is in [-1, 1]."
)
alias = _unary("NoOp", "Return x under another name.")
minus = _binary("Minus", "Return left - right; shapes broadcast.")
equal = _binary("Equal", "Return 1 where left == right, 0 elsewhere.")
not_equal = _binary("NotEqual", "Return 1 where left != right, 0 elsewhere.")
less = _binary("Less", "Return 1 where left < right, 0 elsewhere.")
less_equal = _binary("LessEqual", "Return 1 where left <= right, 0 elsewhere.")
greater = _binary("Greater", "Return 1 where left > right, 0 elsewhere.")
greater_equal = _binary("GreaterEqual", "Return 1 where left >= right, 0 elsewhere.")


def pow(base: Any, exponent: Any, name: str = "") -> Function:
    """Return `base` to the power of `exponent`, element by element; shapes broadcast."""
    return _node("Pow", [base, exponent], None, name)


def stop_gradient(input: Any, name: str = "") -> Function:
    """Return the operand, through which no gradient flows."""
    return _node("StopGradient", [input], None, name)


def ceil(arg: Any, name: str = "") -> Function:
    """Return the least whole number not below the operand, element by element."""
    return negate(floor(negate(arg)), name=name)


def round(arg: Any, name: str = "") -> Function:
    """Return the nearest whole number, the greater one of two; element by element."""
    return floor(plus(arg, 0.5), name=name)


plus = associative_multi_arg(_binary("Plus", "Return the sum; shapes broadcast."))
element_times = associative_multi_arg(
    _binary("ElementTimes", "Return the product, element by element; shapes broadcast.")
)
log_add_exp = associative_multi_arg(
    _binary("LogPlus", "Return log(exp(left) + exp(right)); shapes broadcast.")
)


def element_divide(left: Any, right: Any, name: str = "") -> Function:
    """Return left / right; shapes broadcast."""
    return _compound(
        "ElementDivide", lambda a, b: element_times(a, reciprocal(b)), [left, right], name
    )


@associative_multi_arg
def element_max(left: Any, right: Any, name: str = "") -> Function:
    """Return the greater of both, element by element."""
    return _compound(
        "ElementMax", lambda a, b: element_select(greater(a, b), a, b), [left, right], name
    )


@associative_multi_arg
def element_min(left: Any, right: Any, name: str = "") -> Function:
    """Return the lesser of both, element by element."""
    return _compound(
        "ElementMin", lambda a, b: element_select(less(a, b), a, b), [left, right], name
    )


def _is_true(x: Any) -> Function:
    return greater(x, 0.0)


element_and = _logical(
    "And",
    lambda x, y: _is_true(element_times(_is_true(x), _is_true(y))),
    "Return 1 where both are above 0, else 0.",
)
element_or = _logical(
    "Or",
    lambda x, y: _is_true(plus(_is_true(x), _is_true(y))),
    "Return 1 where one or both are above 0, else 0.",
)
element_xor = _logical(
    "Xor",
    lambda x, y: not_equal(_is_true(x), _is_true(y)),
    "Return 1 where one of both is above 0, else 0.",
)


def element_not(x: Any, name: str = "") -> Function:
    """Return 0 where x is above 0, else 1."""
    return _compound("Not", lambda v: plus(negate(_is_true(v)), 1.0), [x], name)


def sum(*operands: Any, name: str = "") -> Function:
    """Return the sum of the operands, or of a list of them; shapes broadcast."""
    return _compound("Sum", lambda *parts: reduce(plus, parts), _listed(operands), name)


def mean(*operands: Any, name: str = "") -> Function:
    """Return the mean of the operands, or of a list of them; shapes broadcast."""
    listed = _listed(operands)
    return _compound(
        "Mean",
        lambda *parts: element_divide(reduce(plus, parts), float(len(listed))),
        listed,
        name,
    )


def _listed(operands: Sequence[Any]) -> list[Any]:
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = operands[0]
    return [
        v for part in operands for v in (part.outputs if isinstance(part, Function) else [part])
    ]


def element_select(flag: Any, value_if_true: Any, value_if_false: Any, name: str = "") -> Function:
    """Return the second where the first is not 0, else the third; shapes broadcast."""
    return _node("Select", [flag, value_if_true, value_if_false], None, name)


def clip(x: Any, min_value: Any, max_value: Any, name: str = "") -> Function:
    """Return x, with what is below or above the bounds set to them."""
    return _node("Clip", [x, min_value, max_value], None, name)


def square(x: Any, name: str = "") -> Function:
    """Return x * x, element by element."""
    return element_times(x, x, name=name)


def leaky_relu(x: Any, alpha: float = 0.01, name: str = "") -> Function:
    """Return x where it is positive, alpha * x elsewhere."""

    def build(operand: Variable) -> Function:
        return element_select(less(operand, 0.0), element_times(operand, alpha), operand)

    return _compound("LeakyReLU", build, [x], name, {"alpha": float(alpha)})


def elu(x: Any, alpha: float = 1.0, name: str = "") -> Function:
    """Return x where it is positive, alpha * (exp(x) - 1) elsewhere."""

    def build(operand: Variable) -> Function:
        low = element_times(alpha, _node("ELU", [operand]))
        return element_select(less(operand, 0.0), low, operand)

    return _compound("ELU", build, [x], name, {"alpha": float(alpha)})


def selu(
    x: Any, scale: float = 1.0507009873554805, alpha: float = 1.6732632423543772, name: str = ""
) -> Function:
    """Return scale * x where x is positive, scale * alpha * (exp(x) - 1) elsewhere."""

    def build(operand: Variable) -> Function:
        low = element_times(alpha, _node("ELU", [operand]))
        return element_times(scale, element_select(less(operand, 0.0), low, operand))

    return _compound("SELU", build, [x], name, {"gamma": float(scale), "alpha": float(alpha)})


def param_relu(alpha: Any, x: Any, name: str = "") -> Function:
    """Return x where it is positive, alpha * x elsewhere; alpha is often a parameter."""

    def build(operand: Variable, slope: Variable) -> Function:
        return element_select(less(operand, 0.0), element_times(slope, operand), operand)

    return _compound("PReLU", build, [x, alpha], name)


def hard_sigmoid(x: Any, alpha: float, beta: float, name: str = "") -> Function:
    """Return alpha * x + beta, with what is below 0 or above 1 set to that."""

    def build(operand: Variable) -> Function:
        line = plus(element_times(operand, alpha), beta)
        low = element_select(less(line, 1.0), line, 1.0)
        return element_select(greater(low, 0.0), low, 0.0)

    attributes = {"alpha": Float32(np.float32(alpha)), "beta": Float32(np.float32(beta))}
    return _compound("HardSigmoid", build, [x], name, attributes)


def softplus(x: Any, steepness: float = 1, name: str = "") -> Function:
    """Return log(1 + exp(steepness * x)) / steepness."""
    if steepness == 1:
        return _compound("Softplus", lambda v: log_add_exp(v, 0.0), [x], name)
    steep = float(steepness)
    build = lambda v: element_divide(softplus(element_times(steep, v)), steep)  # noqa: E731
    return _compound("softplus", build, [x], name)


def softsign(x: Any, steepness: float = 1, name: str = "") -> Function:
    """Return x / (1 + |x|); the steepness changes nothing, as in CNTK."""
    del steepness
    return _compound("Softsign", lambda v: element_divide(v, plus(abs(v), 1.0)), [x], name)


def softmax(x: Any, axis: Any = None, name: str = "") -> Function:
    """Return exp(x) divided by its sum along an axis, over a whole sample without one."""
    if axis is None:
        return _node("Softmax", [x], None, name)

    def build(operand: Variable) -> Function:
        shifted = exp(minus(operand, reduce_max(operand, axis)))
        return element_divide(shifted, reduce_sum(shifted, axis))

    return _compound("Softmax", build, [x], name, {"axis": to_file(axis)})


def log_softmax(x: Any, axis: Any = None, name: str = "") -> Function:
    """Return the logarithm of `softmax` along an axis, the last one by default."""
    along = -1 if axis is None else axis

    def build(operand: Variable) -> Function:
        greatest = reduce_max(operand, along)
        total = log(reduce_sum(exp(minus(operand, greatest)), along))
        return minus(minus(operand, greatest), total)

    return _compound("LogSoftmax", build, [x], name, {"axis": to_file(along)})


def ones_like(x: Any, name: str = "") -> Function:
    """Return 1 for each element of x."""
    return _node("ConstantOp", [x], {"fillValue": 1.0}, name)


def zeros_like(x: Any, name: str = "") -> Function:
    """Return 0 for each element of x."""
    return _node("ConstantOp", [x], {"fillValue": 0.0}, name)


def eye_like(x: Any, sparse_output: bool = True, name: str = "") -> Function:
    """Return the matrix with ones on its diagonal, of the size of x.

    Args:
        x: Has two axes, the batch axis counted; no sequence.
        sparse_output: Kept in files; the values here are dense.
        name: Of the function.
    """
    operand = _variables([x])[0]
    if len(operand.dynamic_axes) + len(operand.shape) != 2:
        message = (
            "eye_like operand must have exactly two axes (counting both dynamic and static axes) "
            f'however "{operand!r}" is provided as the operand'
        )
        raise ValueError(message)
    return _node("EyeLikeOp", [operand], {"OutputSparse": bool(sparse_output)}, name)


def cast(node_input: Any, dtype: Any, name: str = "") -> Function:
    """Return the operand in another type, `float32` or `float64`."""
    number = next((n for n, known in DTYPES.items() if known == np.dtype(dtype)), None)
    if number is None:
        raise refuse(f"cast(dtype={dtype})")
    return _node("Cast", [node_input], {"newDataType": number}, name)


def assign(ref: Any, input: Any, name: str = "") -> Function:
    """Return the operand, and let a parameter or constant take its value after each evaluation."""
    return _node("Assign", [ref, input], None, name)


def dropout(
    x: Any,
    dropout_rate: float = 0.0,
    seed: int = SentinelValueForAutoSelectRandomSeed,
    name: str = "",
) -> Function:
    """Set a share of the values to 0 in training, and scale the rest up; change nothing elsewhere.

    Args:
        x: The operand.
        dropout_rate: The share, at least 0 and below 1.
        seed: Of this function's generator; the process's next one by default.
        name: Of the function.
    """
    if not 0.0 <= dropout_rate < 1.0:
        message = "dropout_rate must be in the interval [0,1)"
        raise ValueError(message)
    number = SEEDS.take() if seed == SentinelValueForAutoSelectRandomSeed else seed
    attributes = {
        "dropoutRate": float(dropout_rate),
        "rngSeed": SizeT(number),
        "rngOffset": SizeT(0),
    }
    return _node("Dropout", [x], attributes, name)
