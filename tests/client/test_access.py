"""How accounts are reached: connection strings, and the signatures that links carry."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from azure.storage.blob import (
    AccountSasPermissions,
    BlobServiceClient,
    ResourceTypes,
    Services,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
)
from azure.storage.fileshare import generate_file_sas, generate_share_sas

from batchai_quickstart import ConfigurationError, StorageAccount
from batchai_quickstart.client import sas
from batchai_quickstart.client.access import Service

KEY = "a2V5"
EXPIRY = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "blob", "file"),
    [
        (
            "AccountName=acct;AccountKey=a2V5;EndpointSuffix=core.windows.net",
            "https://acct.blob.core.windows.net",
            "https://acct.file.core.windows.net",
        ),
        (
            "accountname=acct; accountkey=a2V5; endpointsuffix=core.chinacloudapi.cn;",
            "https://acct.blob.core.chinacloudapi.cn",
            "https://acct.file.core.chinacloudapi.cn",
        ),
        (
            "BlobEndpoint=http://h/b/acct/;FileEndpoint=http://h/f/acct;SharedAccessSignature=?sig=a",
            "http://h/b/acct",
            "http://h/f/acct",
        ),
        (
            "UseDevelopmentStorage=true",
            "http://127.0.0.1:10000/devstoreaccount1",
            "http://127.0.0.1:10003/devstoreaccount1",
        ),
    ],
)
def test_connection_strings_of_every_form(text: str, blob: str, file: str) -> None:
    """Key or signature, a suffix or endpoints, names in any case, spaces: all forms are read."""
    account = StorageAccount.from_connection_string(text)
    assert (account.blob_endpoint, account.file_endpoint) == (blob, file)
    assert account.name == ("devstoreaccount1" if "Development" in text else "acct")
    again = StorageAccount.from_connection_string(account.connection_string)
    assert again == account


def test_connection_string_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without text the variable of Azure's own tools is read."""
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING", raising=False)
    with pytest.raises(ConfigurationError, match="is not set"):
        StorageAccount.from_connection_string()
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "AccountName=env;AccountKey=a2V5")
    assert StorageAccount.from_connection_string().name == "env"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("AccountName=a;AccountKey", "no equals sign"),
        ("AccountName=a", "this one has AccountName"),
        ("AccountName=a;AccountKey=secret!", "not base64"),
        ("AccountName=a;AccountKey=a2V5;BlobEndpoint=here", "is no URL"),
    ],
)
def test_what_is_none_is_told_without_secrets(text: str, told: str) -> None:
    """What is wrong is said; values, which may be keys, are not repeated."""
    with pytest.raises(ConfigurationError, match=told) as caught:
        StorageAccount.from_connection_string(text)
    assert "secret!" not in str(caught.value)


def test_exactly_one_credential() -> None:
    """An account is opened by a key, a signature or a token: by one of them."""
    none: dict[str, str] = {}
    for options in (none, {"key": KEY, "sas": "sig=x"}):
        with pytest.raises(ConfigurationError, match="exactly one"):
            StorageAccount.open("acct", **options)


def _same(ours: str, theirs: str) -> bool:
    mine, official = parse_qs(ours), parse_qs(theirs)
    return {k: v for k, v in mine.items() if k not in ("sig", "sv")} == {
        k: v for k, v in official.items() if k not in ("sig", "sv")
    }


def test_signatures_name_what_the_official_ones_name() -> None:
    """Beside the version, our queries have the fields that the official packages write.

    That they are signed right is shown where services and clients take them.
    """

    def ours(service: Service, path: str, letters: str) -> str:
        return sas.service_signature(
            service, "acct", KEY, "vol", path, expiry=EXPIRY, permissions=letters
        )

    options: dict[str, Any] = {"account_key": KEY, "expiry": EXPIRY}
    assert _same(
        ours("blob", "d/x y", "wr"),
        generate_blob_sas("acct", "vol", "d/x y", permission="rw", **options),
    )
    assert _same(
        ours("blob", "", "lr"), generate_container_sas("acct", "vol", permission="rl", **options)
    )
    assert _same(
        ours("file", "d/x", "r"),
        generate_file_sas("acct", "vol", ["d", "x"], permission="r", **options),
    )
    assert _same(
        ours("file", "", "lr"), generate_share_sas("acct", "vol", permission="rl", **options)
    )
    permission = AccountSasPermissions(
        read=True, write=True, delete=True, list=True, add=True, create=True
    )
    official = generate_account_sas(
        "acct",
        KEY,
        ResourceTypes(service=True, container=True, object=True),
        permission,
        EXPIRY,
        services=Services(blob=True, fileshare=True),
        protocol="https,http",
    )
    assert _same(sas.account_signature("acct", KEY, EXPIRY), official)


def test_links_end_when_they_are_told_to(account: StorageAccount) -> None:
    """An expiry is a span from now or a moment; both are written in UTC."""
    container = account.container("links")
    moment = EXPIRY.astimezone()
    assert parse_qs(container.url("f", expiry=moment).partition("?")[2])["se"] == [
        "2031-02-03T04:05:06Z"
    ]
    soon = parse_qs(container.url("f", expiry=timedelta(minutes=5)).partition("?")[2])["se"][0]
    left = datetime.fromisoformat(soon) - datetime.now(UTC)
    assert timedelta(minutes=4) < left <= timedelta(minutes=5)


def test_official_client_takes_our_account_signature(account: StorageAccount) -> None:
    """The one signature that all requests of a handle carry is valid for Azure's own package."""
    expiry = datetime.now(UTC) + timedelta(minutes=5)
    query = sas.account_signature(account.name, account.key, expiry)
    with BlobServiceClient(account.blob_endpoint, credential=query) as blobs:
        blobs.create_container("signed")
        assert "signed" in [each.name for each in blobs.list_containers()]
        blobs.delete_container("signed")
