"""Training by several processes: each takes a part of every minibatch, and they add gradients.

The processes are those of `mpirun`, `torchrun` or the like; torch.distributed carries the sums,
gloo on a CPU and NCCL on GPUs.
"""

import atexit
import contextlib
import datetime as dt
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, final

import torch
import torch.distributed as torch_distributed

from cntk._absent import absent, refuse
from cntk._dictionary import Dictionary
from cntk._workers import place
from cntk.device import DeviceKind, use_default_device
from cntk.learners._learner import Learner
from cntk.learners._user import UserLearner
from cntk.variables import Parameter

_FULL_PRECISION: Final = 32
_PATIENCE: Final = dt.timedelta(minutes=30)


@final
@dataclass(frozen=True, slots=True)
class WorkerDescriptor:
    """One of the processes.

    Args:
        global_rank: Its number, from 0.
        host_id: The machine's name; known of the process itself only.
    """

    global_rank: int
    host_id: str = ""

    def is_main(self) -> bool:
        """Return whether it is the one that writes models and logs."""
        return self.global_rank == 0


@final
@dataclass(frozen=True, slots=True)
class Totals:
    """What all workers' parts of a minibatch give together.

    Args:
        samples: In all parts.
        sums: Of loss and metric.
        sweep_end: Whether a sweep ends in any part.
        exchanged: Whether the workers have exchanged them at all.
    """

    samples: int
    sums: list[float | torch.Tensor]
    sweep_end: bool
    exchanged: bool = False


@final
class Communicator:
    """How the processes reach one another."""

    @staticmethod
    def rank() -> int:
        """Return this process's number, from 0."""
        return place().rank

    @staticmethod
    def num_workers() -> int:
        """Return how many processes there are."""
        return place().size

    @staticmethod
    def finalize() -> None:
        """End all communication, when every process has come here."""
        if torch_distributed.is_initialized():
            torch_distributed.barrier()
            torch_distributed.destroy_process_group()
            _join.cache_clear()

    def workers(self) -> tuple[WorkerDescriptor, ...]:
        """Return all processes."""
        here = self.current_worker()
        return tuple(
            here if rank == here.global_rank else WorkerDescriptor(rank)
            for rank in range(self.num_workers())
        )

    def current_worker(self) -> WorkerDescriptor:
        """Return this process."""
        return WorkerDescriptor(place().rank, socket.gethostname())

    def is_main(self) -> bool:
        """Return whether this is the process that writes models and logs."""
        return place().rank == 0

    def barrier(self) -> None:
        """Wait for all processes."""
        if place().size > 1:
            _join()
            torch_distributed.barrier()

    def _sum(self, tensor: torch.Tensor) -> None:
        """Make `tensor` the sum of all workers' tensors of that shape."""
        _join()
        torch_distributed.all_reduce(tensor)

    def _together(self, samples: int, total: float) -> tuple[int, float]:
        """Return the sums of a count and a value over all workers."""
        if place().size == 1:
            return samples, total
        device = use_default_device()._torch
        both = torch.tensor([samples, total], dtype=torch.float64, device=device)
        self._sum(both)
        return int(both[0]), float(both[1])

    def _exchange(
        self,
        learners: Sequence["DistributedLearner"],
        samples: int,
        sums: Sequence[float | torch.Tensor],
        sweep_end: bool,
    ) -> Totals:
        """Add up counts, sums and gradients over all workers; the gradients stay in place."""
        if place().size == 1 or any(v._is_local() for v in learners):
            return Totals(samples, list(sums), sweep_end)
        device = use_default_device()._torch
        counts = torch.tensor(
            [samples, sweep_end, *(float(v) for v in sums)], dtype=torch.float64, device=device
        )
        self._sum(counts)
        total, ends, *summed = counts.tolist()
        tensors = [p._tensor for learner in learners for p in learner._learned]
        for dtype in {t.dtype for t in tensors}:
            chosen = [t for t in tensors if t.dtype == dtype]
            flat = torch.cat(
                [
                    (torch.zeros_like(t) if t.grad is None else t.grad.to_dense()).reshape(-1)
                    for t in chosen
                ]
            )
            self._sum(flat)
            for tensor, part in zip(
                chosen, torch.split(flat, [t.numel() for t in chosen]), strict=True
            ):
                gradient = torch.empty_like(tensor)
                gradient.copy_(part.view(tensor.shape))
                tensor.grad = gradient
        return Totals(int(total), list(summed), bool(ends), exchanged=True)


