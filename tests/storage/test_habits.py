"""What users of the official packages are in the habit of, in both forms of the clients."""

import asyncio
import inspect
import io
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
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
    AccountSasPermissions,
    BlobBlock,
    ResourceTypes,
    generate_account_sas,
)

from batchai_quickstart.storage import Kind
from tests.storage.conftest import Service, code
from tests.storage.twins import FORMS, settled

CONTENT = bytes(range(256)) * (9 << 12)
"""9 MiB, which the clients move in parts of one when they are told to."""
PARTS: dict[str, int] = {"max_single_get_size": 1 << 20, "max_chunk_get_size": 1 << 20}

Body = Callable[[Any], Awaitable[None]]
With = Callable[[Body], None]


@pytest.fixture(params=FORMS)
def with_container(request: pytest.FixtureRequest, service: Service, fresh_name: str) -> With:
    """Runs a coroutine with the client of a fresh container, of either form."""
    blob, _ = FORMS[request.param]

    async def run(body: Body) -> None:
        client = blob.BlobServiceClient(
            service.url(Kind.BLOB), service.credential(),
            max_single_put_size=1 << 20, max_block_size=1 << 20, **PARTS,
        )  # fmt: skip
        await body(await settled(client.create_container(fresh_name)))
        await settled(client.delete_container(fresh_name))
        await settled(client.close())

    return lambda body: asyncio.run(run(body))


@pytest.fixture(params=FORMS)
def with_share(request: pytest.FixtureRequest, service: Service, fresh_name: str) -> With:
    """Runs a coroutine with the client of a fresh share, of either form."""
    _, share = FORMS[request.param]

    async def run(body: Body) -> None:
        client = share.ShareServiceClient(
            service.url(Kind.FILE), service.credential(), max_range_size=1 << 20, **PARTS
        )
        await body(await settled(client.create_share(fresh_name)))
        await settled(client.delete_share(fresh_name))
        await settled(client.close())

    return lambda body: asyncio.run(run(body))


async def _begun(value: Any) -> Any:
    """A download of either form, its content still to come."""
    return await value if inspect.isawaitable(value) else value


def _hook(client: Any, told: list[tuple[int, int | None]]) -> Callable[[int, int | None], object]:
    async def tell(done: int, total: int | None) -> None:
        told.append((done, total))

    def tell_at_once(done: int, total: int | None) -> None:
        told.append((done, total))

    return tell if hasattr(client, "__aenter__") else tell_at_once


async def _read_every_way(begin: Callable[..., Any]) -> None:
    whole = await _begun(begin(max_concurrency=4, validate_content=True))
    assert await settled(whole.readall()) == CONTENT
    target = io.BytesIO()
    assert await settled((await _begun(begin(max_concurrency=4))).readinto(target)) == len(CONTENT)
    assert target.getvalue() == CONTENT
    chunks = await settled((await _begun(begin())).chunks())
    assert [len(chunk) for chunk in chunks] == [1 << 20] * 9
    assert b"".join(chunks) == CONTENT
    part = await _begun(begin(offset=(1 << 20) - 1, length=(1 << 20) + 2))
    assert part.size == (1 << 20) + 2
    assert await settled(part.readall()) == CONTENT[(1 << 20) - 1 : (2 << 20) + 1]
    with pytest.raises(HttpResponseError) as beyond:
        await _begun(begin(offset=len(CONTENT), length=1))
    assert beyond.value.status_code == 416


def test_large_blobs_go_and_come_in_parts(with_container: With) -> None:
    """In parallel parts with MD5s; whole, by chunks, by range, into a file; progress is told."""

    async def body(container: Any) -> None:
        blob = container.get_blob_client("big.bin")
        told: list[tuple[int, int | None]] = []
        options = {"max_concurrency": 4, "progress_hook": _hook(blob, told)}
        await settled(blob.upload_blob(io.BytesIO(CONTENT), validate_content=True, **options))
        assert max(told) == (len(CONTENT), len(CONTENT))
        told.clear()
        assert await settled(blob.download_blob(**options)) == CONTENT
        assert max(told) == (len(CONTENT), len(CONTENT))
        await _read_every_way(blob.download_blob)

    with_container(body)


def test_large_files_go_and_come_in_parts(with_share: With) -> None:
    """The same of files in a share."""

    async def body(share: Any) -> None:
        file = share.get_file_client("big.bin")
        told: list[tuple[int, int | None]] = []
        options = {"max_concurrency": 4, "progress_hook": _hook(file, told)}
        await settled(file.upload_file(io.BytesIO(CONTENT), validate_content=True, **options))
        assert max(told) == (len(CONTENT), len(CONTENT))
        assert await settled(file.download_file(**options)) == CONTENT
        await _read_every_way(file.download_file)

    with_share(body)


