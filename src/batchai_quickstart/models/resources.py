"""What several families share: resource heads, references, variables, accounts."""

from batchai_quickstart.models._base import Model
from batchai_quickstart.models._rules import ExactlyOne
from batchai_quickstart.models.scalars import Secret


class ProxyResource(Model):
    """The head of a resource that lives in a workspace."""

    id: str | None = None
    """Full resource id."""
    name: str | None = None
    """The resource's own name."""
    type: str | None = None
    """Resource type, for example `Microsoft.BatchAI/workspaces/clusters`."""


class Resource(Model):
    """The head of a resource that lives in a resource group, at a location."""

    id: str | None = None
    """Full resource id."""
    name: str | None = None
    """The resource's own name."""
    type: str | None = None
    """Resource type, for example `Microsoft.BatchAI/workspaces`."""
    location: str | None = None
    """Region; everything below the resource lives there too."""
    tags: dict[str, str] | None = None
    """Free names and values."""


class ResourceId(Model):
    """A reference to another resource."""

    id: str
    """Full resource id of the resource meant."""


class KeyVaultSecretReference(Model):
    """A secret kept in a Key Vault."""

    source_vault: ResourceId
    """The vault."""
    secret_url: str
    """URL of the secret in the vault."""


class NameValuePair(Model):
    """A name and a value."""

    name: str | None = None
    value: str | None = None


class EnvironmentVariable(Model):
    """An environment variable set for a command."""

    name: str
    """Name of the variable."""
    value: str
    """Its value; may refer to other variables as `$NAME`."""


class EnvironmentVariableWithSecretValue(Model):
    """An environment variable whose value the service never gives back."""

    rules = (ExactlyOne(("value", "valueSecretReference")),)

    name: str
    """Name of the variable."""
    value: Secret | None = None
    """Its value; never returned."""
    value_secret_reference: KeyVaultSecretReference | None = None
    """Where the value is kept, instead of `value`."""


class UserAccountSettings(Model):
    """The administrator's account on nodes and file servers."""

    admin_user_name: str
    """User name for ssh."""
    admin_user_ssh_public_key: str | None = None
    """Public key for ssh."""
    admin_user_password: Secret | None = None
    """Password for ssh; never returned."""
