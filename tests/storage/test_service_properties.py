"""Properties of whole services, and pages of other origins that ask for blobs and files."""

import http.client
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import (
    AccountSasPermissions,
    BlobAnalyticsLogging,
    BlobServiceClient,
    ContainerClient,
    CorsRule,
    Metrics,
    ResourceTypes,
    RetentionPolicy,
    StaticWebsite,
    generate_account_sas,
)
from azure.storage.fileshare import (
    CorsRule as FileCorsRule,
)
from azure.storage.fileshare import (
    Metrics as FileMetrics,
)
from azure.storage.fileshare import (
    RetentionPolicy as FileRetentionPolicy,
)
from azure.storage.fileshare import ShareClient

from batchai_quickstart.storage import Kind, Store
from tests.storage.conftest import Service, code

PAGE = "http://page.example:8080"


@pytest.fixture
def blobs(service: Service) -> Iterator[BlobServiceClient]:
    """The Blob service, whose settings are its first ones afterwards."""
    with service.blobs() as client:
        yield client
        client.set_service_properties(cors=[])


def refusal(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """The error code that a call ends with."""
    with pytest.raises(HttpResponseError) as refused:
        call(*arguments, **options)
    return code(refused)


def ask(
    service: Service, method: str, path: str, headers: dict[str, str]
) -> tuple[int, dict[str, str]]:
    """Status and headers of the answer to a request as a browser sends it."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    try:
        connection.request(method, f"/blob/{service.account.name}{path}", headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def rule(origins: list[str], methods: list[str], **options: Any) -> CorsRule:
    """A rule of the Blob service."""
    return CorsRule(origins, methods, **options)


def test_settings_are_kept(service: Service, blobs: BlobServiceClient) -> None:
    """CORS rules and the default version come back, and stay when others are set."""
    rules = [
        rule([PAGE, "https://*.contoso.com"], ["GET", "PUT"], max_age_in_seconds=60),
        rule(["*"], ["GET"], allowed_headers=["x-ms-*"], exposed_headers=["etag"]),
    ]
    blobs.set_service_properties(cors=rules, target_version="2021-08-06")
    off = {
        "analytics_logging": BlobAnalyticsLogging(),
        "hour_metrics": Metrics(enabled=False),
        "minute_metrics": Metrics(enabled=False),
        "delete_retention_policy": RetentionPolicy(enabled=False),
        "static_website": StaticWebsite(enabled=False),
    }
    blobs.set_service_properties(**off)  # type: ignore[arg-type]
    found = blobs.get_service_properties()
    assert [
        (each.allowed_origins, each.allowed_methods, each.allowed_headers, each.exposed_headers)
        for each in found["cors"]
    ] == [
        (f"{PAGE},https://*.contoso.com", "GET,PUT", "", ""),
        ("*", "GET", "x-ms-*", "etag"),
    ]
    assert [each.max_age_in_seconds for each in found["cors"]] == [60, 0]
    assert found["target_version"] == "2021-08-06"
    assert not found["hour_metrics"].enabled
    assert not found["static_website"].enabled
    assert ask(service, "GET", "/c/b", {})[1]["x-ms-version"] == "2021-08-06"
    blobs.set_service_properties(cors=[], target_version="2026-02-06")
    assert blobs.get_service_properties()["cors"] == []


def test_what_is_not_done_is_not_switched_on(blobs: BlobServiceClient) -> None:
    """Logging, metrics, retention and websites are refused by name, and nothing is kept of it."""
    keeps = RetentionPolicy(enabled=True, days=3)
    for name, value in (
        ("analytics_logging", BlobAnalyticsLogging(read=True)),
        ("hour_metrics", Metrics(enabled=True, include_apis=True)),
        ("minute_metrics", Metrics(enabled=True, include_apis=True)),
        ("delete_retention_policy", keeps),
        ("static_website", StaticWebsite(enabled=True, index_document="index.html")),
    ):
        given: dict[str, Any] = {name: value, "cors": [rule(["*"], ["GET"])]}
        with pytest.raises(HttpResponseError) as refused:
            blobs.set_service_properties(**given)
        assert code(refused) == "NotImplemented", name
        assert name.replace("_", "")[9:] in str(refused.value).lower()
        assert blobs.get_service_properties()["cors"] == []


def test_rules_have_azures_limits(blobs: BlobServiceClient) -> None:
    """More than five rules, 64 origins or 2 KiB, and verbs that are none, are refused."""
    plain = rule(["*"], ["GET"])
    for rules in (
        [plain] * 6,
        [rule([f"http://{i}" for i in range(65)], ["GET"])],
        [rule(["x" * 257], ["GET"])],
        [rule(["y" * 250] * 9, ["GET"])],
        [rule(["*"], ["FETCH"])],
        [rule([], ["GET"])],
        [rule(["http://\u00e4"], ["GET"])],
        [rule(["*"], ["GET"], max_age_in_seconds=-1)],
    ):
        assert refusal(blobs.set_service_properties, cors=rules) == "InvalidXmlDocument"
    given = {"target_version": "1999-01-01"}
    assert refusal(blobs.set_service_properties, **given) == "InvalidXmlDocument"


def test_preflights_are_answered_by_the_rules(service: Service, blobs: BlobServiceClient) -> None:
    """A preflight needs no signature and no blob: the first rule that fits allows it, or 403."""
    blobs.set_service_properties(
        cors=[
            rule([PAGE], ["PUT"], allowed_headers=["x-ms-meta-*", "Content-Type"]),
            rule(["https://*.contoso.com"], ["GET"], max_age_in_seconds=5),
            rule(["*"], ["HEAD"]),
        ]
    )

    def preflight(origin: str, method: str, names: str = "") -> tuple[int, dict[str, str]]:
        headers = {"Origin": origin, "Access-Control-Request-Method": method}
        if names:
            headers["Access-Control-Request-Headers"] = names
        return ask(service, "OPTIONS", "/none/such", headers)

    status, told = preflight(PAGE, "PUT", "content-type, X-MS-Meta-a")
    assert status == 200
    assert told["access-control-allow-origin"] == PAGE
    assert told["access-control-allow-methods"] == "PUT"
    assert told["access-control-allow-headers"] == "content-type, X-MS-Meta-a"
    assert told["access-control-allow-credentials"] == "true"
    assert told["access-control-max-age"] == "0"
    assert preflight("https://a.b.contoso.com", "GET")[1]["access-control-max-age"] == "5"
    status, told = preflight("http://anybody", "HEAD")
    assert (status, told["access-control-allow-origin"]) == (200, "*")
    assert "access-control-allow-credentials" not in told
    for origin, method, names in (
        (PAGE, "PUT", "x-ms-date"),
        (PAGE, "DELETE", ""),
        ("https://contoso.com", "GET", ""),
        ("https://.contoso.com", "GET", ""),
        ("https://a.contoso.com.evil", "GET", ""),
        (PAGE.upper(), "PUT", ""),
    ):
        status, told = preflight(origin, method, names)
        assert (status, told["x-ms-error-code"]) == (403, "CorsPreflightFailure"), origin
        assert "access-control-allow-origin" not in told
    for lacking in ({"Origin": PAGE}, {"Access-Control-Request-Method": "GET"}, {}):
        status, told = ask(service, "OPTIONS", "/none/such", lacking)
        assert (status, told["x-ms-error-code"]) == (400, "MissingRequiredHeader")


def test_pages_may_read_answers_as_the_rules_say(
    service: Service, blobs: BlobServiceClient, container: ContainerClient
) -> None:
    """Answers, errors too, name the origin that may read them; caches are told to keep apart."""
    container.set_container_access_policy({}, public_access="blob")
    container.upload_blob("x", b"1")
    path = f"/{container.container_name}/x"
    assert "vary" not in ask(service, "GET", path, {"Origin": PAGE})[1]
    blobs.set_service_properties(
        cors=[rule([PAGE], ["GET"], exposed_headers=["ETag", "x-ms-meta-*"])]
    )
    told = ask(service, "GET", path, {"Origin": PAGE})[1]
    assert told["access-control-allow-origin"] == PAGE
    assert told["access-control-allow-credentials"] == "true"
    assert told["access-control-expose-headers"] == "ETag,x-ms-meta-*"
    assert told["vary"] == "Origin"
    status, told = ask(service, "GET", "/none/such", {"Origin": PAGE})
    assert (status, told["access-control-allow-origin"]) == (403, PAGE)
    for headers in ({}, {"Origin": "http://other"}):
        told = ask(service, "GET", path, headers)[1]
        assert "access-control-allow-origin" not in told
        assert told["vary"] == "Origin"
    assert "access-control-allow-origin" not in ask(service, "HEAD", path, {"Origin": PAGE})[1]
    blobs.set_service_properties(cors=[rule(["*"], ["GET"])])
    told = ask(service, "GET", path, {"Origin": PAGE})[1]
    assert told["access-control-allow-origin"] == "*"
    assert "vary" not in told


def test_files_have_settings_of_their_own(service: Service, share: ShareClient) -> None:
    """The Files service keeps rules apart from those of Blob, and counts nothing."""
    with service.shares() as client, service.blobs() as blobs:
        client.set_service_properties(
            cors=[FileCorsRule([PAGE], ["GET"])], hour_metrics=FileMetrics(enabled=False)
        )
        assert client.get_service_properties()["cors"][0].allowed_origins == PAGE
        assert blobs.get_service_properties()["cors"] == []
        counted = FileMetrics(
            enabled=True, include_apis=True, retention_policy=FileRetentionPolicy()
        )
        given: dict[str, Any] = {"minute_metrics": counted}
        assert refusal(client.set_service_properties, **given) == "NotImplemented"
        client.set_service_properties(cors=[])
        assert client.get_service_properties()["cors"] == []


def test_settings_survive_a_restart(service: Service, tmp_path: Path) -> None:
    """What is set for a service is there after a restart, and gone with the account."""
    from batchai_quickstart.storage.settings import CorsRule as Rule
    from batchai_quickstart.storage.settings import ServiceSettings

    settings = ServiceSettings((Rule(("*",), ("GET",), max_age=7),), "2021-08-06")
    store = Store(tmp_path / "root")
    store.create_account("mystorage")
    store.set_settings("mystorage", Kind.BLOB, settings)
    store.close()
    store = Store(tmp_path / "root")
    assert store.settings("mystorage", Kind.BLOB) == settings
    store.delete_account("mystorage")
    store.create_account("mystorage")
    assert store.settings("mystorage", Kind.BLOB) == ServiceSettings()
    store.close()


def test_replication_is_told_at_the_second_address(service: Service) -> None:
    """The second address is live, since it is the same storage; the first has no such answer."""
    token = generate_account_sas(
        **service.credential(),  # type: ignore[arg-type]  # one of the options is a function
        resource_types=ResourceTypes(service=True),
        permission=AccountSasPermissions(read=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    answers = []
    for suffix in ("", "-secondary"):
        url = f"{service.url(Kind.BLOB)}{suffix}/?restype=service&comp=stats&{token}"
        answers.append(requests.get(url, timeout=10))
    first, second = answers
    assert first.headers["x-ms-error-code"] == "InvalidQueryParameterValue"
    assert "-secondary" in first.text
    assert second.status_code == 200
    assert "<Status>live</Status><LastSyncTime>" in second.text
