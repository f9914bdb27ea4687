"""Minibatch sources and the CNTK text format."""

from pathlib import Path

import numpy as np
import pytest

import cntk as C
from cntk.io import CTFDeserializer, MinibatchSource, StreamDef, StreamDefs


def source(path: Path, dim: int = 2, **options: object) -> MinibatchSource:
    streams = StreamDefs(f=StreamDef(field="features", shape=dim), l=StreamDef("labels", 1))
    return MinibatchSource(CTFDeserializer(path, streams), **options)  # type: ignore[arg-type]


def ten(path: Path) -> Path:
    path.write_text("".join(f"|features {i} {i + 1} |labels {i}\n" for i in range(10)))
    return path


def labels(reader: MinibatchSource, size: int) -> list[int]:
    data = reader.next_minibatch(size, {"l": reader.streams.l})
    return [int(v) for v in data["l"].asarray().ravel()] if data else []


@pytest.mark.parametrize(
    ("seed", "expected"),
    [(0, "4 7 3 9 1 2 8 6 5 0 1 2 8 6 5 7 0 9 3 4"), (7, "3 7 8 6 5 2 9 0 4 1")],
)
def test_the_order_is_cntks(tmp_path: Path, seed: int, expected: str) -> None:
    """Ten lines come in CNTK's order, another one in the second sweep."""
    wanted = [int(word) for word in expected.split()]
    reader = source(ten(tmp_path / "data"), randomization_seed=seed)
    assert labels(reader, len(wanted)) == wanted


def test_minibatches_run_across_the_end_of_a_sweep(tmp_path: Path) -> None:
    """They stay full, and those that contain or reach an end say so."""
    reader = source(ten(tmp_path / "data"))
    batches = [reader.next_minibatch(4)[reader.streams.l] for _ in range(5)]
    assert [batch.num_samples for batch in batches] == [4] * 5
    assert [batch.end_of_sweep for batch in batches] == [False, False, True, False, True]


def test_the_last_minibatch_is_short(tmp_path: Path) -> None:
    """At max_samples or max_sweeps the rest comes, then nothing."""
    limited = source(ten(tmp_path / "data"), max_samples=13)
    assert [len(labels(limited, 4)) for _ in range(6)] == [4, 4, 4, 1, 0, 0]
    once = source(tmp_path / "data", max_sweeps=1, randomize=False)
    assert [labels(once, 4) for _ in range(4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], []]


def test_a_source_goes_on_from_where_it_was(tmp_path: Path) -> None:
    """The state is the number of samples given out; restoring it continues identically."""
    reader = source(ten(tmp_path / "data"))
    labels(reader, 8)
    state = reader.get_checkpoint_state()
    assert state == {"minibatchSourcePosition": 8}
    again = source(tmp_path / "data")
    again.restore_from_checkpoint(state)
    assert labels(again, 9) == labels(reader, 9)


def test_minibatch_data_look_like_cntks(tmp_path: Path) -> None:
    """Values come as (samples, 1, dim) float32, keyed by the caller's variables."""
    reader = source(ten(tmp_path / "data"), randomize=False)
    x = C.input_variable(2)
    data = reader.next_minibatch(3, input_map={x: reader.streams.f})[x]
    assert (data.shape, data.num_sequences, len(data), data.is_sparse) == ((3, 1, 2), 3, 3, False)
    np.testing.assert_array_equal(data.asarray(), [[[0, 1]], [[1, 2]], [[2, 3]]])
    assert data.asarray().dtype == np.float32
    np.testing.assert_array_equal(C.square(x).eval({x: data}), [[0, 1], [1, 4], [4, 9]])


