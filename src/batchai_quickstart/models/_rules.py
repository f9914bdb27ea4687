"""Rules about one JSON object that types cannot say, each checkable and statable as JSON Schema.

A rule is asked about the raw object, in wire names; its members may still have wrong types, which
are reported elsewhere.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, final

from batchai_quickstart.models.scalars import parse_duration

Path = tuple[str | int, ...]
Problem = tuple[Path, str]
"""Path relative to the object, and what is wrong there."""


class Rule(Protocol):
    """One rule about an object."""

    def problems(self, data: Mapping[str, Any], *, draft: bool) -> Iterator[Problem]:
        """What breaks the rule; a draft may lack what the client fills in later."""
        ...

    def constrain(self, schema: dict[str, Any]) -> None:
        """Add the rule to the JSON Schema of the object, as far as it can be stated there."""
        ...


@final
@dataclass(frozen=True, slots=True)
class ExactlyOne:
    """Exactly one of `names` is given; a draft may have none unless `in_draft`."""

    names: tuple[str, ...]
    in_draft: bool = True

    def problems(self, data: Mapping[str, Any], *, draft: bool) -> Iterator[Problem]:
        """See `Rule`."""
        found = [name for name in self.names if data.get(name) is not None]
        if len(found) > 1:
            yield (), f"has {' and '.join(found)}, but only one of them may be given"
        elif not found and (self.in_draft or not draft):
            yield (), f"has none of {', '.join(self.names)}, of which one must be given"

    def constrain(self, schema: dict[str, Any]) -> None:
        """See `Rule`."""
        if self.in_draft:
            schema["oneOf"] = [{"required": [name]} for name in self.names]
        else:
            schema["not"] = {"required": list(self.names)}


@final
@dataclass(frozen=True, slots=True)
class AtLeast:
    """Each of the whole numbers `names` is at least `minimum`, where it is given."""

    minimum: int
    names: tuple[str, ...]

    def problems(self, data: Mapping[str, Any], *, draft: bool) -> Iterator[Problem]:
        """See `Rule`."""
        for name in self.names:
            number = data.get(name)
            if type(number) is int and number < self.minimum:
                yield (name,), f"must be at least {self.minimum}, found {number}"

    def constrain(self, schema: dict[str, Any]) -> None:
        """See `Rule`."""
        for name in self.names:
            schema["properties"][name]["minimum"] = self.minimum


@final
@dataclass(frozen=True, slots=True)
class UniqueIds:
    """The objects of list `name` have different `id`s, none of them in `taken`."""

    name: str
    taken: tuple[str, ...] = ()

    def problems(self, data: Mapping[str, Any], *, draft: bool) -> Iterator[Problem]:
        """See `Rule`."""
        items = data.get(self.name)
        first: dict[str, int] = {}
        for index, item in enumerate(items if isinstance(items, list) else ()):
            ident = item.get("id") if isinstance(item, dict) else None
            if not isinstance(ident, str):
                continue
            where = (self.name, index, "id")
            if ident in self.taken:
                yield where, f"{ident!r} is reserved by the service, choose another id"
            elif ident in first:
                yield where, f"{ident!r} is the id of {self.name}[{first[ident]}] already"
            first.setdefault(ident, index)

    def constrain(self, schema: dict[str, Any]) -> None:
        """See `Rule`; JSON Schema cannot compare the ids of a list's objects."""
        if self.taken:
            taken = {"properties": {"id": {"not": {"enum": list(self.taken)}}}}
            items = schema["properties"][self.name]
            items["items"] = {"allOf": [items["items"], taken]}


@final
@dataclass(frozen=True, slots=True)
class Positive:
    """Duration `name` is longer than nothing, where it is given."""

    name: str

    def problems(self, data: Mapping[str, Any], *, draft: bool) -> Iterator[Problem]:
        """See `Rule`."""
        text = data.get(self.name)
        if not isinstance(text, str):
            return
        try:
            seconds = parse_duration(text).total_seconds()
        except ValueError:
            return
        if seconds <= 0:
            yield (self.name,), f"must be longer than nothing, found {text!r}"

    def constrain(self, schema: dict[str, Any]) -> None:
        """See `Rule`; JSON Schema cannot compare durations."""
