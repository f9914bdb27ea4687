"""Attributes, times, listings and names of files and directories, by the official client."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.fileshare import ContentSettings, NTFSAttributes, ShareClient

from tests.storage.conftest import Service, code

EVERYTHING = ["timestamps", "Etag", "Attributes", "PermissionKey"]
TIME = datetime(2019, 8, 7, 6, 5, 4, 321012, tzinfo=UTC)


def refusal(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The error code that a call ends with."""
    with pytest.raises(HttpResponseError) as refused:
        call(*arguments, **options)
    return code(refused)


def test_attributes_are_kept_in_azures_words(share: ShareClient) -> None:
    """Attributes come back in one spelling and order; `none` is the usual one; others refused."""
    file = share.get_file_client("x")
    for asked, told in (
        (None, "Archive"),
        ("none", "Archive"),
        ("hidden|readonly", "ReadOnly | Hidden"),
        (NTFSAttributes(system=True, temporary=True), "System | Temporary"),
        ("Offline | NotContentIndexed | NoScrubData", "Offline | NotContentIndexed | NoScrubData"),
        ("Normal", "Normal"),
    ):
        options: dict[str, Any] = {} if asked is None else {"file_attributes": asked}
        file.create_file(1, **options)
        assert file.get_file_properties().file_attributes == told
        file.set_http_headers(ContentSettings(), file_attributes="none")
        assert file.get_file_properties().file_attributes == "Archive"
    for wrong in ("Shiny", "Directory", "Normal|Hidden", "Archive,Hidden", ""):
        assert refusal(file.create_file, 1, file_attributes=wrong) == "InvalidHeaderValue", wrong
    for asked, told in (
        ("none", "Directory"),
        (NTFSAttributes(hidden=True, directory=True), "Hidden | Directory"),
        ("Archive|ReadOnly", "ReadOnly | Directory | Archive"),
    ):
        directory = share.get_directory_client(f"d{len(told)}")
        directory.create_directory(file_attributes=asked)
        assert directory.get_directory_properties().file_attributes == told


def test_what_is_read_only_stays(share: ShareClient) -> None:
    """A read-only file is not written, cut, made anew or deleted, until it is read-only no more."""
    file = share.get_file_client("x")
    file.upload_file(b"one")
    file.set_http_headers(ContentSettings(), file_attributes="ReadOnly")
    assert refusal(file.upload_range, b"two", 0, 3) == "ReadOnlyAttribute"
    assert refusal(file.clear_range, 0, 512) == "ReadOnlyAttribute"
    assert refusal(file.resize_file, 1) == "ReadOnlyAttribute"
    assert refusal(file.create_file, 9) == "ReadOnlyAttribute"
    assert refusal(file.delete_file) == "CannotDeleteFileOrDirectory"
    assert file.download_file().readall() == b"one"
    file.set_file_metadata({"still": "told"})
    file.set_http_headers(ContentSettings(), file_attributes="None")
    file.delete_file()
    directory = share.get_directory_client("d")
    directory.create_directory(file_attributes="ReadOnly")
    assert refusal(directory.delete_directory) == "CannotDeleteFileOrDirectory"
    directory.set_http_headers(file_attributes="None")
    directory.delete_directory()


def test_times_are_set_and_kept(share: ShareClient) -> None:
    """Creation, last write and change are what they were set to, until they are true no more."""
    file = share.get_file_client("x")
    file.create_file(
        3,
        file_creation_time=TIME,
        file_last_write_time=TIME + timedelta(1),
        file_change_time=TIME + timedelta(2),
    )
    made = file.get_file_properties()
    assert made.creation_time == TIME
    assert made.last_write_time == TIME + timedelta(1)
    assert made.change_time == TIME + timedelta(2)
    assert abs(datetime.now(UTC) - made.last_modified) < timedelta(minutes=1)
    file.set_file_metadata({"a": "b"})
    told = file.get_file_properties()
    assert (told.creation_time, told.last_write_time) == (TIME, TIME + timedelta(1))
    assert told.change_time != TIME + timedelta(2)
    assert told.etag != made.etag
    file.upload_range(b"new", 0, 3)
    written = file.get_file_properties()
    assert written.creation_time == TIME
    assert abs(datetime.now(UTC) - datetime.fromisoformat(str(written.last_write_time))) < (
        timedelta(minutes=1)
    )
    for wrong in ("soon", "1600-12-31T00:00:00.0000000Z", "2020-01-01T00:00:00.12x4567Z"):
        given = {"file_last_write_time": wrong}
        assert refusal(file.set_http_headers, ContentSettings(), **given) == "InvalidHeaderValue"
    far = datetime(2400, 1, 2, 3, 4, 5, tzinfo=UTC)
    file.set_http_headers(ContentSettings(), file_last_write_time=far)
    assert file.get_file_properties().last_write_time == far
    # Not every file system can say as much as Windows.
    for extreme in ("1601-01-01T00:00:00.0000000Z", "9999-12-31T23:59:59.0000000Z"):
        outcome = ""
        try:
            file.set_http_headers(ContentSettings(), file_last_write_time=extreme)
            outcome = str(file.get_file_properties().last_write_time)[:4]
        except HttpResponseError as error:
            outcome = getattr(error.response, "headers", {})["x-ms-error-code"]
        assert outcome in (extreme[:4], "OutOfRangeInput")


