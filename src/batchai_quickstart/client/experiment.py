"""Experiments: they hold jobs."""

import builtins
from dataclasses import dataclass
from typing import final

from batchai_quickstart import models
from batchai_quickstart.client import connection as connections
from batchai_quickstart.client.connection import Connection
from batchai_quickstart.client.resource import Resource, address, of_kind
from batchai_quickstart.client.workspace import Workspace
from batchai_quickstart.ids import EXPERIMENT, ResourceId


@final
@dataclass(frozen=True, repr=False)
class Experiment:
    """A handle on an experiment.

    `Experiment.create`, `get`, `list` and `from_id` make handles; the constructor is theirs.
    """

    _resource: Resource[models.Experiment]

    @classmethod
    def create(cls, workspace: Workspace, name: str) -> "Experiment":
        """Create an experiment; one that exists is returned as it is.

        Arguments:
            workspace: the workspace it lives in.
            name: 1 to 64 ASCII letters, digits, `-` or `_`.
        """
        resource = address(workspace.id, EXPERIMENT, name)
        seen = workspace.connection.gateway.create(resource, None)
        model = models.Experiment.from_wire(seen) if seen else None
        return cls(Resource(workspace.connection, resource, models.Experiment, model))

    @classmethod
    def get(cls, workspace: Workspace, name: str) -> "Experiment":
        """Return the experiment `name` of a workspace.

        Raises:
            NotFoundError: there is none.
        """
        resource = address(workspace.id, EXPERIMENT, name)
        return cls(Resource(workspace.connection, resource, models.Experiment)).refresh()

    @classmethod
    def list(cls, workspace: Workspace) -> "builtins.list[Experiment]":
        """Return the experiments of a workspace."""
        connection = workspace.connection
        found = connection.gateway.resources(workspace.id, EXPERIMENT, models.Experiment)
        return [cls(Resource.listed(connection, model)) for model in found]

    @classmethod
    def from_id(
        cls, resource_id: str | ResourceId, *, connection: Connection | None = None
    ) -> "Experiment":
        """Return a handle on the experiment of a resource id, without asking the service."""
        resource = of_kind(EXPERIMENT, resource_id)
        return cls(Resource(connection or connections.default(), resource, models.Experiment))

    @property
    def connection(self) -> Connection:
        """The way to the service."""
        return self._resource.connection

    @property
    def id(self) -> ResourceId:
        """The experiment's resource id."""
        return self._resource.id

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.id.name

    @property
    def workspace(self) -> Workspace:
        """The workspace it lives in."""
        return Workspace.from_id(self.id.parent, connection=self.connection)

    @property
    def model(self) -> models.Experiment:
        """The experiment as last seen; `refresh` looks again."""
        return self._resource.model

    def refresh(self) -> "Experiment":
        """Read the experiment again and return this handle."""
        self._resource.refresh()
        return self

    def delete(self, *, wait: bool = True) -> None:
        """Delete the experiment with its jobs; their output files stay in storage.

        Arguments:
            wait: return when all is gone; else as soon as the service has accepted.
        """
        self._resource.delete(wait=wait)

    def __repr__(self) -> str:
        return f"Experiment({self.name!r}, workspace={self.id.parent.name!r})"
