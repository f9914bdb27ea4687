"""Values and gradients on request: forward, backward and grad, as real CNTK 2.7 gives them."""

from typing import Any

import numpy as np
import pytest

import cntk as C

VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)


def model() -> tuple[C.Variable, C.Parameter, C.Function]:
    x = C.input_variable(3, name="x", needs_gradient=True)
    weight = C.parameter((3, 2), init=0.5)
    return x, weight, C.sigmoid(C.times(x, weight), name="s")


def slopes() -> Any:
    """Return the derivative of the sigmoid at each output, shape (4, 2)."""
    made = 1 / (1 + np.exp(-VALUES.sum(1, keepdims=True) / 2))
    return np.repeat(made * (1 - made), 2, axis=1)


def test_forward_keeps_what_backward_needs() -> None:
    """Root gradients go back to inputs and parameters, as often as one likes."""
    x, weight, f = model()
    state, values = f.forward({x: VALUES}, [f.output], {f.output})
    np.testing.assert_allclose(values[f.output][0], [0.817574, 0.817574], rtol=1e-5)
    root = {f.output: np.ones((4, 2), np.float32)}
    for _ in range(2):
        made = f.backward(state, root, {x, weight})
        expected = slopes().sum(1, keepdims=True) * 0.5
        np.testing.assert_allclose(made[x], np.repeat(expected, 3, 1), rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(made[weight], VALUES.T @ slopes(), rtol=1e-4)
    doubled = f.backward(state, {f.output: np.full((4, 2), 2, np.float32)}, [weight])
    np.testing.assert_allclose(doubled[weight], 2 * made[weight], rtol=1e-6)
    alone = f.backward(state, np.ones((4, 2), np.float32), [weight])
    np.testing.assert_array_equal(alone[weight], made[weight])


def test_states_do_not_disturb_one_another() -> None:
    """An older state still gives the gradients of its own values."""
    x, weight, f = model()
    state, _ = f.forward({x: VALUES}, [f.output], {f.output})
    root = np.ones((4, 2), np.float32)
    before = f.backward(state, root, [weight])[weight]
    f.forward({x: VALUES * 2}, [f.output], {f.output})
    np.testing.assert_array_equal(f.backward(state, root, [weight])[weight], before)


def test_nothing_kept_is_no_state() -> None:
    """Without keep_for_backward there is no state, and backward says so."""
    x, _weight, f = model()
    state, values = f.forward({x: VALUES})
    assert state is None
    assert list(values) == [f.output]
    with pytest.raises(ValueError, match="Please set keep_for_backward"):
        f.backward(state, np.ones((4, 2)), [x])


def test_what_is_kept_runs_as_in_training() -> None:
    """Dropout drops when something is kept and in grad, and not in plain values."""
    x = C.input_variable(6, needs_gradient=True)
    dropped = C.dropout(x, 0.5, seed=1)
    ones = np.ones((20, 6), np.float32)
    state, values = dropped.forward({x: ones}, None, [dropped.output])
    assert {*values[dropped.output].ravel().tolist()} == {0.0, 2.0}
    made = dropped.backward(state, ones, [x])
    np.testing.assert_array_equal(made[x], values[dropped.output])
    assert {*dropped.grad({x: ones}).ravel().tolist()} == {0.0, 2.0}
    np.testing.assert_array_equal(dropped.eval({x: ones}), ones)


def test_grad_returns_values_too() -> None:
    """Outputs inside the function come with the gradient, under what they were asked for by."""
    x = C.input_variable(3, needs_gradient=True)
    inner = C.tanh(x)
    f = C.exp(inner)
    gradient, value = f.grad({x: VALUES}, wrt=[x], outputs=[inner])
    np.testing.assert_allclose(value, np.tanh(VALUES), rtol=1e-6)
    tangent = np.exp(np.tanh(VALUES)) * (1 - np.tanh(VALUES) ** 2)
    np.testing.assert_allclose(gradient, tangent, rtol=1e-3, atol=1e-6)
    _, values = f.grad({x: VALUES}, wrt=[x], outputs=[inner, f.output])
    assert list(values) == [inner, f.output]
    np.testing.assert_allclose(f.eval({x: VALUES}, outputs=[inner]), np.tanh(VALUES), rtol=1e-6)


def test_grad_of_several_and_of_constants() -> None:
    """Several variables give a dictionary; a constant has a gradient when it is asked for."""
    x, weight, f = model()
    made = f.grad({x: VALUES}, wrt=[weight, x])
    assert list(made) == [weight, x]
    np.testing.assert_array_equal(f.grad({x: VALUES}), made[x])
    factor = C.constant(2.0)
    scaled = factor * x
    np.testing.assert_allclose(scaled.grad({x: VALUES}, wrt=[factor]), VALUES.sum())
    assert f.grad({x: VALUES}, wrt=[x], as_numpy=False).asarray().shape == (4, 3)
    assert f.eval({x: VALUES}, as_numpy=False).asarray().shape == (4, 2)


def test_one_of_several_outputs_can_be_the_root() -> None:
    """A combination needs grad_root."""
    x = C.input_variable(3, needs_gradient=True)
    both = C.combine([C.sigmoid(x), C.tanh(x)])
    with pytest.raises(RuntimeError, match="more than one output"):
        both.grad({x: VALUES})
    made = both.grad({x: VALUES}, grad_root=both.outputs[1])
    np.testing.assert_allclose(made, 1 - np.tanh(VALUES) ** 2, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x, f, s: f.backward(s, np.ones((4, 2)), [C.input_variable(3)]), ValueError, "leaf"),
        (lambda x, f, s: f.backward(s, np.ones((4, 3)), [x]), ValueError, "trailing dimensions"),
        (lambda x, f, s: f.grad({x: VALUES}, wrt=[C.parameter(2)]), ValueError, "not a leaf input"),
        (lambda x, f, s: f.forward({x: VALUES}, ["s"]), TypeError, "expected list of Variables"),
        (lambda x, f, s: f.forward({x: VALUES}, [C.relu(x)]), RuntimeError, "not part of the list"),
        (lambda x, f, s: f.eval({x: VALUES}, outputs=[]), ValueError, "At least one output"),
        (
            lambda x, f, s: C.relu(C.input_variable(2)).grad(np.ones(2)),
            ValueError,
            "'needs_gradient == True'",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:your data is of type")
def test_mistakes_are_told_in_cntks_words(call: Any, error: type[Exception], text: str) -> None:
    """What cannot be computed is refused with CNTK's message."""
    x, _weight, f = model()
    state, _ = f.forward({x: VALUES}, None, [f.output])
    with pytest.raises(error, match=text):
        call(x, f, state)
