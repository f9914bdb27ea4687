"""Variables and paths of a job."""

from typing import Any

import pytest

from batchai_quickstart import models
from batchai_quickstart.errors import InvalidRequestError
from batchai_quickstart.ids import ResourceId
from batchai_quickstart.service.environment import (
    Place,
    Submission,
    directories,
    expand,
    host_file,
    node_variables,
    roots,
    user_variables,
)

JOB = ResourceId.parse(
    "/subscriptions/S/resourceGroups/G/providers/Microsoft.BatchAI/workspaces/W/experiments/E/jobs/J"
)
CLUSTER = ResourceId.parse(
    "/subscriptions/S/resourceGroups/G/providers/Microsoft.BatchAI/workspaces/W/clusters/nc6"
)
SEGMENT = "S/G/workspaces/W/experiments/E/jobs/J/uuid"
ROOTS = roots("/n0", "/n0", JOB)


def submission(**properties: Any) -> Submission:
    return Submission(
        id=JOB,
        run="run",
        segment=SEGMENT,
        properties=models.JobBaseProperties.from_wire(
            {
                "nodeCount": 1,
                "customToolkitSettings": {"commandLine": "true"},
                "stdOutErrPathPrefix": "$AZ_BATCHAI_JOB_MOUNT_ROOT/logs",
                **properties,
            }
        ),
        cluster=CLUSTER,
        cluster_mounts=None,
    )


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$A/x", "/a/x"),
        ("${A}x", "/ax"),
        ("$A$B", "/a$A"),
        ("plain", "plain"),
        ("cost 5$ or $5", "cost 5$ or $5"),
        ("$HOME", "$HOME"),
        ("${HOME", "${HOME"),
    ],
)
def test_names_are_replaced_once(text: str, expanded: str) -> None:
    """`$NAME` and `${NAME}` become values, values are not searched again, the rest stays."""
    assert expand(text, {"A": "/a", "B": "$A"}, "f", path=False) == expanded


def test_an_unknown_name_in_a_path_is_refused_with_the_nearest_one() -> None:
    """A misspelt variable is named, with its JSON path and the variable probably meant."""
    with pytest.raises(InvalidRequestError) as caught:
        expand("$AZ_BATCHIA_MOUNT_ROOT/x", ROOTS, "properties.stdOutErrPathPrefix")
    assert caught.value.target == "properties.stdOutErrPathPrefix"
    assert "$AZ_BATCHIA_MOUNT_ROOT is not defined here" in caught.value.message
    assert "the nearest is $AZ_BATCHAI_MOUNT_ROOT." in caught.value.message


def test_only_our_unknown_names_are_refused_in_values() -> None:
    """`$HOME` in a value is left to whoever reads it; `$AZ_BATCHAI_NO` cannot be right."""
    with pytest.raises(InvalidRequestError, match="AZ_BATCHAI_NO is not defined"):
        expand("$HOME $AZ_BATCHAI_NO", ROOTS, "f", path=False)


@pytest.mark.parametrize("prefix", ["", "logs", "./logs", "/a/../b", "..", "a:/b", "/a/.."])
def test_created_directories_are_absolute_and_do_not_climb(prefix: str) -> None:
    """Relative paths and `..` are refused where the service itself makes directories."""
    with pytest.raises(InvalidRequestError) as caught:
        directories(submission(stdOutErrPathPrefix=prefix), ROOTS)
    assert caught.value.target == "properties.stdOutErrPathPrefix"
    assert repr(prefix) in caught.value.message


@pytest.mark.parametrize(
    ("prefix", "directory"),
    [("//a/./b//c/", "/a/b/c"), ("/", ""), ("/.hidden/a..b", "/.hidden/a..b")],
)
def test_paths_are_normalised(prefix: str, directory: str) -> None:
    """Doubled and trailing slashes and dots are harmless."""
    found = directories(submission(stdOutErrPathPrefix=prefix), ROOTS)
    assert found["AZ_BATCHAI_STDOUTERR_DIR"] == f"{directory}/{SEGMENT}/stdouterr"


def test_the_services_own_root_may_be_reached_by_climbing() -> None:
    """`..` in a node's root is not the user's fault and stays as it is."""
    found = directories(submission(), roots("/home/../n0", "/n0", JOB))
    assert found["AZ_BATCHAI_STDOUTERR_DIR"].startswith("/home/../n0/jobs/W/E/J/mounts/logs/S/")


