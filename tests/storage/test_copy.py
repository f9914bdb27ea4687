"""Blobs and files made from URLs, by the official clients."""

import base64
import hashlib
import os
import random
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import (
    BlobBlock,
    BlobClient,
    BlobType,
    ContainerClient,
    ContentSettings,
    StandardBlobTier,
)
from azure.storage.fileshare import ContentSettings as FileContentSettings
from azure.storage.fileshare import ShareClient

from tests.storage.conftest import Service
from tests.storage.sources import elsewhere, refusal, signed, signed_file

CONTENT = random.Random(8).randbytes(300_000)


def _md5(content: bytes) -> bytearray:
    return bytearray(hashlib.md5(content, usedforsecurity=False).digest())


@pytest.fixture
def blob(container: ContainerClient) -> BlobClient:
    """A block blob with everything that can be said of one."""
    return container.upload_blob(
        "from/here ü.txt",
        CONTENT,
        metadata={"job": "one"},
        tags={"kind": "log"},
        content_settings=ContentSettings(
            "text/plain", "identity", "en", "inline", "no-cache", _md5(CONTENT)
        ),
    )


def test_copy_blob_takes_everything_along(container: ContainerClient, blob: BlobClient) -> None:
    """A copy in the account needs no signature; it has content, headers, MD5 and metadata."""
    copy = container.get_blob_client("to/there")
    answer = copy.start_copy_from_url(blob.url)
    assert answer["copy_status"] == "success"
    properties, original = copy.get_blob_properties(), blob.get_blob_properties()
    assert answer["etag"] == properties.etag
    assert answer["copy_id"] == properties.copy.id
    assert properties.copy.status == "success"
    assert properties.copy.source == blob.url
    assert properties.copy.progress == f"{len(CONTENT)}/{len(CONTENT)}"
    assert properties.copy.completion_time is not None
    assert vars(properties.content_settings) == vars(original.content_settings)
    assert properties.metadata == {"job": "one"}
    assert properties.blob_type == BlobType.BLOCKBLOB
    assert copy.get_blob_tags() == {}
    assert copy.download_blob().readall() == CONTENT


def test_copies_are_told_until_the_content_changes(
    container: ContainerClient, blob: BlobClient, container_path: Path
) -> None:
    """Listings tell of a copy; nobody does any more once a client or a job changed the content."""
    for change in (
        lambda copy: copy.upload_blob(b"new", overwrite=True),
        lambda copy: copy.set_http_headers(ContentSettings("text/html")),
        lambda copy: container_path.joinpath("copy").write_bytes(b"a job's"),
    ):
        copy = container.get_blob_client("copy")
        answer = copy.start_copy_from_url(blob.url)
        (listed,) = container.list_blobs("copy", include=["copy"])
        assert (listed.copy.id, listed.copy.source) == (answer["copy_id"], blob.url)
        copy.set_blob_metadata({"still": "a copy"})
        assert copy.get_blob_properties().copy.id == answer["copy_id"]
        change(copy)
        assert copy.get_blob_properties().copy.id is None


def test_what_the_request_says_replaces_what_the_source_says(
    container: ContainerClient, blob: BlobClient
) -> None:
    """Metadata, tags and tier of the request go before those of the source."""
    copy = container.get_blob_client("copy")
    copy.start_copy_from_url(
        blob.url,
        metadata={"job": "two"},
        tags={"a": "b"},
        standard_blob_tier=StandardBlobTier.COOL,
    )
    properties = copy.get_blob_properties()
    assert properties.metadata == {"job": "two"}
    assert properties.blob_tier == "Cool"
    assert copy.get_blob_tags() == {"a": "b"}


