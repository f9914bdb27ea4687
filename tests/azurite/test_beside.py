"""The same random operations on Azurite and on this service end in the same state."""

import contextlib
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient
from hypothesis.stateful import run_state_machine_as_test

from batchai_quickstart.storage.alone import DEVELOPMENT
from tests.alone import storage_alone
from tests.storage.blobmachine import BlobMachine, Difference, Peer
from tests.storage.test_machines import CHOSEN

_LEASE, _TYPE = (412, "LeaseIdMissing"), (409, "InvalidBlobType")
_TYPE_FIRST = "it looks at the blob's type before its lease, where both forbid the request"
_CONDITIONS_FIRST = "it looks at the conditions before the lease, where both forbid the request"
DIFFERENCES = (
    Difference("append", _LEASE, _TYPE, _TYPE_FIRST),
    Difference("commit", _LEASE, _TYPE, _TYPE_FIRST),
    Difference("stage", _LEASE, _TYPE, _TYPE_FIRST),
    Difference("copy", _LEASE, (404, "BlobNotFound"), "it looks for the source before the lease"),
    Difference("put new", _LEASE, (409, "BlobAlreadyExists"), _CONDITIONS_FIRST),
    Difference("put unchanged", _LEASE, (412, "ConditionNotMet"), _CONDITIONS_FIRST),
    Difference(
        "release",
        (409, "LeaseNotPresentWithLeaseOperation"),
        (409, "LeaseIdMismatchWithLeaseOperation"),
        "where there is no lease, it says that the lease has another id",
    ),
)
"""Refusals with another code. Beside these, Azurite differs in

- `clashes`: `a` and `a/b` are two blobs there, and here the names of a file and a directory;
- `tidies`: Put Blob keeps uncommitted blocks there, which Azure discards, and a blob that has no
  others counts as being there for conditions, leases and removal;
- `copies_appends`: what is added to an append blob appears in its copies there, and copies over
  blobs of another type succeed, which Azure refuses.
"""


@contextlib.contextmanager
def azurite(directory: Path) -> Iterator[str]:
    """Run Azurite's Blob service, and give its address."""
    options = ["--blobPort", "0", "--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    options += ["--location", str(directory)]
    with subprocess.Popen(["azurite-blob", *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if "listens on " in line:
                    yield line.split()[-1]
                    break
            else:
                pytest.fail("Azurite did not start")
        finally:
            process.kill()


def test_blobs_are_what_azurite_has(tmp_path: Path) -> None:
    """Put, blocks, append, metadata, tags, leases, conditions, lists."""
    with storage_alone(tmp_path / "root") as running:
        text = running.connection_string("mystorage")
        ours = BlobServiceClient.from_connection_string(text, retry_total=0)
        with azurite(tmp_path / "azurite") as address:
            name, key = DEVELOPMENT
            credential = {"account_name": name, "account_key": key}
            theirs = BlobServiceClient(f"{address}/{name}", credential, retry_total=0)
            peers = [
                Peer("ours", ours),
                Peer(
                    "Azurite",
                    theirs,
                    DIFFERENCES,
                    clashes=False,
                    tidies=False,
                    copies_appends=False,
                ),
            ]
            run_state_machine_as_test(partial(BlobMachine, peers), settings=CHOSEN)  # type: ignore[arg-type]
