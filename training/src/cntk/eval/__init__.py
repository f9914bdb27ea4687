"""Evaluation."""

from cntk._absent import absent
from cntk.eval.evaluator import Evaluator

__all__ = ["Evaluator"]
__getattr__ = absent(__name__)