def test_blocks_are_copied_as_blocks(container: ContainerClient, blob: BlobClient) -> None:
    """The copy of a block blob has its blocks, which a commit can use again."""
    for name, content in (("a", b"one"), ("b", b"two")):
        blob.stage_block(name, content)
    blob.commit_block_list([BlobBlock("a"), BlobBlock("b")])
    copy = container.get_blob_client("copy")
    copy.stage_block("x", b"gone with the copy")
    copy.start_copy_from_url(blob.url)
    committed, waiting = copy.get_block_list("all")
    assert [(block.id, block.size) for block in committed] == [("a", 3), ("b", 3)]
    assert waiting == []
    copy.commit_block_list([BlobBlock("b")])
    assert copy.download_blob().readall() == b"two"


def test_an_append_blob_stays_one(
    service: Service, container: ContainerClient, blob: BlobClient
) -> None:
    """The type is kept with the count of blocks; a copy can be sealed, and types do not mix."""
    log = container.get_blob_client("log")
    log.create_append_blob()
    for line in (b"one\n", b"two\n"):
        log.append_block(line)
    copy = container.get_blob_client("log2")
    copy.start_copy_from_url(log.url)
    properties = copy.get_blob_properties()
    assert properties.blob_type == BlobType.APPENDBLOB
    assert properties.append_blob_committed_block_count == 2
    copy.append_block(b"three\n")
    assert copy.get_blob_properties().copy.id is None
    assert copy.download_blob().readall() == b"one\ntwo\nthree\n"
    copy.start_copy_from_url(log.url, seal_destination_blob=True)
    assert copy.get_blob_properties().is_append_blob_sealed
    assert refusal(blob.start_copy_from_url, log.url) == (409, "InvalidBlobType")
    assert refusal(log.start_copy_from_url, blob.url) == (409, "InvalidBlobType")
    at_once = container.get_blob_client("x").start_copy_from_url
    assert refusal(at_once, signed(service, log), requires_sync=True) == (409, "InvalidBlobType")


def test_copy_blob_from_url(service: Service, container: ContainerClient, blob: BlobClient) -> None:
    """The copy that is done at once answers with a checksum, and can take the tags along."""
    copy, source = container.get_blob_client("copy"), signed(service, blob, "rt")
    answers: list[Any] = []

    def start(**options: Any) -> dict[str, Any]:
        def keep(response: Any) -> None:
            answers.append(response.http_response.headers)

        return copy.start_copy_from_url(
            source, requires_sync=True, raw_response_hook=keep, **options
        )

    answer = start(tags="COPY")
    assert answer["copy_status"] == "success"
    assert len(base64.b64decode(answers[-1]["x-ms-content-crc64"])) == 8
    assert copy.get_blob_tags() == {"kind": "log"}
    assert copy.get_blob_properties().copy.id == answer["copy_id"]
    assert copy.get_blob_properties().metadata == {"job": "one"}
    assert "sig" not in str(copy.get_blob_properties().copy.source)
    md5 = base64.b64encode(_md5(CONTENT)).decode()
    start(headers={"x-ms-source-content-md5": md5})
    assert answers[-1]["content-md5"] == md5
    assert copy.get_blob_tags() == {}
    both = {"x-ms-tags": "a=b"}
    assert refusal(start, tags="COPY", headers=both) == (
        409,
        "BothUserTagsAndSourceTagsCopyPresentException",
    )
    source = signed(service, blob, "r")
    assert refusal(start, tags="COPY") == (403, "CannotVerifyCopySource")


