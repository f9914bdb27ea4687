"""From a job to its plan."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from batchai_quickstart import models
from batchai_quickstart.errors import InvalidRequestError, NotFoundError
from batchai_quickstart.execution.plan import JobPlan, Link, TextFile
from batchai_quickstart.ids import ResourceId
from batchai_quickstart.service.mounts import VolumeKind
from batchai_quickstart.service.plan import (
    OutputLocation,
    Place,
    Submission,
    check,
    job_plan,
    output_location,
)
from batchai_quickstart.service.toolkits import SHELL

JOBS = Path(__file__).parents[1] / "data" / "batchai" / "jobs"

WORKSPACE = "/subscriptions/S/resourceGroups/G/providers/Microsoft.BatchAI/workspaces/quickstart"
JOB = ResourceId.parse(f"{WORKSPACE}/experiments/quickstart/jobs/cntk_python_1")
CLUSTER = ResourceId.parse(f"{WORKSPACE}/clusters/nc6")
SEGMENT = "S/G/workspaces/quickstart/experiments/quickstart/jobs/cntk_python_1/uuid"
PLACE = Place("tvm-1", "127.0.0.1", "/n0", (0,), 6)
TEMP = "/n0/jobs/quickstart/quickstart/cntk_python_1"
LOGS = f"/store/mystorage/file/logs/{SEGMENT}/stdouterr"

QUICKSTART: dict[str, Any] = {
    "nodeCount": 1,
    "cntkSettings": {
        "pythonScriptFilePath": "$AZ_BATCHAI_JOB_MOUNT_ROOT/scripts/cntk/convnet_mnist.py",
        "commandLineArgs": "$AZ_BATCHAI_JOB_MOUNT_ROOT/data/mnist_cntk $AZ_BATCHAI_OUTPUT_MODEL",
    },
    "stdOutErrPathPrefix": "$AZ_BATCHAI_JOB_MOUNT_ROOT/logs",
    "outputDirectories": [{"id": "MODEL", "pathPrefix": "$AZ_BATCHAI_JOB_MOUNT_ROOT/logs"}],
    "mountVolumes": {
        "azureFileShares": [
            {
                "azureFileUrl": "https://mystorage.file.core.windows.net/logs",
                "relativeMountPath": "logs",
            },
            {
                "azureFileUrl": "https://mystorage.file.core.windows.net/scripts",
                "relativeMountPath": "scripts",
            },
        ],
        "azureBlobFileSystems": [
            {
                "accountName": "mystorage",
                "containerName": "data",
                "relativeMountPath": "data",
            }
        ],
    },
}
CUSTOM: dict[str, Any] = {
    "nodeCount": 1,
    "customToolkitSettings": {"commandLine": "true"},
    "stdOutErrPathPrefix": "$AZ_BATCHAI_JOB_MOUNT_ROOT/logs",
    "mountVolumes": QUICKSTART["mountVolumes"],
}


def submission(
    properties: dict[str, Any], cluster_mounts: dict[str, Any] | None = None, **more: Any
) -> Submission:
    return Submission(
        id=JOB,
        run="11111111-2222-3333-4444-555555555555",
        segment=SEGMENT,
        properties=models.JobBaseProperties.from_wire({**properties, **more}),
        cluster=CLUSTER,
        cluster_mounts=models.MountVolumes.from_wire(cluster_mounts) if cluster_mounts else None,
    )


def directory(account: str, kind: VolumeKind, name: str) -> str:
    return f"/store/{account}/{kind}/{name}"


def planned(job: Submission, *places: Place) -> JobPlan:
    return job_plan(job, places or (PLACE,), directory, python="/usr/bin/python3")


def external(path: str = "external") -> dict[str, Any]:
    return {
        "azureFileShares": [
            {
                "azureFileUrl": "https://mystorage.file.core.windows.net/external",
                "relativeMountPath": path,
            }
        ]
    }


def test_the_quickstart_job_is_planned_in_full() -> None:
    """Every path, variable, link and command line of the quickstart's job, exactly."""
    job = submission(QUICKSTART)
    check(job)
    plan = planned(job)
    mounts = f"{TEMP}/mounts"
    env = {
        "AZ_BATCHAI_ROOT": "/n0",
        "AZ_BATCHAI_MOUNT_ROOT": "/n0/mounts",
        "AZ_BATCHAI_JOB_MOUNT_ROOT": mounts,
        "AZ_BATCHAI_JOB_TEMP": TEMP,
        "AZ_BATCHAI_JOB_TEMP_DIR": "/n0/jobs",
        "AZ_BATCHAI_SHARED_JOB_TEMP": f"{TEMP}/shared",
        "AZ_BATCHAI_JOB_WORK_DIR": f"{TEMP}/wd",
        "AZ_BATCHAI_MPI_HOST_FILE": f"{TEMP}/hostfile",
        "AZ_BATCHAI_OUTPUT_MODEL": f"{mounts}/logs/{SEGMENT}/outputs",
        "AZ_BATCHAI_STDOUTERR_DIR": f"{mounts}/logs/{SEGMENT}/stdouterr",
        "AZ_BATCHAI_RUN_ID": job.run,
        "AZ_BATCHAI_JOB_NAME": "cntk_python_1",
        "AZ_BATCHAI_CLUSTER_NAME": "nc6",
        "AZ_BATCHAI_NUM_GPUS": "1",
        "AZ_BATCHAI_NUM_GPUS_PER_NODE": "1",
        "AZ_BATCHAI_JOB_MASTER_NODE_IP": "127.0.0.1",
        "AZ_BATCHAI_MPI_MASTER_NODE": "127.0.0.1",
        "AZ_BATCH_HOST_LIST": "127.0.0.1",
        "AZ_BATCH_NODE_LIST": "127.0.0.1",
        "AZ_BATCH_MASTER_NODE": "127.0.0.1:6000",
        "AZ_BATCH_NODE_ID": "tvm-1",
        "AZ_BATCH_JOB_ID": job.run,
        "AZ_BATCH_IS_CURRENT_NODE_MASTER": "true",
        "CUDA_VISIBLE_DEVICES": "0",
        "KERAS_BACKEND": "cntk",
        "PYTHONUNBUFFERED": "1",
    }
    (main,) = plan.main
    arguments = QUICKSTART["cntkSettings"]["commandLineArgs"]
    assert dict(main.env) == env
    assert len(main.env) == len(env)
    assert (main.name, main.node, main.cwd) == ("main", 0, f"{TEMP}/wd")
    assert main.argv == (
        SHELL,
        "-c",
        f"/usr/bin/python3 {mounts}/scripts/cntk/convnet_mnist.py {arguments}",
    )
    assert (main.stdout, main.stderr) == (f"{LOGS}/stdout.txt", f"{LOGS}/stderr.txt")
    assert plan == JobPlan(
        run=job.run,
        job=str(JOB),
        scratch=(TEMP, mounts, f"{TEMP}/wd", f"{TEMP}/shared"),
        links=(
            Link(f"{mounts}/logs", "/store/mystorage/file/logs", "AZFMountError"),
            Link(f"{mounts}/scripts", "/store/mystorage/file/scripts", "AZFMountError"),
            Link(f"{mounts}/data", "/store/mystorage/blob/data", "BFSMountError"),
        ),
        directories=(
            "/n0/mounts",
            f"/store/mystorage/file/logs/{SEGMENT}/outputs",
            LOGS,
        ),
        files=(TextFile(f"{TEMP}/hostfile", "127.0.0.1 slots=1\n"),),
        preparation=(),
        main=(main,),
        log=f"{LOGS}/execution.log",
        wall_clock=7 * 86400.0,
        secrets=(),
    )
    assert JobPlan.from_json(plan.to_json()) == plan


