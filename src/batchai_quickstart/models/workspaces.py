"""Workspaces and experiments."""

from pydantic import Field

from batchai_quickstart.models._base import Model
from batchai_quickstart.models.enums import ProvisioningState
from batchai_quickstart.models.resources import ProxyResource, Resource
from batchai_quickstart.models.scalars import Timestamp

_HEAD = frozenset({"id", "name", "type", "properties"})


class WorkspaceProperties(Model):
    """State of a workspace."""

    provisioning_state: ProvisioningState | None = None
    provisioning_state_transition_time: Timestamp | None = None
    creation_time: Timestamp | None = None


class Workspace(Resource):
    """A workspace: holds clusters, file servers and experiments."""

    properties: WorkspaceProperties = Field(default_factory=WorkspaceProperties)


class WorkspaceCreateParameters(Model):
    """Body of a request that creates a workspace."""

    tolerated = _HEAD

    location: str
    """Region; everything in the workspace lives there too."""
    tags: dict[str, str] | None = None
    """Free names and values."""


class WorkspaceUpdateParameters(Model):
    """Body of a request that changes a workspace."""

    tolerated = _HEAD | {"location"}

    tags: dict[str, str] | None = None
    """Free names and values; they replace all there were."""


class WorkspaceListResult(Model):
    """One page of workspaces."""

    value: tuple[Workspace, ...] = Field(default_factory=tuple)
    next_link: str | None = None


class ExperimentProperties(Model):
    """State of an experiment."""

    provisioning_state: ProvisioningState | None = None
    provisioning_state_transition_time: Timestamp | None = None
    creation_time: Timestamp | None = None


class Experiment(ProxyResource):
    """An experiment: a named collection of jobs."""

    properties: ExperimentProperties = Field(default_factory=ExperimentProperties)


class ExperimentListResult(Model):
    """One page of experiments."""

    value: tuple[Experiment, ...] = Field(default_factory=tuple)
    next_link: str | None = None
