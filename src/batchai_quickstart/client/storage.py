"""Storage accounts: where the inputs and outputs of jobs live."""

import builtins
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

from batchai_quickstart.client import connection as connections
from batchai_quickstart.client.answers import AccountFacts
from batchai_quickstart.client.connection import Connection
from batchai_quickstart.client.resource import address, of_kind
from batchai_quickstart.errors import ServiceError
from batchai_quickstart.ids import STORAGE_ACCOUNT, ResourceId

if TYPE_CHECKING:
    from batchai_quickstart.client.container import BlobContainer
    from batchai_quickstart.client.fileshare import FileShare


@final
class StorageAccount:
    """A handle on a storage account.

    `StorageAccount.create`, `get` and `list` make handles; the constructor is theirs.
    """

    def __init__(
        self, connection: Connection, resource: ResourceId, facts: AccountFacts | None = None
    ) -> None:
        self.connection = connection
        self.id = resource
        self._facts_seen = facts
        self._keys: tuple[str, ...] = ()
        self._lock = threading.Lock()

    @classmethod
    def create(
        cls,
        name: str,
        *,
        resource_group: str,
        location: str | None = None,
        tags: Mapping[str, str] | None = None,
        connection: Connection | None = None,
    ) -> "StorageAccount":
        """Create a storage account; one that exists in the same group is returned.

        Arguments:
            name: 3 to 24 lower-case letters and digits.
            resource_group: the group it lives in; must exist.
            location: region; by default the group's.
            tags: free pairs of text.
            connection: the service; by default the one configured, else the embedded one.

        Raises:
            NotFoundError: there is no such group.
            ConflictError: the name is taken.
        """
        connection = connection or connections.default()
        resource = address(connection.group(resource_group), STORAGE_ACCOUNT, name)
        gateway = connection.gateway
        if location is None:
            location = gateway.get_group(resource_group).location
        return cls(connection, resource, gateway.put_account(resource, location, tags or {}))

    @classmethod
    def get(
        cls, name: str, *, resource_group: str, connection: Connection | None = None
    ) -> "StorageAccount":
        """Return the storage account `name`.

        Raises:
            NotFoundError: there is none.
        """
        connection = connection or connections.default()
        resource = address(connection.group(resource_group), STORAGE_ACCOUNT, name)
        return cls(connection, resource, connection.gateway.get_account(resource))

    @classmethod
    def list(
        cls, *, resource_group: str | None = None, connection: Connection | None = None
    ) -> "builtins.list[StorageAccount]":
        """Return the storage accounts of a resource group; None: of the whole subscription."""
        connection = connection or connections.default()
        return [
            cls(
                connection,
                address(connection.group(facts.group), STORAGE_ACCOUNT, facts.name),
                facts,
            )
            for facts in connection.gateway.list_accounts(resource_group)
        ]

    @classmethod
    def from_id(
        cls, resource_id: str | ResourceId, *, connection: Connection | None = None
    ) -> "StorageAccount":
        """Return a handle on the account of a resource id, without asking the service."""
        return cls(connection or connections.default(), of_kind(STORAGE_ACCOUNT, resource_id))

    @property
    def name(self) -> str:
        """The account's name."""
        return self.id.name

    @property
    def _facts(self) -> AccountFacts:
        with self._lock:
            if self._facts_seen is None:
                self._facts_seen = self.connection.gateway.get_account(self.id)
            return self._facts_seen

    @property
    def location(self) -> str:
        """The account's region."""
        return self._facts.location

    @property
    def blob_endpoint(self) -> str:
        """Base URL of its containers."""
        return self._facts.blob_endpoint

    @property
    def file_endpoint(self) -> str:
        """Base URL of its shares."""
        return self._facts.file_endpoint

    @property
    def key(self) -> str:
        """The first key, base64: whoever has it may do everything with the account."""
        return self.keys()[0]

    def keys(self) -> tuple[str, ...]:
        """Return the account's keys, asked for once."""
        with self._lock:
            if not self._keys:
                self._keys = self.connection.gateway.account_keys(self.id)
            if not self._keys:
                raise ServiceError(f"the service gave no key of storage account {self.name}")
            return self._keys

    def share(self, name: str) -> "FileShare":
        """Return a handle on the file share `name`; it is created by the first upload."""
        from batchai_quickstart.client.fileshare import FileShare

        return FileShare(self, name)

    def container(self, name: str) -> "BlobContainer":
        """Return a handle on the blob container `name`; it is created by the first upload."""
        from batchai_quickstart.client.container import BlobContainer

        return BlobContainer(self, name)

    def delete(self) -> None:
        """Delete the account with all its shares and containers."""
        self.connection.gateway.delete_account(self.id)

    def __repr__(self) -> str:
        return f"StorageAccount({self.name!r}, resource_group={self.id.group!r})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, StorageAccount)
            and self.id == other.id
            and self.connection == other.connection
        )

    def __hash__(self) -> int:
        return hash((self.id, self.connection))

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the keys: they are asked for again.
        return StorageAccount, (self.connection, self.id, self._facts_seen)
