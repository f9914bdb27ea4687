"""Every public method of the official Blob clients, and what comes of it here."""

from datetime import UTC, datetime, timedelta
from typing import Final

from azure.storage.blob import (
    AccessPolicy,
    BlobBlock,
    ContentSettings,
    ImmutabilityPolicy,
    RetentionPolicy,
)

from batchai_quickstart.storage.operations import Key
from batchai_quickstart.storage.volume import Kind
from tests.storage.twins import NOT_DONE, Row

SOURCE: Final = b"what is copied\n"
LATER: Final = datetime.now(UTC) + timedelta(hours=1)
LEASE: Final = "11111111-1111-1111-1111-111111111111"

COPIES_LAND: Final[Key] = (Kind.BLOB, "object", "PUT", "copy")
"""Abort Copy: who copies can be asked to stop."""
SET_SERVICE: Final[Key] = (Kind.BLOB, "service", "PUT", "properties")
STATS: Final[Key] = (Kind.BLOB, "service", "GET", "stats")

SERVICE: Final = (
    Row("BlobServiceClient.create_container",
        lambda blobs, at: blobs.create_container(at.volume, {"owner": "Me"})),
    Row("BlobServiceClient.create_container", lambda blobs, at: blobs.create_container(at.volume),
        code="ContainerAlreadyExists"),
    Row("BlobServiceClient.list_containers",
        lambda blobs, at: blobs.list_containers(at.volume, include_metadata=True),
        lambda found: [each.metadata for each in found] == [{"owner": "Me"}]),
    Row("BlobServiceClient.get_container_client",
        lambda blobs, at: blobs.get_container_client(at.volume).exists(), bool),
    Row("BlobServiceClient.get_blob_client",
        lambda blobs, at: blobs.get_blob_client(at.volume, "x").exists(),
        lambda found: found is False),
    Row("BlobServiceClient.from_connection_string",
        lambda blobs, at: at.also(
            type(blobs).from_connection_string(at.connection_string)
        ).get_account_information(),
        lambda found: found["account_kind"] == "StorageV2"),
    Row("BlobServiceClient.get_account_information",
        lambda blobs, at: blobs.get_account_information(),
        lambda found: found["sku_name"] == "Standard_LRS"),
    Row("BlobServiceClient.get_service_properties",
        lambda blobs, at: blobs.get_service_properties(),
        lambda found: found["cors"] == [] and not found["hour_metrics"].enabled),
    Row("BlobServiceClient.set_service_properties",
        lambda blobs, at: blobs.set_service_properties(cors=[]), lands=SET_SERVICE),
    Row("BlobServiceClient.set_service_properties",
        lambda blobs, at: blobs.set_service_properties(
            delete_retention_policy=RetentionPolicy(enabled=True, days=1)),
        code=NOT_DONE),
    # They are the second address's, which the client does not find where accounts are in the path.
    Row("BlobServiceClient.get_service_stats", lambda blobs, at: blobs.get_service_stats(),
        code="InvalidQueryParameterValue", lands=STATS),
    Row("BlobServiceClient.get_user_delegation_key",
        lambda blobs, at: blobs.get_user_delegation_key(datetime.now(UTC), LATER),
        code=NOT_DONE),
    Row("BlobServiceClient.find_blobs_by_tags",
        lambda blobs, at: blobs.find_blobs_by_tags("\"x\" = 'none'"), lambda found: found == []),
    Row("BlobServiceClient.undelete_container",
        lambda blobs, at: blobs.undelete_container(at.volume, "1"), code=NOT_DONE),
)  # fmt: skip

