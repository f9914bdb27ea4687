"""A service that is killed with SIGKILL at a given step of a run; started by test_adopt.

Arguments: a directory, how many steps to try, and what to do (`run` or `terminate`). For each step
N below it a process is forked that carries out the plan in DIRECTORY/N/plan.json and dies right
before the N-th thing it does to the world. Prints for each how far it came.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from batchai_quickstart.engines import load
from batchai_quickstart.execution.plan import JobPlan
from batchai_quickstart.execution.runner import Run

STEPS = {
    "open",
    "os.mkdir",
    "os.rmdir",
    "os.remove",
    "os.rename",
    "os.symlink",
    "os.posix_spawn",
}


async def carry_out(path: Path, terminate: bool) -> None:
    """One run, in the directories below `path`."""
    plan = JobPlan.from_json((path / "plan.json").read_text())
    pool = load("local").pool("cluster", path / "nodes", 2)
    run = Run(plan, pool, pool.nodes, {"WORD": "hush"}, directory=path / "runs" / plan.run)
    run.start()
    if terminate:
        run.terminate()
    await run.outcome()


def die_at(step: int) -> None:
    """Kill this process right before the `step`-th change it makes to the world."""
    count = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event not in STEPS:
            return
        if event == "open" and not int(str(arguments[2])) & (os.O_WRONLY | os.O_CREAT):
            return
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def main(path: Path, steps: int, what: str) -> None:
    """Try all steps."""
    for step in range(steps):
        child = os.fork()
        if child == 0:
            die_at(step + 1)
            asyncio.run(carry_out(path / str(step), what == "terminate"))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write("killed\n" if os.WIFSIGNALED(status) else f"ended {status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