def test_put_blob_from_url(service: Service, container: ContainerClient, blob: BlobClient) -> None:
    """What is put from a URL is a blob of its own: no copy, no blocks, the headers as asked."""
    put = container.get_blob_client("put")
    source = signed(service, blob)
    answer = put.upload_blob_from_url(source)
    properties = put.get_blob_properties()
    assert answer["etag"] == properties.etag
    assert properties.copy.id is None
    assert properties.metadata == {"job": "one"}
    assert properties.content_settings.content_type == "text/plain"
    assert put.get_block_list()[0] == []
    assert refusal(put.upload_blob_from_url, source) == (409, "BlobAlreadyExists")
    put.upload_blob_from_url(
        source,
        overwrite=True,
        metadata={"job": "two"},
        tags={"c": "d"},
        content_settings=ContentSettings("text/html"),
        standard_blob_tier=StandardBlobTier.COOL,
    )
    properties = put.get_blob_properties()
    assert properties.content_settings.content_type == "text/html"
    assert properties.content_settings.content_language == "en"
    assert (properties.metadata, properties.blob_tier) == ({"job": "two"}, "Cool")
    assert put.get_blob_tags() == {"c": "d"}
    put.upload_blob_from_url(source, overwrite=True, include_source_blob_properties=False)
    settings = put.get_blob_properties().content_settings
    assert settings.content_type == "application/octet-stream"
    assert settings.content_language is None
    assert settings.content_md5 == _md5(CONTENT)
    assert put.download_blob().readall() == CONTENT


def test_blocks_from_urls(service: Service, container: ContainerClient, blob: BlobClient) -> None:
    """Ranges of a source become blocks, in any order, with their checksums."""
    target, source = container.get_blob_client("blocks"), signed(service, blob)
    cuts = [0, 1, 70_000, 200_000, len(CONTENT)]
    parts = list(pairwise(cuts))
    for number, (start, end) in reversed(list(enumerate(parts))):
        answer = target.stage_block_from_url(
            f"{number}",
            source,
            source_offset=start,
            source_length=end - start,
            source_content_md5=bytearray(_md5(CONTENT[start:end])),
        )
        assert answer["content_md5"] == _md5(CONTENT[start:end])
    target.commit_block_list([BlobBlock(f"{number}") for number in range(len(parts))])
    assert target.download_blob().readall() == CONTENT
    target.stage_block_from_url("whole", source)
    target.commit_block_list([BlobBlock("whole")])
    assert target.download_blob().readall() == CONTENT
    beyond = {"source_offset": len(CONTENT), "source_length": 1}
    assert refusal(target.stage_block_from_url, "x", source, **beyond) == (416, "InvalidRange")


def test_appending_from_urls(
    service: Service, container: ContainerClient, blob: BlobClient
) -> None:
    """Ranges of a source go to the end of an append blob, under the conditions of appending."""
    log, source = container.get_blob_client("log"), signed(service, blob)
    assert refusal(log.append_block_from_url, source) == (404, "BlobNotFound")
    log.create_append_blob()
    log.append_block_from_url(source, source_offset=10, source_length=20)
    answer = log.append_block_from_url(
        source, source_offset=0, source_length=10, appendpos_condition=20
    )
    assert (answer["blob_append_offset"], answer["blob_committed_block_count"]) == ("20", 2)
    assert log.download_blob().readall() == CONTENT[10:30] + CONTENT[:10]
    wrong = {"source_offset": 0, "source_length": 10, "appendpos_condition": 20}
    assert refusal(log.append_block_from_url, source, **wrong) == (
        412,
        "AppendPositionConditionNotMet",
    )


@pytest.mark.parametrize("header", ["x-ms-source-content-md5", "x-ms-source-content-crc64"])
def test_damaged_content_changes_nothing(
    service: Service, container: ContainerClient, share: ShareClient, blob: BlobClient, header: str
) -> None:
    """Content with another checksum than announced leaves blobs, blocks and files as they were."""
    wrong = {header: "AAAAAAAAAAA="}
    expected = (400, "Md5Mismatch" if header.endswith("md5") else "Crc64Mismatch")
    source = signed(service, blob)
    old = container.upload_blob("old", b"old")
    log = container.get_blob_client("log")
    log.create_append_blob()
    assert refusal(log.append_block_from_url, source, headers=wrong) == expected
    assert log.get_blob_properties().size == 0
    assert refusal(old.stage_block_from_url, "a", source, headers=wrong) == expected
    assert old.get_block_list("uncommitted")[1] == []
    file = share.get_file_client("old")
    file.upload_file(b"0123456789")
    assert refusal(file.upload_range_from_url, source, 0, 5, 0, headers=wrong) == expected
    assert file.download_file().readall() == b"0123456789"
    if header.endswith("md5"):
        put, copy = old.upload_blob_from_url, old.start_copy_from_url
        assert refusal(put, source, overwrite=True, headers=wrong) == expected
        assert refusal(copy, source, requires_sync=True, headers=wrong) == expected
    assert old.download_blob().readall() == b"old"


