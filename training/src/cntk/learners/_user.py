"""Learners that scripts write themselves, in Python or as a function of CNTK."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np
import torch

from cntk._dictionary import Dictionary
from cntk._graph import leaves
from cntk._program import Program
from cntk._random import SEEDS
from cntk.learners._learner import Announcements, _changed, listed_parameters
from cntk.learners._options import Progress
from cntk.learners._schedule import Schedule, schedule_from_file
from cntk.variables import Constant, Parameter, Variable


class Gradient(np.ndarray[Any, Any]):
    """A gradient as an array that has `asarray` as well."""

    def asarray(self) -> "np.ndarray[Any, Any]":
        """Return the values as a plain array."""
        return np.asarray(self)


class UserLearner:
    """Base of learners written in Python: derive from it and override `update`.

    Args:
        parameters: What it changes.
        lr_schedule: The learning rates, for `learning_rate` and the log.
        as_numpy: Accepted; gradients are arrays.
    """

    def __init__(
        self, parameters: Sequence[Parameter], lr_schedule: Any, as_numpy: bool = True
    ) -> None:
        if not isinstance(lr_schedule, Schedule):
            message = f"A UserLearner takes a schedule of learning rates, not {lr_schedule!r}."
            raise TypeError(message)
        self.as_numpy = as_numpy
        self.__parameters = listed_parameters(parameters)
        self.__rates: Schedule = lr_schedule
        self.__progress = Progress()
        self.__said: dict[str, float] = {}
        SEEDS.take()

    def update(
        self, gradient_values: Mapping[Parameter, Any], training_sample_count: int, sweep_end: bool
    ) -> bool:
        """Change the parameters; override it.

        Args:
            gradient_values: Parameter to array of its shape: the gradient, summed up over the
                minibatch.
            training_sample_count: How many samples the minibatch has.
            sweep_end: Whether a sweep of the data ends with it.

        Returns:
            False when there is nothing more to learn.
        """
        raise NotImplementedError("UserLearner.update must be overriden")

    def parameters(self) -> tuple[Parameter, ...]:
        """Return what it changes."""
        return self.__parameters

    def learning_rate(self) -> float:
        """Return the learning rate of the schedule for the next update."""
        return self.__rates.at(self.__progress.samples, self.__progress.sweeps)

    def reset_learning_rate(self, learning_rate: Schedule) -> None:
        """Use other learning rates from now on."""
        begun = learning_rate.begun_at(self.__progress.samples, self.__progress.sweeps)
        self.__rates = begun.meant_for(self.__rates.minibatch_size)

    def total_number_of_samples_seen(self) -> int:
        """Return how many samples the updates so far were made of."""
        return self.__progress.samples

    def total_number_of_sweeps_seen(self) -> int:
        """Return how many sweeps of the data have ended."""
        return self.__progress.sweeps

    def total_number_of_minibatches_seen(self) -> int:
        """Return how many updates there were."""
        return self.__progress.minibatches

    @property
    def _learned(self) -> tuple[Parameter, ...]:
        return self.__parameters

    def _announcements(self) -> Announcements:
        return _changed(self.__said, "Learning rate", self.__rates, self.__progress)

    def _update(self, samples: int, sweep_end: bool) -> bool:
        updated: Any = self._change(samples, sweep_end)
        if not isinstance(updated, bool | np.bool_):
            message = f"UserLearner.update must return a bool, not {updated!r}."
            raise TypeError(message)
        if updated:
            self.__progress.add(samples, sweep_end)
        return bool(updated)

    def _change(self, samples: int, sweep_end: bool) -> bool:
        gradients = {}
        for parameter in self.__parameters:
            value = parameter._tensor
            found = torch.zeros_like(value) if value.grad is None else value.grad
            gradients[parameter] = found.to_dense().cpu().contiguous().numpy().view(Gradient)
            value.grad = None
        return self.update(gradients, samples, sweep_end)

    def _to_file(self) -> Dictionary:
        return {**self.__progress.to_file(), "learnig_rate_schedule": self.__rates.to_file()}

    def _from_file(self, stored: Dictionary) -> Callable[[], None]:
        # CNTK stores nothing of a user's learner: then it begins anew.
        progress = Progress.from_file(stored) if stored else Progress()
        rates = schedule_from_file(stored["learnig_rate_schedule"]) if stored else self.__rates

        def apply() -> None:
            self.__progress, self.__rates, self.__said = progress, rates, {}

        return apply


@final
class _Assigning(UserLearner):
    """A learner whose update is a function with assignments in it."""

    def __init__(
        self,
        parameters: Sequence[Parameter],
        gradients: Sequence[Constant],
        outputs: Sequence[Variable],
    ) -> None:
        super().__init__(parameters, Schedule((1.0,), (0,)))
        self._gradients = gradients
        self._program = Program(outputs, training=False)

    @torch.no_grad()
    def _change(self, _samples: int, _sweep_end: bool) -> bool:
        for parameter, gradient in zip(self._learned, self._gradients, strict=True):
            value = parameter._tensor
            found = torch.zeros_like(value) if value.grad is None else value.grad.to_dense()
            gradient._tensor.copy_(found)
            parameter._tensor.grad = None
        self._program.run({})
        return True


def universal(
    update_func: Callable[[Any, Any], Any], parameters: Sequence[Parameter]
) -> UserLearner:
    """Return a learner that changes parameters by a function of CNTK.

    Args:
        update_func: Takes the list of parameters and the list of their gradients, constants that
            hold the sums over the minibatch; returns a function that has `assign` in it.
        parameters: What it changes.

    Raises:
        ValueError: The function takes something else, or a parameter's shape is not known yet.
        RuntimeError: What it returns does not depend on a parameter.
    """
    if len(inspect.signature(update_func).parameters) != 2:
        message = (
            "update_func must be a function that accepts two arguments (parameters, gradients)"
        )
        raise ValueError(message)
    for parameter in parameters:
        if any(dim < 0 for dim in parameter.shape):
            message = (
                f"parameter {parameter!r} has inferred dimensions. Please create the learner after "
                "all parameter shapes have been determined"
            )
            raise ValueError(message)
    gradients = [Constant(0, p.shape, p.dtype, name="grad") for p in parameters]
    made = update_func(list(parameters), list(gradients))
    outputs = getattr(made, "outputs", None)
    if outputs is None:
        message = f"update_func must return a function, not {made!r}."
        raise TypeError(message)
    for parameter in parameters:
        if parameter not in leaves(outputs):
            message = (
                f"Update function does not contain the parameter {parameter!r} in its computation"
            )
            raise RuntimeError(message)
    return _Assigning(parameters, gradients, outputs)
