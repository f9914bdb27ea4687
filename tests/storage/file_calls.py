"""Every public method of the official Files clients, and what comes of it here."""

from datetime import UTC, datetime, timedelta
from typing import Final

from azure.storage.fileshare import AccessPolicy, ContentSettings

from batchai_quickstart.storage.volume import Kind
from tests.storage.blob_calls import LEASE, SOURCE
from tests.storage.twins import NOT_DONE, Row

LATER: Final = datetime.now(UTC) + timedelta(hours=1)
WRITTEN: Final = datetime(2020, 2, 29, 12, 30, tzinfo=UTC)
PERMISSION: Final = "O:SYG:SYD:(A;;FA;;;SY)"


SERVICE: Final = (
    Row("ShareServiceClient.create_share",
        lambda shares, at: shares.create_share(at.volume, metadata={"owner": "Me"}, quota=5)),
    Row("ShareServiceClient.create_share", lambda shares, at: shares.create_share(at.volume),
        code="ShareAlreadyExists"),
    Row("ShareServiceClient.list_shares",
        lambda shares, at: shares.list_shares(at.volume, include_metadata=True),
        lambda found: [(each.metadata, each.quota) for each in found] == [({"owner": "Me"}, 5)]),
    Row("ShareServiceClient.get_share_client",
        lambda shares, at: shares.get_share_client(at.volume).get_share_properties(),
        lambda found: found.quota == 5),
    Row("ShareServiceClient.from_connection_string",
        lambda shares, at: at.also(
            type(shares).from_connection_string(at.connection_string)
        ).list_shares("none"),
        lambda found: found == []),
    Row("ShareServiceClient.get_service_properties",
        lambda shares, at: shares.get_service_properties(),
        lambda found: found["cors"] == [] and not found["hour_metrics"].enabled),
    Row("ShareServiceClient.set_service_properties",
        lambda shares, at: shares.set_service_properties(cors=[])),
    Row("ShareServiceClient.get_user_delegation_key",
        lambda shares, at: shares.get_user_delegation_key(
            start=datetime.now(UTC), expiry=LATER), code=NOT_DONE),
    Row("ShareServiceClient.undelete_share",
        lambda shares, at: shares.undelete_share(at.volume, "1"), code=NOT_DONE),
)  # fmt: skip

