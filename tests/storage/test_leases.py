"""Leases: who holds one may change what is leased, and nobody else."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobLeaseClient, ContainerClient
from azure.storage.fileshare import ShareClient

from batchai_quickstart.storage import Kind, Store
from batchai_quickstart.storage.leases import INFINITE, Lease, change, check_use, lease_of
from batchai_quickstart.storage.protocol import StorageError
from tests.storage.conftest import Service, code

A, B = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
# A lease in each state at the moment 100.
LEASES = {
    "available": None,
    "leased": Lease(A, 60, 90),
    "infinite": Lease(A, INFINITE, 0),
    "expired": Lease(A, 15, 10),
    "breaking": Lease(A, 60, 90, 110),
    "broken": Lease(A, 60, 90, 95),
}


def _refusal(call: Callable[..., object], *arguments: Any, **options: Any) -> str:
    with pytest.raises(HttpResponseError) as refused:
        call(*arguments, **options)
    return code(refused)


@pytest.mark.parametrize(
    ("state", "action", "given", "outcome"),
    [
        ("available", "acquire", B, "leased"),
        ("leased", "acquire", A, "leased"),
        ("leased", "acquire", B, "LeaseAlreadyPresent"),
        ("breaking", "acquire", A, "LeaseIsBreakingAndCannotBeAcquired"),
        ("breaking", "acquire", B, "LeaseAlreadyPresent"),
        ("broken", "acquire", B, "leased"),
        ("expired", "acquire", B, "leased"),
        ("available", "break", None, "LeaseNotPresentWithLeaseOperation"),
        ("leased", "break", None, "breaking"),
        ("infinite", "break", None, "broken"),
        ("breaking", "break", None, "breaking"),
        ("broken", "break", None, "broken"),
        ("expired", "break", None, "broken"),
        ("available", "change", A, "LeaseNotPresentWithLeaseOperation"),
        ("leased", "change", A, "leased"),
        ("leased", "change", str(uuid.UUID(int=3)), "LeaseIdMismatchWithLeaseOperation"),
        ("breaking", "change", A, "LeaseIsBreakingAndCannotBeChanged"),
        ("broken", "change", A, "LeaseNotPresentWithLeaseOperation"),
        ("expired", "change", A, "LeaseNotPresentWithLeaseOperation"),
        ("available", "renew", A, "LeaseNotPresentWithLeaseOperation"),
        ("leased", "renew", A, "leased"),
        ("leased", "renew", B, "LeaseIdMismatchWithLeaseOperation"),
        ("breaking", "renew", A, "LeaseIsBrokenAndCannotBeRenewed"),
        ("broken", "renew", A, "LeaseIsBrokenAndCannotBeRenewed"),
        ("expired", "renew", A, "leased"),
        ("available", "release", A, "LeaseNotPresentWithLeaseOperation"),
        ("leased", "release", B, "LeaseIdMismatchWithLeaseOperation"),
        *((state, "release", A, "available") for state in LEASES if state != "available"),
    ],
)
def test_lease_operations_by_state(
    state: str, action: str, given: str | None, outcome: str
) -> None:
    """The table "Outcomes of lease operations on blobs by lease state"."""
    headers = {"x-ms-lease-action": action, "x-ms-lease-duration": "30"}
    if given is not None:
        headers["x-ms-lease-id"] = headers["x-ms-proposed-lease-id"] = given
    if action == "change":
        headers["x-ms-proposed-lease-id"] = B
    try:
        after, _, _ = change(LEASES[state], headers, Kind.BLOB, is_volume=False, now=100)
    except StorageError as error:
        found = error.code, error.status
    else:
        found = after.state(100) if after else "available", 409
    assert found == (outcome, 409)


@pytest.mark.parametrize(
    ("state", "given", "writes", "refusal"),
    [
        ("available", None, True, None),
        ("available", A, False, "LeaseNotPresentWithBlobOperation"),
        ("leased", None, True, "LeaseIdMissing"),
        ("leased", None, False, None),
        ("leased", A, True, None),
        ("leased", B, False, "LeaseIdMismatchWithBlobOperation"),
        ("breaking", None, True, "LeaseIdMissing"),
        ("breaking", A, True, None),
        ("broken", None, True, None),
        ("broken", A, True, "LeaseLost"),
        ("expired", None, True, None),
        ("expired", A, True, "LeaseLost"),
        ("expired", B, True, "LeaseNotPresentWithBlobOperation"),
    ],
)
def test_use_by_state(state: str, given: str | None, writes: bool, refusal: str | None) -> None:
    """The table "Outcomes of use attempts on blobs by lease state"."""
    found: tuple[str, int] | None = None
    try:
        check_use(LEASES[state], given, "Blob", writes=writes, now=100)
    except StorageError as error:
        found = error.code, error.status
    assert found == (None if refusal is None else (refusal, 412))


def test_a_leased_blob_is_its_holders(container: ContainerClient) -> None:
    """Without the lease every write is refused and reads go on; with it all of them work."""
    blob = container.upload_blob("x", b"one")
    lease = blob.acquire_lease(lease_duration=15)
    assert blob.get_blob_properties().lease.state == "leased"
    assert next(iter(container.list_blobs())).lease.duration == "fixed"
    for write in (
        lambda: blob.upload_blob(b"two", overwrite=True),
        lambda: blob.stage_block("MDAw", b"1"),
        lambda: blob.set_blob_metadata({"a": "1"}),
        blob.set_http_headers,
        blob.delete_blob,
    ):
        assert _refusal(write) == "LeaseIdMissing"
    assert blob.download_blob().readall() == b"one"
    assert _refusal(blob.download_blob, lease=B) == "LeaseIdMismatchWithBlobOperation"
    blob.upload_blob(b"two", overwrite=True, lease=lease)
    assert blob.get_blob_properties(lease=lease).lease.status == "locked"
    lease.change(B)
    lease.renew()
    assert lease.break_lease(lease_break_period=0) == 0
    assert blob.get_blob_properties().lease.state == "broken"
    blob.delete_blob()
    blob.upload_blob(b"three")
    assert blob.get_blob_properties().lease.state == "available"


def test_a_leased_container_is_not_deleted(container: ContainerClient) -> None:
    """A container's lease guards the container, and not the blobs in it."""
    lease = container.acquire_lease()
    assert container.get_container_properties().lease.duration == "infinite"
    assert _refusal(container.delete_container) == "LeaseIdMissing"
    assert (
        _refusal(container.set_container_metadata, {"a": "1"}, lease=A)
        == "LeaseIdMismatchWithContainerOperation"
    )
    container.upload_blob("x", b"").delete_blob()
    container.set_container_metadata({"a": "1"}, lease=lease)
    lease.release()
    assert container.get_container_properties().lease.state == "available"


