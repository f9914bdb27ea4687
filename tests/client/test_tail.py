"""Following a file: the rules, with a fake file and a fake clock."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pytest

from batchai_quickstart.client import tail
from batchai_quickstart.client.tail import Broken, Expired, follow, last_lines_offset, lines, text


@dataclass
class Part:
    """One answer of the fake file."""

    chunks: Iterable[bytes]
    pushed: bool
    more: bool = False


@dataclass
class Fake:
    """A file written by a script of events, one before each question.

    An event is bytes (appended), `over` (the writer ends), `Broken`/`Expired` (the next read
    fails so), `cut:N` (the next read breaks after N bytes), or None (nothing happens).
    """

    events: list[bytes | str | type[Exception] | None]
    pushed: bool = True
    limit: int = 1 << 20
    content: bytes = b""
    ended: bool = False
    log: list[str] = field(default_factory=list)
    now: float = 0.0

    def read(self, offset: int, hold: float) -> Part:
        self.log.append(f"read {offset}" if hold else f"read {offset} now")
        fault = self._happen()
        if self.pushed and hold and len(self.content) <= offset and not self.ended and not fault:
            self.now += hold
        if fault in (Broken, Expired):
            raise fault("event")
        data = self.content[offset : offset + self.limit]
        if isinstance(fault, int):
            return Part(self._broken(data[:fault]), self.pushed)
        return Part([data] if data else [], self.pushed, offset + len(data) < len(self.content))

    def renew(self) -> None:
        self.log.append("renew")

    def over(self, hold: float) -> bool:
        self.log.append("state" if not hold else "state held")
        self._happen()
        return self.ended

    def _happen(self) -> type[Exception] | int | None:
        event = self.events.pop(0) if self.events else None
        if isinstance(event, bytes):
            self.content += event
        elif event == "over":
            self.ended = True
        elif isinstance(event, str):
            return int(event.removeprefix("cut:"))
        elif event is not None:
            return event
        return None

    @staticmethod
    def _broken(data: bytes) -> Iterator[bytes]:
        yield data
        raise Broken("in the middle")

    def sleep(self, seconds: float) -> None:
        self.log.append(f"sleep {seconds:g}")
        self.now += seconds

    def follow(self, offset: int = 0, *, is_alive: bool = True) -> bytes:
        pieces = follow(self, offset, is_alive=is_alive, sleep=self.sleep, clock=lambda: self.now)
        return b"".join(pieces)


def test_pushed_bytes_come_without_pause_or_question() -> None:
    """While a service pushes, reads follow reads: no sleep, and the state is not asked."""
    fake = Fake([b"one\n", b"two\n", "over"])
    assert fake.follow() == b"one\ntwo\n"
    assert fake.log == ["read 0", "read 4", "read 8", "state", "read 8 now"]


def test_state_is_asked_before_the_last_read() -> None:
    """What is written between an empty read and the end of the job is not lost."""
    fake = Fake([b"a", None, b"late", "over"])
    assert fake.follow() == b"alate"
    polite = Fake([b"a", None, b"late", "over"], pushed=False)
    assert polite.follow() == b"alate"


def test_finished_file_is_never_held() -> None:
    """Where the state is not known it is asked first; a read of a finished file is not held."""
    fake = Fake([], content=b"old", ended=True)
    assert fake.follow(is_alive=False) == b"old"
    assert fake.log == ["state", "read 0 now"]


def test_old_news_of_the_writer_is_asked_again() -> None:
    """After a slow reader's pause the state is asked before a read is held again."""
    fake = Fake([b"a", b"b", None, "over"])
    pieces = follow(fake, is_alive=True, sleep=fake.sleep, clock=lambda: fake.now)
    assert next(pieces) == b"a"
    fake.now += tail.FRESH + 1
    assert list(pieces) == [b"b"]
    assert fake.log[:4] == ["read 0", "state", "read 1", "read 2"]


def test_seal_before_state_is_waited_for_by_the_state() -> None:
    """A read that ended early leads to a held question about the state, not to a long silence."""
    fake = Fake([b"x", None, None, "over"])
    fake.now = 0.0

    def read_early(offset: int, hold: float) -> Part:
        fake.log.append(f"read {offset}")
        fake._happen()
        return Part([fake.content[offset:]] if fake.content[offset:] else [], True)

    fake.read = read_early  # type: ignore[method-assign]
    assert fake.follow() == b"x"
    assert fake.log == ["read 0", "read 1", "state", "state held", "read 1"]


