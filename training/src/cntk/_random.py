"""Random numbers as CNTK draws them on a CPU: a 64-bit Mersenne twister for each seed.

Seeds come from a counter that starts at 0 with the process. Every initialiser without a seed, every
dropout without a seed and every learner takes the next one at the moment it is created, so two runs
of one script are equal.
"""

from typing import Final, final

import numpy as np
import numpy.typing as npt

_WORDS: Final = 312
_MIDDLE: Final = 156
_MASK: Final = (1 << 64) - 1
_MATRIX: Final = np.uint64(0xB5026F5AA96619E9)
_UPPER: Final = np.uint64(0xFFFFFFFF80000000)
_LOWER: Final = np.uint64(0x7FFFFFFF)
_ONE: Final = np.uint64(1)


@final
class MersenneTwister64:
    """The standard's mt19937_64, drawn in blocks.

    Args:
        seed: Any integer; its lowest 64 bits count.
    """

    def __init__(self, seed: int) -> None:
        word = seed & _MASK
        state = [word]
        for i in range(1, _WORDS):
            word = (6364136223846793005 * (word ^ word >> 62) + i) & _MASK
            state.append(word)
        self._state = np.array(state, np.uint64)
        self._ready = np.empty(0, np.uint64)

    def integers(self, count: int) -> npt.NDArray[np.uint64]:
        """Return the next `count` outputs, shape (count,)."""
        blocks = [self._ready]
        have = self._ready.size
        while have < count:
            blocks.append(self._block())
            have += _WORDS
        drawn = np.concatenate(blocks)
        self._ready = drawn[count:]
        return drawn[:count]

    def uniform(self, count: int) -> npt.NDArray[np.float64]:
        """Return the next `count` outputs divided by 2^64, shape (count,)."""
        return self.integers(count).astype(np.float64) * 2.0**-64

    def skip(self, count: int) -> None:
        """Pass over the next `count` outputs."""
        held = self._ready[count:]
        count -= len(self._ready) - len(held)
        self._ready = held
        while count >= _WORDS:
            self._block()
            count -= _WORDS
        self.integers(count)

    def _block(self) -> npt.NDArray[np.uint64]:
        old = self._state
        mixed = old & _UPPER
        mixed[:-1] |= old[1:] & _LOWER
        twisted = (mixed >> _ONE) ^ ((mixed & _ONE) * _MATRIX)
        new = np.empty_like(old)
        new[:_MIDDLE] = old[_MIDDLE:] ^ twisted[:_MIDDLE]
        new[_MIDDLE:-1] = new[: _MIDDLE - 1] ^ twisted[_MIDDLE:-1]
        # The last word pairs with the first of the new block, not of the old one.
        last = (int(old[-1]) & int(_UPPER)) | (int(new[0]) & int(_LOWER))
        odd = int(_MATRIX) if last & 1 else 0
        new[-1] = int(new[_MIDDLE - 1]) ^ last >> 1 ^ odd
        self._state = new
        out = new ^ (new >> np.uint64(29) & np.uint64(0x5555555555555555))
        out ^= out << np.uint64(17) & np.uint64(0x71D67FFFEDA60000)
        out ^= out << np.uint64(37) & np.uint64(0xFFF7EEE000000000)
        final: npt.NDArray[np.uint64] = out ^ (out >> np.uint64(43))
        return final


@final
class _Seeds:
    """The process's seed counter, or the one number that replaces it."""

    def __init__(self) -> None:
        self.next = 0
        self.fixed: int | None = None

    def take(self) -> int:
        if self.fixed is not None:
            return self.fixed
        seed = self.next
        self.next += 1
        return seed


SEEDS: Final = _Seeds()