def test_directories_are_laid_out_as_batch_ai_did() -> None:
    """Outputs lie below prefix, segment and `outputs`; logs below prefix, segment, `stdouterr`."""
    found = directories(
        submission(
            inputDirectories=[
                {"id": "DATA", "path": "$AZ_BATCHAI_MOUNT_ROOT/external/mnist"},
                {"id": "TEST", "path": "$AZ_BATCHAI_INPUT_DATA/test"},
            ],
            outputDirectories=[
                {"id": "MODEL", "pathPrefix": "$AZ_BATCHAI_JOB_MOUNT_ROOT/logs/"},
                {"id": "more", "pathPrefix": "/x", "pathSuffix": "files/deep/"},
                {"id": "IN", "pathPrefix": "$AZ_BATCHAI_INPUT_DATA"},
            ],
        ),
        ROOTS,
    )
    mounts = "/n0/jobs/W/E/J/mounts"
    assert found == {
        "AZ_BATCHAI_INPUT_DATA": "/n0/mounts/external/mnist",
        "AZ_BATCHAI_INPUT_TEST": "/n0/mounts/external/mnist/test",
        "AZ_BATCHAI_OUTPUT_MODEL": f"{mounts}/logs/{SEGMENT}/outputs",
        "AZ_BATCHAI_OUTPUT_more": f"/x/{SEGMENT}/outputs/files/deep",
        "AZ_BATCHAI_OUTPUT_IN": f"/n0/mounts/external/mnist/{SEGMENT}/outputs",
        "AZ_BATCHAI_STDOUTERR_DIR": f"{mounts}/logs/{SEGMENT}/stdouterr",
    }


@pytest.mark.parametrize(
    ("properties", "target"),
    [
        ({"stdOutErrPathPrefix": "logs"}, "properties.stdOutErrPathPrefix"),
        ({"stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/../x"}, "properties.stdOutErrPathPrefix"),
        ({"stdOutErrPathPrefix": "$LOGS/x"}, "properties.stdOutErrPathPrefix"),
        (
            {"outputDirectories": [{"id": "M", "pathPrefix": "out"}]},
            "properties.outputDirectories[0].pathPrefix",
        ),
        (
            {"outputDirectories": [{"id": "M", "pathPrefix": "/o", "pathSuffix": "../../x"}]},
            "properties.outputDirectories[0].pathSuffix",
        ),
        (
            {"outputDirectories": [{"id": "M", "pathPrefix": "/o", "pathSuffix": "/x"}]},
            "properties.outputDirectories[0].pathSuffix",
        ),
        (
            {"outputDirectories": [{"id": "my-model", "pathPrefix": "/o"}]},
            "properties.outputDirectories[0].id",
        ),
        (
            {"inputDirectories": [{"id": "a=b", "path": "/o"}]},
            "properties.inputDirectories[0].id",
        ),
        (
            {"inputDirectories": [{"id": "A", "path": "$AZ_BATCHAI_MOUNT_ROOT/../x"}]},
            "properties.inputDirectories[0].path",
        ),
        (
            {"inputDirectories": [{"id": "A", "path": "$AZ_BATCHAI_OUTPUT_M"}]},
            "properties.inputDirectories[0].path",
        ),
    ],
)
def test_unusable_directories_are_refused(properties: dict[str, Any], target: str) -> None:
    """Escapes, relative prefixes, unknown variables and impossible ids name their JSON path."""
    with pytest.raises(InvalidRequestError) as caught:
        directories(submission(**properties), ROOTS)
    assert caught.value.target == target


