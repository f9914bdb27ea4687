"""Resource groups: what everything else lives in, and is deleted with."""

import builtins
from collections.abc import Mapping
from typing import Any, final

from batchai_quickstart.client import connection as connections
from batchai_quickstart.client.answers import GroupFacts
from batchai_quickstart.client.connection import Connection
from batchai_quickstart.ids import ResourceId


@final
class ResourceGroup:
    """A handle on a resource group.

    `ResourceGroup.create`, `get` and `list` make handles; the constructor is theirs.
    """

    def __init__(self, connection: Connection, facts: GroupFacts) -> None:
        self.connection = connection
        self._facts = facts

    @classmethod
    def create(
        cls,
        name: str,
        *,
        location: str,
        tags: Mapping[str, str] | None = None,
        connection: Connection | None = None,
    ) -> "ResourceGroup":
        """Create a resource group; one that exists stays, with the new tags.

        Arguments:
            name: 1 to 90 letters, digits, `-`, `_`, `.` or parentheses.
            location: region, for example `eastus`.
            tags: free pairs of text.
            connection: the service; by default the one configured, else the embedded one.
        """
        connection = connection or connections.default()
        return cls(connection, connection.gateway.put_group(name, location, tags or {}))

    @classmethod
    def get(cls, name: str, *, connection: Connection | None = None) -> "ResourceGroup":
        """Return the resource group `name`.

        Raises:
            NotFoundError: there is none.
        """
        connection = connection or connections.default()
        return cls(connection, connection.gateway.get_group(name))

    @classmethod
    def list(cls, *, connection: Connection | None = None) -> "builtins.list[ResourceGroup]":
        """Return all resource groups of the subscription."""
        connection = connection or connections.default()
        return [cls(connection, facts) for facts in connection.gateway.list_groups()]

    @property
    def name(self) -> str:
        """The group's name."""
        return self._facts.name

    @property
    def id(self) -> ResourceId:
        """The group's resource id."""
        return self.connection.group(self.name)

    @property
    def location(self) -> str:
        """The group's region."""
        return self._facts.location

    @property
    def tags(self) -> dict[str, str]:
        """The group's tags."""
        return dict(self._facts.tags)

    def refresh(self) -> "ResourceGroup":
        """Read the group again and return this handle."""
        self._facts = self.connection.gateway.get_group(self.name)
        return self

    def delete(self, *, wait: bool = True) -> None:
        """Delete the group with everything in it: workspaces, jobs, storage accounts.

        Arguments:
            wait: return when all is gone; else as soon as the service has accepted.
        """
        self.connection.gateway.delete_group(self.name, wait=wait)

    def __repr__(self) -> str:
        return f"ResourceGroup({self.name!r}, location={self.location!r})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ResourceGroup)
            and self.id == other.id
            and self.connection == other.connection
        )

    def __hash__(self) -> int:
        return hash((self.id, self.connection))

    def __reduce__(self) -> tuple[Any, ...]:
        return ResourceGroup, (self.connection, self._facts)