def test_conditions_on_the_source(
    service: Service, container: ContainerClient, blob: BlobClient
) -> None:
    """ETag, date, tags and lease of the source are held, for each way to copy."""
    properties = blob.get_blob_properties()
    modified, before = properties.last_modified, datetime(2020, 1, 1, tzinfo=UTC)
    copy, source = container.get_blob_client("copy"), signed(service, blob)
    calls: list[Callable[..., Any]] = [
        lambda **options: copy.start_copy_from_url(blob.url, **options),
        lambda **options: copy.start_copy_from_url(source, requires_sync=True, **options),
        lambda **options: copy.upload_blob_from_url(source, overwrite=True, **options),
    ]
    for call in calls:
        for met, unmet in (
            ({"source_if_match": properties.etag}, {"source_if_match": '"0x1"'}),
            ({"source_if_none_match": '"0x1"'}, {"source_if_none_match": properties.etag}),
            ({"source_if_modified_since": before}, {"source_if_modified_since": modified}),
            ({"source_if_unmodified_since": modified}, {"source_if_unmodified_since": before}),
            (
                {"source_if_tags_match_condition": "kind = 'log'"},
                {"source_if_tags_match_condition": "kind = 'data'"},
            ),
        ):
            call(**met)
            assert refusal(call, **unmet) == (412, "SourceConditionNotMet")
    lease = blob.acquire_lease()
    copy.start_copy_from_url(blob.url, source_lease=lease)
    assert refusal(copy.start_copy_from_url, blob.url, source_lease=str(uuid.uuid4())) == (
        412,
        "LeaseIdMismatchWithBlobOperation",
    )


def test_conditions_on_the_destination(container: ContainerClient, blob: BlobClient) -> None:
    """The blob that is copied over is asked its conditions and its lease."""
    copy = container.upload_blob("copy", b"old")
    start = copy.start_copy_from_url
    stale = {"etag": '"0x1"', "match_condition": MatchConditions.IfNotModified}
    assert refusal(start, blob.url, **stale) == (412, "ConditionNotMet")
    absent = {"match_condition": MatchConditions.IfMissing}
    assert refusal(start, blob.url, **absent) == (409, "BlobAlreadyExists")
    lease = copy.acquire_lease()
    assert refusal(start, blob.url) == (412, "LeaseIdMissing")
    assert refusal(start, blob.url, destination_lease=str(uuid.uuid4())) == (
        412,
        "LeaseIdMismatchWithBlobOperation",
    )
    assert copy.download_blob().readall() == b"old"
    start(blob.url, destination_lease=lease)
    assert copy.download_blob().readall() == CONTENT


def test_a_blob_copied_onto_itself(container: ContainerClient, blob: BlobClient) -> None:
    """The content stays, what is said changes, and what was not committed is gone."""
    blob.stage_block("x", b"uncommitted")
    before = blob.get_blob_properties().etag
    blob.start_copy_from_url(blob.url, metadata={"new": "1"})
    assert blob.download_blob().readall() == CONTENT
    properties = blob.get_blob_properties()
    assert properties.metadata == {"new": "1"}
    assert properties.etag != before
    assert blob.get_block_list("uncommitted")[1] == []


def test_nothing_is_ever_pending(
    container: ContainerClient, share: ShareClient, blob: BlobClient
) -> None:
    """A copy that was started is done: there is none to abort."""
    copy = container.get_blob_client("copy")
    answer = copy.start_copy_from_url(blob.url)
    assert refusal(copy.abort_copy, answer) == (409, "NoPendingCopyOperation")
    assert refusal(container.get_blob_client("none").abort_copy, "id") == (404, "BlobNotFound")
    file = share.get_file_client("file")
    assert refusal(file.abort_copy, "id") == (404, "ResourceNotFound")
    file.upload_file(b"1")
    assert refusal(file.abort_copy, "id") == (409, "NoPendingCopyOperation")


