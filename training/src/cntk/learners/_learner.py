"""Learners: parameters, how they learn, and how far they are.

A gradient is the sum over the minibatch, and a learning rate is turned into a rate for one sample;
everything else follows from these two.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, final

import numpy as np
import torch

from cntk._dictionary import Dictionary, SizeT
from cntk._random import SEEDS
from cntk.learners._options import Options, Progress, add_noise
from cntk.learners._rows import used_rows
from cntk.learners._rules import Rule, Step, Tensors
from cntk.learners._schedule import IGNORE, Schedule, schedule_from_file
from cntk.variables import Parameter

_FILE_VERSION: Final = SizeT(3)
Announcements = Iterator[tuple[str, float]]


class Learns(Protocol):
    """What a trainer needs of a learner."""

    @property
    def _learned(self) -> tuple[Parameter, ...]: ...
    def _announcements(self) -> Announcements: ...
    def _update(self, samples: int, sweep_end: bool) -> bool: ...
    def total_number_of_samples_seen(self) -> int: ...
    def _to_file(self) -> Dictionary: ...
    def _from_file(self, stored: Dictionary) -> Callable[[], None]: ...


@final
class Learner:
    """Parameters, how they learn and how far they are; made by `sgd`, `momentum_sgd` and their kin.

    Args:
        parameters: What it changes.
        lr: The learning rates.
        rule: How gradients change parameters.
        options: Regularisation, clipping and momentum.
    """

    ignored_minibatch_size = IGNORE

    def __init__(
        self, parameters: Sequence[Parameter], lr: Schedule, rule: Rule, options: Options
    ) -> None:
        self.parameters = listed_parameters(parameters)
        self._noise_seed = SEEDS.take()
        self._rates = lr
        self._rule = rule
        self._options = options
        self._slots: list[list[torch.Tensor]] = []
        self._smoothed_count = 0.0
        self._progress = Progress()
        self._said: dict[str, float] = {}

    @property
    def _learned(self) -> tuple[Parameter, ...]:
        return self.parameters

    @property
    def minibatch_size(self) -> int:
        """What the hyperparameters are meant for; `IGNORE` for minibatches of any size."""
        return self._options.minibatch_size or IGNORE

    def is_compatible_mode(self) -> bool:
        """Return whether gradients are means and hyperparameters are used as they are."""
        return self._options.means

    def learning_rate(self) -> float:
        """Return the learning rate that the next update uses, as the schedule states it."""
        return self._rates.at(self._progress.samples, self._progress.sweeps)

    def reset_learning_rate(self, learning_rate: Any) -> None:
        """Use other learning rates from now on; the schedule's beginning is now.

        What they are meant for, a sample or a minibatch, stays as it was.

        Raises:
            ValueError: It is no schedule.
        """
        if not isinstance(learning_rate, Schedule):
            message = (
                f"learning_rate type ({type(learning_rate)}) not supported. learning_rate must be "
                "a training schedule (output of learning_rate_schedule() function)"
            )
            raise ValueError(message)
        begun = learning_rate.begun_at(self._progress.samples, self._progress.sweeps)
        # What the rates are meant for stays, as in CNTK.
        self._rates = begun.meant_for(self._rates.minibatch_size)

    def reset_smoothed_gradients(self) -> None:
        """Forget what earlier gradients have left."""
        self._slots = []
        self._smoothed_count = 0.0

    def total_number_of_samples_seen(self) -> int:
        """Return how many samples the updates so far were made of."""
        return self._progress.samples

    def total_number_of_sweeps_seen(self) -> int:
        """Return how many sweeps of the data have ended."""
        return self._progress.sweeps

    def total_number_of_minibatches_seen(self) -> int:
        """Return how many updates there were."""
        return self._progress.minibatches

    def update(
        self,
        gradient_values: Mapping[Parameter, Any],
        training_sample_count: int,
        is_sweep_end: bool = False,
    ) -> bool:
        """Change the parameters by gradients that were computed elsewhere.

        Args:
            gradient_values: Parameter to array of its shape: the sum over the minibatch.
            training_sample_count: How many samples that had.
            is_sweep_end: Whether a sweep of the data ends with it.

        Returns:
            False when the learning rate is 0.
        """
        for parameter, gradient in gradient_values.items():
            array = np.ascontiguousarray(gradient, parameter.dtype).reshape(parameter.shape)
            parameter._tensor.grad = torch.from_numpy(array).to(parameter._tensor.device)
        return self._update(training_sample_count, is_sweep_end)

    def _announcements(self) -> Announcements:
        """Yield what a log must say before the next progress line: values that have changed."""
        yield from _changed(self._said, "Learning rate", self._rates, self._progress)
        momentum = self._options.momentum
        if self._rule.tells_momentum and momentum is not None and self.learning_rate():
            yield from _changed(self._said, "Momentum", momentum, self._progress)

    @torch.no_grad()
    def _update(self, samples: int, sweep_end: bool) -> bool:
        """Take the parameters' gradients of a minibatch of so many samples."""
        if not self.learning_rate():
            for parameter in self.parameters:
                parameter._tensor.grad = None
            return False
        step = self._step(samples)
        tensors = [parameter._tensor for parameter in self.parameters]
        if len(self._slots) != self._rule.slots:
            self._slots = [[torch.zeros_like(t) for t in tensors] for _ in range(self._rule.slots)]
        slots = self._slots
        if any(tensor.grad is None for tensor in tensors):
            # What the criterion does not depend on stays as it is.
            chosen = [i for i, tensor in enumerate(tensors) if tensor.grad is not None]
            tensors = [tensors[i] for i in chosen]
            slots = [[slot[i] for i in chosen] for slot in slots]
        if tensors:
            gradients: Tensors = [t.grad for t in tensors if t.grad is not None]
            if self._options.l1 or self._options.l2:
                # Every row decays, used or not.
                gradients = [g.to_dense() if g.is_sparse else g for g in gradients]
            with used_rows(tensors, gradients, slots) as (parts, changes, kept):
                changes = self._options.prepared(changes, parts, samples)
                self._rule.apply(parts, changes, kept, step)
            self._add_noise(tensors)
            self._options.finish(tensors, step.rate, samples)
            for tensor in tensors:
                tensor.grad = None
        self._progress.add(samples, sweep_end)
        return True

    def _add_noise(self, tensors: Tensors) -> None:
        noise = self._options.noise
        deviation = noise.at(self._progress.samples, self._progress.sweeps) if noise else 0.0
        if deviation > 0:
            for tensor in tensors:
                add_noise(tensor, deviation, self._noise_seed)
                self._noise_seed += 1

    def _step(self, samples: int) -> Step:
        options, progress = self._options, self._progress

        def over(schedule: Schedule | None) -> float:
            if schedule is None:
                return 0.0
            return schedule.over(schedule.at(progress.samples, progress.sweeps), samples)

        momentum, variance_momentum = over(options.momentum), over(options.variance_momentum)
        if self._rule.counts == "updates":
            self._smoothed_count += 1
        elif self._rule.counts:
            self._smoothed_count = (
                variance_momentum * self._smoothed_count + (1 - variance_momentum) * samples
            )
        rate = self.learning_rate()
        if not options.means:
            rate = self._rates.per_sample(rate, samples)
        elif self._rates.minibatch_size:
            rate *= samples / self._rates.minibatch_size
        gain = 1 - momentum if options.unit_gain else 1.0
        return Step(rate, momentum, variance_momentum, gain, self._smoothed_count)

    # Checkpoints.

    def create_checkpoint(self) -> Dictionary:
        """Return the learner's state, as `restore_from_checkpoint` takes it."""
        return self._to_file()

    def restore_from_checkpoint(self, checkpoint: Dictionary) -> None:
        """Go on from where `create_checkpoint` was called."""
        self._from_file(checkpoint)()

    def _to_file(self) -> Dictionary:
        kept = [self._kept(i) for i in range(len(self.parameters))]
        counted = {"smoothed_count": float(self._smoothed_count)} if self._rule.counts else {}
        return {
            "version": _FILE_VERSION,
            "type": "Learner",
            **self._progress.to_file(),
            "learnig_rate_schedule": self._rates.to_file(),
            "noise_injection_seed": SizeT(self._noise_seed),
            "master_parameter_updated": True,
            "smoothed_gradients": kept,
            **counted,
        }

    def _kept(self, i: int) -> "np.ndarray[Any, Any]":
        """Return what is kept for a parameter: its slots one after the other, as rows."""
        parameter = self.parameters[i]
        if not self._rule.slots:
            return np.zeros((), parameter.dtype)
        if not self._slots:
            return np.zeros(self._kept_shape(parameter), parameter.dtype)
        arrays = [slot[i].detach().cpu().contiguous().numpy().ravel() for slot in self._slots]
        return np.concatenate(arrays).reshape(self._kept_shape(parameter))

    def _kept_shape(self, parameter: Parameter) -> tuple[int, ...]:
        slots, shape = self._rule.slots, parameter.shape
        if slots < 2:
            return shape if slots else ()
        last = shape[-1] if shape else 1
        return (slots * math.prod(shape) // last, last) if last else (0, 0)

    def _from_file(self, stored: Dictionary) -> Callable[[], None]:
        """Return what takes over a stored state.

        Raises:
            RuntimeError: It is one of parameters, or a kind, that are others.
            ValueError: It is none.
        """
        kept = smoothed_gradients(stored, self.parameters)
        for parameter, array in zip(self.parameters, kept, strict=True):
            if array.shape != self._kept_shape(parameter) or array.dtype != parameter.dtype:
                found = " x ".join(map(str, array.shape))
                message = (
                    f"Shape '[{found}]' of the smoothed gradient value restored from checkpoint "
                    f"for the parameter '{parameter!r}' (uid = {parameter.uid}) does not match the "
                    "expected value."
                )
                raise RuntimeError(message)
        progress = Progress.from_file(stored)
        rates = schedule_from_file(stored.get("learnig_rate_schedule", {}))
        counted = stored.get("smoothed_count", float(progress.minibatches))
        seed = stored.get("noise_injection_seed", self._noise_seed)
        if not isinstance(counted, float) or not isinstance(seed, int):
            message = "The checkpoint's counts of a learner are not in CNTK's form."
            raise ValueError(message)

        def apply() -> None:
            self._rates, self._progress = rates, progress
            self._smoothed_count, self._noise_seed = float(counted), int(seed)
            # What was told before the checkpoint is told again after it, as CNTK does.
            self._said = {}
            self._slots = [
                [self._slot(i, array) for i, array in enumerate(arrays)]
                for arrays in zip(*(self._by_slot(array) for array in kept), strict=True)
            ]

        return apply

    def _by_slot(self, kept: "np.ndarray[Any, Any]") -> Sequence["np.ndarray[Any, Any]"]:
        return list(kept.reshape(self._rule.slots, -1)) if self._rule.slots else []

    def _slot(self, i: int, values: "np.ndarray[Any, Any]") -> torch.Tensor:
        tensor = torch.zeros_like(self.parameters[i]._tensor, requires_grad=False)
        array = np.array(values).reshape(self.parameters[i].shape)
        return tensor.copy_(torch.from_numpy(array))


def smoothed_gradients(
    stored: Dictionary, parameters: Sequence[Parameter]
) -> list["np.ndarray[Any, Any]"]:
    """Return what a checkpoint keeps for each parameter.

    Raises:
        ValueError: It is not a learner's checkpoint, or one with other parameters.
    """
    kept = stored.get("smoothed_gradients")
    if stored.get("type") != "Learner" or not isinstance(kept, list):
        message = f"The type '{stored.get('type')}' does not match the expected type 'Learner'."
        raise ValueError(message)
    if len(kept) != len(parameters) or not all(isinstance(a, np.ndarray) for a in kept):
        message = (
            f"Number of parameters ({len(parameters)}) does not match the number of smoothed "
            f"gradients in the checkpoint ({len(kept)})."
        )
        raise ValueError(message)
    return kept


def listed_parameters(parameters: Any) -> tuple[Parameter, ...]:
    """Return a learner's parameters.

    Raises:
        ValueError: There are none, or one comes twice; CNTK's own words.
        TypeError: Something else is among them.
    """
    if isinstance(parameters, Parameter) or not all(isinstance(p, Parameter) for p in parameters):
        message = f"A learner takes a list of parameters, not {parameters!r}."
        raise TypeError(message)
    if not parameters:
        message = "The parameters list specified to a Learner must not be empty."
        raise ValueError(message)
    if len(set(parameters)) != len(parameters):
        message = "Learner's parameters list must not contain duplicates."
        raise ValueError(message)
    return tuple(parameters)


def _changed(
    said: dict[str, float], title: str, schedule: Schedule, progress: Progress
) -> Announcements:
    key = f"{title} per {schedule.unit_text}"
    value = schedule.at(progress.samples, progress.sweeps)
    if said.get(key) != value:
        said[key] = value
        yield key, value
