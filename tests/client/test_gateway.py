"""What goes over the wire, and how answers and refusals come back."""

import json
import socket

import pytest
import requests
import responses
from azure.core.exceptions import ResourceNotFoundError, ServiceRequestError
from responses import matchers
from responses.registries import OrderedRegistry

from batchai_quickstart import Connection, NotFoundError, ServiceError, models
from batchai_quickstart.client import connection as connections
from batchai_quickstart.client.connection import Settings
from batchai_quickstart.errors import ConflictError
from batchai_quickstart.ids import (
    CLUSTER,
    EXPERIMENT,
    FILE_SERVER,
    JOB,
    STORAGE_ACCOUNT,
    WORKSPACE,
    ResourceId,
)

from .conftest import ENDPOINT, SUBSCRIPTION

GROUP = ResourceId(SUBSCRIPTION, "g")
SPACE = GROUP.child(WORKSPACE, "w")
A_JOB = SPACE.child(EXPERIMENT, "e").child(JOB, "j")
SERVER = SPACE.child(FILE_SERVER, "nfs")
VERSION = {"api-version": "2018-05-01"}


def url(resource: ResourceId, action: str = "") -> str:
    return f"{ENDPOINT}{resource}{action}"


def envelope(code: str, message: str = "no") -> dict[str, object]:
    return {"error": {"code": code, "message": message}}


def test_token_goes_over_loopback_http(
    wire: responses.RequestsMock, connection: Connection
) -> None:
    """Requests carry the bearer token and the api-version."""
    wire.get(
        url(SPACE),
        json={"id": str(SPACE), "name": "w", "location": "eastus"},
        match=[
            matchers.header_matcher({"Authorization": "Bearer secret-token"}),
            matchers.query_param_matcher(VERSION),
        ],
    )
    seen = connection.gateway.get(SPACE, models.Workspace)
    assert seen is not None
    assert (seen.model.name, seen.pushed) == ("w", False)


def test_long_poll_states_version_and_patience(
    wire: responses.RequestsMock, connection: Connection
) -> None:
    """A long poll names the version known and the wait; 304 is nothing new."""
    asked = matchers.header_matcher({"Prefer": "wait=30", "If-None-Match": '"v1"'})
    answer = {"ETag": '"v2"', "Preference-Applied": "wait"}
    wire.get(url(A_JOB), json={"name": "j"}, headers=answer, match=[asked])
    seen = connection.gateway.get(A_JOB, models.Job, etag='"v1"', wait=99)
    assert seen is not None
    assert (seen.etag, seen.pushed) == ('"v2"', True)
    wire.upsert(responses.GET, url(A_JOB), status=304, headers=answer)
    assert connection.gateway.get(A_JOB, models.Job, etag='"v2"', wait=1) is None


def test_create_sends_the_body_and_takes_202(
    wire: responses.RequestsMock, connection: Connection
) -> None:
    """A create sends what was given and does not poll the operation."""
    body = {"properties": {"nodeCount": 1, "customToolkitSettings": {"commandLine": "true"}}}
    poll = {"Azure-AsyncOperation": f"{ENDPOINT}/never", "Location": f"{ENDPOINT}/never"}
    wire.put(url(A_JOB), status=202, headers=poll)
    assert connection.gateway.create(A_JOB, body) == {}
    sent = wire.calls[0].request.body
    assert sent is not None
    assert json.loads(sent) == body


def test_experiments_are_created_without_body(
    wire: responses.RequestsMock, connection: Connection
) -> None:
    """The operation for experiments has no body, and answers with the resource at once."""
    wire.put(url(A_JOB.parent), json={"name": "e"})
    assert connection.gateway.create(A_JOB.parent, None) == {"name": "e"}
    assert not wire.calls[0].request.body


def test_refusal_is_ours_and_azures(wire: responses.RequestsMock, connection: Connection) -> None:
    """A 404 is a NotFoundError and azure-core's class, with code and request id."""
    wire.get(
        url(A_JOB),
        status=404,
        json=envelope("JobNotFound", "The specified job j is not found"),
        headers={"x-ms-request-id": "r"},
    )
    for wait in (None, 1.0):
        with pytest.raises(NotFoundError, match="job j is not found") as caught:
            connection.gateway.get(A_JOB, models.Job, wait=wait)
        assert isinstance(caught.value, ResourceNotFoundError)
        assert (caught.value.code, caught.value.request_id) == ("JobNotFound", "r")


def test_lists_follow_pages(wire: responses.RequestsMock, connection: Connection) -> None:
    """All pages of a list come, as our models."""
    link = f"{ENDPOINT}/next?api-version=2018-05-01"
    wire.get(url(A_JOB.parent, "/jobs"), json={"value": [{"name": "a"}], "nextLink": link})
    wire.get(link, json={"value": [{"name": "b", "properties": {"nodeCount": 2}}]})
    found = list(connection.gateway.resources(A_JOB.parent, JOB, models.Job))
    assert [job.name for job in found] == ["a", "b"]
    assert found[1].properties.node_count == 2


