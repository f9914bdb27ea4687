"""Shares, directories and files, by the official client."""

import os
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.fileshare import ContentSettings, ShareClient, ShareFileClient

from batchai_quickstart.storage import Kind
from tests.storage.conftest import Service, code

NAMES = ["plain.txt", "grün 日本.txt", "100%25 sure%.txt", "a+b c&d=e.txt", "dot.", "🚀 &;,.bin"]


@pytest.mark.parametrize("name", NAMES)
def test_names_survive_the_round_trip(
    service: Service, share: ShareClient, share_path: Path, name: str
) -> None:
    """A file keeps its name through upload, disk, listing, download and deletion."""
    with service.shares(allow_trailing_dot=True) as client:
        _round_trip(client.get_share_client(str(share.share_name)), share_path, name)


def _round_trip(share: ShareClient, share_path: Path, name: str) -> None:
    directory = share.create_directory(f"dir {name}")
    file = directory.get_file_client(name)
    file.upload_file(b"content")
    assert share_path.joinpath(f"dir {name}", name).read_bytes() == b"content"
    assert [each["name"] for each in directory.list_directories_and_files()] == [name]
    assert file.download_file().readall() == b"content"
    file.delete_file()
    directory.delete_directory()
    assert list(share.list_directories_and_files()) == []


def test_ranges_in_parallel_are_byte_exact(
    service: Service, share: ShareClient, share_path: Path
) -> None:
    """A file that goes up and down in parallel ranges is unchanged; none gets lost."""
    data = random.Random(3).randbytes(6 * 1024 * 1024 + 77)
    options: dict[str, Any] = {
        "credential": service.credential(),
        "max_range_size": 512 << 10,
        "max_single_get_size": 512 << 10,
        "max_chunk_get_size": 512 << 10,
    }
    with ShareFileClient(service.url(Kind.FILE), str(share.share_name), "big", **options) as file:
        file.upload_file(data, max_concurrency=4)
        assert share_path.joinpath("big").read_bytes() == data
        assert file.download_file(max_concurrency=4).readall() == data


def test_out_of_order_writers_lose_no_byte(service: Service, share: ShareClient) -> None:
    """Ranges written by several clients at once, backwards, end up complete."""
    pieces = [os.urandom(100_001) for _ in range(12)]
    share.get_file_client("x").create_file(sum(map(len, pieces)))
    offsets = [sum(map(len, pieces[:i])) for i in range(12)]

    def write(numbers: list[int]) -> None:
        with service.shares() as client:
            file = client.get_share_client(str(share.share_name)).get_file_client("x")
            for i in numbers:
                file.upload_range(pieces[i], offsets[i], len(pieces[i]))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, ([11, 8, 5, 2], [10, 7, 4, 1], [9, 6, 3, 0])))
    assert share.get_file_client("x").download_file().readall() == b"".join(pieces)


def test_a_file_is_created_at_its_length_and_written_in_place(
    share: ShareClient, share_path: Path
) -> None:
    """Create gives zeros, ranges fill them, clearing brings the zeros back, resizing cuts."""
    file = share.get_file_client("x")
    file.create_file(10)
    assert share_path.joinpath("x").read_bytes() == bytes(10)
    file.upload_range(b"abc", 4, 3)
    assert share_path.joinpath("x").read_bytes() == b"\0\0\0\0abc\0\0\0"
    file.upload_range(b"zz", 0, 2)
    with pytest.raises(HttpResponseError) as refused:
        file.upload_range(b"abc", 8, 3)
    assert code(refused) == "InvalidRange"
    file.resize_file(6)
    assert share_path.joinpath("x").read_bytes() == b"zz\0\0ab"


def test_clearing_a_range_writes_zeros(share: ShareClient, share_path: Path) -> None:
    """A cleared range reads as zeros, in the middle and at the end."""
    file = share.get_file_client("x")
    file.upload_file(b"\1" * 2048)
    file.clear_range(512, 512)
    file.clear_range(1536, 512)
    assert share_path.joinpath("x").read_bytes() == (b"\1" * 512 + bytes(512)) * 2


def test_a_missing_parent_is_said(share: ShareClient) -> None:
    """Files and directories need their parent: ParentNotFound."""
    with pytest.raises(ResourceNotFoundError) as refused:
        share.get_file_client("no/x").upload_file(b"")
    assert code(refused) == "ParentNotFound"
    with pytest.raises(ResourceNotFoundError) as refused:
        share.create_directory("no/x")
    assert code(refused) == "ParentNotFound"


