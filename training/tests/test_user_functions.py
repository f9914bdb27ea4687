"""User functions, forward and backward by hand, parts of models and transfer learning."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cntk as C
import reference_transfer
from cntk.ops.functions import UserFunction


class Scaled(UserFunction):
    """Divides by a number that a file keeps."""

    def __init__(self, a: Any, k: float = 2.0, name: str = "scaled") -> None:
        super().__init__([a], name=name)
        self.k = k

    def forward(self, argument: Any, device: Any = None, kept: Any = None) -> Any:  # type: ignore[override]
        return argument, argument / self.k

    def backward(self, state: Any, gradient: Any) -> Any:  # type: ignore[override]
        assert state.shape == gradient.shape
        return gradient / self.k

    def infer_outputs(self) -> list[C.Variable]:
        (a,) = self.inputs
        return [C.output_variable(a.shape, a.dtype, a.dynamic_axes)]

    def serialize(self) -> dict[str, Any]:
        return {"k": self.k}

    def clone(self, cloned_inputs: Any) -> "Scaled":  # type: ignore[override]
        return Scaled(cloned_inputs[0], self.k, self.name)

    @staticmethod
    def deserialize(inputs: Any, name: str, state: Any) -> "Scaled":
        return Scaled(inputs[0], state["k"], name)


class SumAndProduct(UserFunction):
    """Has two inputs and two outputs."""

    def forward(self, arguments: Any, outputs: Any, device: Any = None, kept: Any = None) -> Any:  # type: ignore[override]
        first, second = self.outputs
        outputs[first] = arguments[0] + arguments[1]
        outputs[second] = arguments[0] * arguments[1]
        return arguments

    def backward(self, state: Any, root_gradients: Any, variables: Any) -> None:  # type: ignore[override]
        of_sum, of_product = (root_gradients[v] for v in self.outputs)
        for i, variable in enumerate(self.inputs):
            if variable in variables:
                variables[variable] = of_sum + of_product * state[1 - i]

    def infer_outputs(self) -> list[C.Variable]:
        a = self.inputs[0]
        return [C.output_variable(a.shape, a.dtype, a.dynamic_axes) for _ in range(2)]


def test_user_function_computes_and_derives() -> None:
    """Forward and backward run in Python, in the middle of other operations."""
    x = C.input_variable(3, needs_gradient=True)
    model = C.relu(C.user_function(Scaled(x, 4.0)) * 2.0)
    values = np.array([[1, 2, -3]], np.float32)
    np.testing.assert_array_equal(model.eval(values), [[0.5, 1, 0]])
    np.testing.assert_array_equal(model.grad(values), [[0.5, 0.5, 0]])


def test_user_function_has_several_inputs_and_outputs() -> None:
    """Outputs and gradients are filled in by variable; clones keep working."""
    x, y = (C.input_variable(3, name=name, needs_gradient=True) for name in "xy")
    both = C.user_function(SumAndProduct([x, y]))
    total = C.reduce_sum(both.outputs[0] + both.outputs[1])
    values = {x: np.full((2, 3), 2, np.float32), y: np.full((2, 3), 5, np.float32)}
    np.testing.assert_array_equal(total.eval(values), [51, 51])
    gradients = total.grad(values)
    np.testing.assert_array_equal(gradients[x], np.full((2, 3), 6))
    np.testing.assert_array_equal(gradients[y], np.full((2, 3), 3))


def test_user_function_is_a_layer_and_lives_in_a_file(tmp_path: Path) -> None:
    """It can be used on placeholders, cloned, saved with its state and loaded again."""
    layer = C.Function(lambda a: C.user_function(Scaled(a, 8.0)))
    model = layer(C.relu(C.input_variable(2, name="x")))
    model.save(tmp_path / "user.dnn")
    loaded = C.load_model(tmp_path / "user.dnn")
    values = np.array([[8, -8]], np.float32)
    for function in (model, model.clone("share"), loaded):
        np.testing.assert_array_equal(function.eval(values), [[1, 0]])


def test_an_unknown_user_function_is_not_looked_for(tmp_path: Path) -> None:
    """A file cannot make Python import a module: the class must be there already."""
    model = C.user_function(Scaled(C.input_variable(2)))
    model.save(tmp_path / "user.dnn")
    data = (
        (tmp_path / "user.dnn")
        .read_bytes()
        .replace(b"test_user_functions.Scaled", b"os_user_functions_.system_")
    )
    with pytest.raises(ValueError, match="Cannot deserialize user function"):
        C.load_model(data)
    C.Function.register_udf_deserialize_callback(
        "os_user_functions_.system_",
        lambda inputs, name, state: Scaled(inputs[0], state["k"], name),
    )
    np.testing.assert_array_equal(C.load_model(data).eval(np.array([[2, 4]], np.float32)), [[1, 2]])


def test_forward_and_backward_by_hand() -> None:
    """Forward keeps what backward needs, if asked; without it backward says so."""
    x = C.input_variable(3, name="x", needs_gradient=True)
    model = C.tanh(x, name="bent")
    values = np.array([[0.5, -1, 0]], np.float32)
    state, made = model.forward({x: values}, [model.output], {model.output})
    np.testing.assert_allclose(made[model.output], np.tanh(values), rtol=1e-6)
    gradients = model.backward(state, {model.output: np.full((1, 3), 2, np.float32)}, [x])
    np.testing.assert_allclose(gradients[x], 2 * (1 - np.tanh(values) ** 2), rtol=1e-5)
    state, _ = model.forward({x: values})
    assert state is None
    with pytest.raises(ValueError, match="You are attempting to backpropagate"):
        model.backward(state, {model.output: values}, [x])
    with pytest.raises(ValueError, match="arguments have 'needs_gradient == True'"):
        C.relu(C.input_variable(2)).grad(np.ones((1, 2), np.float32))


def test_functions_tell_what_they_are() -> None:
    """Composites and their roots have CNTK's kinds, attributes and texts."""
    x = C.input_variable(3, name="x")
    dense = C.layers.Dense(2, name="d")(x)
    assert (dense.is_composite, dense.is_block, dense.root_function.is_block) == (True, False, True)
    assert dense.uid.startswith("CompositeFunction")
    assert dense.root_function.uid.startswith("Block")
    dropped = C.dropout(x, 0.5, seed=3)
    assert dropped.attributes == {}
    found = dropped.root_function.attributes
    assert found == {"dropoutRate": 0.5, "rngSeed": 3, "rngOffset": 0}
    dropped.set_attribute("dropoutRate", 0.25)
    assert dropped.root_function.attributes["dropoutRate"] == 0.25
    model = C.layers.Sequential([C.layers.Dense(4, name="h"), C.layers.Dense(2, name="out")])(x)
    assert str(model.find_by_name("out")) == "out: Dense(h: Tensor[4]) -> Tensor[2]"
    lines = C.logging.plot(model).split("\n\n")
    assert lines[0].startswith("Dense(")