@pytest.mark.parametrize(
    "text",
    [
        "|features 1 2 |labels 3\n|features 4 5 |labels 6\n",
        "|labels 3 |features 1 2\n|labels 6 |features 4 5",
        "|features 1 2 |labels 3\r\n|features 4 5 |labels 6\r\n",
        "|features 1.0 2e0 |labels 3\n|features +4 5 |labels 6\n",
        "|# a comment |features 1 2 |labels 3\n\n|features 4 5 |labels 6\n",
        "|labels 3 |features 1 2\n|features 4 5 |labels 6\n",
        "|features 1 2 |other 9 9 9 |labels 3\n|features 4 5 |labels 6\n",
        "0 |features 1 2 |labels 3\n1 |features 4 5 |labels 6\n",
        "|features   1\t2   |labels 3  \n|features 4 5 |labels 6\n",
        "|features 001 2|labels 3\n|features 4 5 |labels 6\n",
    ],
)
def test_every_spelling_of_the_same_data_reads_alike(tmp_path: Path, text: str) -> None:
    """Blanks, order, comments, ids, line ends, unknown streams and floats change nothing."""
    (tmp_path / "data").write_bytes(text.encode())
    reader = source(tmp_path / "data", randomize=False)
    data = reader.next_minibatch(2)
    np.testing.assert_array_equal(data[reader.streams.f].asarray(), [[[1, 2]], [[4, 5]]])
    np.testing.assert_array_equal(data[reader.streams.l].asarray(), [[[3]], [[6]]])


@pytest.mark.parametrize("value", ["255", "256", "999", "1000", "70000", "-1", "0.5", "1e-3"])
def test_numbers_of_every_size_are_read_exactly(tmp_path: Path, value: str) -> None:
    """What does not fit into a byte is read as a float."""
    (tmp_path / "data").write_text(f"|features 7 {value} |labels 100\n" * 3)
    reader = source(tmp_path / "data", randomize=False)
    data = reader.next_minibatch(3)
    np.testing.assert_array_equal(data[reader.streams.f].asarray(), [[[7, np.float32(value)]]] * 3)


def test_blocks_and_lines_do_not_depend_on_each_other(tmp_path: Path) -> None:
    """A file of several blocks, fast and careful ones in turn, reads as its lines say."""
    count = 3000
    rows = [[i % 251, i % 7, *[i % 3] * 998] for i in range(count)]
    lines = [f"|features {' '.join(map(str, row))} |labels {i % 9}" for i, row in enumerate(rows)]
    lines[1500] = lines[1500].replace("|labels ", "|labels -")
    (tmp_path / "data").write_text("\n".join(lines))
    reader = source(tmp_path / "data", dim=1000, randomize=False)
    data = reader.next_minibatch(count)
    np.testing.assert_array_equal(data[reader.streams.f].asarray()[:, 0], rows)
    assert data[reader.streams.l].asarray().ravel().tolist()[1499:1502] == [
        1499 % 9,
        -(1500 % 9),
        1501 % 9,
    ]


