"""Signatures: both keys, shared access signatures of every scope, and all ways to be refused."""

import base64
import hmac
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.storage.blob import (
    AccountSasPermissions,
    BlobClient,
    BlobSasPermissions,
    ContainerClient,
    ContainerSasPermissions,
    ResourceTypes,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
)
from azure.storage.fileshare import (
    FileSasPermissions,
    ShareClient,
    ShareFileClient,
    ShareSasPermissions,
    generate_file_sas,
    generate_share_sas,
)

from batchai_quickstart.storage import Kind
from batchai_quickstart.storage.sas import sign_read
from tests.storage.conftest import Service, code

LATER = timedelta(hours=1)
BLOB = "dir/grün & 100%+.txt"


def _now() -> datetime:
    return datetime.now(UTC)


def _sas(service: Service, container: ContainerClient, **changes: Any) -> str:
    options: dict[str, Any] = {
        "permission": BlobSasPermissions(read=True),
        "expiry": _now() + LATER,
        "account_key": service.account.keys[0],
    } | changes
    return generate_blob_sas(service.account.name, str(container.container_name), BLOB, **options)


def _get(container: ContainerClient, query: str, blob: str = BLOB) -> requests.Response:
    url = container.get_blob_client(blob).url
    return requests.get(f"{url}?{query}", timeout=10)


def _code(answer: requests.Response) -> tuple[int, str]:
    assert f"<Code>{answer.headers['x-ms-error-code']}</Code>" in answer.text
    assert answer.headers["x-ms-request-id"] in answer.text
    return answer.status_code, answer.headers["x-ms-error-code"]


@pytest.fixture
def blob(container: ContainerClient) -> BlobClient:
    """A blob whose name needs quoting."""
    return container.upload_blob(BLOB, b"secret")


def test_both_keys_sign(service: Service) -> None:
    """Requests signed with either key are let through, to both services."""
    for key in (0, 1):
        with service.blobs(credential=service.credential(key)) as client:
            list(client.list_containers())
        with service.shares(credential=service.credential(key)) as client:
            list(client.list_shares())


def test_a_wrong_key_is_refused(service: Service) -> None:
    """Another key, even of the right account, gives 403 AuthenticationFailed."""
    wrong = {
        "account_name": service.account.name,
        "account_key": base64.b64encode(os.urandom(64)).decode(),
    }
    with (
        service.blobs(credential=wrong) as client,
        pytest.raises(ClientAuthenticationError) as refused,
    ):
        list(client.list_containers())
    assert (refused.value.status_code, code(refused)) == (403, "AuthenticationFailed")
    with service.shares(credential=wrong) as client, pytest.raises(ClientAuthenticationError):
        client.create_share("refused")


def test_unsigned_requests_are_refused(container: ContainerClient, blob: BlobClient) -> None:
    """Without a signature nothing can be read or written, and a body does not hold things up."""
    with requests.Session() as session:
        assert _code(session.get(blob.url, timeout=10)) == (403, "AuthenticationFailed")
        put = session.put(f"{container.url}/new", data=bytes(3_000_000), timeout=10)
        assert _code(put) == (403, "AuthenticationFailed")
        assert _code(session.get(f"{blob.url}?comp=tags", timeout=10))[0] == 403
    assert not container.get_blob_client("new").exists()


def test_another_account_does_not_exist_for_strangers(service: Service) -> None:
    """An unknown account answers like a wrong signature, and tells nothing more."""
    url = service.url(Kind.BLOB).replace(service.account.name, "another")
    assert _code(requests.get(f"{url}/c/b", timeout=10)) == (403, "AuthenticationFailed")


def _signed(service: Service, path: str, date: datetime, scheme: str) -> requests.Response:
    """A GET signed by hand, as the protocol's documentation has it."""
    stamp = date.strftime("%a, %d %b %Y %H:%M:%S GMT")
    account, url = service.account.name, service.url(Kind.BLOB, path)
    raw_path = url.partition(str(service.port))[2].partition("?")[0]
    empty = "\n" * (10 if scheme == "SharedKey" else 2)
    query = "\ncomp:list\nrestype:container" if scheme == "SharedKey" else "?comp=list"
    text = f"GET\n{empty}\nx-ms-date:{stamp}\nx-ms-version:2021-12-02\n/{account}{raw_path}{query}"
    key = base64.b64decode(service.account.keys[0])
    signature = base64.b64encode(hmac.digest(key, text.encode(), "sha256")).decode()
    headers = {
        "x-ms-date": stamp,
        "x-ms-version": "2021-12-02",
        "Authorization": f"{scheme} {account}:{signature}",
    }
    return requests.get(url, headers=headers, timeout=10)


@pytest.mark.parametrize("scheme", ["SharedKey", "SharedKeyLite"])
def test_a_signature_counts_for_a_quarter_of_an_hour(
    service: Service, container: ContainerClient, scheme: str
) -> None:
    """Signed by hand, a request of now is let through and one of 16 minutes ago is refused."""
    path = f"/{container.container_name}?restype=container&comp=list"
    fresh = _signed(service, path, _now(), scheme)
    assert fresh.ok
    assert fresh.headers["x-ms-version"] == "2021-12-02"
    for minutes in (-16, 16):
        stale = _signed(service, path, _now() + timedelta(minutes=minutes), scheme)
        assert _code(stale) == (403, "AuthenticationFailed")


