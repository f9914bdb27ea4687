"""Pictures through every transform, minibatch by minibatch.

`python reference_images.py FILE.npz` under real CNTK 2.7 (Python 3.6, its reader for bitmaps needs
no other library) made `data/images_cntk27.npz`: what each case's minibatches hold, and the order of
shuffled ones. The tests run the same here and compare.
"""

import os
import struct
import sys
import tempfile
from typing import Any, Dict, List, Tuple

import numpy as np

COUNT = 6
SIZES = [4, 4, 3, 4]
"""Of minibatches: they run across ends of sweeps, and one is of another size."""
SHUFFLED = 300


def pictures() -> List[Any]:
    """Return pictures of three sizes, shape (height, width, 3), smooth, with some noise."""
    draw = np.random.RandomState(5)
    found = []
    for i in range(COUNT):
        height, width = [(20, 28), (31, 17), (24, 24)][i % 3]
        y, x = np.mgrid[:height, :width]
        waves = [np.sin(x / (3.0 + c + i)) + np.cos(y / (5.0 - c + i)) for c in range(3)]
        noise = draw.randint(0, 40, (height, width, 3))
        found.append((np.stack(waves, 2) * 50 + 100 + noise).astype(np.uint8))
    return found


def bitmap(picture: Any) -> bytes:
    """Return a picture as a bitmap file of 24 bits."""
    height, width = picture.shape[:2]
    rows = [row.tobytes() + bytes(-3 * width % 4) for row in picture[::-1]]
    body = b"".join(rows)
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(body), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(body), 0, 0, 54) + head + body


def write_mean(path: str, height: int, width: int) -> None:
    """Write a mean picture as an OpenCV storage file, as CNTK's examples have it."""
    values = np.random.RandomState(6).rand(height * width * 3) * 200
    text = " ".join("{:e}".format(value) for value in values)
    with open(path, "w") as file:
        file.write(
            '<?xml version="1.0" ?>\n<opencv_storage>\n  <Channel>3</Channel>\n'
            "  <Row>{}</Row>\n  <Col>{}</Col>\n"
            '  <MeanImg type_id="opencv-matrix">\n    <rows>1</rows>\n    <cols>{}</cols>\n'
            "    <dt>f</dt>\n    <data>{}</data>\n  </MeanImg>\n</opencv_storage>\n".format(
                height, width, len(values), text
            )
        )


def cases(xforms: Any, mean: str) -> Dict[str, List[Any]]:
    """Return the transforms of each case."""

    def scale(width: int = 12, height: int = 12, **options: Any) -> Any:
        return xforms.scale(width=width, height=height, channels=3, **options)

    crop, color = xforms.crop, xforms.color
    found = {
        "center": [crop("center", side_ratio=0.6), scale()],
        "center size": [crop("center", crop_size=(15, 10))],
        "aspect": [crop("center", side_ratio=0.8, aspect_ratio=0.5), scale()],
        "side": [crop("randomside", crop_size=12)],
        "side jitter": [
            crop("randomside", side_ratio=(0.5, 0.9), jitter_type="uniratio"),
            scale(),
        ],
        "area": [
            crop(
                "randomarea", area_ratio=(0.2, 0.9), aspect_ratio=(0.5, 1.0), jitter_type="uniratio"
            ),
            scale(),
        ],
        "views": [crop("multiview10", side_ratio=0.75), scale()],
        "crop": [scale(12, 12, scale_mode="crop")],
        "pad": [scale(12, 12, scale_mode="pad")],
        "pad 7": [scale(12, 12, scale_mode="pad", pad_value=7)],
        "mean": [scale(16, 12), xforms.mean(mean)],
        "other mean": [scale(12, 12), xforms.mean(mean)],
        "brightness": [scale(), color(brightness_radius=0.4)],
        "contrast": [scale(), color(contrast_radius=0.4)],
        "saturation": [scale(), color(saturation_radius=0.4)],
        "all": [
            crop("randomside", side_ratio=0.8),
            scale(16, 12),
            color(0.2, 0.3, 0.4),
            xforms.mean(mean),
        ],
    }
    for way in ("nearest", "linear", "cubic", "lanczos"):
        found[way] = [scale(12, 9, interpolations=way)]
        found["greater " + way] = [scale(33, 35, interpolations=way)]
    return found


def run(C: Any, folder: str) -> Dict[str, Any]:
    """Return what each case's minibatches hold."""
    names = []
    for i, picture in enumerate(pictures()):
        names.append(os.path.join(folder, "{}.bmp".format(i)))
        with open(names[-1], "wb") as file:
            file.write(bitmap(picture))
    mean = os.path.join(folder, "mean.xml")
    write_mean(mean, 12, 16)
    found = {}
    few = map_file(folder, "few.txt", [(name, i) for i, name in enumerate(names)])
    for name, transforms in cases(C.io.transforms, mean).items():
        reader = source(C, few, transforms, randomize=False)
        features = reader.streams.features
        given = [reader.next_minibatch(size)[features].asarray()[:, 0] for size in SIZES]
        whole = np.concatenate(given)
        found["case " + name] = (
            whole.astype(np.uint8) if (whole % 1 == 0).all() and whole.min() >= 0 else whole
        )
    # Which picture it is does not matter here: classes tell one line from another.
    many = map_file(folder, "many.txt", [(names[2], i) for i in range(SHUFFLED)])
    for name, options in orders().items():
        reader = source(C, many, [], classes=SHUFFLED, **options)
        found["order " + name] = labels(reader, 2 * SHUFFLED).astype(np.uint16)
    for rank in range(2):
        reader = source(C, many, [], classes=SHUFFLED, randomization_window_in_chunks=16)
        parts = []
        for _ in range(6):
            parts.append(labels(reader, 64, num_data_partitions=2, partition_index=rank))
            parts.append([reader.get_checkpoint_state()["minibatchSourcePosition"]])
        found["worker {}".format(rank)] = np.concatenate(parts).astype(np.uint16)
    for augmented in (False, True):
        C.cntk_py.reset_random_seed(0)
        found["losses {}".format(augmented)] = np.array(cifar(C, folder, augmented))
    return found


