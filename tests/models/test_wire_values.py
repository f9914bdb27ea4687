"""How values look on the wire, and what comes back from it."""

import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from azure.mgmt.batchai import models as official

from batchai_quickstart import models
from batchai_quickstart.errors import ServiceError
from batchai_quickstart.models.names import wire_name
from batchai_quickstart.models.scalars import (
    format_duration,
    format_file_time,
    format_time,
    parse_duration,
)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(days=7), "P7D"),
        (timedelta(hours=1, seconds=5), "PT1H5S"),
        (timedelta(days=1, hours=1), "P1DT1H"),
        (timedelta(minutes=90), "PT1H30M"),
        (timedelta(milliseconds=500), "PT0.5S"),
        (timedelta(seconds=10), "PT10S"),
        (timedelta(0), "PT0S"),
        (timedelta(days=-1), "-P1D"),
    ],
)
def test_durations_are_written_in_iso_8601_and_read_back(length: timedelta, text: str) -> None:
    """A duration has one spelling on the wire, which reads back as the same length."""
    assert text == format_duration(length)
    assert length == parse_duration(text)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("7.00:00:00", timedelta(days=7)),
        ("01:30:00", timedelta(minutes=90)),
        ("00:00:00.2500000", timedelta(milliseconds=250)),
        ("1:05", timedelta(hours=1, minutes=5)),
        ("P1W", timedelta(weeks=1)),
        ("PT36H", timedelta(hours=36)),
    ],
)
def test_other_spellings_of_durations_are_understood(text: str, length: timedelta) -> None:
    """Timespans, weeks and more hours than a day has are accepted."""
    assert length == parse_duration(text)


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "7", "7 days", "P1Y", "P1M", "1H", "P-1D"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Texts without a fixed length are refused with examples of what is meant."""
    with pytest.raises(ValueError, match="is no duration like 'P7D'"):
        parse_duration(text)


def test_a_duration_beyond_all_limits_is_refused() -> None:
    """A length that cannot be represented is an error in words, not an overflow."""
    with pytest.raises(ValueError, match="too long"):
        parse_duration("P9999999999D")


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2018, 6, 1, 1, 2, 53, 40_000, UTC), "2018-06-01T01:02:53.04Z"),
        (datetime(2018, 6, 1, 1, 2, 53, 961_900, UTC), "2018-06-01T01:02:53.961Z"),
        (datetime(2018, 6, 1, 1, 2, 50, 0, UTC), "2018-06-01T01:02:50Z"),
        (datetime(2018, 6, 1, 1, 0, 0, 0, timezone(timedelta(hours=2))), "2018-05-31T23:00:00Z"),
    ],
)
def test_times_are_written_in_utc_with_up_to_three_decimals(moment: datetime, text: str) -> None:
    """Trailing zeros of the fraction are cut, zones are converted, the zone is Z."""
    assert text == format_time(moment)


def test_times_of_files_are_written_in_whole_seconds() -> None:
    """The modification time of a file has no fraction."""
    moment = datetime(2018, 6, 1, 1, 2, 53, 961_900, UTC)
    assert format_file_time(moment) == "2018-06-01T01:02:53Z"
    entry = models.File(name="a", properties=models.FileProperties(last_modified=moment))
    assert entry.to_wire()["properties"] == {"lastModified": "2018-06-01T01:02:53Z"}


def test_a_time_without_zone_is_taken_for_utc() -> None:
    """Every time read from the wire has a zone, so that times can be compared."""
    read = models.WorkspaceProperties.from_wire({"creationTime": "2018-06-01T01:02:53.1234567"})
    assert read.creation_time == datetime(2018, 6, 1, 1, 2, 53, 123_456, UTC)


def test_enumerations_are_read_without_case_and_written_as_described() -> None:
    """`LowPriority` of an old portal is `lowpriority` on our side and on the way out."""
    read = models.ClusterProperties.from_wire({"vmPriority": "LowPriority"})
    assert read.vm_priority is models.VmPriority.LOWPRIORITY
    assert read.to_wire() == {"vmPriority": "lowpriority"}


def test_unknown_values_of_an_answer_stay_what_they_are() -> None:
    """A value from a newer service equals its text, survives a pickle, and ends no job."""
    state = models.JobProperties.from_wire({"executionState": "Frozen"}).execution_state
    assert state is not None
    assert state == "Frozen"
    assert not state.is_known
    assert not state.is_terminal
    assert pickle.loads(pickle.dumps(state)) == state  # noqa: S301  # our own bytes
    assert models.JobProperties(execution_state=models.ExecutionState.QUEUED).to_wire() == {
        "executionState": "queued"
    }


@pytest.mark.parametrize("state", models.ExecutionState)
def test_only_succeeded_and_failed_are_ends(state: models.ExecutionState) -> None:
    """A terminating job is still on its way."""
    assert state.is_terminal == (state in ("succeeded", "failed"))


def test_answers_are_read_leniently() -> None:
    """Unknown members are ignored, null is absent, numbers may be text or have a fraction."""
    login = models.RemoteLoginInformation.from_wire(
        {"nodeId": None, "port": 50000.0, "region": "mars"}
    )
    assert login == models.RemoteLoginInformation(port=50000)
    assert models.NodeStateCounts.from_wire({"idleNodeCount": "3"}).idle_node_count == 3
    assert models.Job.from_wire({"name": "j", "properties": None}).properties.to_wire() == {}


def test_an_answer_that_cannot_be_understood_names_the_member() -> None:
    """A member of a wrong kind is the service's fault and is named by its path."""
    with pytest.raises(ServiceError, match=r"no valid JobListResult: value\[0\]\.properties"):
        models.JobListResult.from_wire({"value": [{"properties": 7}]})


