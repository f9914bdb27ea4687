"""The tables of docs/wire.md: what the service does, and what the Azure CLI was seen to do.

`python -m tests.wirepage` writes them into the page.
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from batchai_quickstart.storage import Changes, Kind, Store
from batchai_quickstart.storage.dispatch import Dispatch
from batchai_quickstart.storage.operations import Key, Operation
from tests.interop.test_az import ELSEWHERE, NOT_DONE, NOT_RUN, SILENT, TABLES, verb

PAGE = Path(__file__).parents[1] / "docs" / "wire.md"
_PATHS = {
    (Kind.BLOB, "service"): "/",
    (Kind.BLOB, "volume"): "/CONTAINER?restype=container",
    (Kind.BLOB, "object"): "/CONTAINER/BLOB",
    (Kind.FILE, "service"): "/",
    (Kind.FILE, "volume"): "/SHARE?restype=share",
    (Kind.FILE, "directory"): "/SHARE/DIRECTORY?restype=directory",
    (Kind.FILE, "object"): "/SHARE/FILE",
    (Kind.FILE, "hardlink"): "/SHARE/FILE?restype=hardlink",
    (Kind.FILE, "symboliclink"): "/SHARE/FILE?restype=symboliclink",
}


def tables() -> dict[str, str]:
    """Every generated table by the name that stands in the page's markers around it."""
    with tempfile.TemporaryDirectory() as root:
        store = Store(Path(root))
        operations = Dispatch(store, Changes(), {})._operations
        store.close()
    return {
        "Blob": _operations(operations, Kind.BLOB),
        "Files": _operations(operations, Kind.FILE),
        "az storage": _verbs(),
    }


def written(page: str) -> str:
    """A page with its tables as they must be."""
    for name, rows in tables().items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        assert found, f"the page has no place for {name}"
        assert closed, f"the page has no end of {name}"
        page = before + begin + rows + end + after
    return page


def _operations(operations: dict[Key, Operation], kind: Kind) -> str:
    subjects = [subject for each, subject in _PATHS if each is kind]
    found: dict[str, tuple[int, list[str], bool]] = {}
    for (each, subject, method, comp), operation in operations.items():
        if each is not kind:
            continue
        for headers, one in _with_copies(operation):
            request = f"`{method} {_path(kind, subject, comp)}`{headers}"
            _, requests, is_done = found.setdefault(
                one.name, (subjects.index(subject), [], one.handler is not None)
            )
            assert is_done is (one.handler is not None), f"{one.name} is done in part"
            if not any(_same_but_verb(request, known) for known in requests):
                requests.append(request)
    rows = sorted((order, name, requests, done) for name, (order, requests, done) in found.items())
    lines = [
        f"| {name} | {', '.join(requests)} | {'works' if done else 'refused'} |"
        for _, name, requests, done in rows
    ]
    return "\n".join(["| operation | request | |", "|---|---|---|", *lines]) + "\n"


def _with_copies(operation: Operation) -> Iterator[tuple[str, Operation]]:
    """An operation, and what it is with headers: these, and it."""
    yield "", operation
    for header, one in operation.from_url:
        names = dict.fromkeys(("x-ms-copy-source", header))
        yield " with " + " and ".join(f"`{name}`" for name in names), one


def _path(kind: Kind, subject: str, comp: str) -> str:
    path = _PATHS[kind, subject]
    if comp == "account":  # it has a restype of its own
        return f"{path.partition('?')[0]}?restype=account&comp=properties"
    return path + (f"{'&' if '?' in path else '?'}comp={comp}" if comp else "")


def _same_but_verb(one: str, other: str) -> bool:
    return one.partition(" ")[2] == other.partition(" ")[2]


def _verbs() -> str:
    states = {NOT_DONE: 1, SILENT: 1, ELSEWHERE: 2}
    seen: dict[str, dict[str, int]] = {}
    lines = [(line, code) for rows in TABLES for line, code in rows]
    lines += [(line, ELSEWHERE) for line in NOT_RUN]
    for line, code in lines:
        group, name = verb(line)
        verbs = seen.setdefault(group, {})
        # A verb that works in one way works; the operations below say which ways do not.
        verbs[name] = min(states.get(code, 0), verbs.get(name, 2))
    rows = [
        f"| `{group}` | "
        + " | ".join(
            ", ".join(name for name, state in sorted(verbs.items()) if state == column)
            for column in range(3)
        )
        + " |"
        for group, verbs in sorted(seen.items())
    ]
    head = ["| `az storage` | works | refused | not asked of storage |", "|---|---|---|---|"]
    return "\n".join(re.sub(" +", " ", row) for row in (*head, *rows)) + "\n"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
