"""Learners and the schedules of their parameters."""

from cntk._absent import absent
from cntk.learners._learner import Learner, adam, momentum_sgd, nesterov, sgd
from cntk.learners._schedule import (
    IGNORE,
    UnitType,
    learning_parameter_schedule,
    learning_parameter_schedule_per_sample,
    learning_rate_schedule,
    momentum_as_time_constant_schedule,
    momentum_schedule,
    momentum_schedule_per_sample,
    training_parameter_schedule,
)

__all__ = [
    "IGNORE",
    "Learner",
    "UnitType",
    "adam",
    "learning_parameter_schedule",
    "learning_parameter_schedule_per_sample",
    "learning_rate_schedule",
    "momentum_as_time_constant_schedule",
    "momentum_schedule",
    "momentum_schedule_per_sample",
    "momentum_sgd",
    "nesterov",
    "sgd",
    "training_parameter_schedule",
]
__getattr__ = absent(__name__)
