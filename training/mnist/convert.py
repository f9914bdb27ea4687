"""Write MNIST as the two text files that CNTK's examples read.

    python convert.py OUTPUT_DIR

reads the four idx files that lie beside this script and writes `Train-28x28_cntk_text.txt` and
`Test-28x28_cntk_text.txt`. Files that are right already stay as they are. Only the standard library
is needed.
"""

import argparse
import gzip
import hashlib
import os
import struct
import sys
import tempfile
from typing import List, Tuple

# Name, bytes and md5 of each result, and the idx files it is made of.
TABLE = [
    (
        "Train-28x28_cntk_text.txt",
        111735994,
        "696b841a5971d17c2e66a8a0ab43df66",
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    ),
    (
        "Test-28x28_cntk_text.txt",
        18649443,
        "2afa8a7feaee46f96371efd6ff7ad649",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ),
]
IMAGES, LABELS = 2051, 2049
PIXELS = 28 * 28
WORDS = [b"%d " % value for value in range(256)]
ONE_HOT = [b" ".join(b"1" if i == digit else b"0" for i in range(10)) for digit in range(10)]


class InputError(Exception):
    """An idx file is missing or is not what it should be."""


def content(path: str, magic: int) -> Tuple[int, bytes]:
    """Return how many items an idx file has, and their bytes."""
    try:
        with gzip.open(path, "rb") as file:
            data = file.read()
    except (OSError, EOFError) as error:
        raise InputError("Cannot read {}: {}.".format(path, error)) from error
    header = 16 if magic == IMAGES else 8
    size = PIXELS if magic == IMAGES else 1
    if len(data) < header or struct.unpack(">i", data[:4])[0] != magic:
        raise InputError("{} is no idx file with the magic number {}.".format(path, magic))
    count = struct.unpack(">i", data[4:8])[0]
    if magic == IMAGES and struct.unpack(">ii", data[8:16]) != (28, 28):
        raise InputError("The images in {} are not of 28 x 28 pixels.".format(path))
    if len(data) != header + count * size:
        raise InputError(
            "{} has {} bytes for {} items of {}.".format(path, len(data) - header, count, size)
        )
    return count, data[header:]


def lines(images: bytes, labels: bytes) -> List[bytes]:
    """Return a line for each image: its label one-hot, then its pixels row by row."""
    words = WORDS
    result = []
    for i, label in enumerate(labels):
        pixels = images[i * PIXELS : (i + 1) * PIXELS]
        text = b"".join([words[pixel] for pixel in pixels])
        result.append(b"|labels %s |features %s\n" % (ONE_HOT[label], text[:-1]))
    return result


def md5_of(path: str) -> str:
    """Return the md5 of a file."""
    digest = hashlib.md5()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


def write(path: str, size: int, md5: str, images_path: str, labels_path: str) -> bool:
    """Write one text file if it is not there already; return whether it had to be written."""
    if os.path.exists(path) and os.path.getsize(path) == size and md5_of(path) == md5:
        return False
    count, images = content(images_path, IMAGES)
    label_count, labels = content(labels_path, LABELS)
    if count != label_count or max(labels, default=0) > 9:
        message = "{} and {} do not belong together: {} images, {} labels up to {}."
        raise InputError(
            message.format(images_path, labels_path, count, label_count, max(labels, default=0))
        )
    digest = hashlib.md5()
    handle, part = tempfile.mkstemp(prefix=".", suffix=".part", dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as file:
            for start in range(0, count, 1000):
                piece = b"".join(
                    lines(images[start * PIXELS :][: 1000 * PIXELS], labels[start : start + 1000])
                )
                digest.update(piece)
                file.write(piece)
        if digest.hexdigest() != md5:
            message = (
                "The text made of {} and {} has the md5 {}, not {}: the idx files are not MNIST's."
            )
            raise InputError(message.format(images_path, labels_path, digest.hexdigest(), md5))
        # mkstemp makes files for one user only; these are for everybody whom the folder lets in.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(part, 0o666 & ~mask)
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise
    return True


def main() -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="Write MNIST as CNTK text files.")
    parser.add_argument(
        "output_dir", help="where the two text files go; it is made if it is missing"
    )
    parser.add_argument(
        "--source",
        default=os.path.dirname(os.path.abspath(__file__)),
        help="where the idx files are",
    )
    options = parser.parse_args()
    try:
        os.makedirs(options.output_dir, exist_ok=True)
        for name, size, md5, images, labels in TABLE:
            path = os.path.join(options.output_dir, name)
            made = write(
                path,
                size,
                md5,
                os.path.join(options.source, images),
                os.path.join(options.source, labels),
            )
            print("{}: {} bytes, md5 {}{}".format(path, size, md5, "" if made else " (was there)"))
    except (InputError, OSError) as error:
        print("convert.py: {}".format(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
