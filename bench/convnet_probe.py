"""One training of the ConvNet by one runtime, in a process of its own.

    python convnet_probe.py WAY DATA_DIR MINIBATCHES BEGUN

WAY is `api` for `import cntk`, whichever package of that name the interpreter has (so it also runs
under Python 3.6 with CNTK 2.7), or one of the loops written by hand on torch: `eager`,
`channels_last` and `best`. BEGUN is the time.time() at which the parent started this process.
Prints its samples as a line of JSON.
"""

import gzip
import json
import os
import resource
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TRAINING = os.path.join(HERE, os.pardir, "training")
SIZE = 64
WARM = 30


def memory():
    """The most memory this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def api(data_dir):
    """Yield after each minibatch of `convnet_mnist.py`, by the package `cntk`."""
    import cntk

    yield memory()
    sys.path.insert(0, TRAINING)
    import convnet_mnist as script

    images, labels = cntk.input_variable(script.IMAGE), cntk.input_variable(script.CLASSES)
    scores = script.network(cntk, images)
    loss = cntk.cross_entropy_with_softmax(scores, labels)
    error = cntk.classification_error(scores, labels)
    source = script.reader(cntk, os.path.join(data_dir, script.TRAIN_FILE), True)
    rates = cntk.learning_parameter_schedule_per_sample(0.001)
    momenta = cntk.momentum_as_time_constant_schedule(1024)
    learner = cntk.momentum_sgd(scores.parameters, rates, momenta)
    trainer = cntk.Trainer(scores, (loss, error), learner)
    streams = {images: source.streams.features, labels: source.streams.labels}
    while True:
        trainer.train_minibatch(source.next_minibatch(SIZE, input_map=streams))
        yield trainer.previous_minibatch_loss_average


def _idx(name):
    with gzip.open(os.path.join(TRAINING, "mnist", name)) as file:
        (axes,) = struct.unpack(">3xB", file.read(4))
        return struct.unpack(">" + axes * "I", file.read(4 * axes)), file.read()


def _by_hand(way):
    """Yield after each minibatch of the same network, written on torch; data are in memory."""
    import torch
    from torch import nn
    from torch.nn import functional

    yield memory()
    shape, raw = _idx("train-images-idx3-ubyte.gz")
    x = torch.frombuffer(bytearray(raw), dtype=torch.uint8).reshape(shape[0], 1, 28, 28).float()
    _, raw = _idx("train-labels-idx1-ubyte.gz")
    y = torch.frombuffer(bytearray(raw), dtype=torch.uint8).long()
    order = torch.randperm(len(x))
    x, y = x[order], y[order]
    best = way == "best"
    # The monotone ReLU gives the same behind the pooling, on a quarter of the cells.
    after = [nn.MaxPool2d(3, 2), nn.ReLU()] if best else [nn.ReLU(), nn.MaxPool2d(3, 2)]
    model = nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2),
        *after,
        nn.Conv2d(32, 48, 3),
        *after,
        nn.Conv2d(48, 64, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(576, 96),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(96, 10),
    )
    if way != "eager":
        model = model.to(memory_format=torch.channels_last)
    # Of the mean loss, so 64 times the rate for one sample.
    learner = torch.optim.SGD(model.parameters(), 0.064, 0.94, 0.06, fused=best or None)
    position = 0
    while True:
        batch, target = x[position : position + SIZE] / 256, y[position : position + SIZE]
        position = (position + SIZE) % (len(x) - SIZE)
        if way != "eager":
            batch = batch.contiguous(memory_format=torch.channels_last)
        scores = model(batch)
        loss = functional.cross_entropy(scores, target)
        (scores.detach().argmax(1) != target).sum()
        learner.zero_grad()
        loss.backward()
        learner.step()
        yield loss.detach()


def main():
    way, data_dir, count, begun = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    steps = api(data_dir) if way == "api" else _by_hand(way)
    imported = next(steps)
    float(next(steps))
    first = time.time() - begun
    for _ in range(WARM):
        loss = next(steps)
    float(loss)
    start = time.perf_counter()
    for _ in range(count):
        loss = next(steps)
    float(loss)
    rate = count * SIZE / (time.perf_counter() - start)
    samples = {"rate": [rate], "first": [first], "peak": [memory()], "imported": [imported]}
    print("SAMPLES " + json.dumps(samples))


if __name__ == "__main__":
    main()