def test_a_blob_signature_opens_its_blob(
    service: Service, container: ContainerClient, blob: BlobClient
) -> None:
    """A signature of the official package, or of ours, reads the blob, by any HTTP client."""
    ours = sign_read(
        service.account, Kind.BLOB, str(container.container_name), BLOB, expiry=_now() + LATER
    )
    for query in (
        _sas(service, container),
        _sas(service, container, account_key=service.account.keys[1]),
        ours,
    ):
        answer = _get(container, query)
        assert (answer.status_code, answer.content) == (200, b"secret")
        with BlobClient.from_blob_url(f"{blob.url}?{query}") as client:
            assert client.download_blob().readall() == b"secret"


def test_our_signature_is_the_official_one(service: Service, container: ContainerClient) -> None:
    """For the same resource and times our query string holds the official signature."""
    expiry = _now().replace(microsecond=0) + LATER
    for kind in Kind:
        ours = sign_read(service.account, kind, "data", "a/b c.txt", expiry=expiry)
        if kind is Kind.BLOB:
            official = generate_blob_sas(
                service.account.name,
                "data",
                "a/b c.txt",
                account_key=service.account.keys[0],
                permission="r",
                expiry=expiry,
            )
        else:
            official = generate_file_sas(
                service.account.name,
                "data",
                ["a", "b c.txt"],
                service.account.keys[0],
                permission=FileSasPermissions(read=True),
                expiry=expiry,
            )
        version = dict(pair.split("=") for pair in official.split("&"))["sv"]
        mine = dict(pair.split("=") for pair in ours.split("&"))
        assert mine.keys() == {"sv", "se", "sr", "sp", "sig"}
        if version == mine["sv"]:
            assert sorted(ours.split("&")) == sorted(official.split("&"))


def test_a_blob_signature_opens_nothing_else(
    service: Service, container: ContainerClient, blob: BlobClient
) -> None:
    """Another blob, another verb, and what is changed in the query are refused."""
    container.upload_blob("other", b"")
    query = _sas(service, container)
    assert _code(_get(container, query, "other")) == (403, "AuthenticationFailed")
    assert _code(requests.delete(f"{blob.url}?{query}", timeout=10)) == (
        403,
        "AuthorizationPermissionMismatch",
    )
    widened = query.replace("sp=r", "sp=rwd")
    assert _code(requests.delete(f"{blob.url}?{widened}", timeout=10)) == (
        403,
        "AuthenticationFailed",
    )
    longer = query.replace("se=20", "se=21")
    assert _code(_get(container, longer)) == (403, "AuthenticationFailed")
    whole = query.replace("sr=b", "sr=c")
    assert _code(_get(container, whole)) == (403, "AuthenticationFailed")
    assert _code(_get(container, query[:-4])) == (403, "AuthenticationFailed")
    assert _code(_get(container, "sig=x")) == (403, "AuthenticationFailed")


def test_a_signature_counts_between_its_times(
    service: Service, container: ContainerClient, blob: BlobClient
) -> None:
    """Before its start and after its expiry a signature is refused."""
    expired = _sas(service, container, expiry=_now() - timedelta(seconds=2))
    early = _sas(service, container, start=_now() + LATER, expiry=_now() + 2 * LATER)
    begun = _sas(service, container, start=_now() - LATER)
    assert _code(_get(container, expired)) == (403, "AuthenticationFailed")
    assert _code(_get(container, early)) == (403, "AuthenticationFailed")
    assert _get(container, begun).status_code == 200


def test_addresses_and_protocols_of_signatures(
    service: Service, container: ContainerClient, blob: BlobClient
) -> None:
    """A signature for other addresses is refused; https may be http on the loopback."""
    assert _code(_get(container, _sas(service, container, ip="10.0.0.1-10.0.0.9"))) == (
        403,
        "AuthorizationSourceIPMismatch",
    )
    assert _get(container, _sas(service, container, ip="127.0.0.0-127.0.0.9")).ok
    assert _get(container, _sas(service, container, protocol="https")).ok


def test_a_signature_can_set_response_headers(
    service: Service, container: ContainerClient, blob: BlobClient
) -> None:
    """The content type and disposition that a signature names come with the answer."""
    query = _sas(
        service, container, content_type="text/x", content_disposition="attachment; filename=a"
    )
    answer = _get(container, query)
    assert answer.headers["content-type"] == "text/x"
    assert answer.headers["content-disposition"] == "attachment; filename=a"


def test_response_headers_of_a_signature_are_one_header_each(
    service: Service, container: ContainerClient, blob: BlobClient
) -> None:
    """A line break in one is refused; a text that is not Latin goes out as UTF-8."""
    answer = _get(container, _sas(service, container, content_disposition="a\r\nset-cookie: b"))
    assert (answer.status_code, "set-cookie" in answer.headers) == (400, False)
    answer = _get(container, _sas(service, container, content_disposition="a; filename=\u0416"))
    assert answer.headers["content-disposition"].encode("latin-1").decode().endswith("\u0416")


