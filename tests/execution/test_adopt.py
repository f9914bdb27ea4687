"""Runs go on after their service was killed, wherever that was."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from batchai_quickstart.engines.exits import exits, gone
from batchai_quickstart.errors import ServiceError
from batchai_quickstart.execution.adopt import adopt
from batchai_quickstart.execution.outcome import Outcome
from batchai_quickstart.execution.plan import JobPlan
from batchai_quickstart.execution.runner import Run

from .conftest import RUN, Site
from .test_run import read, within

STEPS = 50


def service(*arguments: str) -> subprocess.Popen[str]:
    """A process that runs `crashing` or a script."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=Path(__file__).parents[2],
    )


async def taken_over(site: Site, plan: JobPlan, **secrets: str) -> Outcome:
    """The outcome of a run that an earlier service left, started anew if it never began."""
    pool = site.pool(2)
    run = adopt(site.directory, pool, pool.nodes, secrets)
    if run is None:
        run = Run(plan, pool, pool.nodes, secrets, directory=site.directory)
        run.start()
    return await run.outcome()


@pytest.mark.parametrize("what", ["run", "terminate"])
def test_killed_at_any_step(tmp_path: Path, what: str) -> None:
    """Whichever step a service dies at, the next one ends the run right; nothing runs twice."""
    sites: list[Site] = []
    for step in range(STEPS):
        (tmp_path / str(step)).mkdir()
        site = Site(tmp_path / str(step))
        count = "echo x >> $HERE/count-{}; test $WORD = hush"
        plan = site.plan(
            count.format("main-0"),
            count.format("main-1"),
            preparation=[count.format("prep-0"), count.format("prep-1")],
            secrets=("WORD",),
        )
        plan = replace(plan, run=f"run-{step}")
        site.directory = site.path / "runs" / plan.run
        (site.path / "plan.json").write_text(plan.to_json())
        sites.append(site)
    with service("-m", "tests.execution.crashing", str(tmp_path), str(STEPS), what) as crashing:
        assert crashing.stdout is not None
        ends = crashing.stdout.read().split("\n")
    assert ends[0] == "killed"
    assert "ended 0" in ends, "more STEPS are needed to get through a whole run"

    async def scene() -> list[Outcome]:
        plans = [JobPlan.from_json((site.path / "plan.json").read_text()) for site in sites]
        return await asyncio.gather(
            *(taken_over(site, plan, WORD="hush") for site, plan in zip(sites, plans, strict=True))
        )

    outcomes = within(scene())
    commands = ["prep-0", "prep-1", "main-0", "main-1"]
    for site, outcome in zip(sites, outcomes, strict=True):
        counts = {
            name: (site.path / f"count-{name}").read_text()
            for name in commands
            if (site.path / f"count-{name}").exists()
        }
        if what == "run":
            assert (outcome.code, outcome.exit_code) == (None, 0)
            assert counts == dict.fromkeys(commands, "x\n")
        else:
            assert outcome.code in (None, "JobTerminated")
            assert set(counts.values()) <= {"", "x\n"}  # "": ended before it wrote
        assert Outcome.from_json((site.directory / "outcome.json").read_text()) == outcome
        assert not (site.path / "scratch").exists()
        assert not os.path.lexists(site.mount)
        assert "hush\n" not in (site.directory / "plan.json").read_text()
    if what == "terminate":
        assert "JobTerminated" in {outcome.code for outcome in outcomes}


RUNNER = """
import asyncio, sys
from pathlib import Path
from tests.execution.conftest import Site
from batchai_quickstart.execution.plan import JobPlan
from batchai_quickstart.execution.runner import Run

async def main():
    site = Site(Path(sys.argv[1]))
    pool = site.pool(2)
    plan = JobPlan.from_json((site.path / "plan.json").read_text())
    Run(plan, pool, pool.nodes, {"WORD": "hush"}, directory=site.directory).start()
    await asyncio.sleep(1000)

asyncio.run(main())
"""


def killed_while(site: Site, plan: JobPlan, fifo: Path) -> str:
    """Carry out `plan` in a service that is killed when a command writes into `fifo`."""
    (site.path / "plan.json").write_text(plan.to_json())
    with service("-c", RUNNER, str(site.path)) as running:
        word = fifo.read_text()
        running.kill()
    return word


