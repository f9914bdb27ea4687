"""Transfers over connections that break, and with services and files that change meanwhile."""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from azure.storage.blob import BlobClient, ContentSettings

from batchai_quickstart import (
    BlobContainer,
    ConfigurationError,
    FileShare,
    InvalidRequestError,
    ServiceError,
    StorageAccount,
    ThrottledError,
    TransferError,
)

from .wires import Proxy, service_saying

Volume = FileShare | BlobContainer

MIB = 1 << 20
KEY = "a2V5"


@pytest.fixture
def proxy(account: StorageAccount) -> Iterator[Proxy]:
    """A proxy before the live service."""
    port = urlsplit(account.blob_endpoint).port
    assert port is not None
    made = Proxy(port)
    yield made
    made.close()


@pytest.fixture
def through(proxy: Proxy, account: StorageAccount, volume: Volume) -> Volume:
    """The volume as it is reached through the proxy."""
    here = {
        "blob_endpoint": f"http://127.0.0.1:{proxy.port}/blob/{account.name}",
        "file_endpoint": f"http://127.0.0.1:{proxy.port}/file/{account.name}",
    }
    opened = StorageAccount.open(account.name, key=account.key, **here)
    volume.create()
    is_share = isinstance(volume, FileShare)
    return opened.share(volume.name) if is_share else opened.container(volume.name)


def content(size: int) -> bytes:
    """Bytes that no two parts have in common."""
    return random.Random(7).randbytes(size)


def test_upload_goes_on_where_it_broke_off(
    volume: Volume, through: Volume, proxy: Proxy, tmp_path: Path, sleeps: list[float]
) -> None:
    """A second upload sends what is missing only; until it is whole nobody sees the file."""
    local = tmp_path / "big"
    local.write_bytes(content(48 * MIB))
    proxy.budget = 40 * MIB
    with pytest.raises(ServiceError, match=r"cannot reach|broke off"):
        through.upload(local, "d/", max_workers=2)
    assert sleeps, "it was tried again before it was given up"
    assert [e.name for e in volume.walk() if e.name.endswith("big")] == []
    proxy.budget, before = None, proxy.passed["up"]
    through.upload(local, "d/", max_workers=2)
    sent = proxy.passed["up"] - before
    # Of a share only whole stretches are known to have arrived.
    assert sent < (33 if isinstance(volume, FileShare) else 18) * MIB
    assert volume.download("d/big", tmp_path / "back").read_bytes() == local.read_bytes()
    assert [e.name for e in volume.walk() if not e.is_directory] == ["d/big"]


def test_changed_file_is_not_mixed_with_what_is_there(
    volume: Volume, through: Volume, proxy: Proxy, tmp_path: Path, sleeps: list[float]
) -> None:
    """What an upload of an older state left behind is no part of the new one."""
    local = tmp_path / "big"
    local.write_bytes(content(20 * MIB))
    proxy.budget = 10 * MIB
    with pytest.raises(ServiceError):
        through.upload(local)
    proxy.budget = None
    changed = local.read_bytes()[::-1]
    local.write_bytes(changed)
    through.upload(local)
    assert volume.download("big", tmp_path / "back").read_bytes() == changed


@pytest.mark.parametrize("way", ["up", "down"])
def test_connections_that_break_are_taken_up_again(
    way: str, through: Volume, proxy: Proxy, tmp_path: Path, sleeps: list[float]
) -> None:
    """Single breaks cost the rest of a part at most, and no error."""
    local = tmp_path / "f"
    local.write_bytes(content(20 * MIB))
    if way == "up":
        proxy.cuts.extend([("up", 3 * MIB), ("up", 1000), ("down", 50)])
        through.upload(local, max_workers=2)
    else:
        through.upload(local)
        through.account.rest.close()
        proxy.cuts.extend([("down", 3 * MIB), ("down", 7 * MIB), ("down", 100)])
        before = proxy.passed["down"]
    back = through.download("f", tmp_path / "back", max_workers=1)
    assert back.read_bytes() == local.read_bytes()
    assert sleeps
    assert not proxy.cuts
    if way == "down":
        assert proxy.passed["down"] - before < 22 * MIB
    assert sorted(p.name for p in tmp_path.iterdir()) == ["back", "f"]


