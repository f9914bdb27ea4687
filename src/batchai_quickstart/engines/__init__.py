"""Kinds of machine that run commands: name -> module, imported on first use."""

import sys
from importlib import import_module

from batchai_quickstart.engines.base import Engine
from batchai_quickstart.errors import ConfigurationError

ENGINES = {"local": "batchai_quickstart.engines.local"}
"""Engine name -> the module whose `engine()` makes it."""


def load(name: str) -> Engine:
    """Make the engine called `name`.

    Raises:
        ConfigurationError: there is no engine of that name, or none runs on this system.
    """
    if sys.platform == "win32":
        raise ConfigurationError(
            "Jobs run on Linux and macOS only: on Windows use the client with a service elsewhere, "
            "or install both in the Windows Subsystem for Linux."
        )
    if name not in ENGINES:
        raise ConfigurationError(
            f"There is no engine {name!r}; the engines are: {', '.join(sorted(ENGINES))}."
        )
    engine: Engine = import_module(ENGINES[name]).engine()
    return engine
