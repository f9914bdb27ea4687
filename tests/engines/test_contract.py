"""What every engine does: real processes, started, watched, ended, found again."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from batchai_quickstart.engines.base import Engine, Pool, Process
from batchai_quickstart.engines.exits import exits, gone
from batchai_quickstart.engines.trampoline import boot_id, claim
from batchai_quickstart.errors import ServiceError

from .conftest import Bench, lives

T = TypeVar("T")


def within(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` in an event loop; it hangs no longer than half a minute."""
    return asyncio.run(asyncio.wait_for(work, 30))


def running(process: Process) -> bool:
    """Whether the end of `process` is not known yet."""
    return process.status is None


async def read(fifo: Path) -> str:
    """What a command writes into `fifo`."""
    return await asyncio.to_thread(fifo.read_text)


def one_node(engine: Engine, bench: Bench) -> Pool:
    """A pool of one node."""
    return engine.pool("cluster", bench.path / "nodes", 1)


async def status_of(engine: Engine, bench: Bench, script: str) -> int:
    """The exit status of `script`, started on a pool of one node."""
    pool = one_node(engine, bench)
    return await pool.start(pool.nodes[0], bench.shell(script), bench.records, {}).wait()


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_exit_status(engine: Engine, bench: Bench, code: int) -> None:
    """The exit status of a command is what it exited with, on record as well."""
    assert within(status_of(engine, bench, f"exit {code}")) == code
    assert (bench.records / "main.exit").read_text() == f"{code}\n"


@pytest.mark.parametrize(
    ("script", "number"),
    [
        ("kill -KILL $$", signal.SIGKILL),
        ("kill -SEGV $$", signal.SIGSEGV),
        ("kill -PIPE $$", signal.SIGPIPE),
        ("kill -TERM 0; sleep 100", signal.SIGTERM),
        ("kill -USR1 0; sleep 100", signal.SIGUSR1),
    ],
)
def test_death_by_signal(engine: Engine, bench: Bench, script: str, number: signal.Signals) -> None:
    """A command killed by a signal has status 128 + N, also when it signals its whole group."""
    assert within(status_of(engine, bench, script)) == 128 + number
    assert (bench.records / "main.exit").read_text() == f"{128 + number}\n"


def test_output_goes_into_its_files(engine: Engine, bench: Bench) -> None:
    """Output is appended to the command's files, and nobody else's words are among it."""
    bench.stdout.write_text("before\n")
    assert within(status_of(engine, bench, "echo out; echo err >&2; kill -KILL $$")) == 137
    assert bench.stdout.read_text() == "before\nout\n"
    assert bench.stderr.read_text() == "err\n"


def test_a_clean_start(engine: Engine, bench: Bench) -> None:
    """A command starts in its directory, with empty input, no ignored signal and no open file."""
    program = """
        import os, signal, sys
        ignored = [s.name for s in signal.valid_signals() if isinstance(s, signal.Signals)
                   and s not in (signal.SIGPIPE, signal.SIGXFSZ)
                   and signal.getsignal(s) == signal.SIG_IGN]
        files = [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
                 if os.path.exists(f"/proc/self/fd/{n}")] if os.path.exists("/proc") else []
        leaked = [path for path in files if "records" in path or "pidfd" in path]
        print(os.getcwd(), repr(sys.stdin.read()), ignored, leaked, sep="|")
    """

    async def scene() -> int:
        pool = one_node(engine, bench)
        command = bench.command(sys.executable, "-c", textwrap.dedent(program))
        return await pool.start(pool.nodes[0], command, bench.records, {}).wait()

    assert within(scene()) == 0
    assert bench.stdout.read_text() == f"{bench.path}|''|[]|[]\n"


def test_sigpipe_is_not_ignored(engine: Engine, bench: Bench) -> None:
    """A writer whose reader is gone dies quietly, though the service itself ignores SIGPIPE."""
    assert within(status_of(engine, bench, "yes | head -n 1")) == 0
    assert bench.stderr.read_text() == ""


def test_a_command_that_does_not_exist(engine: Engine, bench: Bench) -> None:
    """A missing program is status 127 and a line in its stderr that names it."""

    async def scene() -> int:
        pool = one_node(engine, bench)
        command = bench.command("no-such-program")
        return await pool.start(pool.nodes[0], command, bench.records, {}).wait()

    assert within(scene()) == 127
    assert "no-such-program" in bench.stderr.read_text()


