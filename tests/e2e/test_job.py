"""A job file in, files and a live log out, through the object API over real sockets."""

import contextlib
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from batchai_quickstart import (
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    InvalidSpecError,
    Job,
    JobFailedError,
    NotFoundError,
    WaitTimeoutError,
)
from batchai_quickstart.local import LocalService
from tests.e2e.conftest import Lab


def test_outputs_come_back(lab: Lab, tmp_path: Path) -> None:
    """What a job prints and writes is listed, linked and downloaded byte for byte."""
    job = lab.submit("j", 'echo héllo; echo oops >&2; printf data >"$AZ_BATCHAI_OUTPUT_OUT/f.bin"')
    job.wait().raise_for_status()
    assert [file.name for file in job.files()] == ["execution.log", "stderr.txt", "stdout.txt"]
    assert list(job.iter_log("stdout.txt")) == ["héllo"]
    assert list(job.iter_log("stderr.txt")) == ["oops"]
    (file,) = job.files("OUT")
    assert (file.name, file.size) == ("f.bin", 4)
    assert file.url is not None
    with urllib.request.urlopen(file.url) as answer:
        assert answer.read() == b"data"
    (path,) = job.download("OUT", tmp_path)
    assert path.read_bytes() == b"data"
    assert f"/jobs/{job.name}/" in str(job.output_path_segment)


def test_log_is_live(lab: Lab) -> None:
    """A line is at the client while the program that wrote it waits for our answer."""
    gate = 'until [ -e "$AZ_BATCHAI_JOB_MOUNT_ROOT/files/go" ]; do sleep 0.01; done'
    job = lab.submit("j", f"echo ready; {gate}; echo end")
    lines = job.iter_log("stdout.txt")
    assert next(lines) == "ready"
    assert job.refresh().state == "running"
    share = lab.storage.share("files")
    go = Path(__file__).with_name("__init__.py")
    share.upload(go, "go")
    assert list(lines) == ["end"]
    assert job.wait().state == "succeeded"


def test_log_of_a_queued_job_waits_for_it(lab: Lab) -> None:
    """Following starts before the job does, and misses nothing."""
    lab.cluster.resize(0).wait_steady()
    job = lab.submit("j", "seq 1000")
    found: list[str] = []
    follower = threading.Thread(target=lambda: found.extend(job.iter_log("stdout.txt")))
    follower.start()
    lab.cluster.resize(1)
    follower.join(60)
    assert found == [str(number) for number in range(1, 1001)]


def test_environment_of_a_job(lab: Lab) -> None:
    """A job finds its variables, those of its user, and its secrets."""
    job = lab.submit(
        "j",
        'echo "$GREETING $TOKEN $AZ_BATCHAI_NUM_GPUS"; basename "$AZ_BATCHAI_STDOUTERR_DIR"',
        environmentVariables=[{"name": "GREETING", "value": "good day"}],
        secrets=[{"name": "TOKEN", "value": "s3cret"}],
    )
    assert list(job.iter_log("stdout.txt")) == ["good day s3cret 0", "stdouterr"]


def test_preparation_runs_first_and_its_failure_fails_the_job(lab: Lab) -> None:
    """Job preparation runs before the command; when it fails, the command does not start."""
    good = lab.submit("good", "cat it", jobPreparation={"commandLine": "echo prepared >it"})
    assert list(good.iter_log("stdout.txt")) == ["prepared"]
    bad = lab.submit("bad", "echo never", jobPreparation={"commandLine": "echo no >&2; exit 3"})
    with pytest.raises(JobFailedError, match="JobPreparationFailed") as failed:
        bad.wait().raise_for_status()
    assert failed.value.exit_code == 3
    assert "stderr-job_prep.txt" in [file.name for file in bad.files()]
    assert failed.value.stderr_tail == "no\n"


def test_script_that_raises_says_so(lab: Lab) -> None:
    """The error of a failed job carries exit code and the end of its standard error."""
    job = lab.submit("j", "python -c 'raise ValueError(\"no such layer\")'")
    with pytest.raises(JobFailedError, match="ValueError: no such layer") as failed:
        job.wait().raise_for_status()
    assert failed.value.exit_code == 1
    assert failed.value.errors == (("JobFailed", "Job failed with non-zero exit code"),)


