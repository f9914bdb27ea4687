"""Which local files go up, under which names, and where downloads come to lie."""

import os
from pathlib import Path

import pytest

from batchai_quickstart import InvalidRequestError, TransferError
from batchai_quickstart.client import localfiles


@pytest.mark.parametrize(
    ("destination", "name"),
    [("", "f.py"), ("cntk/", "cntk/f.py"), ("/a//b/", "a/b/f.py"), ("cntk/g.py", "cntk/g.py")],
)
def test_destination_is_directory_or_name(destination: str, name: str) -> None:
    """A destination that ends with a slash is a directory, else the whole name."""
    assert localfiles.remote_name(Path("x/f.py"), destination) == name


@pytest.mark.parametrize("name", ["../x", "a/../../b", "/", "", "a\\..\\b", "a\0b"])
def test_names_that_lead_out_are_refused(name: str) -> None:
    """No remote name climbs out of its share."""
    with pytest.raises(InvalidRequestError):
        localfiles.clean(name)


@pytest.mark.parametrize("name", ["../x", "a/../b", "/x", "x/", "a//b", ".", "a\\b", "a\0b", ""])
def test_listed_names_stay_inside(name: str) -> None:
    """A listed name that has no place below the destination is refused."""
    with pytest.raises(TransferError, match="no place below"):
        localfiles.inside(Path("home"), name)


def test_tree_is_files_and_empty_directories(tmp_path: Path) -> None:
    """Links to files are files; links to directories, pipes and broken links are nothing."""
    (tmp_path / "sub" / "hollow").mkdir(parents=True)
    (tmp_path / "sub" / "f").write_text("x")
    (tmp_path / "to-file").symlink_to("sub/f")
    (tmp_path / "to-directory").symlink_to("sub")
    (tmp_path / "broken").symlink_to("nothing")
    os.mkfifo(tmp_path / "pipe")
    tree = localfiles.Tree(tmp_path)
    assert list(tree.files) == ["sub/f", "to-file"]
    assert tree.empty == ["sub/hollow"]
    assert list(tree.matching("*f")) == ["sub/f"]
