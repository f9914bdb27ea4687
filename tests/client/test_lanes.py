"""One bound for jobs and the jobs within them."""

import threading
from collections.abc import Iterator
from functools import partial

import pytest

from batchai_quickstart.client.lanes import Job, Lanes


class Watch:
    """How many jobs were done at once, and how many in all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0
        self.done = 0

    def job(self) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        threading.Event().wait(0.001)
        with self._lock:
            self._now -= 1
            self.done += 1


@pytest.mark.parametrize("count", [1, 3])
def test_jobs_within_jobs_share_the_bound(count: int) -> None:
    """However files and their parts nest, no more is under way than was asked for."""
    watch, lanes = Watch(), Lanes(count)

    def file() -> None:
        lanes.run([watch.job] * 6, 6)

    lanes.run([file] * 5, 5)
    assert watch.done == 30
    assert watch.most == count


def test_lanes_of_what_is_done_go_to_what_is_not() -> None:
    """The parts of one large file use all lanes, and are taken only when they are done."""
    watch, taken = Watch(), 0

    def parts() -> Iterator[Job]:
        nonlocal taken
        for _ in range(40):
            assert taken - watch.done <= 4, "a part is held for each lane at most"
            taken += 1
            yield watch.job

    lanes = Lanes(4)
    lanes.run([lambda: lanes.run(parts(), 40)], 1)
    assert (watch.done, watch.most) == (40, 4)


def test_first_failure_ends_everything() -> None:
    """What fails is raised as it is, from whatever depth; nothing new begins."""
    lanes, begun = Lanes(2), list[int]()

    def part(number: int) -> None:
        begun.append(number)
        if number == 3:
            raise ValueError("three")

    def file() -> None:
        lanes.run([partial(part, number) for number in range(100)], 100)

    with pytest.raises(ValueError, match="three"):
        lanes.run([file, file], 2)
    assert len(begun) < 20
