"""Taking over the runs of an earlier service, in whatever state it left them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from batchai_quickstart.engines.base import Node, Pool
from batchai_quickstart.errors import ServiceError
from batchai_quickstart.execution.journal import Journal
from batchai_quickstart.execution.runner import Run


def adopt(
    directory: Path,
    pool: Pool,
    nodes: Sequence[Node],
    secrets: Mapping[str, str] | None = None,
) -> Run | None:
    """Go on with the run that keeps its records in `directory`.

    Commands that run are watched again, ended ones are settled, and what comes next is done. Must
    be called in the event loop that will run on.

    Arguments:
        directory: the run's directory.
        pool: the pool of the run's cluster.
        nodes: nodes of that pool, the run's among them; the run's own are found by their ids.
        secrets: values of the plan's secret variables, for commands that are yet to start.

    Returns:
        The run, started; None when it never began and nothing was done: start it anew.

    Raises:
        ServiceError: the records are damaged, or a node of the run is missing in `nodes`.
    """
    history = Journal(directory).read()
    if history is None:
        return None
    by_id = {node.id: node for node in nodes}
    if lost := [node for node in history.nodes if node not in by_id]:
        raise ServiceError(
            f"The run in {directory} is on node {lost[0]}, which is not among the nodes given: "
            f"{', '.join(by_id) or 'none'}."
        )
    run = Run(
        history.plan,
        pool,
        [by_id[node] for node in history.nodes],
        secrets or {},
        directory=directory,
    )
    run.resume(history)
    return run