def test_defaults_are_written_unless_a_server_left_them_out() -> None:
    """What we ask for is complete; what a server said is not added to."""
    assert models.JobConstraints().to_wire() == {"maxWallClockTime": "P7D"}
    assert models.JobConstraints.from_wire({}).to_wire() == {}
    assert models.JobConstraints.from_wire({}).max_wall_clock_time == timedelta(days=7)
    asked = models.JobBaseProperties(node_count=1, std_out_err_path_prefix="$X")
    assert asked.to_wire() == {
        "schedulingPriority": "normal",
        "nodeCount": 1,
        "stdOutErrPathPrefix": "$X",
        "constraints": {"maxWallClockTime": "P7D"},
    }


def test_an_empty_page_has_its_list() -> None:
    """The list of a page is written even when it is empty: clients need it."""
    assert models.JobListResult().to_wire() == {"value": []}


def test_attributes_and_wire_names_construct_the_same() -> None:
    """Models accept snake_case and camelCase arguments, odd names included."""
    disks = {"diskSizeInGB": 10, "diskCount": 1, "storageAccountType": "standard_lrs"}
    assert models.DataDisks.model_validate(disks) == models.DataDisks(
        disk_size_in_gb=10,
        disk_count=1,
        storage_account_type=models.StorageAccountType.STANDARD_LRS,
    )


def test_models_are_frozen_hashable_values() -> None:
    """Models cannot be changed, and equal ones have one hash."""
    one, other = models.ResourceId(id="/x"), models.ResourceId(id="/x")
    assert hash(one) == hash(other)
    with pytest.raises(ValueError, match="frozen"):
        one.id = "/y"


def test_repr_shows_what_is_there() -> None:
    """Absent members do not clutter the representation."""
    assert (
        repr(models.Experiment(name="e"))
        == "Experiment(name='e', properties=ExperimentProperties())"
    )


@pytest.mark.parametrize("tool", models.ToolType)
def test_the_toolkit_is_the_one_whose_settings_are_there(tool: models.ToolType) -> None:
    """Each toolkit is recognised from its settings object, asked for and reported."""
    name = models.ATTRIBUTE_OF_TOOL[tool]
    settings: dict[str, Any] = {"pythonScriptFilePath": "a.py", "commandLine": "true"}
    properties = models.JobProperties.from_wire({wire_name(name): settings})
    assert models.tool_type(properties) is tool


def test_the_official_client_reads_what_we_write() -> None:
    """azure-mgmt-batchai finds state, times, limits and secrets' holders of a job we wrote."""
    job = models.Job(
        name="j",
        properties=models.JobProperties(
            tool_type=models.ToolType.CUSTOM,
            execution_state=models.ExecutionState.RUNNING,
            constraints=models.JobConstraints(max_wall_clock_time=timedelta(hours=1, seconds=5)),
            creation_time=datetime(2018, 6, 1, 1, 2, 53, 40_000, UTC),
            secrets=(models.EnvironmentVariableWithSecretValue.from_wire({"name": "S"}),),
        ),
    )
    read = official.Job.deserialize(job.to_wire())  # type: ignore[no-untyped-call]  # theirs
    assert read.execution_state == official.ExecutionState.RUNNING
    assert read.constraints.max_wall_clock_time == timedelta(hours=1, seconds=5)
    assert read.creation_time == datetime(2018, 6, 1, 1, 2, 53, 40_000, UTC)
    assert [secret.name for secret in read.secrets] == ["S"]


def test_we_read_what_the_official_client_writes() -> None:
    """The request azure-mgmt-batchai sends for a job passes the strict reading."""
    request = official.JobCreateParameters(
        cluster=official.ResourceId(id="/c"),
        node_count=1,
        std_out_err_path_prefix="$AZ_BATCHAI_JOB_MOUNT_ROOT/logs",
        custom_toolkit_settings=official.CustomToolkitSettings(command_line="true"),
        constraints=official.JobBasePropertiesConstraints(max_wall_clock_time=timedelta(hours=2)),
        scheduling_priority=official.JobPriority.HIGH,
    )
    body = request.serialize()  # type: ignore[no-untyped-call]  # theirs
    read = models.JobCreateParameters.read(body).properties
    assert read.constraints.max_wall_clock_time == timedelta(hours=2)
    assert read.scheduling_priority is models.JobPriority.HIGH
    assert models.tool_type(read) is models.ToolType.CUSTOM


def test_importing_the_models_builds_nothing() -> None:
    """A fresh import leaves validators unbuilt and brings no server, no Azure package."""
    script = (
        "import sys; from batchai_quickstart import models; "
        "assert not models.Job.__pydantic_complete__; "
        "assert not {'azure', 'starlette', 'uvicorn', 'requests'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_first_use_in_many_threads() -> None:
    """Threads that use a model for the first time at once all get it built."""
    script = """
import sys, threading
from batchai_quickstart import models
sys.setswitchinterval(1e-6)
start, read = threading.Barrier(8), []
def run():
    start.wait()
    read.append(models.JobListResult.from_wire({"value": [{"name": "j"}]}).value[0].name)
threads = [threading.Thread(target=run) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert read == ["j"] * 8
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