CONTAINER: Final = (
    Row("ContainerClient.create_container",
        lambda container, at: at.clients["BlobServiceClient"]
        .get_container_client(f"{at.volume}-2").create_container(public_access="blob")),
    Row("ContainerClient.delete_container",
        lambda container, at: at.clients["BlobServiceClient"]
        .get_container_client(f"{at.volume}-2").delete_container()),
    Row("ContainerClient.exists", lambda container, at: container.exists(), bool),
    Row("ContainerClient.from_connection_string",
        lambda container, at: at.also(
            type(container).from_connection_string(at.connection_string, at.volume)
        ).exists(), bool),
    Row("ContainerClient.from_container_url",
        lambda container, at: at.also(
            type(container).from_container_url(container.url, at.service.credential())
        ).exists(), bool),
    Row("ContainerClient.get_container_properties",
        lambda container, at: container.get_container_properties(),
        lambda found: found.metadata == {"owner": "Me"} and found.etag),
    Row("ContainerClient.set_container_metadata",
        lambda container, at: container.set_container_metadata({"two": "zwei"}),
        lambda found: found["etag"]),
    Row("ContainerClient.set_container_access_policy",
        lambda container, at: container.set_container_access_policy(
            {"readers": AccessPolicy("r", LATER)}, public_access="container")),
    Row("ContainerClient.get_container_access_policy",
        lambda container, at: container.get_container_access_policy(),
        lambda found: found["public_access"] == "container"
        and [each.id for each in found["signed_identifiers"]] == ["readers"]),
    Row("ContainerClient.get_account_information",
        lambda container, at: container.get_account_information(),
        lambda found: found["is_hns_enabled"] is False),
    Row("ContainerClient.get_blob_client",
        lambda container, at: container.get_blob_client("a/b").exists(),
        lambda found: found is False),
    Row("ContainerClient.upload_blob",
        lambda container, at: container.upload_blob("a/b", b"12345", metadata={"k": "v"}),
        lambda found: found.blob_name == "a/b"),
    Row("ContainerClient.upload_blob",
        lambda container, at: container.upload_blob("a/b", b"again"), code="BlobAlreadyExists"),
    Row("ContainerClient.upload_blob",
        lambda container, at: container.upload_blob("a/c", bytes(512), "PageBlob"), code=NOT_DONE),
    Row("ContainerClient.download_blob",
        lambda container, at: container.download_blob("a/b", 1, 3),
        lambda found: found == b"234"),
    Row("ContainerClient.list_blobs",
        lambda container, at: container.list_blobs(include=["metadata", "tags"]),
        lambda found: [(each.name, each.size, each.metadata) for each in found]
        == [("a/b", 5, {"k": "v"})]),
    Row("ContainerClient.list_blobs",
        lambda container, at: container.list_blobs(include=["snapshots"]),
        lambda found: [each.snapshot for each in found] == [None]),
    Row("ContainerClient.list_blob_names",
        lambda container, at: container.list_blob_names(name_starts_with="a/"),
        lambda found: found == ["a/b"]),
    Row("ContainerClient.walk_blobs", lambda container, at: container.walk_blobs(),
        lambda found: [each.name for each in found] == ["a/"]),
    Row("ContainerClient.find_blobs_by_tags",
        lambda container, at: container.find_blobs_by_tags("\"x\" = 'none'"),
        lambda found: found == []),
    Row("ContainerClient.set_standard_blob_tier_blobs",
        lambda container, at: container.set_standard_blob_tier_blobs("Cool", "a/b"),
        lambda found: [each.status_code for each in found] == [200]),
    Row("ContainerClient.set_premium_page_blob_tier_blobs",
        lambda container, at: container.set_premium_page_blob_tier_blobs(
            "P10", "a/b", raise_on_any_failure=False),
        lambda found: [each.headers["x-ms-error-code"] for each in found]
        == ["InvalidHeaderValue"]),
    Row("ContainerClient.delete_blob", lambda container, at: container.delete_blob("a/b")),
    Row("ContainerClient.delete_blob", lambda container, at: container.delete_blob("a/b"),
        code="BlobNotFound"),
    Row("ContainerClient.delete_blobs",
        lambda container, at: container.delete_blobs("a/b", raise_on_any_failure=False),
        lambda found: [each.status_code for each in found] == [404]),
    Row("ContainerClient.acquire_lease",
        lambda container, at: container.acquire_lease(15, LEASE),
        lambda found: found.id == LEASE),
    Row("ContainerClient.delete_container", lambda container, at: container.delete_container(),
        code="LeaseIdMissing"),
    Row("BlobLeaseClient.release", lambda lease, at: lease.release()),
)  # fmt: skip