def test_a_file_is_as_old_as_its_creation(share: ShareClient) -> None:
    """Writing a file leaves the time of its creation; creating it again does not."""
    file = share.get_file_client("x")
    file.create_file(3)
    first = file.get_file_properties()
    file.upload_range(b"new", 0, 3)
    assert file.get_file_properties().creation_time == first.creation_time
    file.create_file(3)
    assert file.get_file_properties().creation_time != first.creation_time


def test_listings_agree_with_properties(share: ShareClient, share_path: Path) -> None:
    """What a listing says of an entry, at the root or deeper, is what its properties say."""
    key = share.create_permission_for_share("O:SYG:SYD:(A;;FR;;;WD)")
    for base in ("", "deep/er/"):
        if base:
            share.create_directory("deep")
            share.create_directory("deep/er")
        share.get_file_client(f"{base}said").create_file(
            7,
            file_attributes="Hidden",
            file_creation_time=TIME,
            file_last_write_time=TIME + timedelta(1),
            file_change_time=TIME + timedelta(2),
            permission_key=key,
        )
        share.get_file_client(f"{base}plain").upload_file(b"1")
        made = share.get_directory_client(f"{base}dir")
        made.create_directory(file_attributes="System", file_creation_time=TIME)
        share_path.joinpath(f"{base}job").write_bytes(b"12")
        listed = {
            each["name"]: each
            for each in share.list_directories_and_files(base.rstrip("/"), include=EVERYTHING)
        }
        assert listed.keys() - {"deep"} == {"said", "plain", "dir", "job"}
        for name in ("said", "plain", "dir", "job"):
            found: Any = (
                made.get_directory_properties()
                if name == "dir"
                else share.get_file_client(base + name).get_file_properties()
            )
            entry = listed[name]
            for fact in ("creation_time", "last_write_time", "change_time"):
                told = datetime.fromisoformat(entry[fact])
                assert told == found[fact], (name, fact)
            assert (entry["etag"], entry["file_id"]) == (found["etag"], found["file_id"])
            assert entry["file_attributes"] == found["file_attributes"]
            assert entry["permission_key"] == found["permission_key"]
            assert entry["last_modified"] == found["last_modified"]
        assert listed["said"]["permission_key"] == key
        assert listed["dir"]["file_attributes"] == "System | Directory"
    bare = next(iter(share.list_directories_and_files("deep/er")))
    assert (bare["file_id"], bare["etag"], bare["file_attributes"]) == (None, None, None)
    extended = next(iter(share.list_directories_and_files("deep/er", include_extended_info=True)))
    assert extended["file_id"] is not None


def test_the_root_directory_has_attributes(share: ShareClient) -> None:
    """A share's own directory can be looked at and described like any other."""
    root = share.get_directory_client("")
    root.set_http_headers(file_attributes="Hidden", file_creation_time=TIME)
    told = root.get_directory_properties()
    assert (told.file_attributes, told.creation_time) == ("Hidden | Directory", TIME)


def test_ids_tell_what_is_in_what(share: ShareClient) -> None:
    """An entry's parent id is the id of its directory, and the id stays through a rename."""
    root = share.get_directory_client("").get_directory_properties()
    assert root.parent_id == "0"
    directory = share.create_directory("d")
    told = directory.get_directory_properties()
    assert told.parent_id == root.file_id
    file = directory.upload_file("x", b"1")
    first = file.get_file_properties()
    assert (first.parent_id, first.file_id == told.file_id) == (told.file_id, False)
    moved = file.rename_file("y").get_file_properties()
    assert (moved.parent_id, moved.file_id) == (root.file_id, first.file_id)