def test_leases_of_shares_and_files(share: ShareClient) -> None:
    """A file's lease is infinite and guards its writes; a share's guards its deletion."""
    file = share.get_file_client("x")
    file.upload_file(b"one")
    lease = file.acquire_lease()
    assert file.get_file_properties().lease.state == "leased"
    for write in (
        lambda: file.upload_range(b"two", 0, 3),
        lambda: file.resize_file(1),
        file.delete_file,
    ):
        assert _refusal(write) == "LeaseIdMissing"
    file.upload_range(b"two", 0, 3, lease=lease)
    assert file.download_file().readall() == b"two"
    file.delete_file(lease=lease)
    of_share = share.acquire_lease(lease_duration=15)
    assert _refusal(share.delete_share) == "LeaseIdMissing"
    of_share.release()


def test_a_lease_ends_with_what_was_leased(
    container: ContainerClient, container_path: Path
) -> None:
    """When a job removes a leased file, a new blob of that name is not leased."""
    blob = container.upload_blob("x", b"one")
    BlobLeaseClient(blob).acquire()
    container_path.joinpath("x").unlink()
    blob.upload_blob(b"two")
    assert blob.get_blob_properties().lease.state == "available"


def test_leases_survive_a_restart(tmp_path: Path) -> None:
    """A lease is there after a restart, and gone with its container."""
    store = Store(tmp_path / "root")
    store.create_account("mystorage")
    volume = store.create_volume("mystorage", Kind.BLOB, "data")
    lease = Lease(A, INFINITE, 1.0)
    store.set_lease(volume, "x", lease.to_json())
    store.close()
    store = Store(tmp_path / "root")
    assert lease_of(store, volume, "x") == lease
    store.delete_volume("mystorage", Kind.BLOB, "data")
    store.create_volume("mystorage", Kind.BLOB, "data")
    assert lease_of(store, volume, "x") is None
    store.close()


def test_a_bad_lease_header_is_named(container: ContainerClient, service: Service) -> None:
    """Durations and ids that Azure does not take are refused with the header's name."""
    blob = container.upload_blob("x", b"")
    for duration in (1, 61):
        assert _refusal(blob.acquire_lease, duration) == "InvalidHeaderValue"
    assert _refusal(blob.acquire_lease, -1, lease_id="no-guid") == "InvalidHeaderValue"
