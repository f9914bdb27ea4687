"""The trainer: minibatch in, parameters changed, progress told."""

from collections.abc import Iterable, Sequence
from typing import Any, final

import torch

from cntk._absent import absent, refuse
from cntk._feed import feed, named, samples
from cntk._program import Program
from cntk.io import MinibatchData
from cntk.learners import Learner
from cntk.logging.progress_print import ProgressPrinter
from cntk.ops.functions import Function
from cntk.variables import Variable


@final
class Trainer:
    """Trains a model's parameters on a criterion.

    Args:
        model: What is trained; None: all that the criterion needs.
        criterion: The loss, or loss and metric as a pair or a combination.
        parameter_learners: One learner, or several with different parameters.
        progress_writers: Who is told about progress: one or several.
    """

    def __init__(
        self,
        model: Function | None,
        criterion: Any,
        parameter_learners: "Learner | Sequence[Learner] | None" = None,
        progress_writers: "ProgressPrinter | Iterable[ProgressPrinter] | None" = None,
    ) -> None:
        self._loss, self._metric = _criterion(criterion)
        self.parameter_learners = _listed(parameter_learners, Learner)
        self._writers = _listed(progress_writers, ProgressPrinter)
        self._model = model
        outputs = [v for v in (self._loss, self._metric) if v is not None]
        self._arguments = Function._of(tuple(outputs)).arguments
        self._check(outputs)
        self._training = Program(outputs, training=True)
        self._testing = Program(outputs[-1:], training=False)
        self._sums: list[torch.Tensor] = []
        self._count = 0
        self.total_number_of_samples_seen = 0

    def _check(self, outputs: list[Variable]) -> None:
        known = Function._of((*outputs, *(self._model.outputs if self._model else ()))).parameters
        learned = [p for learner in self.parameter_learners for p in learner.parameters]
        strangers = [p for p in learned if p not in known]
        if strangers:
            message = (
                f"Trainer ctor: {len(strangers)} of the learner parameters "
                f"'{', '.join(map(repr, strangers))}' are not part "
                "of the model specified"
            )
            raise ValueError(message)
        rest = [p for p in known if p not in learned]
        if rest and learned:
            print(
                f"[Note:] Trainer ctor: {len(rest)} of the model parameters are not covered by "
                "any of the specified "
                "Learners; these parameters will not be learned"
            )

    @property
    def model(self) -> Function | None:
        """What is trained."""
        return self._model

    @property
    def loss_function(self) -> Function:
        """The loss."""
        return Function._of(self._loss)

    @property
    def evaluation_function(self) -> Function | None:
        """The metric, None if there is none."""
        return None if self._metric is None else Function._of(self._metric)

    @property
    def previous_minibatch_sample_count(self) -> int:
        """How many samples the last minibatch had."""
        return self._count

    @property
    def previous_minibatch_loss_average(self) -> float:
        """The last minibatch's mean loss, of the state before the update."""
        return self._average(0)

    @property
    def previous_minibatch_evaluation_average(self) -> float:
        """The last minibatch's mean metric, of the state before the update."""
        self._need_metric()
        return self._average(1)

    def _average(self, i: int) -> float:
        if not self._count:
            message = "There has been no minibatch yet."
            raise ValueError(message)
        return float(self._sums[i]) / self._count

    def _need_metric(self) -> None:
        if self._metric is None:
            message = "The trainer has no evaluation function: give a metric with the criterion."
            raise ValueError(message)

    def train_minibatch(
        self,
        arguments: Any,
        outputs: Iterable[Any] | None = None,
        device: Any = None,
        is_sweep_end: bool | None = None,
    ) -> Any:
        """Learn from a minibatch.

        Args:
            arguments: Input, or its name, to minibatch data or array of shape (batch,) + its shape.
            outputs: Not provided.
            device: Accepted; everything is computed on the default device.
            is_sweep_end: Whether a sweep of the data ends here; minibatch data know it themselves.

        Returns:
            Whether there was anything to learn: False for an empty minibatch and when every rate is
            0.
        """
        del device
        if outputs is not None:
            raise refuse("train_minibatch(outputs=...)")
        if not arguments:
            return False
        values = named(self._arguments, arguments, "The criterion")
        if not samples(values) or not any(
            learner.learning_rate() for learner in self.parameter_learners
        ):
            return False
        results = self._training.run(feed(values))
        # The loss says what a sample is: a step of a sequence, or a whole one.
        count = len(results[0]) if self._loss._batched else samples(values)
        loss = results[0].sum()
        loss.backward()  # type: ignore[no-untyped-call]
        self._sums = [loss.detach(), *(t.detach().sum() for t in results[1:])]
        self._count = count
        self._tell_changes()
        if is_sweep_end is None:
            is_sweep_end = any(
                isinstance(v, MinibatchData) and v.end_of_sweep for v in values.values()
            )
        for learner in self.parameter_learners:
            learner._update(count, is_sweep_end)
        self.total_number_of_samples_seen += count
        for writer in self._writers:
            writer._trained(count, *self._sums)
        return True

    def _tell_changes(self) -> None:
        for learner in self.parameter_learners:
            for key, value in learner._announcements():
                for writer in self._writers:
                    writer.write(key, value)

    def test_minibatch(self, arguments: Any, device: Any = None) -> float:
        """Return the mean metric of a minibatch; nothing is learned from it."""
        del device
        self._need_metric()
        values = named(self._arguments, arguments, "The criterion")
        needed = {v: values[v] for v in self._testing.inputs if v in values}
        with torch.no_grad():
            (metric,) = self._testing.run(feed(needed))
        count = (
            len(metric) if self._metric is not None and self._metric._batched else samples(values)
        )
        total = metric.sum()
        for writer in self._writers:
            writer._tested(count, total)
        return float(total) / count

    def summarize_training_progress(self) -> None:
        """Let the writers sum up training since the last time."""
        for writer in self._writers:
            writer.write_training_summary()

    def summarize_test_progress(self) -> None:
        """Let the writers sum up tests since the last time."""
        for writer in self._writers:
            writer.write_test_summary()

    def save_checkpoint(self, filename: str, external_state: Any = None) -> None:
        """Refuse: checkpoints are not provided yet; `model.save` keeps the model."""
        del filename, external_state
        raise refuse("Trainer.save_checkpoint")

    def restore_from_checkpoint(self, filename: str) -> Any:
        """Refuse: checkpoints are not provided yet."""
        del filename
        raise refuse("Trainer.restore_from_checkpoint")


def _criterion(criterion: Any) -> tuple[Variable, Variable | None]:
    if isinstance(criterion, Function):
        outputs = list(criterion.outputs)
    else:
        parts = criterion if isinstance(criterion, list | tuple) else [criterion]
        outputs = [
            part.output if isinstance(part, Function) else part
            for part in parts
            if part is not None
        ]
    if not 1 <= len(outputs) <= 2 or not all(isinstance(v, Variable) for v in outputs):
        message = f"A criterion is a loss, or a loss and a metric, not {criterion!r}."
        raise ValueError(message)
    return outputs[0], outputs[1] if len(outputs) > 1 else None


def _listed(given: Any, kind: type) -> list[Any]:
    if given is None:
        return []
    return [given] if isinstance(given, kind) else list(given)


__getattr__ = absent(__name__)