def cifar(C: Any, folder: str, augmented: bool) -> List[float]:
    """Return the losses of CIFAR-10's ConvNet, smaller, over minibatches of its kind of data.

    With augmentation the data are pictures behind a map file, else lines of text: so the official
    scripts have it.
    """
    draw = np.random.RandomState(9)
    rows = draw.randint(0, 256, (40, 3, 32, 32)).astype(np.uint8)
    mean = os.path.join(folder, "mean32.xml")
    write_mean(mean, 32, 32)
    if augmented:
        lines = []
        for i, row in enumerate(rows):
            lines.append((os.path.join(folder, "c{}.bmp".format(i)), i % 10))
            with open(lines[-1][0], "wb") as file:
                file.write(bitmap(row.transpose(1, 2, 0)))
        transforms = [
            C.io.transforms.crop(crop_type="randomside", side_ratio=0.8),
            C.io.transforms.scale(width=32, height=32, channels=3, interpolations="linear"),
            C.io.transforms.mean(mean),
        ]
        reader = source(C, map_file(folder, "cifar.txt", lines), transforms)
    else:
        path = os.path.join(folder, "cifar_text.txt")
        with open(path, "w") as text:
            for i, row in enumerate(rows):
                one_hot = " ".join("1" if i % 10 == k else "0" for k in range(10))
                values = " ".join(map(str, row.ravel()))
                text.write("|labels {} |features {}\n".format(one_hot, values))
        streams = C.io.StreamDefs(
            features=C.io.StreamDef(field="features", shape=3 * 32 * 32),
            labels=C.io.StreamDef(field="labels", shape=10),
        )
        reader = C.io.MinibatchSource(C.io.CTFDeserializer(path, streams))
    images, classes = C.input_variable((3, 32, 32)), C.input_variable(10)
    layers = C.layers
    with layers.default_options(activation=C.relu, pad=True):
        model = layers.Sequential(
            [
                layers.For(
                    range(2),
                    lambda i: [
                        layers.Convolution((3, 3), [8, 12][i]),
                        layers.MaxPooling((3, 3), strides=(2, 2)),
                    ],
                ),
                layers.Dense(16),
                layers.Dropout(0.5),
                layers.Dense(10, activation=None),
            ]
        )
    scores = model(C.element_times(C.constant(1 / 256), C.minus(images, C.constant(128))))
    loss = C.cross_entropy_with_softmax(scores, classes)
    error = C.classification_error(scores, classes)
    rates = C.learning_parameter_schedule_per_sample([0.0015625], epoch_size=40)
    momenta = C.momentum_as_time_constant_schedule([600])
    learner = C.momentum_sgd(
        scores.parameters, lr=rates, momentum=momenta, l2_regularization_weight=0.002
    )
    trainer = C.Trainer(scores, (loss, error), learner)
    inputs = {images: reader.streams.features, classes: reader.streams.labels}
    losses = []
    for _ in range(6):
        trainer.train_minibatch(reader.next_minibatch(16, input_map=inputs))
        losses.append(trainer.previous_minibatch_loss_average)
    return losses


def orders() -> Dict[str, Dict[str, Any]]:
    """Return ways to shuffle."""
    return {
        "default": {},
        "seed": {"randomization_seed": 7},
        "one chunk": {"randomization_window_in_chunks": 1},
        "odd": {"randomization_window_in_chunks": 33},
        "samples": {"randomization_window_in_chunks": 0, "randomization_window_in_samples": 50},
    }


def map_file(folder: str, name: str, lines: List[Tuple[str, int]]) -> str:
    """Write a map file and return its path."""
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write("".join("{}\t{}\n".format(*line) for line in lines))
    return path


def source(C: Any, path: str, transforms: List[Any], classes: int = 10, **options: Any) -> Any:
    """Return a reader of a map file."""
    streams = C.io.StreamDefs(
        features=C.io.StreamDef(field="image", transforms=transforms),
        labels=C.io.StreamDef(field="label", shape=classes),
    )
    return C.io.MinibatchSource(C.io.ImageDeserializer(path, streams), **options)


def labels(reader: Any, size: int, **part: Any) -> Any:
    """Return the classes of the next minibatch."""
    data = reader.next_minibatch(size, **part)
    return data[reader.streams.labels].asarray().argmax(-1).ravel()


if __name__ == "__main__":
    import cntk

    with tempfile.TemporaryDirectory() as scratch:
        np.savez_compressed(sys.argv[1], **run(cntk, scratch))