SHARE: Final = (
    Row("ShareClient.create_share",
        lambda share, at: at.clients["ShareServiceClient"]
        .get_share_client(f"{at.volume}-2").create_share()),
    Row("ShareClient.delete_share",
        lambda share, at: at.clients["ShareServiceClient"]
        .get_share_client(f"{at.volume}-2").delete_share()),
    Row("ShareClient.from_connection_string",
        lambda share, at: at.also(
            type(share).from_connection_string(at.connection_string, at.volume)
        ).get_share_properties(), lambda found: found.metadata == {"owner": "Me"}),
    Row("ShareClient.from_share_url",
        lambda share, at: at.also(
            type(share).from_share_url(share.url, credential=at.service.credential())
        ).get_share_properties()),
    Row("ShareClient.get_share_properties", lambda share, at: share.get_share_properties(),
        lambda found: found.etag and found.quota == 5),
    Row("ShareClient.set_share_quota", lambda share, at: share.set_share_quota(7)),
    Row("ShareClient.set_share_properties",
        lambda share, at: share.set_share_properties(quota=8)),
    Row("ShareClient.set_share_properties",
        lambda share, at: share.set_share_properties(access_tier="Hot"),
        code="UnsupportedHeader"),
    Row("ShareClient.set_share_metadata",
        lambda share, at: share.set_share_metadata({"two": "zwei"})),
    Row("ShareClient.get_share_properties", lambda share, at: share.get_share_properties(),
        lambda found: (found.quota, found.metadata) == (8, {"two": "zwei"})),
    Row("ShareClient.set_share_access_policy",
        lambda share, at: share.set_share_access_policy({"readers": AccessPolicy("r", LATER)})),
    Row("ShareClient.get_share_access_policy",
        lambda share, at: share.get_share_access_policy(),
        lambda found: [each.id for each in found["signed_identifiers"]] == ["readers"]),
    Row("ShareClient.create_directory", lambda share, at: share.create_directory("one")),
    Row("ShareClient.create_directory", lambda share, at: share.create_directory("one"),
        code="ResourceAlreadyExists"),
    Row("ShareClient.get_directory_client",
        lambda share, at: share.get_directory_client("one").exists(), bool),
    Row("ShareClient.get_file_client",
        lambda share, at: share.get_file_client("one/x").upload_file(b"1")),
    Row("ShareClient.list_directories_and_files",
        lambda share, at: share.list_directories_and_files("one", include=["timestamps", "etag"]),
        lambda found: [(each.name, each.size, each.is_directory) for each in found]
        == [("x", 1, False)]),
    Row("ShareClient.delete_directory", lambda share, at: share.delete_directory("one"),
        code="DirectoryNotEmpty"),
    Row("ShareClient.create_snapshot", lambda share, at: share.create_snapshot(), code=NOT_DONE),
    Row("ShareClient.acquire_lease",
        lambda share, at: share.acquire_lease(lease_duration=15, lease_id=LEASE)),
    Row("ShareClient.delete_share", lambda share, at: share.delete_share(),
        code="LeaseIdMissing"),
    Row("ShareLeaseClient.renew", lambda lease, at: lease.renew()),
    Row("ShareLeaseClient.change", lambda lease, at: lease.change(LEASE.replace("1", "2"))),
    Row("ShareLeaseClient.release", lambda lease, at: lease.release()),
    Row("ShareLeaseClient.acquire", lambda lease, at: lease.acquire()),
    Row("ShareLeaseClient.break_lease", lambda lease, at: lease.break_lease(),
        lambda found: found == 0),
    Row("ShareClient.get_share_stats", lambda share, at: share.get_share_stats(),
        lambda found: isinstance(found, int)),
    Row("ShareClient.create_permission_for_share",
        lambda share, at: share.create_permission_for_share(PERMISSION),
        lambda found: isinstance(found, str) and found),
    Row("ShareClient.get_permission_for_share",
        lambda share, at: share.get_permission_for_share("no such key"),
        code="FileInvalidPermissionKey"),
)  # fmt: skip

