"""What commands inherit of the service's environment."""

import sys
from pathlib import Path

from batchai_quickstart.engines.inherited import inherited


def test_no_secret_and_no_python_setup_is_inherited() -> None:
    """Tokens, keys and the way the service was started stay with the service."""
    environ = {
        "AZURE_CLIENT_SECRET": "1",
        "BATCHAI_TOKEN": "1",
        "NVIDIA_API_KEY": "1",
        "AZURE_BATCHAI_STORAGE_KEY": "1",
        "DATABASE_URL": "1",
        "PYTHONPATH": "1",
        "PYTHONHOME": "1",
        "VIRTUAL_ENV": "1",
        "PWD": "1",
    }
    assert inherited(environ).keys() == {"PATH", "CUDA_DEVICE_ORDER"}


def test_what_programs_need_is_inherited() -> None:
    """Home, locale, temporary directory, library paths, GPU settings and proxies are kept."""
    environ = {
        "HOME": "/home/me",
        "LANG": "de_DE.UTF-8",
        "LC_ALL": "C",
        "TMPDIR": "/scratch",
        "LD_LIBRARY_PATH": "/opt/lib",
        "CUDA_HOME": "/opt/cuda",
        "OMP_NUM_THREADS": "2",
        "https_proxy": "http://proxy:1",
        "NO_PROXY": "localhost",
    }
    assert inherited(environ).items() >= environ.items()


def test_python_is_the_services_own() -> None:
    """`python` is looked for beside the service's own interpreter first."""
    assert inherited({"PATH": "/bin"})["PATH"] == f"{Path(sys.executable).parent}:/bin"
    assert inherited({}, "/opt/venv/bin/python")["PATH"].startswith("/opt/venv/bin:/usr/local")


def test_gpu_numbers_are_physical() -> None:
    """CUDA counts GPUs as the engine does, unless the service's owner says otherwise."""
    assert inherited({})["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert inherited({"CUDA_DEVICE_ORDER": "FASTEST_FIRST"})["CUDA_DEVICE_ORDER"] != "PCI_BUS_ID"
