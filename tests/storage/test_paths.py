"""No request and no link of a job leads out of a volume."""

import http.client
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import (
    AccountSasPermissions,
    ContainerClient,
    ResourceTypes,
    Services,
    generate_account_sas,
)
from azure.storage.fileshare import ShareClient

from batchai_quickstart.errors import ForbiddenError, InvalidRequestError
from batchai_quickstart.storage import Kind, Store
from tests.storage.conftest import Service

HOSTILE = [
    "../../../storage.db",
    "..%2f..%2f..%2fstorage.db",
    "%2e%2e/%2e%2e/%2e%2e/storage.db",
    "a/../../other/secret",
    "./x",
    "%00",
    "a%00b",
    "a%0ab",
    "x" * 300,
    "a/" + "y" * 256,
    "/".join(["z" * 200] * 30),
]


def _everything(service: Service) -> str:
    return generate_account_sas(
        service.account.name,
        service.account.keys[0],
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(read=True, write=True, list=True, create=True, delete=True),
        datetime.now(UTC) + timedelta(hours=1),
        services=Services(blob=True, fileshare=True),
    )


@pytest.mark.parametrize("path", HOSTILE)
def test_hostile_paths_are_4xx_and_change_nothing(
    service: Service, container: ContainerClient, share: ShareClient, path: str
) -> None:
    """Paths that climb, or hold NUL, are refused for every verb and service."""
    root = service.store.root
    before = sorted(root.rglob("*"))
    query = _everything(service)
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    for kind, volume in ((Kind.BLOB, container.container_name), (Kind.FILE, share.share_name)):
        target = f"/{kind}/{service.account.name}/{volume}/{path}?{query}"
        for method, headers, body in (
            ("GET", {}, b""),
            (
                "PUT",
                {"x-ms-blob-type": "BlockBlob", "x-ms-type": "file", "x-ms-content-length": "1"},
                b"",
            ),
            ("DELETE", {}, b""),
        ):
            connection.request(method, target, body=body, headers=headers)
            answer = connection.getresponse()
            answer.read()
            assert 400 <= answer.status < 500, (method, target, answer.status)
    connection.close()
    assert [each for each in sorted(root.rglob("*")) if each.suffix != ".db-wal"] == [
        each for each in before if each.suffix != ".db-wal"
    ]


def test_links_out_of_a_container_lead_nowhere(
    container: ContainerClient, container_path: Path, tmp_path: Path
) -> None:
    """Links that a job makes to the outside are not listed, read, written or followed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.joinpath("secret").write_bytes(b"secret")
    container_path.joinpath("file").symlink_to(outside / "secret")
    container_path.joinpath("dir").symlink_to(outside)
    container_path.joinpath("up").symlink_to("../../..")
    assert list(container.list_blobs()) == []
    assert [each.name for each in container.walk_blobs()] == []
    for name in ("file", "dir/secret", "up/mystorage"):
        with pytest.raises(ResourceNotFoundError):
            container.download_blob(name)
        assert not container.get_blob_client(name).exists()
    with pytest.raises(HttpResponseError):
        container.upload_blob("dir/new", b"1")
    with pytest.raises(HttpResponseError):
        container.upload_blob("dir/deeper/new", b"1")
    with pytest.raises(ResourceNotFoundError):
        container.delete_blob("dir/secret")
    container.upload_blob("file", b"mine", overwrite=True)
    assert outside.joinpath("secret").read_bytes() == b"secret"
    assert os.listdir(outside) == ["secret"]  # noqa: PTH208
    assert container_path.joinpath("file").read_bytes() == b"mine"


def test_links_out_of_a_share_lead_nowhere(
    share: ShareClient, share_path: Path, tmp_path: Path
) -> None:
    """The same for files: no range is written through a link, no directory made behind one."""
    tmp_path.joinpath("secret").write_bytes(b"secret")
    share_path.joinpath("file").symlink_to(tmp_path / "secret")
    share_path.joinpath("dir").symlink_to(tmp_path)
    assert list(share.list_directories_and_files()) == []
    for call in (
        lambda: share.get_file_client("file").upload_range(b"X", 0, 1),
        lambda: share.get_file_client("dir/secret").upload_range(b"X", 0, 1),
        lambda: share.get_file_client("dir/new").upload_file(b"1"),
        lambda: share.create_directory("dir/new"),
        lambda: share.delete_directory("dir/new"),
        lambda: list(share.list_directories_and_files("dir")),
        lambda: share.get_file_client("dir/secret").resize_file(0),
    ):
        with pytest.raises(HttpResponseError) as refused:
            call()
        assert 400 <= int(refused.value.status_code or 0) < 500
    assert tmp_path.joinpath("secret").read_bytes() == b"secret"
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]


def test_links_inside_a_volume_work(container: ContainerClient, container_path: Path) -> None:
    """A link to a file or directory of the same container is followed, absolute or not."""
    container.upload_blob("real/x", b"data")
    container_path.joinpath("latest").symlink_to("real")
    container_path.joinpath("absolute").symlink_to(container_path / "real" / "x")
    assert container.download_blob("latest/x").readall() == b"data"
    assert container.download_blob("absolute").readall() == b"data"
    container.upload_blob("latest/y", b"more")
    assert container_path.joinpath("real", "y").read_bytes() == b"more"
    assert {each.name for each in container.list_blobs()} == {"absolute", "real/x", "real/y"}


def test_loops_of_links_end(container: ContainerClient, container_path: Path) -> None:
    """Links in a circle neither hang a listing nor a read."""
    container_path.joinpath("loop").symlink_to("loop")
    container_path.joinpath("self").symlink_to(".")
    container.upload_blob("x", b"")
    assert [each.name for each in container.list_blobs()] == ["x"]
    with pytest.raises(HttpResponseError) as refused:
        container.download_blob("loop")
    assert refused.value.status_code == 404


def test_pipes_do_not_hang_a_reader(container: ContainerClient, container_path: Path) -> None:
    """A FIFO that a job made is no blob."""
    os.mkfifo(container_path / "pipe")
    with pytest.raises(ResourceNotFoundError):
        container.download_blob("pipe")
    assert list(container.list_blobs()) == []


def test_names_that_are_not_text_survive(container: ContainerClient, container_path: Path) -> None:
    """A job's file whose name is not UTF-8 is listed and does not break the listing."""
    path = os.fsencode(container_path) + b"/bad\xff.bin"
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(b"12")
    container_path.joinpath("bell\a").write_bytes(b"")
    found = {each.name: each.size for each in container.list_blobs()}
    assert 2 in found.values()
    assert "bell\a" in found


def test_resolve_never_leaves_the_volume(tmp_path: Path) -> None:
    """`Volume.resolve` gives paths inside, of what exists or not, and refuses everything else."""
    store = Store(tmp_path / "root")
    try:
        store.create_account("mystorage")
        volume = store.create_volume("mystorage", Kind.FILE, "logs")
        volume.path.joinpath("out").symlink_to(tmp_path)
        volume.path.joinpath("in").symlink_to(volume.path / "real")
        assert volume.resolve("a/b/c") == volume.path / "a" / "b" / "c"
        assert volume.resolve("") == volume.resolve(".") == volume.path
        assert volume.resolve("in/x") == volume.path / "real" / "x"
        for relative in ("..", "a/../..", "/etc", "a\0b", "a//b", "a/./b"):
            with pytest.raises(InvalidRequestError):
                volume.resolve(relative)
        for relative in ("out", "out/x", "out/../x".replace("/..", "")):
            with pytest.raises(ForbiddenError):
                volume.resolve(relative)
    finally:
        store.close()
