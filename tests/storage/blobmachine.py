"""A container of blobs as a dictionary, and a machine that holds services against it.

The machine does random operations with the official client, on one service or on several at once,
and on the dictionary. All must answer the same, refuse the same with the same code, and end in the
same state.
"""

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import (
    BlobBlock,
    BlobClient,
    BlobLeaseClient,
    BlobPrefix,
    BlobServiceClient,
    ContainerClient,
    ContentSettings,
)
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

NAMES: Final = ("a", "b/c", "b/e f", "ü%41+")
CLASHING: Final = "b"
"""The name of a blob, and the directory of others."""

places = st.integers(0, 2 * len(NAMES) - 1)
"""The number of a name, or, half of the time, of a blob there is."""
contents = st.binary(min_size=0, max_size=40)
blocks = st.binary(min_size=1, max_size=20)
ids = st.sampled_from(("b1", "b2", "b3"))
words = st.dictionaries(
    st.sampled_from(("one", "two")), st.sampled_from(("1", "x y", "z;=")), max_size=2
)
tags = st.dictionaries(st.sampled_from(("t", "u")), st.sampled_from(("1", "a b")), max_size=2)

_BLOCKS: Final = frozenset({"stage", "commit", "block list"})
LEASE: Final = "11111111-2222-3333-4444-555555555555"


@dataclass(frozen=True, slots=True)
class Blob:
    """What a blob is."""

    content: bytes
    kind: str = "BlockBlob"
    type: str = "application/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    blocks: tuple[tuple[str, bytes], ...] = ()
    leased: bool = False
    version: int = 0


class RefusedError(Exception):
    """The model's refusal: the status and the code that a service must give."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that a service may do differently.

    Arguments:
        what: the operation.
        expected: the model's answer.
        found: the service's own.
        reason: why that is as it should be.
    """

    what: str
    expected: Any
    found: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Peer:
    """A service that is held against the model.

    Arguments:
        name: for the report.
        service: its client.
        differences: in what it differs.
        clashes: whether `a` and `a/b` exclude each other there; else no such names are used.
        tidies: whether Put Blob gives uncommitted blocks up, and a blob that has no others is not
            there yet; else nothing but blocks is done to a blob with such blocks.
        copies_appends: whether append blobs are copied, and copied over, as on Azure; else only
            block blobs are.
    """

    name: str
    service: BlobServiceClient
    differences: Sequence[Difference] = ()
    clashes: bool = True
    tidies: bool = True
    copies_appends: bool = True


_numbers = itertools.count()