@pytest.mark.parametrize(
    ("parent", "kind", "path"),
    [
        (None, WORKSPACE, f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.BatchAI/workspaces"),
        (GROUP, WORKSPACE, f"{GROUP}/providers/Microsoft.BatchAI/workspaces"),
        (SPACE, CLUSTER, f"{SPACE}/clusters"),
        (SPACE, EXPERIMENT, f"{SPACE}/experiments"),
        (SPACE, FILE_SERVER, f"{SPACE}/fileServers"),
    ],
)
def test_lists_of_every_kind(
    parent: ResourceId | None,
    kind: object,
    path: str,
    wire: responses.RequestsMock,
    connection: Connection,
) -> None:
    """Each kind is listed below what it lives in."""
    wire.get(ENDPOINT + path, json={"value": []})
    assert not list(connection.gateway.resources(parent, kind, models.Workspace))  # type: ignore[arg-type]


def test_output_files_follow_pages(wire: responses.RequestsMock, connection: Connection) -> None:
    """A listing is asked for by POST with all its parameters, and its pages are joined."""
    link = f"{ENDPOINT}/more?api-version=2018-05-01"
    query = {
        **VERSION,
        "outputdirectoryid": "MODEL",
        "directory": "a b",
        "linkexpiryinminutes": "5",
        "maxresults": "1000",
    }
    wire.post(
        url(A_JOB, "/listOutputFiles"),
        json={"value": [{"name": "1"}], "nextLink": link},
        headers={"ETag": '"x"'},
        match=[matchers.query_param_matcher(query)],
    )
    wire.get(link, json={"value": [{"name": "2"}]})
    listing = connection.gateway.output_files(A_JOB, "MODEL", "a b", link_minutes=5)
    assert listing is not None
    assert [file.name for file in listing.files] == ["1", "2"]
    assert listing.etag == '"x"'


def test_file_servers_are_read_and_deleted(
    wire: responses.RequestsMock, connection: Connection
) -> None:
    """What the published client lacks for file servers goes through its pipeline."""
    wire.get(url(SERVER), json={"name": "nfs", "properties": {"vmSize": "Standard_D1"}})
    seen = connection.gateway.get(SERVER, models.FileServer)
    assert seen is not None
    assert seen.model.name == "nfs"
    wire.delete(url(SERVER), status=204)
    connection.gateway.delete(SERVER)


def test_deletion_is_woken_by_the_resource(connection: Connection, sleeps: list[float]) -> None:
    """A delete waits on the resource's own long poll, not on the operation's Retry-After."""
    operation = f"{ENDPOINT}/operation?api-version=2018-05-01"
    pushed = {"ETag": '"1"', "Preference-Applied": "wait"}
    with responses.RequestsMock(registry=OrderedRegistry) as wire:
        wire.delete(url(SPACE), status=202, headers={"Azure-AsyncOperation": operation})
        wire.get(operation, json={"status": "InProgress"}, headers={"Retry-After": "1"})
        wire.get(url(SPACE), json={"name": "w"}, headers=pushed)
        wire.get(operation, json={"status": "InProgress"}, headers={"Retry-After": "1"})
        wire.get(url(SPACE), status=404, json=envelope("ResourceNotFound"))
        wire.get(operation, json={"status": "Succeeded"})
        connection.gateway.delete(SPACE)
    assert sleeps == []


def test_deletion_elsewhere_polls_as_asked(connection: Connection, sleeps: list[float]) -> None:
    """Without long polls the operation's Retry-After is obeyed."""
    operation = f"{ENDPOINT}/operation?api-version=2018-05-01"
    with responses.RequestsMock(registry=OrderedRegistry) as wire:
        wire.delete(url(SPACE), status=202, headers={"Azure-AsyncOperation": operation})
        wire.get(operation, json={"status": "InProgress"}, headers={"Retry-After": "7"})
        wire.get(url(SPACE), json={"name": "w"})
        wire.get(operation, json={"status": "Succeeded"})
        connection.gateway.delete(SPACE)
    assert sleeps == [7]


def test_failed_operation_is_an_error(connection: Connection, sleeps: list[float]) -> None:
    """An operation that fails raises with the service's message."""
    operation = f"{ENDPOINT}/operation?api-version=2018-05-01"
    body = {"status": "Failed", **envelope("Stuck", "the node does not answer")}
    with responses.RequestsMock() as wire:
        wire.delete(url(SPACE), status=202, headers={"Azure-AsyncOperation": operation})
        wire.get(operation, json=body)
        with pytest.raises(Exception, match="the node does not answer"):
            connection.gateway.delete(SPACE)


def test_groups_and_accounts(wire: responses.RequestsMock, connection: Connection) -> None:
    """Resource groups and storage accounts come as plain facts."""
    group = {"id": str(GROUP), "name": "g", "location": "eastus", "tags": {"a": "b"}}
    wire.put(f"{ENDPOINT}/subscriptions/{SUBSCRIPTION}/resourcegroups/g", json=group, status=201)
    facts = connection.gateway.put_group("g", "eastus", {"a": "b"})
    assert (facts.name, facts.location, facts.tags) == ("g", "eastus", {"a": "b"})
    account = GROUP.child(STORAGE_ACCOUNT, "store")
    body = {
        "id": str(account),
        "name": "store",
        "location": "eastus",
        "properties": {
            "provisioningState": "Succeeded",
            "primaryEndpoints": {
                "blob": f"{ENDPOINT}/blob/store",
                "file": f"{ENDPOINT}/file/store",
            },
        },
    }
    wire.put(url(account), json=body)
    made = connection.gateway.put_account(account, "eastus", {})
    assert (made.name, made.group, made.file_endpoint) == ("store", "g", f"{ENDPOINT}/file/store")
    wire.post(url(account, "/listKeys"), json={"keys": [{"keyName": "key1", "value": "a2V5"}]})
    assert connection.gateway.account_keys(account) == ("a2V5",)
    wire.delete(url(account), status=409, json=envelope("StorageAccountInUse", "in use"))
    with pytest.raises(ConflictError, match="in use"):
        connection.gateway.delete_account(account)


def test_server_errors_are_retried_shortly(
    wire: responses.RequestsMock, connection: Connection, sleeps: list[float]
) -> None:
    """A service that stumbles is asked again in short steps; one that stays down is told."""
    wire.get(url(SPACE), status=500)
    wire.get(url(SPACE), json={"name": "w"})
    assert connection.gateway.get(SPACE, models.Workspace) is not None
    wire.upsert(responses.GET, url(SPACE), status=503, json=envelope("Busy", "try later"))
    with pytest.raises(ServiceError, match="try later"):
        connection.gateway.get(SPACE, models.Workspace)
    assert sum(sleeps) < 5


def test_nobody_listening_is_told_at_once(sleeps: list[float]) -> None:
    """A refused connection names the endpoint, without minutes of retries."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{held.getsockname()[1]}"
        away = Connection.open(endpoint, token="t", subscription_id=SUBSCRIPTION)
        with pytest.raises(ServiceError, match=endpoint) as caught:
            away.gateway.get(SPACE, models.Workspace)
    assert isinstance(caught.value, ServiceRequestError)
    assert "refused" in str(caught.value)
    assert sum(sleeps) <= 1


def test_embedded_service_is_brought_back(
    wire: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded service may leave and return elsewhere; the request goes to where it is."""

    class Info:
        endpoint = "http://127.0.0.1:2"
        token = "new"
        subscription_id = SUBSCRIPTION

    monkeypatch.setattr(connections, "embedded", Info)
    here = Connection(Settings("http://127.0.0.1:1", "old", SUBSCRIPTION, True))
    wire.get(f"http://127.0.0.1:1{SPACE}", body=requests.exceptions.ConnectionError("refused"))
    moved = matchers.header_matcher({"Authorization": "Bearer new"})
    wire.get(f"http://127.0.0.1:2{SPACE}", json={"name": "w"}, match=[moved])
    for _ in range(2):
        seen = here.gateway.get(SPACE, models.Workspace)
        assert seen is not None
        assert seen.model.name == "w"
    assert len(wire.calls) == 3


def test_token_does_not_follow_links_elsewhere(
    wire: responses.RequestsMock, connection: Connection
) -> None:
    """A page link to another host is followed without the token."""
    wire.get(
        url(A_JOB.parent, "/jobs"),
        json={"value": [], "nextLink": "http://127.0.0.1:9998/next?api-version=1"},
    )
    wire.get("http://127.0.0.1:9998/next", json={"value": []})
    assert not list(connection.gateway.resources(A_JOB.parent, JOB, models.Job))
    assert "Authorization" not in wire.calls[1].request.headers


def test_answer_that_is_no_json_is_a_service_error(
    wire: responses.RequestsMock, connection: Connection
) -> None:
    """A page of a proxy in place of an answer is told as that, not as a programming error."""
    wire.get(url(A_JOB), body="<html>sign in</html>", content_type="text/html")
    for wait in (None, 1.0):
        with pytest.raises(ServiceError, match="makes no sense"):
            connection.gateway.get(A_JOB, models.Job, wait=wait)


def test_odd_names_are_quoted(wire: responses.RequestsMock, connection: Connection) -> None:
    """A name with characters of a URL stays one part of the path."""
    odd = SPACE.parent.child(WORKSPACE, "a?b#c%2F")
    spaces = f"{SPACE.parent}/providers/Microsoft.BatchAI/workspaces"
    wire.get(f"{ENDPOINT}{spaces}/a%3Fb%23c%252F", json={})
    for wait in (None, 1.0):
        assert connection.gateway.get(odd, models.Workspace, wait=wait) is not None
