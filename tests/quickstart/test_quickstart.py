"""The main job, and what it is made of."""

import importlib.util
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from batchai_quickstart import ConfigurationError, JobSpec, local
from batchai_quickstart.quickstart import JOB_FILE, curve, materials

LOG = Path(__file__).parents[2] / "training" / "tests" / "data" / "log_40epochs_stderr.txt"


def test_curve_of_a_real_cntk_log() -> None:
    """The learning curve of a log of real CNTK has each epoch's figures, and the final one."""
    read = curve.read_curve(LOG.read_text(encoding="utf-8").splitlines())
    assert read.epochs == tuple(range(1, 41))
    assert (read.losses[0], read.errors[0]) == (0.412004, 13.26)
    assert (read.losses[1], read.errors[1]) == (0.105926, 3.06)
    assert read.test_error == 0.58


def test_curve_is_drawn(tmp_path: Path) -> None:
    """A curve becomes a PNG, and so does the empty one of a log without epochs."""
    for name, lines in (("full", LOG.read_text(encoding="utf-8").splitlines()), ("empty", [])):
        path = tmp_path / "new" / f"{name}.png"
        curve.draw(curve.read_curve(lines), path)
        assert path.read_bytes().startswith(b"\x89PNG")


def test_job_file_is_the_quickstart_s() -> None:
    """The job file is valid as it is and names script, data, output and the three mounts."""
    properties = JobSpec.from_file(JOB_FILE).properties
    assert properties.cntk_settings is not None
    assert properties.mount_volumes is not None
    assert len(properties.mount_volumes.azure_file_shares) == 2
    assert len(properties.mount_volumes.azure_blob_file_systems) == 1
    assert [directory.id for directory in properties.output_directories] == ["MODEL"]


def _has_materials() -> bool:
    try:
        materials.find()
    except ConfigurationError:
        return False
    return True


@pytest.mark.skipif(
    not _has_materials(), reason="the SDK alone is installed, without the training package"
)
def test_materials_are_found_and_convert(tmp_path: Path) -> None:
    """MNIST of the training package becomes CNTK text files of the known sizes."""
    found = materials.find()
    assert found.script.name == "convnet_mnist.py"
    found.convert_mnist(tmp_path)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes == {
        "Train-28x28_cntk_text.txt": 111735994,
        "Test-28x28_cntk_text.txt": 18649443,
    }


def test_missing_training_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a checkout and without the package the error says what to install."""
    monkeypatch.setattr(materials, "__file__", str(tmp_path / "a" / "b" / "c" / "materials.py"))

    def nothing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", nothing)
    with pytest.raises(ConfigurationError, match=r"pip install \./training"):
        materials.find()


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="the training package needs torch"
)
def test_quickstart_trains(tmp_path: Path) -> None:
    """The command does the whole path: trained model, live log, curve, and nothing left behind."""
    root = tmp_path / "root"
    words = ["quickstart", "--root", str(root), "--epochs", "1"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "batchai_quickstart", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
    finally:
        service = local.find(root)
        if service is not None:
            local.stop(service)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "Training 98778 parameters in 10 parameter tensors." in lines
    assert "Learning rate per 1 samples: 0.001" in lines
    assert any(line.startswith("Finished Epoch[1 of 1]: [Training] loss = 0.4") for line in lines)
    (final,) = (line for line in lines if line.startswith("Final Results: Minibatch[1-11]: errs"))
    assert float(final.split("errs = ")[1].split("%")[0]) < 3.5
    assert (tmp_path / "quickstart-output" / "learning_curve.png").stat().st_size > 10_000
    assert (tmp_path / "quickstart-output" / "ConvNet_MNIST_0.dnn").stat().st_size > 400_000
    assert list((root / "storage").rglob("*.dnn")) == []