class BlobMachine(RuleBasedStateMachine):
    """Operations on the blobs of a container.

    Arguments:
        peers: the services.
    """

    def __init__(self, peers: Sequence[Peer]) -> None:
        super().__init__()
        self.peers = peers
        self.blobs: dict[str, Blob] = {}
        self.pending: dict[str, dict[str, bytes]] = {}
        self.seen: dict[str, tuple[int, list[str]]] = {}
        self.versions = itertools.count(1)
        name = f"machine{os.getpid()}-{next(_numbers)}"
        self.containers = [peer.service.create_container(name) for peer in peers]

    def teardown(self) -> None:
        """Everything is as the model has it; then it goes."""
        try:
            self.list_all()
            for index in range(len(self.blobs)):
                self.read(len(NAMES) * len(self.blobs) + index)
        finally:
            for container in self.containers:
                container.delete_container()

    # The model.

    def _name(self, place: int) -> str:
        there = sorted(self.blobs)
        return (
            there[place % len(there)]
            if place >= len(NAMES) and there
            else NAMES[place % len(NAMES)]
        )

    def _blob(self, name: str, kind: str | None = None) -> Blob:
        if name not in self.blobs:
            raise RefusedError(404, "BlobNotFound")
        if kind not in (None, self.blobs[name].kind):
            raise RefusedError(409, "InvalidBlobType")
        return self.blobs[name]

    def _unleased(self, name: str, *, lease: bool) -> None:
        found = self.blobs.get(name)
        if found is not None and found.leased and not lease:
            raise RefusedError(412, "LeaseIdMissing")
        if lease and (found is None or not found.leased):
            raise RefusedError(412, "LeaseNotPresentWithBlobOperation")

    def _unclashed(self, name: str) -> None:
        for other in self.blobs:
            if other.startswith(f"{name}/") or name.startswith(f"{other}/"):
                raise RefusedError(409, "ResourceTypeMismatch")

    def _keep(self, name: str, blob: Blob) -> None:
        leased = name in self.blobs and self.blobs[name].leased
        self.blobs[name] = replace(blob, leased=leased, version=next(self.versions))

    def both(
        self,
        what: str,
        model: Callable[[], Any],
        call: Callable[[ContainerClient], Any],
        name: str = "",
    ) -> None:
        """Do something, to the blob of that name, in the model and everywhere, and compare."""
        if name in self.pending and what not in _BLOCKS and not all(p.tidies for p in self.peers):
            return
        expected = outcome(model)
        for peer, container in zip(self.peers, self.containers, strict=True):
            found = outcome(lambda container=container: call(container))  # type: ignore[misc]
            if found != expected and not any(
                (each.what, each.expected, each.found) == (what, expected, found)
                for each in peer.differences
            ):
                raise AssertionError(f"{what}: {peer.name} gave {found}, expected {expected}")

    # Operations.

    @rule(
        place=places, content=contents, metadata=words, text=st.sampled_from(("text/a", "text/b"))
    )
    def put(self, place: int, content: bytes, metadata: dict[str, str], text: str) -> None:
        """Put Blob, whatever is there."""
        name = self._name(place)
        self._put(name, content, metadata, text)

    @rule(content=contents)
    def put_clashing(self, content: bytes) -> None:
        """Put Blob under a name that may be a directory."""
        if all(peer.clashes for peer in self.peers):
            self._put(CLASHING, content, {}, "text/a")

    def _put(self, name: str, content: bytes, metadata: dict[str, str], text: str) -> None:
        lease = name in self.blobs and self.blobs[name].leased

        def model() -> None:
            self._unleased(name, lease=lease)
            self._unclashed(name)
            self._keep(name, Blob(content, "BlockBlob", text, metadata))
            self.pending.pop(name, None)

        def call(container: ContainerClient) -> None:
            container.upload_blob(
                name,
                content,
                overwrite=True,
                metadata=metadata,
                content_settings=ContentSettings(text),
                **_leased(lease),
            )

        self.both("put", model, call, name)

    @rule(place=places, content=contents)
    def put_new(self, place: int, content: bytes) -> None:
        """Put Blob where there is none."""
        name = self._name(place)

        def model() -> None:
            self._unleased(name, lease=False)
            if name in self.blobs:
                raise RefusedError(409, "BlobAlreadyExists")
            self._unclashed(name)
            self._keep(name, Blob(content))
            self.pending.pop(name, None)

        self.both("put new", model, lambda each: _none(each.upload_blob(name, content)), name)

    @rule(place=places, block=ids, content=blocks)
    def stage(self, place: int, block: str, content: bytes) -> None:
        """Put Block."""
        name = self._name(place)

        def model() -> None:
            self._unleased(name, lease=False)
            if name in self.blobs:
                self._blob(name, "BlockBlob")
            self.pending.setdefault(name, {})[block] = content

        self.both(
            "stage",
            model,
            lambda each: _none(each.get_blob_client(name).stage_block(block, content)),
        )

    @rule(place=places, wanted=st.lists(ids, max_size=4), metadata=words)
    def commit(self, place: int, wanted: list[str], metadata: dict[str, str]) -> None:
        """Put Block List."""
        name = self._name(place)

        def model() -> None:
            self._unleased(name, lease=False)
            base = self._blob(name, "BlockBlob") if name in self.blobs else Blob(b"")
            known = {**dict(base.blocks), **self.pending.get(name, {})}
            if not set(wanted) <= known.keys():
                raise RefusedError(400, "InvalidBlockList")
            self._unclashed(name)
            chosen = tuple((each, known[each]) for each in wanted)
            content = b"".join(piece for _, piece in chosen)
            self._keep(name, Blob(content, metadata=metadata, blocks=chosen))
            self.pending.pop(name, None)

        def call(container: ContainerClient) -> None:
            listed = [BlobBlock(each) for each in wanted]
            container.get_blob_client(name).commit_block_list(listed, metadata=metadata)

        self.both("commit", model, call, name)

    @rule(place=places, pieces=st.lists(blocks, min_size=1, max_size=3), extra=blocks)
    def upload(self, place: int, pieces: list[bytes], extra: bytes) -> None:
        """What an upload in blocks does, and then a block more between those there are."""
        name = self._name(place)
        place = NAMES.index(name) if name in NAMES else place
        known = [f"b{index}" for index in range(len(pieces))]
        for block, piece in zip(reversed(known), reversed(pieces), strict=True):
            self.stage(place, block, piece)
        self.commit(place, known, {})
        self.stage(place, "b9", extra)
        self.commit(place, [*known, "b9", *known[:1]], {})

    @rule(place=places, pieces=st.lists(blocks, min_size=1, max_size=4))
    def log(self, place: int, pieces: list[bytes]) -> None:
        """What the writer of a log does."""
        name = self._name(place)
        place = NAMES.index(name) if name in NAMES else place
        self.create_append(place, {})
        for piece in pieces:
            self.append(place, piece)
        self.read(place)

    @rule(place=places, content=contents)
    def edit(self, place: int, content: bytes) -> None:
        """What an editor does: read, and write over what was read."""
        self.read(place)
        self.put_unchanged(place, content)

    @rule(place=places)
    def block_list(self, place: int) -> None:
        """Get Block List of both kinds of blocks."""
        name = self._name(place)

        def model() -> Any:
            if name not in self.pending:
                self._blob(name)
            blob = self.blobs.get(name, Blob(b""))
            committed = [(each, len(piece)) for each, piece in blob.blocks]
            pending = self.pending.get(name, {})
            return committed, sorted((each, len(piece)) for each, piece in pending.items())

        def call(container: ContainerClient) -> Any:
            committed, pending = container.get_blob_client(name).get_block_list("all")
            return (
                [(each.id, each.size) for each in committed],
                sorted((each.id, each.size) for each in pending),
            )

        if name not in self.blobs or self.blobs[name].kind == "BlockBlob":
            self.both("block list", model, call, name)

    @rule(place=places, metadata=words)
    def create_append(self, place: int, metadata: dict[str, str]) -> None:
        """Put Blob of the type AppendBlob."""
        name = self._name(place)

        def model() -> None:
            self._unleased(name, lease=False)
            self._unclashed(name)
            self._keep(name, Blob(b"", "AppendBlob", metadata=metadata))
            self.pending.pop(name, None)

        def call(container: ContainerClient) -> None:
            container.get_blob_client(name).create_append_blob(metadata=metadata)

        self.both("create append", model, call, name)

    @rule(place=places, content=blocks)
    def append(self, place: int, content: bytes) -> None:
        """Append Block."""
        name = self._name(place)

        def model() -> int:
            self._unleased(name, lease=False)
            blob = self._blob(name, "AppendBlob")
            self._keep(name, replace(blob, content=blob.content + content))
            return len(blob.content)

        def call(container: ContainerClient) -> int:
            return int(str(_of(container, name).append_block(content)["blob_append_offset"]))

        self.both("append", model, call, name)

    @rule(place=places)
    def read(self, place: int) -> None:
        """Get Blob, and note its version."""
        name = self._name(place)
        found: list[str] = []

        def model() -> Any:
            blob = self._blob(name)
            lease = "leased" if blob.leased else "available"
            return (blob.content, blob.kind, blob.type, dict(blob.metadata), lease)

        def call(container: ContainerClient) -> Any:
            got = container.download_blob(name)
            facts = got.properties
            found.append(facts.etag)
            return (
                got.readall(),
                str(
                    facts.blob_type.value if hasattr(facts.blob_type, "value") else facts.blob_type
                ),
                facts.content_settings.content_type,
                dict(facts.metadata or {}),
                facts.lease.state if facts.lease.state == "leased" else "available",
            )

        self.both("read", model, call, name)
        if len(found) == len(self.peers):
            self.seen[name] = self.blobs[name].version, found

    @rule(place=places, start=st.integers(0, 50), length=st.integers(1, 50))
    def read_range(self, place: int, start: int, length: int) -> None:
        """Get Blob, a range of it."""
        name = self._name(place)

        def model() -> bytes:
            content = self._blob(name).content
            if start >= len(content):
                raise RefusedError(416, "InvalidRange")
            return content[start : start + length]

        def call(container: ContainerClient) -> bytes:
            return container.download_blob(name, start, length).readall()

        if name not in self.blobs or self.blobs[name].content:  # the client hides what is empty
            self.both("read range", model, call, name)

    @rule(place=places, content=contents)
    def put_unchanged(self, place: int, content: bytes) -> None:
        """Put Blob over the version that was read last."""
        name = self._name(place)
        if name not in self.seen:
            return
        version, etags = self.seen[name]

        def model() -> None:
            self._unleased(name, lease=False)
            if name not in self.blobs or self.blobs[name].version != version:
                raise RefusedError(412, "ConditionNotMet")
            self._keep(name, Blob(content))
            self.pending.pop(name, None)

        def call(container: ContainerClient) -> None:
            container.upload_blob(
                name,
                content,
                overwrite=True,
                etag=etags[self.containers.index(container)],
                match_condition=MatchConditions.IfNotModified,
            )

        self.both("put unchanged", model, call, name)

    @rule(place=places, to=places, metadata=words)
    def copy(self, place: int, to: int, metadata: dict[str, str]) -> None:
        """Copy Blob, with metadata of its own or those of the source."""
        source, name = self._name(place), self._name(to)

        def model() -> None:
            self._unleased(name, lease=False)
            found = self._blob(source)
            if name in self.blobs:
                self._blob(name, found.kind)
            self._unclashed(name)
            self._keep(name, replace(found, tags={}, metadata=metadata or found.metadata))
            self.pending.pop(name, None)

        def call(container: ContainerClient) -> None:
            url = _of(container, source).url
            _of(container, name).start_copy_from_url(url, metadata=metadata or None)

        if source in self.pending and not all(peer.tidies for peer in self.peers):
            return
        kinds = {self.blobs[each].kind for each in (source, name) if each in self.blobs}
        if "AppendBlob" not in kinds or all(peer.copies_appends for peer in self.peers):
            self.both("copy", model, call, name)

    @rule(place=places, metadata=words)
    def set_metadata(self, place: int, metadata: dict[str, str]) -> None:
        """Set Blob Metadata."""
        name = self._name(place)

        def model() -> None:
            self._unleased(name, lease=False)
            self._keep(name, replace(self._blob(name), metadata=metadata))

        def call(container: ContainerClient) -> None:
            container.get_blob_client(name).set_blob_metadata(metadata)

        self.both("set metadata", model, call, name)

    @rule(place=places, asked=tags)
    def set_tags(self, place: int, asked: dict[str, str]) -> None:
        """Set Blob Tags, which is no new version."""
        name = self._name(place)

        def model() -> None:
            self._unleased(name, lease=False)
            self.blobs[name] = replace(self._blob(name), tags=asked)

        self.both("set tags", model, lambda each: _none(_of(each, name).set_blob_tags(asked)), name)

    @rule(place=places)
    def get_tags(self, place: int) -> None:
        """Get Blob Tags."""
        name = self._name(place)
        self.both(
            "get tags",
            lambda: dict(self._blob(name).tags),
            lambda each: dict(_of(each, name).get_blob_tags()),
            name,
        )

    @rule(place=places)
    def delete(self, place: int) -> None:
        """Delete Blob."""
        name = self._name(place)

        def model() -> None:
            self._unleased(name, lease=False)
            self._blob(name)
            del self.blobs[name]
            self.pending.pop(name, None)

        self.both("delete", model, lambda each: each.delete_blob(name), name)

    @rule(place=places)
    def acquire(self, place: int) -> None:
        """Lease Blob: acquire, always with the same id, so again is no conflict."""
        name = self._name(place)

        def model() -> None:
            self.blobs[name] = replace(self._blob(name), leased=True)

        self.both(
            "acquire", model, lambda each: _none(_of(each, name).acquire_lease(-1, LEASE)), name
        )

    @rule(place=places)
    def release(self, place: int) -> None:
        """Lease Blob: release."""
        name = self._name(place)

        def model() -> None:
            if not self._blob(name).leased:
                raise RefusedError(409, "LeaseNotPresentWithLeaseOperation")
            self.blobs[name] = replace(self._blob(name), leased=False)

        def call(container: ContainerClient) -> None:
            BlobLeaseClient(_of(container, name), LEASE).release()

        self.both("release", model, call, name)

    @rule()
    def list_all(self) -> None:
        """List Blobs, with everything."""

        def model() -> Any:
            return [
                (name, len(blob.content), blob.kind, dict(blob.metadata), dict(blob.tags))
                for name, blob in sorted(self.blobs.items())
            ]

        def call(container: ContainerClient) -> Any:
            return [
                (
                    each.name,
                    each.size,
                    each.blob_type.value,
                    dict(each.metadata or {}),
                    dict(each.tags or {}),
                )
                for each in container.list_blobs(include=["metadata", "tags"])
            ]

        self.both("list", model, call)

    @rule(prefix=st.sampled_from(("", "b", "b/", "b/e", "x", "ü")), size=st.integers(1, 4))
    def list_pages(self, prefix: str, size: int) -> None:
        """List Blobs below a prefix, in pages."""

        def model() -> Any:
            wanted = [name for name in sorted(self.blobs) if name.startswith(prefix)]
            return [wanted[start : start + size] for start in range(0, len(wanted), size)]

        def call(container: ContainerClient) -> Any:
            pages = container.list_blobs(prefix, results_per_page=size).by_page()
            return [page for page in ([each.name for each in page] for page in pages) if page]

        self.both("list pages", model, call)

    @rule(prefix=st.sampled_from(("", "b/", "b/e", "x")))
    def walk(self, prefix: str) -> None:
        """List Blobs by the delimiter."""

        def model() -> Any:
            found = set()
            for name in self.blobs:
                if name.startswith(prefix):
                    head, cut, _ = name[len(prefix) :].partition("/")
                    found.add((prefix + head + cut, bool(cut)))
            return sorted(found)

        def call(container: ContainerClient) -> Any:
            return sorted(
                (each.name, isinstance(each, BlobPrefix)) for each in container.walk_blobs(prefix)
            )

        self.both("walk", model, call)


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, or the status and the code of its refusal."""
    try:
        return call()
    except RefusedError as refused:
        return refused.args
    except HttpResponseError as error:
        headers: Mapping[str, str] = getattr(error.response, "headers", {})
        return error.status_code, headers.get("x-ms-error-code")


def _of(container: ContainerClient, name: str) -> BlobClient:
    return container.get_blob_client(name)


def _leased(lease: bool) -> dict[str, Any]:
    return {"lease": LEASE} if lease else {}


def _none(_: object) -> None:
    return None