def test_missing_values_are_zero_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A short dense sample is filled up, and stderr says at which offset."""
    (tmp_path / "data").write_text("|features 1 2 |labels 3\n|features 4 |labels 6\n")
    reader = source(tmp_path / "data", randomize=False)
    np.testing.assert_array_equal(reader.next_minibatch(2)[reader.streams.f].asarray()[1], [[4, 0]])
    assert "WARNING: A dense sample at offset 24 in the input file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("|features 1 2\n", "Malformed input file. Bailing out"),
        ("|features 1 x |labels 3\n", "Reached the maximum number of allowed errors"),
        ("|features 1 1_0 |labels 3\n", "text instead of a number"),
        (
            "junk |features 1 2 |labels 3\n",
            "Expected a sequence id at the offset 0, none was found",
        ),
        ("|features 1 2 3 |labels 3\n", "3 values where 2 are expected"),
        ("", "Input file is empty"),
        ("\n\n", "Input file is empty"),
    ],
)
def test_bad_files_are_refused_in_cntks_words(tmp_path: Path, text: str, message: str) -> None:
    """Missing streams, text, too many values and empty files raise RuntimeError."""
    (tmp_path / "data").write_text(text)
    with pytest.raises(RuntimeError, match=message):
        source(tmp_path / "data")


def test_a_missing_file_is_named() -> None:
    """The message has the path."""
    with pytest.raises(RuntimeError, match="Input file '/nonexist' is not open"):
        source(Path("/nonexist"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 |f 10:1 |l 1\n", "Reached the maximum number of allowed errors.*the index 10"),
        ("0 |f a:1 |l 1\n", "Reached the maximum number of allowed errors.*'a:1' instead of"),
        ("0 |f 1:x |l 1\n", "Reached the maximum number of allowed errors.*'1:x' instead of"),
        ("0 |f 1 |l 1\n", "Reached the maximum number of allowed errors.*'1' instead of"),
        ("0 |f 1:1 |f 2:1 |l 1\n", "Reached the maximum number of allowed errors.*a second 'f'"),
        ("0 |g 1:1\n", "Reached the maximum number of allowed errors.*no 'f', 'l'"),
        ("0 |f 1:1 |l 1\n1 |l 2\n", "Malformed input file. Bailing out..*no 'f' in the sequence 1"),
    ],
)
def test_malformed_sparse_and_sequence_files_are_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    """CNTK's words, then what is wrong and where."""
    (tmp_path / "data").write_text(text)
    streams = StreamDefs(f=StreamDef("f", 10, is_sparse=True), l=StreamDef("l", 1))
    with pytest.raises(RuntimeError, match=message):
        MinibatchSource(CTFDeserializer(tmp_path / "data", streams))


def test_sequences_cannot_be_fed_to_an_input_without_their_axis(tmp_path: Path) -> None:
    """Steps are not taken for samples."""
    (tmp_path / "data").write_text("0 |f 1 |l 3\n0 |f 4 |l 6\n")
    streams = StreamDefs(f=StreamDef("f", 1), l=StreamDef("l", 1))
    source = MinibatchSource(CTFDeserializer(tmp_path / "data", streams))
    x = C.input_variable(1)
    with pytest.raises(ValueError, match="has no sequence axis"):
        (x * 2).eval(source.next_minibatch(2, {x: source.streams.f}))


def test_a_source_of_sequences_goes_on_from_its_position(tmp_path: Path) -> None:
    """A position counts samples; a source that is set there gives the same sequences."""
    lines = [f"{i} |f {i}\n" * (i % 3 + 1) for i in range(9)]
    (tmp_path / "data").write_text("".join(lines))
    streams = StreamDefs(f=StreamDef("f", 1))
    one, two = (MinibatchSource(CTFDeserializer(tmp_path / "data", streams)) for _ in range(2))
    for _ in range(5):
        one.next_minibatch(5)
    two.restore_from_checkpoint(one.get_checkpoint_state())
    for _ in range(5):
        here, there = (next(iter(s.next_minibatch(5).values())).as_sequences() for s in (one, two))
        assert [part.tolist() for part in here] == [part.tolist() for part in there]


def test_mnist_comes_in_cntks_order(mnist: Path) -> None:
    """Sweep 0 of the training file starts with lines 6096, 7045, 8240, 46310, 42416, 47947."""
    streams = StreamDefs(f=StreamDef("features", 784), l=StreamDef("labels", 10))
    path = mnist / "Train-28x28_cntk_text.txt"
    shuffled = MinibatchSource(CTFDeserializer(path, streams))
    plain = MinibatchSource(CTFDeserializer(path, streams), randomize=False)
    everything = plain.next_minibatch(60000)[plain.streams.f].asarray()
    first = shuffled.next_minibatch(6)[shuffled.streams.f].asarray()
    np.testing.assert_array_equal(first, everything[[6096, 7045, 8240, 46310, 42416, 47947]])
    assert everything.mean() == pytest.approx(33.318421, abs=1e-3)