def test_parts_are_found_once_and_in_order() -> None:
    """A search gives the nearest parts first; several of one name are an error to find_by_name."""
    x = C.input_variable(3, name="x")
    layers = [
        C.layers.Dense(4, name="h"),
        C.layers.Dense(4, name="h"),
        C.layers.Dense(2, name="out"),
    ]
    model = C.layers.Sequential(layers)(x)
    assert [part.shape for part in model.find_all_with_name("h")] == [(4,), (4,)]
    with pytest.raises(ValueError, match="found multiple functions matching"):
        model.find_by_name("h")
    weights = C.logging.graph.find_all_with_name(model, "W", depth=-1)
    assert [w.shape for w in weights] == [(4, 2), (4, 4), (3, 4)]
    assert C.logging.find_by_uid(model, model.find_by_name("out").uid).name == "out"
    assert len(C.logging.get_node_outputs(model)) == 3


def test_transfer_learning_goes_as_in_cntk(data: Path) -> None:
    """A model of CNTK, cut and cloned in three ways, learns a new last layer with CNTK's losses."""
    C.cntk_py.reset_random_seed()
    expected = json.loads((data / "transfer_losses.json").read_text())
    found = reference_transfer.transfer(C, str(data / "transfer_base.dnn"))
    for method, result in expected.items():
        np.testing.assert_allclose(found[method].pop("losses"), result.pop("losses"), atol=2e-6)
        np.testing.assert_allclose(found[method].pop("weight"), result.pop("weight"), atol=1e-6)
        assert found[method] == result
