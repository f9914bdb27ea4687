"""Jobs: submitted, watched, read."""

import builtins
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, final

from batchai_quickstart import models
from batchai_quickstart.client import connection as connections
from batchai_quickstart.client import outputs, tail
from batchai_quickstart.client.cluster import Cluster
from batchai_quickstart.client.connection import Connection
from batchai_quickstart.client.experiment import Experiment
from batchai_quickstart.client.jobfile import JobSpec
from batchai_quickstart.client.joblog import JobLog, is_over
from batchai_quickstart.client.outputs import JobFile
from batchai_quickstart.client.resource import Resource, address, of_kind
from batchai_quickstart.client.storage import StorageAccount
from batchai_quickstart.errors import (
    BatchAIError,
    ConflictError,
    JobFailedError,
    NotFoundError,
)
from batchai_quickstart.ids import EXPERIMENT, JOB, ResourceId

STDOUTERR = "stdouterr"
"""The output directory every job has: its standard output and error, and execution.log."""
STDERR_TAIL = 4096
"""Bytes of standard error a failed job's exception carries."""


class Sink(Protocol):
    """Where text can be written: `sys.stdout`, a file opened for text, `io.StringIO`."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


@final
@dataclass(frozen=True, repr=False)
class Job:
    """A handle on a job.

    `Job.submit`, `get`, `list` and `from_id` make handles; the constructor is theirs.
    """

    _resource: Resource[models.Job]

    @classmethod
    def submit(
        cls,
        name: str,
        spec: JobSpec | str | os.PathLike[str] | Mapping[str, Any],
        *,
        cluster: Cluster,
        experiment: Experiment | str,
        storage: StorageAccount | None = None,
        placeholders: Mapping[str, str] | None = None,
    ) -> "Job":
        """Send a job to the queue of a cluster and return at once.

        Arguments:
            name: 1 to 64 ASCII letters, digits, `-` or `_`; new in its experiment.
            spec: what to run: a `JobSpec`, the path of a job file, or the content of one.
            cluster: the cluster that runs it.
            experiment: the experiment it belongs to, or the name of one in the cluster's
                workspace, created if need be.
            storage: the account whose name and key fill the gaps of the mounts; by default the
                one of `AZURE_BATCHAI_STORAGE_ACCOUNT` and `AZURE_BATCHAI_STORAGE_KEY`, if set.
            placeholders: values of other `<NAME>` placeholders in the file.

        Raises:
            InvalidSpecError: the job file breaks the schema; every mistake is named.
            InvalidRequestError: the service refuses the job.
            ConflictError: a job of this name exists, and is another one or has ended. (One that
                is asked for again while it waits or runs is handed back, so a repeated request
                does no harm.)
            TypeError: `cluster`, `experiment` or `storage` is no handle.
        """
        _expect("cluster", cluster, Cluster)
        _expect("experiment", experiment, Experiment, str)
        if storage is not None:
            _expect("storage", storage, StorageAccount)
        spec = _spec(spec, placeholders)
        body = spec.to_request(str(cluster.id), _credentials(storage))
        gateway = cluster.connection.gateway
        by_name = isinstance(experiment, str)
        if isinstance(experiment, str):
            experiment = Experiment.from_id(
                address(cluster.id.parent, EXPERIMENT, experiment), connection=cluster.connection
            )
        resource = address(experiment.id, JOB, name)
        try:
            seen = gateway.create(resource, body)
        except NotFoundError as error:
            if not by_name or error.code != "ExperimentNotFound":
                raise
            gateway.create(experiment.id, None)
            seen = gateway.create(resource, body)
        model = models.Job.from_wire(seen) if seen else None
        if model is not None and is_over(model):
            raise ConflictError(
                f"job {name} exists already and has ended ({model.properties.execution_state}): "
                "choose another name, or delete it first",
                code="JobAlreadyExists",
            )
        return cls(Resource(cluster.connection, resource, models.Job, model))

    @classmethod
    def get(cls, experiment: Experiment, name: str) -> "Job":
        """Return the job `name` of an experiment.

        Raises:
            NotFoundError: there is none.
        """
        resource = address(experiment.id, JOB, name)
        return cls(Resource(experiment.connection, resource, models.Job)).refresh()

    @classmethod
    def list(cls, experiment: Experiment) -> "builtins.list[Job]":
        """Return the jobs of an experiment."""
        connection = experiment.connection
        found = connection.gateway.resources(experiment.id, JOB, models.Job)
        return [cls(Resource.listed(connection, model)) for model in found]

    @classmethod
    def from_id(
        cls, resource_id: str | ResourceId, *, connection: Connection | None = None
    ) -> "Job":
        """Return a handle on the job of a resource id, without asking the service."""
        resource = of_kind(JOB, resource_id)
        return cls(Resource(connection or connections.default(), resource, models.Job))

    @property
    def connection(self) -> Connection:
        """The way to the service."""
        return self._resource.connection

    @property
    def id(self) -> ResourceId:
        """The job's resource id."""
        return self._resource.id

    @property
    def name(self) -> str:
        """The job's name."""
        return self.id.name

    @property
    def experiment(self) -> Experiment:
        """The experiment it belongs to."""
        return Experiment.from_id(self.id.parent, connection=self.connection)

    @property
    def model(self) -> models.Job:
        """The job as last seen; `refresh` looks again."""
        return self._resource.model

    @property
    def state(self) -> models.ExecutionState | None:
        """Where it is on its way, as last seen: `queued`, `running`, ... `succeeded`, `failed`."""
        return self.model.properties.execution_state

    @property
    def exit_code(self) -> int | None:
        """The command's exit code, as last seen; None before the end, and if it was terminated."""
        info = self.model.properties.execution_info
        return info.exit_code if info and is_over(self.model) else None

    @property
    def output_path_segment(self) -> str | None:
        """The directory of this run below the prefixes of its outputs."""
        return self.model.properties.job_output_directory_path_segment

    def refresh(self) -> "Job":
        """Read the job again and return this handle."""
        self._resource.refresh()
        return self

    def wait(self, *, timeout: float | None = None) -> "Job":
        """Wait until the job has ended, well or not; `raise_for_status` tells which.

        Arguments:
            timeout: seconds to wait at most; None: for ever.

        Raises:
            WaitTimeoutError: it has not ended in time; it goes on.
        """
        self._resource.wait(is_over, timeout=timeout, describe=self._describe)
        return self

    def _describe(self, model: models.Job) -> str:
        return (
            f"job {self.name} is {model.properties.execution_state}; it goes on, wait() waits "
            f"again and terminate() ends it"
        )

    def raise_for_status(self) -> "Job":
        """Return this handle, unless the job has failed.

        Raises:
            JobFailedError: it has; with exit code, errors and the end of standard error.
        """
        if self.state != models.ExecutionState.FAILED:
            return self
        info = self.model.properties.execution_info
        errors = [(error.code or "", _told(error)) for error in info.errors] if info else []
        reason = "; ".join(f"{code}: {message}" for code, message in errors) or "no reason given"
        exit_code = info.exit_code if info else None
        ended = f" with exit code {exit_code}" if exit_code is not None else ""
        raise JobFailedError(
            f"job {self.name} failed{ended}: {reason}",
            job=self.name,
            exit_code=exit_code,
            errors=errors,
            stderr_tail=self._stderr_tail(),
        )

    def _stderr_tail(self) -> str:
        """The end of the last standard error that says anything; "" where it cannot be had."""
        try:
            files = [file for file in self.files(STDOUTERR) if file.name.startswith("stderr")]
            # Preparation comes before the job proper: what failed last wrote last.
            order = [file for file in files if file.size and "job_prep" not in file.name]
            order += [file for file in files if file.size and "job_prep" in file.name]
            for file in order:
                return outputs.end_of(self._resource, file, STDERR_TAIL)
        except (BatchAIError, tail.Broken, tail.Expired):
            # The failure itself is the news; that its log cannot be read must not hide it.
            return ""
        return ""

    def terminate(self, *, wait: bool = True) -> "Job":
        """End the job; it becomes `failed`. One that has ended stays as it is.

        Arguments:
            wait: return when it has ended; else as soon as the service has accepted.
        """
        self.connection.gateway.terminate(self.id, wait=wait)
        return self.refresh()

    def delete(self, *, wait: bool = True) -> None:
        """Delete the job, ending it if it runs; its output files stay in storage.

        Arguments:
            wait: return when it is gone; else as soon as the service has accepted.
        """
        self._resource.delete(wait=wait)

    def nodes(self) -> "builtins.list[models.RemoteLoginInformation]":
        """List how to reach the job's nodes by ssh."""
        return self.connection.gateway.remote_login(self.id)

    def files(
        self, directory: str = STDOUTERR, path: str = ".", *, link_minutes: int = 60
    ) -> "builtins.list[JobFile]":
        """List an output directory, sorted by name; empty before the job has made it.

        Arguments:
            directory: `stdouterr`, or the id of an output directory of the job file (`MODEL`).
            path: subdirectory.
            link_minutes: life of the links in minutes, 5 to 600.
        """
        return [*outputs.files(self._resource, directory, path, link_minutes)]

    def download(
        self,
        directory: str,
        destination: str | os.PathLike[str],
        *,
        pattern: str | None = None,
        path: str = ".",
    ) -> "builtins.list[Path]":
        """Download an output directory with its subdirectories; each file whole or not at all.

        Arguments:
            directory: `stdouterr` or the id of an output directory (`MODEL`).
            destination: local directory, made if need be.
            pattern: only files whose path matches (`*.model`); None: all.
            path: subdirectory to begin at.

        Returns:
            The local paths.

        Raises:
            NotFoundError: there is no such file.
            TransferError: a file did not come whole; it was not kept.
        """
        return outputs.download(self._resource, directory, Path(destination), pattern, path)

    def stream_log(
        self,
        name: str,
        directory: str = STDOUTERR,
        *,
        from_start: bool = True,
        tail: int | None = None,
        file: Sink | None = None,
    ) -> "Job":
        """Print a file while the job writes it, to its very end, and return this handle.

        Ctrl-C ends the printing, not the job.

        Arguments:
            name: the file, for example `stderr.txt`.
            directory: `stdouterr` or the id of an output directory.
            from_start: begin with what was written before; else with what comes now.
            tail: begin with the last so many lines instead.
            file: where to; by default standard output.

        Raises:
            NotFoundError: the job ended without such a file.
        """
        file = file or sys.stdout
        try:
            for chunk in self.iter_log_chunks(name, directory, from_start=from_start, tail=tail):
                file.write(chunk)
                file.flush()
        except KeyboardInterrupt:
            print(self._come_back(name, directory), file=sys.stderr)  # noqa: T201 - to the person
            raise KeyboardInterrupt from None  # where it struck in the HTTP client is no news
        return self

    def _come_back(self, name: str, directory: str) -> str:
        where = "" if directory == STDOUTERR else f", {directory!r}"
        return (
            f"\nJob {self.name} goes on. To see its log again, or to end it:\n"
            f'  job = Job.from_id("{self.id}")\n'
            f"  job.stream_log({name!r}{where})\n"
            f"  job.terminate()"
        )

    def iter_log(
        self,
        name: str,
        directory: str = STDOUTERR,
        *,
        from_start: bool = True,
        tail: int | None = None,
    ) -> Iterator[str]:
        """Iterate over the lines of a file, without their ends, until the job is over.

        Arguments as for `stream_log`.
        """
        return _lines(self.iter_log_chunks(name, directory, from_start=from_start, tail=tail))

    def iter_log_chunks(
        self,
        name: str,
        directory: str = STDOUTERR,
        *,
        from_start: bool = True,
        tail: int | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator[str]:
        """Iterate over pieces of text of a file as they come, until the job is over.

        The fast way to move much of it: pieces are as large as what has come, and never cut a
        character. Arguments as for `stream_log`; `sleep` pauses (given by tests).
        """
        log = JobLog(self._resource, name, directory, sleep=sleep)
        return _text(log.chunks(from_start=from_start, tail_lines=tail))

    def __repr__(self) -> str:
        known = self._resource.known
        state = f", {known.properties.execution_state}" if known else ""
        return f"Job({self.name!r}, experiment={self.id.parent.name!r}{state})"


# `tail` names an argument above, as it does for the command of that name.
_text = tail.text
_lines = tail.lines


def _expect(name: str, value: object, *kinds: type) -> None:
    if not isinstance(value, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise TypeError(f"{name} must be a {wanted}; found {value!r}")


def _spec(
    spec: JobSpec | str | os.PathLike[str] | Mapping[str, Any],
    placeholders: Mapping[str, str] | None,
) -> JobSpec:
    if isinstance(spec, JobSpec):
        return spec
    if isinstance(spec, Mapping):
        return JobSpec.from_dict(dict(spec), placeholders=placeholders)
    return JobSpec.from_file(spec, placeholders=placeholders)


def _credentials(storage: StorageAccount | None) -> tuple[str, str] | None:
    """The account's name and key: of the handle, else of the variables the original tools read."""
    if storage is not None:
        return storage.name, storage.key
    name = os.environ.get("AZURE_BATCHAI_STORAGE_ACCOUNT")
    key = os.environ.get("AZURE_BATCHAI_STORAGE_KEY")
    return (name, key) if name and key else None


def _told(error: models.BatchAIError) -> str:
    """Join the message of an error and its details."""
    details = "; ".join(pair.value for pair in error.details if pair.value)
    return f"{error.message} ({details})" if details else error.message or ""