def test_lost_answers_are_not_errors(
    volume: Volume, through: Volume, proxy: Proxy, tmp_path: Path, sleeps: list[float]
) -> None:
    """A deletion whose answer was lost is asked for again, and has happened."""
    (tmp_path / "f").write_text("x")
    volume.upload(tmp_path / "f")
    proxy.cuts.append(("down", 0))
    through.delete_file("f")
    assert volume.list() == []
    assert sleeps == [0.2]


def test_file_that_changes_during_upload_is_noticed(volume: Volume, tmp_path: Path) -> None:
    """The stored file stays what it was; nobody gets a mixture of two states."""
    local = tmp_path / "f"
    local.write_bytes(b"old")
    volume.upload(local)
    local.write_bytes(content(12 * MIB))

    def write(done: int, total: int) -> None:
        os.utime(local, ns=(1, done))

    with pytest.raises(TransferError, match="was changed while it was uploaded"):
        volume.upload(local, progress=write)
    with local.open("r+b") as file:

        def cut(done: int, total: int) -> None:
            file.truncate(5 * MIB)

        with pytest.raises(TransferError, match="was changed while it was uploaded"):
            volume.upload(local, progress=cut, max_workers=1)
    assert volume.download("f", tmp_path / "back").read_bytes() == b"old"


