"""Ranges of files: written at once from many sides, cleared, listed."""

import os
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.fileshare import ContentSettings, ShareClient, ShareFileClient

from tests.storage.conftest import Service, code

MIB = 1 << 20
sparse = pytest.mark.skipif(sys.platform != "linux", reason="other systems need not punch holes")


def found(file: ShareFileClient, **options: Any) -> list[tuple[int, int]]:
    """The ranges that a file has, as offsets of the first and of the last byte."""
    return [(each.start, each.end) for each in file.list_ranges(**options)]


def test_eight_writers_out_of_order_lose_no_byte(service: Service, share: ShareClient) -> None:
    """Ranges of odd lengths, each written once by one of eight clients in any order, are whole."""
    shuffled = random.Random(8)
    content = shuffled.randbytes(5 * MIB + 13)
    cuts = sorted({0, len(content), *(shuffled.randrange(len(content)) for _ in range(160))})
    pieces = list(pairwise(cuts))
    shuffled.shuffle(pieces)
    share.get_file_client("x").create_file(len(content))

    def write(mine: list[tuple[int, int]]) -> None:
        with service.shares() as client:
            file = client.get_share_client(str(share.share_name)).get_file_client("x")
            for start, end in mine:
                file.upload_range(content[start:end], start, end - start)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, (pieces[i::8] for i in range(8))))
    assert share.get_file_client("x").download_file().readall() == content


def test_only_what_was_written_is_listed(share: ShareClient) -> None:
    """A fresh file has no range; written ones are told to 512 bytes, joined, and cut by a range."""
    file = share.get_file_client("x")
    file.create_file(10 * MIB + 100)
    assert found(file) == []
    file.upload_range(b"x" * 512, 0, 512)
    file.upload_range(b"x" * 512, 1024, 512)
    file.upload_range(b"x" * 700, 1536, 700)
    file.upload_range(b"x" * MIB, 5 * MIB, MIB)
    file.upload_range(b"x" * 100, 10 * MIB, 100)
    whole = [
        (0, 511),
        (1024, 2559),
        (5 * MIB, 6 * MIB - 1),
        (10 * MIB, 10 * MIB + 99),
    ]
    assert found(file) == whole
    assert found(file, offset=1100, length=2000) == [(1100, 2559)]
    assert found(file, offset=3000, length=100) == []
    pages = file.list_ranges(results_per_page=3).by_page()
    assert [[each.start for each in page] for page in pages] == [[0, 1024, 5 * MIB], [10 * MIB]]


@sparse
def test_cleared_ranges_give_their_space_back(share: ShareClient, share_path: Path) -> None:
    """Clearing reads as zeros, is listed no more, and frees blocks; the length stays."""
    file = share.get_file_client("x")
    file.upload_file(b"\1" * (4 * MIB))
    before = share_path.joinpath("x").stat().st_blocks
    file.clear_range(MIB, 2 * MIB)
    after = share_path.joinpath("x").stat()
    assert after.st_size == 4 * MIB
    assert after.st_blocks <= before - 2 * MIB // 512
    assert found(file) == [(0, MIB - 1), (3 * MIB, 4 * MIB - 1)]
    assert share_path.joinpath("x").read_bytes() == b"\1" * MIB + bytes(2 * MIB) + b"\1" * MIB
    file.clear_range(0, 512)
    assert found(file)[0] == (512, MIB - 1)


def test_a_file_of_a_job_has_ranges(share: ShareClient, share_path: Path) -> None:
    """What a job writes behind a hole is listed as the range it is."""
    with share_path.joinpath("x").open("wb") as file:
        file.seek(MIB)
        file.write(b"x" * 10)
    assert found(share.get_file_client("x")) == [(MIB, MIB + 9)]


def test_resizing_cuts_and_grows_by_zeros(share: ShareClient) -> None:
    """A file that was cut and grown again has zeros where it had something."""
    file = share.get_file_client("x")
    file.upload_file(b"x" * 3000)
    file.resize_file(1000)
    file.resize_file(2 * MIB)
    assert found(file) == [(0, 1023)]
    assert file.download_file().readall() == b"x" * 1000 + bytes(2 * MIB - 1000)


def test_a_wrong_checksum_writes_nothing(share: ShareClient, share_path: Path) -> None:
    """Put Range with an MD5 or CRC64 that is not the body's is refused before a byte is written."""
    file = share.get_file_client("x")
    file.upload_file(b"old")
    for headers, expected in (
        ({"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "Md5Mismatch"),
        ({"x-ms-content-crc64": "AAAAAAAAAAA="}, "Crc64Mismatch"),
    ):
        with pytest.raises(HttpResponseError) as refused:
            file.upload_range(b"new", 0, 3, headers=headers)
        assert code(refused) == expected
        assert share_path.joinpath("x").read_bytes() == b"old"
    answer = file.upload_range(b"new", 0, 3, validate_content=True)
    assert answer["content_md5"] is not None
    assert share_path.joinpath("x").read_bytes() == b"new"


def test_a_range_can_keep_the_last_write_time(share: ShareClient) -> None:
    """`preserve` keeps the time and still makes a new version; `now` is the rule."""
    file = share.get_file_client("x")
    written = datetime(2020, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    file.upload_file(b"one")
    file.set_http_headers(ContentSettings(), file_last_write_time=written)
    before = file.get_file_properties()
    file.upload_range(b"two", 0, 3, file_last_write_mode="preserve")
    kept = file.get_file_properties()
    assert (kept.last_write_time, kept.etag == before.etag) == (written, False)
    file.upload_range(b"two", 0, 3)
    assert file.get_file_properties().last_write_time != written
    with pytest.raises(HttpResponseError) as refused:
        file.upload_range(b"two", 0, 3, headers={"x-ms-file-last-write-time": "soon"})
    assert code(refused) == "InvalidHeaderValue"


def test_changes_since_a_snapshot_are_refused_by_name(share: ShareClient) -> None:
    """There are no snapshots to compare with."""
    file = share.get_file_client("x")
    file.upload_file(b"1")
    with pytest.raises(HttpResponseError) as refused:
        list(file.list_ranges_diff("2026-01-01T00:00:00.0000000Z"))
    assert code(refused) == "UnsupportedQueryParameter"
    assert "prevsharesnapshot" in str(refused.value)


def test_a_leased_file_is_listed_by_everybody(share: ShareClient) -> None:
    """Reading ranges needs no lease, but a wrong lease id is refused; a missing file is 404."""
    file = share.get_file_client("x")
    file.upload_file(os.urandom(600))
    lease = file.acquire_lease()
    assert found(file) == [(0, 599)]
    assert [each.end for each in file.list_ranges(lease=lease)] == [599]
    cases: tuple[tuple[str, dict[str, Any], str], ...] = (
        (
            "x",
            {"lease": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},
            "LeaseIdMismatchWithFileOperation",
        ),
        ("y", {}, "ResourceNotFound"),
    )
    for name, options, expected in cases:
        with pytest.raises(HttpResponseError) as refused:
            list(share.get_file_client(name).list_ranges(**options))
        assert code(refused) == expected
