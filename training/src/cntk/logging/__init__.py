"""What is said about training, and what is found in a graph."""

from enum import Enum, unique

from cntk._absent import absent
from cntk.logging.graph import (
    depth_first_search,
    find_all_with_name,
    find_by_name,
    find_by_uid,
    get_node_outputs,
    plot,
)
from cntk.logging.progress_print import (
    ProgressPrinter,
    TensorBoardProgressWriter,
    TrainingSummaryProgressCallback,
    log_number_of_parameters,
)


@unique
class TraceLevel(Enum):
    """How much is said beside the progress; a level equals its number."""

    Error = 0
    Warning = 1
    Info = 2

    def __eq__(self, other: object) -> bool:
        return self.value == (other.value if isinstance(other, TraceLevel) else other)

    def __hash__(self) -> int:
        return hash(self.value)


class _Level:
    value = TraceLevel.Warning.value


def set_trace_level(value: "TraceLevel | int") -> None:
    """Choose how much is said; it is kept for `get_trace_level`, nothing here says more or less."""
    _Level.value = TraceLevel(value.value if isinstance(value, TraceLevel) else value).value


def get_trace_level() -> int:
    """Return the number of the level that was chosen."""
    return _Level.value


__all__ = [
    "ProgressPrinter",
    "TensorBoardProgressWriter",
    "TraceLevel",
    "TrainingSummaryProgressCallback",
    "depth_first_search",
    "find_all_with_name",
    "find_by_name",
    "find_by_uid",
    "get_node_outputs",
    "get_trace_level",
    "log_number_of_parameters",
    "plot",
    "set_trace_level",
]
__getattr__ = absent(__name__)
