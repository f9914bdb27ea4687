"""The environment of a job: paths on its nodes and the variables its processes see.

Names, meanings and layout are those of Batch AI. Values are worked out in the order in which they
may refer to each other: roots, input directories, output directories, what describes the nodes,
the user's own variables; whatever else may hold `$NAME` (script paths) comes after that.
"""

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from batchai_quickstart import models
from batchai_quickstart.errors import InvalidRequestError
from batchai_quickstart.ids import ResourceId

_REFERENCE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DIRECTORY_ID = re.compile(r"[A-Za-z0-9_]+")
_RESERVED = ("AZ_BATCHAI_", "AZ_BATCH_")


@dataclass(frozen=True, slots=True)
class Place:
    """One allocated node, as planning sees it.

    Arguments:
        node_id: the node's id.
        address: where its peers reach it.
        root: the node's own directory (absolute); everything of a job is below it.
        gpus: physical indices of the GPUs handed out to the job on this node.
        cpus: processors of the node.
    """

    node_id: str
    address: str
    root: str
    gpus: tuple[int, ...]
    cpus: int


@dataclass(frozen=True, slots=True)
class Submission:
    """What planning needs of a job.

    Arguments:
        id: the job.
        run: UUID of this run; a job that is requeued runs again under a new one.
        segment: `jobOutputDirectoryPathSegment`.
        properties: the job as it was submitted; secret values are not looked at.
        cluster: the cluster it runs on.
        cluster_mounts: what that cluster mounts on its nodes.
    """

    id: ResourceId
    run: str
    segment: str
    properties: models.JobBaseProperties
    cluster: ResourceId
    cluster_mounts: models.MountVolumes | None


def expand(text: str, variables: Mapping[str, str], field: str, *, path: bool = True) -> str:
    """Replace `$NAME` and `${NAME}` by values; values are not searched again.

    Arguments:
        text: what the user wrote.
        variables: known names.
        field: JSON path of `text`, for messages.
        path: `text` is a path, in which every name must be known. Elsewhere unknown names stay as
            they are for whoever reads the value, unless they begin with `AZ_BATCHAI_`.

    Raises:
        InvalidRequestError: an unknown name; the message names it and the nearest known one.
    """
    if "$" not in text:
        return text

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        found = variables.get(name)
        if found is None:
            if path or name.startswith("AZ_BATCHAI_"):
                raise _undefined(name, variables, field)
            return match[0]
        return found

    return _REFERENCE.sub(value, text)


def roots(root: str, shared: str, job: ResourceId) -> dict[str, str]:
    """Name the directories of a job on one node.

    Arguments:
        root: the node's directory.
        shared: the directory of the job's first node, which all its nodes can reach.
        job: the job's id.
    """
    below = "/jobs/" + "/".join(job.names)
    temp = root + below
    return {
        "AZ_BATCHAI_ROOT": root,
        "AZ_BATCHAI_MOUNT_ROOT": f"{root}/mounts",
        "AZ_BATCHAI_JOB_MOUNT_ROOT": f"{temp}/mounts",
        "AZ_BATCHAI_JOB_TEMP": temp,
        "AZ_BATCHAI_JOB_TEMP_DIR": f"{root}/jobs",
        "AZ_BATCHAI_SHARED_JOB_TEMP": f"{shared}{below}/shared",
        "AZ_BATCHAI_JOB_WORK_DIR": f"{temp}/wd",
        "AZ_BATCHAI_MPI_HOST_FILE": f"{temp}/hostfile",
    }


def directories(submission: Submission, known: Mapping[str, str]) -> dict[str, str]:
    """Work out the job's input and output directories on one node.

    Outputs lie, as with Batch AI, at `<prefix>/<segment>/stdouterr` and
    `<prefix>/<segment>/outputs[/<pathSuffix>]`.

    Arguments:
        submission: the job.
        known: the roots of the node.

    Returns:
        `AZ_BATCHAI_INPUT_<id>`, `AZ_BATCHAI_OUTPUT_<id>` and `AZ_BATCHAI_STDOUTERR_DIR`.

    Raises:
        InvalidRequestError: an id or a path that cannot be used.
    """
    properties, segment = submission.properties, submission.segment
    variables = dict(known)
    for index, source in enumerate(properties.input_directories):
        field = f"properties.inputDirectories[{index}]"
        name = _directory_variable("AZ_BATCHAI_INPUT_", source.id, field)
        variables[name] = _path(source.path, variables, f"{field}.path")
    for index, output in enumerate(properties.output_directories):
        field = f"properties.outputDirectories[{index}]"
        name = _directory_variable("AZ_BATCHAI_OUTPUT_", output.id, field)
        prefix = _prefix(output.path_prefix, variables, f"{field}.pathPrefix")
        suffix = _suffix(output.path_suffix or "", f"{field}.pathSuffix")
        variables[name] = f"{prefix}/{segment}/outputs{suffix}"
    field = "properties.stdOutErrPathPrefix"
    prefix = _prefix(properties.std_out_err_path_prefix, variables, field)
    variables["AZ_BATCHAI_STDOUTERR_DIR"] = f"{prefix}/{segment}/stdouterr"
    return {name: value for name, value in variables.items() if name not in known}


