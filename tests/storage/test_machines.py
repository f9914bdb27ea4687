"""Random operations end in the same state here and in a dictionary."""

import os
from functools import partial
from pathlib import Path

from azure.storage.blob import BlobServiceClient
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.alone import storage_alone
from tests.storage.blobmachine import BlobMachine, Peer

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "0"))
"""How often to begin anew; by default a few times, the same every time."""

CHOSEN = settings(
    max_examples=EXAMPLES or 30,
    stateful_step_count=50,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)


def test_blobs_are_what_a_dictionary_has(tmp_path: Path) -> None:
    """Put, blocks, append, metadata, tags, leases, conditions, lists: same answers, same end."""
    with storage_alone(tmp_path / "root") as running:
        text = running.connection_string("mystorage")
        service = BlobServiceClient.from_connection_string(text, retry_total=0)
        peers = [Peer("ours", service)]
        run_state_machine_as_test(partial(BlobMachine, peers), settings=CHOSEN)  # type: ignore[arg-type]
