"""Containers and blobs, by the official client."""

import io
import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import (
    BlobBlock,
    BlobClient,
    BlobPrefix,
    BlobType,
    ContainerClient,
    ContentSettings,
)

from batchai_quickstart.storage import Kind
from tests.storage.conftest import Service, code

NAMES = [
    "plain.txt",
    "deep/er/still.txt",
    "grün/ünïcode-日本.txt",
    "100%25 sure%.txt",
    "a+b c&d=e.txt",
    "semi;colon'quote(1)!.txt",
    "ends with dot.",
    "tilde~/under_score-.bin",
    'quote"lt<gt>amp&.xml',
    "emoji-🚀.bin",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_survive_the_round_trip(
    container: ContainerClient, container_path: Path, name: str
) -> None:
    """A blob keeps its name through upload, disk, listing, download and deletion."""
    blob = container.upload_blob(name, b"content of " + name.encode())
    assert container_path.joinpath(name).read_bytes() == b"content of " + name.encode()
    assert [each.name for each in container.list_blobs()] == [name]
    assert blob.download_blob().readall() == b"content of " + name.encode()
    blob.delete_blob()
    assert not blob.exists()


def test_blocks_and_ranges_in_parallel_are_byte_exact(
    service: Service, container: ContainerClient, container_path: Path, tmp_path: Path
) -> None:
    """A blob that goes up in parallel blocks and comes down in parallel ranges is unchanged."""
    data = random.Random(1).randbytes(9 * 1024 * 1024 + 4321)
    options = {
        "max_single_put_size": 1 << 20,
        "max_block_size": 1 << 20,
        "max_single_get_size": 1 << 20,
        "max_chunk_get_size": 1 << 20,
    }
    with service.blobs(**options) as client:
        blob = client.get_blob_client(str(container.container_name), "big.bin")
        blob.upload_blob(io.BytesIO(data), length=len(data), max_concurrency=4)
        assert container_path.joinpath("big.bin").read_bytes() == data
        assert blob.download_blob(max_concurrency=4).readall() == data
        committed, uncommitted = blob.get_block_list("all")
        assert (len(committed), uncommitted) == (10, [])
        assert sum(block.size for block in committed) == len(data)


def test_blocks_may_come_in_any_order_and_be_left_out(container: ContainerClient) -> None:
    """A commit takes the listed blocks in the listed order, whenever they came."""
    blob = container.get_blob_client("shuffled")
    blocks = {f"{i:03d}": os.urandom(1000 + i) for i in range(20)}
    order = list(blocks)
    random.Random(2).shuffle(order)
    for name in order:
        blob.stage_block(name, blocks[name])
    blob.stage_block("001", blocks["001"])  # sent again, as a client does after a lost answer
    wanted = [name for name in blocks if name not in ("004", "017")]
    blob.commit_block_list([BlobBlock(name) for name in [*wanted, "000"]])
    expected = b"".join(blocks[name] for name in [*wanted, "000"])
    assert blob.download_blob().readall() == expected
    assert blob.get_block_list("uncommitted") == ([], [])


def test_a_commit_may_keep_committed_blocks(container: ContainerClient) -> None:
    """Blocks of the blob as it is can be committed again beside new ones."""
    blob = container.get_blob_client("grown")
    blob.stage_block("a", b"first ")
    blob.commit_block_list([BlobBlock("a")])
    blob.stage_block("b", b"second ")
    blob.commit_block_list([BlobBlock("b"), BlobBlock("a"), BlobBlock("b")])
    assert blob.download_blob().readall() == b"second first second "
    with pytest.raises(HttpResponseError) as refused:
        blob.commit_block_list([BlobBlock("z")])
    assert code(refused) == "InvalidBlockList"


def test_uncommitted_blocks_are_no_blob(container: ContainerClient, container_path: Path) -> None:
    """Staged blocks are invisible until they are committed, also on disk."""
    blob = container.get_blob_client("dir/pending")
    blob.stage_block("a", b"data")
    assert not blob.exists()
    assert list(container_path.rglob("*")) == []
    assert [block.id for block in blob.get_block_list("uncommitted")[1]] == ["a"]


def test_existing_blobs_are_not_overwritten_unasked(container: ContainerClient) -> None:
    """Without `overwrite` an existing blob stays, by one call and by blocks."""
    container.upload_blob("x", b"one")
    with pytest.raises(ResourceExistsError) as refused:
        container.upload_blob("x", b"two")
    assert code(refused) == "BlobAlreadyExists"
    blob = container.get_blob_client("x")
    blob.stage_block("a", b"two")
    with pytest.raises(ResourceExistsError):
        blob.commit_block_list([BlobBlock("a")], if_none_match="*")
    container.upload_blob("x", b"three", overwrite=True)
    assert blob.download_blob().readall() == b"three"


def test_conditions_follow_the_content(container: ContainerClient) -> None:
    """A write or read that is bound to an ETag fails once the blob has changed."""
    blob = container.upload_blob("x", b"one")
    old = blob.get_blob_properties().etag
    bound: dict[str, Any] = {"etag": old, "match_condition": MatchConditions.IfNotModified}
    blob.upload_blob(b"two", overwrite=True, **bound)
    with pytest.raises(ResourceModifiedError) as refused:
        blob.upload_blob(b"three", overwrite=True, **bound)
    assert code(refused) == "ConditionNotMet"
    with pytest.raises(ResourceModifiedError):
        blob.download_blob(**bound)
    unchanged: dict[str, Any] = {
        "etag": blob.get_blob_properties().etag,
        "match_condition": MatchConditions.IfModified,
    }
    with pytest.raises(HttpResponseError) as same:
        blob.download_blob(**unchanged)
    assert same.value.status_code == 304


def test_metadata_and_content_settings_are_kept(
    service: Service, container: ContainerClient
) -> None:
    """What a client says of a blob comes back from properties, downloads and listings."""
    settings = ContentSettings(
        content_type="text/plain; charset=utf-8",
        content_encoding="identity",
        content_language="de",
        content_disposition="inline",
        cache_control="no-store",
        content_md5=bytearray(range(16)),
    )
    blob = container.upload_blob(
        "x", b"text", metadata={"owner": "me", "run": "7"}, content_settings=settings
    )
    properties = blob.get_blob_properties()
    assert properties.metadata == {"owner": "me", "run": "7"}
    assert properties.content_settings.content_type == "text/plain; charset=utf-8"
    assert properties.content_settings.content_md5 == bytearray(range(16))
    assert properties.blob_type == BlobType.BLOCKBLOB
    assert blob.download_blob().properties.content_settings.content_language == "de"
    (listed,) = container.list_blobs(include=["metadata"])
    assert (listed.metadata, listed.size) == ({"owner": "me", "run": "7"}, 4)
    assert listed.content_settings.cache_control == "no-store"
    before = properties.etag
    blob.set_blob_metadata({"owner": "you"})
    blob.set_http_headers(ContentSettings(content_type="text/html"))
    after = blob.get_blob_properties()
    assert (after.metadata, after.content_settings.content_type) == ({"owner": "you"}, "text/html")
    assert after.etag != before


def test_a_file_written_by_a_job_is_a_blob_at_once(
    container: ContainerClient, container_path: Path
) -> None:
    """What a process writes into the directory is listed and read, and changes get new ETags."""
    path = container_path / "out" / "model.bin"
    path.parent.mkdir()
    path.write_bytes(b"12345")
    blob = container.get_blob_client("out/model.bin")
    first = blob.get_blob_properties()
    assert (first.size, first.content_settings.content_type) == (5, "application/octet-stream")
    path.write_bytes(b"1234567")
    second = blob.get_blob_properties()
    assert second.size == 7
    assert second.etag != first.etag
    assert [(each.name, each.size) for each in container.list_blobs()] == [("out/model.bin", 7)]


def test_what_was_said_of_a_blob_does_not_pass_to_another_file(
    container: ContainerClient, container_path: Path
) -> None:
    """A file put in a blob's place has no metadata; one changed in place loses only its MD5."""
    settings = ContentSettings(content_type="text/x", content_md5=bytearray(16))
    blob = container.upload_blob("x", b"one", metadata={"a": "b"}, content_settings=settings)
    with container_path.joinpath("x").open("ab") as file:
        file.write(b" and more")
    changed = blob.get_blob_properties()
    assert (changed.metadata, changed.content_settings.content_type) == ({"a": "b"}, "text/x")
    assert changed.content_settings.content_md5 is None
    other = container_path / "other"
    other.write_bytes(b"two")
    other.rename(container_path / "x")
    replaced = blob.get_blob_properties()
    assert replaced.metadata == {}
    assert replaced.content_settings.content_type == "application/octet-stream"


def test_listings_are_in_order_and_in_pages(container: ContainerClient) -> None:
    """Pages of any size give every name once, in the order of the full names."""
    names = ["A", "a-b/x", "a.b", "a/b", "a/c/c", "a0", "b/1", "b/2", "c", "ä"]
    for name in names:
        container.upload_blob(name, b"")
    for size in (1, 2, 3, 100):
        pages = container.list_blobs(results_per_page=size).by_page()
        assert [each.name for page in pages for each in page] == sorted(names)
    prefixed = container.list_blobs(name_starts_with="a", results_per_page=2)
    assert [each.name for each in prefixed] == sorted(n for n in names if n.startswith("a"))


def test_a_delimiter_groups_names(container: ContainerClient, container_path: Path) -> None:
    """`walk_blobs` shows directories with blobs as prefixes, one level at a time."""
    for name in ["data/x/1", "data/x/2", "data/y", "data-2", "top"]:
        container.upload_blob(name, b"")
    container_path.joinpath("empty", "dir").mkdir(parents=True)

    def level(prefix: str, delimiter: str = "/", size: int | None = None) -> list[tuple[str, bool]]:
        found = container.walk_blobs(prefix, delimiter=delimiter, results_per_page=size)
        return sorted((each.name, isinstance(each, BlobPrefix)) for each in found)

    assert level("") == [("data-2", False), ("data/", True), ("top", False)]
    assert level("", size=1) == level("")
    assert level("data/") == [("data/x/", True), ("data/y", False)]
    assert level("", delimiter="-") == [
        ("data-", True),
        ("data/x/1", False),
        ("data/x/2", False),
        ("data/y", False),
        ("top", False),
    ]


def test_containers_have_properties_and_can_be_listed(service: Service, fresh_name: str) -> None:
    """A container is made once, keeps its metadata, is listed, and goes with its content."""
    with service.blobs() as client:
        container = client.create_container(fresh_name, metadata={"a": "1"})
        with pytest.raises(ResourceExistsError) as refused:
            client.create_container(fresh_name)
        assert code(refused) == "ContainerAlreadyExists"
        assert container.get_container_properties().metadata == {"a": "1"}
        container.set_container_metadata({"b": "2"})
        listed = client.list_containers(name_starts_with=fresh_name, include_metadata=True)
        assert [(each.name, each.metadata) for each in listed] == [(fresh_name, {"b": "2"})]
        container.upload_blob("x/y", b"data")
        container.delete_container()
        assert not container.exists()
        with pytest.raises(ResourceNotFoundError) as missing:
            container.upload_blob("x", b"")
        assert code(missing) == "ContainerNotFound"


def test_blob_and_directory_of_one_name_conflict_clearly(container: ContainerClient) -> None:
    """`a` and `a/b` cannot both be files: the second is refused by a code."""
    container.upload_blob("a", b"")
    with pytest.raises(ResourceExistsError) as refused:
        container.upload_blob("a/b", b"")
    assert code(refused) == "ResourceTypeMismatch"
    container.upload_blob("c/d", b"")
    with pytest.raises(ResourceExistsError):
        container.upload_blob("c", b"")
    container.delete_blob("c/d")
    container.upload_blob("c", b"the empty directory holds no name")


def test_what_is_not_there_is_a_404_of_its_kind(container: ContainerClient) -> None:
    """Reading or deleting a missing blob is BlobNotFound."""
    with pytest.raises(ResourceNotFoundError) as missing:
        container.download_blob("nothing")
    assert code(missing) == "BlobNotFound"
    with pytest.raises(ResourceNotFoundError):
        container.delete_blob("nothing/below")


def test_an_empty_blob_is_a_blob(container: ContainerClient) -> None:
    """Zero bytes go up and come down."""
    blob = container.upload_blob("empty", b"")
    assert blob.download_blob().readall() == b""
    assert blob.get_blob_properties().size == 0


def test_ranges_are_exact(container: ContainerClient) -> None:
    """Offset and length select exactly these bytes; beyond the end is 416 InvalidRange."""
    blob = container.upload_blob("x", bytes(range(200)))
    assert blob.download_blob(offset=10, length=5).readall() == bytes(range(10, 15))
    assert blob.download_blob(offset=190, length=100).readall() == bytes(range(190, 200))
    with pytest.raises(HttpResponseError) as refused:
        blob.download_blob(offset=200, length=1)
    assert (refused.value.status_code, code(refused)) == (416, "InvalidRange")


def test_md5_is_checked_on_the_way_up_and_down(container: ContainerClient) -> None:
    """`validate_content` works, and a body of another MD5 is refused and leaves nothing."""
    blob = container.get_blob_client("x")
    blob.upload_blob(b"checked", validate_content=True)
    assert blob.download_blob(validate_content=True).readall() == b"checked"
    with pytest.raises(HttpResponseError) as refused:
        blob.upload_blob(
            b"other", overwrite=True, headers={"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}
        )
    assert code(refused) == "Md5Mismatch"
    assert blob.download_blob().readall() == b"checked"


def test_what_is_not_done_here_is_refused_by_name(container: ContainerClient) -> None:
    """Page blobs and snapshots answer with a code that says so."""
    blob = container.upload_blob("x", b"")

    def refusal(call: Callable[..., object], *arguments: object, **options: object) -> str:
        with pytest.raises(HttpResponseError) as refused:
            call(*arguments, **options)
        return code(refused)

    assert refusal(container.get_blob_client("p").create_page_blob, 512) == "NotImplemented"
    assert refusal(blob.create_snapshot) == "NotImplemented"
    assert refusal(
        container.get_blob_client("x", snapshot="2020-01-01T00:00:00Z").download_blob
    ) == ("UnsupportedQueryParameter")


def test_two_clients_at_once_see_whole_blobs(service: Service, container: ContainerClient) -> None:
    """Readers of a blob that is overwritten again and again see one of its contents, whole."""
    contents = [bytes([i]) * 300_000 for i in range(4)]
    name = str(container.container_name)
    container.upload_blob("x", contents[0])

    def write(content: bytes) -> None:
        with service.blobs() as client:
            for _ in range(8):
                client.get_blob_client(name, "x").upload_blob(content, overwrite=True)

    def read() -> bool:
        with service.blobs() as client:
            blob = client.get_blob_client(name, "x")
            return all(blob.download_blob().readall() in contents for _ in range(8))

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, content) for content in contents[:2]]
        readers = [pool.submit(read) for _ in range(2)]
        for writer in writers:
            writer.result()
        assert all(reader.result() for reader in readers)


def test_account_information_is_given(service: Service) -> None:
    """The account says what it is, and its service properties can be read."""
    with service.blobs() as client:
        assert client.get_account_information()["sku_name"] == "Standard_LRS"
        assert client.get_service_properties()["cors"] == []


def test_connection_strings_work(service: Service, container: ContainerClient) -> None:
    """A connection string with this service's endpoint reaches the same blobs."""
    text = (
        f"AccountName={service.account.name};AccountKey={service.account.keys[1]};"
        f"BlobEndpoint={service.url(Kind.BLOB)};"
    )
    container.upload_blob("x", b"data")
    with BlobClient.from_connection_string(text, str(container.container_name), "x") as blob:
        assert blob.download_blob().readall() == b"data"
