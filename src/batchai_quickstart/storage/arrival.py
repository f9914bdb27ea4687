"""A request as it was sent, alone or as a part of a batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import Receive

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
