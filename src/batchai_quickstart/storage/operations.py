"""Every operation of the two protocols: how a request names it, what it needs, who does it.

An operation that is known and not done here has a row too, without a handler, so that it is
refused by its name and never ignored.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from batchai_quickstart.storage.auth import Right
from batchai_quickstart.storage.blob import Blobs
from batchai_quickstart.storage.bloblist import BlobListing
from batchai_quickstart.storage.changes import Changes
from batchai_quickstart.storage.containers import Containers
from batchai_quickstart.storage.directories import Directories
from batchai_quickstart.storage.files import Files
from batchai_quickstart.storage.protocol import Request, Response, StorageError, xml_response
from batchai_quickstart.storage.shares import Shares
from batchai_quickstart.storage.staging import Staging
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.volume import Kind

Handler = Callable[[Request], Awaitable[Response]]
Key = tuple[Kind, str, str, str]
"""Service, subject (`service`, `volume`, `directory` or `object`), verb, `comp`."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Arguments:
        name: as Azure's documentation has it.
        right: what it needs of a shared access signature.
        handler: answers it; None when it is not done here.
    """

    name: str
    right: Right
    handler: Handler | None = None


_SERVICE_READ = Right("s", "r")
_ANY = Right("s", "rwl")

REFUSED: Final[Mapping[Key, str]] = {
    **{
        (kind, "service", verb, comp): name
        for kind in Kind
        for verb, comp, name in (
            ("PUT", "properties", "Set Service Properties"),
            ("GET", "stats", "Get Service Stats"),
            ("POST", "userdelegationkey", "Get User Delegation Key"),
            ("POST", "batch", "Batch"),
            ("GET", "blobs", "Find Blobs by Tags"),
        )
    },
    **{
        (kind, "volume", verb, comp): name
        for kind in Kind
        for verb, comp, name in (
            ("PUT", "acl", "Set ACL"),
            ("PUT", "lease", "Lease"),
            ("PUT", "undelete", "Restore"),
            ("PUT", "rename", "Rename Container"),
            ("PUT", "snapshot", "Snapshot Share"),
            ("POST", "batch", "Batch"),
            ("GET", "blobs", "Find Blobs by Tags"),
            ("GET", "stats", "Get Share Stats"),
            ("GET", "filepermission", "Get Permission"),
            ("PUT", "filepermission", "Create Permission"),
        )
    },
    **{
        (kind, subject, verb, comp): name
        for kind, subject in (
            (Kind.BLOB, "object"),
            (Kind.FILE, "object"),
            (Kind.FILE, "directory"),
        )
        for verb, comp, name in (
            ("PUT", "appendblock", "Append Block"),
            ("PUT", "seal", "Append Blob Seal"),
            ("PUT", "page", "Put Page"),
            ("GET", "pagelist", "Get Page Ranges"),
            ("PUT", "incrementalcopy", "Incremental Copy Blob"),
            ("PUT", "lease", "Lease"),
            ("PUT", "snapshot", "Snapshot Blob"),
            ("PUT", "copy", "Abort Copy"),
            ("PUT", "tier", "Set Blob Tier"),
            ("GET", "tags", "Get Blob Tags"),
            ("PUT", "tags", "Set Blob Tags"),
            ("POST", "query", "Query Blob Contents"),
            ("PUT", "undelete", "Undelete Blob"),
            ("PUT", "expiry", "Set Blob Expiry"),
            ("PUT", "immutabilitypolicies", "Set Blob Immutability Policy"),
            ("DELETE", "immutabilitypolicies", "Delete Blob Immutability Policy"),
            ("PUT", "legalhold", "Set Blob Legal Hold"),
            ("GET", "rangelist", "List Ranges"),
            ("GET", "listhandles", "List Handles"),
            ("PUT", "forceclosehandles", "Force Close Handles"),
            ("PUT", "rename", "Rename"),
        )
    },
}
"""Operations that are known and not done here, by name."""


def table(store: Store, changes: Changes) -> dict[Key, Operation]:
    """Every operation by the key a request has.

    Arguments:
        store: where everything is.
        changes: who waits for files.
    """
    staging = Staging(store)
    containers, blobs = Containers(store, changes, staging), Blobs(store, changes, staging)
    listing = BlobListing(store)
    shares, files = Shares(store, changes), Files(store, changes)
    directories = Directories(store)
    rows: dict[Key, Operation] = {
        key: Operation(name, Right("o", "rwdl", "rwdl")) for key, name in REFUSED.items()
    }

    def add(kind: Kind, subject: str, entries: Mapping[tuple[str, str], Operation]) -> None:
        for (verbs, comp), operation in entries.items():
            for verb in verbs.split():
                rows[kind, subject, verb, comp] = operation

    for kind in Kind:
        add(
            kind,
            "service",
            {
                ("GET", "properties"): Operation(
                    "Get Service Properties", _SERVICE_READ, _service_properties
                ),
            },
        )
    for kind, subjects in ((Kind.BLOB, ("service", "volume", "object")), (Kind.FILE, ("service",))):
        for subject in subjects:
            rows[kind, subject, "GET", "account"] = rows[kind, subject, "HEAD", "account"] = (
                Operation("Get Account Information", _ANY, _account_information)
            )
    read_volume, write_volume = Right("c", "r"), Right("c", "w")
    create, delete = Right("c", "cw"), Right("c", "d")
    read, write = Right("o", "r", "r"), Right("o", "w", "w")
    put, erase = Right("o", "cw", "cw"), Right("o", "d", "d")
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
                "Get Container Properties", read_volume, containers.properties
            ),
            ("GET HEAD", "metadata"): Operation(
                "Get Container Metadata", read_volume, containers.properties
            ),
            ("PUT", "metadata"): Operation(
                "Set Container Metadata", write_volume, containers.set_metadata
            ),
            ("GET HEAD", "acl"): Operation("Get Container ACL", Right("c", ""), containers.acl),
            ("DELETE", ""): Operation("Delete Container", delete, containers.delete),
            ("GET", "list"): Operation("List Blobs", Right("c", "l", "l"), listing.list_blobs),
        },
    )
    add(
        Kind.BLOB,
        "object",
        {
            ("GET HEAD", ""): Operation("Get Blob", read, blobs.get),
            ("GET HEAD", "metadata"): Operation("Get Blob Metadata", read, blobs.get),
            ("PUT", ""): Operation("Put Blob", put, blobs.put),
            ("PUT", "block"): Operation("Put Block", put, blobs.put_block),
            ("PUT", "blocklist"): Operation("Put Block List", put, blobs.put_block_list),
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
            ("DELETE", ""): Operation("Delete Share", delete, shares.delete),
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
            ("GET HEAD", ""): Operation("Get File", read, files.get),
            ("GET HEAD", "metadata"): Operation("Get File Metadata", read, files.get),
            ("PUT", ""): Operation("Create File", put, files.create),
            ("PUT", "range"): Operation("Put Range", write, files.put_range),
            ("PUT", "metadata"): Operation("Set File Metadata", write, files.set_metadata),
            ("PUT", "properties"): Operation("Set File Properties", write, files.set_properties),
            ("DELETE", ""): Operation("Delete File", erase, files.delete),
        },
    )
    return rows


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
    elif restype == "directory":
        subject = "directory"
    elif request.path:
        subject = "object"
    elif restype == "account":
        subject = "volume"
    else:
        raise StorageError("MissingRequiredQueryParameter", "restype.")
    return request.kind, subject, request.method, comp


async def _service_properties(request: Request) -> Response:
    rules = "".join(
        f"<{name}><Version>1.0</Version><Enabled>false</Enabled>"
        "<RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></" + name + ">"
        for name in ("HourMetrics", "MinuteMetrics")
    )
    return xml_response(f"<StorageServiceProperties>{rules}<Cors /></StorageServiceProperties>")


async def _account_information(request: Request) -> Response:
    headers = (
        ("x-ms-sku-name", "Standard_LRS"),
        ("x-ms-account-kind", "StorageV2"),
        ("x-ms-is-hns-enabled", "false"),
    )
    return Response(200, headers)
