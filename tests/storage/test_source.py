"""Which URLs copies come from: addresses of this service in every style, and other servers."""

import hashlib
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import (
    BlobBlock,
    BlobClient,
    BlobServiceClient,
    BlobType,
    ContainerClient,
    PublicAccess,
)
from azure.storage.fileshare import ShareClient, ShareServiceClient

from batchai_quickstart.storage import Kind
from tests.alone import storage_alone
from tests.storage.conftest import Service, code
from tests.storage.sources import Elsewhere, elsewhere, refusal, signed, signed_file


@pytest.fixture
def there() -> Iterator[Elsewhere]:
    """Another server."""
    with elsewhere() as server:
        yield server


@pytest.fixture
def other(service: Service, fresh_name: str) -> Iterator[BlobClient]:
    """A blob of another account of the service."""
    account = service.store.create_account("otherstorage")
    url = f"http://127.0.0.1:{service.port}/{Kind.BLOB}/{account.name}"
    credential = {"account_name": account.name, "account_key": account.keys[0]}
    with BlobServiceClient(url, credential=credential) as blobs:
        yield blobs.create_container(fresh_name).upload_blob("x", b"other", metadata={"a": "b"})
    service.store.delete_account(account.name)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:{port}/blob/{account}",
        "http://localhost:{port}/blob/{account}",
        "http://127.0.0.1:{port}/blob/{account}-secondary",
        "http://{account}.blob.core.windows.net:{port}",
        "http://{account}-secondary.blob.localhost:{port}",
        "HTTP://{account}.BLOB.example:{port}",
        "https://{account}.blob.core.windows.net",
    ],
)
def test_addresses_of_the_service_are_read_directly(
    service: Service, container: ContainerClient, endpoint: str
) -> None:
    """In every style the account's key opens the account's blobs, so no request was made."""
    blob = container.upload_blob("a b/ü%2F+.txt", b"content")
    base = endpoint.format(port=service.port, account=service.account.name)
    copy = container.get_blob_client("copy")
    copy.start_copy_from_url(base + blob.url.removeprefix(service.url(Kind.BLOB)))
    assert copy.download_blob().readall() == b"content"


def test_the_address_a_request_came_to_is_the_service(container: ContainerClient) -> None:
    """Behind a proxy the Host header says where the service is: by host name and by path."""
    blob = container.upload_blob("x", b"content")
    name, account = container.container_name, str(container.account_name).rpartition("/")[2]
    copy = container.get_blob_client("copy")
    for host, source in (
        ("storage.example", f"https://storage.example/blob/{account}/{name}/x"),
        ("storage.example:8443", f"https://storage.example:8443/blob/{account}/{name}/x"),
        ("storage.example", f"https://{account}.blob.storage.example/{name}/x"),
    ):
        blob.set_blob_metadata({"host": host.replace(":", "_")})
        copy.start_copy_from_url(source, headers={"Host": host})
        assert copy.get_blob_properties().metadata == {"host": host.replace(":", "_")}


def test_ports_of_one_service_are_addresses_of_it(tmp_path: Path) -> None:
    """With ports for each service, copies go from any of its ports to any other."""
    options = ("--account", "mystorage", "--blob-port", "0", "--file-port", "0")
    with storage_alone(tmp_path, *options) as running:
        text = running.connection_string("mystorage")
        ports = {each: running.value("mystorage", f"{each} port") for each in ("blob", "file")}
        bare = f"{text.partition(';BlobEndpoint')[0]};BlobEndpoint={ports['blob']}"
        with (
            BlobServiceClient.from_connection_string(bare) as by_port,
            BlobServiceClient.from_connection_string(text) as by_path,
            ShareServiceClient.from_connection_string(
                f"{bare};FileEndpoint={ports['file']}"
            ) as files,
        ):
            by_port.create_container("data")
            blob = by_path.get_blob_client("data", "x")
            blob.upload_blob(b"content")
            copy = by_port.get_blob_client("data", "y")
            copy.start_copy_from_url(blob.url)
            assert copy.download_blob().readall() == b"content"
            by_path.get_blob_client("data", "z").start_copy_from_url(copy.url)
            share = files.create_share("logs")
            file = share.get_file_client("f")
            file.upload_file(b"file")
            share.get_file_client("g").start_copy_from_url(file.url)
            by_path_url = running.value("mystorage", "Files")
            file.start_copy_from_url(f"{by_path_url}/logs/g")
            assert file.download_file().readall() == b"file"


