"""rclone's azureblob backend."""

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

from tests.alone import Alone
from tests.interop.conftest import ACCOUNT, program


class Rclone:
    """rclone with one remote, `az:`, named by the environment alone."""

    def __init__(self, home: Path, **settings: str) -> None:
        self._program = program("rclone")
        settings = {"type": "azureblob", **settings}
        self._environment = {
            **os.environ,
            "RCLONE_CONFIG": str(home / "rclone.conf"),
            **{f"RCLONE_CONFIG_AZ_{name.upper()}": value for name, value in settings.items()},
        }

    def __call__(self, *words: str, status: int = 0) -> str:
        """Run a command, and return what it prints."""
        ended = subprocess.run(
            [self._program, "--retries", "1", "--low-level-retries", "1", *words],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == status, ended.stderr
        return ended.stdout


@pytest.fixture
def rclone(alone: Alone, account_key: str, tmp_path: Path) -> Rclone:
    """A remote with a signature for the account.

    Of an address with an IP number it takes the first part of the path for the account, as
    Azurite has it, so it goes to the port that stands for Blob.
    """
    signature = generate_account_sas(
        ACCOUNT,
        account_key,
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(read=True, write=True, list=True, create=True, delete=True),
        datetime.now(UTC) + timedelta(hours=1),
    )
    return Rclone(tmp_path, sas_url=f"{alone.value(ACCOUNT, 'blob port')}?{signature}")


def test_shared_key_signs_as_for_azurite(alone: Alone, tree: Path, tmp_path: Path) -> None:
    """With `use_emulator` and its address rclone needs no key: it has the well-known one."""
    endpoint = alone.value("devstoreaccount1", "blob port")
    rclone = Rclone(tmp_path, use_emulator="true", endpoint=endpoint)
    rclone("copy", str(tree), "az:tree")
    rclone("check", str(tree), "az:tree")
    rclone("purge", "az:tree")


def test_a_tree_survives_the_round_trip(rclone: Rclone, tree: Path, tmp_path: Path) -> None:
    """What goes up comes down, in chunks; `check` compares every MD5 and finds no difference."""
    rclone("mkdir", "az:tree")
    rclone("copy", str(tree), "az:tree/x", "--azureblob-chunk-size", "4M",
           "--azureblob-upload-cutoff", "4M")  # fmt: skip
    rclone("check", str(tree), "az:tree/x")
    rclone("copy", "az:tree/x", str(tmp_path / "back"))
    rclone("check", str(tree), str(tmp_path / "back"))
    listed = rclone("lsf", "-R", "--files-only", "az:tree/x").splitlines()
    assert sorted(listed) == ["a.txt", "big.bin", "deep/b c.txt", "deep/er/grün+%.txt"]
    assert rclone("cat", "az:tree/x/deep/b c.txt") == "beta\n"
    assert rclone("cat", "--offset", "2", "--count", "2", "az:tree/x/a.txt") == "ph"
    assert "big.bin" in rclone("ls", "az:tree")
    assert "tree" in rclone("lsd", "az:")
    assert rclone("md5sum", "az:tree/x/a.txt").split()[0] == "9f9f90dbe3e5ee1218c86b8839db1995"
    rclone("purge", "az:tree")
    assert "tree" not in rclone("lsd", "az:")


def test_sync_sends_what_changed_and_removes_what_is_gone(rclone: Rclone, tree: Path) -> None:
    """After `sync` the container is the directory again; a second one sends nothing."""
    rclone("sync", str(tree), "az:synced")
    (tree / "a.txt").write_text("another alpha\n")
    (tree / "big.bin").unlink()
    rclone("sync", str(tree), "az:synced")
    rclone("check", str(tree), "az:synced")
    assert "big.bin" not in rclone("lsf", "az:synced")
    assert "Copied" not in rclone("sync", "-v", "--use-json-log", str(tree), "az:synced")
    rclone("purge", "az:synced")


def test_copies_and_moves_stay_on_the_server(rclone: Rclone, tree: Path) -> None:
    """Copying and moving between containers of the account; the content stays the same."""
    rclone("copy", str(tree), "az:from")
    rclone("mkdir", "az:onto")
    rclone("copy", "az:from", "az:onto")
    rclone("check", "az:from", "az:onto")
    rclone("moveto", "az:from/a.txt", "az:onto/moved.txt")
    assert rclone("cat", "az:onto/moved.txt") == "alpha\n"
    assert "a.txt" not in rclone("lsf", "az:from")
    rclone("delete", "az:onto/deep")
    rclone("deletefile", "az:onto/moved.txt")
    assert sorted(rclone("lsf", "-R", "--files-only", "az:onto").split()) == ["a.txt", "big.bin"]
    rclone("purge", "az:from")
    rclone("purge", "az:onto")
