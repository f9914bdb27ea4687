"""Storage accounts: where the inputs and outputs of jobs live."""

import builtins
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

from batchai_quickstart.client import access as accesses
from batchai_quickstart.client import connection as connections
from batchai_quickstart.client.access import Access
from batchai_quickstart.client.answers import AccountFacts
from batchai_quickstart.client.connection import Connection
from batchai_quickstart.client.resource import address, of_kind
from batchai_quickstart.errors import ConfigurationError, ServiceError
from batchai_quickstart.ids import STORAGE_ACCOUNT, ResourceId

if TYPE_CHECKING:
    from batchai_quickstart.client.container import BlobContainer
    from batchai_quickstart.client.fileshare import FileShare
    from batchai_quickstart.client.rest import Rest


@final
class StorageAccount:
    """A handle on a storage account, of this service or of Azure.

    `StorageAccount.create`, `get` and `list` make handles through the service that keeps the
    account; `open` and `from_connection_string` reach the storage alone. Shares and containers
    of either are the same. The constructor is theirs.
    """

    def __init__(
        self,
        connection: Connection | None,
        resource: ResourceId | None,
        facts: AccountFacts | None = None,
        access: Access | None = None,
    ) -> None:
        self._connection = connection
        self._resource = resource
        self._facts_seen = facts
        self._given = access
        self._keys: tuple[str, ...] = ()
        self._lock = threading.Lock()
        self._wire: Rest | None = None

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

    @classmethod
    def open(
        cls,
        name: str,
        *,
        key: str | None = None,
        sas: str | None = None,
        credential: Any = None,
        blob_endpoint: str | None = None,
        file_endpoint: str | None = None,
    ) -> "StorageAccount":
        """Return a handle on an account by its name and a credential, without asking anybody.

        A pickled handle carries the credential: treat the pickle like a password.

        Arguments:
            name: the account's name.
            key: one of its keys, base64.
            sas: query of a shared access signature of the account.
            credential: an `azure.core` token credential (`DefaultAzureCredential()`).
            blob_endpoint: base URL of its containers; by default that of Azure's public cloud.
            file_endpoint: the same of its shares.

        Raises:
            ConfigurationError: not exactly one of key, sas and credential; or what cannot be one.
        """
        return cls._reached(
            accesses.access(
                name,
                key=key,
                sas=sas,
                credential=credential,
                blob_endpoint=blob_endpoint,
                file_endpoint=file_endpoint,
            )
        )

    @classmethod
    def from_connection_string(cls, text: str | None = None) -> "StorageAccount":
        """Return a handle on the account of a connection string, without asking anybody.

        Arguments:
            text: as the Azure portal shows it, or `UseDevelopmentStorage=true` for an emulator on
                this machine; None: `AZURE_STORAGE_CONNECTION_STRING` in the environment.

        Raises:
            ConfigurationError: it is none.
        """
        found = text if text is not None else os.environ.get("AZURE_STORAGE_CONNECTION_STRING")
        if not found:
            raise ConfigurationError(
                "no connection string: AZURE_STORAGE_CONNECTION_STRING is not set"
                if text is None
                else "the connection string is empty"
            )
        return cls._reached(accesses.parse_connection_string(found))

    @classmethod
    def _reached(cls, access: Access) -> "StorageAccount":
        return cls(None, None, access=access)

    @property
    def connection(self) -> Connection:
        """The service that keeps the account.

        Raises:
            ConfigurationError: the account was opened without one.
        """
        if self._connection is None:
            raise self._without("connection")
        return self._connection

    @property
    def id(self) -> ResourceId:
        """The account's id.

        Raises:
            ConfigurationError: the account was opened without a service that could tell it.
        """
        if self._resource is None:
            raise self._without("id")
        return self._resource

    def _without(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"storage account {self.name} was opened by its name and credential, so it has no "
            f"{what} and no location and cannot be deleted; StorageAccount.get has all that"
        )

    @property
    def name(self) -> str:
        """The account's name."""
        return self._given.name if self._given is not None else self.id.name

    @property
    def _facts(self) -> AccountFacts:
        connection, resource = self.connection, self.id
        with self._lock:
            if self._facts_seen is None:
                self._facts_seen = connection.gateway.get_account(resource)
            return self._facts_seen

    @property
    def location(self) -> str:
        """The account's region."""
        return self._facts.location

    @property
    def blob_endpoint(self) -> str:
        """Base URL of its containers."""
        return self._given.blob_endpoint if self._given else self._facts.blob_endpoint

    @property
    def file_endpoint(self) -> str:
        """Base URL of its shares."""
        return self._given.file_endpoint if self._given else self._facts.file_endpoint

    @property
    def connection_string(self) -> str:
        """What Azure's own clients and other tools take the account by; it holds the key."""
        return self.rest.access().connection_string()

    @property
    def key(self) -> str:
        """The first key, base64: whoever has it may do everything with the account."""
        return self.keys()[0]

    def keys(self) -> tuple[str, ...]:
        """Return the account's keys, asked for once.

        Raises:
            ConfigurationError: the account was opened by a signature or token.
        """
        if self._given is not None:
            if self._given.key is None:
                raise ConfigurationError(
                    f"storage account {self.name} was opened without a key; give key= where one "
                    "is needed"
                )
            return (self._given.key,)
        connection, resource = self.connection, self.id
        with self._lock:
            if not self._keys:
                self._keys = connection.gateway.account_keys(resource)
            if not self._keys:
                raise ServiceError(f"the service gave no key of storage account {self.name}")
            return self._keys

    @property
    def rest(self) -> "Rest":
        """The wire to its containers and shares."""
        with self._lock:
            if self._wire is None:
                from batchai_quickstart.client.rest import Rest

                self._wire = Rest(self._access)
            return self._wire

    def _access(self) -> Access:
        if self._given is not None:
            return self._given
        facts = self._facts
        endpoints = (facts.blob_endpoint.rstrip("/"), facts.file_endpoint.rstrip("/"))
        return Access(self.name, *endpoints, self.key)

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
        if self._given is not None:
            return f"StorageAccount.open({self.name!r}, blob_endpoint={self.blob_endpoint!r})"
        return f"StorageAccount({self.name!r}, resource_group={self.id.group!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StorageAccount) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[Any, ...]:
        return self._connection, self._resource, self._given

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the keys that the service told: they are asked for again.
        return StorageAccount, (self._connection, self._resource, self._facts_seen, self._given)
