"""Following a remote file: the rules, apart from HTTP.

`Tail` is a state machine over what one can do (read from an offset, ask whether the writer is
done, pause, renew the link) and what came of it. The writer's state is always asked *before* the
last read: if it was over before a read that reached the end of the file, nothing can be missing.
`follow` drives it with blocking calls; another driver may drive it otherwise.
"""

import codecs
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, final

HOLD = 30.0
"""Seconds a read may be held by the service until there are bytes."""
POLITE = 1.0
"""Seconds between reads from a service that holds none."""
SETTLE = 1.0
"""Seconds a service may hold the state after a read ended early without bytes: the log is sealed
a moment before the state of its job changes."""
FRESH = 20.0
"""Seconds for which "the writer is not done" is good enough to let a read be held. A read held on
a file that was sealed in the meantime ends at once, but the service does not remember for ever."""
BACKOFF = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0)
"""Seconds before each new attempt after a broken connection; then it is given up."""


class Broken(Exception):  # noqa: N818 - an event of the link, never shown to users
    """The connection broke, or the service is away; the same bytes can be asked for again."""


class Expired(Exception):  # noqa: N818 - as above
    """The link is no longer valid; a new one continues at the same offset."""


@dataclass(frozen=True, slots=True)
class Read:
    """Read from `offset` on; the service may hold the answer `hold` seconds (0: not at all)."""

    offset: int
    hold: float


@dataclass(frozen=True, slots=True)
class AskState:
    """Ask whether the writer is done; the service may hold the answer `hold` seconds."""

    hold: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Renew:
    """Get a new link to the same file."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing more will come. `gave_up`: it may have, but it cannot be had."""

    gave_up: bool = False


Step = Read | AskState | Pause | Renew | Stop


@final
class Tail:
    """Decides what to do next. Tell it what came of `step`; then look at `step` again.

    Times are monotonic seconds of whatever clock the driver reads.

    Arguments:
        offset: the byte to begin at.
        alive_at: when the writer was last known not to be done; None: not known.
    """

    def __init__(self, offset: int = 0, alive_at: float | None = None) -> None:
        self.offset = offset
        self._final = False
        self._alive_at = alive_at
        self._got = 0
        self._failures = 0
        self._renewed = False
        self._settling = False
        self._after_state: Step | None = None
        self.step: Step = AskState(0.0) if alive_at is None else self._read()

    def received(self, count: int) -> None:
        """`count` bytes of an answer were handed on."""
        self.offset += count
        self._got += count
        self._failures = 0
        self._renewed = False

    def answered(self, *, pushed: bool, more: bool, early: bool, now: float) -> None:
        """An answer was read whole.

        Arguments:
            pushed: the service holds reads until there are bytes.
            more: the file was longer than this answer.
            early: it came without bytes before the read had been held its time.
            now: the time.
        """
        got, self._got = self._got, 0
        self._failures = 0
        self._settling = pushed and early and not got
        is_fresh = self._alive_at is not None and now - self._alive_at < FRESH
        if more or (pushed and got and is_fresh and not self._final):
            self.step = self._read()
        elif self._final:
            self.step = Stop()
        else:
            self.step = AskState(0.0)
            self._after_state = self._read() if pushed else Pause(POLITE)

    def state(self, *, over: bool, now: float) -> None:
        """The writer is done, or was not yet at `now`: what was asked for by `AskState`."""
        after, self._after_state = self._after_state, None
        if over:
            self._final = True
            self.step = self._read()
            return
        self._alive_at = now
        if self._settling:
            self._settling = False
            self._after_state = after
            self.step = AskState(SETTLE)
        else:
            self.step = after or self._read()

    def paused(self) -> None:
        """The pause is over."""
        # A service that came back elsewhere gives new links; asking also brings it back.
        self.step = Renew() if self._failures > 1 else self._read()

    def broke(self) -> None:
        """The connection broke, in the middle of an answer or before it."""
        self._got = 0
        if self._failures >= len(BACKOFF):
            self.step = Stop(gave_up=True)
            return
        seconds = BACKOFF[self._failures]
        self._failures += 1
        self.step = Pause(seconds)

    def expired(self) -> None:
        """The link was refused: once in a row that is its age, twice it is something else."""
        self._got = 0
        self.step = Stop(gave_up=True) if self._renewed else Renew()
        self._renewed = True

    def renewed(self) -> None:
        """There is a new link."""
        self.step = self._read()

    def _read(self) -> Read:
        return Read(self.offset, 0.0 if self._final else HOLD)


