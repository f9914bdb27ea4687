"""Progress writers beside the printer's lines: user's own, TensorBoard's, and walks in graphs."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cntk as C
from cntk.logging import ProgressPrinter, TensorBoardProgressWriter, TrainingSummaryProgressCallback
from cntk.logging._tensorboard import record


class Telling(C.cntk_py.ProgressWriter):
    """Notes all that it hears."""

    def __init__(self, *frequencies: int) -> None:
        super().__init__(*frequencies)
        self.told: list[Any] = []

    def on_write_training_update(self, *told: Any) -> None:
        self.told.append(("update", *told))

    def on_write_test_update(self, *told: Any) -> None:
        self.told.append(("test update", *told))

    def on_write_training_summary(self, *told: Any) -> None:
        self.told.append(("summary", *told[:-1], self.total_training_updates()))

    def on_write_test_summary(self, *told: Any) -> None:
        self.told.append(("test summary", *told[:-1]))

    def write(self, key: str, value: Any) -> None:
        self.told.append((key, value))


def run(writer: Any, minibatches: int, tests: int = 0) -> C.Trainer:
    """Train and test with minibatches of 3, losses of 2 and metrics of 0.5."""
    x, w = C.input_variable(()), C.parameter((), init=1.0)
    loss = x * 2.0 + w * 0.0
    trainer = C.Trainer(None, (loss, loss * 0.25), C.sgd([w], 0.001), writer)
    for _ in range(minibatches):
        trainer.train_minibatch({x: np.ones(3, np.float32)})
    for _ in range(tests):
        trainer.test_minibatch({x: np.ones(3, np.float32)})
    return trainer


def test_writers_of_ones_own_hear_what_cntks_hear() -> None:
    """Pairs of what was told last and what is now; sums, not means; numbers begin anew."""
    writer = Telling(2, 1, 0, 0, 1, 0)
    trainer = run(writer, 3, tests=3)
    trainer.summarize_training_progress()
    trainer.summarize_test_progress()
    trainer.summarize_training_progress()
    assert writer.told == [
        ("Learning rate per minibatch", 0.001),
        ("update", (0, 3), (0, 1), (0.0, 6.0), (0.0, 1.5)),
        ("update", (3, 6), (1, 2), (6.0, 12.0), (1.5, 3.0)),
        ("test update", (0, 3), (0, 1), (0.0, 1.5)),
        ("test update", (3, 9), (1, 3), (1.5, 4.5)),
        ("summary", 9, 3, 1, 18.0, 4.5, 3),
        ("test summary", 9, 3, 1, 4.5),
        ("summary", 0, 0, 2, 0.0, 0.0, 3),
    ]
    assert writer.total_test_updates() == 3


def test_a_callback_hears_of_epochs() -> None:
    """TrainingSummaryProgressCallback gets number, sums and samples."""
    told: list[Any] = []
    trainer = run(TrainingSummaryProgressCallback(4, lambda *epoch: told.append(epoch)), 2)
    trainer.summarize_training_progress()
    assert told == [(0, 12.0, 3.0, 6)]


def test_scripts_of_cntk_2_0_count_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    """Update, update_with_trainer and epoch_summary print the lines they always printed."""
    printer = ProgressPrinter(freq=2, metric_is_pct=False)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        printer.update(1.0, 4, 0.5)
    for i in range(1, 5):
        printer.update(1.0 + i, 4, 0.5)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        printer.epoch_summary(with_metric=True)
    printer.update_with_trainer(run(None, 1), with_metric=True)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        printer.epoch_summary()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        " Minibatch[   1-   2]: loss = 1.500000 * 8, metric = 0.500000 * 8;",
        " Minibatch[   3-   4]: loss = 3.500000 * 8, metric = 0.500000 * 8;",
    ]
    assert lines[2].startswith("Finished Epoch[1]: loss = 3.000000 * 20, metric = 0.500000 * 20 ")
    assert lines[3].startswith("Finished Epoch[2]: loss = 2.000000 * 3 ")


def test_a_table_of_tests_and_signs_of_life(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """test_freq=0 leaves the loss columns blank; the heartbeat goes to stdout beside a log file."""
    log = str(tmp_path / "log")
    printer = ProgressPrinter(0, test_freq=0, gen_heartbeat=True, num_epochs=3, log_to_file=log)
    run(printer, 2, tests=4)
    printer.end_progress_print("bye")
    assert capsys.readouterr().out == f"Redirecting log to file {log}\nPROGRESS: 0.00%\n"
    lines = Path(log).read_text().splitlines()
    assert lines[1] == "CNTKCommandTrainInfo: train : 3"
    assert lines[-5:] == [
        "        2          2        0.5        0.5             3",
        "                            0.5        0.5             3",
        "                            0.5        0.5             9",
        "CNTKCommandTrainEnd: train",
        "bye",
    ]


def test_the_workers_exchanges_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """distributed_freq prints how often the workers have exchanged their sums."""
    printer = ProgressPrinter(distributed_freq=2)
    for _ in range(5):
        printer._synchronised(8)
    line = "Distributed training: #Syncs elapsed = 2, #Samples elapsed = 16\n"
    assert capsys.readouterr().out == 2 * line


def events(path: Path) -> list[bytes]:
    """Return the events of a file, their checksums checked."""
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = data[12 : 12 + length]
        assert record(event) == data[: length + 16]
        found.append(event)
        data = data[length + 16 :]
    return found


def test_checksums_are_tensorflows() -> None:
    """The first record of a file that real CNTK wrote, byte by byte."""
    event = bytes.fromhex("0900004086 96c1da41 1a0d") + b"brain.Event:2"
    expected = bytes.fromhex("1800000000000000a37f4b22") + event + bytes.fromhex("007b72fd")
    assert record(event) == expected


def test_tensorboard_gets_scalars(tmp_path: Path) -> None:
    """Means per freq minibatches and per epoch, tests at the minibatch, and values of one's own."""
    writer = TensorBoardProgressWriter(freq=2, log_dir=str(tmp_path / "tb"))
    trainer = run(writer, 4)
    trainer.summarize_training_progress()
    run(writer, 0, tests=1).summarize_test_progress()
    writer.write_value("mine", 3.5, 7)
    writer.flush()
    (path,) = (tmp_path / "tb").iterdir()
    assert path.name.startswith("events.out.tfevents.")

    def scalar(name: str, value: float, step: int) -> bytes:
        entry = b"\x0a" + bytes([len(name)]) + name.encode() + b"\x15" + struct.pack("<f", value)
        summary = b"\x0a" + bytes([len(entry)]) + entry
        return b"\x10" + bytes([step]) + b"\x2a" + bytes([len(summary)]) + summary

    assert [event[9:] for event in events(path)] == [
        b"\x1a\x0dbrain.Event:2",
        scalar("minibatch/avg_loss", 2.0, 2),
        scalar("minibatch/avg_metric", 0.5, 2),
        scalar("minibatch/avg_loss", 2.0, 4),
        scalar("minibatch/avg_metric", 0.5, 4),
        scalar("summary/avg_loss", 2.0, 1),
        scalar("summary/avg_metric", 0.5, 1),
        scalar("minibatch/test_avg_metric", 0.5, 4),
        scalar("mine", 3.5, 7),
    ]
    writer.close()
    with pytest.raises(RuntimeError, match="closed TensorBoardProgressWriter"):
        writer.write_value("mine", 1, 1)
    with pytest.raises(NotImplementedError, match="write_image"):
        TensorBoardProgressWriter(log_dir=str(tmp_path), rank=1).write_image("a", {}, 1)