def test_directories_exist_once_and_go_when_empty(share: ShareClient) -> None:
    """A directory is made once, deleted only when empty, and is no file."""
    directory = share.create_directory("d", metadata={"a": "b"})
    with pytest.raises(ResourceExistsError) as refused:
        share.create_directory("d")
    assert code(refused) == "ResourceAlreadyExists"
    assert directory.get_directory_properties().metadata == {"a": "b"}
    assert directory.exists()
    file = directory.upload_file("x", b"1")
    with pytest.raises(HttpResponseError) as full:
        directory.delete_directory()
    assert code(full) == "DirectoryNotEmpty"
    with pytest.raises(HttpResponseError) as wrong:
        share.get_file_client("d").delete_file()
    assert code(wrong) == "ResourceTypeMismatch"
    file.delete_file()
    directory.delete_directory()
    assert not directory.exists()


def test_listings_show_directories_and_files_in_pages(share: ShareClient) -> None:
    """Every entry comes once, with its size and times, whatever the page size."""
    for name in ["b", "d", "f"]:
        share.create_directory(name)
    for name in ["a", "c", "e"]:
        share.get_file_client(name).upload_file(b"x" * 5)
    for size in (1, 2, 100):
        pages = share.list_directories_and_files(results_per_page=size).by_page()
        found = {each["name"]: each for page in pages for each in page}
        assert {name: each["is_directory"] for name, each in found.items()} == {
            "a": False,
            "b": True,
            "c": False,
            "d": True,
            "e": False,
            "f": True,
        }
    assert found["a"]["size"] == 5
    detailed = list(
        share.list_directories_and_files("", name_starts_with="a", include=["timestamps", "ETag"])
    )
    assert [each["name"] for each in detailed] == ["a"]
    assert detailed[0]["etag"] == share.get_file_client("a").get_file_properties().etag
    assert detailed[0]["last_modified"].tzinfo is not None


def test_properties_and_metadata_are_kept(share: ShareClient) -> None:
    """Content settings, metadata and times come back as they were set."""
    file = share.get_file_client("x")
    written = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    file.upload_file(
        b"text",
        metadata={"a": "b"},
        content_settings=ContentSettings(content_type="text/plain", cache_control="no-store"),
    )
    properties = file.get_file_properties()
    assert (properties.size, properties.metadata) == (4, {"a": "b"})
    assert properties.content_settings.content_type == "text/plain"
    assert properties.content_settings.cache_control == "no-store"
    file.set_file_metadata({"c": "d"})
    file.set_http_headers(ContentSettings(content_type="text/html"), file_last_write_time=written)
    properties = file.get_file_properties()
    assert properties.metadata == {"c": "d"}
    assert properties.content_settings.content_type == "text/html"
    assert str(properties.last_write_time).startswith("2020-01-02 03:04:05")


def test_files_of_jobs_are_visible_both_ways(share: ShareClient, share_path: Path) -> None:
    """A job's file is a file of the share at once; an upload is a file of the job at once."""
    share_path.joinpath("out").mkdir()
    share_path.joinpath("out", "log.txt").write_bytes(b"line\n")
    file = share.get_file_client("out/log.txt")
    before = file.get_file_properties()
    assert before.size == 5
    with share_path.joinpath("out", "log.txt").open("ab") as log:
        log.write(b"more\n")
    after = file.get_file_properties()
    assert (after.size, after.etag == before.etag) == (10, False)
    assert file.download_file().readall() == b"line\nmore\n"
    share.get_file_client("run.sh").upload_file(b"#!/bin/sh\n")
    assert os.access(share_path / "run.sh", os.X_OK)


def test_shares_have_properties_and_can_be_listed(service: Service, fresh_name: str) -> None:
    """A share is made once, keeps quota and metadata, is listed, and goes with its content."""
    with service.shares() as client:
        share = client.create_share(fresh_name, metadata={"a": "1"}, quota=7)
        with pytest.raises(ResourceExistsError) as refused:
            client.create_share(fresh_name)
        assert code(refused) == "ShareAlreadyExists"
        properties = share.get_share_properties()
        assert (properties.quota, properties.metadata) == (7, {"a": "1"})
        share.set_share_quota(9)
        listed = client.list_shares(name_starts_with=fresh_name, include_metadata=True)
        assert [(each.name, each.quota, each.metadata) for each in listed] == [
            (fresh_name, 9, {"a": "1"})
        ]
        share.create_directory("d").upload_file("x", b"1")
        share.delete_share()
        with pytest.raises(ResourceNotFoundError) as missing:
            share.get_share_properties()
        assert code(missing) == "ShareNotFound"


def test_an_empty_file_is_a_file(share: ShareClient) -> None:
    """Zero bytes go up and come down."""
    file = share.get_file_client("empty")
    file.upload_file(b"")
    assert file.download_file().readall() == b""
    assert file.exists()


def test_what_is_not_done_here_is_refused_by_name(share: ShareClient) -> None:
    """A snapshot answers with a code that says so."""
    with pytest.raises(HttpResponseError) as refused:
        share.create_snapshot()
    assert code(refused) == "NotImplemented"
