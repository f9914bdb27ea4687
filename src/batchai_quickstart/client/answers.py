"""What the gateway hands back: frozen values, free of any Azure package."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from batchai_quickstart import models
from batchai_quickstart.models._base import Model

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Seen(Generic[M]):
    """A resource as it was when the service answered.

    Arguments:
        model: the representation.
        etag: its version, to wait for the next one; None when the service gave none.
        pushed: the service holds long polls (it said `Preference-Applied: wait`).
    """

    model: M
    etag: str | None
    pushed: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """One directory of a job's output.

    Arguments:
        files: the entries, sorted by name.
        etag: the listing's version, to wait for the next one.
        pushed: the service holds long polls.
    """

    files: tuple[models.File, ...]
    etag: str | None
    pushed: bool


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A resource group as the service describes it."""

    name: str
    location: str
    tags: Mapping[str, str] = field(default_factory=dict)
    provisioning_state: str = ""


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """A storage account as the service describes it.

    Arguments:
        name: the account's name.
        group: the resource group it is in.
        location: its region.
        blob_endpoint: base URL of its containers.
        file_endpoint: base URL of its shares.
    """

    name: str
    group: str
    location: str
    blob_endpoint: str
    file_endpoint: str
