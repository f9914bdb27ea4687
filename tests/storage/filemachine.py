"""A share as a dictionary of paths, and a machine that holds the service against it."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from azure.storage.fileshare import ContentSettings, ShareServiceClient
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.storage.blobmachine import RefusedError, outcome, words

PATHS: Final = ("a", "b", "b/c", "b/d", "b/d/e", "ü +%41.txt")

places = st.integers(0, 2 * len(PATHS) - 1)
"""The number of a path, or, half of the time, of a path where something is."""
sizes = st.sampled_from((0, 1, 512, 700, 1024))


@dataclass(frozen=True, slots=True)
class Node:
    """What a file is, or, without content, a directory."""

    content: bytes | None
    type: str = "application/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict)


_numbers = itertools.count()


class FileMachine(RuleBasedStateMachine):
    """Operations on the files and directories of a share.

    Arguments:
        service: the client of the service.
    """

    def __init__(self, service: ShareServiceClient) -> None:
        super().__init__()
        self.nodes: dict[str, Node] = {}
        self.share = service.create_share(f"machine-{next(_numbers)}")

    def teardown(self) -> None:
        """Everything is as the model has it; then it goes."""
        try:
            for directory in ["", *(path for path, node in self.nodes.items() if _is_dir(node))]:
                self._list(directory, "", 100)
            for path, node in self.nodes.items():
                if not _is_dir(node):
                    self._read(path)
        finally:
            self.share.delete_share()

    # The model.

    def _path(self, place: int) -> str:
        there = sorted(self.nodes)
        return (
            there[place % len(there)]
            if place >= len(PATHS) and there
            else PATHS[place % len(PATHS)]
        )

    def _file(self, path: str) -> Node:
        self._parent(path, "ResourceNotFound")
        if path not in self.nodes:
            raise RefusedError(404, "ResourceNotFound")
        if _is_dir(self.nodes[path]):
            raise RefusedError(409, "ResourceTypeMismatch")
        return self.nodes[path]

    def _content(self, path: str) -> bytes:
        content = self._file(path).content
        assert content is not None
        return content

    def _parent(self, path: str, code: str) -> None:
        above = path.rpartition("/")[0]
        if above and above not in self.nodes:
            raise RefusedError(404, code)

    def _above_is_file(self, path: str) -> bool:
        parts = path.split("/")
        above = ("/".join(parts[:count]) for count in range(1, len(parts)))
        return any(each in self.nodes and not _is_dir(self.nodes[each]) for each in above)

    def both(self, what: str, path: str, model: Callable[[], Any], call: Callable[[], Any]) -> None:
        """Do something in the model and on the service, and compare."""
        if self._above_is_file(path):
            return  # what is refused then, and with which code, is in test_files.py
        expected, found = outcome(model), outcome(call)
        assert found == expected, f"{what} {path}: it gave {found}, expected {expected}"

    # Operations.

    @rule(place=places, size=sizes, metadata=words, text=st.sampled_from(("text/a", "text/b")))
    def create(self, place: int, size: int, metadata: dict[str, str], text: str) -> None:
        """Create File, whatever file is there."""
        path = self._path(place)

        def model() -> None:
            self._parent(path, "ParentNotFound")
            if path in self.nodes and _is_dir(self.nodes[path]):
                raise RefusedError(409, "ResourceTypeMismatch")
            self.nodes[path] = Node(bytes(size), text, metadata)

        def call() -> None:
            self.share.get_file_client(path).create_file(
                size, metadata=metadata, content_settings=ContentSettings(text)
            )

        self.both("create", path, model, call)

    @rule(place=places, start=st.integers(0, 1100), content=st.binary(min_size=1, max_size=300))
    def put_range(self, place: int, start: int, content: bytes) -> None:
        """Put Range: update."""
        path = self._path(place)

        def model() -> None:
            old = self._content(path)
            if start + len(content) > len(old):
                raise RefusedError(416, "InvalidRange")
            new = old[:start] + content + old[start + len(content) :]
            self.nodes[path] = replace(self.nodes[path], content=new)

        def call() -> None:
            self.share.get_file_client(path).upload_range(content, start, len(content))

        self.both("put range", path, model, call)

    @rule(place=places, first=st.integers(0, 1), count=st.integers(1, 2))
    def clear_range(self, place: int, first: int, count: int) -> None:
        """Put Range: clear."""
        path, start, length = self._path(place), 512 * first, 512 * count

        def model() -> None:
            old = self._content(path)
            if start + length > len(old):
                raise RefusedError(416, "InvalidRange")
            new = old[:start] + bytes(length) + old[start + length :]
            self.nodes[path] = replace(self.nodes[path], content=new)

        def call() -> None:
            self.share.get_file_client(path).clear_range(start, length)

        self.both("clear range", path, model, call)

    @rule(place=places, size=sizes)
    def resize(self, place: int, size: int) -> None:
        """Set File Properties: the length, and with it no content headers."""
        path = self._path(place)

        def model() -> None:
            content = self._content(path)[:size].ljust(size, b"\0")
            self.nodes[path] = Node(content, metadata=self.nodes[path].metadata)

        self.both("resize", path, model, lambda: self._client(path, "resize_file", size))

    @rule(place=places, text=st.sampled_from(("text/a", "text/b")))
    def set_type(self, place: int, text: str) -> None:
        """Set File Properties: the content type."""
        path = self._path(place)

        def model() -> None:
            self.nodes[path] = replace(self._file(path), type=text)

        settings = ContentSettings(text)
        self.both("set type", path, model, lambda: self._client(path, "set_http_headers", settings))

    @rule(place=places, metadata=words)
    def set_metadata(self, place: int, metadata: dict[str, str]) -> None:
        """Set File Metadata."""
        path = self._path(place)

        def model() -> None:
            self.nodes[path] = replace(self._file(path), metadata=metadata)

        self.both(
            "set metadata", path, model, lambda: self._client(path, "set_file_metadata", metadata)
        )

    @rule(place=places)
    def read(self, place: int) -> None:
        """Get File."""
        self._read(self._path(place))

    def _read(self, path: str) -> None:
        def model() -> Any:
            self._parent(path, "ResourceNotFound")
            if path not in self.nodes or _is_dir(self.nodes[path]):
                raise RefusedError(404, "ResourceNotFound")
            node = self.nodes[path]
            return node.content, node.type, dict(node.metadata)

        def call() -> Any:
            got = self.share.get_file_client(path).download_file()
            facts = got.properties
            kind = facts.content_settings.content_type
            return got.readall(), kind, dict(facts.metadata or {})

        self.both("read", path, model, call)

    @rule(place=places)
    def delete(self, place: int) -> None:
        """Delete File."""
        path = self._path(place)

        def model() -> None:
            self._file(path)
            del self.nodes[path]

        self.both("delete", path, model, lambda: self._client(path, "delete_file"))

    @rule(place=places, to=places, over=st.booleans())
    def rename(self, place: int, to: int, over: bool) -> None:
        """Rename File, Rename Directory, with everything below."""
        old, new = self._path(place), self._path(to)
        if old not in self.nodes or old == new or new.startswith(f"{old}/"):
            return  # what is refused then, and with which code, is in test_rename.py
        if self._above_is_file(new):
            return
        is_dir = _is_dir(self.nodes[old])

        def model() -> None:
            self._parent(new, "ParentNotFound")
            if new in self.nodes:
                if not over or _is_dir(self.nodes[new]):
                    raise RefusedError(409, "ResourceAlreadyExists")
                del self.nodes[new]
            for path in [path for path in self.nodes if f"{path}/".startswith(f"{old}/")]:
                self.nodes[new + path[len(old) :]] = self.nodes.pop(path)

        def call() -> None:
            if is_dir:
                self.share.get_directory_client(old).rename_directory(new, overwrite=over)
            else:
                self.share.get_file_client(old).rename_file(new, overwrite=over)

        self.both("rename", old, model, call)

    @rule(place=places, metadata=words)
    def make_directory(self, place: int, metadata: dict[str, str]) -> None:
        """Create Directory."""
        path = self._path(place)

        def model() -> None:
            self._parent(path, "ParentNotFound")
            if path in self.nodes:
                raise RefusedError(409, "ResourceAlreadyExists")
            self.nodes[path] = Node(None, metadata=metadata)

        def call() -> None:
            self.share.create_directory(path, metadata=metadata)

        self.both("make directory", path, model, call)

    @rule(metadata=words, content=st.binary(min_size=1, max_size=300))
    def fill(self, metadata: dict[str, str], content: bytes) -> None:
        """What an upload into a directory does, which makes what is missing of it."""
        for name in ("b", "b/d"):
            self.make_directory(PATHS.index(name), metadata)
        self.create(PATHS.index("b/d/e"), 512, metadata, "text/a")
        self.put_range(PATHS.index("b/d/e"), 10, content)

    @rule(place=places)
    def directory_metadata(self, place: int) -> None:
        """Get Directory Metadata."""
        path = self._path(place)

        def model() -> Any:
            if path not in self.nodes or not _is_dir(self.nodes[path]):
                raise RefusedError(404, "ResourceNotFound")
            return dict(self.nodes[path].metadata)

        def call() -> Any:
            facts = self.share.get_directory_client(path).get_directory_properties()
            return dict(facts.metadata or {})

        self.both("directory metadata", path, model, call)

    @rule(place=places)
    def remove_directory(self, place: int) -> None:
        """Delete Directory."""
        path = self._path(place)

        def model() -> None:
            if path not in self.nodes:
                raise RefusedError(404, "ResourceNotFound")
            if not _is_dir(self.nodes[path]):
                raise RefusedError(409, "ResourceTypeMismatch")
            if any(each.startswith(f"{path}/") for each in self.nodes):
                raise RefusedError(409, "DirectoryNotEmpty")
            del self.nodes[path]

        def call() -> None:
            self.share.delete_directory(path)

        self.both("remove directory", path, model, call)

    @rule(
        directory=st.sampled_from(("", "b", "b/d", "a")),
        prefix=st.sampled_from(("", "a", "c", "ü", "x")),
        size=st.integers(1, 3),
    )
    def list(self, directory: str, prefix: str, size: int) -> None:
        """List Directories and Files, in pages."""
        self._list(directory, prefix, size)

    def _list(self, directory: str, prefix: str, size: int) -> None:
        def model() -> Any:
            if directory and (directory not in self.nodes or not _is_dir(self.nodes[directory])):
                raise RefusedError(404, "ResourceNotFound")
            found = [
                (path.rpartition("/")[2], None if node.content is None else len(node.content))
                for path, node in self.nodes.items()
                if path.rpartition("/")[0] == directory
            ]
            return sorted(each for each in found if each[0].startswith(prefix))

        def call() -> Any:
            client = self.share.get_directory_client(directory)
            found = client.list_directories_and_files(prefix, results_per_page=size)
            return sorted((each.name, getattr(each, "size", None)) for each in found)

        self.both("list", directory, model, call)

    def _client(self, path: str, method: str, *arguments: Any) -> None:
        getattr(self.share.get_file_client(path), method)(*arguments)


def _is_dir(node: Node) -> bool:
    return node.content is None