def test_a_missing_working_directory(engine: Engine, bench: Bench) -> None:
    """A command whose directory is gone does not run: status 126, and stderr says why."""

    async def scene() -> int:
        pool = one_node(engine, bench)
        gone = bench.path / "gone"
        command = bench.shell(f"touch {bench.path}/ran")
        command = type(command)(
            command.name, 0, command.argv, command.env, str(gone), command.stdout, command.stderr
        )
        return await pool.start(pool.nodes[0], command, bench.records, {}).wait()

    assert within(scene()) == 126
    assert f"working directory {bench.path}/gone" in bench.stderr.read_text()
    assert not (bench.path / "ran").exists()


def test_environment(engine: Engine, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command sees the node's base, its own variables, then the secrets, and no others."""
    monkeypatch.setenv("SERVICE_TOKEN", "not for jobs")
    monkeypatch.setenv("PYTHONPATH", "not for jobs")

    async def scene() -> int:
        pool = one_node(engine, bench)
        command = bench.command("/usr/bin/env", OURS="a 'b'\nc", BOTH="plan")
        secrets = {"SECRET": "hush-hush", "BOTH": "secret"}
        return await pool.start(pool.nodes[0], command, bench.records, secrets).wait()

    assert within(scene()) == 0
    text = bench.stdout.read_text()
    assert "OURS=a 'b'\nc\n" in text
    assert "SECRET=hush-hush\n" in text
    assert "BOTH=secret\n" in text
    assert f"PATH={Path(sys.executable).parent}:" in text
    assert "not for jobs" not in text
    for path in bench.records.iterdir():
        assert "hush-hush" not in path.read_text()


def test_what_cannot_start(engine: Engine, bench: Bench) -> None:
    """A command that cannot be started is an error that says why; nothing runs."""

    async def scene() -> list[str]:
        pool = one_node(engine, bench)
        good = bench.shell(f"touch {bench.path}/ran")
        nowhere = str(bench.path / "missing" / "stdout.txt")
        bad = [
            type(good)("a", 0, good.argv, good.env, good.cwd, nowhere, good.stderr),
            type(good)("b", 0, good.argv, (("a.b", ""),), good.cwd, good.stdout, good.stderr),
            type(good)("c", 0, ("nul\0",), good.env, good.cwd, good.stdout, good.stderr),
        ]
        messages = []
        for command in bad:
            with pytest.raises(ServiceError) as caught:
                pool.start(pool.nodes[0], command, bench.records, {})
            messages.append(str(caught.value))
        return messages

    path, name, nul = within(scene())
    assert f"cannot write {bench.path}/missing/stdout.txt: No such file" in path
    assert "'a.b'" in name
    assert "null" in nul
    assert not (bench.path / "ran").exists()


def test_many_wait_for_one(engine: Engine, bench: Bench) -> None:
    """All who wait hear of the end, and one who gives up does not disturb the others."""

    async def scene() -> list[int]:
        pool = one_node(engine, bench)
        fifo = bench.fifo()
        process = pool.start(
            pool.nodes[0], bench.shell(f"read x < {fifo}; exit 5"), bench.records, {}
        )
        assert running(process)
        impatient = asyncio.create_task(process.wait())
        others = [asyncio.create_task(process.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.to_thread(fifo.write_text, "go\n")
        statuses = await asyncio.gather(*others)
        assert process.status == await process.wait()
        return statuses

    assert within(scene()) == [5, 5, 5]


HARD_TO_KILL = {
    "sleeps": "echo $$ > {fifo}; sleep 1000",
    "ignores SIGTERM": "trap '' TERM; echo $$ > {fifo}; while :; do sleep 1000; done",
    "is stopped": "echo $$ > {fifo}; kill -STOP $$; sleep 1000",
    "has children": "sleep 1000 & sleep 1000 & echo $$ $! > {fifo}; wait",
    "left its session": "setsid sleep 1000 & echo $$ $! > {fifo}; wait",
    "is a daemon": "(setsid sh -c 'echo $$ > {fifo}; exec sleep 1000' &); sleep 1000",
    "has no environment": "env -i sleep 1000 & echo $$ $! > {fifo}; wait",
    "starts anew": "trap '' TERM; (while :; do sleep 0.01; done) & echo $$ $! > {fifo}; wait",
}


@pytest.mark.parametrize("kind", HARD_TO_KILL)
def test_terminate_ends_the_whole_tree(engine: Engine, bench: Bench, kind: str) -> None:
    """After terminate nothing of the command runs, whatever it did to stay."""

    async def scene() -> tuple[list[int], int]:
        pool = one_node(engine, bench)
        script = HARD_TO_KILL[kind].format(fifo=bench.fifo())
        process = pool.start(pool.nodes[0], bench.shell(script), bench.records, {})
        pids = [int(word) for word in (await read(bench.path / "ready")).split()]
        assert all(lives(pid) for pid in pids)
        await process.terminate(grace=0.3)
        return pids, await process.wait()

    pids, status = within(scene())
    assert not any(lives(pid) for pid in pids)
    assert status in (128 + signal.SIGTERM, 128 + signal.SIGKILL)
    assert (bench.records / "main.exit").read_text() == f"{status}\n"


def test_terminate_lets_a_command_end_well(engine: Engine, bench: Bench) -> None:
    """A command that handles SIGTERM within the grace has the status it chose."""

    async def scene() -> int:
        pool = one_node(engine, bench)
        fifo = bench.fifo()
        script = f"trap 'echo saved; exit 7' TERM; echo go > {fifo}; sleep 1000 & wait"
        process = pool.start(pool.nodes[0], bench.shell(script), bench.records, {})
        await read(fifo)
        await process.terminate(grace=20)
        return await process.wait()

    assert within(scene()) == 7
    assert bench.stdout.read_text() == "saved\n"


def test_terminate_while_the_command_forks(engine: Engine, bench: Bench) -> None:
    """A child between fork and exec hears of the end too, and nobody hears of it twice."""

    async def scene() -> None:
        pool = one_node(engine, bench)
        for index in range(20):
            fifo = bench.fifo(f"ready-{index}")
            script = f"trap 'echo told' TERM; echo > {fifo}; sleep 1000 & wait; wait"
            command = bench.shell(script, name=f"main-{index}", run=f"run-{index}")
            process = pool.start(pool.nodes[0], command, bench.records, {})
            await read(fifo)
            # Half a minute for all: with one grace waited out it would not do.
            await process.terminate(grace=60)

    within(scene())
    assert bench.stdout.read_text() == "told\n" * 20


def test_terminate_right_after_the_start(engine: Engine, bench: Bench) -> None:
    """A command can be ended before it did anything; ending it again changes nothing."""

    async def scene() -> None:
        pool = one_node(engine, bench)
        process = pool.start(pool.nodes[0], bench.shell("sleep 1000"), bench.records, {})
        await process.terminate(grace=0.2)
        await process.terminate(grace=0.2)
        assert await process.wait() > 128

    within(scene())


@pytest.mark.parametrize("wait", ["", "; sleep 2.2"], ids=["at once", "later"])
def test_clear_ends_what_was_left_behind(engine: Engine, bench: Bench, wait: str) -> None:
    """Background processes and daemons of a command that ended are found and ended."""

    async def scene() -> tuple[list[int], int, int]:
        pool = one_node(engine, bench)
        fifo = bench.fifo()
        script = (
            f"sleep 1000 & (setsid sh -c 'echo $$ > {fifo}; exec sleep 1000' &) ; read y < {fifo}; "
            f"echo $! $y{wait}"
        )
        process = pool.start(pool.nodes[0], bench.shell(script), bench.records, {})
        assert await process.wait() == 0
        pids = [int(word) for word in bench.stdout.read_text().split()]
        assert all(lives(pid) for pid in pids)
        count = await pool.clear([process], grace=5)
        return pids, count, await pool.clear([process], grace=5)

    pids, count, second = within(scene())
    assert not any(lives(pid) for pid in pids)
    assert (count, second) == (2, 0)


def test_clear_finds_a_daemon_in_the_making(engine: Engine, bench: Bench) -> None:
    """A daemon that is just being started when its command ends does not escape."""

    async def scene() -> None:
        pool = one_node(engine, bench)
        for index in range(25):
            command = bench.shell(
                f"(setsid sleep 12345.{index} &) ; exit 0", name=f"main-{index}", run=f"r-{index}"
            )
            process = pool.start(pool.nodes[0], command, bench.records, {})
            await process.wait()
            await pool.clear([process], grace=5)

    within(scene())
    commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert not [words for words in commands if words[-1:] and words[-1].startswith("12345.")]


def test_clear_spares_strangers(engine: Engine, bench: Bench) -> None:
    """Ending one run leaves another run of the same pool alone."""

    async def scene() -> None:
        pool = one_node(engine, bench)
        fifo = bench.fifo()
        other = pool.start(
            pool.nodes[0],
            bench.shell(f"read x < {fifo}", name="other", run="run-2"),
            bench.records,
            {},
        )
        mine = pool.start(pool.nodes[0], bench.shell("sleep 1000 &"), bench.records, {})
        assert await mine.wait() == 0
        assert await pool.clear([mine], grace=5) == 1
        assert other.status is None
        await asyncio.to_thread(fifo.write_text, "go\n")
        assert await other.wait() == 0

    within(scene())


SERVICE = """
    import asyncio, sys
    from pathlib import Path
    from tests.engines.conftest import ENGINES, Bench

    async def main(kind, path, script):
        pool = ENGINES[kind]().pool("cluster", Path(path) / "nodes", 1)
        bench = Bench.__new__(Bench)
        bench.path, bench.records = Path(path), Path(path) / "records"
        bench.stdout, bench.stderr = bench.path / "stdout.txt", bench.path / "stderr.txt"
        pool.start(pool.nodes[0], bench.shell(script), bench.records, {})
        print("started", flush=True)
        await asyncio.sleep(1000)

    asyncio.run(main(*sys.argv[1:]))
"""


def killed_service(kind: str, bench: Bench, script: str) -> None:
    """Start `script` from a process of its own, and when it has begun kill that with SIGKILL."""
    begun = bench.fifo("begun")
    script = f"echo > {begun}; {script}"
    service = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SERVICE), kind, str(bench.path), script],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=Path(__file__).parents[2],
    )
    with service:
        assert service.stdout is not None
        assert service.stdout.readline() == b"started\n"
        begun.read_text()
        service.kill()


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """The name of the engine under test."""
    return str(request.node.callspec.params["engine"])


