"""The package itself: what is not there, old spellings, and how it says which device it uses."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cntk as C
from conftest import TRAINING


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (C, "sequence"),
        (C, "rmsprop"),
        (C.layers, "Recurrence"),
        (C.ops, "optimized_rnnstack"),
        (C.io, "ImageDeserializer"),
        (C.learners, "adadelta"),
        (C.train, "training_session"),
        (C.losses, "lattice_sequence_with_softmax"),
        (C.logging, "TensorBoardProgressWriter"),
    ],
)
def test_what_is_not_there_says_so_by_its_name(module: object, name: str) -> None:
    """A missing name of CNTK raises AttributeError with module and name."""
    with pytest.raises(AttributeError, match=rf"\.{name} is not provided by this package yet"):
        getattr(module, name)


def test_old_spellings_work() -> None:
    """Names of earlier 2.x versions still do what they did."""
    x = C.ops.input((2,), name="x")
    assert repr(x) == "Input('x', [#], [2])"
    assert C.learning_rate_schedule(0.1, C.UnitType.sample)[0] == 0.1


def test_the_version_is_cntks() -> None:
    """Scripts that compare the version see the one whose API this is."""
    assert C.__version__ == "2.7"


def test_public_names_exist_and_are_listed() -> None:
    """`__all__` and the package's contents agree."""
    listed = set(C.__all__)
    assert all(hasattr(C, name) for name in listed)
    assert {"Trainer", "Function", "relu", "layers"} <= {*listed, *vars(C)}


def test_the_device_is_told_once_at_its_first_use() -> None:
    """Importing says nothing; the first parameter or constant does, on stderr."""
    code = "import cntk as C; print('imported', flush=True); C.constant(1); C.parameter(2)"
    source = {"PYTHONPATH": str(TRAINING / "src"), "CUDA_VISIBLE_DEVICES": ""}
    run = subprocess.run(
        [sys.executable, "-c", code], env=source, capture_output=True, text=True, check=True
    )
    assert run.stdout == "imported\n"
    assert run.stderr == "Selected CPU as the process wide default device.\n"


def test_the_device_can_be_chosen_until_it_is_used() -> None:
    """The device in use can be chosen again; a GPU that is not there cannot be named."""
    C.constant(1)
    assert (
        C.device.use_default_device().type() is C.device.DeviceKind.CPU
        or C.device.all_devices()[1:]
    )
    assert C.device.try_set_default_device(C.device.use_default_device())
    with pytest.raises(ValueError, match="is invalid"):
        C.device.gpu(4096)


@pytest.mark.parametrize(
    "name",
    [
        "convnet_mnist.py",
        "mnist/convert.py",
        "tests/reference_functions.py",
        "tests/reference_operations.py",
        "tests/reference_layers.py",
        "tests/reference_names.py",
        "tests/reference_random.py",
        "tests/reference_transfer.py",
    ],
)
def test_scripts_are_python_3_6(name: str) -> None:
    """What must run under the original runtime uses no newer syntax."""
    ast.parse((TRAINING / name).read_text(), feature_version=(3, 6))


def test_typing_is_declared() -> None:
    """The package carries py.typed."""
    assert (Path(C.__file__).parent / "py.typed").is_file()
