"""The handles: what they send, what they are."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import responses
from responses import matchers
from responses.registries import OrderedRegistry

from batchai_quickstart import (
    Cluster,
    ConfigurationError,
    Connection,
    Experiment,
    InvalidRequestError,
    InvalidSpecError,
    Job,
    JobFailedError,
    NotFoundError,
    ResourceGroup,
    StorageAccount,
    TransferError,
    Workspace,
)
from batchai_quickstart.ids import CLUSTER, EXPERIMENT, JOB, STORAGE_ACCOUNT, WORKSPACE, ResourceId

from .conftest import ENDPOINT, SUBSCRIPTION

KEY_LINE = "ssh-ed25519 AAAA me@here"
GROUP = ResourceId(SUBSCRIPTION, "g")
SPACE = GROUP.child(WORKSPACE, "w")
NODES = SPACE.child(CLUSTER, "c")
TRIAL = SPACE.child(EXPERIMENT, "e")
RUN = TRIAL.child(JOB, "j")
ACCOUNT = GROUP.child(STORAGE_ACCOUNT, "store")
GROUP_URL = f"{ENDPOINT}/subscriptions/{SUBSCRIPTION}/resourcegroups/g"
SPEC: dict[str, Any] = {
    "properties": {
        "nodeCount": 1,
        "customToolkitSettings": {"commandLine": "true"},
        "stdOutErrPathPrefix": "$AZ_BATCHAI_JOB_MOUNT_ROOT/logs",
        "mountVolumes": {
            "azureFileShares": [
                {
                    "azureFileUrl": "https://<AZURE_BATCHAI_STORAGE_ACCOUNT>"
                    ".file.core.windows.net/logs",
                    "relativeMountPath": "logs",
                }
            ]
        },
    }
}


def url(resource: ResourceId, action: str = "") -> str:
    return f"{ENDPOINT}{resource}{action}"


def refused(code: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": f"{code}!"}}


def sent(wire: responses.RequestsMock, index: int = -1) -> Any:
    """The JSON body of a request."""
    body = wire.calls[index].request.body
    assert body is not None
    return json.loads(body)


@pytest.fixture
def workspace(connection: Connection) -> Workspace:
    """A handle on a workspace, nothing asked."""
    return Workspace.from_id(SPACE, connection=connection)


@pytest.fixture
def cluster(connection: Connection) -> Cluster:
    """A handle on a cluster, nothing asked."""
    return Cluster.from_id(NODES, connection=connection)


@pytest.fixture
def job(connection: Connection) -> Job:
    """A handle on a job, nothing asked."""
    return Job.from_id(RUN, connection=connection)


def test_workspace_brings_its_group(connection: Connection) -> None:
    """A missing resource group is created in the workspace's location, an existing one is left."""
    body = {"id": str(SPACE), "name": "w", "location": "eastus"}
    with responses.RequestsMock(registry=OrderedRegistry) as wire:
        wire.put(url(SPACE), status=404, json=refused("ResourceGroupNotFound"))
        wire.put(GROUP_URL, status=201, json={"id": str(GROUP), "name": "g", "location": "eastus"})
        wire.put(url(SPACE), json=body)
        made = Workspace.create("w", resource_group="g", location="eastus", connection=connection)
        assert sent(wire, 1)["location"] == sent(wire, 2)["location"] == "eastus"
    assert (made.name, made.location) == ("w", "eastus")
    assert repr(made) == "Workspace('w', resource_group='g')"


def test_names_are_checked_before_anything_is_sent(connection: Connection) -> None:
    """A name the service would refuse is refused here, with the rule."""
    with pytest.raises(InvalidRequestError, match="no valid name for a workspace"):
        Workspace.create("a/b", resource_group="g", location="eastus", connection=connection)


def test_cluster_request(wire: responses.RequestsMock, workspace: Workspace) -> None:
    """A cluster is asked for with image, size, count and the admin's key."""
    wire.put(url(NODES), status=202)
    Cluster.create(
        workspace,
        "c",
        vm_size="Standard_NC6",
        target_node_count=1,
        admin_user_name="me",
        admin_ssh_public_key=KEY_LINE,
    )
    assert sent(wire)["properties"] == {
        "vmSize": "Standard_NC6",
        "vmPriority": "dedicated",
        "scaleSettings": {"manual": {"targetNodeCount": 1, "nodeDeallocationOption": "requeue"}},
        "virtualMachineConfiguration": {
            "imageReference": {
                "publisher": "microsoft-ads",
                "offer": "linux-data-science-vm-ubuntu",
                "sku": "linuxdsvmubuntu",
                "version": "latest",
            }
        },
        "userAccountSettings": {"adminUserName": "me", "adminUserSshPublicKey": KEY_LINE},
    }