def test_adopt_a_running_command(engine: Engine, bench: Bench, kind: str) -> None:
    """A command outlives a service that is killed, and the next service hears of its end."""
    fifo = bench.fifo()
    killed_service(kind, bench, f"echo begun; read x < {fifo}; echo $x; exit 6")

    async def scene() -> int:
        process = one_node(engine, bench).adopt("main", bench.records)
        assert process is not None
        assert process.status is None
        await asyncio.to_thread(fifo.write_text, "go on\n")
        return await process.wait()

    assert within(scene()) == 6
    assert bench.stdout.read_text() == "begun\ngo on\n"


def test_adopt_an_ended_command(engine: Engine, bench: Bench, kind: str) -> None:
    """What ended while no service ran has its status all the same."""
    fifo = bench.fifo()
    killed_service(kind, bench, f"read x < {fifo}; kill -KILL $$")
    pid = int((bench.records / "main.pid").read_text().split()[0])
    fifo.write_text("go\n")
    within(gone(exits(), [pid], 20))

    async def scene() -> int | None:
        process = one_node(engine, bench).adopt("main", bench.records)
        assert process is not None
        return process.status

    assert within(scene()) == 137


def test_terminate_an_adopted_command(engine: Engine, bench: Bench, kind: str) -> None:
    """An adopted command is ended with everything it started, daemons included."""
    fifo = bench.fifo()
    script = f"(setsid sh -c 'echo $$ > {fifo}; exec sleep 1000' &); sleep 1000"
    killed_service(kind, bench, script)

    async def scene() -> tuple[int, int]:
        daemon = int(await read(fifo))
        process = one_node(engine, bench).adopt("main", bench.records)
        assert process is not None
        await process.terminate(grace=5)
        return daemon, await process.wait()

    daemon, status = within(scene())
    assert not lives(daemon)
    assert status == 143


