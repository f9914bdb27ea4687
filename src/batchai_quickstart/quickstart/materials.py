"""What the quickstart trains with: the script and MNIST, from a checkout or an installed package.

The training package is a distribution of its own and never imported here: its files are found,
and its programs are run, as a shell would.
"""

import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from batchai_quickstart.errors import ConfigurationError

_DISTRIBUTION = "batchai-quickstart-training"


@dataclass(frozen=True, slots=True)
class Materials:
    """Files of the training package.

    Arguments:
        script: `convnet_mnist.py`.
        converter: the program that writes MNIST in CNTK's text format into a directory.
    """

    script: Path
    converter: Path

    def convert_mnist(self, directory: Path) -> None:
        """Write the two text files (130 MB) into `directory`, unless they are there already.

        Raises:
            ConfigurationError: the conversion failed; the message holds what it said.
        """
        directory.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [sys.executable, str(self.converter), str(directory)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ConfigurationError(f"MNIST could not be converted: {done.stderr.strip()}")


def check_runnable() -> None:
    """Look for what the job will import, without importing it.

    Raises:
        ConfigurationError: it is not there; the message says what to install.
    """
    missing = [name for name in ("cntk", "torch") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"The job would not find {' and '.join(missing)} in {sys.executable}: `pip install "
            "./training` in a checkout of the project installs both."
        )


def find() -> Materials:
    """Find the training package's files.

    Raises:
        ConfigurationError: the package is not installed, and this is no checkout.
    """
    checkout = Path(__file__).parents[3] / "training"
    if (checkout / "convnet_mnist.py").is_file():
        return Materials(checkout / "convnet_mnist.py", checkout / "mnist" / "convert.py")
    try:
        files = metadata.files(_DISTRIBUTION) or ()
    except metadata.PackageNotFoundError:
        files = ()
    found = {
        "/".join(file.parts[-2:]): Path(str(file.locate())).resolve()
        for file in files
        if file.name in ("convnet_mnist.py", "convert.py")
    }
    try:
        return Materials(found["batchai-quickstart/convnet_mnist.py"], found["mnist/convert.py"])
    except KeyError:
        raise ConfigurationError(
            f"The training package ({_DISTRIBUTION}) is not installed: `pip install ./training` in "
            "a checkout of the project installs it."
        ) from None