def test_preparation_runs_on_every_node_and_main_on_the_first() -> None:
    """Several nodes: own directories and links, one shared directory, log files named by node."""
    job = submission(CUSTOM, nodeCount=2, jobPreparation={"commandLine": "echo $X > y"})
    plan = planned(job, PLACE, Place("tvm-2", "127.0.0.1", "/n1", (), 4))
    second = "/n1/jobs/quickstart/quickstart/cntk_python_1"
    assert [(each.name, each.node, each.argv[-1]) for each in plan.preparation] == [
        ("prep-0", 0, "echo $X > y"),
        ("prep-1", 1, "echo $X > y"),
    ]
    assert [each.stdout for each in plan.preparation] == [
        f"{LOGS}/stdout-job_prep-tvm-1.txt",
        f"{LOGS}/stdout-job_prep-tvm-2.txt",
    ]
    assert plan.preparation[1].stderr == f"{LOGS}/stderr-job_prep-tvm-2.txt"
    assert plan.preparation[1].cwd == f"{second}/wd"
    own = dict(plan.preparation[1].env)
    assert own["AZ_BATCHAI_STDOUTERR_DIR"] == f"{second}/mounts/logs/{SEGMENT}/stdouterr"
    assert own["AZ_BATCHAI_SHARED_JOB_TEMP"] == f"{TEMP}/shared"
    assert [(each.name, each.node) for each in plan.main] == [("main", 0)]
    assert [link.path for link in plan.links[3:]] == [
        f"{second}/mounts/{name}" for name in ("logs", "scripts", "data")
    ]
    assert plan.directories.count(LOGS) == plan.scratch.count(f"{TEMP}/shared") == 1
    assert f"{second}/wd" in plan.scratch
    assert f"{second}/shared" not in plan.scratch
    hosts = "127.0.0.1 slots=1\n127.0.0.1 slots=4\n"
    assert plan.files == (
        TextFile(f"{TEMP}/hostfile", hosts),
        TextFile(f"{second}/hostfile", hosts),
    )


