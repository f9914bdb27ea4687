"""The object API against the real service: submitted, followed, waited for, ended."""

import os
import signal
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from batchai_quickstart import (
    Cluster,
    ConflictError,
    Connection,
    Experiment,
    InvalidRequestError,
    Job,
    JobFailedError,
    LocalService,
    NotFoundError,
    ResourceGroup,
    StorageAccount,
    WaitTimeoutError,
    Workspace,
    local,
)
from batchai_quickstart.client import connection as connections


class Place:
    """A workspace with a cluster and a storage account of these tests' own."""

    def __init__(self, connection: Connection) -> None:
        name = f"t{uuid.uuid4().hex[:12]}"
        self.workspace = Workspace.create(
            "w", resource_group=name, location="eastus", connection=connection
        )
        self.cluster = Cluster.create(
            self.workspace, "c", vm_size="Standard_D1", target_node_count=2
        ).wait_steady(timeout=60)
        self.storage = StorageAccount.create(name, resource_group=name, connection=connection)
        self.storage.share("logs").create()
        self.group = ResourceGroup.get(name, connection=connection)

    def spec(self, command: str) -> dict[str, Any]:
        share = "https://<AZURE_BATCHAI_STORAGE_ACCOUNT>.file.core.windows.net/logs"
        prefix = "$AZ_BATCHAI_JOB_MOUNT_ROOT/logs"
        return {
            "properties": {
                "nodeCount": 1,
                "customToolkitSettings": {"commandLine": command},
                "stdOutErrPathPrefix": prefix,
                "outputDirectories": [{"id": "MODEL", "pathPrefix": prefix}],
                "mountVolumes": {
                    "azureFileShares": [{"azureFileUrl": share, "relativeMountPath": "logs"}]
                },
            }
        }

    def submit(self, command: str, name: str | None = None) -> Job:
        name = name or f"j{uuid.uuid4().hex[:8]}"
        spec = self.spec(command)
        return Job.submit(name, spec, cluster=self.cluster, experiment="e", storage=self.storage)


@pytest.fixture(scope="module")
def place(service: LocalService) -> Iterator[Place]:
    """Where the jobs of this module run."""
    made = Place(Connection.open(service.endpoint, token=service.token))
    yield made
    made.group.delete()


def test_lines_come_while_the_job_runs(place: Place, tmp_path: Path) -> None:
    """Each line is there before the job writes the next one; the last, unended one comes too."""
    gate = tmp_path / "gate"
    wait = f"while [ ! -e {gate} ]; do sleep 0.01; done"
    job = place.submit(f"echo first; {wait}; printf 'zweite Zeile: äöü €'")
    lines = job.iter_log("stdout.txt")
    assert next(lines) == "first"
    assert job.refresh().state == "running"
    gate.touch()
    assert list(lines) == ["zweite Zeile: äöü €"]
    assert job.state == "succeeded"
    assert job.wait(timeout=60).raise_for_status().exit_code == 0


def test_finished_logs_are_read_at_once(place: Place) -> None:
    """After the end the whole log and its end are there, an empty one ends at once."""
    job = place.submit("seq 1 2000").wait(timeout=60)
    assert list(job.iter_log("stdout.txt")) == [str(number) for number in range(1, 2001)]
    assert list(job.iter_log("stdout.txt", tail=2)) == ["1999", "2000"]
    assert list(job.iter_log("stderr.txt")) == []
    assert list(job.iter_log("stdout.txt", from_start=False)) == []
    again = Job.get(Experiment.get(place.workspace, "e"), job.name)
    assert list(again.iter_log("stderr.txt")) == []


def test_two_followers_and_a_large_log(place: Place) -> None:
    """Several readers of one large log each get every byte in order."""
    job = place.submit("seq 1 300000")
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: "".join(job.iter_log_chunks("stdout.txt")), range(2))
    assert first == second == "".join(f"{number}\n" for number in range(1, 300001))


