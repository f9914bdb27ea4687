"""The models against the service's own description."""

import json
from collections.abc import Iterator
from enum import EnumMeta
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import SecretStr

from batchai_quickstart import models
from batchai_quickstart.models.names import wire_name

SWAGGER = Path(__file__).parents[1] / "data" / "batchai" / "swagger"
DESCRIPTION: dict[str, Any] = json.loads((SWAGGER / "BatchAI.json").read_text(encoding="utf-8"))
DEFINITIONS: dict[str, Any] = DESCRIPTION["definitions"]
OBJECTS = [name for name, definition in DEFINITIONS.items() if "enum" not in definition]

MORE_MEMBERS = {"JobProperties": {"experimentName"}}
"""The service sent experimentName although the description lacks it."""

MORE_VALUES = {"ToolType": {"pytorch"}}
"""The list lacks pytorch, which the description's text and its settings object have."""

REQUIRED_HERE = {
    "JobCreateParameters": {"properties"},
    "ClusterCreateParameters": {"properties"},
    "FileServerCreateParameters": {"properties"},
}
"""Optional in the description, but without it none of the required members inside can be there."""

CONTRADICTIONS = {
    "Operations_List 200": "sends `properties: null` where the description says object",
}
"""Examples that contradict the description; what they show is not written back."""

SECRETS = {
    "AzureStorageCredentialsInfo": {"accountKey"},
    "AppInsightsReference": {"instrumentationKey"},
    "EnvironmentVariableWithSecretValue": {"value"},
    "PrivateRegistryCredentials": {"password"},
    "UserAccountSettings": {"adminUserPassword"},
}


def model_of(name: str) -> type[models.Model]:
    model: type[models.Model] = getattr(models, name)
    assert issubclass(model, models.Model)
    return model


def members_of(name: str) -> dict[str, Any]:
    """The members of a definition, those it is composed of included."""
    definition = DEFINITIONS[name]
    members = dict(definition.get("properties", {}))
    for part in definition.get("allOf", ()):
        members |= members_of(part["$ref"].rpartition("/")[2])
    return members


def fields_of(name: str) -> dict[str, Any]:
    return {wire_name(field): info for field, info in model_of(name).model_fields.items()}


def classes_in(annotation: Any) -> set[type]:
    if isinstance(annotation, type) and not get_args(annotation):
        return {annotation}
    return {found for part in get_args(annotation) for found in classes_in(part)}


@pytest.mark.parametrize("name", OBJECTS)
def test_every_object_has_its_model_with_every_member(name: str) -> None:
    """Each definition of the description is a class with exactly its members."""
    assert set(members_of(name)) | MORE_MEMBERS.get(name, set()) == set(fields_of(name))


@pytest.mark.parametrize("name", OBJECTS)
def test_members_have_the_described_types(name: str) -> None:
    """A member that refers to a definition holds that class; numbers are int, text is text."""
    for member, described in members_of(name).items():
        found = {kind.__name__ for kind in classes_in(fields_of(name)[member].annotation)}
        target = described.get("items", described)
        if "$ref" in target:
            assert target["$ref"].rpartition("/")[2] in found, member
        elif target.get("type") in ("integer", "number"):
            assert "int" in found, member
        elif "x-ms-enum" in target:
            assert target["x-ms-enum"]["name"] in found, member
        elif target.get("format") == "date-time":
            assert "datetime" in found, member
        elif target.get("type") == "string":
            assert found & {"str", "SecretStr"}, member
        assert ("tuple" in str(fields_of(name)[member].annotation)) == ("items" in described)


@pytest.mark.parametrize("name", OBJECTS)
def test_required_members_are_required(name: str) -> None:
    """What the description requires, a request has to have; nothing else."""
    model = model_of(name)
    required = {wire for wire, info in fields_of(name).items() if info.is_required()}
    described = set(DEFINITIONS[name].get("required", ())) | REQUIRED_HERE.get(name, set())
    assert described == required | model.filled_in


@pytest.mark.parametrize(
    ("owner", "member", "model"),
    [
        ("JobBaseProperties", "constraints", models.JobConstraints),
        ("JobProperties", "constraints", models.JobConstraints),
        ("JobProperties", "executionInfo", models.JobExecutionInfo),
        ("Operation", "display", models.OperationDisplay),
    ],
)
def test_inline_objects_have_models_too(owner: str, member: str, model: type[models.Model]) -> None:
    """Objects described in place have a class of their own with exactly their members."""
    described = DEFINITIONS[owner]["properties"][member]["properties"]
    assert set(described) == {wire_name(field) for field in model.model_fields}
    assert model in classes_in(fields_of(owner)[member].annotation)


def enumerations(node: Any) -> Iterator[tuple[str, set[str]]]:
    if isinstance(node, dict):
        if "x-ms-enum" in node:
            yield node["x-ms-enum"]["name"], set(node["enum"])
        for item in node.values():
            yield from enumerations(item)


def test_enumerations_have_the_described_values() -> None:
    """Every enumeration is a class with exactly the described values, and there are no others."""
    described = dict(enumerations(DEFINITIONS))
    for name, values in described.items():
        members = {member.value for member in getattr(models, name)}
        assert values | MORE_VALUES.get(name, set()) == members
    ours = {name for name in models.__all__ if isinstance(getattr(models, name), EnumMeta)}
    assert set(described) == ours - {"WireEnum"}


def test_defaults_are_the_described_ones() -> None:
    """A member with a described default has it in what is asked for."""
    for name in OBJECTS:
        for member, described in members_of(name).items():
            info = fields_of(name)[member]
            asked_for = (
                name not in ("JobProperties", "ClusterProperties") and not info.is_required()
            )
            if "default" in described and asked_for:
                assert described["default"] == info.default, (name, member)


def test_exactly_the_keys_passwords_and_secret_values_are_secret() -> None:
    """No other member is hidden, and none of these is shown."""
    found = {
        name: {m for m, info in fields_of(name).items() if SecretStr in classes_in(info.annotation)}
        for name in OBJECTS
    }
    assert {name: members for name, members in found.items() if members} == SECRETS


def examples() -> Iterator[Any]:
    """(operation and direction, model, JSON) of each body in the examples."""
    for methods in DESCRIPTION["paths"].values():
        for operation in methods.values():
            (reference,) = operation["x-ms-examples"].values()
            example = json.loads((SWAGGER / reference["$ref"]).read_text(encoding="utf-8"))
            bodies = [
                ("request", example["parameters"][parameter["name"]], parameter["schema"])
                for parameter in operation["parameters"]
                if parameter.get("in") == "body"
            ]
            bodies += [
                (status, response["body"], operation["responses"][status]["schema"])
                for status, response in example["responses"].items()
                if "body" in response
            ]
            for direction, body, schema in bodies:
                case = f"{operation['operationId']} {direction}"
                yield pytest.param(case, schema["$ref"].rpartition("/")[2], body, id=case)


@pytest.mark.parametrize(("case", "name", "body"), list(examples()))
def test_examples_round_trip(case: str, name: str, body: Any) -> None:
    """Every example body is read and written back the same, contradictions excepted."""
    written = model_of(name).from_wire(body).to_wire(secrets=True)
    if case in CONTRADICTIONS:
        for item in body["value"]:
            assert item.pop("properties") is None
    assert body == written


@pytest.mark.parametrize(
    ("case", "name", "body"), [e for e in examples() if e.id.endswith("request")]
)
def test_example_requests_are_accepted(case: str, name: str, body: Any) -> None:
    """Every example of a request passes the strict reading."""
    assert isinstance(model_of(name).read(body, where=case), model_of(name))
