"""Taking resources away: marked at once, gone when nothing of them runs any more."""

import asyncio
from dataclasses import replace

from batchai_quickstart import ids
from batchai_quickstart.errors import ConflictError
from batchai_quickstart.ids import ResourceId
from batchai_quickstart.service.background import Background
from batchai_quickstart.service.registry import Record, Registry, utcnow, wire_time
from batchai_quickstart.service.scheduler import Scheduler
from batchai_quickstart.storage.changes import Changes
from batchai_quickstart.storage.store import Store


class Remover:
    """Deletes resources with everything below them.

    Arguments:
        registry: where they are marked and removed.
        scheduler: ends their jobs and closes their clusters.
        store: holds the storage accounts that go with their resource group.
        changes: told of files that go.
    """

    def __init__(
        self, registry: Registry, scheduler: Scheduler, store: Store, changes: Changes
    ) -> None:
        self._changes = changes
        self._registry = registry
        self._scheduler = scheduler
        self._store = store
        self._background = Background()

    def restore(self) -> None:
        """Go on with what an earlier process was deleting."""
        groups = self._registry.all(None)
        for record in [*groups, *(r for kind in ids.KINDS for r in self._registry.active(kind))]:
            if is_deleting(record):
                self._begin(record.id)

    async def close(self) -> None:
        """Stop; the next process goes on."""
        await self._background.close()

    def delete(self, id_: ResourceId) -> None:
        """Mark a resource and all below it as `deleting` and begin to remove them.

        Raises:
            ConflictError: a cluster that jobs outside of it use.
        """
        doomed = self._with_children(id_)
        if id_.kind is ids.CLUSTER and (users := self._scheduler.users_of(id_)):
            raise ConflictError(
                f"Cluster {id_.name} has {len(users)} queued or running job(s) "
                f"({', '.join(job.name for job in users[:5])}): wait for them, or terminate or "
                "delete them first."
            )
        with self._registry.transaction():
            for record in doomed:
                changes = {"provisioningState": "deleting"}
                if record.id.kind is not None and record.id.kind is not ids.STORAGE_ACCOUNT:
                    changes["provisioningStateTransitionTime"] = wire_time(utcnow())
                else:  # Azure Resource Manager's own states begin with a capital
                    changes["provisioningState"] = "Deleting"
                self._registry.put(replace(record.with_properties(**changes), active=True))
        self._begin(id_)

    def delete_account(self, record: Record) -> None:
        """Remove a storage account at once; its files go a little later."""
        self._registry.delete(record.id)
        self._background.begin(self._discard(record.id.name))

    async def _discard(self, account: str) -> None:
        away = self._store.detach_account(account)
        self._changes.notify(self._store.root / "accounts" / account)
        await asyncio.to_thread(self._store.remove_detached, away)

    def _begin(self, id_: ResourceId) -> None:
        self._background.begin(self._remove(id_))

    async def _remove(self, id_: ResourceId) -> None:
        doomed = self._with_children(id_)
        jobs = {record.id for record in doomed if record.id.kind is ids.JOB}
        clusters = [record.id for record in doomed if record.id.kind is ids.CLUSTER]
        # Jobs of other workspaces end too when the cluster goes down with its own.
        for cluster in clusters:
            jobs.update(self._scheduler.users_of(cluster))
        for job in jobs:
            record = self._registry.get(job)
            if record is not None:
                self._scheduler.terminate(record)
        await self._scheduler.ended(jobs)
        for cluster in clusters:
            self._scheduler.close_cluster(cluster)
        self._registry.delete(id_)
        for record in doomed:
            if record.id.kind is ids.STORAGE_ACCOUNT:
                await self._discard(record.id.name)

    def _with_children(self, id_: ResourceId) -> list[Record]:
        own = self._registry.get(id_)
        found = [own] if own else []
        for kind in ids.KINDS:
            if kind is not id_.kind:
                found += self._registry.children(id_, kind)
        return found


def is_deleting(record: Record) -> bool:
    """Whether a resource is on its way out."""
    return str(record.properties.get("provisioningState", "")).lower() == "deleting"