def test_file_that_changes_during_download_is_noticed(volume: Volume, tmp_path: Path) -> None:
    """All ranges are of one version; nothing is kept of two."""
    local = tmp_path / "f"
    local.write_bytes(content(20 * MIB))
    volume.upload(local)
    other = tmp_path / "other"
    other.write_bytes(b"o" * 20 * MIB)
    changed: list[str] = []

    def change(done: int, total: int) -> None:
        if not changed:
            changed.append(volume.upload(other, "f"))

    with pytest.raises(TransferError, match="was changed while it was downloaded"):
        volume.download("f", tmp_path / "back", progress=change, max_workers=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f", "other"]


def test_damage_is_noticed(account: StorageAccount, tmp_path: Path) -> None:
    """What does not have the MD5 that was stored with it is not kept."""
    volume = account.container("damaged")
    (tmp_path / "f").write_bytes(content(MIB))
    volume.upload(tmp_path / "f")
    with BlobClient.from_blob_url(volume.url("f", permissions="rw")) as blob:
        blob.set_http_headers(ContentSettings(content_md5=bytearray(16)))
    with pytest.raises(TransferError, match="MD5"):
        volume.download("f", tmp_path / "back")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f"]
    volume.delete()


def test_blocks_that_others_left_behind_do_no_harm(account: StorageAccount, tmp_path: Path) -> None:
    """Uncommitted blocks of another client, with ids of another length, are in nobody's way."""
    volume = account.container("blocks").create()
    with BlobClient.from_blob_url(volume.url("big", permissions="rcw")) as blob:
        blob.stage_block("another-clients-block-id-0001", b"x" * 1000)
    (tmp_path / "big").write_bytes(content(9 * MIB))
    volume.upload(tmp_path / "big")
    back = volume.download("big", tmp_path / "back")
    assert back.read_bytes() == (tmp_path / "big").read_bytes()
    volume.delete()


def test_pauses_are_those_the_service_asks_for(sleeps: list[float], tmp_path: Path) -> None:
    """429 and 503 are asked again, after the time they name; in the end they are the answer."""
    asked: list[str] = []

    def answers(method: str, path: str, headers: Message) -> tuple[int, dict[str, str], bytes]:
        asked.append(method)
        status, wait = ((503, "7"), (429, "3"), (500, ""))[min(len(asked), 3) - 1]
        told = {"Retry-After": wait} if wait else {}
        return (status, told, b"") if len(asked) < 4 else (201, {}, b"")

    (tmp_path / "f").write_text("x")
    with service_saying(answers) as port:
        url = f"http://127.0.0.1:{port}/a"
        account = StorageAccount.open("a", key=KEY, blob_endpoint=url, file_endpoint=url)
        account.container("c").upload(tmp_path / "f")
        assert sleeps == [7.0, 3.0, 0.8]
        assert asked == ["PUT"] * 4
        asked.clear()
    with service_saying(lambda *asked: (429, {"x-ms-error-code": "ServerBusy"}, b"")) as port:
        url = f"http://127.0.0.1:{port}/a"
        account = StorageAccount.open("a", key=KEY, blob_endpoint=url, file_endpoint=url)
        with pytest.raises(ThrottledError) as caught:
            account.container("c").list()
        assert caught.value.code == "ServerBusy"


def test_tokens_are_sent_as_both_services_want_them(tmp_path: Path) -> None:
    """A token credential signs each request; Files wants to know what the token is for."""

    @dataclass(frozen=True)
    class Token:
        token: str = "t0"
        scopes: list[str] = field(default_factory=list)

        def get_token(self, *scopes: str) -> "Token":
            self.scopes.extend(scopes)
            return self

    seen: list[tuple[str | None, str | None]] = []

    def answers(method: str, path: str, headers: Message) -> tuple[int, dict[str, str], bytes]:
        assert "sig=" not in path
        seen.append((headers["Authorization"], headers["x-ms-file-request-intent"]))
        return 201, {}, b""

    credential = Token()
    with service_saying(answers) as port:
        url = f"http://127.0.0.1:{port}/a"
        account = StorageAccount.open(
            "a", credential=credential, blob_endpoint=url, file_endpoint=url
        )
        account.container("c").create()
        account.share("s").create()
        with pytest.raises(ConfigurationError, match="opened without it"):
            account.container("c").url()
    assert seen == [("Bearer t0", None), ("Bearer t0", "backup")]
    assert set(credential.scopes) == {"https://storage.azure.com/.default"}


@pytest.mark.parametrize(
    "name", ["../escaped", "a/../../escaped", "/escaped", "a//b", "..", "a\\..\\b", "./x"]
)
@pytest.mark.parametrize("kind", ["container", "share"])
def test_hostile_listings_write_nowhere(name: str, kind: str, tmp_path: Path) -> None:
    """A name in a listing that leads out of the destination is refused before anything is read."""
    facts = "<Properties><Content-Length>3</Content-Length></Properties>"
    item = f"<Name>{name}</Name>{facts}"
    body = (
        f"<EnumerationResults><Blobs><Blob>{item}</Blob></Blobs></EnumerationResults>"
        if kind == "container"
        else f"<EnumerationResults><Entries><File>{item}</File></Entries></EnumerationResults>"
    )

    def answers(method: str, path: str, headers: Message) -> tuple[int, dict[str, str], bytes]:
        if "comp=list" in path:
            return 200, {"Content-Type": "application/xml"}, body.encode()
        return 206, {"Content-Range": "bytes 0-2/3", "ETag": '"1"'}, b"bad"

    home = tmp_path / "x" / "y"
    with service_saying(answers) as port:
        url = f"http://127.0.0.1:{port}/a"
        account = StorageAccount.open("a", key=KEY, blob_endpoint=url, file_endpoint=url)
        volume: Volume = account.container("c") if kind == "container" else account.share("s")
        with pytest.raises(TransferError, match="no place below"):
            volume.download_batch(home)
        with pytest.raises(TransferError, match="no place below"):
            volume.sync(home, direction="down", delete=True)
    assert list(tmp_path.iterdir()) == []


def test_batch_ends_with_its_first_failure(volume: Volume, tmp_path: Path) -> None:
    """One file that fails ends the batch with its error, and files that are whole stay."""
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    for index in range(30):
        (tree / f"f{index:02}").write_text("x")
    bad = b"\xff\xfe.txt".decode("utf-8", "surrogateescape")
    (tree / bad).write_text("x")
    with pytest.raises(InvalidRequestError, match="not Unicode"):
        volume.upload_batch(tree, max_workers=4)
    volume.create()
    for entry in volume.walk():
        assert entry.is_directory or entry.size == 1
