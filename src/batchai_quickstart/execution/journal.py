"""The files in a run's directory that tell the next service where the run stands.

- `plan.json`: the plan.
- `journal`: one JSON object a line, appended before the thing it speaks of is done: `began` (time,
  nodes), `starting` (commands, and where their records go), `ending` (the verdict).
- `outcome.json`: the outcome, put in place last and in one step.

Each line is one write; a line without its end does not count. The engine adds its own records of
each command. A run whose `began` is missing did nothing yet.
"""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from batchai_quickstart.errors import ServiceError
from batchai_quickstart.execution.outcome import Outcome, Verdict
from batchai_quickstart.execution.plan import JobPlan


@dataclass(frozen=True, slots=True)
class History:
    """What a run's directory says.

    Arguments:
        plan: the run's plan.
        began: when it began.
        nodes: ids of its nodes, in the plan's order.
        records: the subdirectory of the newest records of each command that was about to start.
        verdict: why it is ending, if it is.
        outcome: how it ended, if it has.
    """

    plan: JobPlan
    began: datetime
    nodes: tuple[str, ...]
    records: dict[str, str]
    verdict: Verdict | None
    outcome: Outcome | None


class Journal:
    """The records of one run.

    Arguments:
        directory: the run's own directory; no other run ever used it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._journal = f"{directory}/journal"

    def begin(self, plan: JobPlan, nodes: Sequence[str], began: datetime) -> None:
        """Record a new run.

        Raises:
            OSError: the directory is not writable, or belongs to another run (FileExistsError).
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            if "\n" in Path(self._journal).read_text("utf-8"):
                raise FileExistsError(0, "it holds the records of another run")
        _write(f"{self.directory}/plan.json", plan.to_json())
        entry = {"began": began.isoformat(), "nodes": list(nodes)}
        _write(self._journal, json.dumps(entry) + "\n")

    def starting(self, commands: Sequence[str], records: str) -> Path:
        """Record that `commands` start next.

        Returns:
            The directory for their records: subdirectory `records` of the run's ("" for itself).
        """
        place = self.directory / records
        if records:
            place.mkdir(exist_ok=True)
        self._append({"starting": list(commands), "records": records})
        return place

    def ending(self, verdict: Verdict) -> None:
        """Record why the run ends, before its processes are ended."""
        self._append({"ending": asdict(verdict)})

    def ended(self, outcome: Outcome) -> None:
        """Record the outcome: the last thing a run does."""
        path = f"{self.directory}/outcome.json"
        _write(f"{path}.new", outcome.to_json())
        os.rename(f"{path}.new", path)  # noqa: PTH104

    def read(self) -> History | None:
        """What is on record; None when the run never began.

        Raises:
            ServiceError: the records are damaged (the machine went down while they were written).
        """
        try:
            lines = Path(self._journal).read_text("utf-8").split("\n")[:-1]
        except FileNotFoundError:
            return None
        entries: list[dict[str, Any]] = []
        for line in lines:
            with suppress(json.JSONDecodeError):  # cut off when the machine went down
                entries.append(json.loads(line))
        if not entries or "began" not in entries[0]:
            return None
        records: dict[str, str] = {}
        verdict: Verdict | None = None
        for entry in entries[1:]:
            if "starting" in entry:
                records |= dict.fromkeys(entry["starting"], entry["records"])
            elif "ending" in entry and verdict is None:
                data = entry["ending"]
                details = tuple((name, value) for name, value in data["details"])
                verdict = Verdict(data["code"], data["exit_code"], data["message"], details)
        try:
            plan = JobPlan.from_json((self.directory / "plan.json").read_text("utf-8"))
        except (OSError, ValueError, KeyError) as error:
            raise ServiceError(
                f"The plan of the run in {self.directory} cannot be read: {error}. The run cannot "
                "go on; submit the job again."
            ) from error
        return History(
            plan=plan,
            began=datetime.fromisoformat(entries[0]["began"]).astimezone(UTC),
            nodes=tuple(entries[0]["nodes"]),
            records=records,
            verdict=verdict,
            outcome=self._outcome(),
        )

    def _outcome(self) -> Outcome | None:
        try:
            return Outcome.from_json((self.directory / "outcome.json").read_text("utf-8"))
        except (FileNotFoundError, ValueError, KeyError):
            # Not there, or torn when the machine went down: the end is settled once more.
            return None

    def _append(self, entry: dict[str, Any]) -> None:
        _write(self._journal, json.dumps(entry) + "\n", os.O_APPEND)


def _write(path: str, text: str, flags: int = os.O_CREAT | os.O_TRUNC) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o600)
    try:
        data = memoryview(text.encode())
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)
