"""How single values are written on the wire: durations, times, secrets, enumerations."""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    SecretStr,
    SerializationInfo,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

LENIENT = "lenient"
"""Validation context of answers: enumerations are open, defaults are not written back."""

REVEAL = "reveal"
"""Serialization context in which secrets are written."""

_ISO = re.compile(
    r"(?P<sign>-?)P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
    re.ASCII,
)
_TIMESPAN = re.compile(
    r"(?P<sign>-?)(?:(?P<days>\d+)\.)?(?P<hours>\d{1,2}):(?P<minutes>\d{1,2})"
    r"(?::(?P<seconds>\d{1,2}(?:\.\d+)?))?",
    re.ASCII,
)


def parse_duration(text: str) -> timedelta:
    """Read a duration: ISO 8601 (`P7D`, `PT1H5S`) or a timespan (`7.00:00:00`, `01:30:00`).

    Raises:
        ValueError: `text` is neither; years and months have no fixed length and are neither.
    """
    match = _ISO.fullmatch(text) or _TIMESPAN.fullmatch(text)
    parts = match.groupdict() if match else {}
    sign = parts.pop("sign", "")
    numbers = {unit: float(number) for unit, number in parts.items() if number is not None}
    if not numbers or text.endswith("T"):
        raise ValueError(f"{text!r} is no duration like 'P7D', 'PT1H30M' or '7.00:00:00'")
    try:
        length = timedelta(**numbers)
    except OverflowError:
        raise ValueError(f"{text!r} is too long a duration") from None
    return -length if sign else length


def format_duration(length: timedelta) -> str:
    """Write a duration as the service did: `P7D`, `PT1H5S`, `PT0.5S`; zero is `PT0S`."""
    if length < timedelta(0):
        return "-" + format_duration(-length)
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    second = str(seconds)
    if length.microseconds:
        second += f".{length.microseconds:06}".rstrip("0")
    clock = "".join(
        number + unit
        for number, unit in ((str(hours), "H"), (str(minutes), "M"), (second, "S"))
        if number != "0"
    )
    days = f"{length.days}D" if length.days else ""
    return f"P{days}" + (f"T{clock}" if clock else "" if days else "T0S")


def format_time(moment: datetime) -> str:
    """Write a time as the service did: UTC, `Z`, up to 3 decimals without trailing zeros."""
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
    return text.rstrip("0").rstrip(".") + "Z" if text.endswith("0") else text + "Z"


def format_file_time(moment: datetime) -> str:
    """Write the time of a file as the service did: UTC, `Z`, whole seconds."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def _duration(value: object) -> object:
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError as error:
            raise PydanticCustomError("wire", "{problem}", {"problem": str(error)}) from None
    if isinstance(value, timedelta):
        return value
    raise PydanticCustomError("string_type", "Input should be a duration")


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _reveal(value: SecretStr | None, info: SerializationInfo) -> str | None:
    return value.get_secret_value() if value is not None and info.context is REVEAL else None


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, when_used="json"),
    WithJsonSchema({"type": "string", "examples": ["P7D", "PT1H30M", "7.00:00:00"]}),
]
"""A length of time; ISO 8601 on the wire, timespans are understood."""

Timestamp = Annotated[
    datetime, AfterValidator(_in_utc), PlainSerializer(format_time, when_used="json")
]
"""A moment, always in UTC; a time without zone is taken for UTC."""

FileTime = Annotated[
    datetime, AfterValidator(_in_utc), PlainSerializer(format_file_time, when_used="json")
]
"""A `Timestamp` written in whole seconds."""

Secret = Annotated[SecretStr, PlainSerializer(_reveal, when_used="json")]
"""Text that is accepted and never shown: not in repr, str, logs, dumps or error messages."""


class WireEnum(StrEnum):
    """Strings of the wire: read without case, written as the members spell them.

    Enumerations are open towards a newer service: a string that is no member becomes a value of
    the same type that equals its text. `read` and constructors accept members only.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        folded = value.casefold()
        for member in cls:
            if member.value.casefold() == folded:
                return member
        unknown = str.__new__(cls, value)
        unknown._name_ = unknown._value_ = value
        return unknown

    @property
    def is_known(self) -> bool:
        """Whether this is one of the values documented for api-version 2018-05-01."""
        return self._name_ in type(self).__members__

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "enum": [member.value for member in cls]}

    @classmethod
    def _validate(cls, value: object, info: ValidationInfo) -> Self:
        if not isinstance(value, str):
            raise PydanticCustomError("string_type", "Input should be a string")
        member = cls(value)
        if info.context is LENIENT or member.is_known:
            return member
        raise PydanticCustomError(
            "enum",
            "'{found}' is none of {names}",
            {"found": str(value), "names": ", ".join(cls)},
        )
