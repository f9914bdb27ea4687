"""Train a convolutional network on MNIST: the job of the Batch AI quickstart.

    python convnet_mnist.py DATA_DIR OUTPUT_DIR [--epochs N]

DATA_DIR holds Train-28x28_cntk_text.txt and Test-28x28_cntk_text.txt. OUTPUT_DIR gets the model
after each epoch. The network and its schedule are those of CNTK's ConvNet_MNIST example; the script
runs under CNTK 2.7 (Python 3.6) and under any package with its API. Everything it says goes to
stderr.
"""

import argparse
import os
import sys
from typing import Any, Iterator, List, Optional, Tuple

TRAIN_FILE = "Train-28x28_cntk_text.txt"
TEST_FILE = "Test-28x28_cntk_text.txt"
IMAGE = (1, 28, 28)
PIXELS = 28 * 28
CLASSES = 10
TRAIN_SAMPLES = 60000
TEST_SAMPLES = 10000
MINIBATCH = 64
TEST_MINIBATCH = 1024

# Per sample: ten epochs at the first rate, ten at the second, the rest at the third.
RATES = [0.001] * 10 + [0.0005] * 10 + [0.0001]
# In samples: no momentum for five epochs, then a time constant of 1024.
TIME_CONSTANTS = [0] * 5 + [1024]


def options(arguments: Optional[List[str]]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train a convolutional network on MNIST.")
    parser.add_argument("data_dir", help="where {} and {} are".format(TRAIN_FILE, TEST_FILE))
    parser.add_argument("output_dir", help="where the models go")
    parser.add_argument(
        "--epochs", type=int, default=40, help="how often to go through the data (default: 40)"
    )
    parser.add_argument(
        "--epoch-size",
        type=int,
        default=TRAIN_SAMPLES,
        help="samples in an epoch (default: all {})".format(TRAIN_SAMPLES),
    )
    parser.add_argument(
        "--test-size",
        type=int,
        default=TEST_SAMPLES,
        help="samples in the final test (default: all {})".format(TEST_SAMPLES),
    )
    chosen = parser.parse_args(arguments)
    for name in ("epochs", "epoch_size", "test_size"):
        if getattr(chosen, name) < 1:
            parser.error("--{} must be at least 1".format(name.replace("_", "-")))
    return chosen


def check(data_dir: str) -> Optional[str]:
    """Return what is wrong with the data directory, or None."""
    if not os.path.isdir(data_dir):
        return "The data directory {} does not exist.".format(data_dir)
    missing = [
        name for name in (TRAIN_FILE, TEST_FILE) if not os.path.isfile(os.path.join(data_dir, name))
    ]
    if missing:
        return "The data directory {} does not hold {}; mnist/convert.py makes both files.".format(
            data_dir, " and ".join(missing)
        )
    return None


def reader(cntk: Any, path: str, training: bool) -> Any:
    """Return a source of images and one-hot labels: shuffled for ever, or once in order."""
    streams = cntk.io.StreamDefs(
        features=cntk.io.StreamDef(field="features", shape=PIXELS),
        labels=cntk.io.StreamDef(field="labels", shape=CLASSES),
    )
    sweeps = cntk.io.INFINITELY_REPEAT if training else 1
    return cntk.io.MinibatchSource(
        cntk.io.CTFDeserializer(path, streams), randomize=training, max_sweeps=sweeps
    )


def network(cntk: Any, images: Any) -> Any:
    """Return scores, shape (10,), for images of shape (1, 28, 28) with values from 0 to 255."""
    layers = cntk.layers
    x = cntk.element_times(cntk.constant(1 / 256), images)
    with layers.default_options(activation=cntk.relu, pad=False):
        x = layers.Convolution2D((5, 5), 32, pad=True)(x)
        x = layers.MaxPooling((3, 3), (2, 2))(x)
        x = layers.Convolution2D((3, 3), 48)(x)
        x = layers.MaxPooling((3, 3), (2, 2))(x)
        x = layers.Convolution2D((3, 3), 64)(x)
        x = layers.Dense(96)(x)
        x = layers.Dropout(0.5)(x)
        return layers.Dense(CLASSES, activation=None)(x)


def minibatches(source: Any, total: int, size: int, inputs: Tuple[Any, Any]) -> Iterator[Any]:
    """Yield minibatches until `total` samples have come; the last one is cut to fit."""
    streams = {inputs[0]: source.streams.features, inputs[1]: source.streams.labels}
    seen = 0
    while seen < total:
        data = source.next_minibatch(min(size, total - seen), input_map=streams)
        if not data:
            return
        seen += data[inputs[1]].num_samples
        yield data


def train(cntk: Any, chosen: argparse.Namespace) -> Tuple[Any, Tuple[Any, Any]]:
    """Train, keep the model after each epoch, and return the trainer and its inputs."""
    images, labels = cntk.input_variable(IMAGE), cntk.input_variable(CLASSES)
    scores = network(cntk, images)
    loss = cntk.cross_entropy_with_softmax(scores, labels)
    error = cntk.classification_error(scores, labels)

    source = reader(cntk, os.path.join(chosen.data_dir, TRAIN_FILE), True)
    rates = cntk.learning_parameter_schedule_per_sample(RATES, epoch_size=chosen.epoch_size)
    momenta = cntk.momentum_as_time_constant_schedule(TIME_CONSTANTS, epoch_size=chosen.epoch_size)
    learner = cntk.momentum_sgd(scores.parameters, rates, momenta)
    printer = cntk.logging.ProgressPrinter(tag="Training", num_epochs=chosen.epochs)
    trainer = cntk.Trainer(scores, (loss, error), learner, printer)
    cntk.logging.log_number_of_parameters(scores)
    print()

    for epoch in range(chosen.epochs):
        for data in minibatches(source, chosen.epoch_size, MINIBATCH, (images, labels)):
            trainer.train_minibatch(data)
        trainer.summarize_training_progress()
        scores.save(os.path.join(chosen.output_dir, "ConvNet_MNIST_{}.dnn".format(epoch)))
    return trainer, (images, labels)


def test(cntk: Any, chosen: argparse.Namespace, trainer: Any, inputs: Tuple[Any, Any]) -> None:
    """Test the trained model and print the final line."""
    source = reader(cntk, os.path.join(chosen.data_dir, TEST_FILE), False)
    errors, samples, index = 0.0, 0, 1
    for data in minibatches(source, chosen.test_size, TEST_MINIBATCH, inputs):
        count = data[inputs[1]].num_samples
        errors += trainer.test_minibatch(data) * count
        samples += count
        index += 1
    print()
    print(
        "Final Results: Minibatch[1-{}]: errs = {:0.2f}% * {}".format(
            index, errors * 100.0 / samples, samples
        )
    )
    print()


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the command line; return the exit status."""
    # What CNTK itself says goes to stderr; with the progress lines there too, one file holds the
    # whole story, line by line as it is told (old Pythons would keep lines back).
    sys.stdout = open(
        sys.stderr.fileno(), "w", buffering=1, errors="backslashreplace", closefd=False
    )
    chosen = options(arguments)
    problem = check(chosen.data_dir)
    if problem:
        print("convnet_mnist.py: {}".format(problem))
        return 2
    try:
        os.makedirs(chosen.output_dir, exist_ok=True)
    except OSError as error:
        print(
            "convnet_mnist.py: The output directory {} cannot be made: {}.".format(
                chosen.output_dir, error
            )
        )
        return 2

    import cntk

    trainer, inputs = train(cntk, chosen)
    test(cntk, chosen, trainer, inputs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
