"""A training run with a checkpoint in its middle.

`python reference_checkpoint.py FOLDER` under real CNTK 2.7 (Python 3.6) made
`data/checkpoint_cntk27`, `data/checkpoint_cntk27.ckp` and `data/checkpoint_cntk27.npz`: the
checkpoint after five minibatches and the losses of all eight. The tests do the same here, and go on
from CNTK's checkpoint.
"""

import os
import sys
from typing import Any, List

import numpy as np

NAME = "checkpoint_cntk27"
STATE = {"a": 1, "b": [1.5, "x", None], "c": {"d": True}, "e": np.arange(3.0), "f": 2**40}


def trainer(C: Any) -> Any:
    """Return a trainer with two learners, made with the seeds from 0."""
    C.cntk_py.reset_random_seed(0)
    x, y = C.input_variable((2, 6, 6), name="x"), C.input_variable(3, name="y")
    layers = [
        C.layers.Convolution2D((3, 3), 4, activation=C.relu),
        C.layers.BatchNormalization(map_rank=1),
        C.layers.MaxPooling((2, 2), 2),
        C.layers.Dense(3),
    ]
    z = C.layers.Sequential(layers)(x)
    rates = C.learning_parameter_schedule([0.05, 0.01], epoch_size=40)
    rate = C.learning_parameter_schedule_per_sample(0.01)
    learners = [
        C.adam(z.parameters[:2], rates, 0.9),
        C.momentum_sgd(z.parameters[2:], rate, C.momentum_as_time_constant_schedule(50)),
    ]
    loss, error = C.cross_entropy_with_softmax(z, y), C.classification_error(z, y)
    return C.Trainer(z, (loss, error), learners)


def losses(made: Any, first: int, last: int) -> List[float]:
    """Train on some of the eight minibatches and return their losses."""
    draw = np.random.RandomState(1)
    images = draw.randn(64, 2, 6, 6).astype(np.float32)
    labels = np.eye(3, dtype=np.float32)[draw.randint(0, 3, 64)]
    found = []
    for i in range(first, last):
        part = slice(i * 8, i * 8 + 8)
        made.train_minibatch({"x": images[part], "y": labels[part]})
        found.append(made.previous_minibatch_loss_average)
    return found


def main() -> None:
    import cntk

    path = os.path.join(sys.argv[1], NAME)
    made = trainer(cntk)
    found = losses(made, 0, 5)
    made.save_checkpoint(path, STATE)
    np.savez(path + ".npz", losses=np.array(found + losses(made, 5, 8)))


if __name__ == "__main__":
    main()
