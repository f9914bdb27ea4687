"""Map files: which picture stands where, and of what class it is."""

import base64
import binascii
import re
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch

from cntk._absent import refuse
from cntk.io import _order
from cntk.io._ahead import Pictures
from cntk.io._order import Indices
from cntk.io._pixels import Picture, Scale, opencv

_TWO_CLASSES: Final = 2
"""How many classes there are when nobody asks for labels: CNTK's own default."""
_WITH_ID: Final = 3
_KEPT: Final = 256 << 20
"""Bytes of decoded pictures that are kept: enough for all of CIFAR-10, 150 MB."""


@final
@dataclass(frozen=True, slots=True)
class ImageDeserializer:
    """Pictures in files, as a map file lists them.

    Each of its lines is a path and the number of a class, or an id, a path and a class, with tabs
    between. Paths are the process's; a leading `...` stands for the map file's folder, and
    `a.zip@/b.png` for a picture in an archive. Pictures come as (3, height, width), blue first,
    values from 0 to 255; labels as one-hot vectors.

    Args:
        filename: The map file's path.
        streams: `StreamDef(field="image", transforms=[...])` and `StreamDef(field="label",
            shape=classes)`, the label perhaps left out.
    """

    filename: str | Path
    streams: Mapping[str, Any]

    def __post_init__(self) -> None:
        _fields(self.streams, "ImageDeserializer")

    def _corpus(self) -> "ImageCorpus":
        path = Path(self.filename)
        names, classes = _fields(self.streams, "ImageDeserializer")
        keys, files, labels = _map(path, classes)
        chunks = [range(i, i + 1) for i in range(len(files))]
        return ImageCorpus(self.streams, names, _Files(files), keys, labels, classes, chunks)


@final
@dataclass(frozen=True, slots=True)
class Base64ImageDeserializer:
    """Pictures in a text file: class and base64, or id, class and base64, with tabs between.

    Args:
        filename: Its path.
        streams: As for `ImageDeserializer`.
    """

    filename: str | Path
    streams: Mapping[str, Any]

    def __post_init__(self) -> None:
        _fields(self.streams, "Base64ImageDeserializer")

    def _corpus(self) -> "ImageCorpus":
        path = Path(self.filename)
        names, classes = _fields(self.streams, "Base64ImageDeserializer")
        try:
            lines = path.read_bytes().splitlines(keepends=True)
        except OSError as error:
            message = f"Could not open '{path}' for reading."
            raise RuntimeError(message) from error
        with_id = bool(lines) and lines[0].count(b"\t") >= _WITH_ID - 1
        keys: list[str] = []
        labels: list[int] = []
        texts: list[bytes] = []
        for i, line in enumerate(lines):
            *before, text = line.split(b"\t", 1 + with_id)
            if len(before) != 1 + with_id:
                message = f"No data found for sequence '{i}' in the input file '{path}'"
                raise RuntimeError(message)
            keys.append(before[0].decode(errors="replace") if with_id else str(i))
            labels.append(_class(before[-1].decode(errors="replace")))
            if labels[-1] < 0:
                message = f"Cannot parse label value for sequence '{i}' in the input file '{path}'"
                raise RuntimeError(message)
            if labels[-1] >= classes:
                message = (
                    f"Image with id '{keys[-1]}' has invalid class id '{labels[-1]}'. It is "
                    f"exceeding the label dimension of '{classes}'"
                )
                raise RuntimeError(message)
            texts.append(text.strip())
        lengths = np.array([len(line) for line in lines], np.int64)
        reader = _Texts(path, texts)
        chunks = _order.chunks(lengths)
        return ImageCorpus(
            self.streams, names, reader, keys, np.array(labels, np.int64), classes, chunks
        )


@final
class ImageCorpus:
    """Pictures and their classes.

    Args:
        streams: What the script asked for.
        names: Its names for the pictures and the labels, which may be None.
        read: Returns a row's picture.
        keys: Each row's.
        labels: Class numbers, shape (rows,).
        classes: How many there are.
        chunks: Which rows are shuffled together.
    """

    def __init__(
        self,
        streams: Mapping[str, Any],
        names: tuple[str, str | None],
        read: Any,
        keys: list[str],
        labels: Indices,
        classes: int,
        chunks: list[range],
    ) -> None:
        if not chunks:
            message = (
                "Expected input to contain samples, but the number of successfully read samples "
                "was 0."
            )
            raise RuntimeError(message)
        self._image, self._label = names
        if streams[self._image].is_sparse:
            raise refuse("StreamDef(is_sparse=True) for pictures")
        transforms = streams[self._image].transforms or ()
        sizes = [(3, t.height, t.width) for t in transforms if isinstance(t, Scale)]
        self.streams: dict[str, tuple[str, tuple[int, ...]]] = {
            self._image: ("dense", sizes[-1] if sizes else ())
        }
        if self._label is not None:
            self.streams[self._label] = ("sparse", (classes,))
        self.keys: Sequence[str] = keys
        self.prepares = True
        self.sizes: Indices | None = None
        self.chunks = chunks
        self._labels = torch.from_numpy(labels)
        self._classes = classes
        steps = [transform.begin() for transform in transforms]
        self._pictures = Pictures(_Kept(read, len(keys)), steps)

    def rows(self, rows: Indices, names: Collection[str]) -> dict[str, torch.Tensor]:
        """Return these rows, each stream's of shape (rows, 1) + a sample's."""
        found: dict[str, torch.Tensor] = {}
        if self._image in names:
            found[self._image] = self._pictures.take(rows)[:, None]
        if self._label is not None:
            labels = self._labels[torch.from_numpy(rows)]
            one_hot = torch.zeros(len(rows), 1, self._classes)
            found[self._label] = one_hot.scatter_(2, labels[:, None, None], 1.0)
        return found

    def prepare(self, rows: Indices) -> None:
        """Start on the rows that will probably be next."""
        self._pictures.prepare(rows)


