"""From a job to its plan: pure functions, no disk, no clock, no network.

`job_plan` says everything a run does, `output_location` where its files will be found, `check`
what can be refused while the user is still there. Output files and logs are named by the
directories of their volumes, not through the run's mounts: they stay reachable after unmounting.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from batchai_quickstart import models
from batchai_quickstart.errors import InvalidRequestError, NotFoundError
from batchai_quickstart.execution.plan import Command, JobPlan, Link, TextFile
from batchai_quickstart.service import environment, mounts, toolkits
from batchai_quickstart.service.environment import Place, Submission, refused
from batchai_quickstart.service.mounts import Mount, VolumeKind, VolumePath

__all__ = [
    "OutputLocation",
    "Place",
    "Submission",
    "VolumePath",
    "check",
    "job_plan",
    "output_location",
]

_JOB_MOUNTS = "properties.mountVolumes"
_CLUSTER_MOUNTS = "cluster.properties.nodeSetup.mountVolumes"

# Stands for the root of whatever node a job will get; no path a user writes can begin with it,
# because a name after a dollar sign is replaced or refused.
_ANY_ROOT: Final = "/$LS_root"


@dataclass(frozen=True, slots=True)
class OutputLocation:
    """Where the files of an output directory are.

    Arguments:
        account: storage account.
        kind: share or container.
        volume: its name.
        path: the directory, relative to the volume.
    """

    account: str
    kind: VolumeKind
    volume: str
    path: str


def job_plan(
    submission: Submission, places: Sequence[Place], volume_path: VolumePath, *, python: str
) -> JobPlan:
    """Work out everything one run of a job does.

    Arguments:
        submission: the job.
        places: the nodes it got, the master first.
        volume_path: where shares and containers are.
        python: the interpreter of scripts that name none.

    Raises:
        NotFoundError: a volume is not there; `code` is the one the job fails with
            (`AZFMountError`, `BFSMountError`).
        InvalidRequestError: what `check` refuses.
    """
    properties = submission.properties
    toolkit = toolkits.toolkit(properties)
    cluster_mounts = mounts.volume_directories(
        mounts.read_mounts(submission.cluster_mounts, _CLUSTER_MOUNTS), volume_path
    )
    job_mounts = mounts.volume_directories(
        mounts.read_mounts(properties.mount_volumes, _JOB_MOUNTS), volume_path
    )
    nodes = [
        _node(submission, places, index, toolkit.variables, cluster_mounts, job_mounts)
        for index in range(len(places))
    ]
    launches = toolkit.launch(properties, [node.variables for node in nodes], python)
    if properties.container_settings is not None:
        raise refused(
            "properties.containerSettings",
            "containers are not run by this service yet: remove containerSettings, and the job "
            "runs directly on the node",
        )
    return JobPlan(
        run=submission.run,
        job=str(submission.id),
        scratch=_each(node.scratch for node in nodes),
        links=tuple(link for node in nodes for link in node.links),
        directories=_each(node.directories for node in nodes),
        files=tuple(
            TextFile(node.variables["AZ_BATCHAI_MPI_HOST_FILE"], environment.host_file(places))
            for node in nodes
        ),
        preparation=_preparation(properties, places, nodes),
        main=tuple(
            Command(
                name=launch.name,
                node=launch.node,
                argv=launch.argv,
                env=(*nodes[launch.node].variables.items(), *launch.variables),
                cwd=nodes[launch.node].variables["AZ_BATCHAI_JOB_WORK_DIR"],
                stdout=f"{nodes[launch.node].logs}/stdout{launch.suffix}.txt",
                stderr=f"{nodes[launch.node].logs}/stderr{launch.suffix}.txt",
            )
            for launch in launches
        ),
        log=f"{nodes[0].logs}/execution.log",
        wall_clock=_wall_clock(properties),
        secrets=tuple(secret.name for secret in properties.secrets),
    )


def check(submission: Submission, *, python: str = "python") -> None:
    """Refuse a job that cannot run, whatever nodes it will get.

    Volumes need not exist yet: a job may wait for them in the queue.

    Arguments:
        submission: the job; its `run` and `segment` may be anything.
        python: the interpreter of scripts that name none.

    Raises:
        InvalidRequestError: code, message and the JSON path at fault (`target`).
    """
    count = submission.properties.node_count
    if count < 1:
        raise refused("properties.nodeCount", f"{count} is less than 1: a job needs a node")
    # What is refused depends on whether there are several nodes, not on how many.
    places = [
        Place(f"node-{index}", "127.0.0.1", f"{_ANY_ROOT}-{index}", (), 1)
        for index in range(min(count, 2))
    ]
    plan = job_plan(submission, places, _any_volume, python=python)
    _check_outputs(submission)
    for text in _texts(plan):
        # The kernel takes neither, in paths, arguments or variables.
        if "\0" in text or not _encodable(text):
            raise refused(
                "properties",
                f"{text[:200]!r} holds a character that no path, argument or variable can hold "
                "(NUL or half a surrogate pair): remove it",
            )


def _check_outputs(submission: Submission) -> None:
    """Refuse outputs below the job's mount root where nothing is mounted: they would be lost."""
    properties = submission.properties
    known = environment.roots(_ANY_ROOT, _ANY_ROOT, submission.id)
    found = environment.directories(submission, known)
    root = known["AZ_BATCHAI_JOB_MOUNT_ROOT"]
    points = [mount.path for mount in mounts.read_mounts(properties.mount_volumes, _JOB_MOUNTS)]
    fields = {"AZ_BATCHAI_STDOUTERR_DIR": "properties.stdOutErrPathPrefix"}
    for index, each in enumerate(properties.output_directories):
        name = f"properties.outputDirectories[{index}].pathPrefix"
        fields[f"AZ_BATCHAI_OUTPUT_{each.id}"] = name
    for variable, field in fields.items():
        path = found[variable]
        if _below(path, root) and not any(_below(path, f"{root}/{point}") for point in points):
            raise refused(
                field,
                "it lies below $AZ_BATCHAI_JOB_MOUNT_ROOT, but on none of the job's mounts "
                f"({', '.join(points) or 'there are none'}): what is written there would be lost",
            )


