"""fsspec's Azure file system, and what reads through it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("adlfs")
fsspec: Any = pytest.importorskip("fsspec")
pd: Any = pytest.importorskip("pandas")

# adlfs sends plain bytes, which aiohttp has an opinion about.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")


@pytest.fixture
def files(connection_string: str) -> Iterator[Any]:
    """The file system, with a fresh container `runs`."""
    found = fsspec.filesystem("abfs", connection_string=connection_string, skip_instance_cache=True)
    found.mkdir("runs")
    yield found
    found.rm("runs", recursive=True)


def test_trees_are_put_listed_and_fetched(files: Any, tree: Path, tmp_path: Path) -> None:
    """put, ls, find, glob, info, walk and get see the directory that was sent."""
    files.put(str(tree), "runs/1", recursive=True)
    assert sorted(files.ls("runs/1", detail=False)) == [
        "runs/1/a.txt", "runs/1/big.bin", "runs/1/deep",
    ]  # fmt: skip
    found = files.find("runs/1")
    assert "runs/1/deep/er/grün+%.txt" in found
    assert len(found) == 4
    assert files.glob("runs/1/**/*.txt") == sorted(each for each in found if "txt" in each)
    assert files.info("runs/1/big.bin")["size"] == 9 << 20
    assert files.isdir("runs/1/deep")
    assert not files.exists("runs/1/none")
    assert [each[2] for each in files.walk("runs/1/deep/er")] == [["grün+%.txt"]]
    files.get("runs/1", str(tmp_path / "back"), recursive=True)
    for path in tree.rglob("*.*"):
        assert (tmp_path / "back" / path.relative_to(tree)).read_bytes() == path.read_bytes()


def test_parts_are_read_and_written(files: Any, tree: Path) -> None:
    """open, seek, cat_ranges, append, copy, move and rm work on single blobs."""
    files.pipe_file("runs/x.bin", bytes(range(256)))
    with files.open("runs/x.bin", "rb") as file:
        file.seek(250)
        assert file.read() == bytes(range(250, 256))
    assert files.cat_ranges(["runs/x.bin"] * 2, [0, 100], [3, 102]) == [b"\0\1\2", b"de"]
    with files.open("runs/big", "wb", blocksize=1 << 20) as file:
        for _ in range(5):
            file.write(bytes(1 << 20))
    assert files.size("runs/big") == 5 << 20
    with files.open("runs/log.txt", "ab") as file:
        file.write(b"one\n")
    with files.open("runs/log.txt", "ab") as file:
        file.write(b"two\n")
    assert files.cat("runs/log.txt") == b"one\ntwo\n"
    files.cp_file("runs/x.bin", "runs/y.bin")
    files.mv("runs/y.bin", "runs/z.bin")
    assert files.cat("runs/z.bin") == bytes(range(256))
    files.rm(["runs/x.bin", "runs/z.bin"])
    assert files.ls("runs", detail=False) == ["runs/big", "runs/log.txt"]


def test_pandas_writes_and_reads(files: Any, connection_string: str) -> None:
    """A frame goes to a container and comes back, through `abfs://` and `storage_options`."""
    options = {"connection_string": connection_string}
    frame = pd.DataFrame({"epoch": [1, 2], "loss": [0.5, 0.25]})
    frame.to_csv("abfs://runs/curve.csv", index=False, storage_options=options)
    back = pd.read_csv("abfs://runs/curve.csv", storage_options=options)
    pd.testing.assert_frame_equal(back, frame)


def test_dask_reads_many_blobs_at_once(files: Any, connection_string: str) -> None:
    """A bag of text lines is read from blobs by a pattern, in parallel."""
    bag: Any = pytest.importorskip("dask.bag")
    for name in "abc":
        files.pipe_file(f"runs/{name}.txt", f"{name} 1\n{name} 2\n".encode())
    options = {"connection_string": connection_string}
    lines = bag.read_text("abfs://runs/*.txt", storage_options=options)
    assert sorted(lines.map(str.strip).compute(scheduler="threads")) == [
        f"{name} {number}" for name in "abc" for number in (1, 2)
    ]