def test_other_accounts_need_a_signature(
    service: Service, container: ContainerClient, share: ShareClient, other: BlobClient
) -> None:
    """Across accounts a key opens nothing; a signature for reading does, and nothing else."""
    copy, file = container.get_blob_client("copy"), share.get_file_client("copy")
    for start in (copy.start_copy_from_url, file.start_copy_from_url):
        assert refusal(start, other.url) == (403, "CannotVerifyCopySource")
        assert refusal(start, signed(service, other, "w")) == (403, "CannotVerifyCopySource")
        assert refusal(start, signed(service, other)[:-8]) == (403, "CannotVerifyCopySource")
        start(signed(service, other))
    assert copy.download_blob().readall() == b"other"
    assert copy.get_blob_properties().metadata == {"a": "b"}
    assert file.download_file().readall() == b"other"


def test_only_copies_that_take_long_on_azure_take_the_key(
    service: Service, container: ContainerClient, share: ShareClient
) -> None:
    """What reads its source at once needs a signature or public access, as on Azure."""
    blob, copy = container.upload_blob("x", b"content"), container.get_blob_client("copy")
    log, file = container.get_blob_client("log"), share.get_file_client("f")
    log.create_append_blob()
    file.create_file(7)
    calls: list[Callable[..., object]] = [
        lambda url: copy.start_copy_from_url(url, requires_sync=True),
        lambda url: copy.upload_blob_from_url(url, overwrite=True),
        lambda url: copy.stage_block_from_url("a", url),
        log.append_block_from_url,
        lambda url: file.upload_range_from_url(url, 0, 7, 0),
    ]
    for call in calls:
        assert refusal(call, blob.url) == (403, "CannotVerifyCopySource")
        call(signed(service, blob))
    container.set_container_access_policy({}, public_access=PublicAccess.BLOB)
    for call in calls:
        call(blob.url)
    assert file.download_file().readall() == b"content"
    container.set_container_access_policy({})


def test_what_is_not_there(
    service: Service, container: ContainerClient, share: ShareClient, other: BlobClient
) -> None:
    """A missing source is 404 with a code that says whose: the account's own, or a source."""
    copy = container.upload_blob("copy", b"old")
    start, none = copy.start_copy_from_url, container.get_blob_client("none")
    assert refusal(start, none.url) == (404, "BlobNotFound")
    assert refusal(start, signed(service, none)) == (404, "CannotVerifyCopySource")
    assert refusal(start, f"{service.url(Kind.BLOB)}/none/x") == (404, "ContainerNotFound")
    assert refusal(start, f"{service.url(Kind.BLOB, '-x')}/none/x") == (
        403,
        "CannotVerifyCopySource",
    )
    assert refusal(start, signed_file(service, share.get_file_client("none"))) == (
        404,
        "CannotVerifyCopySource",
    )
    assert refusal(start, f"{service.url(Kind.BLOB)}/{container.container_name}") == (
        404,
        "BlobNotFound",
    )
    with pytest.raises(HttpResponseError) as refused:
        start(f"{other.url}?sv=2020-02-10&sig=x")
    told = getattr(refused.value.response, "headers", {})
    assert told["x-ms-copy-source-status-code"] == "403"
    assert told["x-ms-copy-source-error-code"] == "AuthenticationFailed"
    assert copy.download_blob().readall() == b"old"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/mystorage/data/x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "http://",
        "http:///x",
        "http://user:password@127.0.0.1/x",
        "http://127.0.0.1:99999/x",
        "http://127.0.0.1:port/x",
        "http://[::1/x",
        "http://127.0.0.1/x#part",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/" + "x" * 2048,
    ],
)
def test_sources_that_are_no_urls(container: ContainerClient, url: str) -> None:
    """What is no absolute http URL of 2 KiB is a wrong header, for blobs."""
    copy = container.get_blob_client("copy")
    header = {"x-ms-copy-source": url}
    assert refusal(copy.upload_blob, b"", headers=header) == (400, "InvalidHeaderValue")
    assert not copy.exists()


def test_another_server(
    service: Service, container: ContainerClient, share: ShareClient, there: Elsewhere
) -> None:
    """Content, content headers, MD5, metadata and ranges come from any HTTP server."""
    content = bytes(range(256)) * 8000
    md5 = hashlib.md5(content, usedforsecurity=False).digest()
    there.content["/x?y=z"] = content
    there.headers = {
        "Content-Type": "text/csv",
        "Content-Encoding": "gzip",
        "Content-MD5": b64encode(md5).decode(),
        "x-ms-meta-job": "one",
        "x-ms-meta-not-a-name": "two",
    }
    url = there.url("/x?y=z")
    copy, file = container.get_blob_client("copy"), share.get_file_client("copy")
    for start in (
        copy.start_copy_from_url,
        lambda url: copy.start_copy_from_url(url, requires_sync=True),
        lambda url: copy.upload_blob_from_url(url, overwrite=True),
        file.start_copy_from_url,
    ):
        start(url)
    blob, settings = copy.get_blob_properties(), copy.get_blob_properties().content_settings
    assert (settings.content_type, settings.content_encoding) == ("text/csv", "gzip")
    assert (settings.content_md5, blob.metadata) == (bytearray(md5), {"job": "one"})
    assert file.get_file_properties().metadata == {"job": "one"}
    assert file.get_file_properties().copy.source == there.url("/x")
    # The client would unpack what is said to be packed.
    for path in (Kind.BLOB, container.container_name), (Kind.FILE, share.share_name):
        kind, name = Kind(path[0]), str(path[1])
        volume = service.store.volume(service.account.name, kind, name)
        assert volume.path.joinpath("copy").read_bytes() == content
    there.headers = {}
    copy.stage_block_from_url("a", url, source_offset=1000, source_length=500)
    copy.commit_block_list([BlobBlock("a")])
    assert copy.download_blob().readall() == content[1000:1500]
    file.upload_range_from_url(url, 5, 500, 1000)
    assert {each.get("accept-encoding") for each in there.asked} == {"identity"}