def output_location(submission: Submission, directory_id: str) -> OutputLocation:
    """Find the share or container that holds an output directory.

    Arguments:
        submission: the job.
        directory_id: `stdouterr`, or the id of one of its output directories.

    Raises:
        NotFoundError: the job has no such directory.
        InvalidRequestError: it lies on no share or container, so it cannot be read from outside.
    """
    known = environment.roots(_ANY_ROOT, _ANY_ROOT, submission.id)
    found = environment.directories(submission, known)
    name = f"AZ_BATCHAI_OUTPUT_{directory_id}"
    path = found.get("AZ_BATCHAI_STDOUTERR_DIR" if directory_id == "stdouterr" else name)
    if path is None:
        ids = [each.id for each in submission.properties.output_directories]
        raise NotFoundError(
            f"The specified outputDirectoryId {directory_id} is not found; job "
            f"{submission.id.name} has {', '.join(['stdouterr', *ids])}.",
            code="OutputDirectoryNotFound",
            target="outputdirectoryid",
        )
    for volumes, field, root in (
        (submission.properties.mount_volumes, _JOB_MOUNTS, known["AZ_BATCHAI_JOB_MOUNT_ROOT"]),
        (submission.cluster_mounts, _CLUSTER_MOUNTS, known["AZ_BATCHAI_MOUNT_ROOT"]),
    ):
        for mount in mounts.read_mounts(volumes, field):
            point = f"{root}/{mount.path}"
            if _below(path, point):
                return OutputLocation(
                    mount.account, mount.kind, mount.volume, path[len(point) + 1 :]
                )
    raise InvalidRequestError(
        f"The specified outputDirectoryId {directory_id} is not present on a mount root",
        code="InvalidOutputDirectory",
        target="outputdirectoryid",
    )


