"""Finding and ending everything a command started, also what left its session and its parents.

A process belongs to a command when it descends from its sh, is in the session of that sh, or has
the run's mark in its environment. What was daemonised (orphaned, in a session of its own) has only
the mark; what was daemonised with an emptied environment as well cannot be told from a stranger.
"""

import asyncio
import os
import signal
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from batchai_quickstart.engines.exits import Exits, gone
from batchai_quickstart.engines.processes import Seen, Table

# A walk over all processes costs milliseconds; pids are handed out in rising order, so within this
# many seconds (too short to use up all numbers) only pids above the first sh's can be of the run.
_PIDS_STAY_ORDERED = 2.0
# A shell's child between fork and exec swallows a SIGTERM, and nothing announces what is forked or
# executed while we wait: so we look again, at growing distances. Who was told, and is the same
# program still, is not told twice: a second SIGTERM means "hurry" to many.
_FIRST_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class Root:
    """A command's sh, where the search for its tree begins.

    Arguments:
        pid: its pid, which is its session's number too.
        age: seconds since it was started.
        ended: None while it lives; else when it ended, on the clock of `Seen.start`.
        mark: its run's mark, if it has one.
    """

    pid: int
    age: float
    ended: float | None
    mark: str | None


async def end(roots: Sequence[Root], processes: Table, exits: Exits, grace: float) -> int:
    """End what belongs to `roots`: SIGTERM, and SIGKILL after `grace` seconds, until none is left.

    A sh is killed last and only when it does not end by itself: it writes the exit status.

    Returns:
        How many processes had to be ended, the sh of a command not counted.
    """
    deadline = time.monotonic() + grace
    shells = {root.pid for root in roots if root.ended is None}
    known: dict[int, Seen] = {}
    told: dict[tuple[int, float, str], signal.Signals] = {}
    foreign: set[tuple[int, float, str]] = set()
    pause = _FIRST_PAUSE
    while True:
        members = await _members(roots, processes, known)
        known |= {member.pid: member for member in members}
        members = [member for member in members if _program(member) not in foreign]
        if not members:
            return len({pid for pid, _, _ in told} - shells)
        left = deadline - time.monotonic()
        number = signal.SIGTERM if left > 0 else signal.SIGKILL
        targets = members
        if number is signal.SIGKILL:
            targets = [member for member in members if member.pid not in shells]
            if not targets:
                await gone(exits, [member.pid for member in members], 0.5)
                targets = members
        untold = [member for member in targets if told.get(_program(member)) is not number]
        for member in untold:
            try:
                _send(member, number, processes)
                told[_program(member)] = number
            except PermissionError:  # it became another user: not ours to end
                foreign.add(_program(member))
        # Who was started during the walk is not told yet: wait only when a walk found nobody new.
        if not untold:
            await gone(exits, [member.pid for member in targets], min(pause, max(left, 0.0) or 1.0))
            pause *= 2


async def _members(
    roots: Sequence[Root], processes: Table, known: Mapping[int, Seen]
) -> list[Seen]:
    """Living processes of `roots`, also those that descend from `known` ones."""
    marks = {root.mark for root in roots if root.mark}
    over = not known and all(root.ended is not None for root in roots)
    if over and roots and max(root.age for root in roots) < _PIDS_STAY_ORDERED:
        oldest = max(roots, key=lambda root: root.age)
        candidates: Iterable[int] = processes.newer(oldest.pid)
    else:
        candidates = processes.pids()
    me = os.getpid()
    seen: dict[int, Seen] = {}
    chosen: dict[int, Seen] = {}
    sessions = {root.pid: root.ended for root in roots}
    for pid in candidates:
        look = None if pid == me else processes.look(pid)
        if look is None:
            continue
        seen[pid] = look
        ended = sessions.get(look.session)
        # A session's number is free once the session is gone: later members are strangers.
        in_session = look.session in sessions and (ended is None or look.start <= ended)
        same = known.get(pid)
        if (
            in_session
            or (same is not None and same.start == look.start)
            or (marks and await _mark(pid, processes) in marks)
        ):
            chosen[pid] = look
    for look in _descendants(seen, chosen):
        chosen.setdefault(look.pid, look)
    return list(chosen.values())


async def _mark(pid: int, processes: Table) -> str:
    """The mark of `pid`, waiting for the end of an exec (microseconds, which nothing announces)."""
    for _ in range(200):
        mark = processes.mark(pid)
        if mark is not None:
            return mark
        await asyncio.sleep(0.001)
    return ""


def _descendants(seen: Mapping[int, Seen], ancestors: Collection[int]) -> list[Seen]:
    children: dict[int, list[Seen]] = {}
    for look in seen.values():
        children.setdefault(look.parent, []).append(look)
    found: list[Seen] = []
    queue = list(ancestors)
    visited = set(queue)
    while queue:
        for child in children.get(queue.pop(), ()):
            if child.pid not in visited:
                visited.add(child.pid)
                found.append(child)
                queue.append(child.pid)
    return found


def _send(member: Seen, number: signal.Signals, processes: Table) -> None:
    """Signal exactly `member`, not whoever has its pid by now."""
    with suppress(ProcessLookupError):
        if hasattr(signal, "pidfd_send_signal") and hasattr(os, "pidfd_open"):
            try:
                descriptor = os.pidfd_open(member.pid)
            except ProcessLookupError:
                return
            except OSError:  # no pidfd here
                descriptor = -1
            if descriptor >= 0:
                try:
                    if _is(member, processes):
                        signal.pidfd_send_signal(descriptor, number)
                        if number is signal.SIGTERM:  # one that is stopped would not hear it
                            signal.pidfd_send_signal(descriptor, signal.SIGCONT)
                finally:
                    os.close(descriptor)
                return
        if _is(member, processes):
            os.kill(member.pid, number)
            if number is signal.SIGTERM:
                os.kill(member.pid, signal.SIGCONT)


def _program(member: Seen) -> tuple[int, float, str]:
    """What stays the same until it starts another program, whoever its parent becomes."""
    return member.pid, member.start, member.program


def _is(member: Seen, processes: Table) -> bool:
    now = processes.look(member.pid)
    return now is not None and now.start == member.start
