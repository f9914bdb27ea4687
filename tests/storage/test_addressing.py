"""Addresses of every style, the services that are not here, and versions of the protocol."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import (
    AccountSasPermissions,
    BlobServiceClient,
    ContainerClient,
    ResourceTypes,
    generate_account_sas,
)
from azure.storage.fileshare import ShareClient, ShareServiceClient

from batchai_quickstart.storage import Kind, account_in_host
from batchai_quickstart.storage.addresses import Address, ForeignServiceError, address
from batchai_quickstart.storage.protocol import VERSION, StorageError
from tests.storage.conftest import Service, code


class _Resolver(requests.adapters.HTTPAdapter):
    """Connects to the tests' service whatever a URL's host is; the Host header stays."""

    def __init__(self, port: int) -> None:
        self._port = port
        super().__init__()

    def send(
        self, request: requests.PreparedRequest, *arguments: Any, **options: Any
    ) -> requests.Response:
        assert request.url is not None
        host, path = request.url.split("/", 3)[2:]
        request.headers["Host"] = host
        request.url = f"http://127.0.0.1:{self._port}/{path}"
        return super().send(request, *arguments, **options)


def _resolved(service: Service) -> RequestsTransport:
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Resolver(service.port))
    return RequestsTransport(session=session, session_owner=False)


def _account_sas(service: Service) -> str:
    return generate_account_sas(
        service.account.name,
        service.account.keys[0],
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(read=True, write=True, list=True, create=True, delete=True),
        datetime.now(UTC) + timedelta(hours=1),
    )


@pytest.mark.parametrize("suffix", ["core.windows.net", "core.chinacloudapi.cn", "my.test", "lan"])
def test_connection_strings_without_endpoints_go_by_host_name(
    service: Service, container: ContainerClient, suffix: str
) -> None:
    """`DefaultEndpointsProtocol` and `EndpointSuffix` lead both clients to their service."""
    name = str(container.container_name)
    text = (
        f"DefaultEndpointsProtocol=http;AccountName={service.account.name};"
        f"AccountKey={service.account.keys[1]};EndpointSuffix={suffix}"
    )
    transport = _resolved(service)
    with BlobServiceClient.from_connection_string(text, transport=transport) as blobs:
        blobs.get_blob_client(name, "a/grün %2F.txt").upload_blob(b"1", overwrite=True)
        assert blobs.get_container_client(name).get_blob_client("a/grün %2F.txt").exists()
    with ShareServiceClient.from_connection_string(text, transport=_resolved(service)) as shares:
        assert [each.name for each in shares.list_shares(name_starts_with="none")] == []


def test_connection_strings_may_hold_a_signature(
    service: Service, container: ContainerClient
) -> None:
    """`SharedAccessSignature` with endpoints is enough, in path style and by host name."""
    name, sas = str(container.container_name), _account_sas(service)
    for endpoint, options in (
        (service.url(Kind.BLOB), {}),
        (
            f"https://{service.account.name}.blob.core.windows.net",
            {"transport": _resolved(service)},
        ),
    ):
        text = f"BlobEndpoint={endpoint};SharedAccessSignature={sas}"
        with BlobServiceClient.from_connection_string(text, **options) as blobs:
            blobs.get_blob_client(name, "x").upload_blob(b"1", overwrite=True)
            assert blobs.get_blob_client(name, "x").download_blob().readall() == b"1"


def test_both_styles_are_the_same_place(service: Service, share: ShareClient) -> None:
    """What is written by path is read by host name, in any case and with any port."""
    share.get_file_client("f.txt").upload_file(b"one place")
    sas = _account_sas(service).replace("ss=b", "ss=bf")
    assert requests.get(f"{share.url}/f.txt?{sas}", timeout=10).status_code == 403
    key = service.credential()
    for host in ("{}.file.core.windows.net", "{}.FILE.Example:8080", "{}-secondary.file.x"):
        url = f"http://{host.format(service.account.name)}"
        with ShareServiceClient(url, credential=key, transport=_resolved(service)) as shares:
            file = shares.get_share_client(str(share.share_name)).get_file_client("f.txt")
            assert file.download_file().readall() == b"one place"


def test_the_second_address_is_read_only(service: Service, container: ContainerClient) -> None:
    """`ACCOUNT-secondary` reads what the account holds, and refuses to write."""
    container.upload_blob("x", b"1")
    name = str(container.container_name)
    secondary = f"127.0.0.1:{service.port}/blob/{service.account.name}-secondary"
    with service.blobs(secondary_hostname=secondary, _location_mode="secondary") as client:
        assert client.get_blob_client(name, "x").download_blob().readall() == b"1"
        with pytest.raises(HttpResponseError) as refused:
            client.get_blob_client(name, "y").upload_blob(b"1")
        assert code(refused) == "InsufficientAccountPermissions"


@pytest.mark.parametrize(
    ("host", "account"),
    [
        ("mystorage.blob.core.windows.net", "mystorage"),
        ("MyStorage.Blob.core.windows.net:443", "mystorage"),
        ("abc.file.localhost:8080", "abc"),
        ("abc-secondary.blob.core.windows.net", "abc"),
        ("abc-dualstack.blob.core.windows.net", "abc"),
        ("abc.queue.core.windows.net", "abc"),
        ("127.0.0.1:80", ""),
        ("[::1]:8080", ""),
        ("[2001:db8::blob.file]", ""),
        ("localhost", ""),
        ("management.azure.com", ""),
        ("blob.core.windows.net", ""),
        ("abc.blob", ""),
        ("ab.blob.example", ""),
        ("a.b.c.blob.example", ""),
        ("abc.blob.example/x", ""),
        ("", ""),
    ],
)
def test_hosts_name_accounts(host: str, account: str) -> None:
    """`ACCOUNT.blob.SUFFIX` and its like name an account; every other host names none."""
    assert account_in_host(host) == account


def test_addresses_are_taken_apart() -> None:
    """Each style gives service, account, volume and decoded path."""
    by_path = address("localhost:1", "/file/abc/s/a%20b/c")
    assert by_path == Address(Kind.FILE, "abc", "s", "a b/c")
    assert address("abc.file.x", "/s/a%20b/c") == by_path
    assert address("localhost:10003", "/abc/s/a%20b/c", Kind.FILE) == by_path
    assert address("[::1]:1", "/blob/abc") == Address(Kind.BLOB, "abc", "", "")
    assert address("[::1]:1", "/abc", Kind.BLOB) == Address(Kind.BLOB, "abc", "", "")
    for path, kind in (("/", None), ("/blob", None), ("/abc/c", None), ("/", Kind.BLOB)):
        with pytest.raises(StorageError, match="is not below"):
            address("localhost", path, kind)
    for host, path in (("abc.table.x", "/"), ("localhost", "/queue/abc/q")):
        with pytest.raises(ForeignServiceError):
            address(host, path)


def _foreign(service: Service, kind: str, host: bool) -> requests.Response:
    origin = f"http://127.0.0.1:{service.port}"
    if host:
        headers = {"Host": f"{service.account.name}.{kind}.core.windows.net"}
        return requests.get(f"{origin}/things", headers=headers, timeout=10)
    return requests.get(f"{origin}/{kind}/{service.account.name}/things", timeout=10)


@pytest.mark.parametrize("host", [False, True], ids=["path", "host"])
def test_queue_is_refused_by_name(service: Service, host: bool) -> None:
    """Queue answers 501 in XML, and names itself."""
    answer = _foreign(service, "queue", host)
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (501, "NotImplemented")
    assert answer.headers["content-type"] == "application/xml"
    assert "<Error><Code>NotImplemented</Code><Message>" in answer.text
    assert "Queue storage" in answer.text


@pytest.mark.parametrize("host", [False, True], ids=["path", "host"])
def test_table_and_data_lake_are_refused_by_name(service: Service, host: bool) -> None:
    """Table answers 501 in OData's JSON and Data Lake in its own, and they name themselves."""
    answer = _foreign(service, "table", host)
    error = answer.json()["odata.error"]
    assert (answer.status_code, error["code"]) == (501, "NotImplemented")
    assert "Table storage" in error["message"]["value"]
    error = json.loads(_foreign(service, "dfs", host).content)["error"]
    assert error["code"] == "NotImplemented"
    assert "Data Lake storage" in error["message"]


