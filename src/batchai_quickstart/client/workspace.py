"""Workspaces: they hold clusters and experiments, and say where they are."""

import builtins
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from batchai_quickstart import models
from batchai_quickstart.client import connection as connections
from batchai_quickstart.client.connection import Connection
from batchai_quickstart.client.resource import Resource, address, of_kind
from batchai_quickstart.errors import NotFoundError
from batchai_quickstart.ids import WORKSPACE, ResourceId


@final
@dataclass(frozen=True, repr=False)
class Workspace:
    """A handle on a workspace.

    `Workspace.create`, `get`, `list` and `from_id` make handles; the constructor is theirs.
    """

    _resource: Resource[models.Workspace]

    @classmethod
    def create(
        cls,
        name: str,
        *,
        resource_group: str,
        location: str,
        tags: Mapping[str, str] | None = None,
        connection: Connection | None = None,
    ) -> "Workspace":
        """Create a workspace; one that exists in the same place is returned as it is.

        Arguments:
            name: 1 to 64 ASCII letters, digits, `-` or `_`.
            resource_group: the group it lives in; created in `location` when it does not exist.
            location: region, for example `eastus`.
            tags: free pairs of text.
            connection: the service; by default the one configured, else the embedded one.

        Raises:
            ConflictError: it exists in another location.
        """
        connection = connection or connections.default()
        resource = address(connection.group(resource_group), WORKSPACE, name)
        parameters = models.WorkspaceCreateParameters(location=location, tags=dict(tags or {}))
        gateway = connection.gateway
        try:
            seen = gateway.create(resource, parameters.to_wire())
        except NotFoundError as error:
            if error.code != "ResourceGroupNotFound":
                raise
            gateway.put_group(resource_group, location, {})
            seen = gateway.create(resource, parameters.to_wire())
        model = models.Workspace.from_wire(seen) if seen else None
        return cls(Resource(connection, resource, models.Workspace, model))

    @classmethod
    def get(
        cls, name: str, *, resource_group: str, connection: Connection | None = None
    ) -> "Workspace":
        """Return the workspace `name`.

        Raises:
            NotFoundError: there is none.
        """
        connection = connection or connections.default()
        resource = address(connection.group(resource_group), WORKSPACE, name)
        return cls(Resource(connection, resource, models.Workspace)).refresh()

    @classmethod
    def list(
        cls, *, resource_group: str | None = None, connection: Connection | None = None
    ) -> "builtins.list[Workspace]":
        """Return the workspaces of a resource group; None: of the whole subscription."""
        connection = connection or connections.default()
        parent = connection.group(resource_group) if resource_group is not None else None
        found = connection.gateway.resources(parent, WORKSPACE, models.Workspace)
        return [cls(Resource.listed(connection, model)) for model in found]

    @classmethod
    def from_id(
        cls, resource_id: str | ResourceId, *, connection: Connection | None = None
    ) -> "Workspace":
        """Return a handle on the workspace of a resource id, without asking the service."""
        resource = of_kind(WORKSPACE, resource_id)
        return cls(Resource(connection or connections.default(), resource, models.Workspace))

    @property
    def connection(self) -> Connection:
        """The way to the service."""
        return self._resource.connection

    @property
    def id(self) -> ResourceId:
        """The workspace's resource id."""
        return self._resource.id

    @property
    def name(self) -> str:
        """The workspace's name."""
        return self.id.name

    @property
    def model(self) -> models.Workspace:
        """The workspace as last seen; `refresh` looks again."""
        return self._resource.model

    @property
    def location(self) -> str:
        """The region of the workspace and all in it."""
        return self.model.location or ""

    def refresh(self) -> "Workspace":
        """Read the workspace again and return this handle."""
        self._resource.refresh()
        return self

    def delete(self, *, wait: bool = True) -> None:
        """Delete the workspace with its clusters, experiments and jobs.

        Arguments:
            wait: return when all is gone; else as soon as the service has accepted.
        """
        self._resource.delete(wait=wait)

    def __repr__(self) -> str:
        return f"Workspace({self.name!r}, resource_group={self.id.group!r})"
