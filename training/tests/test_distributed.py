"""Several processes: they train the model that one process trains, and know their places."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cntk as C
from cntk._workers import place
from conftest import TRAINING

SCRIPT = """
import sys
import numpy as np
import cntk as C

folder, after = sys.argv[1], int(sys.argv[2])
rank, size = C.Communicator.rank(), C.Communicator.num_workers()
x, y = C.input_variable(3), C.input_variable(2)
z = C.layers.Sequential([C.layers.Dense(5, activation=C.tanh), C.layers.Dense(2)])(x)
criterion = C.cross_entropy_with_softmax(z, y), C.classification_error(z, y)
momentum = C.momentum_as_time_constant_schedule(30)
local = C.momentum_sgd(z.parameters, [0.5, 0.2], momentum, epoch_size=40)
learner = C.data_parallel_distributed_learner(local, distributed_after=after)
streams = C.io.StreamDefs(x=C.io.StreamDef("x", 3), y=C.io.StreamDef("y", 2))
source = C.io.MinibatchSource(C.io.CTFDeserializer(folder + "/data.ctf", streams))
log = folder + "/log%d_" % size
printer = C.logging.ProgressPrinter(freq=2, distributed_freq=5, log_to_file=log, rank=rank)
trainer = C.Trainer(z, criterion, [learner], [printer])
session = C.train.training_session(
    trainer, source, 10, {x: source.streams.x, y: source.streams.y}, max_samples=100,
    checkpoint_config=C.CheckpointConfig(folder + "/c%d" % size, frequency=50))