def _versioned(service: Service, container: ContainerClient, **headers: str) -> requests.Response:
    query = f"restype=container&comp=list&{_account_sas(service)}"
    return requests.get(f"{container.url}?{query}", headers=headers, timeout=10)


def _ahead(days: int) -> str:
    return (date.today() + timedelta(days=days)).isoformat()


def test_versions_up_to_todays_are_echoed(service: Service, container: ContainerClient) -> None:
    """The answer names the version of the request: the header's, else the signature's."""
    for version in ("2015-02-21", "2021-12-02", VERSION, _ahead(0), _ahead(300)):
        answer = _versioned(service, container, **{"x-ms-version": version})
        assert (answer.status_code, answer.headers["x-ms-version"]) == (200, version)
    answer = _versioned(service, container)
    assert f"sv={answer.headers['x-ms-version']}" in _account_sas(service)
    assert requests.get(container.url, timeout=10).headers["x-ms-version"] == VERSION


@pytest.mark.parametrize(
    "version", ["", "latest", "2021-13-01", "20211202", "2021-W01-1", "2009-01-01", "9999-12-31"]
)
def test_what_is_no_version_is_refused(
    service: Service, container: ContainerClient, version: str
) -> None:
    """A malformed, forgotten or absurd version is an invalid header, and is not echoed."""
    answer = _versioned(service, container, **{"x-ms-version": version})
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "InvalidHeaderValue")
    assert answer.headers["x-ms-version"] == VERSION


def test_files_asks_signed_requests_for_a_version(service: Service) -> None:
    """Files answers a signed request without a version as one that misses a header."""
    headers: Mapping[str, str] = {"Authorization": "SharedKey a:b"}
    answer = requests.get(f"{service.url(Kind.FILE)}?comp=list", headers=headers, timeout=10)
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "MissingRequiredHeader")