@cache
def _join() -> None:
    """Meet the other processes; once."""
    here = place()
    host, port = here.address
    on_gpu = use_default_device().type() is DeviceKind.GPU
    torch_distributed.init_process_group(
        "nccl" if on_gpu else "gloo",
        init_method=f"tcp://{host}:{port}",
        rank=here.rank,
        world_size=here.size,
        timeout=_PATIENCE,
    )
    atexit.register(_leave)


def _leave() -> None:
    # A process that fails must not wait for the others here.
    with contextlib.suppress(RuntimeError):
        if torch_distributed.is_initialized():
            torch_distributed.destroy_process_group()


def mpi_communicator() -> Communicator:
    """Return how the processes reach one another."""
    return Communicator()


@final
class DistributedLearner:
    """A learner that learns from all workers' gradients.

    Args:
        learner: The one that changes the parameters, the same on each worker.
        distributed_after: Samples until which each worker learns by itself.
    """

    def __init__(self, learner: "Learner | UserLearner", distributed_after: int) -> None:
        self._learner = learner
        self._after = distributed_after
        self._communicator = Communicator()

    def communicator(self) -> Communicator:
        """Return how it reaches the other workers."""
        return self._communicator

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What it changes."""
        return self._learned

    def learning_rate(self) -> float:
        """Return the learning rate that the next update uses."""
        return self._learner.learning_rate()

    def reset_learning_rate(self, learning_rate: Any) -> None:
        """Use other learning rates from now on."""
        self._learner.reset_learning_rate(learning_rate)

    def total_number_of_samples_seen(self) -> int:
        """Return how many samples the updates so far were made of, on all workers."""
        return self._learner.total_number_of_samples_seen()

    def total_number_of_sweeps_seen(self) -> int:
        """Return how many sweeps of the data have ended."""
        return self._learner.total_number_of_sweeps_seen()

    def total_number_of_minibatches_seen(self) -> int:
        """Return how many updates there were."""
        return self._learner.total_number_of_minibatches_seen()

    def _is_local(self) -> bool:
        return self.total_number_of_samples_seen() < self._after

    @property
    def _learned(self) -> tuple[Parameter, ...]:
        return self._learner._learned

    def _announcements(self) -> Any:
        return self._learner._announcements()

    def _update(self, samples: int, sweep_end: bool) -> bool:
        return self._learner._update(samples, sweep_end)

    def _to_file(self) -> Dictionary:
        return self._learner._to_file()

    def _from_file(self, stored: Dictionary) -> Any:
        return self._learner._from_file(stored)


def data_parallel_distributed_learner(
    learner: Any,
    distributed_after: int = 0,
    num_quantization_bits: int = 32,
    use_async_buffered_parameter_update: bool = False,
) -> DistributedLearner:
    """Return a learner that adds up the gradients of all workers before each update.

    Args:
        learner: The one that changes the parameters.
        distributed_after: Samples until which each worker learns by itself.
        num_quantization_bits: Only 32 is provided.
        use_async_buffered_parameter_update: Only False is provided.

    Raises:
        NotImplementedError: For quantised or asynchronous gradients.
    """
    if num_quantization_bits != _FULL_PRECISION:
        raise refuse("data_parallel_distributed_learner(num_quantization_bits < 32)")
    if use_async_buffered_parameter_update:
        raise refuse("data_parallel_distributed_learner(use_async_buffered_parameter_update=True)")
    if not isinstance(learner, Learner | UserLearner):
        message = f"A local learner is needed, such as `sgd` makes, not {learner!r}."
        raise TypeError(message)
    return DistributedLearner(learner, distributed_after)


def block_momentum_distributed_learner(*args: Any, **kwargs: Any) -> Any:
    """Refuse: block momentum is not provided."""
    del args, kwargs
    raise refuse("block_momentum_distributed_learner")


__getattr__ = absent(__name__)
