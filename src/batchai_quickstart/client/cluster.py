"""Clusters: the nodes that run jobs."""

import builtins
import os
from dataclasses import dataclass
from typing import final

from batchai_quickstart import models
from batchai_quickstart.client import connection as connections
from batchai_quickstart.client import sshkey
from batchai_quickstart.client.connection import Connection
from batchai_quickstart.client.resource import Resource, address, of_kind
from batchai_quickstart.client.workspace import Workspace
from batchai_quickstart.errors import InvalidRequestError
from batchai_quickstart.ids import CLUSTER, ResourceId

IMAGES: dict[str, tuple[str, str, str]] = {
    "UbuntuLTS": ("Canonical", "UbuntuServer", "16.04-LTS"),
    "UbuntuDSVM": ("microsoft-ads", "linux-data-science-vm-ubuntu", "linuxdsvmubuntu"),
}
"""Short names of images, as the Azure CLI has them: publisher, offer, SKU."""


@final
@dataclass(frozen=True, repr=False)
class Cluster:
    """A handle on a cluster.

    `Cluster.create`, `get`, `list` and `from_id` make handles; the constructor is theirs.
    """

    _resource: Resource[models.Cluster]

    @classmethod
    def create(
        cls,
        workspace: Workspace,
        name: str,
        *,
        vm_size: str,
        target_node_count: int | None = None,
        min_node_count: int | None = None,
        max_node_count: int | None = None,
        image: str | None = "UbuntuDSVM",
        vm_priority: models.VmPriority | str = models.VmPriority.DEDICATED,
        admin_user_name: str | None = None,
        admin_ssh_public_key: str | os.PathLike[str] | None = None,
        node_setup: models.NodeSetup | None = None,
    ) -> "Cluster":
        """Create a cluster: of a fixed size, or one that follows its queue.

        Arguments:
            workspace: the workspace it lives in.
            name: 1 to 64 ASCII letters, digits, `-` or `_`.
            vm_size: size of the nodes, for example `Standard_NC6`.
            target_node_count: nodes of a cluster of fixed size; 0 is allowed.
            min_node_count: fewest nodes of one that scales by itself.
            max_node_count: most nodes of one that scales by itself.
            image: `UbuntuDSVM`, `UbuntuLTS`, or `publisher:offer:sku[:version]`; None: the
                service's default.
            vm_priority: `dedicated`, or `lowpriority`: cheaper, and may be taken away.
            admin_user_name: account on the nodes; by default the name of this user.
            admin_ssh_public_key: the key or the path of its file; by default the user's own, else
                one made for this package.
            node_setup: mounts and a setup task for every node.

        Raises:
            ConflictError: a cluster of this name exists.
            InvalidRequestError: the numbers of nodes contradict each other, or the image is none.
        """
        resource = address(workspace.id, CLUSTER, name)
        account = models.UserAccountSettings(
            admin_user_name=admin_user_name or sshkey.admin_user(),
            admin_user_ssh_public_key=sshkey.public_key(admin_ssh_public_key),
        )
        properties = models.ClusterBaseProperties(
            vm_size=vm_size,
            vm_priority=models.VmPriority(vm_priority),
            scale_settings=_scale(target_node_count, min_node_count, max_node_count),
            virtual_machine_configuration=_image(image),
            node_setup=node_setup,
            user_account_settings=account,
        )
        body = models.ClusterCreateParameters(properties=properties).to_wire(secrets=True)
        seen = workspace.connection.gateway.create(resource, body)
        model = models.Cluster.from_wire(seen) if seen else None
        return cls(Resource(workspace.connection, resource, models.Cluster, model))

    @classmethod
    def get(cls, workspace: Workspace, name: str) -> "Cluster":
        """Return the cluster `name` of a workspace.

        Raises:
            NotFoundError: there is none.
        """
        resource = address(workspace.id, CLUSTER, name)
        return cls(Resource(workspace.connection, resource, models.Cluster)).refresh()

    @classmethod
    def list(cls, workspace: Workspace) -> "builtins.list[Cluster]":
        """Return the clusters of a workspace."""
        connection = workspace.connection
        found = connection.gateway.resources(workspace.id, CLUSTER, models.Cluster)
        return [cls(Resource.listed(connection, model)) for model in found]

    @classmethod
    def from_id(
        cls, resource_id: str | ResourceId, *, connection: Connection | None = None
    ) -> "Cluster":
        """Return a handle on the cluster of a resource id, without asking the service."""
        resource = of_kind(CLUSTER, resource_id)
        return cls(Resource(connection or connections.default(), resource, models.Cluster))

    @property
    def connection(self) -> Connection:
        """The way to the service."""
        return self._resource.connection

    @property
    def id(self) -> ResourceId:
        """The cluster's resource id."""
        return self._resource.id

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.id.name

    @property
    def workspace(self) -> Workspace:
        """The workspace it lives in."""
        return Workspace.from_id(self.id.parent, connection=self.connection)

    @property
    def model(self) -> models.Cluster:
        """The cluster as last seen; `refresh` looks again."""
        return self._resource.model

    @property
    def state(self) -> models.AllocationState | None:
        """Whether it has the nodes it should have, as last seen: `steady` or `resizing`."""
        return self.model.properties.allocation_state

    @property
    def node_count(self) -> int:
        """Nodes it has, as last seen."""
        return self.model.properties.current_node_count or 0

    def refresh(self) -> "Cluster":
        """Read the cluster again and return this handle."""
        self._resource.refresh()
        return self

    def resize(
        self,
        target_node_count: int,
        *,
        deallocation: models.DeallocationOption | str = models.DeallocationOption.REQUEUE,
    ) -> "Cluster":
        """Give the cluster another number of nodes; `wait_steady` waits until it has them.

        Arguments:
            target_node_count: how many; 0 is allowed.
            deallocation: what happens to jobs on nodes that go: `requeue`, `terminate` or
                `waitforjobcompletion`.
        """
        manual = models.ManualScaleSettings(
            target_node_count=target_node_count,
            node_deallocation_option=models.DeallocationOption(deallocation),
        )
        return self._update(models.ScaleSettings(manual=manual))

    def auto_scale(self, min_node_count: int, max_node_count: int) -> "Cluster":
        """Let the cluster follow its queue, within limits."""
        return self._update(_scale(None, min_node_count, max_node_count))

    def _update(self, scale: models.ScaleSettings) -> "Cluster":
        properties = models.ClusterUpdateProperties(scale_settings=scale)
        body = models.ClusterUpdateParameters(properties=properties).to_wire()
        gateway = self.connection.gateway
        self._resource.remember(gateway.update(self.id, body, models.Cluster))
        return self

    def wait_steady(self, *, timeout: float | None = None) -> "Cluster":
        """Wait until the cluster has the nodes it should have.

        Arguments:
            timeout: seconds to wait at most; None: for ever.

        Raises:
            WaitTimeoutError: it has not got them in time.
        """
        self._resource.wait(_is_steady, timeout=timeout, describe=self._describe)
        return self

    def _describe(self, model: models.Cluster) -> str:
        facts = model.properties
        return (
            f"cluster {self.name} is {facts.allocation_state} with "
            f"{facts.current_node_count or 0} nodes; wait_steady() waits on"
        )

    def nodes(self) -> "builtins.list[models.RemoteLoginInformation]":
        """List how to reach the cluster's nodes by ssh."""
        return self.connection.gateway.remote_login(self.id)

    def delete(self, *, wait: bool = True) -> None:
        """Delete the cluster.

        Arguments:
            wait: return when it is gone; else as soon as the service has accepted.

        Raises:
            ConflictError: jobs are running or waiting on it.
        """
        self._resource.delete(wait=wait)

    def __repr__(self) -> str:
        known = self._resource.known
        size = f", {known.properties.vm_size}" if known and known.properties.vm_size else ""
        return f"Cluster({self.name!r}, workspace={self.id.parent.name!r}{size})"


