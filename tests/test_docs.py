"""The documents say what the code does."""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import batchai_quickstart
from batchai_quickstart.cli import command_parser
from batchai_quickstart.service.refusals import REFUSED
from batchai_quickstart.service.toolkits import TOOLKITS
from batchai_quickstart.storage.operations import REFUSED as STORAGE_REFUSED
from tests import wirepage
from tests.alone import storage_alone

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("training/**/*.md")]
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
WIRE = (ROOT / "docs" / "wire.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file that exists."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_public_name_is_in_the_reference() -> None:
    """The reference page has a line for each name of the package."""
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    missing = [name for name in batchai_quickstart.__all__ if f"`{name}`" not in reference]
    assert missing == []


def test_every_command_is_in_the_readme() -> None:
    """The README's table has each command of the command line."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (commands,) = (
        action
        for action in command_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    for name in commands.choices:
        assert f"`python -m batchai_quickstart {name}`" in readme


def test_wire_page_lists_exactly_what_is_refused() -> None:
    """The operations the page calls refused are those the service refuses, all others work."""
    rows = dict(re.findall(r"^\| `(\w+_\w+)` \|.*\| (\w+) \|$", WIRE, re.MULTILINE))
    assert len(rows) == 29
    assert {name for name, state in rows.items() if state == "refused"} == set(REFUSED)
    assert set(rows.values()) == {"works", "refused"}


def test_wire_page_has_every_toolkit() -> None:
    """The page says of each toolkit whether it runs."""
    rows = re.findall(r"^\| `(\w+Settings)`.* \| (works|refused) \|$", WIRE, re.MULTILINE)
    assert len({name for name, _ in rows}) == len(TOOLKITS)


def test_wire_page_has_the_tables_of_storage() -> None:
    """Each operation of Blob and Files, and each verb of the Azure CLI, is listed as it is."""
    made = wirepage.written(WIRE)
    assert made == WIRE, "`python -m tests.wirepage` writes the page's tables anew"
    rows = dict(re.findall(r"^\| ([A-Z][\w ]+) \|.*\| (works|refused) \|$", WIRE, re.MULTILINE))
    refused = {name for name, state in rows.items() if state == "refused"}
    assert refused == set(STORAGE_REFUSED.values())


def test_the_python_of_the_storage_page_runs(tmp_path: Path) -> None:
    """What the page has a reader type in, in order, from this directory and its variable, works."""
    text = (ROOT / "docs" / "storage.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    ours = [each for each in blocks if "pandas" not in each and "UseDevelopment" not in each]
    assert len(ours) == 2
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "README.md", tmp_path)
    with storage_alone(tmp_path / "root", "--account", "mystorage") as alone:
        variable = {"AZURE_STORAGE_CONNECTION_STRING": alone.connection_string("mystorage")}
        for block in ours:
            subprocess.run(
                [sys.executable, "-W", "ignore::ResourceWarning", "-c", block],
                env={**os.environ, **variable},
                cwd=tmp_path,
                check=True,
                timeout=60,
            )
    assert (tmp_path / "here.md").read_bytes() == (ROOT / "README.md").read_bytes()
    assert (tmp_path / "back" / "storage.md").is_file()
