"""Set up real CNTK 2.7 beside this project, where a machine can have it.

    python real_cntk.py DIRECTORY

makes a virtual environment of Python 3.6 with the package `cntk` in DIRECTORY and prints the path
of a launcher, `DIRECTORY/cntk`: it takes what `python` takes. What is needed beforehand: a Python
3.6 (`python3.6` on the PATH, or named by the variable PYTHON36) with its shared library, and the
libraries of an Open MPI (Debian's libopenmpi3). CNTK was linked with an older one, whose few
functions it calls without several processes are still there under the same names.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

PACKAGE: Final = "cntk==2.7.post2"
MPI: Final = {"libmpi.so.12": "libmpi.so.40", "libmpi_cxx.so.1": "libmpi_cxx.so.40"}
"""What CNTK asks for, and what today's distributions have in its place."""


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _python() -> str:
    python = os.environ.get("PYTHON36") or shutil.which("python3.6")
    if not python:
        raise SystemExit("There is no Python 3.6: put python3.6 on the PATH, or set PYTHON36.")
    version = _said(python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
    if version != "3.6":
        raise SystemExit(f"{python} is Python {version}; CNTK's last wheel is for Python 3.6.")
    return python


def _libraries(folder: Path) -> None:
    """Link the libraries of Open MPI under the names that CNTK asks for."""
    known = dict(re.findall(r"^\s*(\S+) .*=> (\S+)$", _said("/sbin/ldconfig", "-p"), re.MULTILINE))
    folder.mkdir(parents=True, exist_ok=True)
    for asked, there in MPI.items():
        if asked in known:
            continue
        if there not in known:
            raise SystemExit(f"There is no {there}: install Open MPI (Debian: libopenmpi3).")
        link = folder / asked
        link.unlink(missing_ok=True)
        link.symlink_to(known[there])


def launcher(folder: Path) -> Path:
    """Make the environment, or find it made, and return the launcher.

    Args:
        folder: Where everything goes.

    Raises:
        SystemExit: Something is missing on this machine; the message says what.
        RuntimeError: CNTK does not start.
    """
    python = _python()
    _libraries(folder / "lib")
    environment = folder / "env"
    if not (environment / "lib" / "python3.6" / "site-packages" / "cntk").is_dir():
        subprocess.run([python, "-m", "venv", str(environment)], check=True, stdout=sys.stderr)
        install = [str(environment / "bin" / "python"), "-m", "pip", "install", "-q", PACKAGE]
        subprocess.run(install, check=True, stdout=sys.stderr)
    shared = _said(python, "-c", "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))")
    path = folder / "cntk"
    path.write_text(
        "#!/bin/sh\n"
        f'export LD_LIBRARY_PATH="{folder / "lib"}:{shared.strip()}"\n'
        f'exec "{environment / "bin" / "python"}" "$@"\n'
    )
    path.chmod(0o755)
    started = subprocess.run(
        [str(path), "-c", "import cntk; print(cntk.__version__)"], capture_output=True, text=True
    )
    if started.stdout.strip() != "2.7":
        message = f"CNTK does not start:\n{started.stderr[-2000:]}"
        raise RuntimeError(message)
    return path


if __name__ == "__main__":
    sys.stdout.write(f"{launcher(Path(sys.argv[1]).resolve())}\n")