session.train()
learner.communicator().barrier()
values = np.concatenate([p.value.ravel() for p in z.parameters])
np.save(folder + "/%d_%d.npy" % (size, rank), values)
assert trainer.total_number_of_samples_seen == 100
evaluator = C.Evaluator(criterion[1])
mine = {x: np.zeros((rank + 1, 3), np.float32), y: np.eye(2, dtype=np.float32)[[rank] * (rank + 1)]}
mean = evaluator.test_minibatch(mine, distributed=True)
assert abs(mean * (size * (size + 1) // 2) % 1) < 1e-9 and (size == 1 or 0 < mean < 1), mean
assert learner.communicator().is_main() == (rank == 0)
assert [w.global_rank for w in learner.communicator().workers()] == list(range(size))
C.Communicator.finalize()
"""


def run(folder: Path, size: int, after: int = 0) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {
        "PYTHONPATH": str(TRAINING / "src"),
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "PATH": os.environ["PATH"],
        "OMPI_COMM_WORLD_SIZE": str(size),
        "MASTER_PORT": str(port),
    }
    (folder / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(folder / "script.py"), str(folder), str(after)]
    workers = [
        subprocess.Popen(
            command,
            env={**shared, "OMPI_COMM_WORLD_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(size)
    ]
    for worker in workers:
        told, _ = worker.communicate(timeout=120)
        assert worker.returncode == 0, told


def test_two_processes_train_the_model_of_one(tmp_path: Path) -> None:
    """Parameters on both are those of one process with the same minibatches; so is the log."""
    draw = np.random.RandomState(0)
    lines = [
        f"|x {' '.join(f'{v:.4f}' for v in row)} |y {'1 0' if row.sum() > 0 else '0 1'}\n"
        for row in draw.randn(40, 3)
    ]
    (tmp_path / "data.ctf").write_text("".join(lines))
    run(tmp_path, 1)
    run(tmp_path, 2)
    alone = np.load(tmp_path / "1_0.npy")
    first, second = (np.load(tmp_path / f"2_{rank}.npy") for rank in (0, 1))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, alone, rtol=1e-4, atol=1e-5)
    logs = [(tmp_path / f"log{name}").read_text() for name in ("1_rank0", "2_rank0", "2_rank1")]
    expected, *found = (re.findall(r"loss = ([\d.]+) \* (\d+)", log) for log in logs)
    assert len(expected) == 6
    for lines_of_one in found:
        assert [count for _, count in lines_of_one] == [count for _, count in expected]
        ours, alone_losses = ([float(v) for v, _ in told] for told in (lines_of_one, expected))
        np.testing.assert_allclose(ours, alone_losses, rtol=1e-4)
    assert "#Syncs elapsed = 5, #Samples elapsed = 50\n" in logs[1]
    assert "#Syncs" not in logs[0]
    assert (tmp_path / "c1.ckp").stat().st_size == (tmp_path / "c2.ckp").stat().st_size


def test_places_come_from_the_environment() -> None:
    """mpirun, MPICH and torchrun are understood; nothing said is one process by itself."""
    assert (place({}).rank, place({}).size) == (0, 1)
    mpirun = {
        "OMPI_COMM_WORLD_RANK": "3",
        "OMPI_COMM_WORLD_SIZE": "4",
        "OMPI_COMM_WORLD_LOCAL_RANK": "1",
        "OMPI_COMM_WORLD_LOCAL_SIZE": "4",
        "PMIX_NAMESPACE": "job.1",
    }
    here = place(mpirun)
    assert (here.rank, here.size, here.local_rank) == (3, 4, 1)
    assert here.address == place({**mpirun, "OMPI_COMM_WORLD_RANK": "0"}).address
    assert place({"PMI_RANK": "1", "PMI_SIZE": "2"}).rank == 1
    torchrun = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "host", "MASTER_PORT": "5"}
    assert place(torchrun).address == ("host", 5)


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"RANK": "2", "WORLD_SIZE": "2"}, "number 2 of 2 workers"),
        ({"RANK": "x", "WORLD_SIZE": "2"}, "RANK must be a number, not 'x'"),
        (
            {"PMI_RANK": "1", "PMI_SIZE": "4", "MPI_LOCALNRANKS": "2"},
            "set MASTER_ADDR",
        ),
    ],
)
def test_places_that_do_not_fit_are_refused(environment: dict[str, str], text: str) -> None:
    """The message has what is wrong and what to set."""
    with pytest.raises(ValueError, match=text):
        place(environment)


def test_what_is_not_there_is_refused_by_name() -> None:
    """Quantised gradients, asynchronous updates, block momentum and mixed learners."""
    w = C.parameter((2,))
    with pytest.raises(NotImplementedError, match="num_quantization_bits < 32"):
        C.data_parallel_distributed_learner(C.sgd([w], 0.1), num_quantization_bits=1)
    with pytest.raises(NotImplementedError, match="use_async_buffered_parameter_update"):
        C.data_parallel_distributed_learner(
            C.sgd([w], 0.1), use_async_buffered_parameter_update=True
        )
    with pytest.raises(NotImplementedError, match="block_momentum_distributed_learner"):
        C.block_momentum_distributed_learner(C.sgd([w], 0.1), block_size=3)
    with pytest.raises(TypeError, match="A local learner is needed"):
        C.data_parallel_distributed_learner(3)
    v = C.parameter((2,))
    loss = C.reduce_sum((w + v) * C.input_variable(2))
    learners = [C.data_parallel_distributed_learner(C.sgd([w], 0.1)), C.sgd([v], 0.1)]
    with pytest.raises(ValueError, match="mix of distributed and local learners"):
        C.Trainer(loss, loss, learners)


def test_one_process_needs_no_others() -> None:
    """A distributed learner by itself is the learner, and a communicator knows it is alone."""
    w = C.parameter((2,), init=1.0)
    x = C.input_variable(2)
    learner = C.data_parallel_distributed_learner(C.sgd([w], 0.1))
    trainer = C.Trainer(None, (C.reduce_sum(w * x),), learner)
    assert trainer.train_minibatch({x: np.ones((4, 2), np.float32)}) is True
    np.testing.assert_allclose(w.value, [0.9, 0.9], rtol=1e-6)
    assert trainer.train_minibatch({}) is False
    communicator = C.mpi_communicator()
    communicator.barrier()
    assert (communicator.num_workers(), communicator.rank(), communicator.is_main()) == (1, 0, True)
    assert communicator.current_worker().global_rank == 0
    C.Communicator.finalize()
