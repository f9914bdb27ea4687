"""Following a job's file against a service that is not ours, and one that is."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
import responses
from responses import matchers
from responses.registries import OrderedRegistry

from batchai_quickstart import Connection, Job, NotFoundError, ServiceError
from batchai_quickstart.ids import EXPERIMENT, JOB, WORKSPACE, ResourceId

from .conftest import ENDPOINT, SUBSCRIPTION

ID = ResourceId(SUBSCRIPTION, "g").child(WORKSPACE, "w").child(EXPERIMENT, "e").child(JOB, "j")
URL = f"{ENDPOINT}{ID}"
LIST = f"{URL}/listOutputFiles"
FILE = "http://127.0.0.1:9999/file/a/logs/stderr.txt"
PUSHED = {"Preference-Applied": "wait"}


def job(state: str) -> dict[str, Any]:
    return {"id": str(ID), "name": "j", "properties": {"executionState": state}}


def listing(*names: str, size: int = 0, link: str = FILE) -> dict[str, Any]:
    facts = {"contentLength": size, "lastModified": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    entry = {"fileType": "file", "downloadUrl": link, "properties": facts}
    return {"value": [{"name": name, **entry} for name in names]}


@pytest.fixture
def handle(connection: Connection) -> Job:
    """A handle on the job, nothing asked yet."""
    return Job.from_id(str(ID), connection=connection)


def at(offset: int) -> Any:
    return matchers.header_matcher({"Range": f"bytes={offset}-"})


def test_first_line_costs_one_listing_and_one_read(
    wire: responses.RequestsMock, handle: Job
) -> None:
    """The first line comes after one listing and one read: the state is not asked before."""
    wire.post(LIST, json=listing("stderr.txt"))
    wire.get(FILE, body=b"first\n", status=206, headers=PUSHED, match=[at(0)])
    assert next(handle.iter_log("stderr.txt")) == "first"
    assert len(wire.calls) == 2


def test_polite_following(handle: Job, sleeps: list[float]) -> None:
    """A service without long polls is read and asked once a second; nothing is lost at the end."""
    with responses.RequestsMock(registry=OrderedRegistry) as wire:
        wire.post(LIST, json=listing("stderr.txt"))
        wire.get(FILE, body="é".encode()[:1], status=206, match=[at(0)])
        wire.get(URL, json=job("running"))
        wire.get(FILE, body="é\nla".encode()[1:], status=206, match=[at(1)])
        wire.get(URL, json=job("succeeded"))
        wire.get(FILE, body=b"st", status=206, match=[at(5)])
        chunks = handle.iter_log_chunks("stderr.txt", sleep=sleeps.append)
        assert "".join(chunks) == "é\nlast"
    assert sleeps == [1.0]
    assert handle.state == "succeeded"


def test_file_that_is_not_there_yet_is_waited_for(handle: Job) -> None:
    """A missing file is waited for by the listing's long poll."""
    with responses.RequestsMock(registry=OrderedRegistry) as wire:
        wire.post(LIST, json=listing("execution.log"), headers={"ETag": '"a"', **PUSHED})
        wire.get(URL, json=job("running"))
        known = matchers.header_matcher({"If-None-Match": '"a"'})
        wire.post(LIST, status=304, headers=PUSHED, match=[known])
        wire.get(URL, json=job("running"))
        wire.post(LIST, json=listing("stderr.txt"), headers=PUSHED, match=[known])
        wire.get(FILE, status=416, headers=PUSHED)
        wire.get(URL, json=job("failed"))
        wire.get(FILE, status=416, headers=PUSHED)
        assert list(handle.iter_log("stderr.txt")) == []


def test_file_that_never_came_is_told_with_those_that_did(handle: Job) -> None:
    """After the end of the job a missing file is an error that names the ones there are."""
    with responses.RequestsMock(registry=OrderedRegistry) as wire:
        wire.post(LIST, json=listing("stdout.txt"))
        wire.get(URL, json=job("failed"))
        wire.post(LIST, json=listing("execution.log", "stdout.txt"))
        with pytest.raises(NotFoundError, match=r"'stder.txt'.*execution.log, stdout.txt"):
            list(handle.iter_log("stder.txt"))


