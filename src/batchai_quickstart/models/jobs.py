"""Jobs: what to run, on how many nodes, with which directories."""

from datetime import timedelta

from pydantic import Field

from batchai_quickstart.models._base import Model
from batchai_quickstart.models._rules import AtLeast, ExactlyOne, Positive, UniqueIds
from batchai_quickstart.models.enums import (
    ExecutionState,
    JobPriority,
    ProvisioningState,
    ToolType,
)
from batchai_quickstart.models.errors import BatchAIError
from batchai_quickstart.models.mounts import MountVolumes
from batchai_quickstart.models.resources import (
    EnvironmentVariable,
    EnvironmentVariableWithSecretValue,
    KeyVaultSecretReference,
    ProxyResource,
    ResourceId,
)
from batchai_quickstart.models.scalars import Duration, Secret, Timestamp
from batchai_quickstart.models.toolkits import (
    SETTINGS_NAMES,
    Caffe2Settings,
    CaffeSettings,
    ChainerSettings,
    CNTKsettings,
    CustomMpiSettings,
    CustomToolkitSettings,
    HorovodSettings,
    PyTorchSettings,
    TensorFlowSettings,
)

STDOUTERR = "stdouterr"
"""The output directory every job has: standard output, standard error, execution log."""


class PrivateRegistryCredentials(Model):
    """Who may pull a container image."""

    rules = (ExactlyOne(("password", "passwordSecretReference")),)

    username: str
    """User of the registry."""
    password: Secret | None = None
    """Password of the user; never returned."""
    password_secret_reference: KeyVaultSecretReference | None = None
    """Where the password is kept, instead of `password`."""


class ImageSourceRegistry(Model):
    """A container image and where it comes from."""

    server_url: str | None = None
    """URL of the registry; the public one when absent."""
    image: str
    """Name of the image."""
    credentials: PrivateRegistryCredentials | None = None
    """Who may pull it."""


class ContainerSettings(Model):
    """The container a job runs in."""

    image_source_registry: ImageSourceRegistry
    """Image of the container."""
    shm_size: str | None = None
    """Size of `/dev/shm`, as docker's `--shm-size` takes it."""


class JobPreparation(Model):
    """A command run on every node before the toolkit starts."""

    command_line: str
    """The command, for bash."""


class InputDirectory(Model):
    """A directory a job reads, known to it as a variable."""

    id: str
    """The job finds the path in `$AZ_BATCHAI_INPUT_<id>`."""
    path: str
    """Path of the directory."""


class OutputDirectory(Model):
    """A directory made for a job to write into, known to it as a variable."""

    tolerated = frozenset({"type", "createNew"})

    id: str
    """The job finds the path in `$AZ_BATCHAI_OUTPUT_<id>`."""
    path_prefix: str
    """Mounted directory below which the output directory is made."""
    path_suffix: str | None = None
    """Last part of its path, below the job's own part."""


class JobConstraints(Model):
    """Limits of a job."""

    rules = (Positive("maxWallClockTime"),)

    max_wall_clock_time: Duration = timedelta(days=7)
    """How long the job may run: ISO 8601 like `PT1H30M`, or `d.hh:mm:ss`."""


class JobExecutionInfo(Model):
    """How a job ran; absent while it is queued."""

    start_time: Timestamp | None = None
    end_time: Timestamp | None = None
    exit_code: int | None = None
    """Exit status of the command; absent when it never ran or was terminated."""
    errors: tuple[BatchAIError, ...] = ()
    """Why the job failed; absent when it did not."""


