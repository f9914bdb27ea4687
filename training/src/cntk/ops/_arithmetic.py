"""Operations element by element: arithmetic, comparisons, activations, dropout."""

from typing import Any, Final

from cntk._dictionary import SizeT
from cntk._random import SEEDS
from cntk.axis import to_file
from cntk.ops._building import _binary, _compound, _node, _unary
from cntk.ops._shapes import reduce_log_sum_exp
from cntk.ops.functions import Function
from cntk.variables import Variable

SentinelValueForAutoSelectRandomSeed: Final = 2**64 - 3
"""As a seed: the process's next one."""

negate = _unary("Negate", "Return -x, element by element.")
tanh = _unary("Tanh", "Return the hyperbolic tangent, element by element.")
relu = _unary("ReLU", "Return max(0, x), element by element.")
exp = _unary("Exp", "Return e to the power of x, element by element.")
log = _unary("Log", "Return the natural logarithm, element by element.")
sqrt = _unary("Sqrt", "Return the square root, element by element.")
floor = _unary("Floor", "Return the greatest whole number not above x, element by element.")
abs = _unary("Abs", "Return |x|, element by element.")
reciprocal = _unary("Reciprocal", "Return 1 / x, element by element.")
sin = _unary("Sin", "Return the sine, element by element.")
cos = _unary("Cos", "Return the cosine, element by element.")
sigmoid = _unary("StableSigmoid", "Return 1 / (1 + exp(-x)), element by element.")
hardmax = _unary("Hardmax", "Return 1 at the first maximum of a whole sample, 0 elsewhere.")
stop_gradient = _unary("StopGradient", "Return x, through which no gradient flows.")
alias = _unary("NoOp", "Return x under another name.")
minus = _binary("Minus", "Return left - right; shapes broadcast.")
equal = _binary("Equal", "Return 1 where left == right, 0 elsewhere.")
not_equal = _binary("NotEqual", "Return 1 where left != right, 0 elsewhere.")
less = _binary("Less", "Return 1 where left < right, 0 elsewhere.")
less_equal = _binary("LessEqual", "Return 1 where left <= right, 0 elsewhere.")
greater = _binary("Greater", "Return 1 where left > right, 0 elsewhere.")
greater_equal = _binary("GreaterEqual", "Return 1 where left >= right, 0 elsewhere.")
pow = _binary("Pow", "Return left to the power of right; shapes broadcast.")


def plus(left: Any, right: Any, *more: Any, name: str = "") -> Function:
    """Return the sum; shapes broadcast."""
    return _folded("Plus", [left, right, *more], name)


def element_times(left: Any, right: Any, *more: Any, name: str = "") -> Function:
    """Return the product, element by element; shapes broadcast."""
    return _folded("ElementTimes", [left, right, *more], name)


def log_add_exp(left: Any, right: Any, *more: Any, name: str = "") -> Function:
    """Return log(exp(left) + exp(right)); shapes broadcast."""
    return _folded("LogPlus", [left, right, *more], name)


def _folded(op: str, operands: list[Any], name: str) -> Function:
    *lead, last = operands
    first = lead[0] if len(lead) == 1 else _folded(op, lead, "")
    return _node(op, [first, last], None, name)


def element_divide(left: Any, right: Any, name: str = "") -> Function:
    """Return left / right; shapes broadcast."""
    return _compound(
        "ElementDivide", lambda a, b: element_times(a, reciprocal(b)), [left, right], name
    )


def element_max(left: Any, right: Any, name: str = "") -> Function:
    """Return the greater of both, element by element."""
    return _compound(
        "ElementMax", lambda a, b: element_select(greater(a, b), a, b), [left, right], name
    )


def element_min(left: Any, right: Any, name: str = "") -> Function:
    """Return the lesser of both, element by element."""
    return _compound(
        "ElementMin", lambda a, b: element_select(less(a, b), a, b), [left, right], name
    )


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


def softplus(x: Any, steepness: float = 1, name: str = "") -> Function:
    """Return log(1 + exp(steepness * x)) / steepness."""
    if steepness == 1:
        return _compound("Softplus", lambda v: log_add_exp(v, 0.0), [x], name)
    return _compound(
        "Softplus",
        lambda v: element_times(log_add_exp(element_times(v, steepness), 0.0), 1 / steepness),
        [x],
        name,
    )


def softmax(x: Any, axis: int | None = None, name: str = "") -> Function:
    """Return exp(x) divided by its sum along an axis, over a whole sample without one."""
    if axis is None:
        return _node("Softmax", [x], None, name)
    return _compound(
        "Softmax",
        lambda v: exp(minus(v, reduce_log_sum_exp(v, axis))),
        [x],
        name,
        {"axis": to_file(axis)},
    )


def log_softmax(x: Any, axis: int | None = None, name: str = "") -> Function:
    """Return the logarithm of `softmax` along an axis, the last one by default."""
    along = -1 if axis is None else axis
    build = lambda v: minus(v, reduce_log_sum_exp(v, along))  # noqa: E731 (one use, in place)
    return _compound("LogSoftmax", build, [x], name, {"axis": to_file(along)})


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
        message = f"Dropout rate must be in the interval [0,1), not {dropout_rate}."
        raise ValueError(message)
    number = SEEDS.take() if seed == SentinelValueForAutoSelectRandomSeed else seed
    attributes = {
        "dropoutRate": float(dropout_rate),
        "rngSeed": SizeT(number),
        "rngOffset": SizeT(0),
    }
    return _node("Dropout", [x], attributes, name)
