"""Our SDK against a Blob service that is not ours: Azurite, from the npm registry."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from batchai_quickstart import BlobContainer, StorageAccount, Synced
from tests.interop.conftest import program

pytestmark = pytest.mark.skipif(shutil.which("azurite-blob") is None, reason="not installed")


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageAccount]:
    """Azurite's account, as its connection string opens it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    root = tmp_path_factory.mktemp("azurite")
    process = subprocess.Popen(
        [program("azurite-blob"), "--silent", "--disableTelemetry", "--location", str(root),
         "--blobHost", "127.0.0.1", "--blobPort", str(port)],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield StorageAccount.from_connection_string(
            f"UseDevelopmentStorage=true;BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1"
        )
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def container(account: StorageAccount) -> Iterator[BlobContainer]:
    """A container, not created yet."""
    made = account.container("data")
    yield made
    made.delete()


def test_a_tree_goes_and_comes(container: BlobContainer, tree: Path, tmp_path: Path) -> None:
    """Batches, walks, lists, single files, links and synchronisation are the same there."""
    names = ["a.txt", "big.bin", "deep/b c.txt", "deep/er/grün+%.txt"]
    assert sorted(container.upload_batch(tree, destination="t")) == [f"t/{each}" for each in names]
    assert [each.name for each in container.walk("t")] == [f"t/{each}" for each in names]
    assert [each.name for each in container.list("t")] == ["t/a.txt", "t/big.bin", "t/deep"]
    assert container.sync(tree, "t") == Synced((), tuple(names), ())
    container.download_batch(tmp_path / "back", source="t")
    assert container.sync(tmp_path / "back", "t", direction="down") == Synced((), tuple(names), ())
    for name in names:
        assert (tmp_path / "back" / name).read_bytes() == (tree / name).read_bytes()
    link = container.url("t/deep/er/grün+%.txt")
    assert requests.get(link, timeout=10).text == "gamma\n"
    (tree / "a.txt").unlink()
    assert container.sync(tree, "t", delete=True).deleted == ("a.txt",)


def test_a_broken_upload_goes_on(container: BlobContainer, tmp_path: Path) -> None:
    """Blocks that arrived are not sent again, and until the end there is no blob."""
    (tmp_path / "big").write_bytes(bytes(range(256)) * (32 << 12))

    def give_up(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        container.upload(tmp_path / "big", progress=give_up, max_workers=1)
    assert container.list() == []
    container.upload(tmp_path / "big")
    assert container.upload(tmp_path / "big", skip_unchanged=True) == "big"
    assert container.download("big", tmp_path / "b").read_bytes() == (tmp_path / "big").read_bytes()