def test_wall_clock_limit_ends_a_job(lab: Lab) -> None:
    """A job that exceeds its limit fails for that reason, and its processes are gone."""
    job = lab.submit("j", "sleep 600", constraints={"maxWallClockTime": "PT0.2S"})
    with pytest.raises(JobFailedError, match="JobMaxWallClockTimeReached"):
        job.wait(timeout=60).raise_for_status()


def test_terminate_takes_the_whole_tree_down(lab: Lab) -> None:
    """Termination ends what a job started, even what left its session."""
    job = lab.submit(
        "j",
        "setsid sh -c 'trap \"\" TERM; echo $$; exec sleep 600' & wait",
    )
    pid = int(next(job.iter_log("stdout.txt")))
    job.terminate()
    assert job.state == "failed"
    with contextlib.suppress(psutil.NoSuchProcess):  # or what is left of it until it is reaped
        assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_jobs_queue_by_priority_on_one_node(lab: Lab, tmp_path: Path) -> None:
    """With one node jobs run one at a time: higher priority first, then in order."""
    lab.cluster.resize(0).wait_steady()
    order = [("low", "low"), ("a", "normal"), ("b", "normal"), ("high", "high")]
    jobs = [
        lab.submit(
            name,
            f'echo {name} >>"$AZ_BATCHAI_JOB_MOUNT_ROOT/files/order"',
            schedulingPriority=priority,
        )
        for name, priority in order
    ]
    lab.cluster.resize(1)
    for job in jobs:
        job.wait(timeout=60).raise_for_status()
    path = lab.storage.share("files").download("order", tmp_path / "order")
    assert path.read_text().split() == ["high", "a", "b", "low"]


def test_gang_starts_together_or_waits(lab: Lab) -> None:
    """A job for two nodes waits until both are idle; its host file names both."""
    one = lab.submit("one", "sleep 600")
    both = lab.submit("both", 'wc -l <"$AZ_BATCHAI_MPI_HOST_FILE"', nodeCount=2)
    with pytest.raises(WaitTimeoutError, match="queued"):
        both.wait(timeout=0.3)
    one.terminate()
    assert [line.strip() for line in both.iter_log("stdout.txt")] == ["2"]


def test_shrinking_a_cluster_requeues_its_job(lab: Lab) -> None:
    """A node that goes takes its job's run along; the job waits, and runs again on a new node."""
    gate = 'until [ -e "$AZ_BATCHAI_JOB_MOUNT_ROOT/files/go" ]; do sleep 0.01; done'
    job = lab.submit("j", f"echo run; {gate}")
    assert next(job.iter_log("stdout.txt")) == "run"
    lab.cluster.resize(0).wait_steady()
    assert job.refresh().state == "queued"
    assert job.model.properties.execution_info is None
    lab.storage.share("files").upload(Path(__file__), "go")
    lab.cluster.resize(1)
    job.wait(timeout=60).raise_for_status()
    assert list(job.iter_log("stdout.txt")) == ["run", "run"]


def test_terminated_job_is_not_requeued_by_a_resize(lab: Lab) -> None:
    """What its user ended stays ended, also when its node goes in the same moment."""
    job = lab.submit("j", "trap '' TERM; echo on; while :; do sleep 0.1; done")
    assert next(job.iter_log("stdout.txt")) == "on"
    job.terminate(wait=False)
    lab.cluster.resize(0)
    assert job.wait(timeout=60).state == "failed"
    info = job.model.properties.execution_info
    assert info is not None
    assert [error.code for error in info.errors] == ["JobTerminated"]


def test_following_a_job_that_cannot_start_ends_with_it(lab: Lab) -> None:
    """A queued job whose share is gone when its turn comes ends its followers at once."""
    lab.cluster.resize(0).wait_steady()
    job = lab.submit("j", "true")
    lab.storage.share("files").delete()
    failures: list[Exception] = []

    def follow() -> None:
        try:
            list(job.iter_log("stdout.txt"))
        except NotFoundError as error:
            failures.append(error)

    follower = threading.Thread(target=follow)
    follower.start()
    lab.cluster.resize(1)
    follower.join(20)
    assert not follower.is_alive()
    with pytest.raises(JobFailedError, match="AZFMountError"):
        job.wait(timeout=20).raise_for_status()


