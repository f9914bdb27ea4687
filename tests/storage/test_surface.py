"""The official packages in their full surface, sync and aio, over a real socket."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.blob import BlobSasPermissions, generate_blob_sas
from azure.storage.fileshare import FileSasPermissions, generate_file_sas

from batchai_quickstart.storage import Kind
from tests.storage.blob_calls import BLOB_CALLS, SOURCE
from tests.storage.conftest import Service
from tests.storage.file_calls import FILE_CALLS
from tests.storage.twins import FORMS, Row, Scene, public_methods


@pytest.fixture
def sources(service: Service, fresh_name: str) -> Iterator[dict[Kind, str]]:
    """A blob and a file to copy from, with a signature each."""
    name, key = f"from-{fresh_name}", service.account.keys[0]
    expiry = datetime.now(UTC) + timedelta(hours=1)
    of_blob = generate_blob_sas(
        service.account.name, name, "a b.txt", account_key=key,
        permission=BlobSasPermissions(read=True), expiry=expiry,
    )  # fmt: skip
    of_file = generate_file_sas(
        service.account.name, name, ["a b.txt"], key,
        permission=FileSasPermissions(read=True), expiry=expiry,
    )  # fmt: skip
    with service.blobs() as blobs, service.shares() as shares:
        blob = blobs.create_container(name).upload_blob("a b.txt", SOURCE)
        file = shares.create_share(name).get_file_client("a b.txt")
        file.upload_file(SOURCE)
        yield {Kind.BLOB: f"{blob.url}?{of_blob}", Kind.FILE: f"{file.url}?{of_file}"}
        blobs.delete_container(name)
        shares.delete_share(name)


@pytest.mark.filterwarnings("ignore:get_.*ranges.* is deprecated:DeprecationWarning")
@pytest.mark.parametrize("rows", [BLOB_CALLS, FILE_CALLS], ids=["blob", "file"])
@pytest.mark.parametrize("form", FORMS)
def test_every_method_does_what_the_table_says(
    form: str,
    rows: tuple[Row, ...],
    service: Service,
    fresh_name: str,
    sources: dict[Kind, str],
) -> None:
    """Each call of the table works, or is refused with the code beside it."""

    async def walk() -> list[str]:
        return await Scene(service, form, fresh_name, sources).walk(rows)

    wrong = asyncio.run(walk())
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("form", FORMS)
def test_no_method_is_left_out(form: str) -> None:
    """The tables have a row for every public method the clients have, and for no other."""
    assert {row.method for row in (*BLOB_CALLS, *FILE_CALLS)} == public_methods(form)
