"""Job files: loaded, changed, saved, and turned into requests."""

import json
import pickle
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from batchai_quickstart import models
from batchai_quickstart.client.jobfile import JobSpec, account_of_share, job_schema
from batchai_quickstart.errors import ConfigurationError, InvalidSpecError
from batchai_quickstart.models import schema

JOBS = sorted((Path(__file__).parents[1] / "data" / "batchai" / "jobs").glob("*.json"))
QUICKSTART = next(path for path in JOBS if path.name == "CNTK-GPU-Python.json")
CLUSTER = "/subscriptions/s/resourceGroups/g/providers/Microsoft.BatchAI/workspaces/w/clusters/c"
STORAGE = ("mystorage", "a2V5LW9mLW15c3RvcmFnZQ==")
CUSTOM: dict[str, Any] = {
    "properties": {
        "nodeCount": 1,
        "stdOutErrPathPrefix": "$AZ_BATCHAI_JOB_TEMP_DIR",
        "customToolkitSettings": {"commandLine": "sort <INPUT >OUTPUT"},
    }
}


def with_mounts(**volumes: object) -> JobSpec:
    return JobSpec.from_dict({"properties": CUSTOM["properties"] | {"mountVolumes": volumes}})


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_a_job_file_is_saved_as_it_was_loaded(path: Path, tmp_path: Path) -> None:
    """Loading and saving gives the same bytes, and the same document in between."""
    spec = JobSpec.from_file(path)
    spec.to_file(tmp_path / "saved.json")
    assert path.read_bytes() == (tmp_path / "saved.json").read_bytes()
    original = json.loads(path.read_text(encoding="utf-8"))
    assert json.dumps(original) == json.dumps(spec.to_dict())
    assert json.dumps(original) == json.dumps(JobSpec.from_dict(original).to_dict())


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_every_job_file_becomes_a_complete_request(path: Path) -> None:
    """With cluster and storage account each file is a request the service's reading accepts."""
    body = JobSpec.from_file(path).to_request(CLUSTER, STORAGE)
    assert set(body) == {"properties"}
    assert "<AZURE_BATCHAI" not in json.dumps(body)
    job = models.JobCreateParameters.read(body).properties
    assert job.cluster == models.ResourceId(id=CLUSTER)


def test_the_quickstart_is_filled_in() -> None:
    """Account names come from URLs, placeholders and the account; keys from the account."""
    volumes = JobSpec.from_file(QUICKSTART).to_request(CLUSTER, STORAGE)["properties"][
        "mountVolumes"
    ]
    name, key = STORAGE
    assert [share["azureFileUrl"] for share in volumes["azureFileShares"]] == [
        f"https://{name}.file.core.windows.net/logs",
        f"https://{name}.file.core.windows.net/scripts",
    ]
    for volume in (*volumes["azureFileShares"], *volumes["azureBlobFileSystems"]):
        assert volume["accountName"] == name
        assert volume["credentials"] == {"accountKey": key}


def test_a_placeholder_that_is_left_is_named_with_its_place() -> None:
    """Submitting without an account says which placeholder is where and what to pass."""
    with pytest.raises(InvalidSpecError) as caught:
        JobSpec.from_file(QUICKSTART).to_request(CLUSTER)
    assert [finding.path for finding in caught.value.findings] == [
        "properties.mountVolumes.azureFileShares[0].azureFileUrl",
        "properties.mountVolumes.azureFileShares[1].azureFileUrl",
        "properties.mountVolumes.azureBlobFileSystems[0].accountName",
    ]
    problem = caught.value.findings[0].problem
    assert problem.startswith("<AZURE_BATCHAI_STORAGE_ACCOUNT> is not filled in, pass storage=")


def test_given_placeholders_are_seen_in_properties_and_never_saved(tmp_path: Path) -> None:
    """Placeholders fill the models and the request; the saved file still has them."""
    path = tmp_path / "job.json"
    document = json.loads(json.dumps(CUSTOM))
    document["properties"]["customToolkitSettings"]["commandLine"] = (
        "use <AZURE_BATCHAI_STORAGE_KEY> <COLOUR>"
    )
    path.write_text(json.dumps(document), encoding="utf-8")
    spec = JobSpec.from_file(
        path, placeholders={"AZURE_BATCHAI_STORAGE_KEY": "given", "<COLOUR>": "red"}
    )
    assert spec.properties.custom_toolkit_settings == models.CustomToolkitSettings(
        command_line="use given red"
    )
    properties = spec.to_request(CLUSTER, STORAGE)["properties"]
    assert properties["customToolkitSettings"] == {"commandLine": "use given red"}
    spec.replace(node_count=2).to_file(path)
    assert "<AZURE_BATCHAI_STORAGE_KEY> <COLOUR>" in path.read_text(encoding="utf-8")


