"""What a person wrote: accepted, or every mistake at once, each with its place."""

from copy import deepcopy
from typing import Any

import pytest

from batchai_quickstart import models
from batchai_quickstart.errors import InvalidRequestError, InvalidSpecError

JOB: dict[str, Any] = {
    "properties": {
        "cluster": {"id": "/c"},
        "nodeCount": 1,
        "stdOutErrPathPrefix": "$AZ_BATCHAI_JOB_MOUNT_ROOT/logs",
        "cntkSettings": {"pythonScriptFilePath": "train.py"},
        "mountVolumes": {
            "azureFileShares": [
                {
                    "accountName": "acc",
                    "azureFileUrl": "https://acc.file.core.windows.net/logs",
                    "credentials": {"accountKey": "a2V5"},
                    "relativeMountPath": "logs",
                }
            ]
        },
        "outputDirectories": [{"id": "MODEL", "pathPrefix": "$AZ_BATCHAI_JOB_MOUNT_ROOT/logs"}],
    }
}
CLUSTER: dict[str, Any] = {
    "properties": {
        "vmSize": "Standard_NC6",
        "userAccountSettings": {"adminUserName": "demo"},
        "scaleSettings": {"manual": {"targetNodeCount": 0}},
    }
}

MISSING = object()


def changed(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy of `document` with `value` at `path` (`a.b.0.c`); MISSING removes it."""
    copy = deepcopy(document)
    node: Any = copy
    *steps, last = (int(step) if step.isdigit() else step for step in path.split("."))
    for step in steps:
        node = node[step]
    if value is MISSING:
        del node[last]
    else:
        node[last] = value
    return copy


def findings(document: Any, *, draft: bool = False) -> list[tuple[str, str, str | None]]:
    with pytest.raises(InvalidSpecError) as caught:
        models.JobCreateParameters.read(document, draft=draft)
    return [(found.path, found.problem, found.suggestion) for found in caught.value.findings]


def test_a_complete_job_is_accepted() -> None:
    """The document the mistakes below are made in has none itself."""
    job = models.JobCreateParameters.read(JOB).properties
    assert job.cntk_settings == models.CNTKsettings(python_script_file_path="train.py")
    assert job.node_count == 1


P = "properties"
SHARE = "properties.mountVolumes.azureFileShares.0"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (f"{P}.nodeCount", MISSING, ("nodeCount", "is missing", None)),
        (f"{P}.nodeCount", None, ("nodeCount", "is missing", None)),
        (f"{P}.nodeCount", "1", ("nodeCount", "expected a whole number, found a string", None)),
        (f"{P}.nodeCount", True, ("nodeCount", "expected a whole number, found true", None)),
        (f"{P}.nodeCount", 1.0, ("nodeCount", "expected a whole number, found 1.0", None)),
        (f"{P}.nodeCount", 0, ("nodeCount", "must be at least 1, found 0", None)),
        (f"{P}.cluster", MISSING, ("cluster", "is missing", None)),
        (f"{P}.cluster", "/c", ("cluster", "expected an object, found a string", None)),
        (
            f"{P}.stdOutErrPathPrefix",
            1,
            ("stdOutErrPathPrefix", "expected a string, found a number", None),
        ),
        (
            f"{P}.inputDirectories",
            {},
            ("inputDirectories", "expected a list, found an object", None),
        ),
        (
            f"{P}.shedulingPriority",
            "low",
            ("shedulingPriority", "unknown name", "schedulingPriority"),
        ),
        (
            f"{P}.schedulingPriority",
            "hihg",
            ("schedulingPriority", "'hihg' is none of low, normal, high", "high"),
        ),
        (
            f"{P}.job_preparation",
            {"commandLine": "true"},
            ("job_preparation", "unknown name", "jobPreparation"),
        ),
        (
            f"{P}.cntkSettings.processCount",
            0,
            ("cntkSettings.processCount", "must be at least 1, found 0", None),
        ),
        (
            f"{SHARE}.credentials",
            MISSING,
            ("mountVolumes.azureFileShares[0].credentials", "is missing", None),
        ),
        (
            f"{SHARE}.accountName",
            MISSING,
            ("mountVolumes.azureFileShares[0].accountName", "is missing", None),
        ),
        (
            f"{P}.outputDirectories.0.id",
            "stdouterr",
            (
                "outputDirectories[0].id",
                "'stdouterr' is reserved by the service, choose another id",
                None,
            ),
        ),
        (
            f"{P}.constraints",
            {"maxWallClockTime": "soon"},
            (
                "constraints.maxWallClockTime",
                "'soon' is no duration like 'P7D', 'PT1H30M' or '7.00:00:00'",
                None,
            ),
        ),
        (
            f"{P}.constraints",
            {"maxWallClockTime": "PT0S"},
            ("constraints.maxWallClockTime", "must be longer than nothing, found 'PT0S'", None),
        ),
        (
            f"{P}.constraints",
            {"maxWallClockTime": 60},
            ("constraints.maxWallClockTime", "expected a string, found a number", None),
        ),
    ],
)
def test_a_mistake_is_one_finding(
    path: str, value: object, expected: tuple[str, str, str | None]
) -> None:
    """Each mistake gives a finding: JSON path, what was found, nearest valid name."""
    where, problem, suggestion = expected
    assert findings(changed(JOB, path, value)) == [(f"properties.{where}", problem, suggestion)]


def test_a_name_near_to_nothing_is_answered_with_the_known_names() -> None:
    """Where no valid name is near, or the near one is there already, all names are listed."""
    problem = (
        "unknown name here (known: languageType, configFilePath, pythonScriptFilePath, "
        "pythonInterpreterPath, commandLineArgs, processCount)"
    )
    for name in ("colour", "pythonScriptFilePaht"):
        path = f"properties.cntkSettings.{name}"
        assert findings(changed(JOB, path, "x")) == [(path, problem, None)]


def test_a_misspelt_name_is_read_as_the_name_that_was_meant() -> None:
    """A misspelt name is neither missing as well nor hides what is wrong inside it."""
    document = changed(JOB, "properties.cntkSettings", MISSING)
    document["properties"]["cntkSetings"] = {"pythonScriptFilePaht": 3, "processCount": 0}
    assert findings(document) == [
        ("properties.cntkSetings", "unknown name", "cntkSettings"),
        ("properties.cntkSetings.pythonScriptFilePaht", "unknown name", "pythonScriptFilePath"),
        (
            "properties.cntkSetings.pythonScriptFilePaht",
            "expected a string, found a number",
            None,
        ),
        ("properties.cntkSetings.processCount", "must be at least 1, found 0", None),
    ]


def test_findings_come_in_document_order_and_in_one_message() -> None:
    """The message names the document and lists every finding from top to bottom."""
    document = changed(JOB, "properties.outputDirectories.0", {"id": 1, "pathPrefx": "x"})
    document["properties"]["nodeCount"] = 0
    with pytest.raises(InvalidSpecError) as caught:
        models.JobCreateParameters.read(document, where="job.json")
    assert str(caught.value) == (
        "job.json: properties.nodeCount: must be at least 1, found 0; "
        "properties.outputDirectories[0].id: expected a string, found a number; "
        "properties.outputDirectories[0].pathPrefx: unknown name; did you mean 'pathPrefix'?"
    )
    assert caught.value.target == "properties.nodeCount"


@pytest.mark.parametrize("document", [[], "job", 3, None, True])
def test_a_document_that_is_no_object_is_refused(document: object) -> None:
    """Any JSON value but an object is one finding at the top level."""
    ((path, problem, _),) = findings(document)
    assert path == ""
    assert problem.startswith("expected an object, found ")


def test_members_one_level_too_high_are_told_where_they_belong() -> None:
    """A job without its `properties` level is a mistake people make; the message helps."""
    assert findings({"nodeCount": 1}) == [
        ("nodeCount", "unknown name here (belongs in 'properties')", None),
        ("properties", "is missing", None),
    ]


def test_a_job_has_exactly_one_toolkit() -> None:
    """None and several are findings that name the valid names and those found."""
    ((path, problem, _),) = findings(changed(JOB, "properties.cntkSettings", MISSING))
    assert path == "properties"
    assert problem.startswith("has none of cntkSettings, pyTorchSettings, tensorFlowSettings, ")
    two = changed(JOB, "properties.customToolkitSettings", {"commandLine": "true"})
    assert findings(two) == [
        (
            "properties",
            "has cntkSettings and customToolkitSettings, but only one of them may be given",
            None,
        )
    ]


def test_toolkit_of_properties_without_exactly_one_is_an_error() -> None:
    """Asked for the toolkit of impossible properties, the wire's error says what was found."""
    none = models.JobProperties()
    two = models.JobProperties.from_wire({"cntkSettings": {}, "customToolkitSettings": {}})
    with pytest.raises(InvalidRequestError, match="found none") as caught:
        models.tool_type(none)
    assert caught.value.code == "InvalidToolkitSettings"
    with pytest.raises(InvalidRequestError, match="found cntkSettings and customToolkitSettings"):
        models.tool_type(two)


def test_ids_of_directories_are_unique() -> None:
    """Two output directories with one id, or two inputs, are a finding at the second."""
    directory = JOB["properties"]["outputDirectories"][0]
    twice = changed(JOB, "properties.outputDirectories", [directory, directory])
    assert findings(twice) == [
        (
            "properties.outputDirectories[1].id",
            "'MODEL' is the id of outputDirectories[0] already",
            None,
        )
    ]


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        ({"name": "S"}, "has none of value, valueSecretReference, of which one must be given"),
        (
            {
                "name": "S",
                "value": "v",
                "valueSecretReference": {"sourceVault": {"id": "/v"}, "secretUrl": "https://v"},
            },
            "has value and valueSecretReference, but only one of them may be given",
        ),
    ],
)
def test_a_secret_has_exactly_one_source(secret: object, problem: str) -> None:
    """A secret variable has its value or a reference to a vault, not none and not both."""
    document = changed(JOB, "properties.secrets", [secret])
    assert findings(document) == [("properties.secrets[0]", problem, None)]


