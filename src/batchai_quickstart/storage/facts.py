"""What is known of an account, and of a container or share beside its content."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Account:
    """A storage account: its name and its two base64 keys, either of which signs."""

    name: str
    keys: tuple[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    """What is known of a volume beside its content.

    Arguments:
        created: seconds since the epoch.
        modified: the same, of the last change of the volume's own properties.
        metadata: the client's own names and values.
        quota: GiB, of a share; announced, not enforced.
        access: what everybody may read of a container: `container`, `blob` or nothing.
        policies: stored access policies: id, start, expiry and permissions, as they were sent.
    """

    created: float
    modified: float
    metadata: Mapping[str, str] = field(default_factory=dict)
    quota: int = 5120
    access: str = ""
    policies: tuple[tuple[str, str, str, str], ...] = ()

    @property
    def etag(self) -> str:
        """The entity tag of the volume's properties, in double quotes."""
        return f'"0x{int(self.modified * 1e9):X}"'

    def to_json(self) -> dict[str, Any]:
        """The members by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> "VolumeFacts":
        """The inverse of `to_json`."""
        policies = tuple(tuple(policy) for policy in members.get("policies", ()))
        return cls(**{**members, "policies": policies})
