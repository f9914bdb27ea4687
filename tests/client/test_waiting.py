"""Waiting for a resource: pushed where the service pushes, politely elsewhere."""

import json
import pickle
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
import responses
from responses import matchers
from responses.registries import OrderedRegistry

from batchai_quickstart import (
    Connection,
    InvalidRequestError,
    ServiceError,
    WaitTimeoutError,
    models,
)
from batchai_quickstart.client.joblog import is_over
from batchai_quickstart.client.resource import Resource, of_kind
from batchai_quickstart.ids import CLUSTER, EXPERIMENT, JOB, WORKSPACE, ResourceId

from .conftest import ENDPOINT, SUBSCRIPTION

ID = ResourceId(SUBSCRIPTION, "g").child(WORKSPACE, "w").child(EXPERIMENT, "e").child(JOB, "j")
URL = f"{ENDPOINT}{ID}"
PUSHED = {"Preference-Applied": "wait"}


def job(state: str) -> dict[str, Any]:
    return {"id": str(ID), "name": "j", "properties": {"executionState": state}}


@dataclass
class Clock:
    """Time that passes only by sleeping."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def wait(self, resource: Resource[models.Job], timeout: float | None = None) -> models.Job:
        return resource.wait(
            is_over,
            timeout=timeout,
            describe=lambda model: f"it is {model.properties.execution_state}",
            sleep=self.sleep,
            clock=lambda: self.now,
        )


def test_pushed_wait_never_sleeps(connection: Connection) -> None:
    """Each question names the version known, and is held by the service."""
    clock = Clock()
    with responses.RequestsMock(registry=OrderedRegistry) as wire:
        wire.get(URL, json=job("queued"), headers={"ETag": '"1"', **PUSHED})
        known = matchers.header_matcher({"If-None-Match": '"1"', "Prefer": "wait=30"})
        wire.get(URL, status=304, headers=PUSHED, match=[known])
        wire.get(URL, json=job("succeeded"), headers={"ETag": '"2"', **PUSHED}, match=[known])
        resource = Resource(connection, ID, models.Job)
        assert clock.wait(resource).properties.execution_state == "succeeded"
        assert clock.wait(resource) is resource.model
    assert clock.slept == []


def test_polling_slows_down(wire: responses.RequestsMock, connection: Connection) -> None:
    """Where nothing is held there is a second between questions, growing to five."""
    states = iter(["queued"] * 6 + ["failed"])
    wire.add_callback(responses.GET, URL, lambda _: (200, {}, json.dumps(job(next(states)))))
    clock = Clock()
    assert is_over(clock.wait(Resource(connection, ID, models.Job)))
    assert clock.slept == [1.0, 1.5, 2.25, 3.375, 5.0, 5.0]


def test_timeout_says_how_things_stand(
    wire: responses.RequestsMock, connection: Connection
) -> None:
    """A wait that ends without its event names the state; it is a TimeoutError too."""
    wire.get(URL, json=job("running"))
    clock = Clock()
    with pytest.raises(WaitTimeoutError, match="after 2 s it is running") as caught:
        clock.wait(Resource(connection, ID, models.Job), timeout=2)
    assert isinstance(caught.value, TimeoutError)
    assert sum(clock.slept) == 2


def test_resource_survives_pickling(connection: Connection) -> None:
    """A resource comes back equal, with what was seen."""
    resource = Resource(connection, ID, models.Job, models.Job.from_wire(job("running")), '"1"')
    again = pickle.loads(pickle.dumps(resource))  # noqa: S301 - our own
    assert again == resource
    assert hash(again) == hash(resource)
    assert again.model == resource.model


def test_ids_of_another_kind_are_refused() -> None:
    """A handle is not made from the id of something else."""
    assert of_kind(JOB, str(ID)) == ID
    with pytest.raises(InvalidRequestError, match="is the id of a Job; expected that of a Cluster"):
        of_kind(CLUSTER, str(ID))


def test_wait_outlives_a_restart_of_the_service(
    wire: responses.RequestsMock, connection: Connection, sleeps: list[float]
) -> None:
    """A service that goes away during a wait is asked again until it is back."""
    answers: list[Any] = [requests.ConnectionError("refused")] * 4
    answers = [job("running"), *answers, job("succeeded")]

    def answer(_: object) -> tuple[int, dict[str, str], Any]:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return 200, PUSHED, json.dumps(found)

    wire.add_callback(responses.GET, URL, answer)
    clock = Clock()
    assert is_over(clock.wait(Resource(connection, ID, models.Job)))
    assert clock.slept == [0.1, 0.2]


def test_service_that_never_answered_is_told_at_once(
    wire: responses.RequestsMock, connection: Connection, sleeps: list[float]
) -> None:
    """A wait that cannot even begin fails without patience."""
    wire.get(URL, body=requests.ConnectionError("refused"))
    clock = Clock()
    with pytest.raises(ServiceError, match=ENDPOINT):
        clock.wait(Resource(connection, ID, models.Job))
    assert clock.slept == []


def test_short_waits_are_exact(wire: responses.RequestsMock, connection: Connection) -> None:
    """A timeout below a second is slept, not rounded up to the wire's whole seconds."""
    wire.get(URL, json=job("running"), headers={"ETag": '"1"', **PUSHED})
    clock = Clock()
    for timeout in (0, 0.25):
        with pytest.raises(WaitTimeoutError):
            clock.wait(Resource(connection, ID, models.Job), timeout=timeout)
    assert clock.slept == [0.25]
    assert all("Prefer" not in call.request.headers for call in wire.calls)
