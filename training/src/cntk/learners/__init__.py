"""Learners and the schedules of their parameters."""

from cntk._absent import absent
from cntk.learners._kinds import (
    adadelta,
    adagrad,
    adam,
    default_unit_gain_value,
    fsadagrad,
    momentum_sgd,
    nesterov,
    rmsprop,
    set_default_unit_gain_value,
    sgd,
)
from cntk.learners._learner import Learner
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
from cntk.learners._user import UserLearner, universal

__all__ = [
    "IGNORE",
    "Learner",
    "UnitType",
    "UserLearner",
    "adadelta",
    "adagrad",
    "adam",
    "default_unit_gain_value",
    "fsadagrad",
    "learning_parameter_schedule",
    "learning_parameter_schedule_per_sample",
    "learning_rate_schedule",
    "momentum_as_time_constant_schedule",
    "momentum_schedule",
    "momentum_schedule_per_sample",
    "momentum_sgd",
    "nesterov",
    "rmsprop",
    "set_default_unit_gain_value",
    "sgd",
    "training_parameter_schedule",
    "universal",
]
__getattr__ = absent(__name__)
