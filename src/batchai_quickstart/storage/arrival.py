"""A request as it was sent, alone or as a part of a batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import Receive

from batchai_quickstart.errors import NotFoundError
from batchai_quickstart.storage.addresses import address
from batchai_quickstart.storage.protocol import Request, StorageError, parse_query
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.versions import version_of
from batchai_quickstart.storage.volume import Kind


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request as it was sent.

    Arguments:
        method: the HTTP verb.
        raw_path: its path, percent-encoded.
        query: its query, percent-encoded.
        headers: values by lower-case name.
        receive: gives its body.
        client: the peer's address, empty when unknown.
        scheme: http or https.
        port_kind: the service its port stands for, whose addresses name none; see `addresses`.
        id: `x-ms-request-id` of its answer.
        spelling: names of headers as they were written, by lower-case name, where they differ.
    """

    method: str
    raw_path: str
    query: bytes
    headers: dict[str, str]
    receive: Receive
    client: str
    scheme: str
    port_kind: Kind | None
    id: str
    spelling: Mapping[str, str] = field(default_factory=dict)


def addressed(store: Store, arrival: Arrival) -> Request:
    """The request that was sent, by what it is addressed to.

    Arguments:
        store: whose accounts there are.
        arrival: the request as it was sent.

    Raises:
        StorageError: it is addressed to nothing, to no account, or in no version.
        ForeignServiceError: it is addressed to a service that is not here.
    """
    to = address(arrival.headers.get("host", ""), arrival.raw_path, arrival.port_kind)
    query = parse_query(arrival.query)
    default = store.settings(to.account, to.kind).version
    version = version_of(to.kind, arrival.headers, query, default)
    if to.secondary and arrival.method not in ("GET", "HEAD", "OPTIONS"):
        raise StorageError("InsufficientAccountPermissions")
    try:
        owner = store.account(to.account)
    except NotFoundError:
        raise StorageError("AuthenticationFailed", f"There is no account {to.account!r}.") from None
    return Request(
        method=arrival.method,
        kind=to.kind,
        account=owner,
        volume=to.volume,
        path=to.path.rstrip("/") if to.kind is Kind.FILE else to.path,
        raw_path=arrival.raw_path,
        query=query,
        headers=arrival.headers,
        receive=arrival.receive,
        client=arrival.client,
        scheme=arrival.scheme,
        id=arrival.id,
        version=version,
        port_kind=arrival.port_kind,
        secondary=to.secondary,
        spelling=arrival.spelling,
    )