@final
class _Kept:
    """Small pictures decoded once, if all of them together are small.

    Args:
        read: Returns a row's picture.
        count: How many rows there are.
    """

    def __init__(self, read: Callable[[int], Picture], count: int) -> None:
        self._read = read
        self._count = count
        self._kept: dict[int, Picture] = {}

    def __call__(self, row: int) -> Picture:
        found = self._kept.get(row)
        if found is None:
            found = self._read(row)
            if found.nbytes * self._count <= _KEPT:
                self._kept[row] = found
        return found


def _fields(streams: Mapping[str, Any], who: str) -> tuple[tuple[str, str | None], int]:
    image = label = None
    classes = _TWO_CLASSES
    for name, stream in streams.items():
        if stream.field == "image":
            image = name
        elif stream.field == "label":
            label, classes = name, int(stream.shape)
        else:
            message = f"{who}: invalid field name '{stream.field}', allowed are 'image' and 'label'"
            raise ValueError(message)
    if image is None:
        message = f"{who}: stream name ('image' or 'label') must be specified"
        raise ValueError(message)
    return (image, label), classes


def _class(text: str) -> int:
    """Return the number a text begins with; -1 if it begins with none."""
    found = re.match(r"\s*\+?(\d+)", text)
    return int(found.group(1)) if found else -1


def _map(path: Path, classes: int) -> tuple[list[str], list[str], Indices]:
    """Read a map file.

    Returns:
        For each line its key, its picture's path and its class.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        message = f"Could not open {path} for reading."
        raise RuntimeError(message) from error
    keys: list[str] = []
    files: list[str] = []
    labels: list[int] = []
    folder = str(path.parent)
    for i, line in enumerate(text.removesuffix("\n").split("\n") if text else ()):
        words = line.split("\t")
        if len(words) < 2 or not words[-1].strip():
            message = (
                "Invalid map file format, must contain 2 or 3 tab-delimited columns, "
                f"line {i} in file {path}."
            )
            raise RuntimeError(message)
        *before, file, label = words[:_WITH_ID]
        number = _class(label)
        negative = re.match(r"\s*-(\d+)", label)
        if negative:
            # As unsigned numbers of 64 bits, as CNTK has it, which is surely too many.
            number = (1 << 64) - int(negative.group(1))
        if number < 0:
            column = "third" if before else "second"
            message = f"Cannot parse label value on line {i}, {column} column, in file {path}."
            raise RuntimeError(message)
        if number >= classes:
            message = (
                f"Image '{file}' has invalid class id '{number}'. It is exceeding the label "
                f"dimension of '{classes}'. Line {i} in file {path}."
            )
            raise RuntimeError(message)
        keys.append(before[0] if before else str(i))
        files.append(folder + file[3:] if file.startswith("...") else file)
        labels.append(number)
    return keys, files, np.array(labels, np.int64)


@final
class _Files:
    """Pictures in files and archives."""

    def __init__(self, files: list[str]) -> None:
        self._cv = opencv()
        self._files = files
        self._archives: dict[str, zipfile.ZipFile] = {}
        for name in {file.partition("@")[0] for file in files if "@" in file}:
            self._archives[name] = _archive(name)
        for file in files:
            archive, mark, item = file.partition("@")
            if mark and _item(item) not in self._archives[archive].NameToInfo:
                message = f"Cannot retrieve image data for some sequences from {archive}: {item}"
                raise RuntimeError(message)

    def __call__(self, row: int) -> Picture:
        file = self._files[row]
        archive, mark, item = file.partition("@")
        picture: Picture | None
        if mark:
            data = self._archives[archive].read(_item(item))
            picture = _decoded(self._cv, data)
        else:
            picture = self._cv.imread(file, self._cv.IMREAD_COLOR)
        if picture is None:
            message = f"Cannot open file '{file}'"
            raise RuntimeError(message)
        return picture


def _archive(name: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(name)
    except (OSError, zipfile.BadZipFile) as error:
        message = f"Failed to open {name}, zip library error: {error}"
        raise RuntimeError(message) from error


def _item(path: str) -> str:
    return path[1:].replace("\\", "/")


def _decoded(cv: Any, data: bytes) -> Picture | None:
    if not data:
        return None
    picture: Picture | None = cv.imdecode(np.frombuffer(data, np.uint8), cv.IMREAD_COLOR)
    return picture


@final
class _Texts:
    """Pictures in base64."""

    def __init__(self, path: Path, texts: list[bytes]) -> None:
        self._cv = opencv()
        self._path = path
        self._texts = texts

    def __call__(self, row: int) -> Picture:
        try:
            picture = _decoded(self._cv, base64.b64decode(self._texts[row], validate=True))
        except binascii.Error:
            picture = None
        if picture is None:
            message = f"Cannot decode sequence with id {row} in the input file '{self._path}'"
            raise RuntimeError(message)
        return picture