def test_odd_names_do_not_hide_the_others(lab: Lab) -> None:
    """A link to itself and a name that is no UTF-8 leave the rest of a listing readable."""
    job = lab.submit(
        "j",
        'cd "$AZ_BATCHAI_OUTPUT_OUT"; ln -s loop loop; echo x >"$(printf \'\\377\')"; echo y >good',
    )
    job.wait().raise_for_status()
    assert [file.name for file in job.files("OUT")] == ["good"]


def test_corrected_secret_is_not_taken_for_the_same_job(lab: Lab) -> None:
    """A job submitted again with another key conflicts; the failed one is not handed back."""
    spec = lab.spec("true")
    share = spec["properties"]["mountVolumes"]["azureFileShares"][0]
    share["credentials"] = {"accountKey": "a2V5"}
    arguments: dict[str, Any] = {
        "cluster": lab.cluster,
        "experiment": lab.experiment,
        "storage": lab.storage,
    }
    job = Job.submit("j", spec, **arguments)
    assert job.wait().state == "failed"
    for again in (spec, lab.spec("true")):
        with pytest.raises(ConflictError, match="exists already"):
            Job.submit("j", again, **arguments)


def test_held_listing_ends_with_a_deleted_job(service: LocalService, lab: Lab) -> None:
    """A held listing of a job that is being deleted is answered, while another still ends."""
    stays = lab.submit("stays", "trap '' TERM; echo on; while :; do sleep 0.1; done")
    goes = lab.submit("goes", "echo on; sleep 600")
    assert [next(job.iter_log("stdout.txt")) for job in (stays, goes)] == ["on", "on"]
    url = f"{service.endpoint}{goes.id}/listOutputFiles"
    query = {"api-version": "2018-05-01", "outputdirectoryid": "stdouterr"}
    headers = {"Authorization": f"Bearer {service.token}"}
    first = requests.post(url, params=query, headers=headers, timeout=60)
    headers |= {"Prefer": "wait=50", "If-None-Match": first.headers["ETag"]}
    answers: list[requests.Response] = []
    held = threading.Thread(
        target=lambda: answers.append(requests.post(url, params=query, headers=headers, timeout=60))
    )
    held.start()
    lab.experiment.delete()
    held.join(20)
    assert [answer.status_code for answer in answers] in ([200], [304], [404])


def test_missing_file_names_those_that_are_there(lab: Lab) -> None:
    """Following a file that never comes ends with the job, and says what there is."""
    job = lab.submit("j", "true")
    with pytest.raises(NotFoundError, match=r"stdout\.txt"):
        list(job.iter_log("stdput.txt"))


