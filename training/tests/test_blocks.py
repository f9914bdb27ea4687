"""Text read by arithmetic on its bytes, and big files whose lines are read when they are needed."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cntk.io import CTFDeserializer, MinibatchSource, StreamDef, StreamDefs, _blocks

NAMES, WIDTHS = ["x", "y2"], [3, 1]


def read(text: str) -> list[npt.NDArray[Any]] | None:
    shape = _blocks.shape_of(text.split("\n", 1)[0].encode(), NAMES, WIDTHS)
    return None if shape is None else _blocks.read(np.frombuffer(text.encode(), np.uint8), shape)


@pytest.mark.parametrize("value", [*map(str, range(0, 256, 5)), "255", "007", "00", "099"])
def test_whole_numbers_come_as_bytes(value: str) -> None:
    """From 0 to 255, with zeros in front, beside longer and shorter ones."""
    found = read(f"|x 1 {value} 23 |y2 {value}\n|x {value} 200 {value} |y2 9\n")
    assert found is not None
    assert [column.dtype for column in found] == [np.uint8, np.uint8]
    number = int(value)
    np.testing.assert_array_equal(found[0], [[1, number, 23], [number, 200, number]])
    np.testing.assert_array_equal(found[1], [[number], [9]])


@pytest.mark.parametrize(
    "value",
    [
        *("256", "299", "300", "999", "1000", "0255", "-1", "+7", "0.5", ".5", "5.", "-0", "1e3"),
        *("-1.25E-3", "2.5e+10", "123456789.125", "1.234567890123456789e+00", "1e400", "-.0e0"),
        *("0.000000000000000001", "99999999999999999", "1.17549435e-38", "3.4028235e38"),
    ],
)
def test_other_numbers_come_as_floats(value: str) -> None:
    """Signs, points, exponents and many digits, to the last bit that a float has."""
    found = read(f"|x 1 {value} 23 |y2 4\n|x 5 6 7\t|y2  {value}\r\n")
    assert found is not None
    with np.errstate(over="ignore"):
        number = np.float64(value).astype(np.float32)
    np.testing.assert_array_equal(found[0], np.array([[1, number, 23], [5, 6, 7]], np.float32))
    np.testing.assert_array_equal(found[1], np.array([[4], [number]], np.float32))


@pytest.mark.parametrize(
    "line",
    [
        "|x 1 2 |y2 3",
        "|x 1 2 3 4 |y2 3",
        "|x 1 2 3 |y2",
        "|x 1 2 3 |y2 4 5",
        "|y2 4 |x 1 2 3",
        "|x 1 2 3",
        "|x 1 2 3 |y2 4 |z 5",
        "|x 1 2 3 |y2 4 |y2 4",
        "|x 1 2 3 |# 4",
        "7 |x 1 2 3 |y2 4",
        "",
        "|x 1 2 a |y2 4",
        "|x 1 2 1_0 |y2 4",
        "|x 1 2 1.2.3 |y2 4",
        "|x 1 2 - |y2 4",
        "|x 1 2 . |y2 4",
        "|x 1 2 e5 |y2 4",
        "|x 1 2 1e |y2 4",
        "|x 1 2 1e5e5 |y2 4",
        "|x 1 2 1e1.5 |y2 4",
        "|x 1 2 3-4 |y2 4",
        "|x 1 2 0x3 |y2 4",
        "|x 1 2 nan |y2 4",
        "|x 1 2\x0b3 |y2 4",
        "|x1 2 3 |y2 4",
        "|x 1 2 3 |y24",
        "|x 1 2 3:4 |y2 4",
        f"|x 1 2 {'9' * 19} |y2 4",
    ],
)
def test_what_is_not_plain_is_left_to_the_careful_reader(line: str) -> None:
    """As the first line, or among others of which one has more and one less."""
    plain = "|x 1 2 3 |y2 4\n"
    assert read(plain + line + "\n" + plain) is None
    assert read(line + "\n" + line + "\n") is None or line == "|y2 4 |x 1 2 3"


COUNT = 60_000
TAIL = " " + "7 " * 64


def big(path: Path, *changes: tuple[int, str]) -> MinibatchSource:
    """Return a source of a file of about 9 MB, whose line i says i % 251, i % 7 and 64 sevens."""
    lines = [f"|x {i % 251} {i % 7}{TAIL}|y2 {i % 5}" for i in range(COUNT)]
    for i, line in changes:
        lines[i] = line
    path.write_text("\n".join(lines))
    assert path.stat().st_size > 1 << 23
    streams = StreamDefs(x=StreamDef("x", 66), y=StreamDef("y2", 1))
    return MinibatchSource(CTFDeserializer(path, streams), randomize=False)


def rows(source: MinibatchSource, size: int) -> list[list[float]]:
    data = source.next_minibatch(size)
    x, y = data[source.streams.x].asarray()[:, 0], data[source.streams.y].asarray()[:, 0]
    assert (x[:, 2:] == 7).all()
    found: list[list[float]] = np.concatenate([x[:, :2], y], 1).tolist()
    return found


def expected(begin: int, stop: int) -> list[list[float]]:
    return [[i % 251, i % 7, i % 5] for i in range(begin, stop)]


def test_lines_of_a_big_file_come_before_it_is_read(tmp_path: Path) -> None:
    """Minibatches small and great say what the lines say, whoever read them, to the last line."""
    source = big(tmp_path / "data")
    at = 0
    for size in (64, 1, 64, 3000, 5000, 64, COUNT - 8194, 1):
        assert rows(source, size) == expected(at, at + size)
        at += size
    assert at == COUNT
    whole = big(tmp_path / "data")
    assert rows(whole, COUNT) == expected(0, COUNT)


def test_floats_anywhere_in_a_big_file_are_read(tmp_path: Path) -> None:
    """Where others are bytes; exponents, comments and missing streams' names too."""
    line = 41_000
    source = big(tmp_path / "data", (line, f"|# here |x -0.5 1e2{TAIL}|y2 3"))
    source.restore_from_checkpoint({"minibatchSourcePosition": line - 1})
    assert rows(source, 3) == [
        *expected(line - 1, line),
        [-0.5, 100, 3],
        *expected(line + 1, line + 2),
    ]
    assert rows(big(tmp_path / "data"), 1) == expected(0, 1)


def test_a_bad_line_of_a_big_file_is_told(tmp_path: Path) -> None:
    """When it is read, at the latest when it is asked for; again when somebody asks again."""
    source = big(tmp_path / "data", (50_000, f"|x 1 oops{TAIL}|y2 3"))
    assert rows(source, 64) == expected(0, 64)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="Reached the maximum number of allowed errors"):
            source.next_minibatch(COUNT - 64)


def test_a_big_file_with_ids_or_blank_lines_is_read_at_once(tmp_path: Path) -> None:
    """Only where every line is a sample can lines be found by their ends alone."""
    (tmp_path / "data").write_text("".join(f"{i} |x {i % 9}{TAIL}|y2 3\n\n" for i in range(COUNT)))
    streams = StreamDefs(x=StreamDef("x", 65), y=StreamDef("y2", 1))
    source = MinibatchSource(CTFDeserializer(tmp_path / "data", streams), randomize=False)
    x = source.next_minibatch(COUNT)[source.streams.x].asarray()[:, 0, 0]
    np.testing.assert_array_equal(x, np.arange(COUNT) % 9)
