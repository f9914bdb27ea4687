"""Listings of what is awkward: names that almost match, slashes, large directories."""

import time
from pathlib import Path

from azure.storage.blob import ContainerClient
from azure.storage.fileshare import ShareClient


def test_a_prefix_is_not_a_shorter_name(container: ContainerClient) -> None:
    """A blob whose name is the beginning of the prefix is not listed."""
    for name in ["ab", "abc", "abcd/x", "abd", "d/ab", "d/abc"]:
        container.upload_blob(name, b"")
    assert [each.name for each in container.list_blobs("abc")] == ["abc", "abcd/x"]
    assert [each.name for each in container.list_blobs("d/abc")] == ["d/abc"]


def test_names_around_a_slash_are_listed_once(share: ShareClient) -> None:
    """Pages give a directory and names that sort beside its slash once each, in order."""
    share.create_directory("a")
    for name in ["a!", "a0", "b"]:
        share.get_file_client(name).upload_file(b"")
    for size in (1, 2, 3):
        pages = share.list_directories_and_files(results_per_page=size).by_page()
        assert [each["name"] for page in pages for each in page] == ["a", "a!", "a0", "b"]


def test_a_large_directory_is_listed_as_it_is(
    container: ContainerClient, container_path: Path
) -> None:
    """A directory of more than a page whose names are remembered shows every later change."""
    directory = container_path / "many"
    directory.mkdir()
    names = [f"many/{number:05}" for number in range(5003)]
    for name in names:
        (container_path / name).touch()
    time.sleep(2.1)  # until the directory's stamp is sure to tell of a change
    assert [each.name for each in container.list_blobs()] == names
    container.delete_blob(names[5001])
    (directory / "00001").rename(directory / "00001-moved")
    (container_path / names[7]).write_bytes(b"longer")
    changed = [each for each in names if each not in (names[1], names[5001])]
    listed = {str(each.name): each.size for each in container.list_blobs("many/")}
    assert list(listed) == sorted([*changed, "many/00001-moved"])
    assert listed[names[7]] == 6
    pages = container.list_blobs("many/04", results_per_page=600).by_page()
    assert [len(list(page)) for page in pages] == [600, 400]
