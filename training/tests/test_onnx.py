"""ONNX files against this package's own results, computed by onnxruntime where it is installed."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cntk as C
import reference_layers
import reference_operations

runtime = pytest.importorskip("onnxruntime", reason="`nox -s onnx` installs it")
OPERATIONS = np.load(Path(__file__).parent / "data" / "operations_cntk27.npz")
# They have no form in ONNX, or add up a whole minibatch.
REFUSED = (
    "cosine_ crop_ eye_like lambda_rank mean_all_axes mean_batch max_batch ndcg_at_1 ones_like "
    "zeros_like pad_symmetric roipooling straight_through sum_all_axes sum_batch to_batch "
    "unpack_batch unpooling weighted_binary classification_top2"
)


def run(path: Path, values: dict[str, Any]) -> list[Any]:
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = {i.name: values[i.name] for i in session.get_inputs()}
    return session.run(None, given)  # type: ignore[no-any-return]


def check(function: C.Function, values: dict[str, Any], path: Path) -> None:
    function.save(path, format=C.ModelFormat.ONNX)
    expected = reference_operations.outputs(function, values)
    results = run(path, values)
    assert len(results) == len(expected)
    # Which of equal numbers stands first is left open.
    ordered = len(expected) if function.op_name != "TopK" else 1
    for result, wanted in zip(results[:ordered], expected, strict=False):
        assert result.shape == wanted.shape
        np.testing.assert_allclose(result, wanted, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("name", sorted(k[5:] for k in OPERATIONS.files if k.startswith("file_")))
def test_operations_compute_the_same_in_onnx(name: str, tmp_path: Path) -> None:
    """A model of CNTK, exported, gives the same in onnxruntime, or its operation is refused."""
    if name == "top_k_axis":
        pytest.skip("its file is not read")
    function = C.load_model(OPERATIONS[f"file_{name}"].tobytes())
    if name.startswith(tuple(REFUSED.split())):
        with pytest.raises(NotImplementedError, match="ONNX export of"):
            function.save(tmp_path / "model.onnx", format=C.ModelFormat.ONNX)
        assert not list(tmp_path.iterdir())
        return
    check(function, reference_operations.inputs(), tmp_path / "model.onnx")


def test_layers_compute_the_same_in_onnx(tmp_path: Path) -> None:
    """Layers built here, exported, give the same in onnxruntime."""
    functions = reference_layers.functions(C)
    del functions["unpooling"]
    for name, function in functions.items():
        check(function, reference_layers.inputs(), tmp_path / f"{name}.onnx")


def test_cntks_trained_network_answers_as_before(data: Path, tmp_path: Path) -> None:
    """The ConvNet that CNTK trained gives CNTK's own logits to 1e-4 as an ONNX file."""
    model = C.load_model(data / "ConvNet_MNIST_epoch1.dnn")
    model.save(tmp_path / "convnet.onnx", C.ModelFormat.ONNX)
    images = np.load(data / "mnist_test100.npz")["images"]
    pixels = images.astype(np.float32).reshape(100, 1, 28, 28)
    (logits,) = run(tmp_path / "convnet.onnx", {"Input3": pixels})
    expected = np.load(data / "ConvNet_MNIST_epoch1_logits100.npy")
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_the_file_is_valid_onnx(tmp_path: Path) -> None:
    """ONNX's own checker accepts a file, with its names, types and free batch axis."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        onnx = pytest.importorskip("onnx")
    x = C.input_variable(3, name="x")
    C.layers.Dense(2, name="z")(x).save(tmp_path / "dense.onnx", format=C.ModelFormat.ONNX)
    model = onnx.load(str(tmp_path / "dense.onnx"))
    onnx.checker.check_model(model, full_check=True)
    assert [i.name for i in model.graph.input] == ["x"]
    assert model.graph.output[0].name == "z"
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"


def test_reading_onnx_is_refused(tmp_path: Path) -> None:
    """Loading in ONNX's format says that it is not provided."""
    with pytest.raises(NotImplementedError, match="ONNX"):
        C.load_model(tmp_path / "x.onnx", format=C.ModelFormat.ONNX)