def test_another_server_with_append_blobs(container: ContainerClient, there: Elsewhere) -> None:
    """A server that says what kind of blob it has is believed; page blobs are refused."""
    there.content["/x"] = b"line\n"
    there.headers = {"x-ms-blob-type": "AppendBlob", "x-ms-blob-committed-block-count": "1"}
    copy = container.get_blob_client("copy")
    copy.start_copy_from_url(there.url("/x"))
    properties = copy.get_blob_properties()
    assert properties.blob_type == BlobType.APPENDBLOB
    assert properties.append_blob_committed_block_count == 1
    there.headers = {"x-ms-blob-type": "PageBlob"}
    assert refusal(copy.start_copy_from_url, there.url("/x")) == (501, "NotImplemented")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (404, (404, "CannotVerifyCopySource")),
        (403, (403, "CannotVerifyCopySource")),
        (401, (403, "CannotVerifyCopySource")),
        (302, (400, "CannotVerifyCopySource")),
        (204, (400, "CannotVerifyCopySource")),
        (304, (412, "SourceConditionNotMet")),
        (412, (412, "SourceConditionNotMet")),
        (416, (416, "InvalidRange")),
    ],
)
def test_what_another_server_refuses(
    container: ContainerClient, there: Elsewhere, found: int, expected: tuple[int, str]
) -> None:
    """Its status is the copy's where it is the client's affair; redirections are not followed."""
    copy = container.upload_blob("copy", b"old")
    there.status["/x"] = found
    there.content["/other"] = b"not asked for"
    assert refusal(copy.start_copy_from_url, there.url("/x")) == expected
    assert len(there.asked) == 1
    assert copy.download_blob().readall() == b"old"


def test_conditions_go_to_another_server(container: ContainerClient, there: Elsewhere) -> None:
    """Conditions every HTTP server knows are sent to it; the others are refused by name."""
    there.content["/x"] = b"content"
    copy = container.get_blob_client("copy")
    copy.start_copy_from_url(
        there.url("/x"),
        source_if_match='"0x1"',
        source_if_unmodified_since=datetime(2020, 1, 1, tzinfo=UTC),
    )
    assert there.asked[0]["if-match"] == '"0x1"'
    assert there.asked[0]["if-unmodified-since"] == "Wed, 01 Jan 2020 00:00:00 GMT"
    for options in (
        {"source_lease": "c4f8a3a0-0f6d-4f60-93ae-4d7a3d1f8f11"},
        {"source_if_tags_match_condition": "a = 'b'"},
    ):
        assert refusal(copy.start_copy_from_url, there.url("/x"), **options) == (
            400,
            "UnsupportedHeader",
        )
    tags = {"requires_sync": True, "tags": "COPY"}
    assert refusal(copy.start_copy_from_url, there.url("/x"), **tags) == (
        403,
        "CannotVerifyCopySource",
    )


def test_bodies_of_another_server_that_are_wrong(
    container: ContainerClient, share: ShareClient, there: Elsewhere
) -> None:
    """One that breaks off, or is not what its MD5 says, leaves the old content in its place."""
    there.content["/x"] = bytes(3_000_000)
    copy, file = container.upload_blob("copy", b"old"), share.get_file_client("copy")
    file.upload_file(b"old")
    for broken, headers, expected in (
        (1000, {}, "CannotVerifyCopySource"),
        (0, {"Content-MD5": "AAAAAAAAAAA="}, "Md5Mismatch"),
    ):
        there.shorter, there.headers = broken, headers
        assert refusal(copy.start_copy_from_url, there.url("/x")) == (400, expected)
        assert refusal(file.start_copy_from_url, there.url("/x")) == (400, expected)
        assert refusal(copy.stage_block_from_url, "a", there.url("/x")) == (400, expected)
    assert copy.download_blob().readall() == b"old"
    assert file.download_file().readall() == b"old"
    assert copy.get_block_list("uncommitted")[1] == []


