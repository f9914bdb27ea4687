"""Updates of the rows that a minibatch used: what others have learned rests, as in CNTK.

The gradient of a matrix that sparse samples were multiplied with has the rows only that they
picked. CNTK changes these rows, and what is kept for them, and leaves all others alone: their
velocity does not fade.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cntk.learners._rules import Tensors


@contextmanager
def used_rows(
    values: Tensors, gradients: Tensors, slots: Sequence[Tensors]
) -> Iterator[tuple[Tensors, Tensors, Sequence[Tensors]]]:
    """Give what an update works on; what it has changed is put back.

    Args:
        values: The parameters' values.
        gradients: Of their shapes, perhaps with the used rows only.
        slots: What is kept for the parameters, each like `values`.

    Yields:
        Values, gradients and slots, of the used rows alone where a gradient has only these.
    """
    sparse = {i: g.coalesce() for i, g in enumerate(gradients) if g.is_sparse}
    if not sparse:
        yield values, gradients, slots
        return
    rows = {i: gradient.indices()[0] for i, gradient in sparse.items()}
    whole = [values, *slots]
    part_values, *part_slots = (
        [t.index_select(0, rows[i]) if i in rows else t for i, t in enumerate(tensors)]
        for tensors in whole
    )
    changes = [sparse[i].values() if i in sparse else g for i, g in enumerate(gradients)]
    yield part_values, changes, part_slots
    for tensors, parts in zip(whole, [part_values, *part_slots], strict=True):
        for i, chosen in rows.items():
            tensors[i].index_copy_(0, chosen, parts[i])
