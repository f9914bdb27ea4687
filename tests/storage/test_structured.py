"""Structured bodies: both official clients' `validate_content="crc64"`, and damaged messages."""

import asyncio
import gc
import io
import os
from collections.abc import Callable
from struct import pack
from typing import Any

import pytest
import urllib3
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient, ContainerClient
from azure.storage.blob._shared.streams import (
    StructuredMessageEncodeStream,
    StructuredMessageProperties,
)
from azure.storage.fileshare import ShareClient

from batchai_quickstart.storage import Kind
from tests.storage.conftest import Service, code
from tests.storage.sources import signed, signed_file
from tests.storage.twins import FORMS, settled

MIB = 1 << 20
CONTENT = os.urandom(9 * MIB + 5)
"""Three segments of 4 MiB, the last one not full."""
CRC64 = {"validate_content": "crc64"}
BODY, LENGTH = "x-ms-structured-body", "x-ms-structured-content-length"
SCHEMA = "XSM/1.0; properties=crc64"

LEFT_OPEN = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
"""The clients stop reading where a message ends, so `requests` sees no end of the answer, and
leaves the connection to the garbage collector."""


class Seen:
    """The headers of answers, by the official clients' hook."""

    def __init__(self) -> None:
        self.sent: list[str | None] = []
        self.lengths: list[str | None] = []

    def __call__(self, answer: Any) -> None:
        self.sent.append(answer.http_request.headers.get(LENGTH))
        self.lengths.append(answer.http_response.headers.get(LENGTH))


def message(content: bytes, segment: int = 4 * MIB) -> bytes:
    """A structured message, by the official client's own hand."""
    stream = StructuredMessageEncodeStream(
        io.BytesIO(content), len(content), StructuredMessageProperties.CRC64, segment_size=segment
    )
    return stream.read()


@LEFT_OPEN
@pytest.mark.parametrize("form", FORMS)
def test_blobs_go_and_come_in_segments(form: str, service: Service, fresh_name: str) -> None:
    """Whole, in blocks, appended, in parts and by range, content is what it was, in both forms."""

    async def walk() -> None:
        module, _ = FORMS[form]
        client = module.BlobServiceClient(
            service.url(Kind.BLOB), service.credential(),
            max_single_put_size=MIB, max_block_size=MIB,
        )  # fmt: skip
        container = await settled(client.create_container(fresh_name))
        blob, seen = container.get_blob_client("x"), Seen()

        async def got(**options: Any) -> bytes:
            found = blob.download_blob(raw_response_hook=seen, **options, **CRC64)
            content: bytes = await settled(found)
            return content

        for content in (b"", b"x", CONTENT):
            await settled(
                blob.upload_blob(io.BytesIO(content), overwrite=True, raw_response_hook=seen,
                                 length=len(content), **CRC64)
            )  # fmt: skip
            assert await got() == content
        assert (
            await got(offset=4 * MIB - 1, length=4 * MIB + 2) == CONTENT[4 * MIB - 1 : 8 * MIB + 1]
        )
        assert seen.lengths[-1] == str(4 * MIB + 2)
        big = CONTENT + CONTENT
        await settled(blob.upload_blob(io.BytesIO(big), overwrite=True, **CRC64))
        assert await got(max_concurrency=3) == big
        await settled(blob.stage_block("MQ==", io.BytesIO(CONTENT), len(CONTENT),
                                       raw_response_hook=seen, **CRC64))  # fmt: skip
        assert seen.sent[-1] == str(len(CONTENT))
        await settled(blob.commit_block_list(["MQ=="], **CRC64))
        assert await got() == CONTENT
        blob = container.get_blob_client("log")
        await settled(blob.create_append_blob())
        for part in (CONTENT[: 5 * MIB], CONTENT[5 * MIB :]):
            await settled(blob.append_block(io.BytesIO(part), len(part), **CRC64))
        assert await got() == CONTENT
        await settled(client.delete_container(fresh_name))
        await settled(client.close())

    asyncio.run(walk())
    gc.collect()


@LEFT_OPEN
@pytest.mark.parametrize("form", FORMS)
def test_files_go_and_come_in_segments(form: str, service: Service, fresh_name: str) -> None:
    """Whole, by range, made with content; the clients frame all of it, in both forms."""

    async def walk() -> None:
        _, module = FORMS[form]
        client = module.ShareServiceClient(service.url(Kind.FILE), service.credential())
        share = await settled(client.create_share(fresh_name))
        file, seen = share.get_file_client("x"), Seen()
        await settled(file.upload_file(CONTENT, raw_response_hook=seen, **CRC64))
        assert str(4 * MIB) in seen.sent
        assert await settled(file.download_file(**CRC64)) == CONTENT
        await settled(file.upload_range(b"abcd", 2, 4, **CRC64))
        part = file.download_file(1, 6, raw_response_hook=seen, **CRC64)
        assert await settled(part) == CONTENT[1:2] + b"abcd" + CONTENT[6:7]
        assert seen.lengths[-1] == "6"
        await settled(file.create_file(10, data=b"0123456789", **CRC64))
        assert await settled(file.download_file(**CRC64)) == b"0123456789"
        await settled(client.delete_share(fresh_name))
        await settled(client.close())

    asyncio.run(walk())
    gc.collect()