def _answering(answer: bytes) -> tuple[socket.socket, str]:
    """A server that answers one connection with certain bytes and closes it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    threading.Thread(target=serve).start()
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}/x"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "does not answer"),
        (b"nonsense\r\n\r\n", "does not answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "how long it is"),
        (b"HTTP/1.1 206 OK\r\nContent-Length: 1\r\n\r\nx", "ranges"),
    ],
)
def test_servers_that_do_not_speak_properly(
    container: ContainerClient, answer: bytes, said: str
) -> None:
    """A server that hangs up, talks nonsense or gives no length is told of, at once."""
    listener, url = _answering(answer)
    with listener, pytest.raises(HttpResponseError, match=said) as refused:
        container.get_blob_client("copy").start_copy_from_url(url)
    assert (refused.value.status_code, code(refused)) == (400, "CannotVerifyCopySource")


def test_servers_that_ignore_ranges_or_are_not_there(container: ContainerClient) -> None:
    """A whole file for a part of it is no answer, and neither is none."""
    copy = container.get_blob_client("copy")
    listener, url = _answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
    part = {"source_offset": 1, "source_length": 1}
    with listener:
        assert refusal(copy.stage_block_from_url, "a", url, **part) == (
            400,
            "CannotVerifyCopySource",
        )
    assert refusal(copy.start_copy_from_url, url) == (400, "CannotVerifyCopySource")
    nowhere = "http://no.such.host.invalid/x"
    assert refusal(copy.start_copy_from_url, nowhere) == (400, "CannotVerifyCopySource")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
def test_a_server_that_stalls_holds_nobody_up(tmp_path: Path, answer: bytes) -> None:
    """While a copy waits for another server, others are answered and the service can end."""
    asked, over = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def stall() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
                asked.set()
                over.wait(30)

        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        threading.Thread(target=stall).start()
        with storage_alone(tmp_path) as running:
            text = running.connection_string("mystorage")
            with BlobServiceClient.from_connection_string(text, retry_total=0) as blobs:
                container = blobs.create_container("data")

                def start() -> None:
                    with suppress(AzureError):
                        container.get_blob_client("copy").start_copy_from_url(url)

                copying = threading.Thread(target=start)
                copying.start()
                try:
                    assert asked.wait(10)
                    assert container.upload_blob("other", b"1").exists()
                    assert not container.get_blob_client("copy").exists()
                    begun = time.monotonic()
                    assert running.end() == 0
                    assert time.monotonic() - begun < 10
                finally:
                    over.set()
                    copying.join()


def test_limits_on_what_is_copied(
    service: Service, container: ContainerClient, share: ShareClient, container_path: Path
) -> None:
    """Each way to copy has Azure's limit, and refuses more before it reads any of it."""
    big, copy = container.get_blob_client("big"), container.get_blob_client("copy")
    path = container_path / "big"
    log, file = container.get_blob_client("log"), share.get_file_client("f")
    log.create_append_blob()
    file.create_file(10 << 20)

    def url(size: int) -> str:
        with path.open("wb") as opened:
            opened.truncate(size)
        return signed(service, big)

    def now(url: str) -> object:
        return copy.start_copy_from_url(url, requires_sync=True)

    assert refusal(now, url((256 << 20) + 1)) == (409, "CannotVerifyCopySource")
    assert refusal(copy.upload_blob_from_url, url((5000 << 20) + 1)) == (
        409,
        "CannotVerifyCopySource",
    )
    too_large = (413, "RequestBodyTooLarge")
    assert refusal(copy.stage_block_from_url, "a", url((4000 << 20) + 1)) == too_large
    assert refusal(log.append_block_from_url, url((100 << 20) + 1)) == too_large
    size = (4 << 20) + 1
    assert refusal(file.upload_range_from_url, url(size), 0, size, 0) == too_large
    assert not copy.exists()


def test_a_name_of_the_service_that_it_does_not_know(
    service: Service, container: ContainerClient
) -> None:
    """An address that nobody recognises as the service's own is fetched, many at once, and ends."""
    blob = container.upload_blob("x", bytes(2_000_000))
    source = signed(service, blob)
    unknown = source.replace("127.0.0.1", "[::ffff:127.0.0.1]")
    copies = [container.get_blob_client(f"copy{number}") for number in range(20)]
    failed: list[BaseException] = []

    def start(copy: BlobClient) -> None:
        try:
            copy.start_copy_from_url(unknown)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=start, args=(copy,)) for copy in copies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert failed == []
    assert all(copy.get_blob_properties().size == 2_000_000 for copy in copies)
