"""Job files: a job written down as JSON, and the request it becomes.

A job file is what `az batchai job create -f` took: the body of the request without what is known
only at submission (the cluster, the name and key of the storage account), with placeholders such
as `<AZURE_BATCHAI_STORAGE_ACCOUNT>` where the account has to be named.
"""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from enum import Enum
from os import PathLike
from pathlib import Path
from typing import Any, Self, final
from urllib.parse import urlsplit

from pydantic import SecretStr

from batchai_quickstart import models
from batchai_quickstart.errors import ConfigurationError, Finding, InvalidSpecError
from batchai_quickstart.models.names import wire_name
from batchai_quickstart.models.scalars import format_duration
from batchai_quickstart.models.schema import job_schema

__all__ = ["ACCOUNT", "KEY", "JobSpec", "account_of_share", "job_schema"]

ACCOUNT = "AZURE_BATCHAI_STORAGE_ACCOUNT"
"""Placeholder and environment variable: the name of the storage account."""
KEY = "AZURE_BATCHAI_STORAGE_KEY"
"""Placeholder and environment variable: the key of the storage account."""

# Only this family is known to be meant: `<INPUT>` may be redirection in a command line.
_PLACEHOLDER = re.compile(r"<(AZURE_BATCHAI_\w+)>", re.ASCII)
_INDENTATION = re.compile(r"\s*\{\r?\n([ \t]+)")
_HOW_STORAGE = f"pass storage=, or set {ACCOUNT} and {KEY}"