BLOB: Final = (
    Row("BlobClient.exists", lambda blob, at: blob.exists(), lambda found: found is False),
    Row("BlobClient.upload_blob",
        lambda blob, at: blob.upload_blob(b"one", tags={"x": "1"}, metadata={"upper": "Case"},
                                          content_settings=ContentSettings("text/plain")),
        lambda found: found["etag"]),
    Row("BlobClient.upload_blob", lambda blob, at: blob.upload_blob(b"two"),
        code="BlobAlreadyExists"),
    Row("BlobClient.upload_blob",
        lambda blob, at: blob.upload_blob(b"two", overwrite=True, validate_content=True)),
    Row("BlobClient.download_blob",
        lambda blob, at: blob.download_blob(validate_content=True),
        lambda found: found == b"two"),
    Row("BlobClient.download_blob",
        lambda blob, at: blob.download_blob(encoding="utf-8"), lambda found: found == "two"),
    Row("BlobClient.get_blob_properties", lambda blob, at: blob.get_blob_properties(),
        lambda found: found.name == "dir/grün.txt" and found.size == 3
        and found.blob_type == "BlockBlob" and found.lease.state == "available"),
    Row("BlobClient.from_blob_url",
        lambda blob, at: at.also(
            type(blob).from_blob_url(blob.url, at.service.credential())).exists(), bool),
    Row("BlobClient.from_connection_string",
        lambda blob, at: at.also(
            type(blob).from_connection_string(at.connection_string, at.volume, "dir/grün.txt")
        ).exists(), bool),
    Row("BlobClient.get_account_information", lambda blob, at: blob.get_account_information(),
        lambda found: found["account_kind"] == "StorageV2"),
    Row("BlobClient.set_blob_metadata",
        lambda blob, at: blob.set_blob_metadata({"three": "drei"})),
    Row("BlobClient.set_http_headers",
        lambda blob, at: blob.set_http_headers(ContentSettings("text/x", cache_control="none"))),
    Row("BlobClient.get_blob_properties", lambda blob, at: blob.get_blob_properties(),
        lambda found: found.metadata == {"three": "drei"}
        and found.content_settings.cache_control == "none"),
    Row("BlobClient.set_blob_tags", lambda blob, at: blob.set_blob_tags({"Tag": "a b"})),
    Row("BlobClient.get_blob_tags", lambda blob, at: blob.get_blob_tags(),
        lambda found: found == {"Tag": "a b"}),
    Row("BlobClient.set_standard_blob_tier", lambda blob, at: blob.set_standard_blob_tier("Cool")),
    Row("BlobClient.set_standard_blob_tier",
        lambda blob, at: blob.set_standard_blob_tier("Archive"), code=NOT_DONE),
    Row("BlobClient.stage_block",
        lambda blob, at: blob.stage_block("b1", b"first ", validate_content=True)),
    Row("BlobClient.stage_block", lambda blob, at: blob.stage_block("b2", b"second")),
    Row("BlobClient.get_block_list", lambda blob, at: blob.get_block_list("uncommitted"),
        lambda found: [(each.id, each.size) for each in found[1]] == [("b1", 6), ("b2", 6)]),
    Row("BlobClient.commit_block_list",
        lambda blob, at: blob.commit_block_list([BlobBlock("b2"), BlobBlock("b1")])),
    Row("BlobClient.download_blob", lambda blob, at: blob.download_blob(),
        lambda found: found == b"secondfirst "),
    Row("BlobClient.acquire_lease", lambda blob, at: blob.acquire_lease(15, LEASE)),
    Row("BlobClient.delete_blob", lambda blob, at: blob.delete_blob(), code="LeaseIdMissing"),
    Row("BlobLeaseClient.renew", lambda lease, at: lease.renew()),
    Row("BlobLeaseClient.change", lambda lease, at: lease.change(LEASE.replace("1", "2"))),
    Row("BlobClient.set_blob_metadata",
        lambda blob, at: blob.set_blob_metadata({}, lease=at.clients["BlobLeaseClient"])),
    Row("BlobLeaseClient.release", lambda lease, at: lease.release()),
    Row("BlobLeaseClient.acquire", lambda lease, at: lease.acquire(-1)),
    Row("BlobLeaseClient.break_lease", lambda lease, at: lease.break_lease(),
        lambda found: found == 0),
    Row("BlobClient.create_snapshot", lambda blob, at: blob.create_snapshot(), code=NOT_DONE),
    Row("BlobClient.undelete_blob", lambda blob, at: blob.undelete_blob(), code=NOT_DONE),
    Row("BlobClient.query_blob", lambda blob, at: blob.query_blob("SELECT * FROM BlobStorage"),
        code=NOT_DONE),
    Row("BlobClient.set_immutability_policy",
        lambda blob, at: blob.set_immutability_policy(
            ImmutabilityPolicy(expiry_time=LATER, policy_mode="Unlocked")),
        code=NOT_DONE),
    Row("BlobClient.delete_immutability_policy",
        lambda blob, at: blob.delete_immutability_policy(), code=NOT_DONE),
    Row("BlobClient.set_legal_hold", lambda blob, at: blob.set_legal_hold(True), code=NOT_DONE),
    Row("BlobClient.delete_blob", lambda blob, at: blob.delete_blob()),
    Row("BlobClient.create_append_blob",
        lambda blob, at: blob.create_append_blob(metadata={"log": "1"})),
    Row("BlobClient.append_block",
        lambda blob, at: blob.append_block(b"line 1\n", validate_content=True)),
    Row("BlobClient.append_block",
        lambda blob, at: blob.append_block(b"line 2\n", appendpos_condition=7),
        lambda found: found["blob_append_offset"] == "7"),
    Row("BlobClient.append_block",
        lambda blob, at: blob.append_block(b"line 3\n", appendpos_condition=7),
        code="AppendPositionConditionNotMet"),
    Row("BlobClient.seal_append_blob", lambda blob, at: blob.seal_append_blob()),
    Row("BlobClient.append_block", lambda blob, at: blob.append_block(b"line 4\n"),
        code="BlobIsSealed"),
    Row("BlobClient.delete_blob", lambda blob, at: blob.delete_blob()),
)  # fmt: skip

