"""The official Azure clients, pointed at a live service, and the swagger as judge of answers."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from azure.core.credentials import AccessToken
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.batchai import BatchAI

from batchai_quickstart.local import LocalService

SWAGGER: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "batchai" / "swagger" / "BatchAI.json").read_text(
        encoding="utf-8"
    )
)


class Token(SansIOHTTPPolicy[Any, Any]):
    """A bearer token over plain http, which Azure's own policy refuses."""

    def __init__(self, token: str) -> None:
        self._token = token

    def on_request(self, request: PipelineRequest[Any]) -> None:
        request.http_request.headers["Authorization"] = f"Bearer {self._token}"


class NoCredential:
    """Stands where the client wants a credential and never asks it: `Token` signs."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        raise AssertionError(scopes)


class Witness(SansIOHTTPPolicy[Any, Any]):
    """Holds every answer against the swagger: declared status, declared body."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def on_response(
        self, request: PipelineRequest[Any], response: PipelineResponse[Any, Any]
    ) -> None:
        method, url = request.http_request.method.lower(), request.http_request.url
        path = url.split("?")[0].split("/", 3)[3]
        for template, operations in SWAGGER["paths"].items():
            pattern = re.sub(r"\{[^}]*\}", "[^/]+", template.strip("/"))
            if method in operations and re.fullmatch(pattern, path, re.IGNORECASE):
                self._judge(operations[method], response.http_response)

    def _judge(self, operation: dict[str, Any], response: Any) -> None:
        self.seen.add(operation["operationId"])
        declared = operation["responses"]
        # Two operations declare no error; theirs are those of all others.
        error = {"schema": {"$ref": "#/definitions/CloudError"}}
        answer = declared.get(str(response.status_code)) or declared.get("default", error)
        if "schema" in answer:
            schema = {**answer["schema"], "definitions": SWAGGER["definitions"]}
            jsonschema.validate(json.loads(response.text()), schema)


@pytest.fixture
def witness() -> Witness:
    """The judge of one test's answers."""
    return Witness()


@pytest.fixture
def batchai(service: LocalService, witness: Witness) -> Iterator[Any]:
    """The published management client, 7.0.0, as it is."""
    with BatchAI(
        NoCredential(),
        service.subscription_id,
        base_url=service.endpoint,
        authentication_policy=Token(service.token),
        per_retry_policies=[witness],
        polling_interval=0,
    ) as client:
        yield client
