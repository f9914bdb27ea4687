"""The JSON Schema of a job file, for editors and for validators that are not ours.

`python -m batchai_quickstart.models.schema` prints it.
"""

import ast
import inspect
import json
import sys
from datetime import timedelta
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from batchai_quickstart.models._base import Model
from batchai_quickstart.models.jobs import JobCreateParameters
from batchai_quickstart.models.names import wire_name
from batchai_quickstart.models.scalars import WireEnum, format_duration

Schema = dict[str, Any]


def job_schema() -> Schema:
    """The JSON Schema (2020-12) of a job file.

    It accepts what `JobSpec` accepts, except spellings an editor should not propose: enumerations
    in other case, `null` for absent.
    """
    definitions: dict[str, Schema] = {}
    top = _object(JobCreateParameters, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Batch AI job file",
        **top,
        "description": "A job, as it is written down to be submitted (api-version 2018-05-01).",
        "$defs": dict(sorted(definitions.items())),
    }


def _object(model: type[Model], definitions: dict[str, Schema]) -> Schema:
    texts = _attribute_texts(model)
    properties: dict[str, Schema] = {}
    required = []
    for name, info in model.model_fields.items():
        wire = wire_name(name)
        properties[wire] = _value(info.annotation, definitions)
        if name in texts:
            properties[wire]["description"] = texts[name]
        default = _default(info)
        if default is not None:
            properties[wire]["default"] = default
        if info.is_required():
            required.append(wire)
    for wire in sorted(model.tolerated):
        properties[wire] = {"description": "Accepted and ignored."}
    schema: Schema = {
        "type": "object",
        "description": inspect.getdoc(model),
        "properties": properties,
        "additionalProperties": False,
    }
    if required:
        schema["required"] = required
    for rule in model.rules:
        rule.constrain(schema)
    return schema


def _value(annotation: Any, definitions: dict[str, Schema]) -> Schema:
    """The schema of one member's value."""
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (part for part in get_args(annotation) if part is not NoneType)
        return _value(annotation, definitions)
    if get_origin(annotation) is tuple:
        return {"type": "array", "items": _value(get_args(annotation)[0], definitions)}
    if hasattr(annotation, "__metadata__"):
        return _value(get_args(annotation)[0], definitions)
    if issubclass(annotation, Model):
        name = annotation.__name__
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = _object(annotation, definitions)
        return {"$ref": f"#/$defs/{name}"}
    if issubclass(annotation, WireEnum):
        return {"type": "string", "enum": [member.value for member in annotation]}
    if issubclass(annotation, timedelta):
        return {"type": "string", "examples": ["PT1H30M", "P7D", "7.00:00:00"]}
    return {"type": {str: "string", SecretStr: "string", int: "integer"}[annotation]}


def _default(info: FieldInfo) -> Any:
    if info.default is PydanticUndefined or info.default == ():
        return None
    return format_duration(info.default) if isinstance(info.default, timedelta) else info.default


@cache
def _attribute_texts(model: type[Model]) -> dict[str, str]:
    """The docstrings below the attributes of `model`, which Python itself does not keep."""
    (definition,) = ast.parse(inspect.getsource(model)).body
    assert isinstance(definition, ast.ClassDef)
    texts = {}
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        match statement, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                texts[name] = inspect.cleandoc(text)
    return texts


if __name__ == "__main__":
    sys.stdout.write(json.dumps(job_schema(), indent=2) + "\n")