@pytest.mark.parametrize(
    ("scale", "fault"),
    [
        ({}, "has none of manual, autoScale"),
        (
            {
                "manual": {"targetNodeCount": 1},
                "autoScale": {"minimumNodeCount": 0, "maximumNodeCount": 1},
            },
            "has manual and autoScale",
        ),
        ({"manual": {}}, r"manual\.targetNodeCount: is missing"),
        ({"manual": {"targetNodeCount": -1}}, r"manual\.targetNodeCount: must be at least 0"),
    ],
)
def test_a_cluster_is_scaled_in_exactly_one_way(scale: object, fault: str) -> None:
    """Manual and automatic scaling exclude each other, and one has to be complete."""
    with pytest.raises(InvalidSpecError, match=f"properties.scaleSettings.*{fault}"):
        models.ClusterCreateParameters.read(changed(CLUSTER, "properties.scaleSettings", scale))


def test_what_means_nothing_is_accepted_and_dropped() -> None:
    """Members that old samples, portals and answers carry are no mistakes."""
    document = changed(JOB, "properties.outputDirectories.0.createNew", True)
    document["properties"]["outputDirectories"][0]["type"] = "model"
    document |= {"$schema": "https://example.org/job.json", "location": "eastus", "tags": {}}
    document |= {"id": "/j", "name": "j", "type": "Microsoft.BatchAI/Job"}
    document["properties"] |= {"executionState": "failed", "toolType": "cntk", "creationTime": "x"}
    assert models.JobCreateParameters.read(document) == models.JobCreateParameters.read(JOB)
    task = {"commandLine": "true", "stdOutErrPathPrefix": "$X", "runElevated": True}
    assert models.SetupTask.read(task).command_line == "true"


