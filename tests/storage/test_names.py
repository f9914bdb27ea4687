"""Every name that Azure allows survives the way to the disk and back."""

from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient
from hypothesis import given
from hypothesis import strategies as st

from batchai_quickstart.storage.names import from_disk, to_disk

SEGMENTS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]))
LOOKALIKES = st.from_regex(r"%(25)*(0){1,3}", fullmatch=True)
NAMES = [
    "plain.txt",
    "a//b",
    "/leading",
    "trailing/",
    "%00",
    "%2500/x",
    "per%cent+plus and space",
    "dots...",
    "UPPER",
    "upper",
    "ünï/\U0001f680/字",
    "/".join("d" * 3 for _ in range(250)),
    'q?#&=;:@$,!*()[]{}|<>"',
]


@given(SEGMENTS | LOOKALIKES)
def test_a_segment_has_one_name_on_disk(segment: str) -> None:
    """What is written for a segment is a name a file can have, and reads as that segment."""
    assert to_disk(segment) != ""
    assert from_disk(to_disk(segment)) == segment


@given(SEGMENTS.filter(bool) | LOOKALIKES)
def test_a_name_on_disk_is_one_segment(entry: str) -> None:
    """Whatever a job calls a file, the segment it is listed as leads back to that file."""
    assert to_disk(from_disk(entry)) == entry


def test_names_survive(container: ContainerClient, container_path: Path) -> None:
    """Blobs of all sorts of names are listed in order, read and removed by those names."""
    for name in NAMES:
        container.upload_blob(name, name.encode())
    listed = [str(each.name) for each in container.list_blobs()]
    assert listed == sorted(NAMES)
    for name in listed:
        assert container.download_blob(name).readall() == name.encode()
    for size in (1, 3):
        pages = container.list_blobs(results_per_page=size).by_page()
        assert [str(each.name) for page in pages for each in page] == listed
    assert [each.name for each in container.walk_blobs("a/")] == ["a//"]
    assert [each.name for each in container.list_blobs("/")] == ["/leading"]
    assert container_path.joinpath("plain.txt").read_text() == "plain.txt"
    assert container_path.joinpath("a/%00/b").read_text() == "a//b"
    for name in listed:
        container.delete_blob(name)
    assert list(container.list_blobs()) == []


@pytest.mark.parametrize("name", ["x" * 256, "字" * 86, "a" * 1025, "/".join("d" * 255)])
def test_names_no_file_can_have_are_refused(container: ContainerClient, name: str) -> None:
    """What is too long for Azure or for a file system is refused, and says so."""
    from azure.core.exceptions import HttpResponseError

    with pytest.raises(HttpResponseError) as refused:
        container.upload_blob(name, b"")
    assert refused.value.status_code == 400
    assert "InvalidResourceName" in str(refused.value)