def test_cluster_that_scales_itself(wire: responses.RequestsMock, workspace: Workspace) -> None:
    """Limits instead of a target make a cluster that follows its queue; images may be spelt out."""
    wire.put(url(NODES), status=202)
    Cluster.create(
        workspace,
        "c",
        vm_size="Standard_D1",
        min_node_count=0,
        max_node_count=4,
        image="Canonical:UbuntuServer:18.04-LTS",
        admin_ssh_public_key=KEY_LINE,
    )
    asked = sent(wire)["properties"]
    assert asked["scaleSettings"]["autoScale"]["maximumNodeCount"] == 4
    reference = asked["virtualMachineConfiguration"]["imageReference"]
    assert (reference["sku"], reference["version"]) == ("18.04-LTS", "latest")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "either target_node_count"),
        ({"target_node_count": 1, "max_node_count": 2}, "either target_node_count"),
        ({"min_node_count": 3, "max_node_count": 2}, "min <= max"),
        ({"target_node_count": 1, "image": "Ubuntu"}, "'Ubuntu' is no image"),
        ({"target_node_count": 1, "image": "a::b"}, "is no image"),
        ({"target_node_count": 1, "admin_ssh_public_key": "/nowhere.pub"}, "cannot read"),
    ],
)
def test_impossible_clusters(options: dict[str, Any], reason: str, workspace: Workspace) -> None:
    """Contradictory sizes, unknown images and missing keys are told before anything is sent."""
    options = {"admin_ssh_public_key": KEY_LINE, **options}
    with pytest.raises((InvalidRequestError, ConfigurationError), match=reason):
        Cluster.create(workspace, "c", vm_size="Standard_NC6", **options)


def test_resize_and_steady(cluster: Cluster) -> None:
    """After a resize the old `steady` does not count: the number of nodes must fit too."""

    def seen(state: str, nodes: int) -> dict[str, Any]:
        scale = {"manual": {"targetNodeCount": 2}}
        facts = {"allocationState": state, "currentNodeCount": nodes, "scaleSettings": scale}
        return {"name": "c", "properties": facts}

    pushed = {"Preference-Applied": "wait"}
    with responses.RequestsMock(registry=OrderedRegistry) as wire:
        wire.patch(url(NODES), json=seen("steady", 1))
        wire.get(url(NODES), json=seen("resizing", 1), headers={"ETag": '"1"', **pushed})
        wire.get(url(NODES), json=seen("steady", 2), headers={"ETag": '"2"', **pushed})
        cluster.resize(2).wait_steady(timeout=60)
        manual = sent(wire, 0)["properties"]["scaleSettings"]["manual"]
    assert manual == {"targetNodeCount": 2, "nodeDeallocationOption": "requeue"}
    assert (cluster.state, cluster.node_count) == ("steady", 2)


def test_submission_is_one_request(wire: responses.RequestsMock, cluster: Cluster) -> None:
    """Where the experiment exists and the key is known, submitting costs one request."""
    storage = StorageAccount(cluster.connection, ACCOUNT)
    storage._keys = ("a2V5",)
    wire.put(url(RUN), status=202)
    made = Job.submit("j", SPEC, cluster=cluster, experiment="e", storage=storage)
    asked = sent(wire)["properties"]
    assert asked["cluster"] == {"id": str(NODES)}
    share = asked["mountVolumes"]["azureFileShares"][0]
    assert share["accountName"] == "store"
    assert share["credentials"] == {"accountKey": "a2V5"}
    assert share["azureFileUrl"] == "https://store.file.core.windows.net/logs"
    assert made.id == RUN
    assert len(wire.calls) == 1


def test_submission_brings_its_experiment(cluster: Cluster) -> None:
    """A missing experiment given by name is created; one given as a handle is not."""
    missing = refused("ExperimentNotFound")
    storage = StorageAccount(cluster.connection, ACCOUNT)
    storage._keys = ("a2V5",)
    with responses.RequestsMock(registry=OrderedRegistry) as wire:
        wire.put(url(RUN), status=404, json=missing)
        wire.put(url(TRIAL), json={"name": "e"})
        wire.put(url(RUN), status=202)
        Job.submit("j", SPEC, cluster=cluster, experiment="e", storage=storage)
        wire.put(url(RUN), status=404, json=missing)
        handle = Experiment.from_id(TRIAL, connection=cluster.connection)
        with pytest.raises(NotFoundError):
            Job.submit("j", SPEC, cluster=cluster, experiment=handle, storage=storage)


