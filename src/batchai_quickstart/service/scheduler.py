"""What runs next: queues, nodes, and the one writer of execution state.

Jobs wait in their cluster's queue by priority, then in the order they came; the first one starts
when as many nodes as it asks for are idle at once (a gang), and no later job overtakes it. Runs
outlive this process: what a job is doing is on disk, and `restore` picks every run up again.
"""

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from batchai_quickstart import ids, models
from batchai_quickstart.engines.base import Engine, Node
from batchai_quickstart.errors import BatchAIError, NotFoundError, RequestError
from batchai_quickstart.execution.adopt import adopt
from batchai_quickstart.execution.outcome import (
    TERMINATED,
    Outcome,
    Verdict,
    mount_failed,
    node_failed,
)
from batchai_quickstart.execution.runner import Run
from batchai_quickstart.ids import ResourceId
from batchai_quickstart.service import secrets
from batchai_quickstart.service.background import Background
from batchai_quickstart.service.clusters import LiveCluster
from batchai_quickstart.service.mounts import MOUNT_ERRORS
from batchai_quickstart.service.plan import Place, Submission, job_plan, output_location
from batchai_quickstart.service.registry import Record, Registry, utcnow, wire_time
from batchai_quickstart.storage.changes import Changes
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.volume import Kind

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Running:
    job: ResourceId
    run: Run
    directory: Path
    cluster: LiveCluster
    nodes: tuple[Node, ...]
    gpus: tuple[int, ...]
    requeue: bool = False


