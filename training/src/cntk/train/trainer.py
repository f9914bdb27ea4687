"""The trainer: minibatch in, parameters changed, progress told."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, final

import torch

from cntk._absent import absent
from cntk._feed import arrays, feed, named, samples
from cntk._layout import Packed
from cntk._program import Program
from cntk.eval.evaluator import Evaluator
from cntk.io import MinibatchData
from cntk.logging._writer import ProgressWriter
from cntk.ops.functions import Function, as_variable
from cntk.train import _checkpoint
from cntk.train.distributed import DistributedLearner
from cntk.variables import Variable

Sums = list[float | torch.Tensor]


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
        parameter_learners: Any,
        progress_writers: "ProgressWriter | Sequence[ProgressWriter] | None" = None,
    ) -> None:
        self._loss, self._metric = _criterion(criterion)
        self.parameter_learners = _listed(parameter_learners)
        self._writers: tuple[ProgressWriter, ...] = _listed(progress_writers)
        self._model = model
        self._criteria = [v for v in (self._loss, self._metric) if v is not None]
        self._arguments = Function._of((*self._criteria, *self._model_outputs())).arguments
        self._check()
        self._training = Program(self._criteria, training=True)
        self._with_outputs: dict[tuple[Variable, ...], Program] = {}
        self._evaluator = Evaluator(self.evaluation_function, self._writers)
        self._evaluator._arguments = self._arguments
        self._sums: Sums = [0.0, 0.0]
        self._count = 0
        self._group = _group(self.parameter_learners)

    def _model_outputs(self) -> tuple[Variable, ...]:
        return self._model.outputs if self._model else ()

    def _check(self) -> None:
        if not self.parameter_learners:
            message = "These must be at least one learner."
            raise ValueError(message)
        known = Function._of((*self._criteria, *self._model_outputs())).parameters
        learned = [p for learner in self.parameter_learners for p in learner._learned]
        strangers = [p for p in learned if p not in known]
        if strangers:
            message = (
                f"Trainer ctor: {len(strangers)} of the learner parameters "
                f"'{', '.join(map(repr, strangers))}' are not part "
                "of the model specified"
            )
            raise ValueError(message)
        for parameter in learned:
            if (times := learned.count(parameter)) > 1:
                message = f"Parameter '{parameter!r}' is covered by {times} different learners"
                raise ValueError(message)
        rest = [p for p in known if p not in learned]
        if rest:
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
    def total_number_of_samples_seen(self) -> int:
        """How many samples the first learner's updates were made of, on all workers."""
        return self.parameter_learners[0].total_number_of_samples_seen()  # type: ignore[no-any-return]

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
        if self._metric is None:
            message = (
                "Trainer::PreviousMinibatchEvaluationAverage: Cannot get evaluation criterion "
                "value when no evaluation function was specified during construction."
            )
            raise ValueError(message)
        return self._average(1)

    def _average(self, i: int) -> float:
        if not self._count:
            message = "There was no preceding call to TrainMinibatch or the minibatch was empty."
            raise RuntimeError(message)
        return float(self._sums[i]) / self._count

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
            outputs: Outputs of the model, the loss or the metric whose values are wanted.
            device: Accepted; everything is computed on the default device.
            is_sweep_end: Whether a sweep of the data ends here; minibatch data know it themselves.

        Returns:
            Whether there was anything to learn: False for an empty minibatch and when every rate is
            0. With `outputs` also a dictionary of their values, of the state before the update, as
            `eval` gives them.
        """
        del device
        wanted = list(outputs) if outputs is not None else []
        count, sweep_end = 0, False
        made: dict[Any, Any] = {}
        if arguments:
            values = named(self._arguments, arguments, "The criterion")
            count, sweep_end = samples(values), _ends_sweep(values, is_sweep_end)
        if count:
            fed = feed(values)
            if wanted:
                given = self._program([as_variable(v) for v in wanted]).run_packed(fed)
                results = [t.values if isinstance(t, Packed) else t for t in given]
                rest = given[len(self._criteria) :]
                made = {v: arrays(t) for v, t in zip(wanted, rest, strict=True)}
            else:
                results = self._training.run(fed)
            if self._loss._batched:
                # The loss says what a sample is: a step of a sequence, or a whole one.
                count = len(results[0])
            loss = results[0].sum()
            loss.backward()
            criteria = [loss, *(t.sum() for t in results[1 : len(self._criteria)])]
            self._sums = [t.item() if t.device.type == "cpu" else t.detach() for t in criteria]
        else:
            self._sums = [0.0 for _ in self._criteria]
        self._count = count
        updated = self._update(count, sweep_end)
        return (updated, made) if wanted else updated

    def _program(self, wanted: list[Variable]) -> Program:
        key = tuple(wanted)
        if key not in self._with_outputs:
            known = [*self._model_outputs(), *self._criteria]
            for v in wanted:
                if v not in known:
                    message = (
                        f"Function '{Function._of(tuple(known))!r}': Requested output '{v!r}' is "
                        f"not part of the list of outputs '{', '.join(map(repr, known))}' that "
                        "the Function was initially compiled for. Changing requested outputs "
                        "across different Forward calls is currently unsupported."
                    )
                    raise RuntimeError(message)
            self._with_outputs[key] = Program([*self._criteria, *wanted], training=True)
        return self._with_outputs[key]

    def _update(self, count: int, sweep_end: bool) -> bool:
        """Let the learners learn from the gradients, and tell the writers."""
        if self._group is not None:
            # The workers' sums become those of all of them together.
            total = self._group._exchange(self.parameter_learners, count, self._sums, sweep_end)
            self._count, self._sums, sweep_end = total.samples, total.sums, total.sweep_end
            count = total.samples
            for writer in self._writers if total.exchanged else ():
                writer._synchronised(count)
        if not count:
            return False
        updated = False
        for learner in self.parameter_learners:
            for key, value in learner._announcements():
                for writer in self._writers:
                    writer.write(key, value)
            updated |= learner._update(count, sweep_end)
        for writer in self._writers:
            writer._trained(count, *self._sums)
        return updated

    def test_minibatch(self, arguments: Any, device: Any = None) -> float:
        """Return the mean metric of a minibatch; nothing is learned from it."""
        return self._evaluator.test_minibatch(arguments, device)

    def summarize_training_progress(self) -> None:
        """Let the writers sum up training since the last time."""
        for writer in self._writers:
            writer.write_training_summary()

    def summarize_test_progress(self) -> None:
        """Let the writers sum up tests since the last time."""
        self._evaluator.summarize_test_progress()

    # Checkpoints.

    def save_checkpoint(
        self, filename: str, external_state: Mapping[str, Any] | None = None
    ) -> None:
        """Write the model and, beside it with the ending `.ckp`, the state of training.

        With several workers only the first one writes.

        Args:
            filename: The model's path; folders that are missing are made.
            external_state: What `restore_from_checkpoint` shall return: texts to numbers, texts,
                arrays, lists and such dictionaries.
        """
        if self._group is None or self._group.is_main():
            _checkpoint.save(
                filename, self._checkpointed(), self.parameter_learners, dict(external_state or {})
            )
        if self._group is not None:
            self._group.barrier()

    def restore_from_checkpoint(self, filename: str) -> dict[str, Any]:
        """Go on from where `save_checkpoint` was called; return the external state.

        Raises:
            RuntimeError: A file is missing or damaged, or of learners of another kind.
            ValueError: The checkpoint is one of another model.
        """
        state = _checkpoint.restore(filename, self._checkpointed(), self.parameter_learners)
        self._count = 0
        return state

    def _checkpointed(self) -> _checkpoint.Outputs:
        return _checkpoint.Outputs(self._model_outputs(), self._loss, self._metric)

    def print_node_timing(self) -> None:
        """Print nothing: nodes are not timed unless CNTK's timing was enabled, which is absent."""