def test_a_command_that_never_started_never_will(engine: Engine, bench: Bench) -> None:
    """Once an adopter said a command never started, a start that comes late does nothing."""

    async def scene() -> None:
        pool = one_node(engine, bench)
        assert pool.adopt("main", bench.records) is None
        late = pool.start(pool.nodes[0], bench.shell(f"touch {bench.path}/ran"), bench.records, {})
        await late.wait()
        assert pool.adopt("main", bench.records) is None

    within(scene())
    assert not (bench.path / "ran").exists()


@pytest.mark.parametrize("difference", ["start", "boot", "reboot"])
def test_a_recycled_pid_is_not_adopted(engine: Engine, bench: Bench, difference: str) -> None:
    """A stranger that has the pid of an old command is neither taken for it nor killed."""
    # After a reboot the number may be that of a stranger's session, begun at an earlier tick.
    new_session = difference == "reboot"
    with subprocess.Popen(["sleep", "1000"], start_new_session=new_session) as stranger:
        stat = Path(f"/proc/{stranger.pid}/stat")
        fields = stat.read_text().split() if stat.exists() else []
        if fields and difference == "start":
            fields[21] = str(int(fields[21]) - 1000)
        elif fields and difference == "reboot":
            fields[21] = str(int(fields[21]) + 10**9)
        boot = boot_id() if difference == "start" else "another"
        pid_file = bench.records / "main.pid"
        pid_file.write_text(f"{stranger.pid}\n{boot}\n{' '.join(fields)}\nrun-1\n")
        long_ago = psutil.Process(stranger.pid).create_time() - 100
        os.utime(pid_file, (long_ago, long_ago))
        (bench.records / "main.exit").touch()

        async def scene() -> int:
            process = one_node(engine, bench).adopt("main", bench.records)
            assert process is not None
            await process.terminate(grace=0.1)
            return await process.wait()

        assert within(scene()) == -1
        assert lives(stranger.pid)
        stranger.kill()


