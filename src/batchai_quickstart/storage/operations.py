"""Every operation of the two protocols: how a request names it, what it needs, who does it.

An operation that is known and not done here has a row too, without a handler, so that it is
refused by its name and never ignored.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from batchai_quickstart.storage.append import AppendBlobs
from batchai_quickstart.storage.auth import Right
from batchai_quickstart.storage.blob import Blobs
from batchai_quickstart.storage.blobcopy import BlobCopies
from batchai_quickstart.storage.bloblist import BlobListing
from batchai_quickstart.storage.changes import Changes
from batchai_quickstart.storage.containers import Containers
from batchai_quickstart.storage.directories import Directories
from batchai_quickstart.storage.filecopy import FileCopies
from batchai_quickstart.storage.files import Files
from batchai_quickstart.storage.handles import Handles
from batchai_quickstart.storage.leases import Leases
from batchai_quickstart.storage.permissions import Permissions
from batchai_quickstart.storage.protocol import Request, Response, StorageError
from batchai_quickstart.storage.renames import Renames
from batchai_quickstart.storage.services import Services
from batchai_quickstart.storage.shares import Shares
from batchai_quickstart.storage.source import Sources
from batchai_quickstart.storage.staging import Staging
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.tagsearch import TagSearch
from batchai_quickstart.storage.volume import Kind

Handler = Callable[[Request], Awaitable[Response]]
Key = tuple[Kind, str, str, str]
"""Service, subject (`service`, `volume`, `directory`, `object`, a kind of link), verb, `comp`."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Arguments:
        name: as Azure's documentation has it.
        right: what it needs of a shared access signature.
        handler: answers it; None when it is not done here.
        honours: headers beyond everybody's that it does what they ask (`x-ms-tags`); a name that
            ends with a hyphen stands for all that begin with it.
        from_url: what a request with `x-ms-copy-source` asks for instead, by a header that says
            which; empty when nothing is.
    """

    name: str
    right: Right
    handler: Handler | None = None
    honours: tuple[str, ...] = ()
    from_url: tuple[tuple[str, "Operation"], ...] = ()

    def of_url(self, headers: Mapping[str, str]) -> "Operation":
        """What a request with `x-ms-copy-source` asks for."""
        return next((each for header, each in self.from_url if header in headers), self)


_SOURCE: Final = (
    "x-ms-copy-source",
    "x-ms-source-allow-trailing-dot",
    "x-ms-source-if-match",
    "x-ms-source-if-modified-since",
    "x-ms-source-if-none-match",
    "x-ms-source-if-tags",
    "x-ms-source-if-unmodified-since",
    "x-ms-source-lease-id",
)
"""Headers of everything that copies."""
_SOURCE_MD5: Final = "x-ms-source-content-md5"
_SOURCE_PART: Final = ("x-ms-source-range", "x-ms-source-content-crc64", _SOURCE_MD5)
_TAGS: Final = "x-ms-copy-source-tag-option"
_PRIORITY: Final = "x-ms-rehydrate-priority"
"""Of what is brought back from the archive, where nothing is."""

_REFUSED: Final = (
    (Kind.BLOB, "service", "POST", "userdelegationkey", "Get User Delegation Key"),
    (Kind.BLOB, "volume", "PUT", "undelete", "Restore Container"),
    (Kind.BLOB, "volume", "PUT", "rename", "Rename Container"),
    (Kind.BLOB, "object", "PUT", "page", "Put Page"),
    (Kind.BLOB, "object", "GET", "pagelist", "Get Page Ranges"),
    (Kind.BLOB, "object", "PUT", "incrementalcopy", "Incremental Copy Blob"),
    (Kind.BLOB, "object", "PUT", "snapshot", "Snapshot Blob"),
    (Kind.BLOB, "object", "POST", "query", "Query Blob Contents"),
    (Kind.BLOB, "object", "PUT", "undelete", "Undelete Blob"),
    (Kind.BLOB, "object", "PUT", "expiry", "Set Blob Expiry"),
    (Kind.BLOB, "object", "PUT", "immutabilitypolicies", "Set Blob Immutability Policy"),
    (Kind.BLOB, "object", "DELETE", "immutabilitypolicies", "Delete Blob Immutability Policy"),
    (Kind.BLOB, "object", "PUT", "legalhold", "Set Blob Legal Hold"),
    (Kind.FILE, "service", "POST", "userdelegationkey", "Get User Delegation Key"),
    (Kind.FILE, "volume", "PUT", "undelete", "Restore Share"),
    (Kind.FILE, "volume", "PUT", "snapshot", "Snapshot Share"),
    (Kind.FILE, "hardlink", "PUT", "", "Create Hard Link"),
    (Kind.FILE, "symboliclink", "PUT", "", "Create Symbolic Link"),
    (Kind.FILE, "symboliclink", "GET", "", "Get Symbolic Link"),
)

REFUSED: Final[Mapping[Key, str]] = {
    (kind, subject, verb, comp): name for kind, subject, verb, comp, name in _REFUSED
}
"""Operations that are known and not done here, by name."""


def table(store: Store, changes: Changes, sources: Sources) -> dict[Key, Operation]:
    """Every operation by the key a request has.

    Arguments:
        store: where everything is.
        changes: who waits for files.
        sources: opens what is copied.
    """
    staging = Staging(store)
    containers, blobs = Containers(store, changes, staging), Blobs(store, changes, staging)
    listing, appends = BlobListing(store), AppendBlobs(store)
    shares, files = Shares(store, changes), Files(store, changes)
    directories = Directories(store)
    copies = BlobCopies(store, sources, blobs, appends)
    file_copies = FileCopies(store, sources, files)
    rows: dict[Key, Operation] = {
        key: Operation(name, Right("o", "rwdl", "rwdl")) for key, name in REFUSED.items()
    }

    def add(kind: Kind, subject: str, entries: Mapping[tuple[str, str], Operation]) -> None:
        for (verbs, comp), operation in entries.items():
            for verb in verbs.split():
                rows[kind, subject, verb, comp] = operation

    services = Services(store)
    for kind in Kind:
        add(
            kind,
            "service",
            {
                ("GET", "properties"): Operation(
                    "Get Service Properties", Right("s", "r"), services.properties
                ),
                ("PUT", "properties"): Operation(
                    "Set Service Properties", Right("s", "w"), services.set_properties
                ),
            },
        )
    rows[Kind.BLOB, "service", "GET", "stats"] = Operation(
        "Get Service Stats", Right("s", "r"), services.stats
    )
    for kind, subjects in ((Kind.BLOB, ("service", "volume", "object")), (Kind.FILE, ("service",))):
        for subject in subjects:
            rows[kind, subject, "GET", "account"] = rows[kind, subject, "HEAD", "account"] = (
                Operation("Get Account Information", Right("s", "rwl"), services.account)
            )
    search = TagSearch(store)
    for subject, right in (("service", Right("s", "f")), ("volume", Right("c", "f", "f"))):
        rows[Kind.BLOB, subject, "GET", "blobs"] = Operation(
            "Find Blobs by Tags", right, search.find
        )
    leases = Leases(store)
    for kind in Kind:
        for subject, level, noun in (
            ("volume", Right("c", "wd"), "Container" if kind is Kind.BLOB else "Share"),
            ("object", Right("o", "wd", "wd"), "Blob" if kind is Kind.BLOB else "File"),
        ):
            rows[kind, subject, "PUT", "lease"] = Operation(f"Lease {noun}", level, leases.lease)
    read_volume, write_volume = Right("c", "r"), Right("c", "w")
    create, delete = Right("c", "cw"), Right("c", "d")
    open_volume = Right("c", "r", public="container")
    read, write = Right("o", "r", "r", "blob"), Right("o", "w", "w")
    sums, said = ("x-ms-content-crc64",), ("x-ms-tags", "x-ms-access-tier")
    put, erase = Right("o", "cw", "cw"), Right("o", "d", "d")
    append = Right("o", "acw", "acw")
    copy_block = _from_url("Put Block From URL", put, copies.put_block, *_SOURCE_PART)
    append_url = _from_url("Append Block From URL", append, copies.append, *_SOURCE_PART)
    range_url = _from_url(
        "Put Range From URL",
        write,
        file_copies.put_range,
        *_SOURCE_PART,
        "x-ms-source-if-match-crc64",
        "x-ms-source-if-none-match-crc64",
    )
    copy_file = _from_url("Copy File", put, file_copies.copy, "x-ms-file-copy-")
    copy_blob = (
        *_from_url(
            "Copy Blob From URL", put, copies.copy_at_once, *said, _SOURCE_MD5, _TAGS,
            header="x-ms-requires-sync",
        ),
        *_from_url(
            "Put Blob From URL", put, copies.put, *said, _SOURCE_MD5, _TAGS,
            "x-ms-copy-source-blob-properties", header="x-ms-blob-type",
        ),
        *_from_url("Copy Blob", put, copies.copy, *said, _PRIORITY, "x-ms-seal-blob"),
    )  # fmt: skip
    abort_honours = ("x-ms-copy-action",)
    add(
        Kind.BLOB,
        "service",
        {("GET", "list"): Operation("List Containers", Right("s", "l"), containers.list)},
    )
    add(
        Kind.BLOB,
        "volume",
        {
            ("PUT", ""): Operation("Create Container", create, containers.create),
            ("GET HEAD", ""): Operation(
                "Get Container Properties", open_volume, containers.properties
            ),
            ("GET HEAD", "metadata"): Operation(
                "Get Container Metadata", open_volume, containers.properties
            ),
            ("PUT", "metadata"): Operation(
                "Set Container Metadata", write_volume, containers.set_metadata
            ),
            ("GET HEAD", "acl"): Operation("Get Container ACL", Right("c", ""), containers.acl),
            ("PUT", "acl"): Operation("Set Container ACL", Right("c", ""), containers.set_acl),
            ("DELETE", ""): Operation("Delete Container", delete, containers.delete),
            ("GET", "list"): Operation(
                "List Blobs", Right("c", "l", "l", "container"), listing.list_blobs
            ),
        },
    )
    add(
        Kind.BLOB,
        "object",
        {
            ("GET", ""): Operation("Get Blob", read, blobs.get),
            ("HEAD", ""): Operation("Get Blob Properties", read, blobs.get),
            ("GET HEAD", "metadata"): Operation("Get Blob Metadata", read, blobs.get),
            ("PUT", ""): Operation("Put Blob", put, blobs.put, sums + said, copy_blob),
            ("PUT", "block"): Operation("Put Block", put, blobs.put_block, sums, copy_block),
            ("PUT", "blocklist"): Operation(
                "Put Block List", put, blobs.put_block_list, sums + said
            ),
            ("PUT", "appendblock"): Operation(
                "Append Block", append, appends.append, sums, append_url
            ),
            ("PUT", "copy"): Operation("Abort Copy Blob", write, copies.abort, abort_honours),
            ("PUT", "seal"): Operation("Append Blob Seal", write, appends.seal),
            ("GET", "tags"): Operation("Get Blob Tags", Right("o", "t", "t"), blobs.get_tags),
            ("PUT", "tags"): Operation("Set Blob Tags", Right("o", "t", "t"), blobs.set_tags),
            ("PUT", "tier"): Operation("Set Blob Tier", write, blobs.set_tier, (*said, _PRIORITY)),
            ("GET", "blocklist"): Operation("Get Block List", read, blobs.block_list),
            ("PUT", "metadata"): Operation("Set Blob Metadata", write, blobs.set_metadata),
            ("PUT", "properties"): Operation("Set Blob Properties", write, blobs.set_properties),
            ("DELETE", ""): Operation("Delete Blob", erase, blobs.delete),
        },
    )
    add(
        Kind.FILE,
        "service",
        {("GET", "list"): Operation("List Shares", Right("s", "l"), shares.list)},
    )
    add(
        Kind.FILE,
        "volume",
        {
            ("PUT", ""): Operation("Create Share", create, shares.create),
            ("GET HEAD", ""): Operation("Get Share Properties", read_volume, shares.properties),
            ("GET HEAD", "metadata"): Operation(
                "Get Share Metadata", read_volume, shares.properties
            ),
            ("PUT", "properties"): Operation(
                "Set Share Properties", write_volume, shares.set_properties
            ),
            ("PUT", "metadata"): Operation("Set Share Metadata", write_volume, shares.set_metadata),
            ("GET HEAD", "acl"): Operation("Get Share ACL", Right("c", ""), shares.acl),
            ("PUT", "acl"): Operation("Set Share ACL", Right("c", ""), shares.set_acl),
            ("DELETE", ""): Operation("Delete Share", delete, shares.delete),
            ("GET", "stats"): Operation("Get Share Stats", read_volume, shares.stats),
        },
    )
    add(
        Kind.FILE,
        "directory",
        {
            ("PUT", ""): Operation("Create Directory", put, directories.create_directory),
            ("GET HEAD", ""): Operation(
                "Get Directory Properties", read, directories.directory_properties
            ),
            ("GET HEAD", "metadata"): Operation(
                "Get Directory Metadata", read, directories.directory_properties
            ),
            ("PUT", "metadata"): Operation(
                "Set Directory Metadata", write, directories.set_directory_metadata
            ),
            ("PUT", "properties"): Operation(
                "Set Directory Properties", write, directories.set_directory_properties
            ),
            ("DELETE", ""): Operation("Delete Directory", erase, directories.delete_directory),
            ("GET", "list"): Operation(
                "List Directories and Files", Right("c", "l", "l"), directories.list_directory
            ),
        },
    )
    add(
        Kind.FILE,
        "object",
        {
            ("GET", ""): Operation("Get File", read, files.get),
            ("HEAD", ""): Operation("Get File Properties", read, files.get),
            ("GET HEAD", "metadata"): Operation("Get File Metadata", read, files.get),
            ("PUT", ""): Operation("Create File", put, files.create, (), copy_file),
            ("PUT", "range"): Operation("Put Range", write, files.put_range, sums, range_url),
            ("GET", "rangelist"): Operation("List Ranges", read, files.list_ranges),
            ("PUT", "copy"): Operation("Abort Copy File", write, file_copies.abort, abort_honours),
            ("PUT", "metadata"): Operation("Set File Metadata", write, files.set_metadata),
            ("PUT", "properties"): Operation("Set File Properties", write, files.set_properties),
            ("DELETE", ""): Operation("Delete File", erase, files.delete),
        },
    )
    granted, handles = Permissions(store), Handles(store)
    add(
        Kind.FILE,
        "volume",
        {
            ("PUT", "filepermission"): Operation("Create Permission", create, granted.create),
            ("GET", "filepermission"): Operation("Get Permission", read_volume, granted.get),
        },
    )
    for subject in ("object", "directory"):
        add(
            Kind.FILE,
            subject,
            {
                ("GET", "listhandles"): Operation("List Handles", read, handles.list),
                ("PUT", "forceclosehandles"): Operation(
                    "Force Close Handles", write, handles.close
                ),
            },
        )
    renames = Renames(store)
    for subject, name in (("object", "Rename File"), ("directory", "Rename Directory")):
        rows[Kind.FILE, subject, "PUT", "rename"] = Operation(
            name,
            write,
            renames.rename,
            ("x-ms-source-lease-id", "x-ms-source-allow-trailing-dot"),
        )
    return rows


def _from_url(
    name: str, right: Right, handler: Handler, *honours: str, header: str = "x-ms-copy-source"
) -> tuple[tuple[str, Operation], ...]:
    """A row of `Operation.from_url`."""
    return ((header, Operation(name, right, handler, _SOURCE + honours)),)


def key_of(request: Request) -> Key:
    """The key of the operation a request asks for.

    Raises:
        StorageError: its address and parameters fit no subject.
    """
    restype = request.query.get("restype", "").lower()
    comp = request.query.get("comp", "").lower()
    if restype == "account":
        comp = "account"
    if not request.volume:
        subject = "service"
    elif restype in ("container", "share"):
        if request.path:
            raise StorageError("InvalidQueryParameterValue", f"restype={restype} with a path.")
        subject = "volume"
    elif restype in ("directory", "hardlink", "symboliclink"):
        subject = restype
    elif request.path:
        subject = "object"
    elif request.kind is Kind.FILE and comp in ("listhandles", "forceclosehandles"):
        subject = "directory"
    elif restype == "account":
        subject = "volume"
    else:
        raise StorageError("MissingRequiredQueryParameter", "restype.")
    return request.kind, subject, request.method, comp
