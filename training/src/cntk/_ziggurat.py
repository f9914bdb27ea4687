"""Normal random numbers as CNTK draws them on a CPU.

They are made from a 64-bit Mersenne twister by the ziggurat method of G. Marsaglia and W. W. Tsang
(Journal of Statistical Software 5(8), 2000), in the order of Boost.Random: the lowest 8 bits of
a number choose sign and layer, the others the place in the layer.
"""

import math
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from cntk._random import MersenneTwister64

Array = npt.NDArray[Any]
_LAYERS: Final = 128
_EDGE: Final = 3.4426198558966521214
_AREA: Final = 9.91256303533646e-3
_BITS: Final = 8
_PLACE: Final = 2.0**-56
# Boost means to clear the bits that a double cannot hold, and clears this one.
_CLEARED: Final = ~(1 << 11)


def _density(x: float) -> float:
    return math.exp(-x * x / 2)


def _layer_bounds() -> list[float]:
    """Return where the layers of the density end: each has the same area, the first the tail."""
    bounds = [_AREA / _density(_EDGE), _EDGE]
    while len(bounds) < _LAYERS:
        bounds.append(math.sqrt(-2 * math.log(_AREA / bounds[-1] + _density(bounds[-1]))))
    return [*bounds, 0.0]


_X: Final = np.array(_layer_bounds())
_Y: Final = np.array([0.0, *map(_density, _X[1:])])


@final
class _Numbers:
    """A generator's numbers, one by one or looked at in advance."""

    def __init__(self, seed: int, count: int) -> None:
        self._generator = MersenneTwister64(seed)
        self._drawn = self._generator.integers(count)
        self.at = 0

    def next(self) -> int:
        """Return the next number."""
        return int(self.ahead(1)[0])

    def ahead(self, count: int) -> npt.NDArray[np.uint64]:
        """Return the next numbers, shape (count,), and pass them."""
        missing = self.at + count - len(self._drawn)
        if missing > 0:
            more = self._generator.integers(max(missing, 1024))
            self._drawn = np.concatenate([self._drawn[self.at :], more])
            self.at = 0
        self.at += count
        return self._drawn[self.at - count : self.at]

    def back(self, count: int) -> None:
        """Give back the last numbers."""
        self.at -= count

    def uniform(self) -> float:
        """Return the next number in [0, 1)."""
        while (drawn := self.next() * 2.0**-64) >= 1:
            pass
        return drawn


def normal(seed: int, count: int) -> npt.NDArray[np.float64]:
    """Return standard normal numbers.

    Args:
        seed: Of the generator.
        count: How many.

    Returns:
        Shape (count,).
    """
    numbers = _Numbers(seed, count + count // 32 + 64)
    made = np.empty(count)
    have = 0
    while have < count:
        drawn = numbers.ahead(min(count - have, 256))
        values, inside = _candidates(drawn)
        outside = np.flatnonzero(~inside)
        straight = int(outside[0]) if len(outside) else len(drawn)
        made[have : have + straight] = values[:straight]
        have += straight
        if straight < len(drawn):
            numbers.back(len(drawn) - straight)
            made[have] = _one(numbers)
            have += 1
    return made


def _candidates(drawn: npt.NDArray[np.uint64]) -> tuple[Array, Array]:
    """Return a value for each number, and whether it stands without a further number."""
    layer = (drawn & np.uint64(255)).astype(np.int64)
    sign = (layer & 1) * 2 - 1
    layer >>= 1
    place = ((drawn & np.uint64(_CLEARED & (2**64 - 1))) >> np.uint64(_BITS)).astype(np.float64)
    x = place * _PLACE * _X[layer]
    return x * sign, x < _X[layer + 1]


def _one(numbers: _Numbers) -> float:
    while True:
        low, place = _low_bits_and_place(numbers.next())
        sign, layer = (low & 1) * 2 - 1, low >> 1
        x = place * float(_X[layer])
        if x < _X[layer + 1]:
            return x * sign
        if layer == 0:
            return _tail(numbers) * sign
        low_end, high_end = float(_Y[layer]), float(_Y[layer + 1])
        if low_end + numbers.uniform() * (high_end - low_end) < _density(x):
            return x * sign


def _tail(numbers: _Numbers) -> float:
    edge = float(_X[1])
    while True:
        x = _exponential(numbers) / edge
        y = _exponential(numbers)
        if 2 * y > x * x:
            return x + edge


def _exponential(numbers: _Numbers) -> float:
    return -math.log(1 - numbers.uniform())


def _low_bits_and_place(drawn: int) -> tuple[int, float]:
    return drawn & 255, float((drawn & _CLEARED) >> _BITS) * _PLACE