def test_null_is_absent() -> None:
    """A null member is the same as none at all: defaults apply."""
    document = changed(JOB, "properties.schedulingPriority", None)
    assert models.JobCreateParameters.read(document) == models.JobCreateParameters.read(JOB)


def test_enumerations_are_read_without_case() -> None:
    """What people write in any case is the member."""
    document = changed(CLUSTER, "properties.vmPriority", "LowPriority")
    read = models.ClusterCreateParameters.read(document).properties
    assert read.vm_priority is models.VmPriority.LOWPRIORITY


def test_a_draft_may_lack_what_the_client_fills_in_and_nothing_else() -> None:
    """Without cluster, account names and keys a job is a valid file but no valid request."""
    document = changed(JOB, "properties.cluster", MISSING)
    share = document["properties"]["mountVolumes"]["azureFileShares"][0]
    del share["accountName"], share["credentials"]
    document["properties"]["mountVolumes"]["azureBlobFileSystems"] = [
        {"containerName": "data", "relativeMountPath": "data", "credentials": {}}
    ]
    assert models.JobCreateParameters.read(document, draft=True).properties.cluster is None
    assert [path for path, *_ in findings(document)] == [
        "properties.mountVolumes.azureFileShares[0].accountName",
        "properties.mountVolumes.azureFileShares[0].credentials",
        "properties.mountVolumes.azureBlobFileSystems[0].credentials",
        "properties.mountVolumes.azureBlobFileSystems[0].accountName",
        "properties.cluster",
    ]
    del share["azureFileUrl"]
    assert findings(document, draft=True) == [
        ("properties.mountVolumes.azureFileShares[0].azureFileUrl", "is missing", None)
    ]