def test_what_is_not_done_is_refused_by_name(
    service: Service, container: ContainerClient, blob: BlobClient
) -> None:
    """Incremental copies, tokens, scopes and archives are refused, and nothing is written."""
    copy, source = container.get_blob_client("copy"), signed(service, blob)
    start = copy.start_copy_from_url
    incremental = f"{blob.url}?snapshot=2020-01-01T00:00:00Z"
    assert refusal(start, incremental, incremental_copy=True) == (501, "NotImplemented")
    assert refusal(start, incremental) == (400, "UnsupportedQueryParameter")
    token = {"requires_sync": True, "source_authorization": "Bearer x"}
    assert refusal(start, source, **token) == (400, "UnsupportedHeader")
    scope = {"requires_sync": True, "encryption_scope": "x"}
    assert refusal(start, source, **scope) == (400, "UnsupportedHeader")
    archive = {"standard_blob_tier": StandardBlobTier.ARCHIVE}
    assert refusal(start, blob.url, **archive) == (501, "NotImplemented")
    assert refusal(blob.set_blob_metadata, {}, headers={"x-ms-copy-source": source}) == (
        400,
        "UnsupportedHeader",
    )
    assert refusal(start, blob.url, headers={"x-ms-blob-type": "PageBlob"}) == (
        400,
        "InvalidHeaderValue",
    )
    assert not copy.exists()


# Files.


def test_copy_file(share: ShareClient) -> None:
    """A copy of a file in the account needs no signature, and takes everything along."""
    file = share.get_file_client("from.txt")
    file.upload_file(
        CONTENT,
        metadata={"job": "one"},
        content_settings=FileContentSettings(
            "text/plain", "identity", "en", "inline", "no-cache", bytearray(range(16))
        ),
    )
    share.create_directory("to")
    copy = share.get_file_client("to/there.txt")
    dots = {"x-ms-source-allow-trailing-dot": "true"}
    answer = copy.start_copy_from_url(file.url, headers=dots)
    assert answer["copy_status"] == "success"
    properties = copy.get_file_properties()
    assert properties.copy.id == answer["copy_id"]
    assert (properties.copy.status, properties.copy.source) == ("success", file.url)
    assert properties.copy.progress == f"{len(CONTENT)}/{len(CONTENT)}"
    original = file.get_file_properties()
    assert vars(properties.content_settings) == vars(original.content_settings)
    assert properties.metadata == {"job": "one"}
    assert copy.download_file().readall() == CONTENT
    copy.upload_range(b"x", 0, 1)
    assert copy.get_file_properties().copy.id is None
    copy.start_copy_from_url(copy.url, metadata={"job": "two"})
    assert copy.download_file().readall() == b"x" + CONTENT[1:]
    assert copy.get_file_properties().metadata == {"job": "two"}


def test_attributes_and_times_of_a_copied_file(share: ShareClient) -> None:
    """Attributes and times are given, or taken from the source; read-only files are kept."""
    created = datetime(2001, 2, 3, tzinfo=UTC)
    file = share.get_file_client("from")
    file.create_file(3, file_attributes="Hidden", file_creation_time=created)
    source = file.get_file_properties()
    copy = share.get_file_client("copy")
    time.sleep(0.02)
    copy.start_copy_from_url(
        file.url,
        file_attributes="source",
        file_creation_time="source",
        file_last_write_time="source",
    )
    properties = copy.get_file_properties()
    assert properties.creation_time == source.creation_time
    assert properties.last_write_time == source.last_write_time
    assert properties.file_attributes == "Hidden"
    copy.start_copy_from_url(file.url, file_attributes="ReadOnly", set_archive_attribute=True)
    properties = copy.get_file_properties()
    assert properties.file_attributes == "ReadOnly | Archive"
    assert properties.last_write_time != source.last_write_time
    assert refusal(copy.start_copy_from_url, file.url) == (409, "ReadOnlyAttribute")
    copy.start_copy_from_url(file.url, ignore_read_only=True)
    assert copy.get_file_properties().file_attributes == "Archive"
    copy.start_copy_from_url(file.url, file_change_time="source")
    assert copy.get_file_properties().change_time == source.change_time
    refused = refusal(copy.start_copy_from_url, file.url, file_permission="source")
    assert refused == (400, "UnsupportedHeader")