def test_tensorboard_gets_the_graph_of_rank_0(tmp_path: Path) -> None:
    """The model's nodes stand in the file, those of blocks under the block's name."""
    model = C.layers.Dense(2, activation=C.tanh)(C.input_variable(3, name="x"))
    TensorBoardProgressWriter(log_dir=str(tmp_path / "one"), rank=1, model=model).close()
    assert not (tmp_path / "one").exists()
    TensorBoardProgressWriter(log_dir=str(tmp_path), rank=0, model=model).close()
    (path,) = tmp_path.iterdir()
    graph = events(path)[1]
    block, inner = model.uid, model.block_root.uid
    for name in (f"{block}/{inner}", model.parameters[0].uid, model.arguments[0].uid):
        assert b"\x0a" + bytes([len(name)]) + name.encode() + b"\x12" in graph


def network() -> C.Function:
    x = C.input_variable(3, name="x")
    layers = [
        C.layers.Dense(4, activation=C.tanh, name="d1"),
        C.layers.Dropout(0.3),
        C.layers.Dense(2, name="d2"),
    ]
    model: C.Function = C.layers.Sequential(layers)(x)
    return model


def test_graphs_are_walked_as_cntk_walks() -> None:
    """The order of parts with blocks closed, one level open, and all open."""

    def kinds(depth: int) -> str:
        parts = C.logging.depth_first_search(network(), lambda _: True, depth)
        return " ".join(p.name or getattr(p, "op_name", "?") for p in parts)

    assert kinds(0) == "d2 W b Dropout d1 W b x"
    assert kinds(1) == "d2 Dropout d1 W b x Plus Times W b"
    assert kinds(-1) == "d2 Dropout Plus Times W b d1 Dropout x Tanh Plus Times W b"