def test_a_single_node_prepares_under_the_documented_names() -> None:
    """On one node preparation logs carry no node; it has the variables of the toolkit too."""
    job = submission(QUICKSTART, jobPreparation={"commandLine": "true"})
    plan = planned(job)
    (prepare,) = plan.preparation
    assert (prepare.stdout, prepare.stderr) == (
        f"{LOGS}/stdout-job_prep.txt",
        f"{LOGS}/stderr-job_prep.txt",
    )
    assert prepare.env == plan.main[0].env


def test_secrets_are_names_only() -> None:
    """No secret value reaches the plan."""
    job = submission(CUSTOM, secrets=[{"name": "TOKEN", "value": "s3cret"}])
    check(job)
    plan = planned(job)
    assert plan.secrets == ("TOKEN",)
    assert "s3cret" not in plan.to_json()
    assert "TOKEN" not in dict(plan.main[0].env)


def test_the_wall_clock_limit_is_in_seconds() -> None:
    """A limit like `PT1H5S` becomes seconds; nothing or less is refused."""
    job = submission(CUSTOM, constraints={"maxWallClockTime": "PT1H5S"})
    assert planned(job).wall_clock == 3605.0
    with pytest.raises(InvalidRequestError) as caught:
        check(submission(CUSTOM, constraints={"maxWallClockTime": "PT0S"}))
    assert caught.value.target == "properties.constraints.maxWallClockTime"


