"""`.dnn` files: those of real CNTK, and those of nobody."""

import re
from pathlib import Path
from typing import Any

import convnet_mnist
import numpy as np
import pytest

import cntk as C
from cntk._dictionary import Dictionary, NDShape, SizeT, decode, encode


def test_cntks_trained_model_has_cntks_outputs(data: Path) -> None:
    """The model that CNTK saved after an epoch gives its logits on 100 test images."""
    model = C.load_model(data / "ConvNet_MNIST_epoch1.dnn")
    images = np.load(data / "mnist_test100.npz")["images"].astype(np.float32)
    expected = np.load(data / "ConvNet_MNIST_epoch1_logits100.npy")
    np.testing.assert_allclose(model.eval(images), expected, atol=1e-4)


def test_cntks_trained_model_prints_as_in_cntk(data: Path) -> None:
    """Text, argument and output are CNTK's, uids included."""
    model = C.load_model(data / "ConvNet_MNIST_epoch1.dnn")
    assert str(model) == "Composite(Tensor[1,28,28]) -> Tensor[10]"
    assert repr(model.arguments) == "(Input('Input3', [#], [1 x 28 x 28]),)"
    assert repr(model.output) == "Output('Block448_Output_0', [#], [10])"


@pytest.mark.parametrize("name", ["ConvNet_MNIST_init.dnn", "ConvNet_MNIST_epoch1.dnn"])
def test_cntks_models_are_written_again_byte_for_byte(
    data: Path, tmp_path: Path, name: str
) -> None:
    """Reading and writing a file of CNTK gives the same 409,57x bytes."""
    C.load_model(data / name).save(tmp_path / name)
    assert (tmp_path / name).read_bytes() == (data / name).read_bytes()


def numbered(value: Any, names: dict[str, str]) -> Any:
    """Return the value with its uids renumbered in order of appearance."""
    if isinstance(value, str):
        return re.sub(
            r"[A-Za-z]+\d+",
            lambda m: names.setdefault(m[0], f"{m[0].rstrip('0123456789')}{len(names)}"),
            value,
        )
    if isinstance(value, list):
        return [numbered(item, names) for item in value]
    return (
        {key: numbered(item, names) for key, item in value.items()}
        if isinstance(value, dict)
        else value
    )


def test_the_network_is_saved_as_cntk_saves_it(data: Path, tmp_path: Path) -> None:
    """The new network's file differs from CNTK's in the numbers of uids only."""
    model = convnet_mnist.network(C, C.input_variable((1, 28, 28)))
    model.save(tmp_path / "init.dnn")
    ours, theirs = (
        encode(numbered(decode(path.read_bytes()), {}))
        for path in (tmp_path / "init.dnn", data / "ConvNet_MNIST_init.dnn")
    )
    assert ours == theirs


def test_saving_makes_the_folder_and_leaves_no_pieces(tmp_path: Path) -> None:
    """A folder that is missing is made, and only the finished file stands in it."""
    C.layers.Dense(2)(C.input_variable(3)).save(tmp_path / "a" / "b" / "model.dnn")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["model.dnn"]


def test_several_outputs_and_names_survive(tmp_path: Path) -> None:
    """A combination comes back with its outputs in order and its name."""
    x = C.input_variable(2, name="x")
    C.combine([C.relu(x, name="up"), C.negate(x), x], name="both").save(tmp_path / "model.dnn")
    loaded = C.load_model(tmp_path / "model.dnn")
    assert loaded.name == "both"
    first, second, third = loaded.eval({"x": np.array([[1, -2]], np.float32)}).values()
    np.testing.assert_array_equal([first, second, third], [[[1, 0]], [[-1, 2]], [[1, -2]]])


def test_restore_takes_the_saved_values(tmp_path: Path) -> None:
    """Restore puts the file's values into the function's own parameters."""
    model = C.layers.Dense(2)(C.input_variable(3))
    saved = model.W.value
    model.save(tmp_path / "model.dnn")
    model.W.value = np.zeros((3, 2), np.float32)
    model.restore(tmp_path / "model.dnn")
    np.testing.assert_array_equal(model.W.value, saved)


def test_a_missing_model_is_named() -> None:
    """CNTK's words, with the path."""
    with pytest.raises(
        ValueError, match=r"Cannot load the model /nonexist.dnn that is neither a file nor a byte"
    ):
        C.load_model("/nonexist.dnn")


