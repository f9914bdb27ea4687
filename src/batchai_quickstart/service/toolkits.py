"""Toolkits: from a job's settings object to the command lines of its processes.

One small pure function a toolkit, one row of `TOOLKITS` each. A toolkit that does not run here yet
is a row too: the text says why and what to do instead.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from batchai_quickstart import models
from batchai_quickstart.errors import InvalidRequestError
from batchai_quickstart.models import ToolType
from batchai_quickstart.service.environment import expand, refused

SHELL = "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh"
"""What interprets command lines: bash, as on Batch AI's nodes; sh on machines without."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One process a toolkit wants started.

    Arguments:
        name: unique in the job, safe as a file name.
        node: index of the node it runs on.
        argv: program and arguments.
        suffix: what its log files carry: `stdout<suffix>.txt`.
        variables: environment of this process alone.
    """

    name: str
    node: int
    argv: tuple[str, ...]
    suffix: str = ""
    variables: tuple[tuple[str, str], ...] = ()


Launcher = Callable[
    [models.JobBaseProperties, Sequence[Mapping[str, str]], str], tuple[Launch, ...]
]
"""(job, variables of each node, default Python interpreter) -> processes."""


@dataclass(frozen=True, slots=True)
class Toolkit:
    """How jobs of one tool type are started.

    Arguments:
        launch: works out the processes; raises InvalidRequestError for settings it cannot run.
        variables: what the toolkit adds to the environment of the job and its preparation.
    """

    launch: Launcher
    variables: tuple[tuple[str, str], ...] = ()


def toolkit(properties: models.JobBaseProperties) -> Toolkit:
    """Choose the toolkit of a job.

    Raises:
        InvalidRequestError: no or several settings objects.
    """
    return TOOLKITS[models.tool_type(properties)]


def shell(command_line: str) -> tuple[str, ...]:
    """Have the shell run a command line as it was written."""
    return (SHELL, "-c", command_line)


def _cntk(
    properties: models.JobBaseProperties, variables: Sequence[Mapping[str, str]], python: str
) -> tuple[Launch, ...]:
    settings = properties.cntk_settings
    assert settings is not None
    field = "properties.cntkSettings"
    script = _cntk_script(settings, field)
    processes = settings.process_count or properties.node_count
    if processes > 1:
        raise _unsupported(
            f"{field}.processCount",
            f"{processes} CNTK processes (nodeCount, unless processCount says otherwise) need "
            "mpirun, which this service does not start yet: set processCount to 1, or call "
            "mpirun yourself with customToolkitSettings",
        )
    interpreter = settings.python_interpreter_path or python
    line = _python_command(
        expand(interpreter, variables[0], f"{field}.pythonInterpreterPath"),
        expand(script, variables[0], f"{field}.pythonScriptFilePath"),
        settings.command_line_args,
    )
    return (Launch("main", 0, shell(line)),)


_SCRIPT_FIELD = {"python": "pythonScriptFilePath", "brainscript": "configFilePath"}


def _cntk_script(settings: models.CNTKsettings, field: str) -> str:
    script, config = settings.python_script_file_path, settings.config_file_path
    if script and config:
        raise refused(
            f"{field}.configFilePath",
            "given together with pythonScriptFilePath; a job runs one of them: remove the other",
        )
    language = settings.language_type or ("BrainScript" if config else "Python")
    if language.lower() not in _SCRIPT_FIELD:
        raise refused(
            f"{field}.languageType",
            f"{language!r} is no language of CNTK: give 'Python', or leave it out",
        )
    given = "configFilePath" if config else "pythonScriptFilePath"
    wanted = _SCRIPT_FIELD[language.lower()]
    if given != wanted and (config or script):
        raise refused(
            f"{field}.languageType",
            f"{language!r} goes with {wanted}, but {given} is given: correct one of them",
        )
    if language.lower() == "brainscript":
        raise _unsupported(
            f"{field}.configFilePath",
            "BrainScript does not run on this service yet: use a Python script "
            "(pythonScriptFilePath), or call a cntk program of your own with "
            "customToolkitSettings",
        )
    if not script:
        raise refused(f"{field}.pythonScriptFilePath", "missing: name the script to run")
    return script


def _custom(
    properties: models.JobBaseProperties, variables: Sequence[Mapping[str, str]], python: str
) -> tuple[Launch, ...]:
    settings = properties.custom_toolkit_settings
    line = settings.command_line if settings is not None else None
    if line is None or not line.strip():
        raise refused(
            "properties.customToolkitSettings.commandLine", "missing: give the command to run"
        )
    return (Launch("main", 0, shell(line)),)


def _not_yet(settings: str) -> Toolkit:
    def refuse(
        properties: models.JobBaseProperties, variables: Sequence[Mapping[str, str]], python: str
    ) -> tuple[Launch, ...]:
        raise _unsupported(
            f"properties.{settings}",
            "this toolkit does not run on this service yet; cntkSettings with a Python script "
            "and customToolkitSettings do: start your program with "
            "customToolkitSettings.commandLine",
        )

    return Toolkit(refuse)


def _python_command(interpreter: str, script: str, arguments: str | None) -> str:
    # Paths are worked out and quoted here; the arguments stay text, whose quotes and variables
    # the shell on the node makes words of.
    return " ".join(filter(None, (quote(interpreter), quote(script), arguments)))


def _unsupported(field: str, problem: str) -> InvalidRequestError:
    return refused(field, problem, code="InvalidToolkitSettings")


# Logs of Python scripts are followed live, so nothing may wait in the interpreter's buffers.
_UNBUFFERED = ("PYTHONUNBUFFERED", "1")

TOOLKITS: Mapping[ToolType, Toolkit] = {
    ToolType.CNTK: Toolkit(_cntk, (("KERAS_BACKEND", "cntk"), _UNBUFFERED)),
    ToolType.CUSTOM: Toolkit(_custom),
    ToolType.TENSORFLOW: _not_yet("tensorFlowSettings"),
    ToolType.PYTORCH: _not_yet("pyTorchSettings"),
    ToolType.CAFFE: _not_yet("caffeSettings"),
    ToolType.CAFFE2: _not_yet("caffe2Settings"),
    ToolType.CHAINER: _not_yet("chainerSettings"),
    ToolType.HOROVOD: _not_yet("horovodSettings"),
    ToolType.CUSTOMMPI: _not_yet("customMpiSettings"),
}
"""Tool type -> how its jobs start; one row for each."""