def test_where_a_copied_file_goes(share: ShareClient) -> None:
    """The parent has to be there, no directory is replaced, and a lease is asked for."""
    file = share.get_file_client("from")
    file.upload_file(b"new")

    def start(path: str, **options: Any) -> dict[str, Any]:
        return share.get_file_client(path).start_copy_from_url(file.url, **options)

    share.create_directory("directory")
    assert refusal(start, "none/x") == (404, "ParentNotFound")
    assert refusal(start, "directory") == (409, "ResourceTypeMismatch")
    leased = share.get_file_client("leased")
    leased.upload_file(b"old")
    lease = leased.acquire_lease()
    assert refusal(start, "leased") == (412, "LeaseIdMissing")
    assert leased.download_file().readall() == b"old"
    start("leased", lease=lease)
    assert leased.download_file().readall() == b"new"
    assert refusal(
        share.get_file_client("x").start_copy_from_url, share.get_file_client("none").url
    ) == (404, "ResourceNotFound")


def test_from_files_to_blobs_and_back(
    service: Service, container: ContainerClient, share: ShareClient, blob: BlobClient
) -> None:
    """Across the two services a signature is needed; content, headers and metadata come along."""
    file = share.get_file_client("file")
    assert refusal(file.start_copy_from_url, blob.url) == (403, "CannotVerifyCopySource")
    file.start_copy_from_url(signed(service, blob))
    properties = file.get_file_properties()
    assert properties.metadata == {"job": "one"}
    assert properties.content_settings.content_type == "text/plain"
    assert file.download_file().readall() == CONTENT
    back = container.get_blob_client("back")
    assert refusal(back.start_copy_from_url, file.url) == (403, "CannotVerifyCopySource")
    for at_once in (False, True):
        back.start_copy_from_url(signed_file(service, file), requires_sync=at_once)
        assert back.download_blob().readall() == CONTENT
        assert back.get_blob_properties().metadata == {"job": "one"}
        assert back.get_blob_properties().content_settings.content_language == "en"
        back.delete_blob()


def test_ranges_from_urls(service: Service, share: ShareClient, blob: BlobClient) -> None:
    """A range of a blob or file is written in its place, and overlapping itself is no problem."""
    file = share.get_file_client("file")
    file.create_file(len(CONTENT))
    answer = file.upload_range_from_url(signed(service, blob), 1000, 50_000, 7)
    assert answer["content_crc64"]
    expected = bytes(1000) + CONTENT[7:50_007] + bytes(len(CONTENT) - 51_000)
    assert file.download_file().readall() == expected
    file.upload_range_from_url(signed_file(service, file), 0, 40_000, 500)
    expected = expected[500:40_500] + expected[40_000:]
    assert file.download_file().readall() == expected
    put = file.upload_range_from_url
    short = (0, 20, len(CONTENT) - 10)
    assert refusal(put, signed(service, blob), *short) == (416, "InvalidRange")
    beyond = (len(CONTENT) - 10, 20, 0)
    assert refusal(put, signed(service, blob), *beyond) == (416, "InvalidRange")
    crc64 = {"x-ms-source-if-none-match-crc64": base64.b64encode(answer["content_crc64"]).decode()}
    same = (1000, 50_000, 7)
    assert refusal(put, signed(service, blob), *same, headers=crc64) == (
        412,
        "SourceConditionNotMet",
    )
    assert file.download_file().readall() == expected


