"""Blob Batch, by the official clients."""

import asyncio
import http.client

import pytest
from azure.storage.blob import (
    AccountSasPermissions,
    ContainerClient,
    ContainerSasPermissions,
    PartialBatchErrorException,
    ResourceTypes,
    generate_account_sas,
    generate_container_sas,
)
from azure.storage.blob.aio import ContainerClient as AsyncContainerClient

from tests.storage.conftest import Service

NAMES = ["plain", "deep/er", "grün 100%", "a+b&c"]


def names(container: ContainerClient) -> list[str]:
    return [str(each.name) for each in container.list_blobs()]


def test_a_batch_deletes_blobs_of_any_name(container: ContainerClient) -> None:
    """`delete_blobs` deletes each blob it names and no other."""
    for name in [*NAMES, "kept"]:
        container.upload_blob(name, b"x")
    answers = list(container.delete_blobs(*NAMES))
    assert [each.status_code for each in answers] == [202] * len(NAMES)
    assert names(container) == ["kept"]


def test_a_batch_sets_tiers(container: ContainerClient) -> None:
    """`set_standard_blob_tier_blobs` gives each blob its tier."""
    blobs = [container.upload_blob(name, b"x") for name in ("one", "two")]
    answers = list(container.set_standard_blob_tier_blobs("Cool", "one", "two"))
    assert [each.status_code for each in answers] == [200, 200]
    assert [blob.get_blob_properties().blob_tier for blob in blobs] == ["Cool", "Cool"]


def test_an_error_of_one_part_ends_no_other(container: ContainerClient) -> None:
    """A batch with a missing blob deletes the others and answers 404 in that place alone."""
    for name in ("one", "three"):
        container.upload_blob(name, b"x")
    with pytest.raises(PartialBatchErrorException) as partial:
        container.delete_blobs("one", "two", "three")
    parts = list(partial.value.parts)
    assert [each.status_code for each in parts] == [202, 404, 202]
    assert parts[1].headers["x-ms-error-code"] == "BlobNotFound"
    assert names(container) == []


def test_the_asynchronous_client_sends_batches(
    service: Service, container: ContainerClient
) -> None:
    """`delete_blobs` of the aio package works the same."""
    for name in NAMES:
        container.upload_blob(name, b"x")

    async def delete() -> list[int]:
        async with AsyncContainerClient.from_container_url(
            container.url, credential=service.credential()
        ) as client:
            return [part.status_code async for part in await client.delete_blobs(*NAMES)]

    assert asyncio.run(delete()) == [202] * len(NAMES)
    assert names(container) == []


def test_each_part_is_authorised_for_itself(service: Service, container: ContainerClient) -> None:
    """A signature that only writes sets tiers by batch, and deletes nothing."""
    container.upload_blob("x", b"x")
    sas = generate_container_sas(
        service.account.name,
        str(container.container_name),
        account_key=service.account.keys[0],
        permission=ContainerSasPermissions(write=True),
        expiry="2100-01-01T00:00:00Z",
    )
    with ContainerClient.from_container_url(f"{container.url}?{sas}") as writer:
        assert [p.status_code for p in writer.set_standard_blob_tier_blobs("Cool", "x")] == [200]
        with pytest.raises(PartialBatchErrorException) as partial:
            writer.delete_blobs("x")
    assert [each.status_code for each in partial.value.parts] == [403]
    assert names(container) == ["x"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no parts",
        b"--b\r\nContent-Type: application/http\r\n\r\nGET /x HTTP/1.1\r\n\r\n\r\n--b--\r\n",
        b"--b\r\nContent-Type: text/plain\r\n\r\nDELETE /x HTTP/1.1\r\n\r\n\r\n--b--\r\n",
        b"--b\r\nContent-Type: application/http\r\n\r\nDELETE /\xff HTTP/1.1\r\n\r\n--b--\r\n",
        (
            b"--b\r\nContent-Type: application/http\r\n\r\n"
            b"DELETE /file/mystorage/s/f HTTP/1.1\r\n\r\n\r\n--b--\r\n"
        ),
        (
            b"--b\r\nContent-Type: application/http\r\n\r\n"
            b"DELETE /blob/mystorage/other/f HTTP/1.1\r\n\r\n\r\n--b--\r\n"
        ),
        b"--b\r\n\r\n" * 257 + b"--b--\r\n",
    ],
)
def test_what_is_no_batch_is_refused_whole(
    service: Service, container: ContainerClient, body: bytes
) -> None:
    """A body that is no batch for this container answers 400, and nothing of it is done."""
    name = str(container.container_name)
    sas = generate_container_sas(
        service.account.name,
        name,
        account_key=service.account.keys[0],
        permission=ContainerSasPermissions(delete=True),
        expiry="2100-01-01T00:00:00Z",
    )
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    try:
        connection.request(
            "POST",
            f"/blob/mystorage/{name}?restype=container&comp=batch&{sas}",
            body,
            {"Content-Type": "multipart/mixed; boundary=b"},
        )
        answer = connection.getresponse()
        assert answer.status == 400
        assert answer.headers["x-ms-error-code"] == "InvalidInput"
        answer.read()
    finally:
        connection.close()


def test_the_service_takes_batches_for_any_container(
    service: Service, container: ContainerClient
) -> None:
    """A batch sent to the account itself deletes a blob of a container that its part names."""
    container.upload_blob("x", b"x")
    sas = generate_account_sas(
        service.account.name,
        service.account.keys[0],
        ResourceTypes(service=True, object=True),
        AccountSasPermissions(delete=True),
        expiry="2100-01-01T00:00:00Z",
    )
    path = f"/blob/mystorage/{container.container_name}/x?{sas}"
    part = f"Content-Type: application/http\r\n\r\nDELETE {path} HTTP/1.1\r\n\r\n"
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    try:
        connection.request(
            "POST",
            f"/blob/mystorage?comp=batch&{sas}",
            f"--b\r\n{part}\r\n--b--\r\n".encode(),
            {"Content-Type": "multipart/mixed; boundary=b"},
        )
        answer = connection.getresponse()
        assert answer.status == 202
        assert b"HTTP/1.1 202 Accepted" in answer.read()
    finally:
        connection.close()
    assert names(container) == []
