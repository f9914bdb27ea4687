"""The quickstart's script: its losses, its log, its files, its mistakes."""

import re
import subprocess
import sys
from pathlib import Path

import convnet_mnist
import numpy as np
import pytest

import cntk as C
from conftest import TRAINING


def script(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TRAINING / "convnet_mnist.py"), *map(str, arguments)]
    source = {"PYTHONPATH": str(TRAINING / "src"), "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, env=source, capture_output=True, text=True, check=False)


def test_the_first_losses_are_cntks(mnist: Path, data: Path) -> None:
    """The first 20 minibatches have the losses and metrics that real CNTK printed, to 1e-5."""
    log = (data / "log_freq1_first100.txt").read_text()
    expected = re.findall(r"loss = ([\d.]+) \* 64, metric = ([\d.]+)%", log)[:20]
    images, labels = C.input_variable((1, 28, 28)), C.input_variable(10)
    scores = convnet_mnist.network(C, images)
    criterion = C.cross_entropy_with_softmax(scores, labels), C.classification_error(scores, labels)
    rate = C.learning_parameter_schedule_per_sample(0.001)
    learner = C.momentum_sgd(scores.parameters, rate, C.momentum_as_time_constant_schedule(0))
    trainer = C.Trainer(scores, criterion, learner)
    source = convnet_mnist.reader(C, str(mnist / convnet_mnist.TRAIN_FILE), True)
    batches = convnet_mnist.minibatches(source, 20 * 64, 64, (images, labels))
    for batch, (loss, metric) in zip(batches, expected, strict=True):
        trainer.train_minibatch(batch)
        assert trainer.previous_minibatch_loss_average == pytest.approx(float(loss), abs=1e-5)
        assert 100 * trainer.previous_minibatch_evaluation_average == pytest.approx(
            float(metric), abs=0.01
        )


def test_the_script_tells_what_cntk_tells_and_repeats_itself(
    mnist: Path, tmp_path: Path, data: Path
) -> None:
    """The log's lines are CNTK's but for the build block; two runs give the same models."""
    runs = [
        script(mnist, tmp_path / name, "--epochs", 2, "--epoch-size", 1280, "--test-size", 2048)
        for name in ("one", "two")
    ]
    for run in runs:
        assert (run.returncode, run.stdout) == (0, "")
    dashes = "-" * 67
    head, block, tail = runs[0].stderr.split(dashes)
    real_head, real_block, real_tail = (data / "log_2epoch_stderr.txt").read_text().split(dashes)
    assert head == real_head
    assert block.splitlines()[:3] == real_block.splitlines()[:3]
    assert "\t\tBuild target: CPU-only\n" in block

    def shape(text: str) -> str:
        return re.sub(r"\d+\.\d+|\* \d+|1-\d+", "N", re.sub(r"\( *", "(", text))

    assert shape(tail) == shape(real_tail)
    assert "Final Results: Minibatch[1-3]: errs = " in tail
    files = [
        (tmp_path / name / f"ConvNet_MNIST_{epoch}.dnn")
        for name in ("one", "two")
        for epoch in (0, 1)
    ]
    first, second, again_first, again_second = (file.read_bytes() for file in files)
    assert first != second
    assert (first, second) == (again_first, again_second)


def test_a_saved_model_is_the_trained_one(mnist: Path, tmp_path: Path) -> None:
    """The test error of the loaded model on the same samples is the one that the script printed."""
    run = script(mnist, tmp_path, "--epochs", 1, "--epoch-size", 1280, "--test-size", 1000)
    (printed,) = re.findall(r"errs = ([\d.]+)% \* 1000\n", run.stderr)
    model = C.load_model(tmp_path / "ConvNet_MNIST_0.dnn")
    source = convnet_mnist.reader(C, str(mnist / convnet_mnist.TEST_FILE), False)
    batch = source.next_minibatch(1000)
    images = batch[source.streams.features].asarray().reshape(-1, 1, 28, 28)
    found = model.eval(images).argmax(1) != batch[source.streams.labels].asarray()[:, 0].argmax(1)
    assert 100 * np.mean(found) == pytest.approx(float(printed), abs=1e-6)


@pytest.mark.parametrize("present", [[], ["Train-28x28_cntk_text.txt"]])
def test_missing_data_are_named(tmp_path: Path, present: list[str]) -> None:
    """The message has the directory and the files, and the exit status is 2."""
    for name in present:
        (tmp_path / name).touch()
    run = script(tmp_path, tmp_path / "out")
    assert run.returncode == 2
    assert str(tmp_path) in run.stderr
    assert "Test-28x28_cntk_text.txt" in run.stderr
    assert ("Train-28x28_cntk_text.txt" in run.stderr) is not bool(present)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """A data directory that does not exist is said not to exist."""
    run = script(tmp_path / "nowhere", tmp_path / "out")
    assert (run.returncode, "nowhere does not exist" in run.stderr) == (2, True)


def test_an_output_directory_that_cannot_be_made_is_named(mnist: Path, tmp_path: Path) -> None:
    """A file in the way of the output directory ends the script before it trains."""
    (tmp_path / "file").touch()
    run = script(mnist, tmp_path / "file" / "out")
    assert (run.returncode, "cannot be made" in run.stderr) == (2, True)


@pytest.mark.parametrize("arguments", [["--epochs", 0], ["--epoch-size", "x"], ["--bogus", 1]])
def test_bad_options_are_refused(tmp_path: Path, arguments: list[object]) -> None:
    """The command line is checked before anything is loaded."""
    assert script(tmp_path, tmp_path, *arguments).returncode == 2
