"""What the service holds in memory while much goes through it."""

import os
from collections.abc import Callable
from pathlib import Path

from azure.storage.blob import BlobServiceClient, ContainerClient
from azure.storage.fileshare import ShareServiceClient

from tests.alone import Alone, storage_alone

SIZE = 256 << 20
MORE = 32 << 20
"""Bytes above what it holds at rest."""


def _memory(running: Alone, line: str) -> int:
    text = Path(f"/proc/{running.process.pid}/status").read_text()
    return int(text.partition(f"{line}:")[2].split()[0]) << 10


def test_transfers_take_no_memory(tmp_path: Path) -> None:
    """256 MiB up in one piece, in blocks and in ranges, and down, each within 32 MiB of rest."""
    source = tmp_path / "zeros"
    source.touch()
    os.truncate(source, SIZE)
    with storage_alone(tmp_path / "root") as running, source.open("rb") as file:
        text = running.connection_string("mystorage")
        container = BlobServiceClient.from_connection_string(text).create_container("data")
        whole = ContainerClient.from_connection_string(text, "data", max_single_put_size=SIZE + 1)
        container.upload_blob("small", b"1")
        assert container.download_blob("small").readall() == b"1"
        share = ShareServiceClient.from_connection_string(text).create_share("logs")
        share.get_file_client("small").upload_file(b"1")
        rest = _memory(running, "VmRSS")

        def down() -> None:
            for _ in container.download_blob("whole", max_concurrency=4).chunks():
                pass

        transfers: dict[str, Callable[[], object]] = {
            "in one piece": lambda: whole.upload_blob("whole", file),
            "in blocks": lambda: container.upload_blob("blocks", file, max_concurrency=4),
            "down": down,
            "in ranges": lambda: share.get_file_client("ranges").upload_file(
                file, max_concurrency=4
            ),
        }
        for name, transfer in transfers.items():
            Path(f"/proc/{running.process.pid}/clear_refs").write_text("5")
            file.seek(0)
            transfer()
            most = _memory(running, "VmHWM") - rest
            assert most < MORE, f"{name}: {most >> 20} MiB"
