"""Rename File and Rename Directory, by the official client."""

import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.fileshare import (
    ContentSettings,
    FileSasPermissions,
    ShareClient,
    ShareFileClient,
    generate_file_sas,
)

from batchai_quickstart.storage import Kind, Store
from batchai_quickstart.storage.properties import Properties
from tests.storage.conftest import Service, code


def refusal(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The error code that a call ends with."""
    with pytest.raises(HttpResponseError) as refused:
        call(*arguments, **options)
    return code(refused)


def test_a_file_keeps_what_was_said_of_it(share: ShareClient, share_path: Path) -> None:
    """Content, metadata, content settings, MD5, version and lease go along across directories."""
    share.create_directory("from")
    share.create_directory("to ü")
    settings = ContentSettings(content_type="text/x", content_md5=bytearray(b"0" * 16))
    file = share.get_file_client("from/a b%.txt")
    file.upload_file(b"text", metadata={"a": "1"})
    file.set_http_headers(settings)
    lease = file.acquire_lease()
    before = file.get_file_properties()
    moved = file.rename_file("to ü/c+d.txt", source_lease=lease)
    after = moved.get_file_properties()
    assert share_path.joinpath("to ü", "c+d.txt").read_bytes() == b"text"
    assert not share_path.joinpath("from", "a b%.txt").exists()
    assert (after.metadata, after.etag, after.last_write_time) == (
        before.metadata,
        before.etag,
        before.last_write_time,
    )
    assert after.content_settings.content_type == "text/x"
    assert after.content_settings.content_md5 == bytearray(b"0" * 16)
    assert after.lease.state == "leased"
    assert refusal(moved.delete_file) == "LeaseIdMissing"
    moved.delete_file(lease=lease)
    file.upload_file(b"new")
    assert file.get_file_properties().lease.state == "available"


def test_a_directory_takes_everything_below_along(share: ShareClient, share_path: Path) -> None:
    """Rows of files at any depth follow, names like it do not, and no row is left behind."""
    for name in ("d", "d/e", "d0", "d!"):
        share.create_directory(name, metadata={"of": "x" + name.encode().hex()})
    for name in ("d/f", "d/e/f", "d0/f", "d!/f"):
        share.get_file_client(name).upload_file(b"1", metadata={"of": "x" + name.encode().hex()})
    raw = os.fsencode(share_path) + b"/d/\xff\xfe"
    with open(raw, "wb") as file:  # noqa: PTH123
        file.write(b"2")
    share.get_file_client("d/f").acquire_lease()
    share.get_directory_client("d").rename_directory("d!/g")
    for old, new in (("d/f", "d!/g/f"), ("d/e/f", "d!/g/e/f"), ("d0/f", "d0/f"), ("d!/f", "d!/f")):
        told = share.get_file_client(new).get_file_properties().metadata
        assert told == {"of": "x" + old.encode().hex()}, new
    of_directory = share.get_directory_client("d!/g").get_directory_properties()
    assert of_directory.metadata == {"of": "x" + b"d".hex()}
    assert share.get_file_client("d!/g/f").get_file_properties().lease.state == "leased"
    assert not share_path.joinpath("d").exists()
    share.create_directory("d")
    share.get_file_client("d/f").upload_file(b"3")
    fresh = share.get_file_client("d/f").get_file_properties()
    assert (fresh.metadata, fresh.lease.state) == ({}, "available")


def test_names_that_are_not_text_keep_what_was_said(service: Service, share: ShareClient) -> None:
    """What was said of a file below with bytes for a name is found at its new path."""
    volume = service.store.volume(service.account.name, Kind.FILE, str(share.share_name))
    share.create_directory("d")
    name = os.fsdecode(b"d/\xff\xfe\x80")
    volume.path.joinpath(name).write_bytes(b"1")
    status = volume.path.joinpath(name).stat()
    service.on_loop(
        lambda: service.store.say(volume, name, status, Properties(metadata={"a": "b"}))
    )
    share.get_directory_client("d").rename_directory("e")
    found = service.store.said(volume, "e" + name[1:], status)
    assert found.metadata == {"a": "b"}


def test_what_exists_is_replaced_on_request_only(share: ShareClient) -> None:
    """A file is replaced when asked for, a read-only one only with more, a directory never."""
    source = share.get_file_client("a")
    target = share.get_file_client("b")
    source.upload_file(b"new")
    target.upload_file(b"old", metadata={"old": "1"})
    assert refusal(source.rename_file, "b") == "ResourceAlreadyExists"
    assert refusal(source.rename_file, "a") == "ResourceAlreadyExists"
    target.set_http_headers(ContentSettings(), file_attributes="ReadOnly")
    assert refusal(source.rename_file, "b", overwrite=True) == "ReadOnlyAttribute"
    assert target.download_file().readall() == b"old"
    source.rename_file("b", overwrite=True, ignore_read_only=True)
    assert target.download_file().readall() == b"new"
    assert target.get_file_properties().metadata == {}
    assert refusal(source.get_file_properties) == "ResourceNotFound"
    share.create_directory("d")
    assert refusal(target.rename_file, "d", overwrite=True) == "ResourceAlreadyExists"
    directory = share.create_directory("e")
    assert refusal(directory.rename_directory, "d", overwrite=True) == "ResourceAlreadyExists"
    assert refusal(directory.rename_directory, "b") == "ResourceAlreadyExists"
    moved = directory.rename_directory("b", overwrite=True)
    assert moved.exists()
    assert [each["name"] for each in share.list_directories_and_files()] == ["b", "d"]


def test_what_cannot_be_renamed_is_said(share: ShareClient) -> None:
    """Missing sources and parents, other types and a directory into itself: each has its code."""
    file = share.get_file_client("a")
    assert refusal(file.rename_file, "b") == "ResourceNotFound"
    file.upload_file(b"1")
    directory = share.create_directory("d")
    assert refusal(file.rename_file, "no/b") == "ParentNotFound"
    assert refusal(file.rename_file, "a/b") == "ResourceTypeMismatch"
    assert refusal(directory.rename_directory, "d/e") == "InvalidInput"
    assert refusal(share.get_file_client("d").rename_file, "b") == "ResourceTypeMismatch"
    assert refusal(share.get_directory_client("a").rename_directory, "b") == "ResourceTypeMismatch"
    assert refusal(file.rename_file, "d/x:y") == "InvalidResourceName"
    assert file.download_file().readall() == b"1"


def test_leases_of_both_names_are_asked(share: ShareClient) -> None:
    """The source's lease and the replaced file's each need their id."""
    source, target = share.get_file_client("a"), share.get_file_client("b")
    source.upload_file(b"new")
    target.upload_file(b"old")
    on_source, on_target = source.acquire_lease(), target.acquire_lease()
    rename = source.rename_file
    assert refusal(rename, "b", overwrite=True, destination_lease=on_target) == "LeaseIdMissing"
    assert refusal(rename, "b", overwrite=True, source_lease=on_source) == "LeaseIdMissing"
    crossed = {"source_lease": on_target, "destination_lease": on_source}
    assert refusal(rename, "b", overwrite=True, **crossed) == "LeaseIdMismatchWithFileOperation"
    rename("b", overwrite=True, source_lease=on_source, destination_lease=on_target)
    assert refusal(target.delete_file, lease=on_target) == "LeaseIdMismatchWithFileOperation"
    target.delete_file(lease=on_source.id)


def test_a_rename_can_say_something_new(share: ShareClient) -> None:
    """Content type, metadata, attributes and times that a rename names are set, others stay."""
    file = share.get_file_client("a")
    settings = ContentSettings(content_type="text/old", cache_control="no-store")
    file.upload_file(b"1", metadata={"old": "1"}, content_settings=settings)
    written = datetime(2021, 2, 3, 4, 5, 6, tzinfo=UTC)
    before = file.get_file_properties()
    moved = file.rename_file(
        "b",
        metadata={"new": "2"},
        content_type="text/new",
        file_attributes="Hidden",
        file_creation_time=written,
        file_last_write_time=written + timedelta(1),
    )
    after = moved.get_file_properties()
    assert (after.metadata, after.file_attributes) == ({"new": "2"}, "Hidden")
    assert after.content_settings.content_type == "text/new"
    assert after.content_settings.cache_control == "no-store"
    assert after.creation_time == written
    assert after.last_write_time == written + timedelta(1)
    again = moved.rename_file("c", content_type="text/newer").get_file_properties()
    assert again.last_write_time == after.last_write_time
    assert len({before.etag, after.etag, again.etag}) == 3


def test_the_source_is_in_the_same_share(service: Service, share: ShareClient) -> None:
    """Other shares, services and hosts of other accounts are refused, and nothing moves."""
    share.get_file_client("a").upload_file(b"1")
    ours = service.url(Kind.FILE, f"/{share.share_name}/a")
    for wrong in (
        service.url(Kind.FILE, "/other/a"),
        service.url(Kind.BLOB, f"/{share.share_name}/a"),
        ours.replace("mystorage", "otherone"),
        f"/{share.share_name}/a",
        "http://[::1/x",
        f"https://myaccount.queue.core.windows.net/{share.share_name}/a",
    ):
        given = {"x-ms-file-rename-source": wrong}
        target = share.get_file_client("b")
        with pytest.raises(HttpResponseError) as refused:
            target._client.file.rename(rename_source=wrong, headers=given)
        assert code(refused) == "InvalidHeaderValue", wrong
    by_name = f"https://mystorage.file.core.windows.net/{share.share_name}/a"
    share.get_file_client("b")._client.file.rename(rename_source=by_name)
    assert [each["name"] for each in share.list_directories_and_files()] == ["b"]


def test_a_signature_for_the_new_name_does_not_reach_the_old(
    service: Service, share: ShareClient
) -> None:
    """With signatures each name needs one with the right to write."""
    share.get_file_client("a").upload_file(b"1")

    def client(name: str, **permissions: bool) -> ShareFileClient:
        token = generate_file_sas(
            **service.credential(),  # type: ignore[arg-type]
            share_name=str(share.share_name),
            file_path=[name],
            permission=FileSasPermissions(**permissions),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        url = service.url(Kind.FILE)
        return ShareFileClient(url, str(share.share_name), name, credential=token)

    writes = client("b", write=True)
    token = writes.url.partition("?")[2]
    bare = share.get_file_client("a").url
    with pytest.raises(HttpResponseError) as refused:
        writes._client.file.rename(rename_source=bare)
    assert code(refused) == "AuthenticationFailed"
    reads = client("a", read=True)
    assert refusal(reads.rename_file, f"b?{token}") == "AuthorizationPermissionMismatch"
    client("a", write=True).rename_file(f"b?{token}")
    assert share.get_file_client("b").exists()


def test_links_lead_a_rename_nowhere(share: ShareClient, share_path: Path, tmp_path: Path) -> None:
    """Neither name reaches out of the share by a job's link; a link itself can be renamed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.joinpath("secret").write_bytes(b"s")
    share_path.joinpath("away").symlink_to(outside)
    share.get_file_client("a").upload_file(b"1")
    assert refusal(share.get_file_client("away/secret").rename_file, "b") == "ResourceNotFound"
    assert refusal(share.get_file_client("a").rename_file, "away/b") == "ParentNotFound"
    assert sorted(each.name for each in outside.iterdir()) == ["secret"]
    share_path.joinpath("near").symlink_to("a")
    share.get_file_client("near").rename_file("nearer")
    assert share_path.joinpath("nearer").is_symlink()
    assert share_path.joinpath("a").read_bytes() == b"1"


@pytest.mark.parametrize("moved", [True, False])
def test_a_crash_in_between_loses_nothing_said(tmp_path: Path, moved: bool) -> None:
    """Whether the name on disk has changed or not, what was said is found with it at restart."""
    store = Store(tmp_path / "root")
    store.create_account("mystorage")
    volume = store.create_volume("mystorage", Kind.FILE, "data")
    path = volume.path.joinpath("a")
    path.write_bytes(b"1")
    status = path.stat()
    store.say(volume, "a", status, Properties(metadata={"a": "b"}))
    store.sidecar.begin_move(("mystorage", "file", "data"), "a", "b", status.st_ino)
    if moved:
        path.rename(volume.path / "b")
    store.close()
    store = Store(tmp_path / "root")
    assert store.said(volume, "b" if moved else "a", status).metadata == {"a": "b"}
    store.close()
    with sqlite3.connect(tmp_path / "root" / "storage.db") as database:
        assert database.execute("SELECT count(*) FROM moves").fetchone() == (0,)
    database.close()
