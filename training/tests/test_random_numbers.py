"""Initialisers and random operations against the numbers that real CNTK 2.7 drew on a CPU."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cntk as C
import reference_random
from cntk._random import MersenneTwister64

STORED = np.load(Path(__file__).parent / "data" / "random_cntk27.npz")


@pytest.fixture(scope="module")
def drawn() -> dict[str, Any]:
    return reference_random.drawn(C)


@pytest.mark.parametrize("name", sorted(STORED.files))
def test_numbers_are_cntks(name: str, drawn: dict[str, Any]) -> None:
    """Each initialiser, distribution and sample draws CNTK's numbers, at each evaluation anew."""
    assert drawn[name].shape == STORED[name].shape
    np.testing.assert_allclose(drawn[name], STORED[name], rtol=2e-7, atol=3e-7)


def test_normal_numbers_do_not_depend_on_how_many_are_asked_for() -> None:
    """Drawing in pieces gives the numbers of drawing all at once."""
    whole = MersenneTwister64(8).normal(5000)
    source = MersenneTwister64(8)
    pieces = np.concatenate([source.normal(n) for n in (1, 2, 997, 1500, 2500)])
    np.testing.assert_array_equal(pieces, whole)
    assert abs(whole.mean()) < 0.05
    assert abs(whole.std() - 1) < 0.03


@pytest.mark.parametrize(
    ("init", "shape", "message"),
    [
        (C.glorot_uniform(), (), r"Sum of filter rank \(0\) and output rank \(1\) .* rank \(0\)"),
        (C.glorot_uniform(1, 1, 3), (2, 2), r"Sum of filter rank \(3\)"),
    ],
)
def test_ranks_must_fit(init: Any, shape: tuple[int, ...], message: str) -> None:
    """An initialiser of more ranks than the parameter has is refused in CNTK's words."""
    with pytest.raises(ValueError, match=message):
        C.parameter(shape, init=init)


def test_ranks_and_scales_are_checked() -> None:
    """A rank cannot be given twice, a scale must be positive."""
    with pytest.raises(ValueError, match="Output rank of a non-uniform random initialier"):
        C.initializer.initializer_with_rank(C.glorot_uniform(output_rank=1), 2)
    with pytest.raises(ValueError, match="scale value for initializer 'normal' cannot be 0"):
        C.normal(-1)
    with pytest.raises(RuntimeError, match="must be square"):
        C.parameter((1, 1, 3, 5), init=C.bilinear(5, 3))