class JobProperties(Model):
    """A job as the service reports it."""

    experiment_name: str | None = None
    """Name of the experiment; the service sent it although its description lacks it."""
    scheduling_priority: JobPriority | None = None
    cluster: ResourceId | None = None
    job_output_directory_path_segment: str | None = None
    """The job's own part of the paths of its output directories."""
    node_count: int | None = None
    container_settings: ContainerSettings | None = None
    mount_volumes: MountVolumes | None = None
    tool_type: ToolType | None = None
    cntk_settings: CNTKsettings | None = None
    py_torch_settings: PyTorchSettings | None = None
    tensor_flow_settings: TensorFlowSettings | None = None
    caffe_settings: CaffeSettings | None = None
    caffe2_settings: Caffe2Settings | None = None
    chainer_settings: ChainerSettings | None = None
    custom_toolkit_settings: CustomToolkitSettings | None = None
    custom_mpi_settings: CustomMpiSettings | None = None
    horovod_settings: HorovodSettings | None = None
    job_preparation: JobPreparation | None = None
    std_out_err_path_prefix: str | None = None
    input_directories: tuple[InputDirectory, ...] = ()
    output_directories: tuple[OutputDirectory, ...] = ()
    environment_variables: tuple[EnvironmentVariable, ...] = ()
    secrets: tuple[EnvironmentVariableWithSecretValue, ...] = ()
    constraints: JobConstraints | None = None
    creation_time: Timestamp | None = None
    provisioning_state: ProvisioningState | None = None
    provisioning_state_transition_time: Timestamp | None = None
    execution_state: ExecutionState | None = None
    execution_state_transition_time: Timestamp | None = None
    execution_info: JobExecutionInfo | None = None


class Job(ProxyResource):
    """A job: one run of a toolkit on a cluster."""

    properties: JobProperties = Field(default_factory=JobProperties)


class JobBaseProperties(Model):
    """A job as it is asked for."""

    filled_in = frozenset({"cluster"})
    tolerated = frozenset(
        {
            "experimentName",
            "toolType",
            "jobOutputDirectoryPathSegment",
            "creationTime",
            "provisioningState",
            "provisioningStateTransitionTime",
            "executionState",
            "executionStateTransitionTime",
            "executionInfo",
        }
    )
    rules = (
        ExactlyOne(SETTINGS_NAMES),
        AtLeast(1, ("nodeCount",)),
        UniqueIds("inputDirectories"),
        UniqueIds("outputDirectories", (STDOUTERR,)),
    )

    scheduling_priority: JobPriority = JobPriority.NORMAL
    """Place in the cluster's queue."""
    cluster: ResourceId | None = None
    """Cluster that runs the job; in a job file filled in at submission when absent."""
    mount_volumes: MountVolumes | None = None
    """What is mounted below `$AZ_BATCHAI_JOB_MOUNT_ROOT` while the job runs."""
    node_count: int
    """Number of nodes; the job starts when so many are free at once."""
    container_settings: ContainerSettings | None = None
    """Container to run in; directly on the node when absent."""
    cntk_settings: CNTKsettings | None = None
    """Settings of a CNTK job."""
    py_torch_settings: PyTorchSettings | None = None
    """Settings of a PyTorch job."""
    tensor_flow_settings: TensorFlowSettings | None = None
    """Settings of a TensorFlow job."""
    caffe_settings: CaffeSettings | None = None
    """Settings of a Caffe job."""
    caffe2_settings: Caffe2Settings | None = None
    """Settings of a Caffe2 job."""
    chainer_settings: ChainerSettings | None = None
    """Settings of a Chainer job."""
    custom_toolkit_settings: CustomToolkitSettings | None = None
    """Settings of a job that is any command."""
    custom_mpi_settings: CustomMpiSettings | None = None
    """Settings of a job that is any command started by MPI."""
    horovod_settings: HorovodSettings | None = None
    """Settings of a Horovod job."""
    job_preparation: JobPreparation | None = None
    """A command run on every node before the toolkit starts."""
    std_out_err_path_prefix: str
    """Mounted directory below which standard output, standard error and logs are kept."""
    input_directories: tuple[InputDirectory, ...] = ()
    """Directories the job reads."""
    output_directories: tuple[OutputDirectory, ...] = ()
    """Directories made for the job to write into."""
    environment_variables: tuple[EnvironmentVariable, ...] = ()
    """Variables of the job and its preparation."""
    secrets: tuple[EnvironmentVariableWithSecretValue, ...] = ()
    """Variables with values that are never returned."""
    constraints: JobConstraints = Field(default_factory=JobConstraints)
    """Limits of the job."""


class JobCreateParameters(Model):
    """Body of a request that creates a job; a job file is its draft."""

    tolerated = frozenset({"$schema", "id", "name", "type", "location", "tags"})

    properties: JobBaseProperties
    """What to run."""


class JobListResult(Model):
    """One page of jobs."""

    value: tuple[Job, ...] = Field(default_factory=tuple)
    next_link: str | None = None
