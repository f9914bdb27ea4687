"""Random numbers as CNTK draws them on a CPU: a 64-bit Mersenne twister for each seed.

Seeds come from a counter that starts at 0 with the process. Every initialiser without a seed, every
dropout without a seed and every learner takes the next one at the moment it is created, so two runs
of one script are equal.
"""

import math
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
_BUCKETS: Final = np.uint64(255)
_LAYERS: Final = 128
_TAIL: Final = 3.4426198558966521214
_ROOM: Final = 32
"""More words than one rejected step of the ziggurat takes."""


def _ziggurat() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the right edges and heights of 128 layers of equal area under exp(-x^2 / 2).

    Marsaglia and Tsang, The ziggurat method for generating random variables, 2000.
    """

    def height(x: float) -> float:
        return math.exp(-x * x / 2)

    area = _TAIL * height(_TAIL) + math.sqrt(math.pi / 2) * math.erfc(_TAIL / math.sqrt(2))
    edges = [area / height(_TAIL), _TAIL]
    while len(edges) < _LAYERS:
        edges.append(math.sqrt(-2 * math.log(area / edges[-1] + height(edges[-1]))))
    edges.append(0.0)
    return np.array(edges), np.array([height(x) for x in edges])


_EDGES, _HEIGHTS = _ziggurat()


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

    def normal(self, count: int) -> npt.NDArray[np.float64]:
        """Return the next `count` numbers of mean 0 and deviation 1, shape (count,).

        One word gives the layer, the sign and the place in the layer; about 1 in 80 needs more.
        """
        values = np.empty(count)
        filled = 0
        while filled < count:
            words = self.integers(count - filled + 2 * _ROOM)
            bucket = (words & _BUCKETS).astype(np.intp)
            layer = bucket >> 1
            place = (words >> np.uint64(8)).astype(np.float64) * 2.0**-56 * _EDGES[layer]
            signed = place * ((bucket & 1) * 2 - 1)
            outside = np.flatnonzero(place >= _EDGES[layer + 1])
            at = 0
            for stop in [*outside.tolist(), len(words)]:
                if stop < at:
                    continue
                run = min(stop - at, count - filled)
                values[filled : filled + run] = signed[at : at + run]
                filled += run
                at += run
                if filled == count or at + _ROOM > len(words):
                    break
                inside, at = _beyond_the_layer(words, at)
                if inside is not None:
                    values[filled] = inside
                    filled += 1
                if filled == count:
                    break
            self._ready = np.concatenate([words[at:], self._ready])
        return values

    def normals(self, count: int) -> npt.NDArray[np.float64]:
        """Return `count` numbers as CNTK fills a matrix: it draws an even number of them."""
        return self.normal(count + count % 2)[:count]

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


def _beyond_the_layer(words: npt.NDArray[np.uint64], at: int) -> tuple[float | None, int]:
    """Return what a word gives that falls into the rest of its layer, and the next word's place."""

    def uniform(i: int) -> float:
        return int(words[i]) * 2.0**-64

    word = int(words[at])
    sign, layer = (word & 1) * 2 - 1, (word & 255) >> 1
    place = (word >> 8) * 2.0**-56 * _EDGES[layer]
    at += 1
    if layer == 0:
        while True:
            over, drop = (-math.log1p(-uniform(at + i)) for i in (0, 1))
            over /= _TAIL
            at += 2
            if 2 * drop > over * over:
                return sign * (over + _TAIL), at
    low, high = _HEIGHTS[layer], _HEIGHTS[layer + 1]
    height = low + uniform(at) * (high - low)
    at += 1
    return (sign * place if height < math.exp(-place * place / 2) else None), at


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