def test_waiting_threads_see_the_end(place: Place) -> None:
    """Many threads wait on one handle, and all see it end."""
    job = place.submit("sleep 0.2")
    states: list[object] = []
    threads = [
        threading.Thread(target=lambda: states.append(job.wait(timeout=60).state)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert states == ["succeeded"] * 8


def test_output_files_come_home(place: Place, tmp_path: Path) -> None:
    """An output directory is listed with sizes and downloaded with its tree."""
    make = "mkdir -p $AZ_BATCHAI_OUTPUT_MODEL/deep; cd $AZ_BATCHAI_OUTPUT_MODEL"
    job = place.submit(f"{make}; printf model > m.dnn; printf x > deep/n.dnn").wait(timeout=60)
    job.raise_for_status()
    folder, file = job.files("MODEL")
    assert (folder.name, folder.is_directory) == ("deep", True)
    assert (file.name, file.size) == ("m.dnn", 5)
    assert [entry.name for entry in job.files("MODEL", "deep")] == ["n.dnn"]
    written = job.download("MODEL", tmp_path, pattern="*.dnn")
    assert [path.relative_to(tmp_path).as_posix() for path in written] == ["deep/n.dnn", "m.dnn"]
    assert written[1].read_text() == "model"
    assert job.output_path_segment is not None
    assert job.output_path_segment.split("/")[-2] == job.name


def test_failure_carries_the_end_of_stderr(place: Place) -> None:
    """A script that fails says so with its exit code and last words."""
    job = place.submit("echo 'no such thing' >&2; exit 7").wait(timeout=60)
    with pytest.raises(JobFailedError, match="no such thing") as caught:
        job.raise_for_status()
    assert caught.value.exit_code == 7
    assert caught.value.errors[0][0] == "JobFailed"


def test_terminate_ends_job_and_log(place: Place) -> None:
    """A terminated job is `failed`; who follows its log is released with all that was written."""
    job = place.submit("echo begun; sleep 600")
    lines = job.iter_log("stdout.txt")
    assert next(lines) == "begun"
    with pytest.raises(WaitTimeoutError, match="is running; it goes on"):
        job.wait(timeout=0.1)
    assert job.terminate().state == "failed"
    assert list(lines) == []
    with pytest.raises(JobFailedError, match="JobTerminated"):
        job.raise_for_status()
    assert job.terminate().state == "failed"


def test_missing_files_and_jobs_are_told(place: Place) -> None:
    """A file the job never wrote, and a job that is gone, are NotFoundErrors that say what is."""
    job = place.submit("true")
    with pytest.raises(NotFoundError, match=r"'stder.txt'.*execution.log, stderr.txt, stdout.txt"):
        list(job.iter_log("stder.txt"))
    assert job in Job.list(job.experiment)
    job.delete()
    assert job not in Job.list(job.experiment)
    with pytest.raises(NotFoundError) as caught:
        job.refresh()
    assert caught.value.code == "JobNotFound"
    job.delete()


def test_refusals_come_with_their_code(place: Place) -> None:
    """A name in use and a job that can never run are refused at submission."""
    job = place.submit("true")
    with pytest.raises(ConflictError):
        place.submit("false", job.name)
    spec = place.spec("true")
    spec["properties"]["stdOutErrPathPrefix"] = "relative/path"
    with pytest.raises(InvalidRequestError):
        Job.submit("x", spec, cluster=place.cluster, experiment="e", storage=place.storage)


def test_cluster_grows_and_shrinks(place: Place) -> None:
    """A resize is waited for by its push; handles list what there is."""
    cluster = Cluster.create(place.workspace, "r", vm_size="Standard_D1", target_node_count=0)
    assert cluster.wait_steady(timeout=60).node_count == 0
    assert cluster.resize(3).wait_steady(timeout=60).node_count == 3
    assert {place.cluster, cluster} == {*Cluster.list(place.workspace)}
    cluster.delete()
    assert Cluster.list(place.workspace) == [place.cluster]
    assert place.workspace in Workspace.list(connection=place.cluster.connection)


@pytest.fixture
def own_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An embedded service of one test's own, ended with it however the test ends."""
    monkeypatch.setenv("BATCHAI_ROOT", str(tmp_path / "root"))
    yield
    running = local.find()
    if running is not None:
        local.stop(running)


def test_killed_service_comes_back_under_its_followers(tmp_path: Path, own_root: None) -> None:
    """A killed embedded service is started again by who follows a log; no byte is lost."""
    place = Place(connections.default())
    info = local.find()
    assert info is not None
    gate = tmp_path / "gate"
    job = place.submit(f"seq 1 500; while [ ! -e {gate} ]; do sleep 0.01; done; seq 501 999")
    lines = job.iter_log("stdout.txt")
    got = [next(lines)]
    os.kill(info.pid, signal.SIGKILL)
    gate.touch()
    got += lines
    assert got == [str(number) for number in range(1, 1000)]
    assert job.wait(timeout=60).raise_for_status().exit_code == 0
    again = local.find()
    assert again is not None
    assert again.pid != info.pid
