"""ARM resource ids, and the table of resource kinds both ends of the wire read.

An id is `/subscriptions/S/resourceGroups/G/providers/NAMESPACE/TYPE/NAME/TYPE/NAME...`. Segments
are compared without case and keep the case they were created with, as ARM does.
"""

import re
from dataclasses import dataclass, field

from batchai_quickstart.errors import InvalidRequestError

BATCHAI = "Microsoft.BatchAI"
STORAGE = "Microsoft.Storage"


@dataclass(frozen=True, slots=True)
class Kind:
    """One resource kind: how it is addressed and what it is called.

    `plural` is the path segment, `noun` the word in error codes (`JobNotFound`), `parent` the kind
    whose id precedes it (None: directly in a resource group).
    """

    noun: str
    plural: str
    namespace: str
    parent: "Kind | None" = None
    name_rule: str = r"[-\w]{1,64}"

    @property
    def type(self) -> str:
        """The wire's `type`, for example `Microsoft.BatchAI/workspaces/clusters`."""
        return f"{self.parent.type if self.parent else self.namespace}/{self.plural}"

    @property
    def depth(self) -> int:
        """How many names an id of this kind carries."""
        return 1 + (self.parent.depth if self.parent else 0)

    def check_name(self, name: str) -> None:
        """Raise InvalidRequestError (`InvalidResourceName`) unless `name` is allowed."""
        if not re.fullmatch(self.name_rule, name, re.ASCII):
            raise InvalidRequestError(
                f"{name!r} is no valid name for a {self.noun.lower()}: it must match "
                f"^{self.name_rule}$ (ASCII).",
                code="InvalidResourceName",
                target=name,
            )


WORKSPACE = Kind("Workspace", "workspaces", BATCHAI)
CLUSTER = Kind("Cluster", "clusters", BATCHAI, WORKSPACE)
FILE_SERVER = Kind("FileServer", "fileServers", BATCHAI, WORKSPACE)
EXPERIMENT = Kind("Experiment", "experiments", BATCHAI, WORKSPACE)
JOB = Kind("Job", "jobs", BATCHAI, EXPERIMENT)
STORAGE_ACCOUNT = Kind("StorageAccount", "storageAccounts", STORAGE, None, r"[a-z0-9]{3,24}")

KINDS: tuple[Kind, ...] = (WORKSPACE, CLUSTER, FILE_SERVER, EXPERIMENT, JOB, STORAGE_ACCOUNT)
GROUP_NAME_RULE = r"[-\w.()]{0,89}[-\w()]"

_KIND_OF_TYPE = {kind.type.lower(): kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class ResourceId:
    """A parsed ARM id: compares and hashes without case, prints with the case it was given.

    Arguments:
        subscription: subscription id.
        group: resource group name.
        kind: the resource kind; None for the resource group itself.
        names: the resource's name preceded by its parents', outermost first.
    """

    subscription: str
    group: str
    kind: Kind | None = None
    names: tuple[str, ...] = ()
    text: str = field(init=False, repr=False)
    """The id as it was given."""
    key: str = field(init=False, repr=False)
    """The id in lower case: what is compared, hashed and stored."""

    def __post_init__(self) -> None:
        if len(self.names) != (self.kind.depth if self.kind else 0):
            raise ValueError(f"{self.kind}: {len(self.names)} names")
        object.__setattr__(self, "text", self._written())
        object.__setattr__(self, "key", self.text.lower())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResourceId) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return self.text

    def _written(self) -> str:
        text = f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
        if self.kind is None:
            return text
        types = self.kind.type.split("/")[1:]
        pairs = "".join(f"/{plural}/{name}" for plural, name in zip(types, self.names, strict=True))
        return f"{text}/providers/{self.kind.namespace}{pairs}"

    @property
    def name(self) -> str:
        """The resource's own name (the group's for a group id)."""
        return self.names[-1] if self.names else self.group

    @property
    def parent(self) -> "ResourceId":
        """The enclosing resource, or the resource group."""
        if self.kind is None:
            raise ValueError(f"{self} has no parent")
        return ResourceId(self.subscription, self.group, self.kind.parent, self.names[:-1])

    def child(self, kind: Kind, name: str) -> "ResourceId":
        """The id of `name` of `kind` directly below this resource."""
        if kind.parent is not self.kind:
            raise ValueError(f"a {kind.noun} does not live below {self}")
        return ResourceId(self.subscription, self.group, kind, (*self.names, name))

    @classmethod
    def parse(cls, text: str) -> "ResourceId":
        """Read an ARM id.

        Raises:
            InvalidRequestError: `text` is no id of a known kind (code `InvalidResourceId`).
        """
        parts = text.strip("/").split("/")
        words = [part.lower() for part in parts]
        shape_ok = (
            len(parts) >= 4
            and words[0] == "subscriptions"
            and words[2] == "resourcegroups"
            and all(parts)
        )
        if shape_ok and len(parts) == 4:
            return cls(parts[1], parts[3])
        if shape_ok and len(parts) >= 8 and words[4] == "providers" and len(parts) % 2 == 0:
            kind = _KIND_OF_TYPE.get("/".join([words[5], *words[6::2]]))
            if kind is not None:
                return cls(parts[1], parts[3], kind, tuple(parts[7::2]))
        raise InvalidRequestError(
            f"{text!r} is no resource id; expected /subscriptions/<id>/resourceGroups/<group>/"
            "providers/Microsoft.BatchAI/workspaces/<name>/...",
            code="InvalidResourceId",
            target=text,
        )
