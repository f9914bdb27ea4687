"""A cluster's live half: its nodes, idle and busy, and the jobs that wait for them."""

import bisect
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchai_quickstart.engines.base import Engine, Node, Pool
from batchai_quickstart.ids import ResourceId
from batchai_quickstart.service.registry import Record
from batchai_quickstart.service.vmsizes import gpus_of

_PRIORITY = {"high": 0, "normal": 1, "low": 2}


@dataclass(slots=True)
class LiveCluster:
    """What the scheduler keeps of a cluster in memory; built anew from record and disk.

    Arguments:
        id: the cluster.
        pool: its nodes.
        gpus_per_node: GPUs of its VM size.
        target: nodes it is meant to have.
        idle: nodes without a job, by id.
        busy: nodes with one.
        queue: `(priority, order of creation, job)` of each waiting job, in the order of starting.
    """

    id: ResourceId
    pool: Pool
    gpus_per_node: int
    target: int
    idle: dict[str, Node]
    busy: dict[str, Node] = field(default_factory=dict)
    queue: list[tuple[int, int, ResourceId]] = field(default_factory=list)

    @classmethod
    def open(cls, record: Record, engine: Engine, directory: Path) -> "LiveCluster":
        """Open a cluster's pool below `directory`, with the nodes that are there."""
        properties = record.properties
        place = directory / (record.private or {})["directory"]
        pool = engine.pool(record.id.name, place, properties.get("currentNodeCount", 0))
        return cls(
            id=record.id,
            pool=pool,
            gpus_per_node=gpus_of(properties["vmSize"]),
            target=properties["scaleSettings"]["manual"]["targetNodeCount"],
            idle={node.id: node for node in pool.nodes},
        )

    @property
    def surplus(self) -> int:
        """How many nodes there are beyond the target."""
        return len(self.pool.nodes) - self.target

    def fit(self) -> None:
        """Add nodes, or take idle ones away, towards the target."""
        self.pool.resize(max(self.target, len(self.busy)), keep=self.busy.keys())
        self.idle = {node.id: node for node in self.pool.nodes if node.id not in self.busy}

    def take(self, wanted: Iterable[str]) -> tuple[Node, ...]:
        """Turn idle nodes, named by their ids, into busy ones."""
        nodes = tuple(self.idle.pop(node_id) for node_id in wanted)
        self.busy |= {node.id: node for node in nodes}
        return nodes

    def give_back(self, nodes: Iterable[Node]) -> None:
        """Turn busy nodes into idle ones."""
        for node in nodes:
            self.idle[node.id] = self.busy.pop(node.id)

    def enqueue(self, job: Record) -> None:
        """Put a job into the queue, behind those of its priority that came before it."""
        priority = _PRIORITY[job.properties.get("schedulingPriority", "normal")]
        bisect.insort(self.queue, (priority, job.seq, job.id), key=lambda item: item[:2])

    def leave(self, job: ResourceId) -> None:
        """Take a job out of the queue."""
        self.queue[:] = [item for item in self.queue if item[2] != job]

    def allocation(self) -> dict[str, Any]:
        """Say what the wire says of the nodes: state and count."""
        return {
            "allocationState": "resizing" if self.surplus else "steady",
            "currentNodeCount": len(self.pool.nodes),
        }

    def node_counts(self) -> dict[str, int]:
        """Count the nodes by state, all five always present."""
        leaving = min(max(0, self.surplus), len(self.busy))
        return {
            "idleNodeCount": len(self.idle),
            "runningNodeCount": len(self.busy) - leaving,
            "preparingNodeCount": 0,
            "unusableNodeCount": 0,
            "leavingNodeCount": leaving,
        }