def test_nodes_are_described_to_each_other() -> None:
    """Every process knows the master, all addresses, its own id and the GPUs handed to it."""
    places = [
        Place("tvm-1", "10.0.0.4", "/n0", (2, 3), 8),
        Place("tvm-2", "10.0.0.5", "/n1", (), 8),
    ]
    first, second = (node_variables(submission(), places, index) for index in (0, 1))
    assert first == {
        "AZ_BATCHAI_RUN_ID": "run",
        "AZ_BATCHAI_JOB_NAME": "J",
        "AZ_BATCHAI_CLUSTER_NAME": "nc6",
        "AZ_BATCHAI_NUM_GPUS": "2",
        "AZ_BATCHAI_NUM_GPUS_PER_NODE": "2",
        "AZ_BATCHAI_JOB_MASTER_NODE_IP": "10.0.0.4",
        "AZ_BATCHAI_MPI_MASTER_NODE": "10.0.0.4",
        "AZ_BATCH_HOST_LIST": "10.0.0.4,10.0.0.5",
        "AZ_BATCH_NODE_LIST": "10.0.0.4;10.0.0.5",
        "AZ_BATCH_MASTER_NODE": "10.0.0.4:6000",
        "AZ_BATCH_NODE_ID": "tvm-1",
        "AZ_BATCH_JOB_ID": "run",
        "AZ_BATCH_IS_CURRENT_NODE_MASTER": "true",
        "CUDA_VISIBLE_DEVICES": "2,3",
    }
    assert {name: second[name] for name in second if second[name] != first[name]} == {
        "AZ_BATCHAI_NUM_GPUS": "0",
        "AZ_BATCHAI_NUM_GPUS_PER_NODE": "0",
        "AZ_BATCH_NODE_ID": "tvm-2",
        "AZ_BATCH_IS_CURRENT_NODE_MASTER": "false",
        "CUDA_VISIBLE_DEVICES": "",
    }
    assert host_file(places) == "10.0.0.4 slots=2\n10.0.0.5 slots=8\n"


def test_the_shared_directory_is_on_the_first_node() -> None:
    """Each node has its own temporary directory; the shared one is the first node's for all."""
    second = roots("/n1", "/n0", JOB)
    assert second["AZ_BATCHAI_JOB_TEMP"] == "/n1/jobs/W/E/J"
    assert second["AZ_BATCHAI_SHARED_JOB_TEMP"] == "/n0/jobs/W/E/J/shared"
    assert ROOTS["AZ_BATCHAI_SHARED_JOB_TEMP"] == "/n0/jobs/W/E/J/shared"


def test_user_variables_refer_to_ours_and_to_earlier_ones() -> None:
    """Values may name our variables and the user's own above them; others stay as written."""
    job = submission(
        environmentVariables=[
            {"name": "BASE", "value": "$AZ_BATCHAI_JOB_TEMP/x"},
            {"name": "FULL", "value": "${BASE}/y:$LATER:$HOME"},
            {"name": "LATER", "value": "z"},
            {"name": "CUDA_VISIBLE_DEVICES", "value": "7"},
        ]
    )
    assert user_variables(job, ROOTS) == {
        "BASE": "/n0/jobs/W/E/J/x",
        "FULL": "/n0/jobs/W/E/J/x/y:$LATER:$HOME",
        "LATER": "z",
        "CUDA_VISIBLE_DEVICES": "7",
    }


@pytest.mark.parametrize(
    ("properties", "target"),
    [
        (
            {"environmentVariables": [{"name": "AZ_BATCHAI_MOUNT_ROOT", "value": "/"}]},
            "properties.environmentVariables[0].name",
        ),
        (
            {"environmentVariables": [{"name": "az_batch_node_id", "value": "/"}]},
            "properties.environmentVariables[0].name",
        ),
        (
            {"environmentVariables": [{"name": "my-name", "value": ""}]},
            "properties.environmentVariables[0].name",
        ),
        (
            {"environmentVariables": [{"name": "A", "value": ""}, {"name": "A", "value": ""}]},
            "properties.environmentVariables[1].name",
        ),
        (
            {
                "environmentVariables": [{"name": "A", "value": ""}],
                "secrets": [{"name": "A", "value": "s3cret"}],
            },
            "properties.secrets[0].name",
        ),
        (
            {"secrets": [{"name": "AZ_BATCHAI_RUN_ID", "value": "s3cret"}]},
            "properties.secrets[0].name",
        ),
        (
            {"environmentVariables": [{"name": "A", "value": "$AZ_BATCHAI_TYPO"}]},
            "properties.environmentVariables[0].value",
        ),
        (
            {
                "secrets": [
                    {
                        "name": "A",
                        "valueSecretReference": {"sourceVault": {"id": "/v"}, "secretUrl": "u"},
                    }
                ]
            },
            "properties.secrets[0].valueSecretReference",
        ),
    ],
)
def test_unusable_variables_are_refused(properties: dict[str, Any], target: str) -> None:
    """Reserved, doubled and impossible names are refused, and no secret shows in the message."""
    with pytest.raises(InvalidRequestError) as caught:
        user_variables(submission(**properties), ROOTS)
    assert caught.value.target == target
    assert "s3cret" not in caught.value.message
