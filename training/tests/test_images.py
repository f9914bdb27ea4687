"""Pictures: map files, transforms and orders, against what real CNTK 2.7 gives out."""

import base64
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import cntk as C
import reference_images as reference
from cntk.io import (
    Base64ImageDeserializer,
    CTFDeserializer,
    ImageDeserializer,
    MinibatchSource,
    StreamDef,
    StreamDefs,
    transforms,
)

Results = dict[str, npt.NDArray[Any]]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Return what our package makes of everything in the reference."""
    return reference.run(C, str(tmp_path_factory.mktemp("images")))


@pytest.fixture(scope="module")
def theirs() -> Results:
    """Return what real CNTK made of it."""
    with np.load(Path(__file__).parent / "data" / "images_cntk27.npz") as file:
        return dict(file)


def test_the_reference_is_whole(ours: Results, theirs: Results) -> None:
    """Each case that we run has been run by CNTK, and the other way round."""
    assert sorted(ours) == sorted(theirs)


@pytest.mark.parametrize("case", sorted(reference.cases(transforms, "")))
def test_transforms_give_cntks_pixels(ours: Results, theirs: Results, case: str) -> None:
    """Random crops and colors too; cubic scaling differs by one step here and there."""
    found, wanted = ours[f"case {case}"], theirs[f"case {case}"]
    assert found.shape == wanted.shape
    away = np.abs(found.astype(np.float64) - wanted)
    if "cubic" in case:
        # OpenCV 3.1 rounds some sums up that today's rounds down.
        assert away.max() <= 1
        assert (away > 0).mean() < 0.05
    else:
        assert away.max() <= 1e-4


@pytest.mark.parametrize(
    "case", [*(f"order {n}" for n in reference.orders()), "worker 0", "worker 1"]
)
def test_shuffled_pictures_come_in_cntks_order(ours: Results, theirs: Results, case: str) -> None:
    """Through windows of chunks and of samples, and dealt out to two workers, over two sweeps."""
    np.testing.assert_array_equal(ours[case], theirs[case])


@pytest.mark.parametrize("augmented", [False, True])
def test_cifar_trains_as_under_cntk(ours: Results, theirs: Results, augmented: bool) -> None:
    """The official scripts' readers and network give CNTK's losses, pictures or text."""
    name = f"losses {augmented}"
    np.testing.assert_allclose(ours[name], theirs[name], atol=1e-5)


def streams(*steps: Any, classes: int = 10) -> StreamDefs:
    return StreamDefs(
        features=StreamDef(field="image", transforms=list(steps)),
        labels=StreamDef(field="label", shape=classes),
    )


def source(path: Path, *steps: Any, **options: Any) -> MinibatchSource:
    return MinibatchSource(ImageDeserializer(path, streams(*steps)), randomize=False, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of four plain pictures of 2 x 2; number i is blue i, green 50, red 200."""
    for i in range(4):
        pixel = np.full((2, 2, 3), (i, 50, 200), np.uint8)
        (tmp_path / f"{i}.bmp").write_bytes(reference.bitmap(pixel))
    return tmp_path


def blues(reader: MinibatchSource, size: int = 4) -> list[int]:
    data = reader.next_minibatch(size)
    if not data:
        return []
    pixels = data[reader.streams.features].asarray()
    assert pixels.shape[1:] == (1, 3, 2, 2)
    assert (pixels[:, 0, 1:] == np.array([50, 200])[:, None, None]).all()
    return [int(v) for v in pixels[:, 0, 0, 0, 0]]


def test_planes_are_blue_green_and_red(folder: Path) -> None:
    """A map file's paths may begin with `...`, its own folder; labels are one-hot and sparse."""
    (folder / "map").write_text("".join(f".../{i}.bmp\t{i}\n" for i in range(4)))
    reader = source(folder / "map", transforms.scale(2, 2, 3))
    assert blues(reader) == [0, 1, 2, 3]
    data = reader.next_minibatch(2)[reader.streams.labels]
    np.testing.assert_array_equal(data.asarray()[:, 0], np.eye(10)[:2])
    shapes = [(info.name, info.shape, info.storage_format) for info in reader.stream_infos()]
    assert shapes == [("features", (3, 2, 2), "dense"), ("labels", (10,), "sparse")]


def test_relative_paths_are_the_processs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path without `...` is not the map file's business."""
    (folder / "maps").mkdir()
    (folder / "maps" / "map").write_text("2.bmp\t0\n")
    monkeypatch.chdir(folder)
    assert blues(source(folder / "maps" / "map", max_sweeps=1)) == [2]


def test_pictures_are_read_from_archives(folder: Path) -> None:
    """`a.zip@/inner/x.bmp` is a file in an archive; also behind `...`."""
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.write(folder / "3.bmp", "inner/x.bmp")
    (folder / "map").write_text(f".../a.zip@/inner/x.bmp\t0\n{folder}/a.zip@\\inner\\x.bmp\t1\n")
    assert blues(source(folder / "map"), 2) == [3, 3]
    (folder / "bad").write_text(".../a.zip@/no.bmp\t0\n")
    with pytest.raises(RuntimeError, match="Cannot retrieve image data for some sequences from"):
        source(folder / "bad")
    (folder / "bad").write_text(".../b.zip@/no.bmp\t0\n")
    with pytest.raises(RuntimeError, match=r"Failed to open .*b\.zip, zip library error"):
        source(folder / "bad")