def test_expired_link_is_renewed(handle: Job) -> None:
    """A link that ran out is replaced by a new listing, at the same byte."""
    new = FILE + "2"
    with responses.RequestsMock(registry=OrderedRegistry) as wire:
        wire.post(LIST, json=listing("stderr.txt"))
        wire.get(FILE, body=b"one ", status=206, headers=PUSHED)
        wire.get(FILE, status=403, match=[at(4)])
        wire.post(LIST, json=listing("stderr.txt", link=new))
        wire.get(new, body=b"two", status=206, headers=PUSHED, match=[at(4)])
        wire.get(new, status=416, headers=PUSHED, match=[at(7)])
        wire.get(URL, json=job("succeeded"))
        wire.get(new, status=416, headers=PUSHED)
        assert "".join(handle.iter_log_chunks("stderr.txt")) == "one two"


def test_beginning_with_the_last_lines(handle: Job) -> None:
    """`tail` reads the end of the file once, then follows from there."""
    data = b"a\nb\nc\n"
    with responses.RequestsMock(registry=OrderedRegistry) as wire:
        wire.post(LIST, json=listing("stderr.txt", size=6))
        block = matchers.header_matcher({"Range": "bytes=0-5"})
        wire.get(FILE, body=data, status=206, match=[block])
        wire.get(FILE, body=data[2:], status=206, headers=PUSHED, match=[at(2)])
        wire.get(FILE, status=416, headers=PUSHED, match=[at(6)])
        wire.get(URL, json=job("succeeded"))
        wire.get(FILE, status=416, headers=PUSHED)
        assert list(handle.iter_log("stderr.txt", tail=2)) == ["b", "c"]


def test_beginning_with_what_comes_now(handle: Job) -> None:
    """`from_start=False` skips what was written before."""
    with responses.RequestsMock(registry=OrderedRegistry) as wire:
        wire.post(LIST, json=listing("stderr.txt", size=100))
        wire.get(FILE, body=b"new", status=206, headers=PUSHED, match=[at(100)])
        wire.get(FILE, status=416, headers=PUSHED, match=[at(103)])
        wire.get(URL, json=job("succeeded"))
        wire.get(FILE, status=416, headers=PUSHED)
        assert list(handle.iter_log("stderr.txt", from_start=False)) == ["new"]


def test_stream_log_prints_and_returns_the_job(wire: responses.RequestsMock, handle: Job) -> None:
    """The text goes out unaltered, and the handle comes back."""
    wire.post(LIST, json=listing("stderr.txt"))
    wire.get(FILE, body="ä\nno end".encode(), status=206, headers=PUSHED, match=[at(0)])
    wire.get(FILE, status=416, headers=PUSHED, match=[at(9)])
    wire.get(URL, json=job("succeeded"))
    output = io.StringIO()
    assert handle.stream_log("stderr.txt", file=output) is handle
    assert output.getvalue() == "ä\nno end"


def test_old_files_are_read_without_waiting(handle: Job) -> None:
    """The log of a job that ended long ago: its state first, then one read that is not held."""
    old = listing("stderr.txt", size=3)
    old["value"][0]["properties"]["lastModified"] = "2020-01-01T00:00:00Z"
    with responses.RequestsMock(registry=OrderedRegistry) as wire:
        wire.post(LIST, json=old)
        wire.get(URL, json=job("succeeded"))
        wire.get(FILE, body=b"old", status=206, match=[at(0)])
        assert list(handle.iter_log("stderr.txt")) == ["old"]
        assert "Prefer" not in wire.calls[2].request.headers


def test_interrupt_leaves_the_job_and_says_how_to_come_back(
    wire: responses.RequestsMock, handle: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends the printing only; the message is a line that can be pasted."""

    class Interrupted(io.StringIO):
        def write(self, text: str) -> int:
            raise KeyboardInterrupt

    wire.post(LIST, json=listing("stderr.txt"))
    wire.get(FILE, body=b"x", status=206, headers=PUSHED)
    with pytest.raises(KeyboardInterrupt):
        handle.stream_log("stderr.txt", file=Interrupted())
    told = capsys.readouterr().err
    assert f'Job.from_id("{ID}")' in told
    assert "stream_log('stderr.txt')" in told


def test_service_that_stays_away_is_told(
    wire: responses.RequestsMock, handle: Job, sleeps: list[float]
) -> None:
    """When the storage service does not come back the error says so, and that the job goes on."""
    wire.post(LIST, json=listing("stderr.txt"))
    wire.get(FILE, status=503)
    with pytest.raises(ServiceError, match="The job goes on"):
        list(handle.iter_log_chunks("stderr.txt", sleep=sleeps.append))
    assert sum(sleeps) > 30
