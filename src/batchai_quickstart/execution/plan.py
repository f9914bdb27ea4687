"""What to run: frozen, JSON-serialisable, complete.

A `JobPlan` is worked out once, by pure functions of the service, and written into the run's
directory before anything happens. Executing it needs no job.json, no ARM and no HTTP; after a
restart the same plan is read back and the run continues from what is on disk.
"""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Command:
    """One process to start.

    Arguments:
        name: unique in the plan, safe as a file name (`main`, `prep-0`, `wk-1`).
        node: index into the run's nodes.
        argv: program and arguments, not interpreted by a shell.
        env: variables added to the node's own environment.
        cwd: absolute working directory.
        stdout: absolute path the kernel writes standard output to.
        stderr: the same for standard error.
    """

    name: str
    node: int
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Link:
    """A mount: a symbolic link at `path` to the directory `target`, for the life of the run.

    `error` is the wire's error code when it cannot be made (`AZFMountError`, `BFSMountError`).
    """

    path: str
    target: str
    error: str


@dataclass(frozen=True, slots=True)
class TextFile:
    """A small file written before the first command, for example an MPI host file."""

    path: str
    content: str


@dataclass(frozen=True, slots=True)
class JobPlan:
    """Everything one run of a job does.

    Arguments:
        run: the run's UUID; marks every process of the run (`AZ_BATCHAI_RUN_ID`).
        job: the job's resource id, for people reading logs.
        directories: absolute directories to create (parents too), in order, after the links.
        scratch: absolute directories created before the links and removed at the end.
        links: the job's mounts.
        files: files to write.
        preparation: job preparation, one command a node; all must exit 0.
        main: the toolkit's commands: started together, failing together.
        log: absolute path of execution.log.
        wall_clock: limit in seconds from the start of the run.
        secrets: names of environment variables whose values are handed over at the start and
            never written into the plan.
    """

    run: str
    job: str
    scratch: tuple[str, ...]
    links: tuple[Link, ...]
    directories: tuple[str, ...]
    files: tuple[TextFile, ...]
    preparation: tuple[Command, ...]
    main: tuple[Command, ...]
    log: str
    wall_clock: float
    secrets: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The plan as one JSON document."""
        # dataclasses.asdict copies everything first: half of what starting a run would cost.
        return json.dumps(self, default=_fields)

    @classmethod
    def from_json(cls, text: str) -> "JobPlan":
        """Read back what `to_json` wrote."""
        data: dict[str, Any] = json.loads(text)
        return cls(
            run=data["run"],
            job=data["job"],
            scratch=tuple(data["scratch"]),
            links=tuple(Link(**link) for link in data["links"]),
            directories=tuple(data["directories"]),
            files=tuple(TextFile(**file) for file in data["files"]),
            preparation=tuple(_command(item) for item in data["preparation"]),
            main=tuple(_command(item) for item in data["main"]),
            log=data["log"],
            wall_clock=data["wall_clock"],
            secrets=tuple(data["secrets"]),
        )


def _fields(item: JobPlan | Command | Link | TextFile) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__slots__}


def _command(data: dict[str, Any]) -> Command:
    return Command(
        **{
            **data,
            "argv": tuple(data["argv"]),
            "env": tuple((name, value) for name, value in data["env"]),
        }
    )