def test_conditions_have_the_exceptions_people_catch(with_container: With) -> None:
    """Existing, missing, changed and unchanged blobs raise azure-core's own classes."""

    async def body(container: Any) -> None:
        blob = container.get_blob_client("x")
        with pytest.raises(ResourceNotFoundError):
            await settled(blob.get_blob_properties())
        etag = (await settled(blob.upload_blob(b"1")))["etag"]
        with pytest.raises(ResourceExistsError):
            await settled(blob.upload_blob(b"2", overwrite=False))
        same = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
        other = {"etag": etag, "match_condition": MatchConditions.IfModified}
        with pytest.raises(ResourceModifiedError) as unchanged:
            await settled(blob.download_blob(**other))
        assert (unchanged.value.status_code, code(unchanged)) == (304, "ConditionNotMet")
        await settled(blob.upload_blob(b"3", overwrite=True, **same))
        with pytest.raises(ResourceModifiedError):
            await settled(blob.delete_blob(**same))
        with pytest.raises(ResourceModifiedError):
            await settled(blob.upload_blob(b"4", overwrite=True, **same))
        later = datetime.now(UTC) + timedelta(minutes=1)
        with pytest.raises(ResourceModifiedError):
            await settled(blob.set_blob_metadata({}, if_modified_since=later))
        assert await settled(blob.download_blob(**other)) == b"3"

    with_container(body)


def test_listings_go_on_from_a_token(with_container: With) -> None:
    """`by_page` in pages of a size, begun again from a token, of blobs, names and levels."""

    async def body(container: Any) -> None:
        names = sorted([f"{level}/{name}" for level in "äbc" for name in "xyz"] + ["zz"])
        for name in names:
            await settled(container.upload_blob(name, b""))
        for listing in (container.list_blobs, container.list_blob_names):
            pages = listing(results_per_page=4).by_page()
            first = await _page(pages)
            rest = listing(results_per_page=4).by_page(pages.continuation_token)
            second, third = await _page(rest), await _page(rest)
            found = [
                each if isinstance(each, str) else each.name for each in first + second + third
            ]
            assert found == names
            assert rest.continuation_token is None
        pages = container.walk_blobs(results_per_page=2).by_page()
        levels = [each.name for each in await _page(pages) + await _page(pages)]
        assert sorted(levels) == ["b/", "c/", "zz", "ä/"]
        assert [each.name for each in await settled(container.walk_blobs("c/"))] == [
            "c/x", "c/y", "c/z",
        ]  # fmt: skip

    with_container(body)


async def _page(pages: Any) -> list[Any]:
    page = await anext(pages) if hasattr(pages, "__anext__") else next(pages)
    return [each async for each in page] if hasattr(page, "__aiter__") else list(page)


def test_directories_are_listed_from_a_token(with_share: With) -> None:
    """The same of a directory in a share."""

    async def body(share: Any) -> None:
        for name in "abcde":
            await settled(share.create_directory(name))
        pages = share.list_directories_and_files(results_per_page=2).by_page()
        first = await _page(pages)
        rest = share.list_directories_and_files(results_per_page=5).by_page(
            pages.continuation_token
        )
        assert [each.name for each in first + await _page(rest)] == list("abcde")

    with_share(body)


@pytest.mark.parametrize("key", [0, 1])
def test_account_signatures_of_either_key_sign_for_both_services(
    service: Service, fresh_name: str, key: int
) -> None:
    """One account signature makes, fills, reads and removes a container and a share."""
    sas = generate_account_sas(
        service.account.name,
        service.account.keys[key],
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(
            read=True,
            write=True,
            delete=True,
            list=True,
            create=True,
            tag=True,
            filter_by_tags=True,
        ),
        datetime.now(UTC) + timedelta(hours=1),
        start=datetime.now(UTC) - timedelta(minutes=1),
        ip="127.0.0.0-127.0.0.9",
        protocol="https,http",
        services="bf",
    )
    with service.blobs(credential=sas) as blobs, service.shares(credential=sas) as shares:
        container = blobs.create_container(fresh_name)
        container.upload_blob("x", b"1", tags={"kind": fresh_name})
        assert [each.name for each in blobs.find_blobs_by_tags(f"\"kind\" = '{fresh_name}'")] == [
            "x"
        ]
        blobs.delete_container(fresh_name)
        share = shares.create_share(fresh_name)
        share.get_file_client("x").upload_file(b"1")
        assert [each.name for each in share.list_directories_and_files()] == ["x"]
        shares.delete_share(fresh_name)


@pytest.mark.parametrize("check", ["md5", "crc64"])
def test_checks_of_the_content_are_made(service: Service, fresh_name: str, check: Any) -> None:
    """With `validate_content` of either kind, blocks, blobs and appended blocks arrive."""
    if check == "crc64":
        pytest.importorskip("azure.storage.extensions.checksums")
    with service.blobs(max_single_put_size=1 << 20, max_block_size=1 << 20) as blobs:
        container = blobs.create_container(fresh_name)
        container.upload_blob("small", b"123", validate_content=check)
        container.upload_blob("large", CONTENT, validate_content=check)
        assert container.download_blob("large").readall() == CONTENT
        log = container.get_blob_client("log")
        log.create_append_blob()
        log.append_block(b"line\n", validate_content=check)
        assert log.download_blob().readall() == b"line\n"
        container.delete_container()


def test_a_damaged_document_is_refused(service: Service, fresh_name: str) -> None:
    """A list of blocks that is not the one its MD5 or CRC64 is of commits nothing."""
    with service.blobs() as blobs:
        container = blobs.create_container(fresh_name)
        blob = container.get_blob_client("x")
        blob.stage_block("b1", b"1")
        for name, value in (("Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA=="),
                            ("x-ms-content-crc64", "AAAAAAAAAAA=")):  # fmt: skip
            with pytest.raises(HttpResponseError) as refused:
                blob.commit_block_list([BlobBlock("b1")], headers={name: value})
            assert code(refused) in ("Md5Mismatch", "Crc64Mismatch")
        assert not blob.exists()
        container.delete_container()
