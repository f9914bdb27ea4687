"""Storage alone, and a directory of files to send."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.alone import Alone, storage_alone

ACCOUNT = "mystorage"

# They take programs that are not this project's to install: `nox -s interop` asks for them.
collect_ignore_glob = [] if os.environ.get("BATCHAI_INTEROP") else ["test_*.py"]


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    """One storage process for all foreign clients."""
    options = ("--account", ACCOUNT, "--devstoreaccount1", "--blob-port", "0", "--file-port", "0")
    with storage_alone(tmp_path_factory.mktemp("storage"), *options) as running:
        yield running


@pytest.fixture
def connection_string(alone: Alone) -> str:
    """The connection string of its account."""
    return alone.connection_string(ACCOUNT)


@pytest.fixture
def account_key(connection_string: str) -> str:
    """The first key of its account."""
    fields = dict(field.split("=", 1) for field in connection_string.split(";"))
    return fields["AccountKey"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with small files, one of them deep, one of them of 9 MiB."""
    root = tmp_path / "tree"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "a.txt").write_text("alpha\n")
    (root / "deep" / "b c.txt").write_text("beta\n")
    (root / "deep" / "er" / "grün+%.txt").write_text("gamma\n")
    (root / "big.bin").write_bytes(bytes(range(256)) * 9 * 4096)
    return root


def program(name: str) -> str:
    """The path of a foreign program."""
    found = shutil.which(name)
    assert found is not None, f"{name} is not installed"
    return found
