"""Making a directory here and one there the same."""

from pathlib import Path

import pytest

from batchai_quickstart import BlobContainer, FileShare, InvalidRequestError, NotFoundError, Synced

Volume = FileShare | BlobContainer


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with files in two levels, and an empty one."""
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "hollow").mkdir()
    for name in ("a", "sub/b", "sub/c"):
        (root / name).write_text(f"content of {name}")
    return root


def test_up_moves_only_what_differs(volume: Volume, tree: Path) -> None:
    """The first time everything goes, then only what has another size or MD5."""
    assert volume.sync(tree, "d") == Synced(("a", "sub/b", "sub/c"), (), ())
    assert volume.sync(tree, "d") == Synced((), ("a", "sub/b", "sub/c"), ())
    (tree / "a").write_text("CONTENT of a")
    (tree / "sub/b").write_text("longer content of b")
    assert volume.sync(tree, "d") == Synced(("a", "sub/b"), ("sub/c",), ())


def test_up_deletes_only_when_asked(volume: Volume, tree: Path) -> None:
    """What is gone here goes there with delete=True, and only below the directory."""
    volume.upload(tree / "a", "beside")
    volume.sync(tree, "d")
    (tree / "sub/b").unlink()
    (tree / "sub/c").unlink()
    (tree / "sub").rmdir()
    assert volume.sync(tree, "d").deleted == ()
    assert volume.sync(tree, "d", delete=True) == Synced((), ("a",), ("sub/b", "sub/c"))
    names = [entry.name for entry in volume.walk()]
    share_only = ["d", "d/hollow"] if isinstance(volume, FileShare) else []
    assert sorted(names) == sorted(["beside", "d/a", *share_only])


def test_file_takes_the_place_of_a_directory(volume: Volume, tree: Path) -> None:
    """With delete=True a name may change from a directory to a file and back, on either side."""
    volume.sync(tree, "d")
    for name in ("b", "c"):
        (tree / "sub" / name).unlink()
    (tree / "sub").rmdir()
    (tree / "sub").write_text("now a file")
    assert volume.sync(tree, "d", delete=True).copied == ("sub",)
    other = tree.parent / "other"
    (other / "sub").mkdir(parents=True)
    (other / "sub" / "x").write_text("x")
    assert volume.sync(other, "d", direction="down", delete=True).deleted == ("sub/x",)
    assert (other / "sub").read_text() == "now a file"


def test_down_makes_the_local_side_the_same(volume: Volume, tree: Path) -> None:
    """Files, and a share's empty directories, come down; strangers go with delete=True."""
    volume.sync(tree, "d")
    here = tree.parent / "here"
    assert volume.sync(here, "d", direction="down").copied == ("a", "sub/b", "sub/c")
    assert (here / "hollow").is_dir() is isinstance(volume, FileShare)
    (here / "sub/b").write_text("meddled")
    (here / "new").mkdir()
    (here / "new/x").write_text("x")
    (here / "out").symlink_to(tree)
    told = volume.sync(here, "d", direction="down", delete=True)
    assert told == Synced(("sub/b",), ("a", "sub/c"), ("new/x",))
    assert not (here / "new").exists()
    assert (tree / "a").exists(), "nothing is deleted through a link"


def test_mistyped_names_delete_nothing(volume: Volume, tree: Path) -> None:
    """A side that is not there is an error, never an empty side to copy."""
    volume.create()
    with pytest.raises(NotFoundError):
        volume.sync(tree, "typo", direction="down", delete=True)
    with pytest.raises(NotFoundError):
        volume.sync(tree / "typo", "d", delete=True)
    assert (tree / "a").exists()
    with pytest.raises(InvalidRequestError, match="'up' or 'down'"):
        volume.sync(tree, direction="sideways")  # type: ignore[arg-type] # what is refused