def test_creating_is_not_overwriting(
    service: Service, container: ContainerClient, blob: BlobClient
) -> None:
    """With the permission `create` alone new blobs are made and existing ones stay."""
    only_create = generate_container_sas(
        service.account.name,
        str(container.container_name),
        account_key=service.account.keys[0],
        permission=ContainerSasPermissions(create=True, list=True),
        expiry=_now() + LATER,
    )
    with ContainerClient.from_container_url(f"{container.url}?{only_create}") as client:
        client.upload_blob("new", b"1")
        with pytest.raises(HttpResponseError) as refused:
            client.upload_blob("new", b"2", overwrite=True)
        assert code(refused) == "UnauthorizedBlobOverwrite"
        assert {each.name for each in client.list_blobs()} == {BLOB, "new"}
        with pytest.raises(HttpResponseError):
            client.download_blob("new")
        with pytest.raises(HttpResponseError):
            client.delete_container()


def test_account_signatures_cover_services_types_and_permissions(
    service: Service, container: ContainerClient, blob: BlobClient
) -> None:
    """An account signature reaches what its services, types and permissions say, and no more."""

    def signature(types: ResourceTypes, permission: AccountSasPermissions, **options: Any) -> str:
        return generate_account_sas(
            service.account.name,
            service.account.keys[0],
            types,
            permission,
            _now() + LATER,
            **options,
        )

    read = AccountSasPermissions(read=True)
    objects = signature(ResourceTypes(object=True), read)
    assert _get(container, objects).content == b"secret"
    listing = requests.get(f"{container.url}?restype=container&comp=list&{objects}", timeout=10)
    assert _code(listing) == (403, "AuthorizationResourceTypeMismatch")
    assert _code(requests.delete(f"{blob.url}?{objects}", timeout=10)) == (
        403,
        "AuthorizationPermissionMismatch",
    )
    everything = signature(
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(read=True, write=True, list=True, create=True, delete=True),
    )
    with service.blobs(credential=everything) as client:
        fresh = client.create_container(f"{container.container_name}-2")
        fresh.upload_blob("x", b"1")
        assert fresh.download_blob("x").readall() == b"1"
        fresh.delete_container()
    with (
        service.shares(credential=everything) as shares,
        pytest.raises(HttpResponseError) as refused,
    ):
        list(shares.list_shares())
    assert code(refused) == "AuthorizationServiceMismatch"


def test_file_signatures_open_files_and_shares(service: Service, share: ShareClient) -> None:
    """Signatures for a file and for a share work with the official client and stay in bounds."""
    share.create_directory("d").upload_file("x y.txt", b"data")
    name, key = str(share.share_name), service.account.keys[0]
    expiry = _now() + LATER
    official = generate_file_sas(
        service.account.name,
        name,
        ["d", "x y.txt"],
        key,
        permission=FileSasPermissions(read=True),
        expiry=expiry,
    )
    ours = sign_read(service.account, Kind.FILE, name, "d/x y.txt", expiry=expiry, permissions="rl")
    for query in (official, ours):
        with ShareFileClient(service.url(Kind.FILE), name, "d/x y.txt", credential=query) as file:
            assert file.download_file().readall() == b"data"
            with pytest.raises(HttpResponseError):
                file.delete_file()
        with (
            ShareFileClient(service.url(Kind.FILE), name, "other", credential=query) as other,
            pytest.raises(ClientAuthenticationError),
        ):
            other.download_file()
    whole = generate_share_sas(
        service.account.name,
        name,
        key,
        permission=ShareSasPermissions(read=True, list=True, create=True, write=True),
        expiry=expiry,
    )
    with ShareClient(service.url(Kind.FILE), name, credential=whole) as client:
        client.create_directory("new").upload_file("f", b"1")
        assert {each["name"] for each in client.list_directories_and_files()} == {"d", "new"}
        with pytest.raises(HttpResponseError):
            client.delete_share()


@pytest.mark.parametrize(
    "change",
    [
        lambda headers: headers | {"authorization": "Bearer abc"},
        lambda headers: headers | {"authorization": "SharedKey mystorage"},
        lambda headers: headers | {"authorization": "SharedKey mystorage:é"},
        lambda headers: headers | {"authorization": "SharedKeyLite mystorage:AAAA"},
        lambda headers: headers | {"x-ms-date": "yesterday"},
        lambda headers: headers | {"authorization": "SharedKey other:AAAA"},
    ],
)
def test_malformed_authorization_is_refused(
    blob: BlobClient, change: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    """What is no valid authorization is 401 or 403, never a failure of the service."""
    date = _now().strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = change({"authorization": "SharedKey mystorage:AAAA", "x-ms-date": date})
    answer = requests.get(
        blob.url, headers={k: v.encode("latin-1") for k, v in headers.items()}, timeout=10
    )
    assert _code(answer)[0] in (401, 403)
