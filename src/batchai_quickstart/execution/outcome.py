"""How a run ended: the codes and messages Batch AI reported, and where they come from."""

import json
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run.

    Arguments:
        exit_code: the exit code to report; None when no command decided the end.
        code: the wire's error code; None means success.
        message: the error's message; empty on success.
        details: names and values of the error's details.
        started: when the run began (UTC).
        ended: when all its processes were gone and its logs complete (UTC).
    """

    exit_code: int | None
    code: str | None
    message: str
    details: tuple[tuple[str, str], ...]
    started: datetime
    ended: datetime

    def to_json(self) -> str:
        """The outcome as one JSON document."""
        return json.dumps(
            {
                "exit_code": self.exit_code,
                "code": self.code,
                "message": self.message,
                "details": self.details,
                "started": self.started.isoformat(),
                "ended": self.ended.isoformat(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "Outcome":
        """Read back what `to_json` wrote."""
        data = json.loads(text)
        return cls(
            exit_code=data["exit_code"],
            code=data["code"],
            message=data["message"],
            details=tuple((name, value) for name, value in data["details"]),
            started=datetime.fromisoformat(data["started"]),
            ended=datetime.fromisoformat(data["ended"]),
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a run ends, decided before its processes are gone. `code` None means success."""

    code: str | None
    exit_code: int | None
    message: str
    details: tuple[tuple[str, str], ...] = field(default=())


SUCCESS = Verdict(None, 0, "")
TERMINATED = Verdict("JobTerminated", None, "The specified job has been terminated by the user")

_MOUNT_FAILURES = {
    # As Batch AI reported them, exit codes included.
    "AZFMountError": (-1, "Unable to mount Azure File"),
    "BFSMountError": (1, "unable to mount blob fuse file system"),
}


def command_failed(exit_code: int) -> Verdict:
    """A command of the job ended with `exit_code`."""
    return Verdict("JobFailed", exit_code, "Job failed with non-zero exit code")


def preparation_failed(exit_code: int) -> Verdict:
    """Job preparation ended with `exit_code` on some node."""
    return Verdict(
        "JobPreparationFailed",
        exit_code,
        "Job preparation task failed with non-zero exit code",
    )


def mount_failed(code: str, info: str) -> Verdict:
    """A mount could not be made; `info` says which and why."""
    exit_code, message = _MOUNT_FAILURES.get(code, (None, "Unable to mount a volume"))
    return Verdict(code, exit_code, message, (("Info", info),))


def node_failed(message: str) -> Verdict:
    """The node could not do what the plan asks; `message` says what and why."""
    return Verdict("JobNodeFailed", None, message)


def out_of_time(limit: float) -> Verdict:
    """The run reached its wall-clock limit of `limit` seconds."""
    return Verdict(
        "JobMaxWallClockTimeReached",
        None,
        f"The job reached its maximum wall-clock time of {limit:g} seconds and was ended",
    )
