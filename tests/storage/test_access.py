"""Public access and stored access policies."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import (
    AccessPolicy,
    BlobClient,
    ContainerClient,
    ContainerSasPermissions,
    PublicAccess,
    generate_container_sas,
)
from azure.storage.fileshare import AccessPolicy as ShareAccessPolicy
from azure.storage.fileshare import ShareClient, ShareSasPermissions, generate_share_sas

from batchai_quickstart.storage import Kind
from tests.storage.conftest import Service, code

HOUR = timedelta(hours=1)


def _anonymous(service: Service, container: ContainerClient) -> ContainerClient:
    name = str(container.container_name)
    return ContainerClient(service.url(Kind.BLOB), name)


def test_everybody_reads_what_is_public(service: Service, container: ContainerClient) -> None:
    """Public blobs are read by name, a public container is listed; nothing else is open."""
    container.upload_blob("x", b"1", metadata={"a": "1"})
    with _anonymous(service, container) as anyone:
        for access, reads, lists in (
            (None, False, False),
            (PublicAccess.BLOB, True, False),
            (PublicAccess.CONTAINER, True, True),
        ):
            container.set_container_access_policy({}, public_access=access)
            assert container.get_container_properties().public_access == access
            blob = anyone.get_blob_client("x")
            assert _allowed(blob.download_blob) is reads
            assert _allowed(blob.get_blob_properties) is reads
            assert _allowed(lambda: list(anyone.list_blobs())) is lists
            assert _allowed(anyone.get_container_properties) is lists
            for call in (
                blob.delete_blob,
                blob.get_blob_tags,
                anyone.get_container_access_policy,
                lambda: anyone.upload_blob("y", b"2"),
                anyone.delete_container,
            ):
                assert not _allowed(call)
    assert [each.name for each in container.list_blobs()] == ["x"]


def _allowed(call: Any) -> bool:
    try:
        call()
    except HttpResponseError as error:
        if error.status_code != 403:
            raise
        return False
    return True


def test_a_container_is_created_public(service: Service, fresh_name: str) -> None:
    """Public access can come with the creation, and is in the listing of containers."""
    with service.blobs() as client:
        container = client.create_container(fresh_name, public_access=PublicAccess.BLOB)
        (listed,) = client.list_containers(name_starts_with=fresh_name)
        assert listed.public_access == "blob"
        container.delete_container()
        client.create_container(fresh_name)
        assert (
            client.get_container_client(fresh_name).get_container_properties().public_access is None
        )
        container.delete_container()


def test_policies_are_kept(container: ContainerClient, share: ShareClient) -> None:
    """What was set is what is read, for containers and shares."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    policy = AccessPolicy(ContainerSasPermissions(read=True), start + HOUR, start)
    container.set_container_access_policy({"reading": policy, "empty": None})  # type: ignore[dict-item]
    found = container.get_container_access_policy()
    assert [each.id for each in found["signed_identifiers"]] == ["reading", "empty"]
    assert found["signed_identifiers"][0].access_policy.permission == "r"
    of_share = ShareAccessPolicy(ShareSasPermissions(read=True), start + HOUR, start)
    share.set_share_access_policy({"reading": of_share})
    (only,) = share.get_share_access_policy()["signed_identifiers"]
    assert (only.id, only.access_policy.permission) == ("reading", "r")


def test_a_signature_refers_to_a_policy(service: Service, container: ContainerClient) -> None:
    """The policy's fields count as the signature's own; changing or removing it revokes."""
    container.upload_blob("x", b"1")
    signature = generate_container_sas(
        service.account.name,
        str(container.container_name),
        service.account.keys[0],
        policy_id="reading",
    )
    blob = BlobClient.from_blob_url(f"{container.url}/x?{signature}")
    later, past = datetime.now(UTC) + HOUR, datetime.now(UTC) - HOUR
    assert not _allowed(blob.download_blob)
    for policy, works in (
        (AccessPolicy(ContainerSasPermissions(read=True), later), True),
        (AccessPolicy(ContainerSasPermissions(read=True), past), False),
        (AccessPolicy(ContainerSasPermissions(list=True), later), False),
        (AccessPolicy(ContainerSasPermissions(read=True)), False),
    ):
        container.set_container_access_policy({"reading": policy})
        assert _allowed(blob.download_blob) is works
    blob.close()


def test_a_field_is_said_once(service: Service, share: ShareClient) -> None:
    """What both the signature and its policy say is refused."""
    later = datetime.now(UTC) + HOUR
    share.set_share_access_policy({"p": ShareAccessPolicy(ShareSasPermissions(read=True), later)})
    share.get_file_client("x").upload_file(b"1")
    account, key = service.account.name, service.account.keys[0]
    once = generate_share_sas(account, str(share.share_name), key, policy_id="p")
    twice = generate_share_sas(account, str(share.share_name), key, expiry=later, policy_id="p")
    for signature, works in ((once, True), (twice, False)):
        with ShareClient(
            service.url(Kind.FILE), str(share.share_name), credential=signature
        ) as client:
            assert _allowed(client.get_file_client("x").download_file) is works


def test_documents_of_policies_are_read_strictly(container: ContainerClient) -> None:
    """More than five policies, other elements and document types are refused."""
    policy = AccessPolicy(ContainerSasPermissions(read=True))
    with pytest.raises(ValueError, match="Too many access policies"):
        container.set_container_access_policy({f"p{number}": policy for number in range(6)})
    for document in (
        "<SignedIdentifiers><Other /></SignedIdentifiers>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><SignedIdentifiers>&a;</SignedIdentifiers>",
        "<SignedIdentifiers>"
        + "<SignedIdentifier><Id>a</Id></SignedIdentifier>" * 6
        + "</SignedIdentifiers>",
        "<SignedIdentifiers>",
    ):
        with pytest.raises(HttpResponseError) as refused:
            container._client.container.set_access_policy(
                container_acl=None, cls=None, headers={"x-ms-blob-public-access": "nobody"}
            )
        assert code(refused) == "InvalidHeaderValue"
        assert document
