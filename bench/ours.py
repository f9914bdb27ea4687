"""batchai-quickstart: a service of its own, jobs by the SDK, logs followed over the wire."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from typing import Self

NODES = 4


class Ours:
    """Custom toolkit jobs on a cluster of a few nodes, output on a file share."""

    parallel = 0
    keeps = True

    def __enter__(self) -> Self:
        from batchai_quickstart import (
            Cluster,
            Connection,
            Experiment,
            Job,
            LocalService,
            ResourceGroup,
            StorageAccount,
            Workspace,
        )

        self._submit = Job.submit
        self._numbers = count(1)
        with ExitStack() as leaving:
            local = leaving.enter_context(LocalService())
            self._pid = local.info.pid
            connection = Connection.open(
                local.endpoint, token=local.token, subscription_id=local.subscription_id
            )
            ResourceGroup.create("bench", location="eastus", connection=connection)
            workspace = Workspace.create(
                "bench", resource_group="bench", location="eastus", connection=connection
            )
            self._cluster = Cluster.create(
                workspace, "nodes", vm_size="Standard_D1", target_node_count=NODES
            )
            self._storage = StorageAccount.create(
                "bench", resource_group="bench", connection=connection
            )
            self._storage.share("logs").create()
            self._experiment = Experiment.create(workspace, "bench")
            self._cluster.wait_steady()
            self._leaving = leaving.pop_all()
        share = {
            "azureFileUrl": f"{self._storage.file_endpoint.rstrip('/')}/logs",
            "relativeMountPath": "logs",
        }
        self._properties = {
            "nodeCount": 1,
            "stdOutErrPathPrefix": "$AZ_BATCHAI_JOB_MOUNT_ROOT/logs",
            "mountVolumes": {"azureFileShares": [share]},
        }
        return self

    def __exit__(self, *exception: object) -> None:
        self._leaving.close()

    def submit(self, argv: Sequence[str]):
        # A job's command line is run by a shell: one that is named as well would be a second one.
        line = argv[2] if argv[:2] == ["/bin/sh", "-c"] else shlex.join(argv)
        toolkit = {"customToolkitSettings": {"commandLine": line}}
        return self._submit(
            f"job{next(self._numbers)}",
            {"properties": {**self._properties, **toolkit}},
            cluster=self._cluster,
            experiment=self._experiment,
            storage=self._storage,
        )

    def follow(self, job) -> Iterator[str]:
        return job.iter_log_chunks("stdout.txt")

    def wait(self, job) -> int:
        return job.wait().exit_code

    def service(self) -> list[int]:
        return [self._pid]