def test_polling_is_polite() -> None:
    """Without pushes there is a second between reads, and none after the end."""
    fake = Fake([b"a", None, None, b"b", "over"], pushed=False)
    assert fake.follow() == b"ab"
    asked = ["read 0", "state", "sleep 1", "read 1", "state", "sleep 1", "read 1", "state"]
    assert fake.log == [*asked, "read 2 now"]


def test_large_files_come_in_bounded_answers() -> None:
    """Answers that end before the file does are followed up at once, in order."""
    fake = Fake([b"0123456789", "over"], limit=3)
    assert fake.follow() == b"0123456789"
    assert not any(entry.startswith("sleep") for entry in fake.log)


def test_broken_connection_resumes_at_the_exact_byte() -> None:
    """A break in the middle of an answer neither loses nor repeats a byte."""
    fake = Fake([b"hello world", "cut:4", "over"])
    fake.events = ["cut:4", None, "over"]
    fake.content = b"hello world"
    assert fake.follow() == b"hello world"
    assert fake.log[:2] == ["read 0", "read 4"]


def test_outage_is_waited_out_with_growing_pauses() -> None:
    """A service that is away is asked again after 0, 0.1, 0.2, 0.5 ... seconds."""
    fake = Fake([Broken, Broken, Broken, Broken, b"back", "over"])
    assert fake.follow() == b"back"
    assert fake.log[:5] == ["read 0", "read 0", "sleep 0.1", "renew", "read 0"]
    assert [entry for entry in fake.log if entry.startswith("sleep")] == [
        "sleep 0.1",
        "sleep 0.2",
        "sleep 0.5",
    ]


def test_outage_that_lasts_is_given_up() -> None:
    """After all attempts the last failure is raised."""
    fake = Fake([Broken] * 100)
    with pytest.raises(Broken):
        fake.follow()
    assert fake.log.count("read 0") == len(tail.BACKOFF) + 1


def test_expired_link_is_renewed_once() -> None:
    """A refused link is replaced, and reading goes on at the same byte."""
    fake = Fake([b"ab", Expired, b"cd", "over"])
    assert fake.follow() == b"abcd"
    assert fake.log[:4] == ["read 0", "read 2", "renew", "read 2"]


def test_link_refused_twice_is_an_error() -> None:
    """A new link that is refused too is not asked for for ever."""
    with pytest.raises(Expired):
        Fake([Expired, Expired, Expired]).follow()


def test_following_from_an_offset() -> None:
    """Reading begins at the byte asked for."""
    fake = Fake(["over"], content=b"0123456789")
    assert fake.follow(7) == b"789"


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_characters_are_never_cut(size: int) -> None:
    """UTF-8 cut anywhere decodes whole; an unfinished character at the end is replaced."""
    whole = "naïve ½ 漢字 😀\n"
    data = whole.encode()
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    assert "".join(text(pieces)) == whole
    assert "".join(text([b"ok \xe6\xbc"])) == "ok \ufffd"
    assert "".join(text([b"a\xffb"])) == "a\ufffdb"


def test_lines_have_no_ends_and_the_last_one_comes() -> None:
    """Lines are cut at newlines however the pieces fall; a last line without one is a line."""
    assert list(lines(["a\nb", "c\r", "\n\nd"])) == ["a", "bc", "", "d"]
    assert list(lines(["a\n"])) == ["a"]
    assert list(lines([])) == []


def test_last_lines_are_found_from_the_end() -> None:
    """The offset of the last lines is found in blocks from the end, ended or not."""
    for ending in ("", "\n"):
        data = ("\n".join(f"line {i} " + "x" * 100 for i in range(5000)) + ending).encode()
        asked: list[int] = []

        def read(begin: int, end: int, data: bytes = data, asked: list[int] = asked) -> bytes:
            asked.append(end - begin)
            return data[begin:end]

        offset = last_lines_offset(read, len(data), 3)
        assert [line.split()[1] for line in data[offset:].decode().splitlines()] == [
            "4997",
            "4998",
            "4999",
        ]
        assert asked == [1 << 16]
        assert last_lines_offset(read, len(data), 4000) == data.index(b"line 1000 ")
        assert last_lines_offset(read, len(data), 9999) == 0
        assert last_lines_offset(read, len(data), 0) == len(data)
    assert last_lines_offset(lambda begin, end: b"", 0, 3) == 0