@dataclass(frozen=True, slots=True)
class _Node:
    """A job's share of one node: environment, links, directories, where its logs go."""

    variables: Mapping[str, str]
    links: tuple[Link, ...]
    scratch: tuple[str, ...]
    directories: tuple[str, ...]
    logs: str


def _node(
    submission: Submission,
    places: Sequence[Place],
    index: int,
    toolkit_variables: Iterable[tuple[str, str]],
    cluster_mounts: Sequence[tuple[Mount, str]],
    job_mounts: Sequence[tuple[Mount, str]],
) -> _Node:
    root = places[index].root
    variables = environment.roots(root, places[0].root, submission.id)
    outputs = environment.directories(submission, variables)
    variables |= outputs
    variables |= environment.node_variables(submission, places, index)
    variables |= toolkit_variables
    variables |= environment.user_variables(submission, variables)
    links = (
        *mounts.links(cluster_mounts, variables["AZ_BATCHAI_MOUNT_ROOT"]),
        *mounts.links(job_mounts, variables["AZ_BATCHAI_JOB_MOUNT_ROOT"]),
    )
    scratch = (
        variables["AZ_BATCHAI_JOB_TEMP"],
        variables["AZ_BATCHAI_JOB_MOUNT_ROOT"],
        variables["AZ_BATCHAI_JOB_WORK_DIR"],
        variables["AZ_BATCHAI_SHARED_JOB_TEMP"],
        *(link.path.rpartition("/")[0] for link in links),
    )
    real = {
        name: _real(path, links)
        for name, path in outputs.items()
        if not name.startswith("AZ_BATCHAI_INPUT_")
    }
    return _Node(
        variables=variables,
        links=links,
        scratch=scratch,
        directories=(variables["AZ_BATCHAI_MOUNT_ROOT"], *real.values()),
        logs=real["AZ_BATCHAI_STDOUTERR_DIR"],
    )


def _preparation(
    properties: models.JobBaseProperties, places: Sequence[Place], nodes: Sequence[_Node]
) -> tuple[Command, ...]:
    if properties.job_preparation is None:
        return ()
    argv = toolkits.shell(properties.job_preparation.command_line)
    commands = []
    for index, (place, node) in enumerate(zip(places, nodes, strict=True)):
        suffix = "-job_prep" if len(places) == 1 else f"-job_prep-{place.node_id}"
        commands.append(
            Command(
                name=f"prep-{index}",
                node=index,
                argv=argv,
                env=tuple(node.variables.items()),
                cwd=node.variables["AZ_BATCHAI_JOB_WORK_DIR"],
                stdout=f"{node.logs}/stdout{suffix}.txt",
                stderr=f"{node.logs}/stderr{suffix}.txt",
            )
        )
    return tuple(commands)


def _wall_clock(properties: models.JobBaseProperties) -> float:
    seconds = properties.constraints.max_wall_clock_time.total_seconds()
    if seconds <= 0:
        raise refused(
            "properties.constraints.maxWallClockTime", "the limit must be longer than nothing"
        )
    return seconds


def _real(path: str, links: Iterable[Link]) -> str:
    for link in links:
        if _below(path, link.path):
            return link.target + path[len(link.path) :]
    return path


def _below(path: str, directory: str) -> bool:
    return path.startswith(directory) and path[len(directory) : len(directory) + 1] in ("", "/")


def _each(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for group in groups for item in group))


def _any_volume(account: str, kind: VolumeKind, name: str) -> str:
    return f"{_ANY_ROOT}/{kind}/{account}/{name}"


def _texts(plan: JobPlan) -> Iterator[str]:
    yield from plan.directories
    yield from (link.path for link in plan.links)
    for command in (*plan.preparation, *plan.main):
        yield from command.argv
        for pair in command.env:
            yield from pair


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
