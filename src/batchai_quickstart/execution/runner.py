"""One run of a job: prepared, started together, failing together, limited, cleaned up.

Everything is recorded before it is done (see `journal`), so that `adopt` can go on from any point.
"""

import asyncio
import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from batchai_quickstart.engines.base import MARK, Node, Pool, Process
from batchai_quickstart.errors import ServiceError
from batchai_quickstart.execution.directories import PreparationError, clean_up, prepare
from batchai_quickstart.execution.journal import History, Journal
from batchai_quickstart.execution.log import ExecutionLog
from batchai_quickstart.execution.outcome import (
    SUCCESS,
    TERMINATED,
    Outcome,
    Verdict,
    command_failed,
    node_failed,
    out_of_time,
    preparation_failed,
)
from batchai_quickstart.execution.plan import Command, JobPlan

GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL when a run's processes are ended."""


class Run:
    """One run of a job.

    Arguments:
        plan: what to do.
        pool: where to do it.
        nodes: the run's nodes; commands name them by their index.
        secrets: values of the variables `plan.secrets` names; handed to the processes, kept
            nowhere else.
        directory: where the run keeps its records; no other run ever used it.
    """

    def __init__(
        self,
        plan: JobPlan,
        pool: Pool,
        nodes: Sequence[Node],
        secrets: Mapping[str, str],
        *,
        directory: Path,
    ) -> None:
        self.plan = plan
        self._pool = pool
        self._nodes = tuple(nodes)
        self._secrets = {name: secrets[name] for name in plan.secrets if name in secrets}
        self._journal = Journal(directory)
        self._log = ExecutionLog(plan.log)
        self._phases = [phase for phase in (plan.preparation, plan.main) if phase]
        self._processes: dict[str, Process] = {}
        self._began = datetime.now(UTC)
        self._clock: asyncio.TimerHandle | None = None
        self._stop: asyncio.Future[Verdict] | None = None
        self._task: asyncio.Task[Outcome] | None = None

    def start(self) -> None:
        """Prepare, and start the first commands; what fails becomes the outcome.

        Must be called in the event loop that will run on; returns with the processes started.
        """
        self._began = datetime.now(UTC)
        try:
            self._journal.begin(self.plan, [node.id for node in self._nodes], self._began)
        except OSError as error:
            # Nothing was done, and what is in the directory may be another run's.
            self._settle(self._outcome(self._unrecorded(error)))
            return
        self._log.say(f"run {self.plan.run} of {self.plan.job} begins")
        self._go_on(self._prepare() or self._start_phase(0))

    def resume(self, history: History) -> None:
        """Go on where an earlier service left this run, with what its directory says."""
        self._began = history.began
        if history.outcome is not None:
            self._settle(history.outcome)
            return
        self._log.say("the service was started anew and goes on with the run")
        missing: dict[str, Command] = {}
        for command in (*self.plan.preparation, *self.plan.main):
            if command.name in history.records:
                place = self._journal.directory / history.records[command.name]
                process = self._pool.adopt(command.name, place)
                if process is None:
                    missing[command.name] = command
                else:
                    self._processes[command.name] = process
        verdict = history.verdict
        if verdict is None and not self._processes:
            verdict = self._prepare()
        if verdict is None and missing:
            # Their first records now say that they never start: they get new ones.
            attempt = 1 + sum(1 for path in self._journal.directory.glob("attempt-*"))
            verdict = self._start(tuple(missing.values()), f"attempt-{attempt}")
        elif verdict is None and not self._processes:
            verdict = self._start_phase(0)
        self._go_on(verdict)

    async def outcome(self) -> Outcome:
        """Wait for the end: all processes gone, the logs complete, the mounts taken away.

        Raises:
            CancelledError: the run was detached.
        """
        assert self._task is not None, "start() comes first"
        return await asyncio.shield(self._task)

    def terminate(self) -> None:
        """End the run at its user's wish; `outcome` says when that is done."""
        self._end_early(TERMINATED)

    def detach(self) -> None:
        """Leave the run to itself, for a later service to adopt: its processes go on."""
        if self._clock is not None:
            self._clock.cancel()
        if self._task is not None:
            self._task.cancel()
        for process in self._processes.values():
            process.detach()

    def _settle(self, outcome: Outcome) -> None:
        self._task = asyncio.get_running_loop().create_task(_settled(outcome))

    def _end_early(self, verdict: Verdict) -> None:
        if self._stop is not None and not self._stop.done():
            self._stop.set_result(verdict)

    def _go_on(self, verdict: Verdict | None) -> None:
        loop = asyncio.get_running_loop()
        self._stop = loop.create_future()
        left = self.plan.wall_clock - (datetime.now(UTC) - self._began).total_seconds()
        self._clock = loop.call_later(
            max(left, 0.0), self._end_early, out_of_time(self.plan.wall_clock)
        )
        self._task = loop.create_task(self._follow(verdict))

    def _prepare(self) -> Verdict | None:
        """Make directories and mounts; the verdict when that fails."""
        try:
            prepare(self.plan)
            for link in self.plan.links:
                self._log.say(f"mounted {link.path}")
            self._log.flush()
        except PreparationError as error:
            details = "; ".join(value for _, value in error.verdict.details)
            self._log.say(f"preparing the node failed: {error}{details and ': '}{details}")
            return error.verdict
        except OSError as error:
            return node_failed(
                f"Cannot write the execution log {self.plan.log}: {error.strerror or error}"
            )
        return None

    def _start_phase(self, index: int) -> Verdict | None:
        return self._start(self._phases[index], "") if index < len(self._phases) else None

    def _start(self, commands: Sequence[Command], records: str) -> Verdict | None:
        """Start `commands` together; the verdict when one cannot be."""
        if lacking := [name for name in self.plan.secrets if name not in self._secrets]:
            return self._refused(f"There is no value for the secret variable {lacking[0]}.")
        env = {**self._secrets, MARK: self.plan.run}
        try:
            place = self._journal.starting([command.name for command in commands], records)
            for command in commands:
                node = self._nodes[command.node]
                process = self._pool.start(node, command, place, env)
                self._processes[command.name] = process
                self._log.say(f"{command.name} started on {node.id}: {shlex.join(command.argv)}")
        except ServiceError as error:
            return self._refused(str(error))
        except OSError as error:
            return self._unrecorded(error)
        self._flush()
        return None

    def _unrecorded(self, error: OSError) -> Verdict:
        return self._refused(
            f"Cannot record the run in {self._journal.directory}: {error.strerror or error}."
        )

    def _refused(self, message: str) -> Verdict:
        self._log.say(message)
        return node_failed(message)

    async def _follow(self, verdict: Verdict | None) -> Outcome:
        """Watch the phases to their end, then end what is left and clean up."""
        for index, phase in enumerate(self._phases):
            if verdict is not None:
                break
            if not any(command.name in self._processes for command in phase):
                verdict = self._start_phase(index)
            if verdict is None:
                verdict = await self._watch(phase)
        verdict = verdict or SUCCESS
        if self._clock is not None:
            self._clock.cancel()
        return await self._end(verdict)

    async def _watch(self, phase: Sequence[Command]) -> Verdict | None:
        """Wait until all of `phase` ended well (None), one failed, or the run is to stop."""
        assert self._stop is not None
        running = {command.name: command for command in phase}
        waits = {name: asyncio.ensure_future(self._processes[name].wait()) for name in running}
        try:
            while True:
                # A user's wish comes first; the clock only ends what has not ended by itself (a
                # run whose service was down may be looked at long after its limit).
                if self._stop.done() and self._stop.result() is TERMINATED:
                    break
                failures: list[Verdict] = []
                for name, command in list(running.items()):
                    status = self._processes[name].status
                    if status is not None:
                        del running[name]
                        if failure := self._ended(command, status):
                            failures.append(failure)
                if failures or not running:
                    return failures[0] if failures else None
                if self._stop.done():
                    break
                awaited: set[asyncio.Future[Any]] = {self._stop}
                awaited |= {waits[name] for name in running}
                await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits.values():
                wait.cancel()
        self._log.say(self._stop.result().message)
        return self._stop.result()

    def _ended(self, command: Command, status: int) -> Verdict | None:
        """Note the end of `command`; the verdict when it failed."""
        if status < 0:
            self._log.say(f"{command.name} vanished")
            return node_failed(
                f"The command {command.name} vanished without leaving an exit status: the node "
                "was restarted, or the process that watched it was killed"
            )
        self._log.say(f"{command.name} ended with exit code {status}")
        if status == 0:
            return None
        if command in self.plan.preparation:
            return preparation_failed(status)
        return command_failed(status)

    async def _end(self, verdict: Verdict) -> Outcome:
        """End what still runs, clean up, and record the outcome."""
        with suppress(OSError):  # the directory may be what failed; the outcome is still known
            if verdict is not SUCCESS:
                self._journal.ending(verdict)
        self._flush()
        count = await self._pool.clear(tuple(self._processes.values()), grace=GRACE)
        if count:
            self._log.say(f"ended {count} processes that still ran")
        # The log may be reached through a mount only: it is opened before that is taken away.
        descriptor = -1
        with suppress(OSError):
            descriptor = self._log.open()
        await clean_up(self.plan)
        for link in self.plan.links:
            self._log.say(f"unmounted {link.path}")
        self._log.say(f"the job failed: {verdict.code}" if verdict.code else "the job succeeded")
        if descriptor >= 0:
            with suppress(OSError):
                self._log.write(descriptor)
            os.close(descriptor)
        outcome = self._outcome(verdict)
        with suppress(OSError):
            self._journal.ended(outcome)
        return outcome

    def _outcome(self, verdict: Verdict) -> Outcome:
        return Outcome(
            exit_code=verdict.exit_code,
            code=verdict.code,
            message=verdict.message,
            details=verdict.details,
            started=self._began,
            ended=datetime.now(UTC),
        )

    def _flush(self) -> None:
        with suppress(OSError):  # a full disk must not end a job that does without it
            self._log.flush()


async def _settled(outcome: Outcome) -> Outcome:
    return outcome
