"""Progress lines, character by character."""

from pathlib import Path

import numpy as np
import pytest

import cntk as C
from cntk.logging import ProgressPrinter, log_number_of_parameters


def run(printer: ProgressPrinter, minibatches: int, tests: int = 0) -> C.Trainer:
    """Train and test with minibatches of 4, losses of 1, 2, 3, ... and metrics of 0.25."""
    x, w = C.input_variable(()), C.parameter((), init=1.0)
    loss = x + w * 0.0
    rate = C.learning_parameter_schedule_per_sample([0.001, 0.5], epoch_size=16)
    trainer = C.Trainer(None, (loss, loss * 0.0 + 0.25), C.momentum_sgd([w], rate, 0.9), printer)
    for i in range(minibatches):
        trainer.train_minibatch({x: np.full(4, i + 1, np.float32)})
    for _ in range(tests):
        trainer.test_minibatch({x: np.zeros(4, np.float32)})
    return trainer


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if " per " not in line]


def test_rates_are_told_when_they_change(capsys: pytest.CaptureFixture[str]) -> None:
    """At the first update, and again only when a value has changed, before the progress line."""
    run(ProgressPrinter(freq=4), 8)
    assert capsys.readouterr().out.splitlines() == [
        "Learning rate per 1 samples: 0.001",
        "Momentum per minibatch: 0.9",
        " Minibatch[   1-   4]: loss = 2.500000 * 16, metric = 25.00% * 16;",
        "Learning rate per 1 samples: 0.5",
        " Minibatch[   5-   8]: loss = 6.500000 * 16, metric = 25.00% * 16;",
    ]


def test_first_minibatches_have_lines_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    """first=3, freq=4: 1, 2, 3, then 4 alone, then 5 to 8; a rest is not printed."""
    run(ProgressPrinter(freq=4, first=3), 9)
    numbers = [line.split(":")[0] for line in printed(capsys)]
    assert numbers == [
        " Minibatch[   1-   1]",
        " Minibatch[   2-   2]",
        " Minibatch[   3-   3]",
        " Minibatch[   4-   4]",
        " Minibatch[   5-   8]",
    ]


def test_the_epoch_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Number, total, tag, means over samples, seconds and speed; the next epoch starts anew."""
    trainer = run(ProgressPrinter(tag="Training", num_epochs=3), 3)
    trainer.summarize_training_progress()
    trainer.summarize_training_progress()
    first, second = printed(capsys)
    before = "Finished Epoch[1 of 3]: [Training] loss = 2.000000 * 12, metric = 25.00% * 12 "
    assert first.startswith(before)
    seconds, rate = first.removeprefix(before).split("s (")
    assert len(seconds.split(".")[1]) == 3
    assert rate.endswith(" samples/s);")
    assert second.startswith(
        "Finished Epoch[2 of 3]: [Training] loss = 0.000000 * 0, metric = 0.00% * 0 "
    )


def test_an_epoch_line_without_frills(capsys: pytest.CaptureFixture[str]) -> None:
    """No tag, no number of epochs, a metric that is no percentage."""
    run(ProgressPrinter(metric_is_pct=False), 1).summarize_training_progress()
    (line,) = printed(capsys)
    assert line.startswith("Finished Epoch[1]: loss = 1.000000 * 4, metric = 0.250000 * 4 ")


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """freq=0 prints a head, rows at minibatches 1, 3 and 7, and no epoch line."""
    run(ProgressPrinter(freq=0), 7).summarize_training_progress()
    assert printed(capsys) == [
        " average      since    average      since      examples",
        "    loss       last     metric       last              ",
        " " + "-" * 54,
        "        1          1       0.25       0.25             4",
        "        2        2.5       0.25       0.25            12",
        "        4        5.5       0.25       0.25            28",
    ]


def test_test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Tests have lines of their own, and a summary with a number of its own."""
    run(ProgressPrinter(test_freq=2), 0, tests=5).summarize_test_progress()
    assert printed(capsys) == [
        " Evaluation Minibatch[   1-   2]: metric = 25.00% * 8;",
        " Evaluation Minibatch[   3-   4]: metric = 25.00% * 8;",
        "Finished Evaluation [1]: Minibatch[1-5]: metric = 25.00% * 20;",
    ]


def test_a_log_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With log_to_file everything but a note goes to the file, which starts as CNTK's does."""
    run(ProgressPrinter(freq=1, log_to_file=str(tmp_path / "log"), rank=0), 1)
    path = tmp_path / "logrank0"
    assert capsys.readouterr().out == f"Redirecting log to file {path}\n"
    assert path.read_text().splitlines() == [
        str(path),
        "CNTKCommandTrainInfo: train : 300",
        "CNTKCommandTrainInfo: CNTKNoMoreCommands_Total : 300",
        "CNTKCommandTrainBegin: train",
        "Learning rate per 1 samples: 0.001",
        "Momentum per minibatch: 0.9",
        " Minibatch[   1-   1]: loss = 1.000000 * 4, metric = 25.00% * 4;",
    ]


def test_parameters_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """Known parameters are counted, with their shapes on request; unknown ones are not guessed."""
    log_number_of_parameters(C.layers.Dense(2)(C.input_variable(3)), trace_level=1)
    log_number_of_parameters(C.layers.Dense(2))
    assert capsys.readouterr().out.splitlines() == [
        "Training 8 parameters in 2 parameter tensors.",
        "",
        "\t(3, 2)",
        "\t(2,)",
        "Training so far unspecified number of parameters in 2 parameter tensors.",
    ]