# What happens meanwhile.


def test_a_source_that_is_rewritten_fails_the_copy(
    container: ContainerClient, container_path: Path
) -> None:
    """While a job rewrites a file in place its copies are refused, and the old content stays."""
    path, size = container_path / "source", 8 << 20
    path.write_bytes(b"a" * size)
    copy, source = container.upload_blob("copy", b"old"), container.get_blob_client("source")
    stopped = threading.Event()

    def job() -> None:
        with path.open("r+b") as file:
            while not stopped.is_set():
                os.pwrite(file.fileno(), b"b" * size, 0)

    thread = threading.Thread(target=job)
    thread.start()
    try:
        deadline, before, refused = time.monotonic() + 30, b"old", None
        while refused is None and time.monotonic() < deadline:
            try:
                copy.start_copy_from_url(source.url)
                before = copy.download_blob().readall()
            except HttpResponseError as error:
                refused = error.status_code
        assert refused == 412
        assert copy.download_blob().readall() == before
    finally:
        stopped.set()
        thread.join()


def test_a_log_is_copied_while_it_grows(container: ContainerClient, container_path: Path) -> None:
    """The copy of a file that a job adds to has what was there when the copy began."""
    path = container_path / "log"
    line = b"0123456789abcde\n" * 4096
    path.write_bytes(line * 100)
    copy, source = container.get_blob_client("copy"), container.get_blob_client("log")
    stopped = threading.Event()

    def job() -> None:
        with path.open("ab", buffering=0) as file:
            while not stopped.wait(0.001):
                file.write(line)

    thread = threading.Thread(target=job)
    thread.start()
    try:
        for _ in range(10):
            copy.start_copy_from_url(source.url)
            content = copy.download_blob().readall()
            assert len(content) >= len(line) * 100
            assert content == line * (len(content) // len(line))
    finally:
        stopped.set()
        thread.join()


def test_holes_are_copied_as_holes(share: ShareClient, share_path: Path) -> None:
    """The copy of a terabyte of nothing takes no time and no room."""
    file = share.get_file_client("empty")
    file.create_file(1 << 40)
    file.upload_range(b"end", (1 << 40) - 3 - (1 << 20), 3)
    copy = share.get_file_client("copy")
    copy.start_copy_from_url(file.url)
    assert copy.get_file_properties().size == 1 << 40
    assert copy.download_file(offset=(1 << 40) - 3 - (1 << 20), length=3).readall() == b"end"
    assert share_path.joinpath("copy").stat().st_blocks * 512 < 1 << 20


def test_big_copies_need_no_memory_and_hold_nobody_up(
    service: Service, container: ContainerClient, container_path: Path
) -> None:
    """While 200 MB are copied, in the kernel and over HTTP, others are answered."""
    block = random.Random(1).randbytes(10 << 20)
    with container_path.joinpath("big").open("wb") as file:
        for _ in range(20):
            file.write(block)
    big, copy = container.get_blob_client("big"), container.get_blob_client("copy")
    small = container.upload_blob("small", b"1")
    process = psutil.Process()
    copy.start_copy_from_url(big.url)
    idle, most, slowest = process.memory_info().rss, 0, 0.0
    done = threading.Event()

    def watch() -> None:
        nonlocal most, slowest
        while not done.wait(0.01):
            begun = time.monotonic()
            small.download_blob().readall()
            slowest = max(slowest, time.monotonic() - begun)
            most = max(most, process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        with elsewhere() as there:
            there.content["/big"] = block * 20
            idle = process.memory_info().rss
            copy.start_copy_from_url(big.url)
            copy.upload_blob_from_url(signed(service, big), overwrite=True)
            copy.start_copy_from_url(there.url("/big"))
    finally:
        done.set()
        thread.join()
    assert copy.get_blob_properties().size == 200 << 20
    assert most - idle < 32 << 20
    assert slowest < 2