def node_variables(submission: Submission, places: Sequence[Place], index: int) -> dict[str, str]:
    """Describe the job's nodes to the processes on one of them.

    Arguments:
        submission: the job.
        places: all its nodes, the master first.
        index: the node the variables are for.
    """
    place, master = places[index], places[0]
    gpus = str(len(place.gpus))
    addresses = [each.address for each in places]
    return {
        "AZ_BATCHAI_RUN_ID": submission.run,
        "AZ_BATCHAI_JOB_NAME": submission.id.name,
        "AZ_BATCHAI_CLUSTER_NAME": submission.cluster.name,
        "AZ_BATCHAI_NUM_GPUS": gpus,
        "AZ_BATCHAI_NUM_GPUS_PER_NODE": gpus,
        "AZ_BATCHAI_JOB_MASTER_NODE_IP": master.address,
        "AZ_BATCHAI_MPI_MASTER_NODE": master.address,
        "AZ_BATCH_HOST_LIST": ",".join(addresses),
        "AZ_BATCH_NODE_LIST": ";".join(addresses),
        "AZ_BATCH_MASTER_NODE": f"{master.address}:6000",
        "AZ_BATCH_NODE_ID": place.node_id,
        "AZ_BATCH_JOB_ID": submission.run,
        "AZ_BATCH_IS_CURRENT_NODE_MASTER": "true" if index == 0 else "false",
        "CUDA_VISIBLE_DEVICES": ",".join(map(str, place.gpus)),
    }


def user_variables(submission: Submission, known: Mapping[str, str]) -> dict[str, str]:
    """Work out the job's own variables, each of which may refer to all known and earlier ones.

    Names of toolkits and tools (`KERAS_BACKEND`, `CUDA_VISIBLE_DEVICES`) may be given other
    values; those of the service may not.

    Raises:
        InvalidRequestError: a name that is reserved, given twice, or that no shell can hold.
    """
    own: dict[str, str] = {}
    every = dict(known)
    for index, variable in enumerate(submission.properties.environment_variables):
        field = f"properties.environmentVariables[{index}]"
        _check_name(variable.name, own, f"{field}.name")
        value = expand(variable.value, every, f"{field}.value", path=False)
        own[variable.name] = every[variable.name] = value
    taken = set(own)
    for index, secret in enumerate(submission.properties.secrets):
        field = f"properties.secrets[{index}]"
        _check_name(secret.name, taken, f"{field}.name")
        if secret.value_secret_reference is not None:
            raise refused(
                f"{field}.valueSecretReference",
                "this service reads no Key Vault: give the value itself as value, which is kept "
                "secret as well",
            )
        taken.add(secret.name)
    return own


def host_file(places: Sequence[Place]) -> str:
    """Write the nodes down as Open MPI reads them: one line each, a slot for every GPU.

    Nodes without GPUs have a slot for every processor.
    """
    return "".join(
        f"{place.address} slots={len(place.gpus) or max(1, place.cpus)}\n" for place in places
    )


def refused(field: str, problem: str, *, code: str = "InvalidPropertyValue") -> InvalidRequestError:
    """Build the error for a property that cannot be used.

    Arguments:
        field: its JSON path.
        problem: what is wrong with it and what to do, without a full stop.
        code: the wire's error code.
    """
    return InvalidRequestError(f"{field}: {problem}.", code=code, target=field)


def _path(text: str, variables: Mapping[str, str], field: str) -> str:
    # Looked for in what the user wrote: the service's own root may well be reached by `..`.
    if ".." in text.split("/"):
        raise refused(field, f"{text!r} climbs: give a path without '..'")
    return expand(text, variables, field)


def _prefix(text: str, variables: Mapping[str, str], field: str) -> str:
    path = _path(text, variables, field)
    if not path.startswith("/"):
        raise refused(
            field,
            f"{text!r} is no absolute path: begin it with a variable such as "
            "$AZ_BATCHAI_JOB_MOUNT_ROOT",
        )
    return "".join(f"/{part}" for part in path.split("/") if part not in ("", "."))


def _suffix(text: str, field: str) -> str:
    parts = text.split("/")
    if text.startswith("/") or ".." in parts:
        raise refused(field, f"{text!r} must be a relative path without '..', such as 'Models'")
    return "".join(f"/{part}" for part in parts if part not in ("", "."))


def _directory_variable(prefix: str, id_: str, field: str) -> str:
    if not _DIRECTORY_ID.fullmatch(id_):
        raise refused(
            f"{field}.id",
            f"{id_!r} cannot be part of a variable's name ({prefix}<id>): use letters, digits "
            "and underscores",
        )
    return prefix + id_


def _check_name(name: str, taken: Collection[str], field: str) -> None:
    if not _VARIABLE_NAME.fullmatch(name):
        raise refused(
            field,
            f"{name!r} is no name of an environment variable: use letters, digits and "
            "underscores, and no digit first",
        )
    if name.upper().startswith(_RESERVED):
        raise refused(
            field, f"{name!r} is reserved: names that begin with AZ_BATCH are set by the service"
        )
    if name in taken:
        raise refused(field, f"{name!r} is given twice; remove one of them")


def _undefined(name: str, variables: Mapping[str, str], field: str) -> InvalidRequestError:
    near = difflib.get_close_matches(name, variables, n=1)
    hint = f"the nearest is ${near[0]}" if near else "known are " + ", ".join(sorted(variables))
    return refused(field, f"${name} is not defined here; {hint}")