class Answer(Protocol):
    """What came of one read; its facts are known before its bytes are taken."""

    @property
    def chunks(self) -> Iterable[bytes]:
        """The bytes, from the offset asked for; raises Broken where they break off."""

    @property
    def pushed(self) -> bool:
        """The service holds reads."""

    @property
    def more(self) -> bool:
        """The file was longer than this answer."""


class Remote(Protocol):
    """The file and its writer."""

    def read(self, offset: int, hold: float) -> Answer:
        """Read from `offset` on; raises Broken or Expired."""

    def renew(self) -> None:
        """Get a new link; raises Broken."""

    def over(self, hold: float) -> bool:
        """Tell whether the writer is done; raises Broken."""


def follow(
    remote: Remote,
    offset: int = 0,
    *,
    is_alive: bool = False,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[bytes]:
    """Iterate over the bytes of `remote` from `offset` until its writer is done.

    Arguments:
        remote: the file and its writer.
        offset: the byte to begin at.
        is_alive: the writer is known not to be done, or not to have been until just now; else it
            is asked first.
        sleep: pauses; given by tests.
        clock: monotonic seconds; given by tests.

    Raises:
        Broken: the connection broke and did not come back.
        Expired: the link is refused, and so is a new one.
    """
    tail = Tail(offset, clock() if is_alive else None)
    while True:
        step = tail.step
        trouble: Exception | None = None
        try:
            match step:
                case Read(position, hold):
                    begun = clock()
                    answer = remote.read(position, hold)
                    for chunk in answer.chunks:
                        tail.received(len(chunk))
                        yield chunk
                    now = clock()
                    early = now - begun < 0.9 * hold
                    tail.answered(pushed=answer.pushed, more=answer.more, early=early, now=now)
                case AskState(hold):
                    # The time before the question: the answer is no younger than that.
                    asked = clock()
                    tail.state(over=remote.over(hold), now=asked)
                case Renew():
                    remote.renew()
                    tail.renewed()
                case Pause(seconds):
                    if seconds:
                        sleep(seconds)
                    tail.paused()
                case Stop():
                    return
        except Broken as error:
            trouble = error
            tail.broke()
        except Expired as error:
            trouble = error
            tail.expired()
        if trouble is not None and tail.step == Stop(gave_up=True):
            raise trouble


def text(pieces: Iterable[bytes]) -> Iterator[str]:
    """Decode UTF-8 without ever cutting a character; what is no UTF-8 becomes U+FFFD."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for piece in pieces:
        decoded = decoder.decode(piece)
        if decoded:
            yield decoded
    rest = decoder.decode(b"", final=True)
    if rest:
        yield rest


def lines(pieces: Iterable[str]) -> Iterator[str]:
    r"""Cut text into lines, without their `\n` or `\r\n`; the last one need not be ended."""
    begun: list[str] = []
    for piece in pieces:
        first, *others = piece.split("\n")
        begun.append(first)
        if others:
            # A line is joined once, however many pieces it came in.
            others.insert(0, "".join(begun))
            begun = [others.pop()]
            for line in others:
                yield line.removesuffix("\r")
    rest = "".join(begun)
    if rest:
        yield rest.removesuffix("\r")


def last_lines_offset(read: Callable[[int, int], bytes], size: int, count: int) -> int:
    """The byte at which the last `count` lines of a file of `size` bytes begin.

    Arguments:
        read: returns the bytes [begin, end) of the file.
        size: its size in bytes.
        count: lines wanted; an unfinished last line counts as one.
    """
    if count <= 0:
        return size
    end, step, found = size, 1 << 16, 0
    while end > 0:
        begin = max(0, end - step)
        block = read(begin, end)
        # The newline that ends the file ends a line; it does not begin another.
        position = len(block) - (1 if end == size and block.endswith(b"\n") else 0)
        while (position := block.rfind(b"\n", 0, position)) >= 0:
            found += 1
            if found == count:
                return begin + position + 1
        end, step = begin, min(4 * step, 1 << 22)
    return 0