def test_storage_comes_from_the_environment(
    wire: responses.RequestsMock, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without storage= the account is that of the variables the original tools read."""
    monkeypatch.setenv("AZURE_BATCHAI_STORAGE_ACCOUNT", "envstore")
    monkeypatch.setenv("AZURE_BATCHAI_STORAGE_KEY", "ZW52")
    wire.put(url(RUN), status=202)
    Job.submit("j", SPEC, cluster=cluster, experiment="e")
    share = sent(wire)["properties"]["mountVolumes"]["azureFileShares"][0]
    assert (share["accountName"], share["credentials"]["accountKey"]) == ("envstore", "ZW52")


def test_mistakes_in_a_job_file_cost_no_request(cluster: Cluster, tmp_path: Path) -> None:
    """A misspelt key is told with its path before anything is sent."""
    path = tmp_path / "job.json"
    path.write_text(json.dumps({"properties": {**SPEC["properties"], "nodeCuont": 1}}))
    with pytest.raises(InvalidSpecError, match="nodeCount"):
        Job.submit("j", path, cluster=cluster, experiment="e")


def test_failed_job_raises_with_the_end_of_stderr(wire: responses.RequestsMock, job: Job) -> None:
    """`raise_for_status` carries exit code, errors, and the last lines of standard error."""
    error = {"code": "JobFailed", "message": "Job failed with non-zero exit code"}
    info = {"exitCode": 3, "errors": [error]}
    wire.get(
        url(RUN),
        json={"name": "j", "properties": {"executionState": "failed", "executionInfo": info}},
    )
    log = b"x" * 5000 + b"\nTraceback: boom\n"
    facts = {"contentLength": len(log)}
    names = ("stderr-job_prep.txt", "stderr.txt", "stdout.txt")
    files = [
        {"name": name, "fileType": "file", "downloadUrl": f"{ENDPOINT}/{name}", "properties": facts}
        for name in names
    ]
    wire.post(url(RUN, "/listOutputFiles"), json={"value": files})
    begin = matchers.header_matcher({"Range": f"bytes={len(log) - 4096}-"})
    wire.get(f"{ENDPOINT}/stderr.txt", body=log[-4096:], status=206, match=[begin])
    with pytest.raises(JobFailedError, match="job j failed with exit code 3: JobFailed") as caught:
        job.raise_for_status()
    assert caught.value.exit_code == job.exit_code == 3
    assert caught.value.stderr_tail == "Traceback: boom\n"
    assert caught.value.errors == ((error["code"], error["message"]),)


def test_failure_is_told_even_without_its_log(wire: responses.RequestsMock, job: Job) -> None:
    """A log that cannot be listed does not hide the failure."""
    wire.get(url(RUN), json={"name": "j", "properties": {"executionState": "failed"}})
    wire.post(url(RUN, "/listOutputFiles"), status=400, json=refused("X"))
    with pytest.raises(JobFailedError) as caught:
        job.raise_for_status()
    assert caught.value.stderr_tail == ""


def test_job_that_did_not_fail_raises_nothing(wire: responses.RequestsMock, job: Job) -> None:
    """`raise_for_status` of a running or succeeded job returns the handle."""
    wire.get(url(RUN), json={"name": "j", "properties": {"executionState": "running"}})
    assert job.raise_for_status() is job
    assert job.exit_code is None


def output(name: str, size: int) -> dict[str, Any]:
    link = f"{ENDPOINT}/out/{name}"
    facts = {"contentLength": size}
    return {"name": name, "fileType": "file", "downloadUrl": link, "properties": facts}


def test_download_keeps_the_tree(wire: responses.RequestsMock, job: Job, tmp_path: Path) -> None:
    """Subdirectories come too; the pattern looks at the path; empty files need no request."""
    here = matchers.query_param_matcher({"directory": "."}, strict_match=False)
    below = matchers.query_param_matcher({"directory": "sub"}, strict_match=False)
    top = [output("a.txt", 1), {"name": "sub", "fileType": "directory"}]
    listing = url(RUN, "/listOutputFiles")
    wire.post(listing, json={"value": top}, match=[here])
    inner = {"value": [output("m.model", 4), output("zero.model", 0)]}
    wire.post(listing, json=inner, match=[below])
    wire.get(f"{ENDPOINT}/out/m.model", body=b"data", status=206)
    written = job.download("MODEL", tmp_path / "out", pattern="*.model")
    assert written == [tmp_path / "out/sub/m.model", tmp_path / "out/sub/zero.model"]
    assert [path.read_bytes() for path in written] == [b"data", b""]
    with pytest.raises(NotFoundError, match=r"matches '\*.dnn'.*a.txt, sub/m.model"):
        job.download("MODEL", tmp_path, pattern="*.dnn")


def test_short_download_leaves_nothing(
    wire: responses.RequestsMock, job: Job, tmp_path: Path
) -> None:
    """A file that came short is not kept, under no name."""
    wire.post(url(RUN, "/listOutputFiles"), json={"value": [output("m", 10)]})
    wire.get(f"{ENDPOINT}/out/m", body=b"short", status=206)
    with pytest.raises(TransferError, match="5 bytes came, the service listed 10"):
        job.download("MODEL", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["..", "a/b", "..\\x", ""])
def test_names_from_the_network_stay_below_the_destination(
    name: str, wire: responses.RequestsMock, job: Job, tmp_path: Path
) -> None:
    """A listed name that would lead elsewhere is refused."""
    wire.post(url(RUN, "/listOutputFiles"), json={"value": [output(name, 1)]})
    with pytest.raises(TransferError, match="no file can have"):
        job.download("MODEL", tmp_path / "x")


def test_files_have_size_time_and_link(wire: responses.RequestsMock, job: Job) -> None:
    """Entries say what they are; the link, a credential, is not in the repr."""
    entry = output("m", 10)
    entry["properties"]["lastModified"] = "2026-01-02T03:04:05Z"
    directory = {"name": "d", "fileType": "directory"}
    wire.post(url(RUN, "/listOutputFiles"), json={"value": [directory, entry]})
    folder, file = job.files("MODEL")
    assert (folder.is_directory, folder.size, folder.url) == (True, None, None)
    assert (file.name, file.size, file.is_directory) == ("m", 10, False)
    assert file.last_modified is not None
    assert file.last_modified.isoformat() == "2026-01-02T03:04:05+00:00"
    assert file.url == f"{ENDPOINT}/out/m"
    assert "/out/" not in repr(file)


def test_account_takes_the_location_of_its_group(
    wire: responses.RequestsMock, connection: Connection
) -> None:
    """A storage account without location= lives where its group does; its key is asked once."""
    wire.get(GROUP_URL, json={"id": str(GROUP), "name": "g", "location": "westus"})
    body = {"id": str(ACCOUNT), "name": "store", "location": "westus"}
    wire.put(url(ACCOUNT), json=body)
    account = StorageAccount.create("store", resource_group="g", connection=connection)
    assert sent(wire)["location"] == account.location == "westus"
    wire.post(url(ACCOUNT, "/listKeys"), json={"keys": [{"keyName": "key1", "value": "a2V5"}]})
    assert account.key == account.key == "a2V5"
    assert len(wire.calls) == 3
    assert b"a2V5" not in pickle.dumps(account)
    assert "a2V5" not in repr(account)


def test_group_handle(wire: responses.RequestsMock, connection: Connection) -> None:
    """A group is created, listed and deleted by its name."""
    facts = {"id": str(GROUP), "name": "g", "location": "eastus"}
    wire.put(GROUP_URL, status=201, json=facts)
    group = ResourceGroup.create("g", location="eastus", connection=connection)
    assert (group.location, group.tags, str(group.id)) == ("eastus", {}, str(GROUP))
    wire.get(GROUP_URL.removesuffix("/g"), json={"value": [facts]})
    assert ResourceGroup.list(connection=connection) == [group]
    wire.delete(GROUP_URL, status=200)
    group.delete()


def test_handles_are_equal_by_id_and_survive_pickling(
    workspace: Workspace, cluster: Cluster, job: Job, connection: Connection
) -> None:
    """Handles on one resource are equal, whatever the case of the id, and so after a pickle."""
    experiment = Experiment.from_id(TRIAL, connection=connection)
    account = StorageAccount.from_id(ACCOUNT, connection=connection)
    volumes = (account.share("s"), account.container("s"))
    for handle in (workspace, cluster, experiment, job, account, *volumes):
        again = pickle.loads(pickle.dumps(handle))  # noqa: S301 - our own
        assert again == handle
        assert hash(again) == hash(handle)
        assert repr(again) == repr(handle)
    assert job == Job.from_id(str(RUN).upper(), connection=connection)
    assert job.experiment == experiment
    assert cluster.workspace == workspace == experiment.workspace
    assert volumes[0] != volumes[1]
