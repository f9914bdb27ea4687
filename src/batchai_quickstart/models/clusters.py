"""Clusters: size, image, setup of the nodes."""

from pydantic import Field

from batchai_quickstart.models._base import Model
from batchai_quickstart.models._rules import AtLeast, ExactlyOne
from batchai_quickstart.models.enums import (
    AllocationState,
    DeallocationOption,
    ProvisioningState,
    VmPriority,
)
from batchai_quickstart.models.errors import BatchAIError
from batchai_quickstart.models.mounts import MountVolumes
from batchai_quickstart.models.resources import (
    EnvironmentVariable,
    EnvironmentVariableWithSecretValue,
    KeyVaultSecretReference,
    ProxyResource,
    ResourceId,
    UserAccountSettings,
)
from batchai_quickstart.models.scalars import Secret, Timestamp


class ManualScaleSettings(Model):
    """A cluster of a fixed number of nodes."""

    rules = (AtLeast(0, ("targetNodeCount",)),)

    target_node_count: int
    """Nodes the cluster should have; 0 is allowed."""
    node_deallocation_option: DeallocationOption = DeallocationOption.REQUEUE
    """What happens to jobs on nodes that are removed."""


class AutoScaleSettings(Model):
    """A cluster that follows its queue."""

    rules = (
        AtLeast(
            0,
            (
                "minimumNodeCount",
                "maximumNodeCount",
                "initialNodeCount",
            ),
        ),
    )

    minimum_node_count: int
    """Fewest nodes."""
    maximum_node_count: int
    """Most nodes."""
    initial_node_count: int = 0
    """Nodes to start with; used when the cluster is created, not later."""


class ScaleSettings(Model):
    """How many nodes a cluster has: one of the two."""

    rules = (ExactlyOne(("manual", "autoScale")),)

    manual: ManualScaleSettings | None = None
    """A fixed number."""
    auto_scale: AutoScaleSettings | None = None
    """As many as the jobs need, within limits."""


class ImageReference(Model):
    """The operating system image of the nodes."""

    publisher: str
    """Publisher of the image."""
    offer: str
    """Offer of the image."""
    sku: str
    """SKU of the image."""
    version: str | None = None
    """Version of the image; `latest` when absent."""
    virtual_machine_image_id: str | None = None
    """Resource id of a custom image, derived from the image named by the other members."""


class VirtualMachineConfiguration(Model):
    """What runs on the nodes."""

    image_reference: ImageReference | None = None
    """The operating system image."""


class SetupTask(Model):
    """A command run on each node when it joins the cluster or restarts."""

    tolerated = frozenset({"runElevated"})

    command_line: str
    """The command, for bash; it may run more than once."""
    environment_variables: tuple[EnvironmentVariable, ...] = ()
    """Variables for the command."""
    secrets: tuple[EnvironmentVariableWithSecretValue, ...] = ()
    """Variables with values that are never returned."""
    std_out_err_path_prefix: str
    """Directory below which standard output and error of the command are kept."""
    std_out_err_path_suffix: str | None = None
    """The part of that path that the service chose."""


class AppInsightsReference(Model):
    """An Application Insights component."""

    rules = (ExactlyOne(("instrumentationKey", "instrumentationKeySecretReference")),)

    component: ResourceId
    """The component."""
    instrumentation_key: Secret | None = None
    """Its key; never returned."""
    instrumentation_key_secret_reference: KeyVaultSecretReference | None = None
    """Where the key is kept, instead of `instrumentationKey`."""


class PerformanceCountersSettings(Model):
    """Where performance counters of the nodes go."""

    app_insights_reference: AppInsightsReference
    """The component that receives them."""


class NodeSetup(Model):
    """What every node has before it runs jobs."""

    setup_task: SetupTask | None = None
    """A command run on every node."""
    mount_volumes: MountVolumes | None = None
    """What is mounted below `$AZ_BATCHAI_MOUNT_ROOT`."""
    performance_counters_settings: PerformanceCountersSettings | None = None
    """Where performance counters go."""


class NodeStateCounts(Model):
    """How many nodes are in which state."""

    idle_node_count: int | None = None
    running_node_count: int | None = None
    preparing_node_count: int | None = None
    unusable_node_count: int | None = None
    leaving_node_count: int | None = None


class ClusterProperties(Model):
    """A cluster as the service reports it."""

    provisioning_state: ProvisioningState | None = None
    allocation_state: AllocationState | None = None
    creation_time: Timestamp | None = None
    allocation_state_transition_time: Timestamp | None = None
    provisioning_state_transition_time: Timestamp | None = None
    vm_size: str | None = None
    current_node_count: int | None = None
    """Allocated nodes, those being prepared or removed included."""
    node_state_counts: NodeStateCounts | None = None
    vm_priority: VmPriority | None = None
    scale_settings: ScaleSettings | None = None
    virtual_machine_configuration: VirtualMachineConfiguration | None = None
    user_account_settings: UserAccountSettings | None = None
    node_setup: NodeSetup | None = None
    subnet: ResourceId | None = None
    errors: tuple[BatchAIError, ...] = ()
    """What went wrong with nodes; absent when nothing did."""


class Cluster(ProxyResource):
    """A cluster of equal nodes that runs jobs."""

    properties: ClusterProperties = Field(default_factory=ClusterProperties)


class ClusterBaseProperties(Model):
    """A cluster as it is asked for."""

    tolerated = frozenset(
        {
            "provisioningState",
            "provisioningStateTransitionTime",
            "allocationState",
            "allocationStateTransitionTime",
            "creationTime",
            "currentNodeCount",
            "nodeStateCounts",
            "errors",
        }
    )

    vm_size: str
    """Size of the nodes, for example `Standard_NC6`."""
    vm_priority: VmPriority = VmPriority.DEDICATED
    """Whether the nodes may be taken away."""
    scale_settings: ScaleSettings | None = None
    """How many nodes."""
    virtual_machine_configuration: VirtualMachineConfiguration | None = None
    """Image of the nodes."""
    node_setup: NodeSetup | None = None
    """What every node has before it runs jobs."""
    user_account_settings: UserAccountSettings
    """The administrator's account on the nodes."""
    subnet: ResourceId | None = None
    """Existing virtual network subnet to put the nodes into."""


_HEAD = frozenset({"$schema", "id", "name", "type", "location", "tags"})


class ClusterCreateParameters(Model):
    """Body of a request that creates a cluster."""

    tolerated = _HEAD

    properties: ClusterBaseProperties


class ClusterUpdateProperties(Model):
    """What can be changed about a cluster."""

    scale_settings: ScaleSettings | None = None
    """How many nodes."""


class ClusterUpdateParameters(Model):
    """Body of a request that changes a cluster."""

    tolerated = _HEAD

    properties: ClusterUpdateProperties = Field(default_factory=ClusterUpdateProperties)


class ClusterListResult(Model):
    """One page of clusters."""

    value: tuple[Cluster, ...] = Field(default_factory=tuple)
    next_link: str | None = None
