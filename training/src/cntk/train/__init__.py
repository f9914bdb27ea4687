"""Training."""

from cntk._absent import absent
from cntk.train.trainer import Trainer

__all__ = ["Trainer"]
__getattr__ = absent(__name__)
