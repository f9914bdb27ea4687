"""Updates of the rows that a minibatch used: what others have learned rests, as in CNTK.

The gradient of a matrix that sparse samples were multiplied with has the rows only that they
picked. CNTK changes these rows, and what is kept for them, and leaves all others alone: their
velocity does not fade.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def used_rows(
    value: torch.Tensor, gradient: torch.Tensor, state: dict[str, torch.Tensor]
) -> Iterator[tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]]:
    """Give what an update works on; what it has changed is put back.

    Args:
        value: A parameter's value.
        gradient: Of its shape, perhaps with the used rows only.
        state: What is kept for the parameter: tensors of its shape.

    Yields:
        Value, gradient and state, of the used rows alone if the gradient has only these.
    """
    if not gradient.is_sparse:
        yield value, gradient, state
        return
    gradient = gradient.coalesce()
    rows = gradient.indices()[0]
    kept = {name: tensor.index_select(0, rows) for name, tensor in state.items()}
    part = value.index_select(0, rows)
    yield part, gradient.values(), kept
    value.index_copy_(0, rows, part)
    for name, tensor in kept.items():
        state.setdefault(name, torch.zeros_like(value)).index_copy_(0, rows, tensor)
