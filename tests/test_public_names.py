"""The public surface: a tested list that costs nothing to import."""

import inspect
import json
import subprocess
import sys

import pytest

import batchai_quickstart
from batchai_quickstart import errors

HEAVY = ("azure", "pydantic", "requests", "starlette", "uvicorn", "torch", "msrest", "rich")


def in_fresh_process(code: str) -> list[str]:
    """Run `code` and return the top-level modules it left in `sys.modules`."""
    report = (
        "import json, sys; print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    )
    command = [sys.executable, "-c", f"{code}\n{report}"]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    modules: list[str] = json.loads(result.stdout)
    return modules


def test_import_loads_nothing_heavy() -> None:
    """Importing the package loads no Azure package, no schema, no HTTP, no server."""
    assert not {*HEAVY} & {
        *in_fresh_process("import batchai_quickstart, batchai_quickstart.errors")
    }


def test_handles_load_azure_only_when_used() -> None:
    """The handles' classes themselves need no Azure package, only their first call does."""
    names = "Cluster, Connection, Experiment, Job, ResourceGroup, StorageAccount, Workspace"
    loaded = in_fresh_process(f"from batchai_quickstart import {names}")
    assert not {"azure", "msrest", "requests", "starlette", "uvicorn", "torch"} & {*loaded}


@pytest.mark.parametrize("name", batchai_quickstart.__all__)
def test_public_names_resolve_and_are_documented(name: str) -> None:
    """Each name of the list is there and says what it is; so do its public members."""
    value = getattr(batchai_quickstart, name)
    assert (inspect.getdoc(value) or "").strip()
    if inspect.isclass(value) and value.__module__.startswith("batchai_quickstart."):
        for member, item in vars(value).items():
            if not member.startswith("_") and (callable(item) or isinstance(item, property)):
                assert inspect.getdoc(item), f"{name}.{member} has no docstring"


def test_list_is_sorted_and_all_there() -> None:
    """The list is in order, without repetition, and `dir` shows it."""
    names = batchai_quickstart.__all__
    assert names == sorted(set(names), key=lambda name: (name[0].islower(), name))
    assert {*names} <= {*dir(batchai_quickstart)}


def test_every_exception_is_public() -> None:
    """No exception of the tree is missing from the list."""
    classes = {
        name
        for name, item in vars(errors).items()
        if isinstance(item, type) and issubclass(item, errors.BatchAIError)
    }
    assert classes <= {*batchai_quickstart.__all__}


def test_unknown_names_are_attribute_errors() -> None:
    """A misspelt name fails as it does for any module."""
    with pytest.raises(AttributeError, match="Workspce"):
        batchai_quickstart.Workspce  # noqa: B018 - the lookup is it
    assert batchai_quickstart.__version__
