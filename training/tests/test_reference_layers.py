"""Layers and networks against what real CNTK 2.7 computed, wrote, printed and learned."""

from pathlib import Path

import numpy as np
import pytest

import cntk as C
import reference_layers

STORED = np.load(Path(__file__).parent / "data" / "layers_cntk27.npz")
NAMES = sorted(key[5:] for key in STORED.files if key.startswith("file_"))


@pytest.fixture(scope="module")
def built() -> dict[str, C.Function]:
    C.cntk_py.reset_random_seed()
    return reference_layers.functions(C)


def check(name: str, function: C.Function) -> None:
    results = reference_layers.outputs(function, reference_layers.inputs())
    for i, result in enumerate(results):
        expected = STORED[f"output{i}_{name}"]
        assert result.shape == expected.shape
        np.testing.assert_allclose(result, expected, rtol=3e-6, atol=3e-6)


@pytest.mark.parametrize("name", NAMES)
def test_built_layer_is_cntks(name: str, built: dict[str, C.Function]) -> None:
    """A layer made with the same calls draws CNTK's weights, has its output and its text."""
    check(name, built[name])
    assert str(built[name]) == STORED[f"text_{name}"][0]


@pytest.mark.parametrize("name", NAMES)
def test_loaded_layer_is_cntks(name: str, built: dict[str, C.Function], tmp_path: Path) -> None:
    """CNTK's file and our own of the same layer have CNTK's output here."""
    check(name, C.load_model(STORED[f"file_{name}"].tobytes()))
    built[name].save(tmp_path / "own.dnn")
    check(name, C.load_model(tmp_path / "own.dnn"))


@pytest.mark.parametrize("name", sorted(reference_layers.NETWORKS))
def test_networks_for_cifar_learn_as_in_cntk(name: str) -> None:
    """The first minibatches have CNTK's losses: same weights, dropout, statistics and steps."""
    C.cntk_py.reset_random_seed()
    losses = reference_layers.losses(C, reference_layers.NETWORKS[name])
    np.testing.assert_allclose(losses, STORED[f"losses_{name}"], atol=2e-6)


def test_calls_need_an_argument_for_each_place() -> None:
    """Missing, surplus and unknown arguments and wrong types raise CNTK's TypeError."""
    both = C.Function(lambda a, b: a + b)
    x = C.input_variable(3, name="x")
    with pytest.raises(TypeError, match="CNTK Function expected 2 arguments, got 1"):
        both(x)
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'c'"):
        both(a=x, c=x)
    with pytest.raises(TypeError, match="has 1 unused arguments"):
        C.Function(lambda a, b: C.relu(a))
    with pytest.raises(TypeError, match=r"argument x's type Tensor\[3\] is incompatible with"):
        C.relu(x)(C.input_variable(4))


def test_signature_types_are_declared_later() -> None:
    """update_signature puts inputs in the places of a function that has none yet."""
    layer = C.layers.Dense(2, init=1.0)
    layer.update_signature(C.layers.Tensor[3])
    assert repr(layer.arguments[0]) == "Input('x', [#], [3])"
    np.testing.assert_array_equal(layer.eval(np.ones((1, 3), np.float32)), [[3, 3]])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda layers: layers.Convolution2D(3, 2, groups=2), ValueError, "groups > 1, is not"),
        (
            lambda layers: layers.Convolution1D((3, 3), 2),
            ValueError,
            "filter_shape must be a scalar",
        ),
        (lambda layers: layers.Convolution2D((3, 3, 3), 2), ValueError, "a scalar or a 2D tuple"),
        (lambda layers: layers.Convolution((3, 3), 2, pad=[True] * 3), ValueError, "pad parameter"),
        (
            lambda layers: layers.Convolution(3, 2, reduction_rank=2),
            NotImplementedError,
            "must be 0 or 1",
        ),
        (
            lambda layers: layers.Convolution(3, 2, transpose_weight=True),
            NotImplementedError,
            "transpose_w",
        ),
        (lambda layers: layers.Dense(3, init=None), ValueError, "init parameter cannot be None"),
        (lambda layers: layers.Dense(3, input_rank=1, map_rank=1), ValueError, "at the same time"),
        (
            lambda layers: layers.For(range(2), layers),
            ValueError,
            "must be a Python function/lambda",
        ),
    ],
)
def test_layers_refuse_as_cntk_does(make: object, error: type, message: str) -> None:
    """Wrong options of layers raise CNTK's errors."""
    with pytest.raises(error, match=message):
        make(C.layers)  # type: ignore[operator]
