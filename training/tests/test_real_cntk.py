"""The quickstart's script under real CNTK 2.7 and under this package, side by side."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import TRAINING

ARGUMENTS = ("--epochs", "2", "--epoch-size", "1280", "--test-size", "2048")
EVALUATE = """
import sys
import numpy, cntk
model = cntk.load_model(sys.argv[1])
numpy.save(sys.argv[3], model.eval({model.arguments[0]: numpy.load(sys.argv[2])}))
"""


def ran(python: Path, *arguments: object) -> str:
    """Run a Python with this package's sources at hand, and return its standard error."""
    source = {"PYTHONPATH": str(TRAINING / "src")} if python.name != "cntk" else {}
    result = subprocess.run(
        [str(python), *map(str, arguments)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stderr


@pytest.fixture(scope="session")
def real() -> Path:
    """The launcher of real CNTK: it takes what `python` takes."""
    return Path(os.environ["CNTK_REFERENCE"])


@pytest.fixture(scope="module")
def told(real: Path, mnist: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the script said under each of the two, and where its models are."""
    found = {}
    for name, python in (("ours", Path(sys.executable)), ("real", real)):
        folder = tmp_path_factory.mktemp(name)
        found[name] = ran(python, TRAINING / "convnet_mnist.py", mnist, folder, *ARGUMENTS)
        found[f"{name} models"] = str(folder)
    return found


def lines(log: str) -> list[str]:
    """The log from the device line on, without the warnings of the runtime's own start."""
    text = log[log.index("Selected CPU") :]
    head, block, tail = text.split("-" * 67)
    names = [line.split(":")[0].strip() for line in block.splitlines()]
    return [*head.splitlines(), *names[:3], *tail.splitlines()]


def test_the_lines_are_the_same(told: dict[str, str]) -> None:
    """But for times and the last digits of losses both say the same, line by line."""

    def shape(line: str) -> str:
        return re.sub(r"\d+\.\d+", "N", re.sub(r"\( *", "(", line))

    ours, real = lines(told["ours"]), lines(told["real"])
    assert list(map(shape, ours)) == list(map(shape, real))


def test_the_losses_are_the_same(told: dict[str, str]) -> None:
    """The losses of the first epoch, 20 minibatches, agree to 1e-4, its metric to 0.1 points."""
    pattern = re.compile(r"Epoch\[1 of 2\].* loss = ([\d.]+) .* metric = ([\d.]+)%")
    (ours,), (real,) = pattern.findall(told["ours"]), pattern.findall(told["real"])
    assert float(ours[0]) == pytest.approx(float(real[0]), abs=1e-4)
    assert float(ours[1]) == pytest.approx(float(real[1]), abs=0.1)


@pytest.mark.parametrize("epoch", [0, 1])
@pytest.mark.parametrize("maker", ["ours", "real"])
def test_models_mean_the_same_to_both(
    told: dict[str, str], real: Path, maker: str, epoch: int, data: Path, tmp_path: Path
) -> None:
    """A model that either wrote gives the same scores under both, to 1e-4."""
    images = tmp_path / "images.npy"
    np.save(images, np.load(data / "mnist_test100.npz")["images"].astype(np.float32))
    model = Path(told[f"{maker} models"]) / f"ConvNet_MNIST_{epoch}.dnn"
    for name, python in (("ours", Path(sys.executable)), ("real", real)):
        ran(python, "-c", EVALUATE, model, images, tmp_path / f"{name}.npy")
    ours, judged = np.load(tmp_path / "ours.npy"), np.load(tmp_path / "real.npy")
    assert ours.shape == judged.shape == (100, 10)
    np.testing.assert_allclose(ours, judged, atol=1e-4)