def test_redirection_in_a_command_line_is_no_placeholder() -> None:
    """Only the placeholders of Batch AI have to be filled in; `<INPUT >OUTPUT` stays."""
    properties = JobSpec.from_dict(CUSTOM).to_request(CLUSTER)["properties"]
    assert properties["customToolkitSettings"] == {"commandLine": "sort <INPUT >OUTPUT"}


def test_what_the_document_says_itself_is_kept() -> None:
    """Own credentials, references to vaults and account names are not overwritten."""
    vault = {"sourceVault": {"id": "/v"}, "secretUrl": "https://v/secret"}
    spec = with_mounts(
        azureFileShares=[
            {
                "azureFileUrl": "https://other.file.core.windows.net/s",
                "relativeMountPath": "s",
                "credentials": {"accountKeySecretReference": vault},
            }
        ],
        azureBlobFileSystems=[
            {
                "accountName": "other",
                "containerName": "c",
                "relativeMountPath": "c",
                "credentials": {"accountKey": "b3RoZXI="},
            }
        ],
    )
    volumes = spec.to_request(CLUSTER, STORAGE)["properties"]["mountVolumes"]
    assert volumes["azureFileShares"][0]["accountName"] == "other"
    assert volumes["azureFileShares"][0]["credentials"] == {"accountKeySecretReference": vault}
    assert volumes["azureBlobFileSystems"][0]["credentials"] == {"accountKey": "b3RoZXI="}


def test_a_volume_of_another_account_needs_its_own_credentials() -> None:
    """The key of one account is never sent for another; the message names both accounts."""
    spec = with_mounts(
        azureFileShares=[
            {"azureFileUrl": "http://127.0.0.1:9/file/other/s", "relativeMountPath": "s"}
        ]
    )
    with pytest.raises(InvalidSpecError, match=r"account 'other' while the key .* 'mystorage'"):
        spec.to_request(CLUSTER, STORAGE)


@pytest.mark.parametrize(
    ("container", "missing"),
    [({}, "accountName"), ({"accountName": "a"}, "credentials")],
)
def test_mounts_without_any_account_say_what_to_pass(
    container: dict[str, str], missing: str
) -> None:
    """A container without account or key is reported with the way to give them."""
    spec = with_mounts(
        azureBlobFileSystems=[{"containerName": "c", "relativeMountPath": "c", **container}]
    )
    with pytest.raises(InvalidSpecError, match=rf"\[0\]\.{missing}: is missing, pass storage="):
        spec.to_request(CLUSTER)


def test_the_cluster_of_the_call_wins_and_one_is_needed() -> None:
    """The document's own cluster serves when none is passed; without any there is an error."""
    own = JobSpec.from_dict(CUSTOM).replace(cluster=models.ResourceId(id="/own"))
    assert own.to_request(None)["properties"]["cluster"] == {"id": "/own"}
    assert own.to_request(CLUSTER)["properties"]["cluster"] == {"id": CLUSTER}
    with pytest.raises(InvalidSpecError, match=r"properties\.cluster: is missing, pass cluster="):
        JobSpec.from_dict(CUSTOM).to_request(None)


@pytest.mark.parametrize(
    ("url", "account"),
    [
        ("https://acc.file.core.windows.net/share", "acc"),
        ("http://acc.file.localhost:10000/share", "acc"),
        ("http://127.0.0.1:10000/file/acc/share", "acc"),
        ("http://[::1]:10000/file/acc/share", "acc"),
        ("http://127.0.0.1:10000/share", None),
        ("https://example.org/file", None),
        ("//[", None),
        ("", None),
    ],
)
def test_the_account_of_a_share_is_found_in_its_url(url: str, account: str | None) -> None:
    """The first label of the host, or the path after `/file/`, names the account."""
    assert account_of_share(url) == account


def test_a_copy_with_changes_leaves_the_original(tmp_path: Path) -> None:
    """`replace` takes attributes with models or JSON, None removes, the order is kept."""
    spec = JobSpec.from_file(QUICKSTART)
    other = spec.replace(
        node_count=2,
        container_settings=None,
        constraints=models.JobConstraints(max_wall_clock_time=timedelta(hours=1)),
        environment_variables=[models.EnvironmentVariable(name="A", value="1")],
        secrets=[
            models.EnvironmentVariableWithSecretValue(name="S", value=SecretStr("hidden-value"))
        ],
    )
    assert (spec.properties.node_count, other.properties.node_count) == (1, 2)
    properties = other.to_dict()["properties"]
    assert "containerSettings" not in properties
    assert properties["constraints"] == {"maxWallClockTime": "PT1H"}
    assert properties["environmentVariables"] == [{"name": "A", "value": "1"}]
    assert properties["secrets"] == [{"name": "S", "value": "hidden-value"}]
    assert "$schema" in other.to_dict()
    assert "hidden-value" not in repr(other)
    other.to_file(tmp_path / "job.json")
    assert JobSpec.from_file(tmp_path / "job.json").to_dict() == other.to_dict()


