"""What tests share: a clean environment, and a service of the tests' own."""

from collections.abc import Iterator

import pytest

from batchai_quickstart.local import LocalService


@pytest.fixture(autouse=True)
def _clean_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No setting of the person who runs the tests reaches them, and no test touches their data."""
    for name in (
        "BATCHAI_ENDPOINT",
        "BATCHAI_TOKEN",
        "BATCHAI_SUBSCRIPTION_ID",
        "BATCHAI_ROOT",
        "AZURE_BATCHAI_STORAGE_ACCOUNT",
        "AZURE_BATCHAI_STORAGE_KEY",
    ):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path_factory.getbasetemp() / "home"
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home / name.lower()))


@pytest.fixture(scope="session")
def service() -> Iterator[LocalService]:
    """One service for all tests that do not end or restart it; they use groups of their own."""
    with LocalService() as running:
        yield running