def test_a_running_job_is_adopted(site: Site) -> None:
    """The job's process lives through the service's death and ends under the next one."""
    up, go = site.fifo("up"), site.fifo("go")
    plan = site.plan("echo > $HERE/up; read x < $HERE/go; echo $x; exit 9")
    killed_while(site, plan, up)

    async def scene() -> Outcome:
        pool = site.pool(2)
        run = adopt(site.directory, pool, pool.nodes)
        assert run is not None
        await asyncio.to_thread(go.write_text, "on\n")
        return await run.outcome()

    outcome = within(scene())
    assert (outcome.code, outcome.exit_code) == ("JobFailed", 9)
    assert (site.stdouterr / "stdout-main-0.txt").read_text() == "on\n"
    assert "the service was started anew" in site.log()


def test_a_job_that_ended_meanwhile_is_settled(site: Site) -> None:
    """A job that ended while no service ran has the outcome it would have had."""
    up, go = site.fifo("up"), site.fifo("go")
    killed_while(site, site.plan("echo > $HERE/up; read x < $HERE/go; exit 9"), up)
    pid = int((site.directory / "main-0.pid").read_text().split()[0])
    go.write_text("\n")
    within(gone(exits(), [pid], 20))
    outcome = within(taken_over(site, site.plan()))
    assert (outcome.code, outcome.exit_code) == ("JobFailed", 9)


def test_preparation_is_followed_by_the_job(site: Site) -> None:
    """A run whose preparation outlived the service goes on to its command, secrets included."""
    up, go = site.fifo("up"), site.fifo("go")
    plan = site.plan(
        "echo $WORD", preparation=["echo > $HERE/up; read x < $HERE/go"], secrets=("WORD",)
    )
    killed_while(site, plan, up)
    go_on = asyncio.to_thread(go.write_text, "\n")

    async def scene(secrets: Mapping[str, str]) -> Outcome:
        outcome, _ = await asyncio.gather(taken_over(site, plan, **secrets), go_on)
        return outcome

    assert within(scene({"WORD": "new word"})).code is None
    assert (site.stdouterr / "stdout-main-0.txt").read_text() == "new word\n"


def test_an_adopted_job_is_terminated_whole(site: Site) -> None:
    """Terminating an adopted run ends its processes, daemons and their children too."""
    up = site.fifo("up")
    plan = site.plan("(setsid sh -c 'sleep 1000 & echo $$ $! > $HERE/up; wait' &); sleep 1000")
    pids = [int(word) for word in killed_while(site, plan, up).split()]
    assert all(psutil.pid_exists(pid) for pid in pids)

    async def scene() -> Outcome:
        pool = site.pool(2)
        run = adopt(site.directory, pool, pool.nodes)
        assert run is not None
        run.terminate()
        return await run.outcome()

    assert within(scene()).code == "JobTerminated"
    assert not [
        pid
        for pid in pids
        if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    ]


def _began_long_ago(site: Site) -> None:
    journal = site.directory / "journal"
    first, _, rest = journal.read_text().partition("\n")
    entry = json.loads(first)
    entry["began"] = re.sub(r"^\d{4}", "2001", entry["began"])
    journal.write_text(json.dumps(entry) + "\n" + rest)


def test_the_clock_runs_on_without_a_service(site: Site) -> None:
    """The limit counts from the run's first start, whoever watched it then."""
    up = site.fifo("up")
    killed_while(site, site.plan("echo > $HERE/up; sleep 1000"), up)
    _began_long_ago(site)
    outcome = within(taken_over(site, site.plan()))
    assert outcome.code == "JobMaxWallClockTimeReached"
    assert outcome.started.year == 2001


def test_a_job_that_ended_in_time_is_not_out_of_time(site: Site) -> None:
    """A service that comes back after the limit still sees that the job had succeeded."""
    up = site.fifo("up")
    killed_while(site, site.plan("echo > $HERE/up"), up)
    pid = int((site.directory / "main-0.pid").read_text().split()[0])
    within(gone(exits(), [pid], 20))
    _began_long_ago(site)
    assert within(taken_over(site, site.plan())).code is None


def test_a_command_that_vanished(site: Site) -> None:
    """A command that left no status (the machine went down) fails the run as a lost node."""
    up = site.fifo("up")
    killed_while(site, site.plan("echo $PPID $$ > $HERE/up; exec sleep 1000"), up)
    record = site.directory / "main-0.pid"
    pid, _, rest = record.read_text().partition("\n")
    within(_kill_tree(int(pid)))
    record.write_text("\n".join([pid, "another boot", *rest.split("\n")[1:]]))
    outcome = within(taken_over(site, site.plan()))
    assert (outcome.code, outcome.exit_code) == ("JobNodeFailed", None)
    assert "vanished" in outcome.message