def ctf(folder: Path, count: int = 10) -> C.io.CTFDeserializer:
    (folder / "numbers.ctf").write_text("".join(f"|x {i}\n" for i in range(count)))
    return C.io.CTFDeserializer(folder / "numbers.ctf", C.io.StreamDefs(x=C.io.StreamDef("x", 1)))


@pytest.mark.parametrize(
    ("part", "values", "positions"),
    [
        (0, [[0, 3], [6, 9], [2], []], [4, 10, 13, 13]),
        (1, [[1], [4], [7], [0]], [2, 5, 8, 11]),
        (2, [[2], [5], [8], [1]], [3, 6, 9, 12]),
    ],
)
def test_workers_take_turns_with_samples_in_order(
    tmp_path: Path, part: int, values: list[list[int]], positions: list[int]
) -> None:
    """Each gets its part of the size, the first ones more, and goes on behind its last sample."""
    source = C.io.MinibatchSource(ctf(tmp_path), randomize=False, max_samples=13)
    for wanted, position in zip(values, positions, strict=True):
        data = source.next_minibatch(4, num_data_partitions=3, partition_index=part)
        assert [int(v) for d in data.values() for v in d.asarray().ravel()] == wanted
        assert source.get_checkpoint_state() == {"minibatchSourcePosition": position}


def test_workers_take_turns_with_samples_where_there_are_too_few_chunks(tmp_path: Path) -> None:
    """Shuffled lines of one chunk are for all; CNTK would give the first worker everything."""
    parts = [C.io.MinibatchSource(ctf(tmp_path)) for _ in range(2)]
    given = [
        source.next_minibatch(4, num_data_partitions=2, partition_index=i)[source.streams.x]
        for i, source in enumerate(parts)
    ]
    assert [d.asarray().ravel().tolist() for d in given] == [[4, 3], [7, 9]]
    with pytest.raises(ValueError, match="no partition 3"):
        parts[0].next_minibatch(4, num_data_partitions=3, partition_index=3)


def test_limits_and_windows_exclude_each_other(tmp_path: Path) -> None:
    """CNTK's words; a window of nothing, or none, is no shuffle."""
    with pytest.raises(RuntimeError, match="max samples and max sweeps are mutually exclusive"):
        C.io.MinibatchSource(ctf(tmp_path), max_samples=5, max_sweeps=1)
    with pytest.raises(RuntimeError, match="randomization window in chunks and randomization"):
        C.io.MinibatchSource(ctf(tmp_path), randomization_window_in_samples=5)
    plain = C.io.MinibatchSource(ctf(tmp_path), randomization_window_in_chunks=0)
    assert plain.next_minibatch(3)[plain.streams.x].asarray().ravel().tolist() == [0, 1, 2]
    assert repr(plain.next_minibatch(3)) == (
        "{x([1]): MinibatchData(data=Value([3 x 1 x 1], CPU), samples=3, seqs=3)}"
    )


def test_a_source_is_restored_from_its_state(tmp_path: Path) -> None:
    """The state is a position; anything else is refused, as CNTK does."""
    source = C.io.MinibatchSource(ctf(tmp_path))
    assert source.is_infinite()
    source.next_minibatch(4)
    assert source.get_checkpoint_state() == source.current_position
    source.current_position = {"minibatchSourcePosition": 13}
    assert source.next_minibatch(4)[source["x"]].asarray().ravel().tolist() == [6, 5, 7, 0]
    for bad in ({}, {"a": 1}):
        with pytest.raises(ValueError, match="misses required field minibatchSourcePosition"):
            source.restore_from_checkpoint(bad)
    for wrong in ("x", -1):
        with pytest.raises(ValueError, match="is a count of samples"):
            source.restore_from_checkpoint({"minibatchSourcePosition": wrong})  # type: ignore[dict-item]
    with pytest.raises(RuntimeError, match="No stream found matching given name 'z'"):
        source.stream_info("z")


NUMBERS = np.arange(10, dtype=np.float32).reshape(10, 1)


