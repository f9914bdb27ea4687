"""azure-mgmt-batchai 7.0.0, unmodified, against a live service; every answer fits the swagger."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.mgmt.batchai import BatchAI
from azure.mgmt.batchai import models as batchai_models

from batchai_quickstart.local import LocalService
from tests.wire.conftest import NoCredential, Token, Witness
from tests.wire.groups import delete_group, new_group, request

# The generated models say of every attribute that it is None: no types to check against.
models: Any = batchai_models


@pytest.fixture
def group(service: LocalService) -> Iterator[str]:
    """A resource group of the test's own, deleted with everything in it."""
    name = new_group(service)
    yield name
    delete_group(service, name)


@pytest.fixture
def workspace(batchai: Any, group: str) -> str:
    """A workspace `w` with an experiment `e`."""
    batchai.workspaces.begin_create(
        group, "w", models.WorkspaceCreateParameters(location="eastus")
    ).result()
    batchai.experiments.begin_create(group, "w", "e").result()
    return "w"


@pytest.fixture
def cluster(batchai: Any, group: str, workspace: str) -> Any:
    """A cluster of one node, its nodes allocated."""
    parameters = models.ClusterCreateParameters(
        vm_size="STANDARD_D1",
        scale_settings=models.ScaleSettings(manual=models.ManualScaleSettings(target_node_count=1)),
        user_account_settings=models.UserAccountSettings(
            admin_user_name="me", admin_user_password="secret-password"
        ),
    )
    return batchai.clusters.begin_create(group, workspace, "c", parameters).result()


def job_parameters(cluster: Any, command: str, **more: Any) -> Any:
    """A job without mounts: its output stays on the node."""
    return models.JobCreateParameters(
        cluster=models.ResourceId(id=cluster.id),
        node_count=1,
        custom_toolkit_settings=models.CustomToolkitSettings(command_line=command),
        std_out_err_path_prefix="$AZ_BATCHAI_JOB_TEMP",
        **more,
    )


def code_of(error: HttpResponseError) -> str | None:
    """Read the code of the error envelope."""
    return error.error.code if error.error else None


def wait_for_end(batchai: Any, group: str, name: str) -> Any:
    """Poll a job until it is over, as users of this client did."""
    for _ in range(3000):
        job = batchai.jobs.get(group, "w", "e", name)
        if job.execution_state in ("succeeded", "failed"):
            return job
        time.sleep(0.01)
    raise AssertionError(job.execution_state)


def test_workspace_life(batchai: Any, group: str, witness: Witness) -> None:
    """A workspace is created at once, listed, tagged, repeated without change, and deleted."""
    parameters = models.WorkspaceCreateParameters(location="eastus", tags={"a": "b"})
    made = batchai.workspaces.begin_create(group, "W-1", parameters).result()
    assert (made.name, made.location, made.tags) == ("W-1", "eastus", {"a": "b"})
    assert made.type == "Microsoft.BatchAI/workspaces"
    assert made.provisioning_state == "succeeded"
    again = batchai.workspaces.begin_create(group, "w-1", parameters).result()
    assert (again.name, again.creation_time) == ("W-1", made.creation_time)
    updated = batchai.workspaces.update(
        group, "W-1", models.WorkspaceUpdateParameters(tags={"c": "d"})
    )
    assert updated.tags == {"c": "d"}
    assert [item.name for item in batchai.workspaces.list_by_resource_group(group)] == ["W-1"]
    assert made.id in [item.id for item in batchai.workspaces.list()]
    batchai.workspaces.begin_delete(group, "W-1").result()
    with pytest.raises(ResourceNotFoundError) as missing:
        batchai.workspaces.get(group, "W-1")
    assert code_of(missing.value) == "ResourceNotFound"
    assert {"Workspaces_Create", "Workspaces_Update", "Workspaces_Delete"} <= witness.seen


def test_missing_things_have_their_own_codes(batchai: Any, group: str, workspace: str) -> None:
    """404 answers name what is missing by Batch AI's codes."""
    calls: dict[str, Callable[[], Any]] = {
        "ExperimentNotFound": lambda: batchai.experiments.get(group, workspace, "none"),
        "JobNotFound": lambda: batchai.jobs.get(group, workspace, "e", "none"),
        "ClusterNotFound": lambda: batchai.clusters.get(group, workspace, "none"),
        "ParentResourceNotFound": lambda: batchai.experiments.get(group, "none", "e"),
        "ResourceGroupNotFound": lambda: batchai.workspaces.get("none", "w"),
    }
    for code, call in calls.items():
        with pytest.raises(ResourceNotFoundError) as missing:
            call()
        assert code_of(missing.value) == code