@pytest.mark.parametrize("with_id", [False, True])
def test_pictures_are_read_from_base64(folder: Path, with_id: bool) -> None:
    """Class and picture stand on a line, behind an id perhaps."""
    lines = [
        ("7\t" if with_id else "").encode()
        + f"{i}\t".encode()
        + base64.b64encode((folder / f"{i}.bmp").read_bytes())
        for i in (2, 1)
    ]
    (folder / "b64").write_bytes(b"\r\n".join(lines) + b"\n")
    reader = MinibatchSource(Base64ImageDeserializer(folder / "b64", streams()), max_sweeps=1)
    assert sorted(blues(reader)) == [1, 2]
    (folder / "b64").write_text("1\t!!!\n")
    broken = MinibatchSource(Base64ImageDeserializer(folder / "b64", streams()))
    with pytest.raises(RuntimeError, match="Cannot decode sequence with id 0"):
        broken.next_minibatch(1)


def text(path: Path, lines: str) -> CTFDeserializer:
    path.write_text(lines)
    return CTFDeserializer(path, StreamDefs(x=StreamDef(field="x", shape=1)))


@pytest.mark.parametrize(
    ("lines", "map_text", "expected"),
    [
        ("|x 5\n|x 6\n|x 7\n", ".../0.bmp\t0\n.../1.bmp\t0\n", [(0, 5), (1, 6)]),
        ("1 |x 5\n0 |x 6\n9 |x 7\n", ".../0.bmp\t0\n.../1.bmp\t0\n", [(1, 5), (0, 6)]),
        ("4 |x 5\n3 |x 6\n", "3\t.../0.bmp\t0\n9\t.../1.bmp\t0\n", [(0, 6)]),
    ],
)
def test_several_deserializers_stand_side_by_side(
    folder: Path, lines: str, map_text: str, expected: list[tuple[int, int]]
) -> None:
    """By ids, or line numbers without them; the first says the order; single ones are left out."""
    (folder / "map").write_text(map_text)
    both: Any = [text(folder / "text", lines), ImageDeserializer(folder / "map", streams())]
    reader = MinibatchSource(both, randomize=False, max_sweeps=1)
    data = reader.next_minibatch(5)
    pixels = data[reader.streams.features].asarray()[:, 0, 0, 0, 0]
    values = data[reader.streams.x].asarray().ravel()
    assert list(zip(pixels.tolist(), values.tolist(), strict=True)) == expected


def test_deserializers_without_anything_in_common_are_refused(folder: Path) -> None:
    """The message says what has to agree; two streams cannot have one name either."""
    (folder / "map").write_text("3\t.../0.bmp\t0\n")
    images = ImageDeserializer(folder / "map", streams())
    with pytest.raises(RuntimeError, match="no sequence in common"):
        MinibatchSource([images, text(folder / "text", "|x 5\n")])
    with pytest.raises(ValueError, match="of the name 'features'"):
        MinibatchSource([images, images])


@pytest.mark.parametrize(
    ("map_text", "message"),
    [
        ("", "the number of successfully read samples was 0"),
        ("0.bmp 1\n", "must contain 2 or 3 tab-delimited columns, line 0 in file"),
        (".../0.bmp\t1\n\n", "must contain 2 or 3 tab-delimited columns, line 1 in file"),
        (".../0.bmp\t\n", "must contain 2 or 3 tab-delimited columns, line 0 in file"),
        (".../0.bmp\tx\n", "Cannot parse label value on line 0, second column, in file"),
        ("1\t.../0.bmp\tx\n", "Cannot parse label value on line 0, third column, in file"),
        (
            ".../0.bmp\t10\n",
            "has invalid class id '10'. It is exceeding the label dimension of '10'",
        ),
        (".../0.bmp\t-1\n", "has invalid class id '18446744073709551615'"),
    ],
)
def test_bad_map_files_are_refused_in_cntks_words(
    folder: Path, map_text: str, message: str
) -> None:
    """When the source is made."""
    (folder / "map").write_text(map_text)
    with pytest.raises(RuntimeError, match=message):
        source(folder / "map")


