"""Transfer learning as CNTK's TransferLearning.py does it, on a small network and made-up data.

`python reference_transfer.py FOLDER` under real CNTK 2.7 (Python 3.6) made
`data/transfer_base.dnn`, the network that is loaded, and `data/transfer_losses.json`, the losses
after its last layer was replaced; the tests do the same here and compare.
"""

import json
import os
import sys
from typing import Any, Dict, List

import numpy as np


def base(C: Any) -> Any:
    """Return the network that was trained before."""
    x = C.input_variable((1, 8, 8), name="features")
    layers = [
        C.layers.Convolution2D((3, 3), 8, activation=C.relu, pad=True, name="conv"),
        C.layers.MaxPooling((2, 2), strides=2),
        C.layers.BatchNormalization(map_rank=1),
        C.layers.Dense(12, activation=C.tanh, name="hidden"),
        C.layers.Dense(5, name="z"),
    ]
    return C.layers.Sequential(layers)(x)


def batches(classes: int) -> Any:
    draw = np.random.RandomState(5)
    for _ in range(4):
        pictures = draw.randint(0, 16, (8, 1, 8, 8)).astype(np.float32) / 16
        yield pictures, np.eye(classes, dtype=np.float32)[draw.randint(0, classes, 8)]


def train(C: Any, z: Any, x: Any, classes: int) -> List[float]:
    y = C.input_variable(classes)
    loss = C.cross_entropy_with_softmax(z, y)
    rate = C.learning_parameter_schedule(0.1)
    momentum = C.momentum_schedule(0.5)
    learner = C.momentum_sgd(z.parameters, rate, momentum)
    trainer = C.Trainer(z, (loss, C.classification_error(z, y)), learner)
    losses = []
    for pictures, labels in batches(classes):
        trainer.train_minibatch({x: pictures, y: labels})
        losses.append(trainer.previous_minibatch_loss_average)
    return losses


def transfer(C: Any, path: str) -> Dict[str, Any]:
    """Replace the last layer of the network in a file; train with what is before frozen or not."""
    results: Dict[str, Any] = {}
    for method in ("freeze", "clone", "share"):
        model = C.load_model(path)
        features = C.logging.find_by_name(model, "features")
        last = C.logging.find_by_name(model, "hidden")
        place = C.placeholder(name="features")
        cut = C.combine([last.owner if hasattr(last, "owner") else last])
        cloned = cut.clone(getattr(C.CloneMethod, method), {features: place})
        x = C.input_variable((1, 8, 8), name="pictures")
        z = C.layers.Dense(3, name="new")(cloned(x / 2.0))
        results[method] = {
            "parameters": sorted(p.name for p in z.parameters),
            "losses": train(C, z, x, 3),
            "text": str(z),
            "names": [f.name for f in model.find_all_with_name("z")],
            "weight": [float(value) for value in np.ravel(model.find_by_name("hidden").b.value)],
        }
    return results


def main() -> None:
    import cntk

    folder = sys.argv[1]
    z = base(cntk)
    train(cntk, z, z.arguments[0], 5)
    path = os.path.join(folder, "transfer_base.dnn")
    z.save(path)
    cntk.cntk_py.reset_random_seed(0)
    with open(os.path.join(folder, "transfer_losses.json"), "w") as file:
        json.dump(transfer(cntk, path), file, indent=1, sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main()
