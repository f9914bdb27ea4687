"""What is said about training."""

from cntk._absent import absent
from cntk.logging.progress_print import ProgressPrinter, log_number_of_parameters

__all__ = ["ProgressPrinter", "log_number_of_parameters"]
__getattr__ = absent(__name__)