def test_cluster_life(batchai: Any, group: str, cluster: Any) -> None:
    """A cluster reports its image, counts and settings, never its password, and is resized."""
    assert cluster.vm_size == "STANDARD_D1"
    assert cluster.virtual_machine_configuration.image_reference.publisher == "Canonical"
    assert cluster.user_account_settings.admin_user_password is None
    manual = models.ManualScaleSettings(target_node_count=3)
    changed = batchai.clusters.update(
        group,
        "w",
        "c",
        models.ClusterUpdateParameters(scale_settings=models.ScaleSettings(manual=manual)),
    )
    assert changed.scale_settings.manual.target_node_count == 3
    now = batchai.clusters.get(group, "w", "c")
    assert (now.allocation_state, now.current_node_count) == ("steady", 3)
    assert now.node_state_counts.idle_node_count == 3
    batchai.clusters.begin_delete(group, "w", "c").result()
    assert list(batchai.clusters.list_by_workspace(group, "w")) == []


def test_job_runs_to_its_end(batchai: Any, group: str, cluster: Any) -> None:
    """A job is queued, runs, succeeds, and reports what Batch AI reported."""
    made = batchai.jobs.begin_create(group, "w", "e", "j", job_parameters(cluster, "true")).result()
    assert made.tool_type == "custom"
    assert made.job_output_directory_path_segment.startswith(
        f"{batchai._config.subscription_id}/{group}/workspaces/w/experiments/e/jobs/j/"
    )
    job = wait_for_end(batchai, group, "j")
    assert (job.execution_state, job.execution_info.exit_code) == ("succeeded", 0)
    assert job.execution_info.errors is None
    assert job.execution_info.end_time >= job.execution_info.start_time
    assert job.constraints.max_wall_clock_time.days == 7


def test_failing_job_says_why(batchai: Any, group: str, cluster: Any) -> None:
    """A command that exits 7 fails the job with its exit code and Batch AI's words."""
    batchai.jobs.begin_create(group, "w", "e", "j", job_parameters(cluster, "exit 7")).result()
    job = wait_for_end(batchai, group, "j")
    assert (job.execution_state, job.execution_info.exit_code) == ("failed", 7)
    (error,) = job.execution_info.errors
    assert (error.code, error.message) == ("JobFailed", "Job failed with non-zero exit code")


def test_terminate_running_queued_and_finished(batchai: Any, group: str, cluster: Any) -> None:
    """Termination ends a running and a queued job as failed, and leaves a finished one alone."""
    for name in ("first", "second"):
        batchai.jobs.begin_create(
            group, "w", "e", name, job_parameters(cluster, "sleep 60")
        ).result()
    assert batchai.jobs.get(group, "w", "e", "second").execution_state == "queued"
    for name in ("second", "first"):
        batchai.jobs.begin_terminate(group, "w", "e", name).result()
        job = batchai.jobs.get(group, "w", "e", name)
        assert job.execution_state == "failed"
        assert job.execution_info.exit_code is None
        assert [error.code for error in job.execution_info.errors] == ["JobTerminated"]
    before = batchai.jobs.get(group, "w", "e", "first").as_dict()
    batchai.jobs.begin_terminate(group, "w", "e", "first").result()
    assert batchai.jobs.get(group, "w", "e", "first").as_dict() == before


def test_repeated_create_is_harmless_and_a_different_one_conflicts(
    batchai: Any, group: str, cluster: Any
) -> None:
    """The same PUT twice is one job; another job of the same name is refused."""
    first = batchai.jobs.begin_create(
        group, "w", "e", "j", job_parameters(cluster, "true")
    ).result()
    again = batchai.jobs.begin_create(
        group, "w", "e", "j", job_parameters(cluster, "true")
    ).result()
    assert again.job_output_directory_path_segment == first.job_output_directory_path_segment
    with pytest.raises(ResourceExistsError) as conflict:
        batchai.jobs.begin_create(group, "w", "e", "j", job_parameters(cluster, "false"))
    assert code_of(conflict.value) == "JobAlreadyExists"


def test_secrets_never_come_back(batchai: Any, group: str, cluster: Any) -> None:
    """A secret variable reaches the job and is not in any answer."""
    secret = models.EnvironmentVariableWithSecretValue(name="TOKEN", value="hush-hush")
    made = batchai.jobs.begin_create(
        group, "w", "e", "j", job_parameters(cluster, "[ ${#TOKEN} -eq 9 ]", secrets=[secret])
    ).result()
    assert [item.name for item in made.secrets] == ["TOKEN"]
    assert "hush-hush" not in str(made.as_dict())
    assert wait_for_end(batchai, group, "j").execution_state == "succeeded"


def test_busy_cluster_is_not_deleted(batchai: Any, group: str, cluster: Any) -> None:
    """A cluster with a running job is refused deletion, by the job's name."""
    batchai.jobs.begin_create(group, "w", "e", "busy", job_parameters(cluster, "sleep 60")).result()
    with pytest.raises(ResourceExistsError, match="busy"):
        batchai.clusters.begin_delete(group, "w", "c")
    batchai.experiments.begin_delete(group, "w", "e").result()
    batchai.clusters.begin_delete(group, "w", "c").result()