class Scheduler:
    """Starts, watches, ends and restores the runs of all jobs on one engine.

    Arguments:
        registry: what exists; only the scheduler writes execution and allocation state.
        store: where shares and containers are.
        changes: told when logs have been sealed.
        engine: what nodes are made of.
        root: directory of nodes and runs.
        python: the interpreter `python` means in jobs.
    """

    def __init__(
        self,
        registry: Registry,
        store: Store,
        changes: Changes,
        engine: Engine,
        root: Path,
        python: str,
    ) -> None:
        self._registry = registry
        self._store = store
        self._changes = changes
        self._engine = engine
        self._root = root
        self._python = python
        self._clusters: dict[ResourceId, LiveCluster] = {}
        self._running: dict[ResourceId, _Running] = {}
        self._background = Background()
        self._gpus: list[int] = []

    # -- life ------------------------------------------------------------------------------

    def restore(self) -> None:
        """Build the live state from the registry: pools, queues, and runs that may still go on."""
        self._gpus = list(self._engine.gpus())
        for record in self._registry.all(ids.CLUSTER):
            self._open_cluster(record)
        for record in self._registry.active(ids.JOB):
            if record.properties["executionState"] in ("succeeded", "failed"):
                continue  # only its deletion is not complete
            if _cluster_of(record) not in self._clusters:
                self._end(record, _now(node_failed("its cluster is gone")))
            elif record.properties["executionState"] == "queued":
                self._enqueue(record)
            else:
                try:
                    self._readopt(record)
                except Exception as error:  # one run must not keep the service from starting
                    self._end(record, _fault(error))
        known = {running.directory.name for running in self._running.values()}
        runs = self._root / "runs"
        for directory in runs.iterdir() if runs.is_dir() else ():
            if directory.name not in known:
                shutil.rmtree(directory, ignore_errors=True)
        for cluster in self._clusters.values():
            self._fit(cluster)

    async def close(self) -> None:
        """Stop watching; runs go on without us."""
        for running in self._running.values():
            running.run.detach()
        await self._background.close()

    async def terminate_all(self) -> None:
        """Terminate every running job and wait until all are over."""
        for running in self._running.values():
            running.requeue = False
            running.run.terminate()
        for cluster in self._clusters.values():
            cluster.queue.clear()
        await self.ended(list(self._running))

    def summary(self) -> dict[str, Any]:
        """Say what there is and what goes on, for people."""
        return {
            "gpus": len(self._engine.gpus()),
            "clusters": len(self._clusters),
            "nodes": sum(len(cluster.pool.nodes) for cluster in self._clusters.values()),
            "running": [str(job) for job in self._running],
            "queued": [str(item[2]) for c in self._clusters.values() for item in c.queue],
        }

    @property
    def busy(self) -> bool:
        """Whether any job runs, or waits in a cluster that has nodes to come."""
        return bool(self._running) or any(c.queue and c.target for c in self._clusters.values())

    # -- clusters --------------------------------------------------------------------------

    def create_cluster(self, record: Record, stored: Mapping[str, str]) -> Record:
        """Store a new cluster and begin to allocate its nodes."""
        private = {**(record.private or {}), "directory": str(uuid4())}
        record = self._registry.put(replace(record, private=private), secrets=stored)
        self._soon(self._fit, self._open_cluster(record))
        return record

    def resize_cluster(self, record: Record, scale: Mapping[str, Any]) -> Record:
        """Store new scale settings; nodes follow as jobs on them allow.

        Returns the cluster as Batch AI answered a PATCH: the new settings, the old state.
        """
        record = self._registry.put(record.with_properties(scaleSettings=dict(scale)))
        cluster = self._clusters[record.id]
        cluster.target = scale["manual"]["targetNodeCount"]
        self._soon(self._fit, cluster)
        return record

    def node_counts(self, id_: ResourceId) -> dict[str, int]:
        """Count a cluster's nodes by state, all five always present."""
        return self._clusters[id_].node_counts()

    def _open_cluster(self, record: Record) -> LiveCluster:
        cluster = LiveCluster.open(record, self._engine, self._root / "nodes")
        self._clusters[record.id] = cluster
        return cluster

    def _fit(self, cluster: LiveCluster) -> None:
        """Bring the number of nodes to the target as far as running jobs allow, then start jobs."""
        if self._clusters.get(cluster.id) is not cluster:
            return
        cluster.fit()
        self._evict(cluster, cluster.surplus)
        self._write_allocation(cluster)
        self._schedule(cluster)

    def _evict(self, cluster: LiveCluster, surplus: int) -> None:
        """End as many jobs, newest first, as hold `surplus` busy nodes, unless they may finish."""
        record = self._registry.get(cluster.id)
        manual = record.properties["scaleSettings"]["manual"] if record else {}
        option = manual.get("nodeDeallocationOption", "requeue")
        if option == "waitforjobcompletion":
            return
        for running in reversed(list(self._running.values())):
            if surplus <= 0:
                return
            if running.cluster is cluster:
                surplus -= len(running.nodes)
                if not self._is_terminating(running.job):
                    running.requeue = option == "requeue"
                    running.run.terminate()

    def _is_terminating(self, job: ResourceId) -> bool:
        record = self._registry.get(job)
        return record is not None and record.properties["executionState"] == "terminating"

    def _write_allocation(self, cluster: LiveCluster) -> None:
        record = self._registry.get(cluster.id)
        if record is None:
            return
        changes = cluster.allocation()
        old = {name: record.properties.get(name) for name in changes}
        if old != changes:
            if old["allocationState"] != changes["allocationState"]:
                changes["allocationStateTransitionTime"] = wire_time(utcnow())
            self._registry.put(record.with_properties(**changes))

    # -- jobs ------------------------------------------------------------------------------

    def submit(self, record: Record, stored: Mapping[str, str]) -> Record:
        """Store a new job as queued; it starts in this turn of the loop if nodes are idle."""
        record = self._registry.put(replace(record, active=True), secrets=stored)
        self._soon(self._schedule, self._enqueue(record))
        return record

    def terminate(self, record: Record) -> bool:
        """End a job; False when it had ended already.

        A queued job is `failed` at once; a running one turns `terminating`, then `failed`.
        """
        state = record.properties["executionState"]
        if state in ("succeeded", "failed"):
            return False
        running = self._running.get(record.id)
        if running is not None:
            if state != "terminating":
                self._write_job(record, executionState="terminating")
            running.requeue = False
            running.run.terminate()
            return True
        self._clusters[_cluster_of(record)].leave(record.id)
        self._end(record, _now(TERMINATED))
        return True

    def is_over(self, id_: ResourceId) -> bool:
        """Whether nothing of the job runs or waits any more."""
        record = self._registry.get(id_)
        return record is None or not record.active

    def _enqueue(self, record: Record) -> LiveCluster:
        cluster = self._clusters[_cluster_of(record)]
        cluster.enqueue(record)
        return cluster

    def users_of(self, cluster: ResourceId) -> list[ResourceId]:
        """Return the jobs that run on a cluster or wait for its nodes."""
        live = self._clusters.get(cluster)
        if live is None:
            return []
        running = [job for job, run in self._running.items() if run.cluster is live]
        return [*running, *(job for _, _, job in live.queue)]

    async def ended(self, jobs: Collection[ResourceId]) -> None:
        """Wait until nothing of these jobs runs any more."""
        while waiting := [job.key for job in jobs if job in self._running]:
            await self._registry.changed(waiting, 3600)

    def close_cluster(self, id_: ResourceId) -> None:
        """Give a cluster's nodes back; nothing may run on them."""
        live = self._clusters.pop(id_, None)
        if live is not None:
            live.pool.close()

    def _schedule(self, cluster: LiveCluster) -> None:
        while cluster.queue:
            record = self._registry.get(cluster.queue[0][2])
            if record is None:
                cluster.queue.pop(0)
                continue
            count = record.properties["nodeCount"]
            gpus = min(count * cluster.gpus_per_node, len(self._engine.gpus()))
            if count > min(len(cluster.idle), cluster.target) or gpus > len(self._gpus):
                return
            cluster.queue.pop(0)
            nodes = cluster.take(list(cluster.idle)[:count])
            self._registry.wake(cluster.id)
            taken, self._gpus = tuple(self._gpus[:gpus]), self._gpus[gpus:]
            try:
                self._start(record, cluster, nodes, taken)
            except Exception as error:  # a fault of ours must not stop the queue
                self._release(cluster, nodes, taken)
                self._end(record, _fault(error))

    def _start(
        self, record: Record, cluster: LiveCluster, nodes: tuple[Node, ...], gpus: tuple[int, ...]
    ) -> None:
        run_id = str(uuid4())
        directory = self._root / "runs" / run_id
        private = {
            **(record.private or {}),
            "run": run_id,
            "nodes": [node.id for node in nodes],
            "gpus": list(gpus),
        }
        stored = {**self._registry.secrets(cluster.id), **self._registry.secrets(record.id)}
        now = utcnow()
        plan = job_plan(
            self.submission(replace(record, private=private)),
            [
                Place(
                    node.id,
                    node.address,
                    str(node.root),
                    _share(gpus, index, len(nodes)),
                    max(1, (os.cpu_count() or 1) // len(nodes)),
                )
                for index, node in enumerate(nodes)
            ],
            self._volume_path(stored),
            python=self._python,
        )
        # Recorded before it starts: after a crash in between there is no plan in the run's
        # directory, and the job simply waits again.
        record = self._registry.put(
            replace(
                record.with_properties(
                    executionState="running",
                    executionStateTransitionTime=wire_time(now),
                    executionInfo={"startTime": wire_time(now)},
                ),
                private=private,
            )
        )
        run = Run(plan, cluster.pool, nodes, secrets.variables(stored), directory=directory)
        run.start()
        self._watch(record, run, directory, cluster, nodes, gpus)

    def _readopt(self, record: Record) -> None:
        private = record.private or {}
        cluster = self._clusters[_cluster_of(record)]
        directory = self._root / "runs" / private["run"]
        terminating = record.properties["executionState"] == "terminating"
        run = None
        if all(name in cluster.idle for name in private["nodes"]):
            nodes = tuple(cluster.idle[name] for name in private["nodes"])
            stored = self._registry.secrets(record.id)
            run = adopt(directory, cluster.pool, nodes, secrets.variables(stored))
        if run is None and terminating:
            self._end(record, _now(TERMINATED))
        elif run is None:
            self._requeue(record)
        else:
            cluster.take(private["nodes"])
            gpus = tuple(private["gpus"])
            self._gpus = [index for index in self._gpus if index not in gpus]
            self._watch(record, run, directory, cluster, nodes, gpus)
            if terminating:
                run.terminate()

    def _watch(
        self,
        record: Record,
        run: Run,
        directory: Path,
        cluster: LiveCluster,
        nodes: tuple[Node, ...],
        gpus: tuple[int, ...],
    ) -> None:
        self._running[record.id] = running = _Running(
            record.id, run, directory, cluster, nodes, gpus
        )
        self._background.begin(self._settle(running))

    async def _settle(self, running: _Running) -> None:
        try:
            outcome = await running.run.outcome()
        except Exception as error:  # its nodes must not be held for ever
            outcome = _fault(error)
        del self._running[running.job]
        record = self._registry.get(running.job)
        self._release(running.cluster, running.nodes, running.gpus)
        if record is not None and running.requeue and outcome.code is not None:
            self._requeue(record)
        elif record is not None:
            # The plan names its outputs by the directories of their volumes.
            self._end(record, outcome, map(Path, running.run.plan.directories))
        _remove_directory(running.directory)
        self._fit(running.cluster)

    def _requeue(self, record: Record) -> None:
        record = self._registry.put(
            record.with_properties(
                executionState="queued",
                executionStateTransitionTime=wire_time(utcnow()),
                executionInfo=None,
            )
        )
        self._enqueue(record)

    def _release(
        self, cluster: LiveCluster, nodes: tuple[Node, ...], gpus: tuple[int, ...]
    ) -> None:
        cluster.give_back(nodes)
        self._registry.wake(cluster.id)
        if gpus:
            self._gpus = sorted([*self._gpus, *gpus])
            for waiting in self._clusters.values():
                if waiting.queue:
                    self._soon(self._schedule, waiting)

    def _end(self, record: Record, outcome: Outcome, logs: Iterable[Path] | None = None) -> None:
        """Publish how a job ended, and tell those who follow its files that no more will come."""
        info: dict[str, Any] = {
            "startTime": wire_time(outcome.started),
            "endTime": wire_time(outcome.ended),
        }
        if outcome.exit_code is not None:
            info["exitCode"] = outcome.exit_code
        if outcome.code is not None:
            error: dict[str, Any] = {"code": outcome.code, "message": outcome.message}
            if outcome.details:
                error["details"] = [{"name": n, "value": v} for n, v in outcome.details]
            info["errors"] = [error]
        with self._registry.transaction():
            self._registry.put(
                replace(
                    record.with_properties(
                        executionState="failed" if outcome.code else "succeeded",
                        executionStateTransitionTime=wire_time(outcome.ended),
                        executionInfo=info,
                    ),
                    active=record.properties["provisioningState"] == "deleting",
                )
            )
            self._registry.finish_operations(record.id.key, "terminate")
        for path in self._log_directories(record) if logs is None else logs:
            self._changes.seal(path)

    def _write_job(self, record: Record, *, executionState: str) -> None:  # noqa: N803 - wire name
        self._registry.put(
            record.with_properties(
                executionState=executionState,
                executionStateTransitionTime=wire_time(utcnow()),
            )
        )

    def submission(self, record: Record) -> Submission:
        private = record.private or {}
        cluster_id = _cluster_of(record)
        cluster = self._registry.get(cluster_id)
        setup = (cluster.properties if cluster else {}).get("nodeSetup") or {}
        mounts = setup.get("mountVolumes")
        return Submission(
            id=record.id,
            run=private.get("run", ""),
            segment=record.properties["jobOutputDirectoryPathSegment"],
            properties=models.JobBaseProperties.from_wire(record.properties),
            cluster=cluster_id,
            cluster_mounts=models.MountVolumes.from_wire(mounts) if mounts else None,
        )

    def _volume_path(self, stored: Mapping[str, str]) -> Callable[[str, str, str], str]:
        def path(account: str, kind: str, name: str) -> str:
            key = secrets.mount_key(stored, account)
            if key is not None and key not in self._store.account(account).keys:
                raise NotFoundError(
                    f"The key given for storage account {account} is not one of its two keys: "
                    "read the current one with StorageAccount.get(...).key.",
                    code="AuthenticationFailed",
                )
            return str(self._store.volume(account, Kind(kind), name).path)

        return path

    def _log_directories(self, record: Record) -> Iterator[Path]:
        submission = self.submission(record)
        ids_ = [item["id"] for item in record.properties.get("outputDirectories", ())]
        for directory_id in ("stdouterr", *ids_):
            with contextlib.suppress(RequestError):  # on no volume: nobody can wait for it
                place = output_location(submission, directory_id)
                volume = self._store.volume(place.account, Kind(place.kind), place.volume)
                yield volume.resolve(place.path)

    # -- tasks -----------------------------------------------------------------------------

    def _soon(self, call: Callable[[LiveCluster], None], cluster: LiveCluster) -> None:
        # After the answer to the request has been written, before anything that came later.
        asyncio.get_running_loop().call_soon(call, cluster)


def _remove_directory(directory: Path) -> None:
    """Remove a run's records: a handful of files, in most cases."""
    try:
        for name in os.listdir(directory):  # noqa: PTH208 - paths cost more than the removal
            os.unlink(f"{directory}/{name}")  # noqa: PTH108
        directory.rmdir()
    except OSError:  # records of a second attempt are in a directory of their own
        shutil.rmtree(directory, ignore_errors=True)


def _share(gpus: tuple[int, ...], index: int, nodes: int) -> tuple[int, ...]:
    """Return the GPUs of one of a job's nodes: equal shares, in order."""
    return gpus[index * len(gpus) // nodes : (index + 1) * len(gpus) // nodes]


def _cluster_of(job: Record) -> ResourceId:
    return ResourceId.parse(job.properties["cluster"]["id"])


def _fault(error: Exception) -> Outcome:
    """Say how a job ends that could not be started, taken over or ended."""
    if isinstance(error, RequestError) and error.code in MOUNT_ERRORS.values():
        return _now(mount_failed(error.code, error.message))
    if isinstance(error, BatchAIError):
        return _now(node_failed(error.message))
    log.error("a job fails by a fault of the service", exc_info=error)
    return _now(node_failed(repr(error)))


def _now(verdict: Verdict) -> Outcome:
    """Turn a verdict on a job that never ran, or not to its end, into its outcome."""
    now = utcnow()
    return Outcome(verdict.exit_code, verdict.code, verdict.message, verdict.details, now, now)
