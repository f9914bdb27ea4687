"""What the process tables say, compared with what is known of a process."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchai_quickstart.engines import ENGINES, load
from batchai_quickstart.engines.exits import Exits, PidfdExits, ThreadExits, gone
from batchai_quickstart.engines.processes import PortableTable, ProcTable, Table
from batchai_quickstart.engines.removal import remove_tree
from batchai_quickstart.errors import ConfigurationError

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has it")
TABLES = [pytest.param(ProcTable, marks=linux), PortableTable]
EXITS = [pytest.param(PidfdExits, marks=linux), ThreadExits]


@pytest.mark.parametrize("kind", TABLES)
def test_a_process_as_the_table_shows_it(kind: type[Table]) -> None:
    """A table knows parent, session, start and mark of a process, and that a zombie is dead."""
    table = kind()
    before = table.now()
    environ = {**os.environ, "AZ_BATCHAI_RUN_ID": "r\u00fcn", "ZAZ_BATCHAI_RUN_ID": "no"}
    # Started under sh: until it answers, environment and session may be those of its parent.
    with subprocess.Popen(
        ["sh", "-c", "echo up; read x"],
        env=environ,
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        seen = table.look(child.pid)
        assert seen is not None
        assert (seen.pid, seen.parent, seen.session) == (child.pid, os.getpid(), child.pid)
        assert before - 200 <= seen.start <= table.now() + 200
        assert table.mark(child.pid) == "r\u00fcn"
        assert child.pid in table.pids()
        assert child.pid in table.newer(os.getpid())
        child.stdin.close()
        asyncio.run(gone(ThreadExits(), [child.pid], 20))
        assert table.look(child.pid) is None
        assert table.look(child.pid, zombies=True) is not None
    assert table.look(child.pid, zombies=True) is None
    assert table.mark(child.pid) == ""


@pytest.mark.parametrize("kind", TABLES)
def test_a_process_without_a_mark(kind: type[Table]) -> None:
    """A process with an empty environment, or without the variable, has no mark."""
    table = kind()
    for environ in ({}, {"ZAZ_BATCHAI_RUN_ID": "no", "X": "AZ_BATCHAI_RUN_ID=no"}):
        with subprocess.Popen(
            ["/bin/sh", "-c", "echo up; read x"],
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            assert table.mark(child.pid) == ""
            child.kill()


@linux
def test_kernel_threads_have_no_mark() -> None:
    """A thread of the kernel is not taken for a process that is about to have an environment."""
    table = ProcTable()
    assert all(table.mark(pid) is not None for pid in table.pids() if pid == 2)


@pytest.mark.parametrize("kind", EXITS)
def test_ends_are_heard_of(kind: type[Exits]) -> None:
    """The end of a child, and of a process that is not there, is told once; a stop is heeded."""

    async def scene(child: subprocess.Popen[bytes]) -> list[str]:
        exits = kind()
        told: list[str] = []
        heard = asyncio.Event()

        def ended() -> None:
            told.append("end")
            heard.set()

        exits.watch(child.pid, ended)
        stop = exits.watch(child.pid, lambda: told.append("stopped"))
        stop()
        stop()
        await gone(exits, [child.pid], 0.01)
        assert told == []
        assert child.stdin is not None
        child.stdin.close()
        await gone(exits, [child.pid, child.pid], 20)
        await heard.wait()
        child.wait()
        await gone(exits, [child.pid], 20)
        return told

    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert asyncio.run(asyncio.wait_for(scene(child), 30)) == ["end"]


def test_engines_are_loaded_by_name() -> None:
    """Every engine of the table loads; another name is refused with the names there are."""
    for name in ENGINES:
        assert load(name).gpus() is not None
    with pytest.raises(ConfigurationError, match=r"'slurm'.*local"):
        load("slurm")


def test_importing_engines_loads_none() -> None:
    """The table of engines costs nothing until one is used."""
    subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, batchai_quickstart.engines; assert 'psutil' not in sys.modules",
        ],
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_trees_are_removed_without_following_links(tmp_path: Path) -> None:
    """A tree is removed with its read-only directories; what its links point to stays."""
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    (tree / "closed" / "deep").mkdir(parents=True)
    (tree / "closed" / "deep" / "file").touch()
    (outside / "kept").mkdir(parents=True)
    (tree / "link").symlink_to(outside)
    (tree / "closed" / "deep").chmod(0o500)
    (tree / "closed").chmod(0o500)
    remove_tree(str(tree))
    assert not tree.exists()
    (tmp_path / "link").symlink_to(outside)
    remove_tree(str(tmp_path / "link"))
    remove_tree(str(tmp_path / "missing"))
    assert (outside / "kept").is_dir()
