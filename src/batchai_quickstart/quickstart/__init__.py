"""The Azure Batch AI quickstart, start to end: read it, run it, copy from it.

    python -m batchai_quickstart quickstart

trains the network of CNTK's ConvNet_MNIST example on MNIST: a cluster, a storage account with
script and data, a job from a job file, its log live, its models back.
"""

import secrets
import subprocess
import sys
from pathlib import Path

from batchai_quickstart import (
    Cluster,
    ConfigurationError,
    Connection,
    Experiment,
    Job,
    JobSpec,
    NotFoundError,
    ResourceGroup,
    StorageAccount,
    Workspace,
    local,
)
from batchai_quickstart.quickstart import curve, materials

GROUP = "batchai.quickstart"
LOCATION = "eastus"
JOB_FILE = Path(__file__).with_name("job.json")
EPOCHS = {"cpu": 3, "gpu": 40}

_LOAD_MODEL = """
import sys, cntk
model = cntk.load_model(sys.argv[1])
print(model, "with", sum(p.asarray().size for p in model.parameters), "parameters")
"""


def quickstart(
    *,
    root: Path | None = None,
    epochs: int | None = None,
    keep: bool = False,
    output: Path = Path("quickstart-output"),
) -> None:
    """Do what the Batch AI quickstart did, and show it.

    Arguments:
        root: directory of the service's state; the user's own service by default.
        epochs: sweeps over the 60000 training images; 3, or 40 where there is a GPU.
        keep: leave the resource group and everything in it; one that was there before is left
            anyway.
        output: where the learning curve and a downloaded model go.

    Raises:
        ConfigurationError: the training package is not there, or nothing can be written.
        JobFailedError: the training failed; with the end of its log.
    """
    found = materials.find()
    materials.check_runnable()
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"Nothing can be written to {output.resolve()}: {error}."
        ) from None
    service = local.find_or_start(root)
    connection = Connection.open(
        service.endpoint, token=service.token, subscription_id=service.subscription_id
    )
    gpus = local.status(service)["gpus"]
    if epochs is None:
        epochs = EPOCHS["gpu" if gpus else "cpu"]

    say("1. Resource group and workspace")
    try:
        group = ResourceGroup.get(GROUP, connection=connection)
        was_there = keep = True  # it is somebody's: whatever is in it stays
    except NotFoundError:
        group = ResourceGroup.create(GROUP, location=LOCATION, connection=connection)
        was_there = False
    workspace = Workspace.create(
        "quickstart", resource_group=GROUP, location=LOCATION, connection=connection
    )
    print(group, workspace, sep="\n")

    say("2. Cluster: one node with one GPU, if this machine has one")
    cluster = Cluster.create(
        workspace, "nc6", vm_size="Standard_NC6", image="UbuntuDSVM", target_node_count=1
    ).wait_steady()
    print(cluster, f"(this machine has {gpus or 'no'} GPU{'s' if gpus != 1 else ''})")

    say("3. Storage: the script on a share, MNIST in a container")
    storage = storage_account(connection)
    scripts, logs = storage.share("scripts"), storage.share("logs")
    data = storage.container("data")
    for volume in (scripts, logs, data):
        volume.create()
    scripts.upload(found.script, "cntk/")
    mnist = service.root / "mnist_cntk"
    print(f"converting MNIST to CNTK's text format in {mnist}")
    found.convert_mnist(mnist)
    data.upload_batch(mnist, pattern="*28x28_cntk*", destination="mnist_cntk")
    print(scripts, logs, data, sep="\n")

    say("4. The job, from a job file")
    experiment = Experiment.create(workspace, "quickstart")
    spec = JobSpec.from_file(JOB_FILE)
    cntk = spec.properties.cntk_settings
    assert cntk is not None
    changes = {"command_line_args": f"{cntk.command_line_args} --epochs {epochs}"}
    if Path(service.python) != Path(sys.executable):  # the service was started from elsewhere
        changes["python_interpreter_path"] = sys.executable
    spec = spec.replace(cntk_settings=cntk.model_copy(update=changes))
    job = Job.submit(
        free_name(experiment), spec, cluster=cluster, experiment=experiment, storage=storage
    )
    print(job)
    if not gpus:
        print(
            f"Training {epochs} of the 40 epochs, ten seconds to half a minute each on two cores; "
            "all of them: --epochs 40."
        )

    say("5. Its log, live")
    log = Recorder()
    job.stream_log("stderr.txt", file=log)
    job.wait().raise_for_status()
    print(f"{job} after {duration(job):.1f} s")

    say("6. What it left")
    print(f"job output directory: {job.output_path_segment}")
    models = job.files("MODEL")
    for file in models:
        print(f"{file.name:28} {file.size:>9,} bytes  {file.last_modified:%Y-%m-%d %H:%M:%S}")
        print(f"    {file.url}")
    last = max(models, key=lambda file: (file.last_modified, file.name))
    (model,) = job.download("MODEL", output, pattern=last.name)
    print(f"downloaded {model}; loading it back:", flush=True)
    subprocess.run([sys.executable, "-c", _LOAD_MODEL, str(model)], check=True)
    picture = output / "learning_curve.png"
    try:
        curve.draw(curve.read_curve(log.text.splitlines()), picture)
    except ModuleNotFoundError:
        print("the learning curve is drawn by matplotlib, which is not installed (extra `plot`)")
    else:
        print(f"the learning curve: {picture}")

    say("7. Cleaning up")
    if keep:
        why = "kept, as it was there before" if was_there else "kept"
        print(f"{why}: {group} (delete it with ResourceGroup.get({GROUP!r}).delete())")
    else:
        group.delete()
        print(f"deleted: resource group {GROUP} with everything in it")


def say(step: str) -> None:
    """Print the heading of a step."""
    print(f"\n== {step} ==", flush=True)


class Recorder:
    """Prints what is written to it, and keeps it in `text`."""

    text = ""

    def write(self, text: str) -> None:
        """Print and keep a piece of the log."""
        self.text += text
        sys.stdout.write(text)

    def flush(self) -> None:
        """Show it now."""
        sys.stdout.flush()


def storage_account(connection: Connection) -> StorageAccount:
    """Return the group's storage account, created under a free name if there is none."""
    for account in StorageAccount.list(resource_group=GROUP, connection=connection):
        return account
    return StorageAccount.create(
        f"quickstart{secrets.token_hex(4)}",
        resource_group=GROUP,
        location=LOCATION,
        connection=connection,
    )


def free_name(experiment: Experiment) -> str:
    """Return `cntk_python_1`, or the next number after the jobs that are there."""
    taken = {job.name for job in Job.list(experiment)}
    names = (f"cntk_python_{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def duration(job: Job) -> float:
    """Return how long a finished job ran, in seconds."""
    info = job.model.properties.execution_info
    assert info is not None
    assert info.start_time is not None
    assert info.end_time is not None
    return (info.end_time - info.start_time).total_seconds()
