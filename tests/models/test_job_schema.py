"""The JSON Schema of job files, as editors and other validators see it."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from batchai_quickstart import models
from batchai_quickstart.models.schema import job_schema

ROOT = Path(__file__).parents[2]
JOBS = sorted((ROOT / "tests" / "data" / "batchai" / "jobs").glob("*.json"))
SCHEMA = job_schema()
VALIDATOR = Draft202012Validator(SCHEMA)

PROPERTIES: dict[str, Any] = {
    "nodeCount": 1,
    "stdOutErrPathPrefix": "$AZ_BATCHAI_JOB_MOUNT_ROOT/logs",
    "cntkSettings": {"pythonScriptFilePath": "train.py"},
}


def test_the_exported_schema_is_current() -> None:
    """docs/schema/job.json is what `python -m batchai_quickstart.models.schema` prints."""
    exported = (ROOT / "docs" / "schema" / "job.json").read_text(encoding="utf-8")
    assert exported == json.dumps(SCHEMA, indent=2) + "\n"


def test_the_schema_is_a_valid_schema() -> None:
    """The document follows JSON Schema 2020-12."""
    Draft202012Validator.check_schema(SCHEMA)


def test_every_member_is_described() -> None:
    """An editor has a text to show for each object and each member."""
    for definition in (SCHEMA, *SCHEMA["$defs"].values()):
        assert definition["description"]
        for name, member in definition["properties"].items():
            assert member.get("description"), name


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_job_files_validate(path: Path) -> None:
    """Every job file of the recipes is valid."""
    VALIDATOR.validate(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "change",
    [
        {"nodeCount": 0},
        {"nodeCount": "1"},
        {"nodeCuont": 1},
        {"cntkSettings": {"pythonScriptFilePaht": "x"}},
        {"horovodSettings": {"pythonScriptFilePath": "x"}},
        {"schedulingPriority": "hihg"},
        {"outputDirectories": [{"id": "stdouterr", "pathPrefix": "x"}]},
        {"outputDirectories": [{"id": "A"}]},
        {"secrets": [{"name": "S"}]},
        {"mountVolumes": {"azureFileShares": [{"relativeMountPath": "x"}]}},
        {"constraints": {"maxWallClockTime": 7}},
    ],
)
def test_the_schema_and_the_strict_reading_refuse_the_same(change: dict[str, Any]) -> None:
    """A mistake marked in the editor is a mistake at submission too, and the other way round."""
    document = {"properties": PROPERTIES | change}
    assert not VALIDATOR.is_valid(document)
    with pytest.raises(ValueError, match="properties"):
        models.JobCreateParameters.read(document, draft=True)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"schedulingPriority": "low", "constraints": {"maxWallClockTime": "1.00:00:00"}},
        {"outputDirectories": [{"id": "A", "pathPrefix": "x", "createNew": True, "type": "t"}]},
        {"secrets": [{"name": "S", "value": "v"}]},
        {"cluster": {"id": "/c"}, "containerSettings": {"imageSourceRegistry": {"image": "i"}}},
        {"environmentVariables": [{"name": "A", "value": "1"}]},
    ],
)
def test_the_schema_and_the_strict_reading_accept_the_same(change: dict[str, Any]) -> None:
    """What is right in the editor is right at submission."""
    document = {"$schema": "job.json", "properties": PROPERTIES | change}
    VALIDATOR.validate(document)
    assert models.JobCreateParameters.read(document, draft=True).properties.node_count == 1


@pytest.mark.parametrize("name", models.__all__)
def test_pydantic_can_describe_every_model(name: str) -> None:
    """Models also give the schema other tools of pydantic's ask them for."""
    model = getattr(models, name)
    if isinstance(model, type) and issubclass(model, models.Model):
        assert model.model_json_schema().keys() & {"properties", "$ref"}