def test_pictures_that_cannot_be_read_are_named(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Missing ones, and what is no picture, when their minibatch comes; the rest can go on."""
    with pytest.raises(RuntimeError, match=r"Could not open .*nomap for reading"):
        source(folder / "nomap")
    (folder / "map").write_text(".../0.bmp\t0\n.../1.bmp\t0\n.../none.bmp\t0\n.../map\t0\n")
    reader = source(folder / "map")
    assert blues(reader, 2) == [0, 1]
    with pytest.raises(RuntimeError, match=r"Cannot open file '.*none\.bmp'"):
        reader.next_minibatch(2)
    capfd.readouterr()


def test_pictures_of_different_sizes_need_a_scale(folder: Path) -> None:
    """CNTK's packer says so."""
    (folder / "big.bmp").write_bytes(reference.bitmap(np.zeros((3, 2, 3), np.uint8)))
    (folder / "map").write_text(".../0.bmp\t0\n.../big.bmp\t0\n")
    with pytest.raises(
        RuntimeError, match=r"Packer currently does not support samples with varying"
    ):
        source(folder / "map").next_minibatch(2)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: transforms.crop("bogus"), RuntimeError, "Invalid crop type: bogus."),
        (lambda: transforms.crop(crop_size=-1), RuntimeError, "Invalid cropSize value"),
        (lambda: transforms.crop(side_ratio=1.5), RuntimeError, "Invalid sideRatio value"),
        (lambda: transforms.crop(area_ratio=2), RuntimeError, "Invalid areaRatio value"),
        (lambda: transforms.crop(aspect_ratio=0), RuntimeError, "Invalid aspectRatio value"),
        (
            lambda: transforms.crop(side_ratio=0.5, area_ratio=0.5),
            RuntimeError,
            "sideRatio and areaRatio cannot be specified simultaneously",
        ),
        (lambda: transforms.crop(jitter_type="zz"), RuntimeError, "Invalid jitter type: zz."),
        (lambda: transforms.crop(side_ratio=(0.9, 0.5)), ValueError, "must be a number or a tuple"),
        (lambda: transforms.crop(crop_size=(1, 2, 3)), ValueError, "must be a number or a tuple"),
        (lambda: transforms.scale(0, 3, 3), RuntimeError, "Invalid image dimensions."),
        (lambda: transforms.scale(4, 4, 3, "zz"), RuntimeError, "Invalid interpolations value"),
        (lambda: transforms.scale(4, 4, 3, scale_mode="zz"), RuntimeError, "Invalid scaleMode"),
        (lambda: transforms.scale(4, 4, 3, pad_value=-3), RuntimeError, "Invalid padValue value"),
        (lambda: transforms.scale(4, 4, 1), ValueError, "give channels=3"),
        (lambda: transforms.mean("nope.xml"), RuntimeError, "Could not open file: nope.xml"),
        (lambda: transforms.color(2.0), ValueError, "brightnessRadius must be >= 0.0 and <= 1.0"),
        (lambda: transforms.color(0, -1), ValueError, "contrastRadius must be >= 0.0 and <= 1.0"),
    ],
)
def test_bad_transforms_are_refused_in_cntks_words(
    folder: Path, make: Callable[[], Any], error: type[Exception], message: str
) -> None:
    """At the latest when the source is made."""
    (folder / "map").write_text(".../0.bmp\t0\n")
    with pytest.raises(error, match=message):
        source(folder / "map", make())


@pytest.mark.parametrize(
    "content",
    [
        "no xml",
        "<a><Channel>3</Channel><Row>1</Row><Col>1</Col><MeanImg><data>1 2</data></MeanImg></a>",
        "<a><Channel>x</Channel><Row>1</Row><Col>1</Col></a>",
    ],
)
def test_a_mean_file_without_a_picture_is_refused(folder: Path, content: str) -> None:
    """In CNTK's words."""
    (folder / "mean.xml").write_text(content)
    (folder / "map").write_text(".../0.bmp\t0\n")
    with pytest.raises(RuntimeError, match="Invalid data in file: "):
        source(folder / "map", transforms.mean(str(folder / "mean.xml")))


def test_pictures_that_do_not_fit_their_scale_are_named(folder: Path) -> None:
    """`crop` cannot make more than there is, nor `pad` less."""
    (folder / "wide.bmp").write_bytes(reference.bitmap(np.zeros((2, 8, 3), np.uint8)))
    (folder / "map").write_text(".../wide.bmp\t0\n")
    for mode, size in (("crop", (16, 2)), ("pad", (8, 1))):
        scale = transforms.scale(*size, 3, scale_mode=mode)
        with pytest.raises(RuntimeError, match=f"scale_mode='{mode}'"):
            source(folder / "map", scale).next_minibatch(1)


def test_wrong_fields_are_refused_in_cntks_words() -> None:
    """Only `image` and `label` are in a map file, and the first has to be asked for."""
    with pytest.raises(ValueError, match="invalid field name 'imag', allowed are 'image' and"):
        ImageDeserializer("map", StreamDefs(a=StreamDef(field="imag")))
    with pytest.raises(ValueError, match=r"stream name \('image' or 'label'\) must be specified"):
        ImageDeserializer("map", StreamDefs(a=StreamDef(field="label", shape=3)))


def test_without_opencv_the_message_says_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only pictures need it; the package does without."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    (folder / "map").write_text(".../0.bmp\t0\n")
    with pytest.raises(ImportError, match=r"batchai-quickstart-training\[images\]"):
        source(folder / "map")
