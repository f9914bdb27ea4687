"""Axes: static ones by number, the batch axis, and all static axes at once."""

from dataclasses import dataclass
from typing import Final, final

from cntk._absent import refuse
from cntk._dictionary import FileAxis

_DYNAMIC: Final = 2**31 - 1
_ALL_STATIC: Final = 2**31 - 2

BATCH: Final = FileAxis(_DYNAMIC, "defaultBatchAxis", ordered=False)
ALL_STATIC: Final = FileAxis(_ALL_STATIC, "AllStaticAxes", ordered=False)


@final
@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a variable.

    Args:
        static_axis_index: Counts as Python counts: 0 is the first static axis, -1 the last.
        name: Set for the axes that have a name of their own.
    """

    static_axis_index: int
    name: str = ""

    @property
    def is_static_axis(self) -> bool:
        """Whether the axis belongs to each sample's shape."""
        return self.static_axis_index < _ALL_STATIC

    @staticmethod
    def default_batch_axis() -> "Axis":
        """Return the axis along which samples stand."""
        return Axis(BATCH.index, BATCH.name)

    @staticmethod
    def all_static_axes() -> "Axis":
        """Return what a reduction takes for all axes of a sample."""
        return Axis(ALL_STATIC.index, ALL_STATIC.name)

    @staticmethod
    def default_dynamic_axis() -> "Axis":
        """Refuse: sequences have no axis here yet."""
        raise refuse("Axis.default_dynamic_axis (sequences)")

    @staticmethod
    def unknown_dynamic_axis() -> "Axis":
        """Refuse: sequences have no axis here yet."""
        raise refuse("Axis.unknown_dynamic_axis (sequences)")


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
        if axis.name == BATCH.name:
            return BATCH
        if not axis.is_static_axis:
            return ALL_STATIC
        axis = axis.static_axis_index
    return static(-axis - 1)


def from_end(axis: FileAxis, rank: int) -> FileAxis:
    """Return `axis` counted from the fastest one.

    Args:
        axis: Perhaps one counted from the front.
        rank: Of the operand.

    Raises:
        ValueError: The operand has no such axis.
    """
    if axis.index >= _ALL_STATIC:
        return axis
    index = axis.index + rank if axis.index < 0 else axis.index
    if not 0 <= index < rank:
        message = f"The axis {axis.index} is out of range for an operand of rank {rank}."
        raise ValueError(message)
    return static(index)


def to_python(axis: FileAxis, rank: int) -> int:
    """Return the position of a static axis in Python's order, 0 for the first of `rank`."""
    return rank - 1 - from_end(axis, rank).index
