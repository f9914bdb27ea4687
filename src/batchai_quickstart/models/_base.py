"""What every model of the wire is: frozen, camelCase outside, read strictly or leniently."""

from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar, Self, final

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from batchai_quickstart.errors import Finding, InvalidSpecError, ServiceError
from batchai_quickstart.models import _strict
from batchai_quickstart.models._rules import Rule
from batchai_quickstart.models.names import wire_name
from batchai_quickstart.models.scalars import LENIENT, REVEAL


class Model(BaseModel):
    """One JSON object of the wire.

    Subclasses may state, in wire names: `filled_in`, what a draft may lack because the client
    fills it in; `tolerated`, what people and tools write although it means nothing; `rules`, what
    types cannot say.
    """

    model_config = ConfigDict(
        alias_generator=wire_name,
        populate_by_name=True,
        frozen=True,
        defer_build=True,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    filled_in: ClassVar[frozenset[str]] = frozenset()
    tolerated: ClassVar[frozenset[str]] = frozenset()
    rules: ClassVar[tuple[Rule, ...]] = ()

    @classmethod
    def read(cls, data: Any, *, where: str = "", draft: bool = False) -> Self:
        """Read strictly what a person wrote.

        Arguments:
            data: a JSON value (`dict`, `list`, `str`, `int`, ...), wire names only.
            where: the document's name for the message, for example a file path.
            draft: accept the absence of what the client fills in before it sends the document
                (`filled_in`): a job file is a draft, a request is not.

        Raises:
            InvalidSpecError: unknown, missing or contradictory members, wrong types or values;
                one finding for each.
        """
        reading = _strict.Reading(data, draft)
        instance, errors = _strict.errors_of(cls, reading.screen(cls))
        reading.add_errors(errors)
        findings = reading.findings()
        if findings:
            raise InvalidSpecError(findings, where=where)
        assert isinstance(instance, cls)
        return instance

    @classmethod
    def from_wire(cls, data: Any) -> Self:
        """Read leniently what a server answered: unknown members are ignored, null is absent.

        Raises:
            ServiceError: a member has a type that cannot be understood.
        """
        try:
            return cls.model_validate(_without_nulls(data), context=LENIENT)
        except ValidationError as error:
            faults = [
                str(Finding(_strict.json_path(fault["loc"]), fault["msg"]))
                for fault in error.errors(include_url=False, include_input=False)
            ]
        # Raised here: chained to the validation error it would carry the answer's secrets along.
        raise ServiceError(f"the service answered no valid {cls.__name__}: {'; '.join(faults)}")

    def to_wire(self, *, secrets: bool = False) -> dict[str, Any]:
        """The object as JSON; absent members are left out, nothing is null.

        Defaults are written, except those of an object that `from_wire` read without them.

        Arguments:
            secrets: also write keys, passwords and secret values; else only their holders stay.
        """
        dumped = self.model_dump(
            mode="json",
            by_alias=True,
            exclude_none=True,
            exclude_unset=True,
            context=REVEAL if secrets else None,
        )
        wire: dict[str, Any] = _without_nulls(dumped)
        return wire

    @final
    def model_post_init(self, context: Any, /) -> None:
        """Count defaults as set, unless a server's answer is being read."""
        if context is not LENIENT:
            self.model_fields_set.update(_defaults(type(self)))

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            if value is not None and value != ():
                yield name, value


@cache
def _defaults(model: type[Model]) -> frozenset[str]:
    return frozenset(name for name, info in model.model_fields.items() if _is_written(info))


def _is_written(info: FieldInfo) -> bool:
    """Whether a default appears on the wire; an empty list counts as absent."""
    if info.default_factory is not None:
        return True
    return info.default is not PydanticUndefined and info.default not in (None, ())


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