def test_arrays_are_given_out_sweep_by_sweep() -> None:
    """In order, cut at the sweep's end and at max_samples; the state is cursor and total."""
    source = C.io.MinibatchSourceFromData({"x": NUMBERS, "y": NUMBERS * 2}, max_samples=13)
    found = []
    while data := source.next_minibatch(4):
        part = data[source.streams.x]
        found.append((part.asarray().ravel().tolist(), part.num_samples, part.end_of_sweep))
        np.testing.assert_array_equal(data[source["y"]].asarray(), part.asarray() * 2)
    assert found == [
        ([0, 1, 2, 3], 4, False),
        ([4, 5, 6, 7], 4, False),
        ([8, 9], 2, True),
        ([0, 1, 2], 3, True),
    ]
    assert source.get_checkpoint_state() == {"cursor": 3, "total_num_samples": 13}
    source.restore_from_checkpoint({"cursor": 7, "total_num_samples": 7})
    second = source.next_minibatch(6, 2, 1)[source.streams.x]
    assert (second.asarray().ravel().tolist(), second.shape) == ([8.0], (1, 1))
    assert not source.is_infinite()
    assert C.io.MinibatchSourceFromData({"x": NUMBERS}).is_infinite()


def test_an_array_of_any_shape_feeds_an_input() -> None:
    """Minibatch data of shape (samples, 2, 3) go where an input of shape (2, 3) is."""
    values = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    source = C.io.MinibatchSourceFromData({"x": values})
    x = C.input_variable((2, 3))
    data = source.next_minibatch(3)[source.streams.x]
    np.testing.assert_array_equal((x * 2).eval({x: data}), values[:3] * 2)
    with pytest.raises(ValueError, match=r"'\[2 x 3\]' do not match"):
        C.relu(C.input_variable(5)).eval(data)


@pytest.mark.parametrize(
    ("streams", "error", "text"),
    [
        ({}, ValueError, "at least one stream must be specified"),
        ({"x": [1, 2]}, TypeError, "data must be a numpy.array"),
        ({"x": "a"}, TypeError, "data must be a numpy.array"),
        ({"x": NUMBERS, "y": NUMBERS[:5]}, TypeError, "the same first dimension"),
        ({"x": NUMBERS[:0]}, ValueError, "data is empty"),
        ({"x": [NUMBERS, NUMBERS]}, NotImplementedError, "sparse data or sequences"),
    ],
)
def test_what_is_no_data_is_refused(
    streams: dict[str, object], error: type[Exception], text: str
) -> None:
    """MinibatchSourceFromData refuses with CNTK's messages."""
    with pytest.raises(error, match=text):
        C.io.MinibatchSourceFromData(streams)


@pytest.mark.parametrize(
    ("streams", "text"),
    [
        (
            {"A": np.array([[1.5, 2], [3, 4]], np.float32), "B": [{3: 1, 1: 2.5}]},
            "7\t|A 1.5 2.0 |B 1:2.5 3:1\n7\t|A 3.0 4.0",
        ),
        ({"x": np.arange(12).reshape(2, 2, 3)}, "7\t|x 0 1 2 3 4 5\n7\t|x 6 7 8 9 10 11"),
        ({"b": np.array([[1e-10, 0.1]]), "a": [1, 2]}, "7\t|a 1 |b 1e-10 0.1\n7\t|a 2"),
        ({"A": np.zeros((0, 2))}, ""),
    ],
)
def test_sequences_are_written_as_cntk_writes_them(streams: dict[str, object], text: str) -> None:
    """Dense and sparse ones side by side, streams by name; the texts are real CNTK's."""
    assert C.io.sequence_to_cntk_text_format(7, streams) == text


@pytest.mark.parametrize("value", ["abc", ["a"]])
def test_what_is_no_sequence_is_not_written(value: object) -> None:
    """CNTK's words."""
    with pytest.raises(ValueError, match=r"expected a tensor .dense. or list of dicts .sparse."):
        C.io.sequence_to_cntk_text_format(7, {"A": value})
