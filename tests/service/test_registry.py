"""What exists is kept: durably, privately, and told to those who wait for it."""

import asyncio
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from batchai_quickstart import ids
from batchai_quickstart.ids import ResourceId
from batchai_quickstart.service.registry import Record, Registry

GROUP = ResourceId("s", "Group")
WORKSPACE = GROUP.child(ids.WORKSPACE, "W")
EXPERIMENT = WORKSPACE.child(ids.EXPERIMENT, "e")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """An empty registry."""
    opened = Registry(tmp_path)
    yield opened
    opened.close()


def test_resources_survive_a_restart(tmp_path: Path) -> None:
    """What was put is there when the files are opened again, ids without case."""
    first = Registry(tmp_path)
    put = first.put(
        Record(WORKSPACE, {"a": [1]}, "eastus", {"t": "v"}, {"p": 1}, active=True),
        secrets={"env/X": "hush"},
    )
    first.close()
    second = Registry(tmp_path)
    found = second.get(ResourceId.parse(str(WORKSPACE).upper()))
    assert found == put
    assert found is not None
    assert str(found.id) == str(WORKSPACE)
    assert second.secrets(WORKSPACE) == {"env/X": "hush"}
    later = second.put(replace(found, tags={}))
    assert later.rev > put.rev
    assert later.seq == put.seq
    second.close()


def test_secrets_are_kept_apart_and_private(tmp_path: Path) -> None:
    """A secret value is in one file alone, and both files are their owner's."""
    registry = Registry(tmp_path)
    registry.put(Record(WORKSPACE, {}), secrets={"env/X": "hush-hush"})
    registry.close()
    holders = [path.name for path in tmp_path.iterdir() if b"hush-hush" in path.read_bytes()]
    assert holders == ["secrets.sqlite"]
    for path in tmp_path.glob("*.sqlite"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_failed_transaction_leaves_nothing(registry: Registry) -> None:
    """Writes of a step that fails are undone together."""
    registry.put(Record(GROUP, {"state": "old"}))
    with pytest.raises(RuntimeError), registry.transaction():  # noqa: PT012 - the block is the point
        registry.put(Record(GROUP, {"state": "new"}))
        registry.put(Record(WORKSPACE, {}))
        raise RuntimeError
    kept = registry.get(GROUP)
    assert kept is not None
    assert kept.properties == {"state": "old"}
    assert registry.get(WORKSPACE) is None


def test_delete_takes_everything_below(registry: Registry) -> None:
    """A deletion reaches children and their secrets, and no neighbour with a longer name."""
    neighbour = ResourceId("s", "Group2").child(ids.WORKSPACE, "W")
    for id_ in (GROUP, WORKSPACE, EXPERIMENT, neighbour):
        registry.put(Record(id_, {}), secrets={"env/X": "y"})
    registry.delete(GROUP)
    assert [registry.get(id_) for id_ in (GROUP, WORKSPACE, EXPERIMENT)] == [None] * 3
    assert registry.secrets(EXPERIMENT) == {}
    assert registry.get(neighbour) is not None
    assert registry.secrets(neighbour) == {"env/X": "y"}


def test_children_are_paged_by_key(registry: Registry) -> None:
    """Pages continue behind a key, so that what is inserted meanwhile repeats nothing."""
    for name in ("c", "a", "b"):
        registry.put(Record(WORKSPACE.child(ids.EXPERIMENT, name), {}))
    first = registry.children(WORKSPACE, ids.EXPERIMENT, limit=2)
    registry.put(Record(WORKSPACE.child(ids.EXPERIMENT, "aa"), {}))
    rest = registry.children(WORKSPACE, ids.EXPERIMENT, after=first[-1].id.key)
    assert [record.id.name for record in [*first, *rest]] == ["a", "b", "c"]


def test_waiters_hear_of_writes_and_removals(registry: Registry) -> None:
    """Who waits for a resource is woken by its next write, and by its removal."""

    async def scenario() -> None:
        for change in (
            lambda: registry.put(Record(WORKSPACE, {"n": 1})),
            lambda: registry.delete(WORKSPACE),
        ):
            waiting = asyncio.create_task(registry.changed([WORKSPACE.key], 60))
            await asyncio.sleep(0)
            registry.put(Record(GROUP, {}))
            await asyncio.sleep(0)
            assert not waiting.done()
            change()
            await asyncio.wait_for(waiting, 10)

    asyncio.run(scenario())
