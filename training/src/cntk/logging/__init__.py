"""What is said about training, and about what is trained."""

from cntk._absent import absent
from cntk.logging.graph import (
    depth_first_search,
    find_all_with_name,
    find_by_name,
    find_by_uid,
    get_node_outputs,
    plot,
)
from cntk.logging.progress_print import ProgressPrinter, log_number_of_parameters

__all__ = [
    "ProgressPrinter",
    "depth_first_search",
    "find_all_with_name",
    "find_by_name",
    "find_by_uid",
    "get_node_outputs",
    "log_number_of_parameters",
    "plot",
]
__getattr__ = absent(__name__)