PAGES: Final = (
    Row("BlobClient.create_page_blob", lambda blob, at: blob.create_page_blob(512), code=NOT_DONE),
    Row("BlobClient.upload_page", lambda blob, at: blob.upload_page(bytes(512), 0, 512),
        code=NOT_DONE),
    Row("BlobClient.upload_pages_from_url",
        lambda blob, at: blob.upload_pages_from_url(at.sources[Kind.BLOB], 0, 512, 0),
        code=NOT_DONE),
    Row("BlobClient.clear_page", lambda blob, at: blob.clear_page(0, 512), code=NOT_DONE),
    Row("BlobClient.get_page_ranges", lambda blob, at: blob.get_page_ranges(), code=NOT_DONE),
    Row("BlobClient.list_page_ranges", lambda blob, at: blob.list_page_ranges(), code=NOT_DONE),
    Row("BlobClient.get_page_range_diff_for_managed_disk",
        lambda blob, at: blob.get_page_range_diff_for_managed_disk(blob.url), code=NOT_DONE),
    Row("BlobClient.upload_blob", lambda blob, at: blob.upload_blob(b"no page blob")),
    Row("BlobClient.resize_blob", lambda blob, at: blob.resize_blob(512),
        code="InvalidBlobType"),
    Row("BlobClient.set_sequence_number",
        lambda blob, at: blob.set_sequence_number("increment"), code="InvalidBlobType"),
    Row("BlobClient.set_premium_page_blob_tier",
        lambda blob, at: blob.set_premium_page_blob_tier("P10"), code="InvalidHeaderValue"),
    Row("BlobClient.delete_blob", lambda blob, at: blob.delete_blob()),
)  # fmt: skip

COPIES: Final = (
    Row("BlobClient.start_copy_from_url",
        lambda blob, at: blob.start_copy_from_url(at.sources[Kind.BLOB], {"copied": "yes"}),
        lambda found: found["copy_status"] == "success", lands=COPIES_LAND),
    Row("BlobClient.start_copy_from_url",
        lambda blob, at: blob.start_copy_from_url(at.sources[Kind.BLOB], requires_sync=True),
        lambda found: found["copy_status"] == "success", lands=COPIES_LAND),
    Row("BlobClient.upload_blob_from_url",
        lambda blob, at: blob.upload_blob_from_url(at.sources[Kind.BLOB], overwrite=True),
        lambda found: found["etag"], lands=COPIES_LAND),
    Row("BlobClient.download_blob", lambda blob, at: blob.download_blob(),
        lambda found: found == SOURCE, after=COPIES_LAND),
    Row("BlobClient.abort_copy", lambda blob, at: blob.abort_copy(LEASE),
        code="NoPendingCopyOperation", lands=COPIES_LAND),
    Row("BlobClient.start_copy_from_url",
        lambda blob, at: blob.start_copy_from_url(at.sources[Kind.BLOB], incremental_copy=True),
        code=NOT_DONE),
    Row("BlobClient.stage_block_from_url",
        lambda blob, at: blob.stage_block_from_url("b1", at.sources[Kind.BLOB], 0, 4),
        lands=COPIES_LAND),
    Row("BlobClient.create_append_blob", lambda blob, at: blob.create_append_blob()),
    Row("BlobClient.append_block_from_url",
        lambda blob, at: blob.append_block_from_url(at.sources[Kind.BLOB], 0, 4),
        lambda found: found["blob_append_offset"] == "0", lands=COPIES_LAND),
    Row("BlobClient.delete_blob", lambda blob, at: blob.delete_blob()),
)  # fmt: skip
"""They are refused until the service copies: `operations.REFUSED` says whether it does."""

END: Final = (
    Row("BlobServiceClient.delete_container", lambda blobs, at: blobs.delete_container(at.volume)),
    Row("BlobServiceClient.delete_container", lambda blobs, at: blobs.delete_container(at.volume),
        code="ContainerNotFound"),
    Row("BlobClient.close", lambda blob, at: blob.close()),
    Row("ContainerClient.close", lambda container, at: container.close()),
    Row("BlobServiceClient.close", lambda blobs, at: blobs.close()),
)  # fmt: skip

BLOB_CALLS: Final = (*SERVICE, *CONTAINER, *BLOB, *PAGES, *COPIES, *END)