def _is_steady(cluster: models.Cluster) -> bool:
    """Tell a cluster that is steady at the size last asked for.

    A resize is seen in the target at once, but in the state a moment later.
    """
    facts = cluster.properties
    if facts.allocation_state != models.AllocationState.STEADY:
        return False
    manual = facts.scale_settings.manual if facts.scale_settings else None
    return manual is None or facts.current_node_count == manual.target_node_count


def _scale(target: int | None, low: int | None, high: int | None) -> models.ScaleSettings:
    if target is not None and low is None and high is None:
        return models.ScaleSettings(manual=models.ManualScaleSettings(target_node_count=target))
    if target is None and low is not None and high is not None and low <= high:
        limits = models.AutoScaleSettings(minimum_node_count=low, maximum_node_count=high)
        return models.ScaleSettings(auto_scale=limits)
    raise InvalidRequestError(
        "a cluster has either target_node_count, or min_node_count and max_node_count with "
        f"min <= max; found target_node_count={target}, min_node_count={low}, "
        f"max_node_count={high}",
        target="scaleSettings",
    )


def _image(name: str | None) -> models.VirtualMachineConfiguration | None:
    if name is None:
        return None
    parts: tuple[str, ...] = tuple(name.split(":"))
    known = {alias.lower(): image for alias, image in IMAGES.items()}
    version = "latest"
    if len(parts) == 1:
        parts = known.get(name.lower(), ())
    elif len(parts) == 4:
        *parts_list, version = parts
        parts = tuple(parts_list)
    if len(parts) != 3 or not all((*parts, version)):
        raise InvalidRequestError(
            f"{name!r} is no image: expected {', '.join(IMAGES)} or publisher:offer:sku[:version]",
            target="image",
        )
    publisher, offer, sku = parts
    reference = models.ImageReference(publisher=publisher, offer=offer, sku=sku, version=version)
    return models.VirtualMachineConfiguration(image_reference=reference)