def test_cluster_mounts_are_linked_and_listable() -> None:
    """What the cluster mounts lies below AZ_BATCHAI_MOUNT_ROOT; outputs there can be listed."""
    prefix = "$AZ_BATCHAI_MOUNT_ROOT/deep/external/runs"
    job = submission(
        CUSTOM,
        external("deep/external"),
        mountVolumes=None,
        stdOutErrPathPrefix=prefix,
        outputDirectories=[{"id": "M", "pathPrefix": prefix, "pathSuffix": "Models"}],
    )
    check(job)
    plan = planned(job)
    assert plan.links == (
        Link("/n0/mounts/deep/external", "/store/mystorage/file/external", "AZFMountError"),
    )
    assert plan.scratch[4:] == ("/n0/mounts/deep",)
    assert plan.log == f"/store/mystorage/file/external/runs/{SEGMENT}/stdouterr/execution.log"
    assert output_location(job, "stdouterr") == OutputLocation(
        "mystorage", "file", "external", f"runs/{SEGMENT}/stdouterr"
    )
    assert output_location(job, "M").path == f"runs/{SEGMENT}/outputs/Models"


def test_outputs_are_found_on_their_volumes() -> None:
    """`stdouterr` and output directories are told by account, kind, volume and path."""
    job = submission(
        QUICKSTART,
        outputDirectories=[
            {"id": "MODEL", "pathPrefix": "$AZ_BATCHAI_JOB_MOUNT_ROOT/logs"},
            {"id": "BLOBS", "pathPrefix": "${AZ_BATCHAI_JOB_MOUNT_ROOT}/data/x/"},
        ],
    )
    assert output_location(job, "stdouterr") == OutputLocation(
        "mystorage", "file", "logs", f"{SEGMENT}/stdouterr"
    )
    assert output_location(job, "MODEL").path == f"{SEGMENT}/outputs"
    assert output_location(job, "BLOBS") == OutputLocation(
        "mystorage", "blob", "data", f"x/{SEGMENT}/outputs"
    )


@pytest.mark.parametrize(
    "prefix",
    [
        "$AZ_BATCHAI_MOUNT_ROOT/external",
        "$AZ_BATCHAI_JOB_TEMP_DIR",
        "/var/tmp/results",
    ],
)
def test_outputs_on_no_mount_are_local_and_cannot_be_listed(prefix: str) -> None:
    """A prefix off the mounts is a plain directory of the node: it runs, listing is a 400."""
    job = submission(CUSTOM, stdOutErrPathPrefix=prefix)
    check(job)
    logs = dict(planned(job).main[0].env)["AZ_BATCHAI_STDOUTERR_DIR"]
    assert planned(job).log == f"{logs}/execution.log"
    assert logs in planned(job).directories
    with pytest.raises(InvalidRequestError) as caught:
        output_location(job, "stdouterr")
    assert caught.value.status == 400
    assert (
        "The specified outputDirectoryId stdouterr is not present on a mount root"
        in caught.value.message
    )


@pytest.mark.parametrize("prefix", ["$AZ_BATCHAI_JOB_MOUNT_ROOT/log", "$AZ_BATCHAI_JOB_MOUNT_ROOT"])
def test_outputs_beside_the_job_s_mounts_are_refused(prefix: str) -> None:
    """Below the job's mount root, but on no mount, is a slip of the pen: the mounts are named."""
    with pytest.raises(InvalidRequestError, match="logs") as caught:
        check(submission(QUICKSTART, stdOutErrPathPrefix=prefix))
    assert caught.value.target == "properties.stdOutErrPathPrefix"
    with pytest.raises(InvalidRequestError, match="none of the job's mounts"):
        check(submission(QUICKSTART, outputDirectories=[{"id": "MODEL", "pathPrefix": prefix}]))


@pytest.mark.parametrize("directory_id", ["model", "STDOUTERR", "", "MODEL/.."])
def test_unknown_output_directories_are_not_found(directory_id: str) -> None:
    """Ids match exactly; others are a 404 that names those there are."""
    with pytest.raises(NotFoundError, match="stdouterr, MODEL") as caught:
        output_location(submission(QUICKSTART), directory_id)
    assert caught.value.status == 404


