"""Runs of plans from start to outcome, with real processes on the local engine."""

import asyncio
import os
import re
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from batchai_quickstart.execution.outcome import Outcome
from batchai_quickstart.execution.plan import JobPlan, Link
from batchai_quickstart.execution.runner import Run

from .conftest import RUN, Site

T = TypeVar("T")


def within(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` in an event loop; it hangs no longer than half a minute."""
    return asyncio.run(asyncio.wait_for(work, 30))


def carried_out(site: Site, plan: JobPlan, nodes: int = 1, **secrets: str) -> Outcome:
    """The outcome of `plan`."""

    async def scene() -> Outcome:
        pool = site.pool(nodes)
        run = Run(plan, pool, pool.nodes, secrets, directory=site.directory)
        run.start()
        return await run.outcome()

    return within(scene())


async def read(fifo: Path) -> str:
    """What a command writes into `fifo`."""
    return await asyncio.to_thread(fifo.read_text)


def test_a_run_that_succeeds(site: Site) -> None:
    """A run makes what the plan names, runs its command, and keeps outputs only."""
    before = datetime.now(UTC)
    script = "cat ../hostfile; pwd; echo trained > $HERE/mounts/logs/job/outputs/model/m"
    outcome = carried_out(site, site.plan(script))
    assert (outcome.code, outcome.exit_code, outcome.message) == (None, 0, "")
    assert before <= outcome.started <= outcome.ended <= datetime.now(UTC)
    stdout = (site.stdouterr / "stdout-main-0.txt").read_text()
    assert stdout == f"127.0.0.1 slots=1\n{site.path}/scratch/work\n"
    assert (site.stdouterr / "stderr-main-0.txt").read_text() == ""
    assert (site.share / "job/outputs/model/m").read_text() == "trained\n"
    assert not (site.path / "scratch").exists()
    assert not os.path.lexists(site.mount)
    assert Outcome.from_json((site.directory / "outcome.json").read_text()) == outcome


def test_execution_log(site: Site) -> None:
    """execution.log tells in lines with UTC times what was done, from mount to unmount."""
    carried_out(site, site.plan("exit 3", preparation=["true"]))
    lines = site.log().splitlines()
    stamps = [line.partition(" ")[0] for line in lines]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp) for stamp in stamps)
    assert stamps == sorted(stamps)
    texts = re.sub(r"tvm-\S+(?=:)", "NODE", "\n".join(line.partition(" ")[2] for line in lines))
    assert texts.splitlines() == [
        f"run {RUN} of /subscriptions/s/jobs/job begins",
        f"mounted {site.mount}",
        "prep-0 started on NODE: /bin/sh -c true",
        "prep-0 ended with exit code 0",
        "main-0 started on NODE: /bin/sh -c 'exit 3'",
        "main-0 ended with exit code 3",
        f"unmounted {site.mount}",
        "the job failed: JobFailed",
    ]


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -KILL $$", 137)])
def test_a_command_that_fails(site: Site, script: str, code: int) -> None:
    """A failing command fails the run with its exit code and the service's words."""
    outcome = carried_out(site, site.plan(script))
    assert (outcome.code, outcome.exit_code) == ("JobFailed", code)
    assert outcome.message == "Job failed with non-zero exit code"


def test_commands_start_together_and_all_must_succeed(site: Site) -> None:
    """Commands run at the same time, and the run lasts until the last of them."""
    site.fifo("meet")
    outcome = carried_out(site, site.plan("read x < $HERE/meet", "echo > $HERE/meet"), nodes=2)
    assert (outcome.code, outcome.exit_code) == (None, 0)


def test_commands_fail_together(site: Site) -> None:
    """The first failure ends the others and gives the exit code."""
    site.fifo("up")
    plan = site.plan("echo $$ > $HERE/up; sleep 1000", "read x < $HERE/up; echo $x; exit 5")
    outcome = carried_out(site, plan, nodes=2)
    assert (outcome.code, outcome.exit_code) == ("JobFailed", 5)
    other = int((site.stdouterr / "stdout-main-1.txt").read_text())
    assert not psutil.pid_exists(other) or psutil.Process(other).status() == "zombie"


def test_preparation_runs_on_every_node_first(site: Site) -> None:
    """Preparation ends on all nodes before the toolkit starts."""
    site.fifo("meet")
    plan = site.plan(
        "cat $HERE/prepared",
        preparation=[
            "read x < $HERE/meet; echo $x >> $HERE/prepared",
            "echo two >> $HERE/prepared; echo one > $HERE/meet",
        ],
    )
    assert carried_out(site, plan, nodes=2).code is None
    assert (site.stdouterr / "stdout-main-0.txt").read_text() == "two\none\n"


def test_preparation_that_fails(site: Site) -> None:
    """A failing preparation fails the run with its exit code; the toolkit is not started."""
    plan = site.plan("touch $HERE/ran", preparation=["exit 4", "sleep 1000"])
    outcome = carried_out(site, plan, nodes=2)
    assert (outcome.code, outcome.exit_code) == ("JobPreparationFailed", 4)
    assert outcome.message == "Job preparation task failed with non-zero exit code"
    assert not (site.path / "ran").exists()
    assert not os.path.lexists(site.mount)


@pytest.mark.parametrize("phase", ["preparation", "main"])
def test_termination(site: Site, phase: str) -> None:
    """A run ends at its user's wish in any phase, with no exit code; asking twice is harmless."""
    fifo = site.fifo("up")
    script = "echo $$ > $HERE/up; sleep 1000"
    plan = site.plan(script) if phase == "main" else site.plan("true", preparation=[script])

    async def scene() -> tuple[int, Outcome]:
        pool = site.pool()
        run = Run(plan, pool, pool.nodes, {}, directory=site.directory)
        run.start()
        pid = int(await read(fifo))
        run.terminate()
        run.terminate()
        outcome = await run.outcome()
        run.terminate()
        assert await run.outcome() == outcome
        return pid, outcome

    pid, outcome = within(scene())
    assert (outcome.code, outcome.exit_code) == ("JobTerminated", None)
    assert outcome.message == "The specified job has been terminated by the user"
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"
    assert "terminated by the user" in site.log()


def test_termination_at_once(site: Site) -> None:
    """A run terminated in the very turn of its start ends as terminated."""

    async def scene() -> Outcome:
        pool = site.pool()
        run = Run(site.plan("sleep 1000"), pool, pool.nodes, {}, directory=site.directory)
        run.start()
        run.terminate()
        return await run.outcome()

    assert within(scene()).code == "JobTerminated"


def test_wall_clock(site: Site) -> None:
    """A run that reaches its limit is ended, and says which limit."""
    outcome = carried_out(site, site.plan("sleep 1000", wall_clock=0.2))
    assert (outcome.code, outcome.exit_code) == ("JobMaxWallClockTimeReached", None)
    assert "0.2 seconds" in outcome.message


@pytest.mark.parametrize(
    ("code", "exit_code", "message"),
    [
        ("AZFMountError", -1, "Unable to mount Azure File"),
        ("BFSMountError", 1, "unable to mount blob fuse file system"),
    ],
)
def test_a_mount_that_fails(site: Site, code: str, exit_code: int, message: str) -> None:
    """A mount of a directory that is not there fails the run as Batch AI reported it."""
    missing = site.path / "missing"
    plan = replace(site.plan("touch $HERE/ran"), links=(Link(str(site.mount), str(missing), code),))
    outcome = carried_out(site, plan)
    assert (outcome.code, outcome.exit_code, outcome.message) == (code, exit_code, message)
    [(name, info)] = outcome.details
    assert name == "Info"
    assert str(missing) in info
    assert not (site.path / "ran").exists()


def test_a_mount_in_the_way(site: Site) -> None:
    """A stale mount is replaced; a real directory in its place is never removed."""
    site.mount.parent.mkdir()
    site.mount.symlink_to("/nowhere")
    assert carried_out(site, site.plan("true")).code is None
    site.mount.mkdir()
    (site.mount / "kept").touch()
    site.directory = site.path / "runs" / "2"
    outcome = carried_out(site, site.plan("true"))
    assert outcome.code == "AZFMountError"
    assert "exists and is no mount" in outcome.details[0][1]
    assert (site.mount / "kept").exists()


def test_cleaning_up_never_follows_links(site: Site) -> None:
    """Links a job leaves in its scratch directory go; what they point to stays."""
    (site.share / "precious").touch()
    script = "ln -s $HERE/share all; mkdir -p a/b; touch a/b/c; chmod 500 a/b"
    assert carried_out(site, site.plan(script)).code is None
    assert not (site.path / "scratch").exists()
    assert (site.share / "precious").exists()


def test_what_runs_in_the_background_is_ended(site: Site) -> None:
    """A job is over when all its processes are: what it left behind is ended and noted."""
    outcome = carried_out(site, site.plan("sleep 1000 & setsid sleep 1000 & echo $!"))
    assert (outcome.code, outcome.exit_code) == (None, 0)
    assert "ended 2 processes that still ran" in site.log()
    pid = int((site.stdouterr / "stdout-main-0.txt").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"


def test_what_preparation_started_serves_the_job(site: Site) -> None:
    """A daemon of the preparation runs on while the job does."""
    site.fifo("answer")
    plan = site.plan(
        "read x < $HERE/answer; echo $x",
        preparation=["setsid sh -c 'echo served > $HERE/answer; sleep 1000' &"],
    )
    assert carried_out(site, plan).code is None
    assert (site.stdouterr / "stdout-main-0.txt").read_text() == "served\n"


def test_secrets_reach_the_processes_only(site: Site) -> None:
    """Secrets are in the environment of preparation and job, and in no file of the service."""
    plan = site.plan("echo $WORD", preparation=["echo $WORD"], secrets=("WORD",))
    assert carried_out(site, plan, WORD="hush-hush", OTHER="x").code is None
    for name in ("stdout-main-0.txt", "stdout-prep-0.txt"):
        assert (site.stdouterr / name).read_text() == "hush-hush\n"
    files = [*site.directory.rglob("*"), site.stdouterr / "execution.log"]
    assert len(files) > 5
    assert not [path for path in files if path.is_file() and "hush-hush" in path.read_text()]
    assert site.directory.stat().st_mode & 0o777 == 0o700


def test_a_secret_without_a_value(site: Site) -> None:
    """A run whose secret nobody hands over does not start, and names the variable."""
    outcome = carried_out(site, site.plan("touch $HERE/ran", secrets=("WORD",)))
    assert outcome.code == "JobNodeFailed"
    assert "WORD" in outcome.message
    assert not (site.path / "ran").exists()


def test_the_run_id_marks_the_processes(site: Site) -> None:
    """Every command carries the run's id in its environment."""
    carried_out(site, site.plan("echo $AZ_BATCHAI_RUN_ID"))
    assert (site.stdouterr / "stdout-main-0.txt").read_text() == f"{RUN}\n"


def test_a_directory_that_cannot_be_made(site: Site) -> None:
    """An unwritable place ends the run with a message that names it, and nothing is left."""
    (site.share / "file").touch()
    plan = site.plan("true")
    plan = replace(plan, directories=(*plan.directories, f"{site.mount}/file/model"))
    outcome = carried_out(site, plan)
    assert (outcome.code, outcome.exit_code) == ("JobNodeFailed", None)
    assert f"{site.mount}/file/model: Not a directory" in outcome.message
    assert "Not a directory" in site.log()
    assert not (site.path / "scratch").exists()
    assert not os.path.lexists(site.mount)


def test_files_that_cannot_be_written(site: Site) -> None:
    """Output, execution log or records that cannot be written are named in the message."""
    plan = site.plan("touch $HERE/ran")
    main = replace(plan.main[0], stdout=f"{site.path}/none/stdout.txt")
    cases = {
        f"cannot write {site.path}/none/stdout.txt": replace(plan, main=(main,)),
        f"execution log {site.path}: Is a directory": replace(plan, log=str(site.path)),
    }
    for number, (message, case) in enumerate(cases.items()):
        site.directory = site.path / "runs" / str(number)
        outcome = carried_out(site, case)
        assert outcome.code == "JobNodeFailed"
        assert message in outcome.message
    site.directory = site.path / "share" / "file" / "run"
    (site.path / "share" / "file").touch()
    outcome = carried_out(site, plan)
    assert outcome.code == "JobNodeFailed"
    assert f"Cannot record the run in {site.directory}: Not a directory" in outcome.message
    assert not (site.path / "ran").exists()


def test_one_command_that_cannot_start_ends_the_others(site: Site) -> None:
    """When one of several commands cannot be started, none keeps running."""
    plan = site.plan("sleep 1000", "true")
    bad = replace(plan.main[1], stderr=f"{site.path}/none/stderr.txt")
    others = set(psutil.Process().children())
    outcome = carried_out(site, replace(plan, main=(plan.main[0], bad)), nodes=2)
    assert outcome.code == "JobNodeFailed"
    assert set(psutil.Process().children()) <= others


def test_a_run_directory_serves_one_run(site: Site) -> None:
    """A second run in the same directory does nothing and leaves the first one's records."""
    first = carried_out(site, site.plan("true"))
    second = carried_out(site, site.plan("touch $HERE/ran"))
    assert second.code == "JobNodeFailed"
    assert "another run" in second.message
    assert Outcome.from_json((site.directory / "outcome.json").read_text()) == first
    assert not (site.path / "ran").exists()


def test_plans_survive_json(site: Site) -> None:
    """A plan is read back from its file as it was written."""
    plan = site.plan("a", "b", preparation=["c"], secrets=("S",))
    assert JobPlan.from_json(plan.to_json()) == plan
    carried_out(site, plan, nodes=2, S="")
    assert JobPlan.from_json((site.directory / "plan.json").read_text()) == plan


def test_a_detached_run_goes_on(site: Site) -> None:
    """A run that is let go loses nothing: its command ends as if watched."""
    fifo, done = site.fifo("go"), site.fifo("done")

    async def scene() -> None:
        pool = site.pool()
        run = Run(
            site.plan("read x < $HERE/go; echo over > $HERE/done"),
            pool,
            pool.nodes,
            {},
            directory=site.directory,
        )
        run.start()
        run.detach()
        with pytest.raises(asyncio.CancelledError):
            await run.outcome()

    within(scene())
    fifo.write_text("go\n")
    assert done.read_text() == "over\n"
    assert not (site.directory / "outcome.json").exists()


def test_two_hundred_runs_leave_nothing(site: Site) -> None:
    """After two hundred runs there is no zombie, no open descriptor and no directory more."""

    async def scene() -> tuple[int, int]:
        pool = site.pool()

        async def one(index: int) -> None:
            mine = Site(site.path / str(index))
            plan = replace(mine.plan("echo hello"), run=f"run-{index}")
            run = Run(plan, pool, pool.nodes, {}, directory=mine.directory)
            run.start()
            outcome = await run.outcome()
            assert outcome.code is None
            assert (mine.stdouterr / "stdout-main-0.txt").read_text() == "hello\n"
            assert not (mine.path / "scratch").exists()

        for index in range(201):
            (site.path / str(index)).mkdir()
        await one(0)
        before = psutil.Process().num_fds()
        for begin in range(1, 201, 10):
            await asyncio.gather(*(one(index) for index in range(begin, begin + 10)))
        return before, psutil.Process().num_fds()

    others = set(psutil.Process().children())
    before, after = within(scene())
    assert after == before
    assert set(psutil.Process().children()) <= others


def test_runs_on_uvloop(site: Site) -> None:
    """The event loop the service runs on does as well as asyncio's own."""
    uvloop = pytest.importorskip("uvloop")

    async def scene() -> Outcome:
        pool = site.pool()
        run = Run(site.plan("exit 3"), pool, pool.nodes, {}, directory=site.directory)
        run.start()
        return await run.outcome()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(asyncio.wait_for(scene(), 30)).exit_code == 3