def test_parts_are_found_by_name_and_uid() -> None:
    """One part, none, or several; the last is an error unless all are wanted."""
    z = network()
    graph = C.logging.graph
    assert C.logging.find_by_name(z, "d1").shape == (4,)
    assert z.find_by_name("d1").name == "d1"
    assert C.logging.find_by_name(z, "nope") is None
    assert [p.shape for p in C.logging.find_all_with_name(z, "W")] == [(4, 2), (3, 4)]
    assert graph.find_by_uid(z, z.parameters[0].uid) is z.parameters[0]
    assert graph.find_by_uid(z, "nope") is None
    with pytest.raises(ValueError, match="If that was expected call find_all_with_name"):
        z.find_by_name("W")
    with pytest.raises(ValueError, match="node name has to be a string"):
        graph.find_by_name(z, 3)
    with pytest.raises(ValueError, match="node_uid must be string"):
        graph.find_by_uid(z, 3)
    shapes = [output.shape for output in C.logging.get_node_outputs(z)]
    assert shapes == [(2,), (4,), (4,)]


def test_graphs_are_written_down(tmp_path: Path) -> None:
    """Plot returns a line for each output; drawing needs a known ending, and pydot_ng."""
    z = network()
    both = C.combine([z, C.relu(z)])
    lines = C.logging.plot(both).split("\n\n")
    assert [line.partition("(")[0] for line in lines] == [
        "ReLU",
        "Dense",
        "Dropout",
        "Dense",
        "Combine",
        "Combine",
    ]
    weight, bias = (p.uid for p in z.parameters[:2])
    assert f"({weight}, {bias}, " in lines[3]
    with pytest.raises(ValueError, match="only file extensions"):
        C.logging.plot(z, str(tmp_path / "a.xyz"))


def test_trace_levels_are_kept() -> None:
    """A level equals its number, and what was set is what one gets."""
    level = C.logging.TraceLevel
    before = C.logging.get_trace_level()
    C.logging.set_trace_level(level.Error)
    assert C.logging.get_trace_level() == level.Error
    C.logging.set_trace_level(before)
    assert (level.Info == 2, level.Info != 1, before) == (True, True, 1)


def test_debugging_does_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Signatures are printed, tracing is refused by name, determinism fixes the seed."""
    C.debugging.dump_signature(network())
    assert capsys.readouterr().out == "d2: Composite(x: Tensor[3]) -> Tensor[2]\n"
    C.debugging.set_computation_network_trace_level(0)
    C.cntk_py.set_math_lib_trace_level(0)
    with pytest.raises(NotImplementedError, match="trace_level"):
        C.cntk_py.set_computation_network_trace_level(1000)
    with pytest.raises(NotImplementedError, match="set_checked_mode"):
        C.debugging.set_checked_mode(True)
    with pytest.raises(NotImplementedError, match="set_node_timing"):
        C.debugging.set_node_timing(True)
    with pytest.warns(Warning, match="deterministically"):
        C.debugging.force_deterministic(7)
    assert C.cntk_py.get_random_seed() == 7