def test_pages_go_on_while_entries_come_and_go(share: ShareClient, share_path: Path) -> None:
    """Names that a directory's slash would sort elsewhere come once; gone ones end no listing."""
    for name in ("a", "a!", "a0", "b"):
        share.create_directory(name)
        share_path.joinpath(f"{name}.txt").write_bytes(b"1")
    everything = sorted(f"{name}{end}" for name in ("a", "a!", "a0", "b") for end in ("", ".txt"))
    for size in (1, 2, 3, 100):
        pages = share.list_directories_and_files(results_per_page=size).by_page()
        # Of a page the client tells the directories first.
        assert sorted(each["name"] for page in pages for each in page) == everything
    pages = share.list_directories_and_files(results_per_page=3).by_page()
    seen = [each["name"] for each in next(pages)]
    share_path.joinpath("a0").rmdir()
    share_path.joinpath("a.txt").unlink()
    share_path.joinpath("c").mkdir()
    seen += [each["name"] for page in pages for each in page]
    assert sorted(seen) == [each for each in (*everything, "c") if each not in ("a0", "a.txt")]
    named = share.list_directories_and_files(name_starts_with="a0")
    assert [each["name"] for each in named] == ["a0.txt"]


def test_trailing_dots_are_kept_on_request(service: Service, share: ShareClient) -> None:
    """Without the header trailing dots are cut off all segments; with it they are in names."""
    share.create_directory("dir..")
    file = share.get_file_client("dir/name...")
    file.upload_file(b"cut")
    assert share.get_file_client("dir./name").download_file().readall() == b"cut"
    with service.shares(allow_trailing_dot=True, allow_source_trailing_dot=True) as client:
        keeps = client.get_share_client(str(share.share_name))
        kept = keeps.get_file_client("dir/name.")
        kept.upload_file(b"kept")
        assert keeps.get_file_client("dir/name").download_file().readall() == b"cut"
        names = [each["name"] for each in keeps.list_directories_and_files("dir")]
        assert names == ["name", "name."]
        kept.rename_file("dir/other.")
        names = [each["name"] for each in keeps.list_directories_and_files("dir")]
        assert names == ["name", "other."]
    share.get_file_client("dir/name.").rename_file("dir/last.")
    assert share.get_file_client("dir/last").exists()
    assert refusal(share.get_file_client("dir/...").create_file, 1) == "InvalidResourceName"
    given = {"headers": {"x-ms-allow-trailing-dot": "perhaps"}}
    assert refusal(file.get_file_properties, **given) == "InvalidHeaderValue"


def test_a_file_can_be_created_with_its_content(share: ShareClient, share_path: Path) -> None:
    """Create File with a body is a file at once, checked like a range; zeros fill it up."""
    file = share.get_file_client("x")
    file.create_file(6, data=b"abc")
    assert share_path.joinpath("x").read_bytes() == b"abc\0\0\0"
    assert refusal(file.create_file, 2, data=b"abc") == "RequestBodyTooLarge"
    wrong = {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    assert refusal(file.create_file, 3, data=b"new", headers=wrong) == "Md5Mismatch"
    assert share_path.joinpath("x").read_bytes() == b"abc\0\0\0"
    intent = {"x-ms-file-request-intent": "backup"}
    file.create_file(3, data=b"new", headers=intent)
    assert share_path.joinpath("x").read_bytes() == b"new"


def test_what_only_nfs_has_is_refused_by_name(service: Service, share: ShareClient) -> None:
    """Modes, owners, links and NFS shares answer with the name of what is not there."""
    file = share.get_file_client("x")
    for header in ("x-ms-mode", "x-ms-owner", "x-ms-group", "x-ms-file-file-type"):
        with pytest.raises(HttpResponseError) as refused:
            file.create_file(1, headers={header: "1"})
        assert code(refused) == "UnsupportedHeader"
        assert header in str(refused.value)
    assert refusal(file.create_hardlink, "/y") == "NotImplemented"
    assert refusal(file.create_symlink, "/y") == "NotImplemented"
    assert refusal(file.get_symlink) == "NotImplemented"
    with service.shares() as client:
        for options in ({"protocols": "NFS"}, {"protocols": "NFS", "root_squash": "RootSquash"}):
            assert refusal(client.create_share, "nfs", **options) == "UnsupportedHeader"