def test_claim_is_for_one(bench: Bench) -> None:
    """A status that is only half written does not count, nor does it look unstarted."""
    (bench.records / "main.pid").write_text("1\n-\n\n\n")
    (bench.records / "main.exit").write_text("1")
    assert not claim(str(bench.records / "main"))


def test_detach_and_adopt(engine: Engine, bench: Bench) -> None:
    """A command that is let go runs on, and the same process can take it back."""
    fifo = bench.fifo()

    async def first() -> None:
        pool = one_node(engine, bench)
        command = bench.shell(f"echo > {fifo}; read x < {fifo}; exit 4")
        process = pool.start(pool.nodes[0], command, bench.records, {})
        await read(fifo)
        process.detach()
        with pytest.raises(asyncio.CancelledError):
            await process.wait()

    async def second() -> int:
        process = one_node(engine, bench).adopt("main", bench.records)
        assert process is not None
        await asyncio.to_thread(fifo.write_text, "go\n")
        return await process.wait()

    within(first())
    assert within(second()) == 4


def test_nothing_is_left_of_many(engine: Engine, bench: Bench) -> None:
    """Two hundred commands leave no zombie and no open descriptor."""

    async def scene() -> tuple[int, int]:
        pool = one_node(engine, bench)

        async def one(index: int) -> None:
            command = bench.command("/bin/true", name=f"main-{index}", run=f"run-{index}")
            process = pool.start(pool.nodes[0], command, bench.records, {})
            assert await process.wait() == 0
            assert await pool.clear([process]) == 0

        await one(0)
        before = psutil.Process().num_fds()
        for begin in range(1, 201, 20):
            await asyncio.gather(*(one(index) for index in range(begin, begin + 20)))
        return before, psutil.Process().num_fds()

    others = set(psutil.Process().children())
    before, after = within(scene())
    assert after == before
    assert set(psutil.Process().children()) <= others


def test_nodes(engine: Engine, bench: Bench) -> None:
    """Nodes have directories and unique ids, grow, shrink, are found again, and are removed."""
    pool = engine.pool("cluster", bench.path / "nodes", 3)
    first, second, third = pool.nodes
    assert len({node.id for node in pool.nodes}) == 3
    assert all(node.root.is_dir() for node in pool.nodes)
    (first.root / "something").mkdir()
    (first.root / "mount").symlink_to(bench.records)
    (bench.records / "kept").touch()

    pool.resize(2, keep={third.id})
    assert list(pool.nodes) == [first, third]
    assert not second.root.exists()

    again = engine.pool("cluster", bench.path / "nodes", 0)
    assert list(again.nodes) == [first, third]
    again.resize(3)
    assert again.nodes[-1].id not in {first.id, second.id, third.id}

    again.close()
    assert not again.nodes
    assert not (bench.path / "nodes").exists()
    assert (bench.records / "kept").exists()