def test_missing_volumes_are_no_reason_to_refuse_a_submission() -> None:
    """A share may be made while the job waits; when it is not, planning tells the mount's code."""

    def nothing(account: str, kind: VolumeKind, name: str) -> str:
        raise NotFoundError(f"no share {name}")

    job = submission(QUICKSTART)
    check(job)
    with pytest.raises(NotFoundError) as caught:
        job_plan(job, (PLACE,), nothing, python="python")
    assert caught.value.code == "AZFMountError"


@pytest.mark.parametrize(
    ("properties", "target"),
    [
        ({"nodeCount": 0}, "properties.nodeCount"),
        ({"nodeCount": 1_000_000, "stdOutErrPathPrefix": "logs"}, "properties.stdOutErrPathPrefix"),
        (
            {"containerSettings": {"imageSourceRegistry": {"image": "microsoft/cntk"}}},
            "properties.containerSettings",
        ),
        ({"mountVolumes": external("../up")}, None),
        ({"environmentVariables": [{"name": "A", "value": "x\0y"}]}, "properties"),
        ({"customToolkitSettings": {"commandLine": "echo \ud800"}}, "properties"),
        ({"secrets": [{"name": "AZ_BATCHAI_X", "value": "y"}]}, "properties.secrets[0].name"),
    ],
)
def test_what_cannot_run_is_refused_at_submission(
    properties: dict[str, Any], target: str | None
) -> None:
    """`check` needs no nodes to find what planning would refuse, and what no process can hold."""
    check(submission(CUSTOM))
    with pytest.raises(InvalidRequestError) as caught:
        check(submission(CUSTOM, **properties))
    assert caught.value.status == 400
    assert caught.value.target == (
        target or "properties.mountVolumes.azureFileShares[0].relativeMountPath"
    )


REFUSED_AS_WRITTEN = {
    "CNTK-GPU-BrainScript-Distributed": "properties.cntkSettings.configFilePath",
    "CNTK-GPU-BrainScript": "properties.cntkSettings.configFilePath",
    "CNTK-GPU-Python-Distributed-Infiniband": "properties.cntkSettings.processCount",
    "CNTK-GPU-Python-Distributed": "properties.cntkSettings.processCount",
    "CNTK-GPU-Python": "properties.containerSettings",
    "Chainer-GPU-Distributed": "properties.chainerSettings",
    "Horovod-PyTorch": "properties.horovodSettings",
    "Keras-GPU-cntk": "properties.containerSettings",
    "TensorFlow-GPU": "properties.tensorFlowSettings",
}


def recipe(name: str) -> dict[str, Any]:
    text = (JOBS / f"{name}.json").read_text("utf-8")
    filled = json.loads(text.replace("<AZURE_BATCHAI_STORAGE_ACCOUNT>", "mystorage"))
    return dict(filled["properties"])


def test_every_recipe_is_looked_at() -> None:
    """The table below covers all job files of the recipes."""
    assert {path.stem for path in JOBS.glob("*.json")} == set(REFUSED_AS_WRITTEN)


@pytest.mark.parametrize(("name", "target"), REFUSED_AS_WRITTEN.items())
def test_recipes_are_refused_by_name(name: str, target: str) -> None:
    """What a recipe's job needs and is not there yet is named, whatever else it asks for."""
    with pytest.raises(InvalidRequestError) as caught:
        check(submission(recipe(name), external()))
    assert caught.value.target == target


@pytest.mark.parametrize(
    "name", [name for name, target in REFUSED_AS_WRITTEN.items() if "container" in target]
)
def test_recipes_run_without_their_container(name: str) -> None:
    """The Python recipes on one node are planned once containerSettings is removed."""
    properties = copy.deepcopy(recipe(name))
    del properties["containerSettings"]
    job = submission(properties, external())
    check(job)
    plan = planned(job)
    script = properties["cntkSettings"]["pythonScriptFilePath"].rpartition("/")[2]
    assert script in plan.main[0].argv[2]
    assert plan.log == f"{LOGS}/execution.log"
