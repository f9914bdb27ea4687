"""From settings objects to command lines."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from batchai_quickstart import models
from batchai_quickstart.errors import InvalidRequestError
from batchai_quickstart.models import ToolType
from batchai_quickstart.service.toolkits import SHELL, TOOLKITS, Launch, toolkit


def launches(
    node_count: int = 1, variables: dict[str, str] | None = None, **settings: Any
) -> tuple[Launch, ...]:
    properties = models.JobBaseProperties.from_wire(
        {"nodeCount": node_count, "stdOutErrPathPrefix": "/logs", **settings}
    )
    nodes = [variables or {}] * node_count
    return toolkit(properties).launch(properties, nodes, sys.executable)


def run(launch: Launch, directory: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        launch.argv,
        cwd=directory,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A Python script in an awkwardly named directory that prints its arguments as JSON."""
    path = tmp_path / 'it\'s $HOME "here"' / "show args.py"
    path.parent.mkdir()
    path.write_text("import json, sys\nprint(json.dumps(sys.argv))\n")
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, []),
        ("", []),
        ("--epochs 3", ["--epochs", "3"]),
        ("$DATA/mnist \"$OUT\" '$OUT'", ["/a", "b/mnist", "/o u t", "$OUT"]),
        ('--name \'two words\' "a\\"b" c\\ d', ["--name", "two words", 'a"b', "c d"]),
        ("-outputdir ${OUT}", ["-outputdir", "/o", "u", "t"]),
        ("ünï 'çödé'", ["ünï", "çödé"]),
        ("$UNSET", []),
        ("$((1 + 2)) 2>/dev/null", ["3"]),
    ],
)
def test_a_script_sees_what_the_shell_makes_of_the_arguments(
    script: Path, text: str | None, words: list[str]
) -> None:
    """Script and interpreter paths are quoted by us; arguments are the shell's, quotes and all."""
    planned = {"SCRIPTS": str(script.parent), "DATA": "/planned", "OUT": "/planned"}
    settings = {"pythonScriptFilePath": "$SCRIPTS/show args.py", "commandLineArgs": text}
    (launch,) = launches(variables=planned, cntkSettings=settings)
    done = run(launch, script.parent, DATA="/a b", OUT="/o u t")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [str(script), *words]


def test_the_interpreter_of_the_job_is_used(tmp_path: Path) -> None:
    """`pythonInterpreterPath` wins over the default and may refer to variables."""
    interpreter = tmp_path / "my envs" / "python3.6"
    interpreter.parent.mkdir()
    interpreter.write_text('#!/bin/sh\necho "mine: $*"\n')
    interpreter.chmod(0o755)
    (launch,) = launches(
        variables={"ENVS": str(interpreter.parent)},
        cntkSettings={
            "pythonScriptFilePath": "train.py",
            "pythonInterpreterPath": "$ENVS/python3.6",
        },
    )
    assert run(launch, tmp_path).stdout == "mine: train.py\n"


def test_exit_status_and_signals_pass_through_the_shell(tmp_path: Path) -> None:
    """The script's exit status is the command's; the shell does not stay between the two."""
    path = tmp_path / "end.py"
    path.write_text("import os, sys\nprint(os.getpid())\nsys.exit(int(sys.argv[1]))\n")
    (launch,) = launches(cntkSettings={"pythonScriptFilePath": str(path), "commandLineArgs": "7"})
    process = subprocess.Popen(launch.argv, stdout=subprocess.PIPE, text=True)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, int(out)) == (7, process.pid)


def test_a_custom_command_is_run_by_the_shell_on_the_first_node(tmp_path: Path) -> None:
    """The command line of customToolkitSettings is a shell program, started once."""
    (launch,) = launches(
        node_count=3, customToolkitSettings={"commandLine": "for i in 1 2; do echo $i-$X; done"}
    )
    assert (launch.name, launch.node, launch.argv[:2]) == ("main", 0, (SHELL, "-c"))
    assert run(launch, tmp_path, X="y").stdout == "1-y\n2-y\n"


@pytest.mark.parametrize(
    ("settings", "code", "target"),
    [
        ({}, "InvalidPropertyValue", "pythonScriptFilePath"),
        ({"languageType": "Python"}, "InvalidPropertyValue", "pythonScriptFilePath"),
        ({"configFilePath": "/c"}, "InvalidToolkitSettings", "configFilePath"),
        ({"languageType": "brainscript"}, "InvalidToolkitSettings", "configFilePath"),
        (
            {"languageType": "BrainScript", "pythonScriptFilePath": "/s.py"},
            "InvalidPropertyValue",
            "languageType",
        ),
        (
            {"languageType": "Python", "configFilePath": "/c"},
            "InvalidPropertyValue",
            "languageType",
        ),
        (
            {"languageType": "R", "pythonScriptFilePath": "/s.py"},
            "InvalidPropertyValue",
            "languageType",
        ),
        (
            {"configFilePath": "/c", "pythonScriptFilePath": "/s.py"},
            "InvalidPropertyValue",
            "configFilePath",
        ),
        (
            {"pythonScriptFilePath": "/s.py", "processCount": 4},
            "InvalidToolkitSettings",
            "processCount",
        ),
        (
            {"pythonScriptFilePath": "$AZ_BATCHAI_TYPO/s.py"},
            "InvalidPropertyValue",
            "pythonScriptFilePath",
        ),
    ],
)
def test_cntk_settings_that_cannot_run_are_refused(
    settings: dict[str, Any], code: str, target: str
) -> None:
    """Contradictions are bad values, BrainScript and MPI are toolkits that do not run yet."""
    with pytest.raises(InvalidRequestError) as caught:
        launches(cntkSettings=settings)
    assert (caught.value.code, caught.value.target) == (code, f"properties.cntkSettings.{target}")


def test_several_nodes_mean_several_cntk_processes() -> None:
    """A process a node unless processCount is given: two need mpirun, one does not."""
    settings = {"pythonScriptFilePath": "/s.py"}
    with pytest.raises(InvalidRequestError, match="2 CNTK processes"):
        launches(node_count=2, cntkSettings=settings)
    assert len(launches(node_count=2, cntkSettings={**settings, "processCount": 1})) == 1


@pytest.mark.parametrize("command", [None, "", "  \n"])
def test_a_custom_job_needs_a_command(command: str | None) -> None:
    """A job with customToolkitSettings but without commandLine is refused."""
    with pytest.raises(InvalidRequestError) as caught:
        launches(customToolkitSettings={"commandLine": command})
    assert caught.value.target == "properties.customToolkitSettings.commandLine"


def test_every_tool_type_has_a_row() -> None:
    """Each toolkit of the wire either runs or is refused by the name of its settings."""
    assert set(TOOLKITS) == set(ToolType)
    settings = {"pythonScriptFilePath": "/s.py", "commandLine": "x"}
    for name in set(models.SETTINGS_NAMES) - {"cntkSettings", "customToolkitSettings"}:
        wanted: dict[str, Any] = {name: settings}
        with pytest.raises(InvalidRequestError) as caught:
            launches(**wanted)
        assert caught.value.code == "InvalidToolkitSettings"
        assert caught.value.target == f"properties.{name}"


def test_a_job_has_one_toolkit() -> None:
    """Two settings objects, or none, are refused."""
    both: dict[str, Any] = {"cntkSettings": {}, "customToolkitSettings": {"commandLine": "true"}}
    none: dict[str, Any] = {}
    for settings in (none, both):
        with pytest.raises(InvalidRequestError) as caught:
            launches(**settings)
        assert caught.value.code == "InvalidToolkitSettings"
