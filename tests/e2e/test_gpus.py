"""GPUs are handed out to one job at a time, by CUDA_VISIBLE_DEVICES."""

import os
from pathlib import Path

import pytest

from batchai_quickstart import Cluster, Job, WaitTimeoutError
from batchai_quickstart.local import LocalService
from tests.e2e.conftest import Lab

pytestmark = pytest.mark.skipif(
    Path("/proc/driver/nvidia/gpus").exists(), reason="this machine's own GPUs would be listed"
)
_GATE = 'until [ -e "$AZ_BATCHAI_JOB_MOUNT_ROOT/files/go" ]; do sleep 0.01; done'
_SHOW = 'echo "[$CUDA_VISIBLE_DEVICES] $AZ_BATCHAI_NUM_GPUS"'


def _two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a driver tool on the PATH that lists two GPUs."""
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(
        "#!/bin/sh\n"
        "echo 'GPU 0: Tesla K80 (UUID: GPU-00000000-0000-0000-0000-000000000000)'\n"
        "echo 'GPU 1: Tesla K80 (UUID: GPU-11111111-1111-1111-1111-111111111111)'\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_gpus_go_to_one_job_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three jobs of one GPU each on two GPUs: two run with a GPU of their own, the third waits."""
    _two_gpus(tmp_path, monkeypatch)
    with LocalService(tmp_path / "root") as service:
        lab = Lab.build(service, nodes=1)
        gpu_nodes = Cluster.create(
            lab.workspace, "nc6", vm_size="Standard_NC6", target_node_count=3
        ).wait_steady()
        jobs = [
            Job.submit(
                f"j{number}",
                lab.spec(f"{_SHOW}; {_GATE}"),
                cluster=gpu_nodes,
                experiment=lab.experiment,
                storage=lab.storage,
            )
            for number in range(3)
        ]
        first = [next(job.iter_log("stdout.txt")) for job in jobs[:2]]
        assert first == ["[0] 1", "[1] 1"]
        with pytest.raises(WaitTimeoutError, match="queued"):
            jobs[2].wait(timeout=0.3)
        plain = lab.submit("plain", _SHOW)
        assert list(plain.iter_log("stdout.txt")) == ["[] 0"]
        lab.storage.share("files").upload(Path(__file__), "go")
        assert [job.wait(timeout=60).state for job in jobs] == ["succeeded"] * 3
        assert next(jobs[2].iter_log("stdout.txt")) in ("[0] 1", "[1] 1")


def test_freed_gpu_starts_a_job_of_another_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that waits for a GPU starts when one is freed, on whichever cluster that was."""
    _two_gpus(tmp_path, monkeypatch)
    with LocalService(tmp_path / "root") as service:
        lab = Lab.build(service, nodes=1)
        clusters = [
            Cluster.create(lab.workspace, name, vm_size="Standard_NC12", target_node_count=1)
            for name in ("one", "two")
        ]
        first, second = (
            Job.submit(
                f"on-{cluster.name}",
                lab.spec(f"{_SHOW}; {_GATE}"),
                cluster=cluster.wait_steady(),
                experiment=lab.experiment,
                storage=lab.storage,
            )
            for cluster in clusters
        )
        assert next(first.iter_log("stdout.txt")) == "[0,1] 2"
        assert second.refresh().state == "queued"
        lab.storage.share("files").upload(Path(__file__), "go")
        assert second.wait(timeout=60).state == "succeeded"
