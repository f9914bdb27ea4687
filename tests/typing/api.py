"""How the public API is used, for type checkers; never run."""

import io
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import assert_type

from batchai_quickstart import (
    BlobContainer,
    Cluster,
    Connection,
    Experiment,
    FileShare,
    Job,
    JobFailedError,
    JobFile,
    JobSpec,
    LocalService,
    NotFoundError,
    ResourceGroup,
    ResourceId,
    StorageAccount,
    StoredFile,
    Synced,
    Workspace,
    models,
)


def quickstart() -> None:
    """The whole path of a newcomer."""
    workspace = Workspace.create("w", resource_group="g", location="eastus")
    cluster = Cluster.create(workspace, "nc6", vm_size="Standard_NC6", target_node_count=1)
    storage = StorageAccount.create("mystorage", resource_group="g")
    assert_type(storage.share("scripts"), FileShare)
    assert_type(storage.share("scripts").upload("convnet_mnist.py", "cntk/"), str)
    container = storage.container("data")
    assert_type(container, BlobContainer)
    assert_type(container.upload_batch("mnist", pattern="*", destination="d"), list[str])
    assert_type(container.list("d"), list[StoredFile])
    assert_type(container.url("d/x", expiry=timedelta(hours=2)), str)
    assert_type(container.download("d/x", Path("x")), Path)
    job = Job.submit("j", "job.json", cluster=cluster, experiment="e", storage=storage)
    assert_type(job.stream_log("stderr.txt"), Job)
    job.stream_log("stderr.txt", file=io.StringIO(), tail=10).wait(timeout=5).raise_for_status()
    assert_type(job.iter_log("stderr.txt"), Iterator[str])
    assert_type(job.files("MODEL"), list[JobFile])
    assert_type(job.download("MODEL", "out", pattern="*.model"), list[Path])
    assert_type(job.state, models.ExecutionState | None)
    assert_type(job.model, models.Job)
    assert_type(job.exit_code, int | None)
    assert_type(job.terminate().experiment, Experiment)


def storage_alone() -> None:
    """Files without a service for jobs."""
    account = StorageAccount.from_connection_string("UseDevelopmentStorage=true")
    assert_type(StorageAccount.open("a", sas="sig=x").connection_string, str)
    volume = account.share("s").create()
    assert_type(volume, FileShare)
    assert_type(volume.walk("d"), Iterator[StoredFile])
    assert_type(volume.download_batch("here", pattern="*.log"), list[Path])
    assert_type(account.container("c").sync("here", direction="down", delete=True), Synced)
    account.container("c").upload("f", progress=lambda done, total: print(done, total))  # noqa: T201


def handles(connection: Connection) -> None:
    """Finding what exists."""
    assert_type(Workspace.list(connection=connection), list[Workspace])
    workspace = Workspace.get("w", resource_group="g", connection=connection)
    assert_type(workspace.id, ResourceId)
    assert_type(Cluster.list(workspace), list[Cluster])
    assert_type(Cluster.get(workspace, "c").resize(2).wait_steady(timeout=1), Cluster)
    assert_type(Experiment.create(workspace, "e"), Experiment)
    assert_type(Job.list(Experiment.get(workspace, "e")), list[Job])
    assert_type(Job.from_id("/subscriptions/s", connection=connection), Job)
    ResourceGroup.get("g").delete(wait=False)


def specs(path: Path, cluster: Cluster) -> Job:
    """A job from a changed file."""
    spec = JobSpec.from_file(path)
    try:
        return Job.submit("j", spec, cluster=cluster, experiment="e")
    except NotFoundError as error:
        assert_type(error.code, str)
        raise
    except JobFailedError as error:
        assert_type(error.exit_code, int | None)
        raise


def embedded() -> None:
    """A service of one's own."""
    with LocalService() as service:
        connection = Connection.open(service.endpoint, token=service.token)
        assert_type(connection.subscription_id, str)