async def _kill_tree(pid: int) -> None:
    tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in tree:
        process.kill()
    await gone(exits(), [process.pid for process in tree], 20)


def test_an_ended_run_keeps_its_outcome(site: Site) -> None:
    """A run that had ended has the same outcome for every service after."""

    async def scene() -> None:
        pool = site.pool(2)
        run = Run(site.plan("exit 2"), pool, pool.nodes, {}, directory=site.directory)
        run.start()
        outcome = await run.outcome()
        for _ in range(2):
            again = adopt(site.directory, pool, pool.nodes)
            assert again is not None
            again.terminate()
            assert await again.outcome() == outcome

    within(scene())


def test_a_run_that_never_began(site: Site) -> None:
    """A directory without a beginning is no run, and one can be started in it."""

    async def scene() -> Outcome:
        pool = site.pool(2)
        assert adopt(site.directory, pool, pool.nodes) is None
        site.directory.mkdir(parents=True)
        (site.directory / "plan.json").write_text('{"run')
        (site.directory / "journal").write_text('{"began')
        assert adopt(site.directory, pool, pool.nodes) is None
        return await taken_over(site, site.plan("true"))

    assert within(scene()).code is None


@pytest.mark.parametrize("torn", ["", '{"exit_code": 3'])
def test_a_torn_outcome_is_settled_once_more(site: Site, torn: str) -> None:
    """An outcome that a power cut left half written is worked out again from the records."""
    plan = site.plan("exit 3", wall_clock=1e9)

    async def scene() -> tuple[Outcome, Outcome]:
        first = await taken_over(site, plan)
        (site.directory / "outcome.json").write_text(torn)
        pool = site.pool(2)
        run = adopt(site.directory, pool, pool.nodes)
        assert run is not None
        return first, await run.outcome()

    first, second = within(scene())
    assert (second.code, second.exit_code) == (first.code, first.exit_code) == ("JobFailed", 3)


def test_a_command_that_was_about_to_start(site: Site) -> None:
    """What was on record as starting and never did is started, once, by whoever comes next."""
    up, go = site.fifo("up"), site.fifo("go")
    plan = site.plan("echo > $HERE/up; read x < $HERE/go; echo once", wall_clock=1e9)
    site.directory.mkdir(parents=True)
    (site.directory / "plan.json").write_text(plan.to_json())

    async def first() -> None:
        pool = site.pool(2)
        began = {"began": "2026-01-02T03:04:05+00:00", "nodes": [pool.nodes[0].id]}
        starting = {"starting": ["main-0"], "records": ""}
        (site.directory / "journal").write_text(f"{json.dumps(began)}\n{json.dumps(starting)}\n")
        run = adopt(site.directory, pool, pool.nodes)
        assert run is not None
        await read(up)
        run.detach()

    async def second() -> Outcome:
        outcome, _ = await asyncio.gather(
            taken_over(site, plan), asyncio.to_thread(go.write_text, "\n")
        )
        return outcome

    within(first())
    outcome = within(second())
    assert (outcome.code, outcome.started.year) == (None, 2026)
    assert (site.stdouterr / "stdout-main-0.txt").read_text() == "once\n"


def test_runs_that_cannot_be_adopted(site: Site) -> None:
    """A missing node and a damaged plan are refused with what is missing."""

    async def scene() -> None:
        pool = site.pool(2)
        run = Run(site.plan("read x < $HERE/go"), pool, pool.nodes, {}, directory=site.directory)
        go = site.fifo("go")
        run.start()
        run.detach()
        with pytest.raises(ServiceError, match=f"node {pool.nodes[0].id}"):
            adopt(site.directory, pool, ())
        (site.directory / "plan.json").write_text("")
        with pytest.raises(ServiceError, match="submit the job again"):
            adopt(site.directory, pool, pool.nodes)
        await asyncio.to_thread(go.write_text, "\n")

    within(scene())


def test_detached_and_adopted_in_one_process(site: Site) -> None:
    """A program that embeds the service can stop it and start it again around a job."""
    up, go = site.fifo("up"), site.fifo("go")
    plan = site.plan("echo > $HERE/up; read x < $HERE/go; exit 3")

    async def first() -> None:
        pool = site.pool(2)
        run = Run(plan, pool, pool.nodes, {}, directory=site.directory)
        run.start()
        await read(up)
        run.detach()

    async def second() -> Outcome:
        outcome, _ = await asyncio.gather(
            taken_over(site, plan), asyncio.to_thread(go.write_text, "\n")
        )
        return outcome

    within(first())
    assert within(second()).exit_code == 3
    assert RUN in (site.directory / "plan.json").read_text()
