"""Append blobs: logs that grow block by block."""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient, BlobType, ContainerClient

from tests.storage.conftest import Service, code


@pytest.fixture
def log(container: ContainerClient) -> BlobClient:
    """A fresh append blob."""
    blob = container.get_blob_client("logs/stdout.txt")
    blob.create_append_blob(metadata={"job": "one"})
    return blob


def test_blocks_are_added_in_order(log: BlobClient, container_path: Path) -> None:
    """Each block goes to the end; the file on disk is the blob, and its type stays."""
    for count, line in enumerate((b"one\n", b"two\n", b"three\n"), start=1):
        answer = log.append_block(line)
        assert answer["blob_append_offset"] == str(len(b"one\ntwo\n"[: 4 * (count - 1)]))
        assert answer["blob_committed_block_count"] == count
    assert container_path.joinpath("logs/stdout.txt").read_bytes() == b"one\ntwo\nthree\n"
    assert log.download_blob().readall() == b"one\ntwo\nthree\n"
    properties = log.get_blob_properties()
    assert properties.blob_type == BlobType.APPENDBLOB
    assert properties.append_blob_committed_block_count == 3
    assert properties.metadata == {"job": "one"}


def test_a_job_appends_to_it_as_well(log: BlobClient, container_path: Path) -> None:
    """What a job's process writes at the end is there, in order, and the type stays."""
    log.append_block(b"client\n")
    with container_path.joinpath("logs/stdout.txt").open("ab") as file:
        file.write(b"job\n")
    log.append_block(b"client\n")
    assert log.download_blob().readall() == b"client\njob\nclient\n"
    assert log.get_blob_properties().blob_type == BlobType.APPENDBLOB


def test_parallel_appends_neither_mix_nor_vanish(log: BlobClient) -> None:
    """Of many clients that append big blocks at once each block arrives whole."""
    blocks = [bytes([65 + each]) * (700_000 + each) for each in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(log.append_block, blocks))
    content = log.download_blob().readall()
    found = sorted(len(run) for run in _runs(content))
    assert found == sorted(map(len, blocks))


def _runs(content: bytes) -> list[bytes]:
    runs, start = [], 0
    while start < len(content):
        end = start + len(content[start:]) - len(content[start:].lstrip(content[start : start + 1]))
        runs.append(content[start:end])
        start = end
    return runs


def test_conditions_of_append(log: BlobClient) -> None:
    """The position and the size an append asks for are held; a refused block leaves nothing."""
    log.append_block(b"12345", appendpos_condition=0, maxsize_condition=5)
    for condition, refusal in (
        ({"appendpos_condition": 3}, "AppendPositionConditionNotMet"),
        ({"maxsize_condition": 9}, "MaxBlobSizeConditionNotMet"),
        ({"if_modified_since": log.get_blob_properties().last_modified}, "ConditionNotMet"),
    ):
        with pytest.raises(HttpResponseError) as refused:
            log.append_block(b"67890", **condition)
        assert refused.value.status_code == 412
        assert code(refused) == refusal
    assert log.download_blob().readall() == b"12345"


def test_a_damaged_block_leaves_nothing(log: BlobClient, service: Service) -> None:
    """A block whose checksum is wrong is refused before a byte of it can be read."""
    for name, refusal in (("Content-MD5", "Md5Mismatch"), ("x-ms-content-crc64", "Crc64Mismatch")):
        with pytest.raises(HttpResponseError) as refused:
            log.append_block(b"damaged", headers={name: "AAAAAAAAAAA="})
        assert code(refused) == refusal
    log.append_block(b"whole", validate_content=True)
    assert log.download_blob().readall() == b"whole"


def test_a_sealed_blob_grows_no_more(log: BlobClient) -> None:
    """After a seal the blob says so, and takes no block."""
    log.append_block(b"all")
    log.seal_append_blob()
    with pytest.raises(HttpResponseError) as refused:
        log.append_block(b"more")
    assert code(refused) == "BlobIsSealed"
    assert log.get_blob_properties().is_append_blob_sealed is True


def test_blocks_and_appending_do_not_mix(log: BlobClient, container: ContainerClient) -> None:
    """Blocks are for block blobs, appending for append blobs; overwriting changes the type."""
    with pytest.raises(HttpResponseError) as refused:
        log.stage_block("MDAw", b"1")
    assert code(refused) == "InvalidBlobType"
    plain = container.upload_blob("plain", b"1")
    with pytest.raises(HttpResponseError) as refused:
        plain.append_block(b"2")
    assert code(refused) == "InvalidBlobType"
    log.upload_blob(b"block", blob_type=BlobType.BLOCKBLOB, overwrite=True)
    assert log.get_blob_properties().blob_type == BlobType.BLOCKBLOB
    with pytest.raises(HttpResponseError) as refused:
        container.get_blob_client("pages").create_page_blob(512)
    assert code(refused) == "NotImplemented"


def test_upload_blob_appends(container: ContainerClient) -> None:
    """The client's own upload to an append blob adds the whole content, each time."""
    data = random.Random(5).randbytes(300_000)
    for times in (1, 2):
        blob = container.upload_blob("grown", data, blob_type=BlobType.APPENDBLOB)
        assert blob.download_blob().readall() == data * times
    listed = {str(each.name): each.blob_type for each in container.list_blobs()}
    assert listed == {"grown": BlobType.APPENDBLOB}
