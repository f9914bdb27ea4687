"""Random numbers for pictures, as CNTK draws them: a 32-bit Mersenne twister, and Boost's rules.

Each transform has a generator for each place in a minibatch, seeded with the place's number: so it
does not matter which thread works on which picture.
"""

from typing import Final, final

import numpy as np

_RANGE: Final = 1 << 32
_READY: Final = 1024


@final
class Draws:
    """The numbers of one transform.

    Args:
        seed: Of the standard's mt19937.
    """

    def __init__(self, seed: int = 0) -> None:
        # numpy's old generator is seeded by one number as the standard's is, and integers of all
        # 32 bits are its outputs.
        self._generator = np.random.RandomState(seed)
        self._ready: list[int] = []

    def _raw(self) -> int:
        if not self._ready:
            drawn = self._generator.randint(0, _RANGE, _READY, dtype=np.uint32)
            self._ready = drawn[::-1].tolist()
        return self._ready.pop()

    def integer(self, greatest: int) -> int:
        """Return one of 0 to `greatest`, both included; nothing is drawn if that is 0."""
        if greatest == 0:
            return 0
        bucket, rest = divmod(_RANGE - 1, greatest + 1)
        if rest == greatest:
            bucket += 1
        while True:
            found = self._raw() // bucket
            if found <= greatest:
                return found

    def real(self, low: float, high: float) -> float:
        """Return a number from low up to, not including, high."""
        while True:
            found = self._raw() / _RANGE * (high - low) + low
            if found < high:
                return found

    def coin(self) -> bool:
        """Return True half of the time."""
        return self._raw() <= 0.5 * (_RANGE - 1)


@final
class Generators(dict[int, Draws]):
    """The generators of one transform, by the place in the minibatch."""

    def __missing__(self, place: int) -> Draws:
        made = self[place] = Draws(place)
        return made
