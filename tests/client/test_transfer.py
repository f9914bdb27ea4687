"""Which local files go up, and under which names."""

from pathlib import Path
from typing import BinaryIO

import pytest

from batchai_quickstart import InvalidRequestError, NotFoundError, TransferError
from batchai_quickstart.client import transfer


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with files in two levels."""
    (tmp_path / "sub").mkdir()
    for name in ("Train-28x28_cntk_text.txt", "note.txt", "sub/Test-28x28_cntk_text.txt"):
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    ("destination", "name"),
    [("", "f.py"), ("cntk/", "cntk/f.py"), ("/a//b/", "a/b/f.py"), ("cntk/g.py", "cntk/g.py")],
)
def test_destination_is_directory_or_name(destination: str, name: str) -> None:
    """A destination that ends with a slash is a directory, else the whole name."""
    assert transfer.remote_name(Path("x/f.py"), destination) == name


@pytest.mark.parametrize("name", ["../x", "a/../../b", "/", "", "a\\..\\b"])
def test_names_that_lead_out_are_refused(name: str) -> None:
    """No remote name climbs out of its share."""
    with pytest.raises(InvalidRequestError):
        transfer.clean(name)


def test_pattern_chooses_with_subdirectories(tree: Path) -> None:
    """A pattern looks at the whole path, as that of the Azure CLI; the tree is kept."""
    pairs = transfer.chosen(tree, "*28x28_cntk*", "mnist_cntk")
    assert [name for _, name in pairs] == [
        "mnist_cntk/Train-28x28_cntk_text.txt",
        "mnist_cntk/sub/Test-28x28_cntk_text.txt",
    ]
    assert len(transfer.chosen(tree, None, "")) == 3


def test_nothing_to_upload_is_told(tree: Path) -> None:
    """A missing file, a directory in its place, and a pattern without match each say so."""

    def put(path: Path, name: str, progress: transfer.Progress) -> None:
        raise AssertionError

    with pytest.raises(NotFoundError, match="does not exist"):
        transfer.upload(put, tree / "nope.py", "")
    with pytest.raises(NotFoundError, match="upload_batch"):
        transfer.upload(put, tree, "")
    with pytest.raises(NotFoundError, match="no directory"):
        transfer.chosen(tree / "nope", None, "")
    with pytest.raises(NotFoundError, match=r"matches '\*.gz'; it holds 3 files"):
        transfer.chosen(tree, "*.gz", "")


@pytest.mark.parametrize("progress", [True, False, None])
def test_batch_puts_every_file_and_counts_it(
    progress: bool | None, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each file goes once; the bars, on standard error, count to its size."""
    put_files: list[str] = []

    def put(path: Path, name: str, step: transfer.Progress) -> None:
        step(path.stat().st_size)
        put_files.append(name)

    pairs = transfer.chosen(tree, None, "d")
    names = transfer.upload_batch(put, pairs, progress=progress, max_workers=2)
    assert sorted(put_files) == sorted(names) == names
    told = capsys.readouterr()
    assert told.out == ""
    assert ("note.txt" in told.err) is bool(progress)


def test_batch_stops_at_the_first_failure(tree: Path) -> None:
    """What fails is raised as it is."""

    def put(path: Path, name: str, step: transfer.Progress) -> None:
        raise TransferError(f"{name} broke")

    pairs = transfer.chosen(tree, None, "")
    with pytest.raises(TransferError, match="broke"):
        transfer.upload_batch(put, pairs, progress=False, max_workers=1)


def test_download_is_whole_or_absent(tmp_path: Path) -> None:
    """A short download leaves neither the file nor a part of it; a directory keeps the name."""

    def fetch(name: str, output: BinaryIO) -> int:
        output.write(b"12345")
        return 5 if name == "d/good" else 6

    assert transfer.download(fetch, "d/good", tmp_path) == tmp_path / "good"
    assert transfer.download(fetch, "/d/good", tmp_path / "n/new.bin").read_bytes() == b"12345"
    with pytest.raises(TransferError, match="5 of 6"):
        transfer.download(fetch, "bad", tmp_path / "bad")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good", "n"]
