"""Handles on a live service, through the object API, as a script would make them."""

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from batchai_quickstart import (
    Cluster,
    Experiment,
    Job,
    NotFoundError,
    ResourceGroup,
    StorageAccount,
    Workspace,
)
from batchai_quickstart.local import LocalService


@dataclass(frozen=True)
class Lab:
    """A group with everything a job needs."""

    group: ResourceGroup
    workspace: Workspace
    cluster: Cluster
    experiment: Experiment
    storage: StorageAccount

    @classmethod
    def build(cls, service: LocalService, nodes: int = 2) -> "Lab":
        """Create a group of its own with a cluster, an experiment and a storage account."""
        connection = service.connect()
        tag = uuid.uuid4().hex[:8]
        group = ResourceGroup.create(f"lab-{tag}", location="eastus", connection=connection)
        workspace = Workspace.create(
            "w", resource_group=group.name, location="eastus", connection=connection
        )
        cluster = Cluster.create(workspace, "c", vm_size="Standard_D1", target_node_count=nodes)
        storage = StorageAccount.create(
            f"lab{tag}", resource_group=group.name, location="eastus", connection=connection
        )
        storage.share("files").create()
        return cls(
            group, workspace, cluster.wait_steady(), Experiment.create(workspace, "e"), storage
        )

    def spec(self, command: str, **properties: Any) -> dict[str, Any]:
        """Write a job file: `command` runs with the share `files` mounted, logs go there."""
        return {
            "properties": {
                "nodeCount": 1,
                "customToolkitSettings": {"commandLine": command},
                "stdOutErrPathPrefix": "$AZ_BATCHAI_JOB_MOUNT_ROOT/files",
                "outputDirectories": [
                    {
                        "id": "OUT",
                        "pathPrefix": "$AZ_BATCHAI_JOB_MOUNT_ROOT/files",
                        "pathSuffix": "out",
                    }
                ],
                "mountVolumes": {
                    "azureFileShares": [
                        {
                            "azureFileUrl": "https://<AZURE_BATCHAI_STORAGE_ACCOUNT>"
                            ".file.core.windows.net/files",
                            "relativeMountPath": "files",
                        }
                    ]
                },
                **properties,
            }
        }

    def submit(self, name: str, command: str, **properties: Any) -> Job:
        """Submit such a job."""
        return Job.submit(
            name,
            self.spec(command, **properties),
            cluster=self.cluster,
            experiment=self.experiment,
            storage=self.storage,
        )


@pytest.fixture
def lab(service: LocalService) -> Iterator[Lab]:
    """A lab of the test's own, deleted at its end."""
    built = Lab.build(service)
    yield built
    with contextlib.suppress(NotFoundError):
        built.group.delete(wait=False)
