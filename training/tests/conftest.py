"""What the tests share: MNIST as CNTK text files, and fresh random seeds for each test."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import cntk as C

TRAINING = Path(__file__).parents[1]

# It takes a runtime of Python 3.6 that most machines cannot have: `nox -s cntk_reference`.
collect_ignore = [] if os.environ.get("CNTK_REFERENCE") else ["test_real_cntk.py"]


@pytest.fixture(autouse=True)
def _fresh_seeds() -> Iterator[None]:
    C.cntk_py.reset_random_seed()
    yield
    C.cntk_py.reset_random_seed()


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mnist")
    subprocess.run([sys.executable, TRAINING / "mnist" / "convert.py", folder], check=True)
    return folder


@pytest.fixture(scope="session")
def data() -> Path:
    return Path(__file__).parent / "data"