# from_directory_url and from_file_url of azure-storage-file-share 12 drop the `http:` of an address
# and what its path has before the share: they ask for a TLS connection, whatever is served.
DIRECTORY: Final = (
    Row("ShareDirectoryClient.exists", lambda directory, at: directory.exists(),
        lambda found: found is False),
    Row("ShareDirectoryClient.create_directory",
        lambda directory, at: directory.create_directory(metadata={"upper": "Case"})),
    Row("ShareDirectoryClient.from_connection_string",
        lambda directory, at: at.also(
            type(directory).from_connection_string(at.connection_string, at.volume, "dir")
        ).exists(), bool),
    Row("ShareDirectoryClient.from_directory_url",
        lambda directory, at: at.also(
            type(directory).from_directory_url(
                directory.url, credential=at.service.credential(), retry_total=0)
        ).exists(), code="ServiceRequestError"),
    Row("ShareDirectoryClient.get_directory_properties",
        lambda directory, at: directory.get_directory_properties(),
        lambda found: found.metadata == {"upper": "Case"} and found.last_write_time),
    Row("ShareDirectoryClient.set_directory_metadata",
        lambda directory, at: directory.set_directory_metadata({"two": "zwei"})),
    Row("ShareDirectoryClient.set_http_headers",
        lambda directory, at: directory.set_http_headers(file_last_write_time=WRITTEN)),
    Row("ShareDirectoryClient.get_directory_properties",
        lambda directory, at: directory.get_directory_properties(),
        lambda found: found.metadata == {"two": "zwei"} and found.last_write_time == WRITTEN),
    Row("ShareDirectoryClient.create_subdirectory",
        lambda directory, at: directory.create_subdirectory("sub")),
    Row("ShareDirectoryClient.get_subdirectory_client",
        lambda directory, at: directory.get_subdirectory_client("sub").exists(), bool),
    Row("ShareDirectoryClient.upload_file",
        lambda directory, at: directory.upload_file("x.txt", b"12345")),
    Row("ShareDirectoryClient.get_file_client",
        lambda directory, at: directory.get_file_client("x.txt").exists(), bool),
    Row("ShareDirectoryClient.list_directories_and_files",
        lambda directory, at: directory.list_directories_and_files(),
        lambda found: [(each.name, each.is_directory) for each in found]
        == [("sub", True), ("x.txt", False)]),
    Row("ShareDirectoryClient.list_handles",
        lambda directory, at: directory.list_handles(recursive=True),
        lambda found: found == []),
    Row("ShareDirectoryClient.close_handle", lambda directory, at: directory.close_handle("1"),
        lambda found: found["closed_handles_count"] == 0),
    Row("ShareDirectoryClient.close_all_handles",
        lambda directory, at: directory.close_all_handles(recursive=True),
        lambda found: found["closed_handles_count"] == 0),
    Row("ShareDirectoryClient.delete_file",
        lambda directory, at: directory.delete_file("x.txt")),
    Row("ShareDirectoryClient.rename_directory",
        lambda directory, at: directory.get_subdirectory_client("sub")
        .rename_directory("dir/renamed"),
        lambda found: found.directory_path == "dir/renamed"),
    Row("ShareDirectoryClient.rename_directory",
        lambda directory, at: directory.get_subdirectory_client("renamed")
        .rename_directory("dir/sub")),
    Row("ShareDirectoryClient.delete_subdirectory",
        lambda directory, at: directory.delete_subdirectory("sub")),
    Row("ShareDirectoryClient.delete_subdirectory",
        lambda directory, at: directory.delete_subdirectory("sub"), code="ResourceNotFound"),
)  # fmt: skip

