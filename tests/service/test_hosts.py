"""Which part of the service a Host header leads to."""

import requests

from batchai_quickstart import ResourceGroup, StorageAccount
from batchai_quickstart.local import LocalService


def _get(service: LocalService, host: str, path: str) -> requests.Response:
    headers = {"Host": host, "Authorization": f"Bearer {service.token}"}
    return requests.get(f"{service.endpoint}{path}", headers=headers, timeout=10)


def test_a_machine_may_be_called_like_an_account(service: LocalService) -> None:
    """ARM and the status answer at any name that is no account's; storage has the other paths."""
    host = "nobody.blob.example:8080"
    assert _get(service, host, "/status").json()["pid"] == service.info.pid
    listed = _get(service, host, "/subscriptions?api-version=2021-01-01").json()
    assert [each["subscriptionId"] for each in listed["value"]] == [service.subscription_id]
    assert (
        _get(service, host, "/container/blob").headers["x-ms-error-code"] == "AuthenticationFailed"
    )


def test_an_account_has_its_host_name_to_itself(service: LocalService) -> None:
    """At the host name of an account every path is storage's, ARM's own ones included."""
    connection = service.connect()
    ResourceGroup.create("hosts", location="eastus", connection=connection)
    StorageAccount.create(
        "hostsaccount", resource_group="hosts", location="eastus", connection=connection
    )
    answer = _get(service, "hostsaccount.blob.core.windows.net", "/subscriptions")
    assert answer.headers["content-type"] == "application/xml"
    assert "x-ms-error-code" in answer.headers


def test_services_that_are_not_here_name_themselves(service: LocalService) -> None:
    """Queue and Table are refused on the shared port, too, by path and by host name."""
    for host, path in (("localhost", "/queue/abc"), ("abc.table.core.windows.net", "/Tables")):
        answer = _get(service, host, path)
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (501, "NotImplemented")