CASES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "content": (lambda m: m[:30] + bytes([m[30] ^ 1]) + m[31:], "Crc64Mismatch"),
    "segment sum": (lambda m: m[:-9] + bytes([m[-9] ^ 1]) + m[-8:], "Crc64Mismatch"),
    "message sum": (lambda m: m[:-1] + bytes([m[-1] ^ 1]), "Crc64Mismatch"),
    "version": (lambda m: b"\2" + m[1:], "InvalidInput"),
    "length": (lambda m: m[:1] + pack("<Q", len(m) + 1) + m[9:], "InvalidInput"),
    "properties": (lambda m: m[:9] + b"\0\0" + m[11:], "InvalidInput"),
    "segments": (lambda m: m[:11] + b"\4\0" + m[13:], "InvalidInput"),
    "number": (lambda m: m[:13] + b"\2\0" + m[15:], "InvalidInput"),
    "segment too long": (lambda m: m[:15] + b"\xff" * 8 + m[23:], "InvalidInput"),
    "segment too short": (lambda m: m[:15] + pack("<Q", 1) + m[23:], "Crc64Mismatch"),
    "shorter": (lambda m: pack("<BQ", 1, len(m) - 1) + m[9:-1], "InvalidInput"),
    "longer": (lambda m: pack("<BQ", 1, len(m) + 1) + m[9:] + b"x", "InvalidInput"),
    "header alone": (lambda m: m[:13], "InvalidInput"),
    "plain content": (lambda m: b"content", "InvalidInput"),
    "nothing": (lambda m: b"", "InvalidInput"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_damaged_message_changes_nothing(
    case: str, service: Service, container: ContainerClient, share: ShareClient
) -> None:
    """What is damaged or no message is refused by name, and leaves blobs, blocks, files as were."""
    damage, refusal = CASES[case]
    content = b"0123456789" * 5
    blob = container.upload_blob("x", b"old")
    log = container.get_blob_client("log")
    log.create_append_blob()
    file, made = share.get_file_client("f"), share.get_file_client("made")
    file.upload_file(b"-" * 60)
    of_blob = signed(service, blob, "rw")
    written = {"x-ms-range": "bytes=0-49", "x-ms-write": "update"}
    calls: tuple[tuple[str, dict[str, str]], ...] = (
        (of_blob, {"x-ms-blob-type": "BlockBlob"}),
        (f"{of_blob}&comp=block&blockid=MQ==", {}),
        (f"{signed(service, log, 'rw')}&comp=appendblock", {}),
        (f"{signed_file(service, file, 'rw')}&comp=range", written),
        (signed_file(service, made, "rw"), {"x-ms-type": "file", "x-ms-content-length": "50"}),
    )
    framed = {BODY: SCHEMA, LENGTH: str(len(content)), "x-ms-version": "2026-10-06"}
    with urllib3.PoolManager() as pool:
        for url, headers in calls:
            sent = damage(message(content, segment=20))
            headers = {**framed, **headers, "Content-Length": str(len(sent))}
            answer = pool.request("PUT", url, body=sent, headers=headers)
            assert (answer.status, answer.headers["x-ms-error-code"]) == (400, refusal), url
        assert blob.download_blob().readall() == b"old"
        assert blob.get_block_list("uncommitted")[1] == []
        assert log.get_blob_properties().size == 0
        assert file.download_file().readall() == b"-" * 60
        assert not made.exists()
        for url, headers in calls:
            sent = message(content, segment=20)
            headers = {**framed, **headers, "Content-Length": str(len(sent))}
            answer = pool.request("PUT", url, body=sent, headers=headers)
            assert (answer.status, answer.headers[BODY]) == (201, SCHEMA), url
    assert file.download_file().readall() == content + b"-" * 10
    assert blob.download_blob().readall() == log.download_blob().readall() == content


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        ({BODY: SCHEMA}, "MissingRequiredHeader"),
        ({LENGTH: "50"}, "MissingRequiredHeader"),
        ({BODY: "XSM/2.0; properties=crc64", LENGTH: "50"}, "InvalidHeaderValue"),
        ({BODY: SCHEMA, LENGTH: "fifty"}, "InvalidHeaderValue"),
        ({BODY: SCHEMA, LENGTH: "49"}, "InvalidInput"),
        ({BODY: SCHEMA, LENGTH: str(300 << 40)}, "RequestBodyTooLarge"),
    ],
)
def test_headers_that_do_not_fit(
    headers: dict[str, str], refusal: str, container: ContainerClient
) -> None:
    """A header missing, of another schema, or of another length is refused by name."""
    blob = container.get_blob_client("x")
    with pytest.raises(HttpResponseError) as refused:
        blob.upload_blob(message(bytes(50)), headers=headers)
    assert code(refused) == refusal
    assert not blob.exists()


def test_many_small_segments(container: ContainerClient) -> None:
    """Segments of any length are taken, however they come out of the socket, and MD5s hold."""
    content = CONTENT[:300_000]
    blob = container.get_blob_client("x")
    sent = message(content, segment=5)
    blob.upload_blob(sent, headers={BODY: SCHEMA, LENGTH: str(len(content))})
    assert blob.download_blob(validate_content=True).readall() == content
    assert blob.get_blob_properties().size == len(content)


def test_what_has_no_content_takes_no_frame(container: ContainerClient) -> None:
    """Operations without content refuse the header by its name; so does a read of properties."""
    blob: BlobClient = container.upload_blob("x", b"old")
    for call in (blob.get_blob_properties, lambda **o: blob.set_blob_metadata({}, **o)):
        with pytest.raises(HttpResponseError) as refused:
            call(headers={BODY: SCHEMA})
        assert code(refused) == "UnsupportedHeader"