def test_a_truncated_model_is_refused_wherever_it_ends(data: Path) -> None:
    """No prefix of a model is taken for a model."""
    whole = (data / "ConvNet_MNIST_init.dnn").read_bytes()
    for end in [*range(0, 3000, 7), *range(3000, len(whole), 9001)]:
        with pytest.raises((RuntimeError, ValueError)):
            C.load_model(whole[:end])


def test_noise_never_ends_in_anything_but_a_clear_error(data: Path) -> None:
    """Flipped bytes give a model or one of the errors that loading documents."""
    whole = np.load(data / "functions_cntk27.npz")["file_sequential"]
    draw = np.random.default_rng(0)
    for _ in range(300):
        noisy = whole.copy()
        noisy[draw.integers(len(noisy), size=3)] = draw.integers(256, size=3)
        try:
            C.load_model(noisy.tobytes())
        except (RuntimeError, ValueError, NotImplementedError):
            continue


def test_claims_of_size_are_not_believed() -> None:
    """A shape of 2^60 elements with no values behind it is refused before memory is taken."""
    good = {"value": np.zeros(1, np.float32)}
    huge = encode(good).replace(b"\x0a\x01\x01", b"\x0a\x09" + b"\x80" * 8 + b"\x10", 1)
    with pytest.raises(RuntimeError, match="Failed to parse Dictionary"):
        decode(huge)
    nested: Any = 0
    for _ in range(100):
        nested = [nested]
    with pytest.raises(RuntimeError, match="Failed to parse Dictionary"):
        decode(encode({"deep": nested}))


def change(path: Path, edit: Any) -> bytes:
    model = decode(path.read_bytes())
    edit(model)
    return encode(model)


def _drop(key: str) -> Any:
    def edit(model: Dictionary) -> None:
        del model["inputs"][0][key]

    return edit


def _unknown_input(model: Dictionary) -> None:
    model["primitive_functions"][0]["inputs"] = ["Nobody1"]


def _wrong_type(model: Dictionary) -> None:
    model["type"] = "PrimitiveFunction"


def _other_shape(model: Dictionary) -> None:
    model["inputs"][0]["shape"] = NDShape((3,))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_drop("needs_gradient"), "Required key 'needs_gradient' is not found in the dictionary"),
        (_drop("value"), "Required key 'value' is not found in the dictionary"),
        (_unknown_input, "There are no inputs corresponding to input uid = 'Nobody1'"),
        (_wrong_type, "does not match the expected type 'CompositeFunction'"),
        (_other_shape, r"has the shape \(96, 10\), not \(3,\)"),
    ],
)
def test_incomplete_models_are_refused_with_what_is_wrong(
    data: Path, edit: Any, message: str
) -> None:
    """What is missing or does not belong is named, in CNTK's words where CNTK has some."""
    with pytest.raises((ValueError, RuntimeError), match=message):
        C.load_model(change(data / "ConvNet_MNIST_init.dnn", edit))


def test_blocks_that_go_in_a_circle_are_refused(data: Path) -> None:
    """A block whose argument stands for itself ends in an error, not in a loop."""

    def circle(model: Dictionary) -> None:
        block = next(f for f in model["primitive_functions"] if f["op"] == 57)
        keys = block["block_function_composite_arguments_map_keys"]
        block["block_function_composite_arguments_map_values"] = keys

    model = C.load_model(change(data / "ConvNet_MNIST_init.dnn", circle))
    with pytest.raises(ValueError, match="stands for itself"):
        model.eval(np.zeros((1, 1, 28, 28), np.float32))


def test_impossible_attributes_are_refused(data: Path) -> None:
    """A stride of 0 is named with its function when the model is loaded."""

    def still(model: Dictionary) -> None:
        pooling = next(f for f in model["primitive_functions"] if f["op"] == 17)
        pooling["attributes"]["strides"] = NDShape((0, 0))

    with pytest.raises(ValueError, match="attributes that Pooling cannot have"):
        C.load_model(change(data / "ConvNet_MNIST_init.dnn", still))


def test_operations_that_are_not_provided_are_named(data: Path) -> None:
    """A model with an operation outside the table is refused with the operation's name."""

    def stacked(model: Dictionary) -> None:
        model["primitive_functions"][0]["op"] = SizeT(49)

    with pytest.raises(
        NotImplementedError, match="The operation OptimizedRNNStack of the model is not provided"
    ):
        C.load_model(change(data / "ConvNet_MNIST_init.dnn", stacked))