@final
@dataclass(frozen=True, slots=True, repr=False)
class JobSpec:
    """What a job is to run, from a job file or a `dict` of the same form.

    Made by `from_file` and `from_dict`, which report every mistake at once. The document is kept
    as it was written, placeholders included: `to_file` of an unchanged spec writes the same bytes,
    and a storage key that fills a placeholder never gets into a file.

    Attributes:
        properties: the job as models, with the given placeholders filled in.
        where: the document's name in messages, for example its path.
    """

    properties: models.JobBaseProperties
    where: str
    _document: dict[str, Any]
    _placeholders: Mapping[str, str]
    _source: str | None = field(default=None, compare=False)
    _indentation: str = field(default="    ", compare=False)

    @classmethod
    def from_file(
        cls, path: str | PathLike[str], *, placeholders: Mapping[str, str] | None = None
    ) -> Self:
        """Load a job file (JSON in UTF-8).

        Arguments:
            path: the file.
            placeholders: values for `<NAME>` anywhere in the file, by name.

        Raises:
            ConfigurationError: the file is not there or cannot be read.
            InvalidSpecError: the file is no JSON, or no job; one finding for each mistake.
        """
        where = str(path)
        text = _text_of(Path(path))
        document = _parsed(text, where)
        spec = cls.from_dict(document, placeholders=placeholders, where=where)
        indentation = _INDENTATION.match(text)
        return dataclasses.replace(
            spec, _source=text, _indentation=indentation[1] if indentation else "    "
        )

    @classmethod
    def from_dict(
        cls,
        document: Mapping[str, Any],
        *,
        placeholders: Mapping[str, str] | None = None,
        where: str = "",
    ) -> Self:
        """Take a job as a `dict` in the form of a job file.

        Arguments:
            document: wire names; values may also be models, enumerations and `timedelta`.
            placeholders: values for `<NAME>` anywhere in the document, by name.
            where: the document's name in messages.

        Raises:
            InvalidSpecError: the document is no job; one finding for each mistake.
        """
        written = _json(document)
        values = {name.strip("<>"): text for name, text in (placeholders or {}).items()}
        filled = _filled(written, values)
        job = models.JobCreateParameters.read(filled, where=where, draft=True)
        return cls(job.properties, where, written, values)

    def to_dict(self) -> dict[str, Any]:
        """The document as it was written; a copy."""
        return deepcopy(self._document)

    def to_file(self, path: str | PathLike[str]) -> None:
        """Save the document; an unchanged one that was loaded is written byte for byte."""
        text = self._source
        if text is None:
            text = json.dumps(self._document, indent=self._indentation, ensure_ascii=False) + "\n"
        Path(path).write_text(text, encoding="utf-8", newline="")

    def replace(self, **changes: Any) -> "JobSpec":
        """A copy with other properties.

        Arguments:
            changes: attributes of `models.JobBaseProperties`, for example `node_count=2`; values
                are models or JSON. None removes a property.

        Raises:
            TypeError: there is no such attribute.
            InvalidSpecError: the changed document is no job.
        """
        fields = models.JobBaseProperties.model_fields
        document = self.to_dict()
        for name, value in changes.items():
            if name not in fields:
                near = get_close_matches(name, fields, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise TypeError(f"a job has no property {name!r}{hint}")
            document["properties"].pop(wire_name(name), None)
            if value is not None:
                document["properties"][wire_name(name)] = value
        spec = JobSpec.from_dict(document, placeholders=self._placeholders, where=self.where)
        return dataclasses.replace(spec, _indentation=self._indentation)

    def to_request(
        self, cluster_id: str | None, storage: tuple[str, str] | None = None
    ) -> dict[str, Any]:
        """The body of the request that submits this job. It contains secrets in clear.

        Placeholders are filled in, and so are account name and credentials of the mounted shares
        and containers that lack them.

        Arguments:
            cluster_id: resource id of the cluster; None: the one the document names.
            storage: name and key of the storage account the job's mounts are in; also the values
                of the placeholders `<AZURE_BATCHAI_STORAGE_ACCOUNT>` and
                `<AZURE_BATCHAI_STORAGE_KEY>`, unless those were given when the spec was made.

        Raises:
            InvalidSpecError: a placeholder is left, or something to be filled in is not known.
        """
        values = dict(zip((ACCOUNT, KEY), storage, strict=True)) if storage else {}
        filled = _filled(self._document, {**values, **self._placeholders})
        self._raise_for(list(_unfilled(filled, "")))
        job = models.JobCreateParameters.read(filled, where=self.where, draft=True)
        body = job.to_wire(secrets=True)
        properties = body["properties"]
        if cluster_id is not None:
            properties["cluster"] = {"id": cluster_id}
        findings = list(_complete(properties.get("mountVolumes", {}), storage))
        if "cluster" not in properties:
            findings.append(Finding("properties.cluster", "is missing, pass cluster="))
        self._raise_for(findings)
        return body

    def _raise_for(self, findings: list[Finding]) -> None:
        if findings:
            raise InvalidSpecError(findings, where=self.where)

    def __repr__(self) -> str:
        count = self.properties.node_count
        return (
            f"<JobSpec {self.where or 'from a dict'}: {models.tool_type(self.properties)} "
            f"on {count} {'node' if count == 1 else 'nodes'}>"
        )


def account_of_share(url: str) -> str | None:
    """The storage account of a share's URL; None when the URL does not tell.

    Understands `https://ACCOUNT.file.SUFFIX/share` and `http://host:port/file/ACCOUNT/share`.
    """
    try:
        parts = urlsplit(url)
        labels = (parts.hostname or "").split(".")
    except ValueError:
        return None
    if len(labels) > 1 and labels[1] == "file":
        return labels[0] or None
    segments = parts.path.strip("/").split("/")
    return segments[1] if len(segments) > 2 and segments[0] == "file" else None


def _text_of(path: Path) -> str:
    """The text of a job file, without the byte order mark some editors put first."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 (byte {error.start}), save it as UTF-8"
        raise InvalidSpecError([Finding("", problem)], where=str(path)) from None
    except FileNotFoundError:
        near = get_close_matches(path.name, _names_in(path.parent), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigurationError(
            f"There is no job file {str(path)!r} (working directory: {Path.cwd()}){hint}"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"Cannot read job file {str(path)!r}: {error.strerror}") from None


def _names_in(directory: Path) -> list[str]:
    return [entry.name for entry in directory.iterdir()] if directory.is_dir() else []


def _parsed(text: str, where: str) -> Any:
    repeated: list[Finding] = []

    def to_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            names = [name for name, _ in pairs]
            repeated.extend(
                Finding(name, "is given more than once in one object")
                for name in result
                if names.count(name) > 1
            )
        return result

    try:
        document = json.loads(text, object_pairs_hook=to_dict)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise InvalidSpecError([Finding(place, f"no JSON: {error.msg}")], where=where) from None
    if repeated:
        raise InvalidSpecError(repeated, where=where)
    return document


def _json(value: Any) -> Any:
    """`value` as plain JSON, nothing shared with it."""
    if isinstance(value, models.Model):
        return value.to_wire(secrets=True)
    if isinstance(value, Mapping):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return value.value if isinstance(value, Enum) else value


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    """`value` with every `<NAME>` of `values` replaced."""
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    if isinstance(value, str):
        for name, text in values.items():
            value = value.replace(f"<{name}>", text)
    return value


def _unfilled(value: Any, path: str) -> Iterator[Finding]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _unfilled(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unfilled(item, f"{path}[{index}]")
    elif isinstance(value, str):
        for name in dict.fromkeys(_PLACEHOLDER.findall(value)):
            how = f"{_HOW_STORAGE}, or " if name in (ACCOUNT, KEY) else ""
            yield Finding(path, f"<{name}> is not filled in, {how}pass placeholders=")


def _complete(volumes: dict[str, Any], storage: tuple[str, str] | None) -> Iterator[Finding]:
    """Fill in account names and credentials, in place; what cannot be filled in is reported."""
    for kind in ("azureFileShares", "azureBlobFileSystems"):
        for index, volume in enumerate(volumes.get(kind, ())):
            path = f"properties.mountVolumes.{kind}[{index}]"
            account = volume.get("accountName") or account_of_share(volume.get("azureFileUrl", ""))
            if not account and storage:
                account = storage[0]
            if not account:
                yield Finding(f"{path}.accountName", f"is missing, {_HOW_STORAGE}")
                continue
            volume["accountName"] = account
            if volume.get("credentials"):
                continue
            if storage is None:
                yield Finding(f"{path}.credentials", f"is missing, {_HOW_STORAGE}")
            elif account.lower() != storage[0].lower():
                yield Finding(
                    f"{path}.credentials",
                    f"is missing, and the volume is in account {account!r} while the key given "
                    f"is that of {storage[0]!r}",
                )
            else:
                volume["credentials"] = {"accountKey": storage[1]}
