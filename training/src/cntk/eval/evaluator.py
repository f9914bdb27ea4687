"""The evaluator: a metric over minibatches, without training."""

from collections.abc import Sequence
from typing import Any, final

import torch

from cntk._absent import absent
from cntk._feed import feed, named, samples
from cntk._program import Program
from cntk.logging._writer import ProgressWriter
from cntk.ops.functions import Function


@final
class Evaluator:
    """Measures a function over minibatches.

    Args:
        eval_function: The metric.
        progress_writers: Who is told about it: one or several.
    """

    def __init__(
        self,
        eval_function: Any,
        progress_writers: "ProgressWriter | Sequence[ProgressWriter] | None" = None,
    ) -> None:
        if isinstance(progress_writers, ProgressWriter):
            progress_writers = [progress_writers]
        self._writers = tuple(progress_writers or ())
        function = eval_function
        if function is not None and not isinstance(function, Function):
            function = Function._of(function)
        self._function: Function | None = function
        self._program: Program | None = None
        self._arguments = function.arguments if function is not None else ()

    @property
    def evaluation_function(self) -> Function | None:
        """The metric."""
        return self._function

    def test_minibatch(
        self, arguments: Any, device: Any = None, distributed: bool = False
    ) -> float:
        """Return the mean metric of a minibatch.

        Args:
            arguments: Input, or its name, to minibatch data or array of shape (batch,) + its shape.
            device: Accepted; everything is computed on the default device.
            distributed: Whether the mean is over the minibatches of all processes.

        Raises:
            ValueError: There is no metric, or no minibatch.
        """
        del device
        if self._function is None:
            message = (
                "Evaluator::TestMinibatch: Cannot test when no evaluation function was specified "
                "during construction."
            )
            raise ValueError(message)
        if not arguments:
            message = f"function expects {len(self._arguments)} arguments"
            raise ValueError(message)
        if self._program is None:
            self._program = Program([self._function.output], training=False)
        values = named(self._arguments, arguments, "The criterion")
        needed = {v: values[v] for v in self._program.inputs if v in values}
        with torch.no_grad():
            (metric,) = self._program.run(feed(needed))
            total = metric.sum()
        # The metric says what a sample is: a step of a sequence, or a whole one.
        count = len(metric) if self._function.output._batched else samples(values)
        told = total.item() if total.device.type == "cpu" else total
        if distributed:
            from cntk.train.distributed import Communicator

            count, told = Communicator()._together(count, float(told))
        for writer in self._writers:
            writer._tested(count, told)
        return float(told) / count

    def summarize_test_progress(self) -> None:
        """Let the writers sum up tests since the last time."""
        for writer in self._writers:
            writer.write_test_summary()

    def print_node_timing(self) -> None:
        """Print nothing: nodes are not timed unless CNTK's timing was enabled, which is absent."""


__getattr__ = absent(__name__)