FILE: Final = (
    Row("ShareFileClient.exists", lambda file, at: file.exists(), lambda found: found is False),
    Row("ShareFileClient.create_file",
        lambda file, at: file.create_file(1024, metadata={"upper": "Case"})),
    Row("ShareFileClient.upload_range",
        lambda file, at: file.upload_range(b"abcd", 2, 4, validate_content=True)),
    Row("ShareFileClient.upload_range", lambda file, at: file.upload_range(b"ef", 600, 2)),
    Row("ShareFileClient.clear_range", lambda file, at: file.clear_range(512, 512)),
    Row("ShareFileClient.download_file", lambda file, at: file.download_file(),
        lambda found: found == b"\0\0abcd" + bytes(1018)),
    Row("ShareFileClient.download_file", lambda file, at: file.download_file(2, 2),
        lambda found: found == b"ab"),
    Row("ShareFileClient.resize_file", lambda file, at: file.resize_file(4)),
    Row("ShareFileClient.get_file_properties", lambda file, at: file.get_file_properties(),
        lambda found: found.name == "grün.txt" and found.size == 4
        and found.metadata == {"upper": "Case"}),
    Row("ShareFileClient.upload_file",
        lambda file, at: file.upload_file(b"whole", metadata={"two": "zwei"}, max_concurrency=2,
                                          file_last_write_time=WRITTEN)),
    Row("ShareFileClient.from_connection_string",
        lambda file, at: at.also(
            type(file).from_connection_string(at.connection_string, at.volume, "dir/grün.txt")
        ).download_file(), lambda found: found == b"whole"),
    Row("ShareFileClient.from_file_url",
        lambda file, at: at.also(
            type(file).from_file_url(
                file.url, credential=at.service.credential(), retry_total=0)
        ).exists(), code="ServiceRequestError"),
    Row("ShareFileClient.set_file_metadata",
        lambda file, at: file.set_file_metadata({"three": "drei"})),
    Row("ShareFileClient.set_http_headers",
        lambda file, at: file.set_http_headers(ContentSettings("text/x", cache_control="none"))),
    Row("ShareFileClient.get_file_properties", lambda file, at: file.get_file_properties(),
        lambda found: found.metadata == {"three": "drei"}
        and found.content_settings.cache_control == "none"),
    Row("ShareFileClient.acquire_lease", lambda file, at: file.acquire_lease(LEASE)),
    Row("ShareFileClient.delete_file", lambda file, at: file.delete_file(),
        code="LeaseIdMissing"),
    Row("ShareLeaseClient.release", lambda lease, at: lease.release()),
    Row("ShareFileClient.create_hardlink",
        lambda file, at: file.create_hardlink("dir/x.txt"), code=NOT_DONE),
    Row("ShareFileClient.create_symlink",
        lambda file, at: file.create_symlink("dir/x.txt"), code=NOT_DONE),
    Row("ShareFileClient.get_symlink", lambda file, at: file.get_symlink(), code=NOT_DONE),
    Row("ShareFileClient.get_ranges", lambda file, at: file.get_ranges(),
        lambda found: found == [{"start": 0, "end": 4}]),
    Row("ShareFileClient.list_ranges", lambda file, at: file.list_ranges(),
        lambda found: [(each.start, each.end) for each in found] == [(0, 4)]),
    Row("ShareFileClient.get_ranges_diff", lambda file, at: file.get_ranges_diff("2020"),
        code="UnsupportedQueryParameter"),
    Row("ShareFileClient.list_ranges_diff", lambda file, at: file.list_ranges_diff("2020"),
        code="UnsupportedQueryParameter"),
    Row("ShareFileClient.list_handles", lambda file, at: file.list_handles(),
        lambda found: found == []),
    Row("ShareFileClient.close_handle", lambda file, at: file.close_handle("1"),
        lambda found: found["closed_handles_count"] == 0),
    Row("ShareFileClient.close_all_handles", lambda file, at: file.close_all_handles(),
        lambda found: found["closed_handles_count"] == 0),
    Row("ShareFileClient.rename_file", lambda file, at: file.rename_file("dir/new.txt"),
        lambda found: found.file_name == "new.txt"),
    Row("ShareFileClient.exists", lambda file, at: file.exists(),
        lambda found: found is False),
    Row("ShareFileClient.start_copy_from_url",
        lambda file, at: file.start_copy_from_url(at.sources[Kind.FILE]),
        lambda found: found["copy_status"] == "success"),
    Row("ShareFileClient.download_file", lambda file, at: file.download_file(),
        lambda found: found == SOURCE),
    Row("ShareFileClient.abort_copy", lambda file, at: file.abort_copy(LEASE),
        code="NoPendingCopyOperation"),
    Row("ShareFileClient.create_file", lambda file, at: file.create_file(8)),
    Row("ShareFileClient.upload_range_from_url",
        lambda file, at: file.upload_range_from_url(at.sources[Kind.FILE], 0, 4, 0)),
    Row("ShareFileClient.download_file", lambda file, at: file.download_file(0, 4),
        lambda found: found == SOURCE[:4]),
    Row("ShareFileClient.delete_file", lambda file, at: file.delete_file()),
    Row("ShareFileClient.delete_file", lambda file, at: file.delete_file(),
        code="ResourceNotFound"),
)  # fmt: skip

END: Final = (
    Row("ShareDirectoryClient.delete_directory",
        lambda directory, at: at.clients["ShareClient"].get_directory_client("none")
        .delete_directory(), code="ResourceNotFound"),
    Row("ShareServiceClient.delete_share", lambda shares, at: shares.delete_share(at.volume)),
    Row("ShareServiceClient.delete_share", lambda shares, at: shares.delete_share(at.volume),
        code="ShareNotFound"),
    Row("ShareFileClient.close", lambda file, at: file.close()),
    Row("ShareDirectoryClient.close", lambda directory, at: directory.close()),
    Row("ShareClient.close", lambda share, at: share.close()),
    Row("ShareServiceClient.close", lambda shares, at: shares.close()),
)  # fmt: skip

FILE_CALLS: Final = (*SERVICE, *SHARE, *DIRECTORY, *FILE, *END)
