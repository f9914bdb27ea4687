"""Axes: static ones by number, the batch axis, sequence axes by name, and several at once."""

from collections.abc import Sequence
from typing import Final, final

from cntk._dictionary import FileAxis

_DYNAMIC: Final = 2**31 - 1
_ALL_STATIC: Final = 2**31 - 2
_ALL: Final = 2**31 - 5
_NEW_LEADING: Final = 2**31 - 4

BATCH: Final = FileAxis(_DYNAMIC, "defaultBatchAxis", ordered=False)
SEQUENCE: Final = FileAxis(_DYNAMIC, "defaultDynamicAxis", ordered=True)
ALL_STATIC: Final = FileAxis(_ALL_STATIC, "AllStaticAxes", ordered=False)
ALL: Final = FileAxis(_ALL, "AllAxes", ordered=False)

Axes = tuple[FileAxis, ...]
"""A variable's dynamic axes as Python lists them: the batch axis, then perhaps a sequence axis."""
_NAMES: Final[set[str]] = {BATCH.name, SEQUENCE.name}


@final
class Axis:
    """An axis of a variable.

    Args:
        what: A static axis as Python counts them, 0 the first and -1 the last; or the name of a
            sequence axis: axes of one name are the same axis.
    """

    __slots__ = ("_file",)

    def __init__(self, what: int | str) -> None:
        if isinstance(what, str):
            _NAMES.add(what)
            self._file = FileAxis(_DYNAMIC, what, what != BATCH.name)
        else:
            self._file = FileAxis(int(what), f"staticAxisIdx={int(what)}", ordered=True)

    @staticmethod
    def _of(axis: FileAxis) -> "Axis":
        made = object.__new__(Axis)
        made._file = axis
        return made

    @property
    def name(self) -> str:
        """Its name, unique among all axes."""
        return self._file.name

    @property
    def is_ordered(self) -> bool:
        """Whether what stands along it has an order."""
        return self._file.ordered

    @property
    def is_static_axis(self) -> bool:
        """Whether the axis belongs to each sample's shape."""
        return self._file.index < _ALL

    @property
    def is_dynamic_axis(self) -> bool:
        """Whether it is the batch axis or a sequence axis."""
        return self._file.index == _DYNAMIC

    @property
    def is_batch_axis(self) -> bool:
        """Whether the samples or sequences of a minibatch stand along it."""
        return self.is_dynamic_axis and not self.is_ordered

    @property
    def is_sequence_axis(self) -> bool:
        """Whether the steps of a sequence stand along it."""
        return self.is_dynamic_axis and self.is_ordered

    def static_axis_index(self, checked: bool = True) -> int:
        """Return the number of a static axis.

        Args:
            checked: Whether any other axis raises ValueError.
        """
        if checked and not self.is_static_axis:
            message = "Cannot query the static axis index for a non-static axis"
            raise ValueError(message)
        return self._file.index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Axis) and self._file == other._file

    def __hash__(self) -> int:
        return hash(self._file)

    def __repr__(self) -> str:
        return f"Axis('{self.name}')"

    @staticmethod
    def default_batch_axis() -> "Axis":
        """Return the axis along which samples stand."""
        return Axis._of(BATCH)

    @staticmethod
    def default_dynamic_axis() -> "Axis":
        """Return the axis of sequences that were given no other one."""
        return Axis._of(SEQUENCE)

    @staticmethod
    def default_input_variable_dynamic_axes() -> tuple["Axis", "Axis"]:
        """Return the batch axis and the default sequence axis."""
        return (Axis._of(BATCH), Axis._of(SEQUENCE))

    @staticmethod
    def unknown_dynamic_axes() -> tuple["Axis"]:
        """Return what a placeholder has for its dynamic axes while they are unknown."""
        return (Axis._of(FileAxis(_DYNAMIC, "UnknownAxes", ordered=True)),)

    @staticmethod
    def all_static_axes() -> "Axis":
        """Return what a reduction takes for all axes of a sample."""
        return Axis._of(ALL_STATIC)

    @staticmethod
    def all_axes() -> "Axis":
        """Return what a reduction takes for all axes, static and dynamic."""
        return Axis._of(ALL)

    @staticmethod
    def new_leading_axis() -> "Axis":
        """Return the place before the first static axis."""
        return Axis._of(FileAxis(_NEW_LEADING, f"staticAxisIdx={_NEW_LEADING}", ordered=True))

    @staticmethod
    def new_unique_dynamic_axis(name: str) -> "Axis":
        """Return a sequence axis that is no other: a number makes a name that is taken unique."""
        unique, number = name, 0
        while unique in _NAMES:
            number += 1
            unique = f"{name}{number}"
        return Axis(unique)


def dynamic_axes(given: "Axis | Sequence[Axis]") -> Axes:
    """Return the axes a script gave to an input, the batch axis first."""
    listed = [given] if isinstance(given, Axis) else list(given)
    return tuple(sorted((axis._file for axis in listed), key=lambda axis: axis.ordered))


def sequence_of(axes: Axes | None) -> FileAxis | None:
    """Return the sequence axis among `axes`, None if there is none or nothing is known."""
    return next((axis for axis in axes or () if axis.ordered), None)


def text_of(axes: Axes | None) -> str:
    """Return the axes as CNTK prints them: `[#, *]`."""
    if axes is None:
        return "[???]"
    marks = {BATCH.name: "#", SEQUENCE.name: "*"}
    return f"[{', '.join(marks.get(axis.name, axis.name) for axis in axes)}]"


def static(index: int) -> FileAxis:
    """Return the file's axis with `index` counted from the fastest one."""
    return FileAxis(index, f"staticAxisIdx={index}", ordered=True)


def to_file(axis: "Axis | int | None") -> FileAxis:
    """Translate Python's axis; one counted from the front stays negative until the rank is known.

    Args:
        axis: A number as Python counts, an `Axis`, or None for all static axes.

    Returns:
        The file's axis.
    """
    if axis is None:
        return ALL_STATIC
    if isinstance(axis, Axis):
        if not axis.is_static_axis:
            return axis._file
        axis = axis.static_axis_index()
    return static(-axis - 1)


def from_end(axis: FileAxis, rank: int) -> FileAxis:
    """Return `axis` counted from the fastest one.

    Args:
        axis: Perhaps one counted from the front.
        rank: Of the operand.

    Raises:
        ValueError: The operand has no such axis.
    """
    if axis.index >= _ALL:
        return axis
    index = axis.index + rank if axis.index < 0 else axis.index
    if not 0 <= index < rank:
        message = f"Axis '{Axis._of(axis)!r}' is out of bounds for the rank '{rank}' it applies to."
        raise ValueError(message)
    return static(index)


def to_python(axis: FileAxis, rank: int) -> int:
    """Return the position of a static axis in Python's order, 0 for the first of `rank`."""
    return rank - 1 - from_end(axis, rank).index
