"""The conversion of MNIST's idx files."""

import gzip
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import TRAINING

CONVERT = TRAINING / "mnist" / "convert.py"


def convert(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CONVERT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_text_files_are_the_known_ones(mnist: Path) -> None:
    """Both files have the md5 of those that CNTK's own installer wrote."""
    found = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in mnist.iterdir()}
    assert found == {
        "Train-28x28_cntk_text.txt": "696b841a5971d17c2e66a8a0ab43df66",
        "Test-28x28_cntk_text.txt": "2afa8a7feaee46f96371efd6ff7ad649",
    }


def test_right_files_stay_and_wrong_ones_are_replaced(mnist: Path, tmp_path: Path) -> None:
    """A second run writes only what is not right."""
    train, test = "Train-28x28_cntk_text.txt", "Test-28x28_cntk_text.txt"
    (tmp_path / train).hardlink_to(mnist / train)
    (tmp_path / test).write_text("wrong")
    before = (tmp_path / train).stat().st_mtime_ns
    run = convert(tmp_path)
    assert run.returncode == 0
    assert (tmp_path / train).stat().st_mtime_ns == before
    assert (tmp_path / train).samefile(mnist / train)
    assert (tmp_path / test).read_bytes() == (mnist / test).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [test, train]


def test_bad_input_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    """A missing, a damaged and a foreign file each end with a message that names the file."""
    source, out = tmp_path / "source", tmp_path / "out"
    shutil.copytree(
        TRAINING / "mnist", source, ignore=shutil.ignore_patterns("*.py", "*.md", "__pycache__")
    )
    images, labels = source / "train-images-idx3-ubyte.gz", source / "train-labels-idx1-ubyte.gz"
    content = labels.read_bytes()
    for broken in (
        content[:1000],
        gzip.compress(b"\0\0\x08\x01\0\0\0\x05abc"),
        gzip.compress(b"no idx file"),
    ):
        labels.write_bytes(broken)
        run = convert(out, "--source", source)
        assert (run.returncode, labels.name in run.stderr) == (1, True)
    labels.write_bytes(content)
    images.unlink()
    run = convert(out, "--source", source)
    assert (run.returncode, images.name in run.stderr) == (1, True)
    assert list(out.iterdir()) == []


def test_other_labels_are_not_taken_for_mnist(tmp_path: Path) -> None:
    """Files of the right form with other contents are refused, and nothing is left behind."""
    source, out = tmp_path / "source", tmp_path / "out"
    shutil.copytree(
        TRAINING / "mnist", source, ignore=shutil.ignore_patterns("*.py", "*.md", "__pycache__")
    )
    labels = source / "train-labels-idx1-ubyte.gz"
    changed = bytearray(gzip.decompress(labels.read_bytes()))
    changed[8] = (changed[8] + 1) % 10
    labels.write_bytes(gzip.compress(bytes(changed), 1))
    run = convert(out, "--source", source)
    assert (run.returncode, "are not MNIST's" in run.stderr) == (1, True)
    assert list(out.iterdir()) == []
