"""Permissions, handles, usage and quota of shares, by the official client."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.fileshare import ContentSettings, ShareClient

from batchai_quickstart.storage import Kind, Store
from tests.storage.conftest import Service, code

SDDL = (
    "O:S-1-5-21-2127521184-1604012920-1887927527-21560751G:S-1-5-21-2127521184-1604012920-"
    "1887927527-513D:AI(A;;FA;;;SY)(A;;FA;;;BA)(A;;0x1200a9;;;S-1-5-21-397955417-626881126)"
)


def refusal(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The error code that a call ends with."""
    with pytest.raises(HttpResponseError) as refused:
        call(*arguments, **options)
    return code(refused)


def test_permissions_are_kept_under_a_key(share: ShareClient) -> None:
    """A permission has one key, which files and directories can name, and is told again."""
    key = share.create_permission_for_share(SDDL)
    assert share.create_permission_for_share(SDDL) == key
    assert share.get_permission_for_share(str(key)) == SDDL
    file = share.get_file_client("x")
    file.create_file(1)
    usual = file.get_file_properties().permission_key
    assert usual != key
    assert share.get_permission_for_share(str(usual)).startswith("O:SYG:SYD:")
    file.set_http_headers(ContentSettings(), permission_key=key)
    assert file.get_file_properties().permission_key == key
    file.set_http_headers(ContentSettings(content_type="text/plain"))
    assert file.get_file_properties().permission_key == key
    other = share.get_directory_client("d")
    other.create_directory(file_permission=SDDL.replace("AI", "P"))
    told = str(other.get_directory_properties().permission_key)
    assert share.get_permission_for_share(told) == SDDL.replace("AI", "P")
    moved = file.rename_file("y")
    assert moved.get_file_properties().permission_key == key


def test_what_is_no_permission_is_refused(share: ShareClient) -> None:
    """Texts that are no SDDL, unknown keys and the binary form have an error of their own."""
    for wrong in ("", "everybody", "O:SYG:SY", "D:(A;;FA;;;WD)", "O:SYG:SYD:(A;;FA;;;WD)\n"):
        assert refusal(share.create_permission_for_share, wrong) == "FileInvalidPermission", wrong
    assert refusal(share.get_permission_for_share, "1*2") == "FileInvalidPermissionKey"
    file = share.get_file_client("x")
    assert refusal(file.create_file, 1, permission_key="1*2") == "FileInvalidPermissionKey"
    assert refusal(file.create_file, 1, file_permission="no") == "FileInvalidPermission"
    assert not file.exists()
    binary: dict[str, Any] = {"headers": {"x-ms-file-permission-format": "binary"}}
    key = share.create_permission_for_share(SDDL)
    assert refusal(share.get_permission_for_share, key, **binary) == "UnsupportedHeader"
    assert refusal(file.create_file, 1, file_permission=SDDL, **binary) == "UnsupportedHeader"


def test_permissions_go_with_their_share(tmp_path: Path) -> None:
    """They survive a restart, and a new share of the name has none."""
    store = Store(tmp_path / "root")
    store.create_account("mystorage")
    volume = store.create_volume("mystorage", Kind.FILE, "data")
    store.keep_permission(volume, "1*1", SDDL)
    store.close()
    store = Store(tmp_path / "root")
    assert store.permission(volume, "1*1") == SDDL
    store.delete_volume("mystorage", Kind.FILE, "data")
    store.create_volume("mystorage", Kind.FILE, "data")
    assert store.permission(volume, "1*1") is None
    store.close()


def test_there_are_no_handles(share: ShareClient) -> None:
    """Files and directories have no open handles, so none is listed and none is closed."""
    directory = share.create_directory("d")
    file = directory.upload_file("x", b"1")
    file.acquire_lease()
    root = share.get_directory_client("")
    assert list(file.list_handles()) == []
    assert list(directory.list_handles(recursive=True, results_per_page=1)) == []
    assert list(root.list_handles(recursive=True)) == []
    for closed in (
        file.close_all_handles(),
        file.close_handle("1"),
        directory.close_all_handles(recursive=True),
        root.close_all_handles(recursive=True),
    ):
        assert closed == {"closed_handles_count": 0, "failed_handles_count": 0}
    missing = share.get_file_client("y")
    assert refusal(list, missing.list_handles()) == "ResourceNotFound"
    assert refusal(missing.close_all_handles) == "ResourceNotFound"
    assert refusal(file.close_handle, "one") == "InvalidHeaderValue"


def test_the_size_of_a_share_is_counted(share: ShareClient, share_path: Path) -> None:
    """Get Share Stats is the bytes of all files, those of jobs too, at any depth."""
    assert share.get_share_stats() == 0
    share.create_directory("d").upload_file("x", b"12345")
    share_path.joinpath("d", "e").mkdir()
    share_path.joinpath("d", "e", "job").write_bytes(b"x" * 1000)
    assert share.get_share_stats() == 1005
    lease = share.acquire_lease()
    assert share.get_share_stats(lease=lease) == 1005
    other = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
    assert refusal(share.get_share_stats, lease=other) == "LeaseIdMismatchWithShareOperation"
    assert refusal(share.set_share_metadata, {}, lease=other) == "LeaseIdMismatchWithShareOperation"
    lease.release()


def test_quotas_have_azures_bounds(service: Service, share: ShareClient) -> None:
    """A quota is 1 to 102400 GiB."""
    share.set_share_quota(102_400)
    assert share.get_share_properties().quota == 102_400
    for wrong in (0, 102_401, 10**30):
        assert refusal(share.set_share_quota, wrong) == "InvalidHeaderValue"
    assert share.get_share_properties().quota == 102_400
    with service.shares() as client:
        assert refusal(client.create_share, "wrong", quota=102_401) == "InvalidHeaderValue"


def test_leases_guard_every_write(share: ShareClient) -> None:
    """Each operation that changes a leased file needs its lease id."""
    file = share.get_file_client("x")
    file.upload_file(b"one")
    lease = file.acquire_lease()
    writes: tuple[Callable[..., Any], ...] = (
        lambda **options: file.create_file(1024, **options),
        lambda **options: file.upload_range(b"two", 0, 3, **options),
        lambda **options: file.clear_range(0, 512, **options),
        lambda **options: file.resize_file(600, **options),
        lambda **options: file.set_http_headers(ContentSettings(), **options),
        lambda **options: file.set_file_metadata({"a": "b"}, **options),
        file.delete_file,
    )
    other = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
    for write in writes:
        assert refusal(write) == "LeaseIdMissing"
        assert refusal(write, lease=other) == "LeaseIdMismatchWithFileOperation"
    for write in writes:
        write(lease=lease)
    assert not file.exists()