def test_lists_are_paged(batchai: Any, group: str, workspace: str) -> None:
    """A list of five in pages of two holds each once."""
    for index in range(5):
        batchai.experiments.begin_create(group, workspace, f"e{index}").result()
    options = models.ExperimentsListByWorkspaceOptions(max_results=2)
    names = [e.name for e in batchai.experiments.list_by_workspace(group, workspace, options)]
    assert names == ["e", "e0", "e1", "e2", "e3", "e4"]


def test_what_is_not_there_is_refused_by_name(batchai: Any, group: str, workspace: str) -> None:
    """An operation that is not provided says so with its own name."""
    calls: list[Callable[[], Any]] = [
        lambda: list(batchai.operations.list()),
        lambda: list(batchai.usages.list("eastus")),
        lambda: list(batchai.file_servers.list_by_workspace(group, workspace)),
    ]
    for call in calls:
        with pytest.raises(HttpResponseError) as refused:
            call()
        assert refused.value.status_code == 501
        assert code_of(refused.value) == "NotImplemented"


def test_wrong_token_is_refused(service: LocalService) -> None:
    """A request with another token, or none, gets 401 and no word about resources."""
    with (
        BatchAI(
            NoCredential(),
            service.subscription_id,
            base_url=service.endpoint,
            authentication_policy=Token("wrong"),
        ) as client,
        pytest.raises(HttpResponseError) as refused,
    ):
        client.workspaces.get("g", "w")
    assert refused.value.status_code == 401
    assert code_of(refused.value) == "InvalidAuthenticationToken"


def test_long_poll_of_a_cluster_sees_its_nodes_change(
    service: LocalService, batchai: Any, group: str, cluster: Any
) -> None:
    """A held GET of a cluster is answered when a node turns busy, not at its end."""
    url = f"{service.endpoint}{cluster.id}?api-version=2018-05-01"
    headers = {"Authorization": f"Bearer {service.token}"}
    first = requests.get(url, headers=headers, timeout=60)
    headers |= {"Prefer": "wait=50", "If-None-Match": first.headers["ETag"]}
    answers: list[requests.Response] = []
    waiting = threading.Thread(
        target=lambda: answers.append(requests.get(url, headers=headers, timeout=60))
    )
    waiting.start()
    batchai.jobs.begin_create(group, "w", "e", "j", job_parameters(cluster, "sleep 60")).result()
    waiting.join(30)
    (answer,) = answers
    assert answer.headers["Preference-Applied"] == "wait"
    assert answer.json()["properties"]["nodeStateCounts"]["runningNodeCount"] == 1
    batchai.jobs.begin_terminate(group, "w", "e", "j").result()


def test_account_is_deleted_whatever_the_case_of_its_name(service: LocalService) -> None:
    """DELETE by another spelling removes the account itself: its name is free again."""
    group = new_group(service)
    path = f"/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts"
    version = "api-version=2025-08-01"
    name = f"case{group}"
    request(service, "PUT", f"{path}/{name}?{version}", {"location": "eastus"})
    request(service, "DELETE", f"{path}/{name.upper()}?{version}")
    check = f"/providers/Microsoft.Storage/checkNameAvailability?{version}"
    assert request(service, "POST", check, {"name": name}) == {"nameAvailable": True}
    delete_group(service, group)


@pytest.mark.parametrize("name", ["..", "a.", "x" * 91, "a b"])
def test_bad_group_names_are_refused(service: LocalService, name: str) -> None:
    """A group's name cannot end in a period, nor hold what Azure does not allow."""
    url = f"{service.endpoint}/subscriptions/{service.subscription_id}/resourcegroups/{quote(name)}"
    prepared = requests.Request("PUT", "http://x", json={"location": "eastus"}).prepare()
    prepared.url = f"{url}?api-version=2024-11-01"
    prepared.headers["Authorization"] = f"Bearer {service.token}"
    answer = requests.Session().send(prepared, timeout=60)
    assert answer.status_code == 400


def test_odd_preferences_are_no_error(service: LocalService, group: str) -> None:
    """`Prefer: wait` with something else than a number is passed over."""
    url = f"{service.endpoint}/subscriptions/{service.subscription_id}/resourcegroups/{group}"
    headers: dict[str, str | bytes] = {
        "Authorization": f"Bearer {service.token}",
        "If-None-Match": "x",
    }
    for value in ("nan", "-1", "\u00b2", "1e9"):
        headers["Prefer"] = f"wait={value}".encode("latin-1")
        answer = requests.get(f"{url}?api-version=2024-11-01", headers=headers, timeout=60)
        assert answer.status_code == 200