class TestMistakes:
    """What a new user gets wrong ends in a clear message and the right state."""

    def test_misspelt_key(self, lab: Lab) -> None:
        """A misspelt key is refused before anything is sent, with its path and the right name."""
        with pytest.raises(InvalidSpecError, match="stdOutErrPathPrefix"):
            lab.submit("j", "true", stdOutErrPathPrefx="x")

    def test_missing_script(self, lab: Lab) -> None:
        """A script that is not on the share fails the job, and its log says which."""
        spec = lab.spec("true")
        del spec["properties"]["customToolkitSettings"]
        spec["properties"]["cntkSettings"] = {
            "pythonScriptFilePath": "$AZ_BATCHAI_JOB_MOUNT_ROOT/files/none.py"
        }
        job = Job.submit(
            "j", spec, cluster=lab.cluster, experiment=lab.experiment, storage=lab.storage
        )
        with pytest.raises(JobFailedError, match=r"none\.py"):
            job.wait().raise_for_status()

    def test_wrong_account(self, lab: Lab) -> None:
        """A storage account that does not exist fails the job's mount, by its name."""
        spec = lab.spec("true")
        share = spec["properties"]["mountVolumes"]["azureFileShares"][0]
        share["azureFileUrl"] = "https://nobody.file.core.windows.net/files"
        share["accountName"] = "nobody"
        share["credentials"] = {"accountKey": "a2V5"}
        job = Job.submit(
            "j", spec, cluster=lab.cluster, experiment=lab.experiment, storage=lab.storage
        )
        with pytest.raises(JobFailedError, match=r"AZFMountError.*nobody"):
            job.wait().raise_for_status()
        assert job.exit_code == -1

    def test_wrong_key(self, lab: Lab) -> None:
        """A key that is not the account's fails the mount."""
        spec = lab.spec("true")
        share = spec["properties"]["mountVolumes"]["azureFileShares"][0]
        share["credentials"] = {"accountKey": "a2V5"}
        job = Job.submit(
            "j", spec, cluster=lab.cluster, experiment=lab.experiment, storage=lab.storage
        )
        with pytest.raises(JobFailedError, match="AZFMountError"):
            job.wait().raise_for_status()

    def test_no_node_free(self, lab: Lab) -> None:
        """A job that needs more nodes than there are waits, and says so."""
        job = lab.submit("j", "true", nodeCount=9)
        with pytest.raises(WaitTimeoutError, match="queued"):
            job.wait(timeout=0.2)
        assert job.terminate().state == "failed"

    def test_unwritable_directory(self, lab: Lab) -> None:
        """An output directory that cannot be made fails the job and names it."""
        job = lab.submit("j", "true", stdOutErrPathPrefix="/proc/nowhere")
        with pytest.raises(JobFailedError, match="/proc/nowhere"):
            job.wait().raise_for_status()

    def test_same_name_twice(self, lab: Lab) -> None:
        """A second job of a name is refused; the first is untouched."""
        first = lab.submit("j", "true")
        with pytest.raises(ConflictError, match="exists already"):
            lab.submit("j", "false")
        assert first.wait().state == "succeeded"

    def test_toolkit_that_does_not_run_yet(self, lab: Lab) -> None:
        """A toolkit that is not there is refused by name, and no job is made."""
        spec = lab.spec("true")
        del spec["properties"]["customToolkitSettings"]
        spec["properties"]["horovodSettings"] = {"pythonScriptFilePath": "/x.py"}
        with pytest.raises(InvalidRequestError, match="horovodSettings"):
            Job.submit(
                "j", spec, cluster=lab.cluster, experiment=lab.experiment, storage=lab.storage
            )
        with pytest.raises(NotFoundError):
            Job.get(lab.experiment, "j")


def test_ctrl_c_leaves_the_job_running(service: LocalService, lab: Lab, tmp_path: Path) -> None:
    """Interrupting a script that streams a log ends the script alone, and it says how to return."""
    job = lab.submit("j", "echo started; sleep 600")
    next(job.iter_log("stdout.txt"))
    script = tmp_path / "watch.py"
    script.write_text(
        "import sys\n"
        "from batchai_quickstart import Connection, Job\n"
        "endpoint, token, subscription, job = sys.argv[1:]\n"
        "c = Connection.open(endpoint, token=token, subscription_id=subscription)\n"
        "Job.from_id(job, connection=c).stream_log('stdout.txt')\n"
    )
    words = [service.endpoint, service.token, service.subscription_id, str(job.id)]
    watcher = subprocess.Popen(
        [sys.executable, str(script), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watcher.stdout is not None
    assert watcher.stdout.readline() == "started\n"
    watcher.send_signal(signal.SIGINT)
    _, errors = watcher.communicate(timeout=60)
    assert "Job j goes on" in errors
    assert job.refresh().state == "running"
    job.terminate()


def test_deleting_the_group_takes_everything_along(lab: Lab) -> None:
    """Deleting a group ends its jobs and removes its workspace, storage and files."""
    job = lab.submit("j", "sleep 600")
    next(iter(job.iter_log("execution.log")))
    lab.group.delete()
    with pytest.raises(NotFoundError):
        job.refresh()
    with pytest.raises(ForbiddenError):  # nobody's key signs for an account that is gone
        lab.storage.share("files").list()