def _ends_sweep(values: Mapping[Variable, Any], given: bool | None) -> bool:
    from_data = [v.end_of_sweep for v in values.values() if isinstance(v, MinibatchData)]
    if from_data and given is not None:
        message = (
            "is_sweep_end is ignored by Trainer::train_minibatch when it is fed with MinibatchData!"
        )
        raise ValueError(message)
    return any(from_data) or bool(given)


def _criterion(criterion: Any) -> tuple[Variable, Variable | None]:
    if isinstance(criterion, Function):
        outputs: list[Any] = list(criterion.outputs)
    else:
        parts = criterion if isinstance(criterion, list | tuple) else [criterion]
        outputs = [part.output if isinstance(part, Function) else part for part in parts]
        if len(outputs) == 2 and outputs[1] is None:
            outputs.pop()
    if not 1 <= len(outputs) <= 2:
        message = "criterion parameter must be a singleton or a tuple of 2 elements"
        raise ValueError(message)
    if not all(isinstance(v, Variable) for v in outputs):
        message = f"A criterion is a loss, or a loss and a metric, not {criterion!r}."
        raise ValueError(message)
    return outputs[0], outputs[1] if len(outputs) > 1 else None


def _listed(given: Any) -> tuple[Any, ...]:
    if given is None:
        return ()
    return tuple(given) if isinstance(given, list | tuple) else (given,)


def _group(learners: tuple[Any, ...]) -> Any:
    """Return through what the workers exchange their sums; None for one process by itself."""
    groups = [v._communicator for v in learners if isinstance(v, DistributedLearner)]
    if groups and len(groups) != len(learners):
        message = "Cannot use a mix of distributed and local learners in one trainer."
        raise ValueError(message)
    return groups[0] if groups else None


__getattr__ = absent(__name__)
