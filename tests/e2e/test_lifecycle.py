"""The service as a process: found, started once, killed, restarted; nothing is lost."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from batchai_quickstart import (
    ConfigurationError,
    Connection,
    Job,
    JobFailedError,
    ServiceError,
    StorageAccount,
    local,
)
from batchai_quickstart.local import LocalService, ServiceInfo
from batchai_quickstart.storage.store import Store
from tests.e2e.conftest import Lab

_SUBMIT = """
from batchai_quickstart import Workspace
from batchai_quickstart.local import find_or_start
print(find_or_start().pid)
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A root of the test's own, whose service is ended with the test."""
    directory = tmp_path / "root"
    monkeypatch.setenv("BATCHAI_ROOT", str(directory))
    yield directory
    info = local.find(directory)
    if info is not None:
        local.stop(info)


def command(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m batchai_quickstart WORDS`."""
    return subprocess.run(
        [sys.executable, "-m", "batchai_quickstart", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def kill(info: ServiceInfo) -> None:
    """End a service as a power cut would."""
    process = psutil.Process(info.pid)
    process.kill()
    process.wait(timeout=10)


def test_ten_scripts_at_once_start_one_service(root: Path) -> None:
    """However many scripts look for the service together, one is started and all use it."""
    scripts = [
        subprocess.Popen([sys.executable, "-c", _SUBMIT], stdout=subprocess.PIPE, text=True)
        for _ in range(10)
    ]
    pids = {script.communicate(timeout=60)[0] for script in scripts}
    info = local.find(root)
    assert info is not None
    assert pids == {f"{info.pid}\n"}


def test_service_file_is_private(root: Path) -> None:
    """service.json tells how to reach the service, to its owner alone."""
    info = local.find_or_start(root)
    path = root / "service.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = json.loads(path.read_text())
    assert {"endpoint", "token", "subscriptionId", "pid", "version"} <= set(written)
    assert (written["endpoint"], written["pid"]) == (info.endpoint, info.pid)


def test_status_and_stop(root: Path) -> None:
    """`status` shows a running service, `stop` ends it, and both say when there is none."""
    none = command("status")
    assert (none.returncode, none.stdout) == (3, f"No service runs on {root}.\n")
    info = local.find_or_start(root)
    shown = command("status")
    assert shown.returncode == 0
    assert info.endpoint in shown.stdout
    assert info.token not in shown.stdout
    stopped = command("stop")
    assert (stopped.returncode, local.find(root)) == (0, None)
    assert command("stop").returncode == 3


def test_second_service_on_a_root_is_refused(root: Path) -> None:
    """`serve` on a root that is in use says who uses it."""
    info = local.find_or_start(root)
    second = command("serve", "--root", str(root))
    assert second.returncode == 1
    assert f"pid {info.pid}" in second.stderr


def test_taken_port_is_named(root: Path) -> None:
    """`serve` on a taken port says so and leaves nothing behind."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = command("serve", "--root", str(root), "--port", str(port))
    assert refused.returncode == 1
    assert f"Port {port} of 127.0.0.1 is taken" in refused.stderr
    assert not (root / "service.json").exists()


def test_impossible_port_is_refused(root: Path) -> None:
    """A number that is no port is a wrong command line."""
    refused = command("serve", "--root", str(root), "--port", "99999")
    assert refused.returncode == 2
    assert "a port from 0 to 65535" in refused.stderr


def test_storage_and_records_agree_after_a_crash(tmp_path: Path) -> None:
    """An account known to one side alone, as a crash may leave it, is made whole or goes."""
    root = tmp_path / "root"
    with LocalService(root) as service:
        lab = Lab.build(service)
        kept = lab.storage.name
    store = Store(root / "storage")
    store.delete_account(kept)
    store.create_account("orphan")
    store.close()
    with LocalService(root):
        group, connection = lab.group.name, lab.group.connection
        again = StorageAccount.get(kept, resource_group=group, connection=connection)
        again.share("new").create()
        assert not (root / "storage" / "accounts" / "orphan").exists()


def test_windows_is_told_what_to_do() -> None:
    """Where the service cannot run, the error says why and what works instead."""
    with pytest.raises(ConfigurationError, match="BATCHAI_ENDPOINT"):
        local.check_platform("win32")


def test_unusable_root_is_named(tmp_path: Path) -> None:
    """A root that cannot be made is an error with its path."""
    (tmp_path / "file").write_text("")
    refused = command("serve", "--root", str(tmp_path / "file" / "root"))
    assert refused.returncode == 1
    assert str(tmp_path / "file" / "root") in refused.stderr


def test_idle_service_leaves(root: Path) -> None:
    """A service told to leave when idle does so when nothing has been asked or run."""
    served = command("serve", "--root", str(root), "--idle-exit", "0.2")
    assert served.returncode == 0
    assert not (root / "service.json").exists()


def test_local_service_ends_with_its_program() -> None:
    """When the program that holds a LocalService is killed, the service and its files go too."""
    script = (
        "from batchai_quickstart.local import LocalService\n"
        "with LocalService() as s: print(s.info.pid, s.root, flush=True); input()"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    pid, root = program.stdout.readline().split()
    service = psutil.Process(int(pid))
    program.kill()
    program.communicate()
    service.wait(timeout=30)
    assert not Path(root).exists()


def test_temporary_service_ends_its_jobs() -> None:
    """Leaving a LocalService without a root of its own ends its jobs and removes its files."""
    with LocalService() as service:
        job = Lab.build(service).submit("j", "echo $$; exec sleep 600")
        process = psutil.Process(int(next(job.iter_log("stdout.txt"))))
    process.wait(timeout=30)
    assert not service.root.exists()


def test_killed_service_loses_nothing(tmp_path: Path) -> None:
    """After SIGKILL with jobs running and queued, the next service finds and finishes them all."""
    root = tmp_path / "root"
    with LocalService(root) as service:
        lab = Lab.build(service, nodes=2)
        gate = 'until [ -e "$AZ_BATCHAI_JOB_MOUNT_ROOT/files/go" ]; do sleep 0.01; done'
        stays = lab.submit("stays", f"echo one; {gate}; echo two")
        ends = lab.submit("ends", "echo alone; sleep 0.3; exit 4")
        waits = [lab.submit(f"waits{number}", f"echo {number}") for number in range(3)]
        lines = stays.iter_log("stdout.txt")
        assert next(lines) == "one"
        assert next(ends.iter_log("stdout.txt")) == "alone"
        main = psutil.Process(service.info.pid)
        pids = [process.pid for process in main.children()]
        kill(service.info)
        assert all(psutil.pid_exists(pid) for pid in pids)
        account = lab.storage
    with LocalService(root) as again:
        connection = again.connect()
        found = {
            name: Job.from_id(job.id, connection=connection).refresh()
            for name, job in {"stays": stays, "ends": ends}.items()
        }
        assert found["stays"].state == "running"
        with pytest.raises(JobFailedError, match="JobFailed"):
            found["ends"].wait(timeout=60).raise_for_status()
        assert found["ends"].exit_code == 4
        account.share("files").upload(Path(__file__), "go")
        # The handle and the follower of before go on: same port, same token, same byte.
        assert list(lines) == ["two"]
        assert found["stays"].wait(timeout=60).state == "succeeded"
        for number, job in enumerate(waits):
            assert list(job.iter_log("stdout.txt")) == [str(number)]
            assert job.wait(timeout=60).state == "succeeded"


def test_stopped_service_lets_jobs_go_on(root: Path) -> None:
    """Jobs run on while no service is there, and the next one settles what ended meanwhile."""
    with LocalService(root) as service:
        lab = Lab.build(service, nodes=1)
        job = lab.submit("j", "echo $$; sleep 0.5; echo done")
        pid = int(next(job.iter_log("stdout.txt")))
    psutil.Process(pid).wait(timeout=30)
    with LocalService(root):
        assert job.wait(timeout=60).state == "succeeded"
        assert list(job.iter_log("stdout.txt")) == [str(pid), "done"]


def test_no_service_is_a_clear_error() -> None:
    """A call to an endpoint where nothing answers names the endpoint."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    connection = Connection.open(endpoint, token="t", subscription_id="s")
    with pytest.raises(ServiceError, match=endpoint):
        connection.gateway.get_group("g")


def test_service_survives_signals_to_its_starter(root: Path) -> None:
    """The detached service is in a session of its own: its starter's terminal cannot end it."""
    info = local.find_or_start(root)
    assert os.getsid(info.pid) != os.getsid(0)
    os.kill(info.pid, signal.SIGTERM)
    psutil.Process(info.pid).wait(timeout=30)
