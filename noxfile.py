"""Everything one does with this project: `nox -s SESSION`; `nox -l` lists the sessions."""

import os
import shutil
import sys
from pathlib import Path

import nox

if sys.version_info < (3, 11):  # noqa: UP036 - nox itself may run on an older one
    raise SystemExit("This project needs Python 3.11 or newer; nox runs on " + sys.version[:6])

import tomllib

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "typing", "tests"]

PROJECT = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
PYTHONS = [
    classifier.rsplit(" ", 1)[1]
    for classifier in PROJECT["project"]["classifiers"]
    if classifier.startswith("Programming Language :: Python :: 3.")
]
# One torch for tests, CI and the quickstart: an open requirement would fetch another build of
# several gigabytes on some indexes, and other last digits in every loss.
TORCH = ["-c", "training/constraints.txt"]


def install(session: nox.Session, *groups: str, torch: bool = False) -> None:
    """Install the SDK (and the training package) as a user would: as built wheels' contents."""
    training = ["./training", *TORCH] if torch else []
    chosen = [option for group in groups for option in ("--group", group)]
    session.install("--quiet", ".[plot]", *chosen, *training)


@nox.session
def quickstart(session: nox.Session) -> None:
    """Run the main job: train the quickstart's network on MNIST through our SDK and service."""
    install(session, torch=True)
    session.run("python", "-m", "batchai_quickstart", "quickstart", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test: the SDK's, the service's, the whole path's, the training package's."""
    install(session, "test", torch=True)
    session.run("python", "-m", "pytest", "-c", "training/pyproject.toml", "training/tests")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(default=False)
def onnx(session: nox.Session) -> None:
    """Let onnxruntime compute what the training package exports."""
    install(session, "test", "onnx", torch=True)
    tests = "training/tests/test_onnx.py"
    session.run("python", "-m", "pytest", "-c", "training/pyproject.toml", tests)


@nox.session(python=PYTHONS, default=False)
def sdk(session: nox.Session) -> None:
    """Run the SDK's and the service's tests on every supported Python, without torch."""
    install(session, "test")
    session.run("python", "-m", "pytest", "tests", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check form, rules and the direction of imports."""
    session.install("--quiet", "-e", ".", "--group", "lint")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("lint-imports", "--no-cache")


@nox.session
def typing(session: nox.Session) -> None:
    """Check types, strictly."""
    session.install("--quiet", "-e", ".[plot]", "--group", "typing", "-e", "./training", *TORCH)
    session.run("mypy", "src", "tests", "noxfile.py")
    session.chdir("training")
    session.run("mypy", "src", "tests", "convnet_mnist.py", "mnist/convert.py")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure us beside our peers in one run; see bench/README.md for the names."""
    install(session, "bench")
    session.run("python", "bench/run.py", *session.posargs)


@nox.session(default=False)
def interop(session: nox.Session) -> None:
    """Let foreign clients have their say about storage: Azure CLI, rclone, adlfs."""
    if shutil.which("rclone") is None:
        session.error("rclone is not installed: `apt-get install rclone`, or see rclone.org")
    install(session, "test", "interop")
    path = os.environ["PATH"]
    if shutil.which("az") is None:
        # It pins versions of the packages we use: it gets an environment of its own.
        tools = Path(session.virtualenv.location) / "az"
        session.run("python", "-m", "venv", str(tools))
        python = str(tools / "bin" / "python")
        session.run(python, "-m", "pip", "install", "-q", "azure-cli", external=True)
        path += os.pathsep + str(tools / "bin")
    environment = {"BATCHAI_INTEROP": "1", "PATH": path}
    session.run("python", "-m", "pytest", "tests/interop", *session.posargs, env=environment)