def test_mistakes_in_a_change_are_found() -> None:
    """An unknown attribute is an error of the caller, an impossible value one of the job."""
    spec = JobSpec.from_dict(CUSTOM)
    with pytest.raises(TypeError, match="no property 'node_cuont'; did you mean 'node_count'"):
        spec.replace(node_cuont=2)
    with pytest.raises(InvalidSpecError, match=r"properties\.nodeCount: must be at least 1"):
        spec.replace(node_count=0)


@pytest.mark.parametrize("indentation", ["  ", "\t", "    "])
def test_a_changed_file_keeps_its_indentation(indentation: str, tmp_path: Path) -> None:
    """A file is saved with the indentation it was loaded with, text as text."""
    path = tmp_path / "job.json"
    document = json.loads(json.dumps(CUSTOM))
    document["properties"]["customToolkitSettings"]["commandLine"] = "echo grüße"
    path.write_text(json.dumps(document, indent=indentation), encoding="utf-8")
    JobSpec.from_file(path).replace(node_count=2).to_file(path)
    document["properties"]["nodeCount"] = 2
    expected = json.dumps(JobSpec.from_file(path).to_dict(), indent=indentation, ensure_ascii=False)
    assert path.read_text(encoding="utf-8") == expected + "\n"
    assert JobSpec.from_file(path).to_dict() == document


def test_a_spec_made_from_a_dict_shares_nothing_with_it() -> None:
    """Later changes of the dict, or of what `to_dict` gave, do not reach the spec."""
    document = json.loads(json.dumps(CUSTOM))
    spec = JobSpec.from_dict(document)
    document["properties"]["nodeCount"] = 5
    spec.to_dict()["properties"]["nodeCount"] = 6
    assert spec.to_dict() == CUSTOM
    assert spec == JobSpec.from_dict(CUSTOM)


def test_a_dict_may_hold_models_and_python_values() -> None:
    """Enumerations, durations, tuples and models in a dict are written as JSON."""
    spec = JobSpec.from_dict(
        {
            "properties": {
                **CUSTOM["properties"],
                "schedulingPriority": models.JobPriority.HIGH,
                "constraints": {"maxWallClockTime": timedelta(minutes=90)},
                "inputDirectories": (models.InputDirectory(id="IN", path="$X"),),
            }
        }
    )
    properties = spec.to_dict()["properties"]
    assert type(properties["schedulingPriority"]) is str
    assert properties["constraints"] == {"maxWallClockTime": "PT1H30M"}
    assert properties["inputDirectories"] == [{"id": "IN", "path": "$X"}]


def test_a_byte_order_mark_is_tolerated(tmp_path: Path) -> None:
    """A file saved by an editor that marks UTF-8 is read like any other."""
    path = tmp_path / "job.json"
    path.write_text(json.dumps(CUSTOM), encoding="utf-8-sig")
    assert JobSpec.from_file(path).to_dict() == CUSTOM


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{\n  "properties": {,}\n}', "job.json: line 2 column 18: no JSON: "),
        (b"", "job.json: line 1 column 1: no JSON: "),
        (b"\xff\xfe{\x00}\x00", r"job.json: .*is not UTF-8 \(byte 0\), save it as UTF-8"),
        (b"[]", "job.json: .*expected an object, found a list"),
        (b'{"properties": {}, "properties": {}}', "job.json: properties: is given more than once"),
    ],
)
def test_a_file_that_is_no_job_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    """Errors name the file and the place in it."""
    path = tmp_path / "job.json"
    path.write_bytes(content)
    with pytest.raises(InvalidSpecError, match=message):
        JobSpec.from_file(path)


def test_a_file_that_is_not_there_is_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    """A mistyped path is answered with the name that was probably meant."""
    (tmp_path / "job.json").touch()
    with pytest.raises(ConfigurationError, match=r"no job file .*did you mean 'job\.json'"):
        JobSpec.from_file(tmp_path / "jop.json")
    with pytest.raises(ConfigurationError, match=r"no job file .*working directory"):
        JobSpec.from_file(tmp_path / "nowhere" / "job.json")
    with pytest.raises(ConfigurationError, match="Cannot read job file"):
        JobSpec.from_file(tmp_path)


def test_a_spec_travels_between_processes() -> None:
    """A pickled spec is equal to the original."""
    spec = JobSpec.from_file(QUICKSTART)
    assert pickle.loads(pickle.dumps(spec)) == spec  # noqa: S301  # our own bytes
    assert repr(spec) == f"<JobSpec {QUICKSTART}: cntk on 1 node>"


def test_the_schema_of_job_files_is_at_hand() -> None:
    """The schema editors use is available beside the class that reads the files."""
    assert job_schema is schema.job_schema
