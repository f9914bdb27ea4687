"""Strict reading: everything wrong in a JSON document a person wrote, each with its JSON path."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from typing import Any, final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from batchai_quickstart.errors import Finding
from batchai_quickstart.models._rules import Path
from batchai_quickstart.models.names import wire_name


def json_path(path: Path) -> str:
    """`("a", "b", 0, "c")` as `a.b[0].c`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


@cache
def members(model: type[BaseModel]) -> dict[str, type[BaseModel] | None]:
    """The members a JSON object of `model` may have: wire name -> model (None: a plain value)."""
    return {
        wire_name(name): _model_in(info.annotation) for name, info in model.model_fields.items()
    }


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside `X`, `X | None` or `tuple[X, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in get_args(annotation))
    return next((model for model in found if model is not None), None)


def errors_of(model: type[BaseModel], clean: Any) -> tuple[BaseModel | None, list[ErrorDetails]]:
    """Validate a screened document without any conversion of types.

    JSON mode is what lets an array be a tuple and text be a time while a bool is no number.
    """
    try:
        return model.model_validate_json(json.dumps(clean), strict=True), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


@final
@dataclass(slots=True)
class Reading:
    """One pass over one document: collects findings, returns what is left to validate.

    A misspelt name is reported once and then read as the name that was meant, so that it causes no
    second finding and what it holds is looked at too.

    Arguments:
        document: the JSON value as it was written.
        draft: accept the absence of what the client fills in before it sends the document.
    """

    document: Any
    draft: bool
    _found: list[tuple[Path, Finding]] = field(default_factory=list)
    _respelt: dict[Path, str] = field(default_factory=dict)

    def screen(self, model: type[BaseModel]) -> Any:
        """The document with known names only."""
        return self._screen(model, self.document, (), ())

    def add_errors(self, errors: Sequence[ErrorDetails]) -> None:
        """Report what pydantic found in the screened document."""
        for error in errors:
            loc = tuple(error["loc"])
            written = tuple(self._respelt.get(loc[: at + 1], step) for at, step in enumerate(loc))
            self._add(written, *_wording(error))

    def findings(self) -> list[Finding]:
        """All findings in document order."""
        return [finding for _, finding in sorted(self._found, key=lambda f: self._position(f[0]))]

    def _add(self, path: Path, problem: str, suggestion: str | None = None) -> None:
        self._found.append((path, Finding(json_path(path), problem, suggestion)))

    def _screen(self, model: type[BaseModel], data: Any, path: Path, clean_path: Path) -> Any:
        """`data` with known names; `path` has the names as written, `clean_path` as meant."""
        if isinstance(data, list):
            return [
                self._screen(model, item, (*path, index), (*clean_path, index))
                for index, item in enumerate(data)
            ]
        if not isinstance(data, dict):
            return data
        known = members(model)
        clean = {}
        for key, value in data.items():
            name = key if key in known else self._meant(model, key, data, path)
            if name is None or value is None:
                continue
            where = (*clean_path, name)
            if name != key:
                self._respelt[where] = key
            inner = known[name]
            clean[name] = (
                value if inner is None else self._screen(inner, value, (*path, key), where)
            )
        if not self.draft:
            for name in sorted(getattr(model, "filled_in", frozenset()) - clean.keys()):
                self._add((*path, name), "is missing")
        for rule in getattr(model, "rules", ()):
            for at, problem in rule.problems(clean, draft=self.draft):
                self._add((*path, *at), problem)
        return clean

    def _meant(
        self, model: type[BaseModel], key: str, data: Mapping[str, Any], path: Path
    ) -> str | None:
        """The member that an unknown `key` means; None for what is dropped."""
        if key in getattr(model, "tolerated", frozenset()):
            return None
        known = members(model)
        spellings = {name.lower(): name for name in known if name not in data}
        near = get_close_matches(str(key).lower().replace("_", ""), spellings, n=1, cutoff=0.7)
        if near:
            self._add((*path, key), "unknown name", spellings[near[0]])
            return spellings[near[0]]
        homes = [name for name, inner in known.items() if inner and key in members(inner)]
        place = f"belongs in {homes[0]!r}" if len(homes) == 1 else f"known: {', '.join(known)}"
        self._add((*path, key), f"unknown name here ({place})")
        return None

    def _position(self, path: Path) -> tuple[int, ...]:
        """Where `path` stands in the document; what is absent stands at its object's end."""
        node, position = self.document, []
        for step in path:
            if isinstance(node, dict) and step in node:
                position.append(list(node).index(step))
                node = node[step]
            elif isinstance(node, list) and isinstance(step, int) and step < len(node):
                position.append(step)
                node = node[step]
            else:
                position.append(len(node) if isinstance(node, dict | list) else 0)
                break
        return tuple(position)


_EXPECTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "model_type": "an object",
    "dict_type": "an object",
    "tuple_type": "a list",
}


def _wording(error: ErrorDetails) -> tuple[str, str | None]:
    """Problem and suggestion of one pydantic error; shows no text that could be a secret."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "is missing", None
    if kind == "enum":
        names = {name.lower(): name for name in context["names"].split(", ")}
        near = get_close_matches(context["found"].lower(), names, n=1)
        return error["msg"], names[near[0]] if near else None
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, found {json_kind(error['input'])}", None
    return error["msg"], None


def json_kind(value: object) -> str:
    """What kind of JSON value this is, in words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(value)
    words: dict[type, str] = {
        type(None): "null",
        str: "a string",
        int: "a number",
        list: "a list",
        dict: "an object",
    }
    return words.get(type(value), f"a {type(value).__name__}")
