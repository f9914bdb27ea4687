"""Who imports whom, where the import contracts of pyproject.toml cannot say it."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "batchai_quickstart"


def imported(path: Path) -> set[str]:
    """Name every module a file imports, at its top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_only_the_gateway_speaks_to_azure_mgmt() -> None:
    """One module imports the management clients; their quirks end there."""
    users = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if any(name.startswith("azure.mgmt") for name in imported(path))
    }
    assert users == {"client/gateway.py"}


def test_training_is_never_imported() -> None:
    """The SDK and the training package share files and arguments, never an import."""
    for path in SOURCE.rglob("*.py"):
        assert not {name.split(".")[0] for name in imported(path)} & {"cntk", "torch"}, path
