"""The enumerations of the wire."""

from batchai_quickstart.models.scalars import WireEnum


class ProvisioningState(WireEnum):
    """Whether a workspace, experiment, cluster or job exists in full."""

    CREATING = "creating"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DELETING = "deleting"


class FileServerProvisioningState(WireEnum):
    """Whether a file server exists in full."""

    CREATING = "creating"
    UPDATING = "updating"
    DELETING = "deleting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class AllocationState(WireEnum):
    """Whether a cluster has the number of nodes it should have."""

    STEADY = "steady"
    RESIZING = "resizing"


class ExecutionState(WireEnum):
    """Where a job is on its way; `succeeded` and `failed` are the only ends."""

    QUEUED = "queued"
    RUNNING = "running"
    TERMINATING = "terminating"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def is_terminal(self) -> bool:
        """Whether a job in this state never changes again."""
        return self in (ExecutionState.SUCCEEDED, ExecutionState.FAILED)


class ToolType(WireEnum):
    """Which toolkit a job runs, found from the one settings object it has."""

    CNTK = "cntk"
    PYTORCH = "pytorch"
    TENSORFLOW = "tensorflow"
    CAFFE = "caffe"
    CAFFE2 = "caffe2"
    CHAINER = "chainer"
    HOROVOD = "horovod"
    CUSTOMMPI = "custommpi"
    CUSTOM = "custom"


class JobPriority(WireEnum):
    """The queue's order: higher first."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class VmPriority(WireEnum):
    """Whether nodes are the cluster's own or may be taken away at any time."""

    DEDICATED = "dedicated"
    LOWPRIORITY = "lowpriority"


class DeallocationOption(WireEnum):
    """What happens to jobs on nodes that a resize removes."""

    REQUEUE = "requeue"
    TERMINATE = "terminate"
    WAITFORJOBCOMPLETION = "waitforjobcompletion"


class CachingType(WireEnum):
    """Caching of a file server's disks."""

    NONE = "none"
    READONLY = "readonly"
    READWRITE = "readwrite"


class StorageAccountType(WireEnum):
    """The kind of storage behind a file server's disks."""

    STANDARD_LRS = "Standard_LRS"
    PREMIUM_LRS = "Premium_LRS"


class FileType(WireEnum):
    """What an entry of an output directory is."""

    FILE = "file"
    DIRECTORY = "directory"


class UsageUnit(WireEnum):
    """What a quota counts."""

    COUNT = "Count"
