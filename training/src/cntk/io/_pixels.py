"""Transforms of pictures, arrays of shape (height, width, 3), blue first.

A transform first draws what it will do with a picture and then does it, on any thread. Sizes and
rules are those of CNTK's reader; scaling is OpenCV's, which is CNTK's.
"""

import importlib
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, final
from xml.etree import ElementTree as ET

import numpy as np
import numpy.typing as npt

from cntk.io._draws import Draws, Generators

Picture = npt.NDArray[Any]
Pair = tuple[float, float]
Size = tuple[int, int]
"""Height and width."""
_CROPS: Final = ("center", "randomside", "randomarea", "multiview10")
_WAYS: Final = {
    "nearest": "INTER_NEAREST",
    "linear": "INTER_LINEAR",
    "cubic": "INTER_CUBIC",
    "lanczos": "INTER_LANCZOS4",
}
_MODES: Final = ("fill", "crop", "pad")
_MISFIT: Final = (
    "WARNING: Mean file does not match the size of the input image, will be ignored.\n"
    "Please remove mean transformation from the config."
)


class Step(Protocol):
    """A transform at work in one reader."""

    def draw(self, picture: Size, place: int) -> Any:
        """Return what will be done to a picture.

        Args:
            picture: Its size.
            place: Its number in the minibatch: CNTK has a generator for each.
        """

    def apply(self, picture: Picture, drawn: Any) -> Picture:
        """Do it."""


class Transform(Protocol):
    """What a script asks for."""

    def begin(self) -> Step:
        """Check what was asked for, in CNTK's words, and return it ready to work."""


def opencv() -> Any:
    """Return the module that decodes and scales.

    Raises:
        ImportError: It is not installed.
    """
    try:
        return importlib.import_module("cv2")
    except ImportError as error:
        message = (
            "Reading pictures needs OpenCV, as it did in CNTK: install "
            "batchai-quickstart-training[images], or opencv-python-headless."
        )
        raise ImportError(message) from error


def _check(name: str, short: str, pair: Pair) -> bool:
    """Return whether a ratio is used."""
    if pair == (0.0, 0.0):
        return False
    if not 0 < pair[0] <= pair[1] <= 1:
        message = f"Invalid {name} value, must be > 0 and <= 1. {short}Min must <= {short}Max"
        raise RuntimeError(message)
    return True


@final
@dataclass(frozen=True, slots=True)
class Crop:
    """See `cntk.io.transforms.crop`."""

    crop_type: str
    crop_size: tuple[int, int]
    side_ratio: Pair
    area_ratio: Pair
    aspect_ratio: Pair
    jitter_type: str

    def begin(self) -> Step:
        """Check the arguments."""
        if min(self.crop_size) < 0:
            message = "Invalid cropSize value, must be >= 0"
            raise RuntimeError(message)
        by_side = _check("sideRatio", "side", self.side_ratio)
        by_area = _check("areaRatio", "area", self.area_ratio)
        if by_side and by_area:
            message = "sideRatio and areaRatio cannot be specified simultaneously"
            raise RuntimeError(message)
        if not 0 < self.aspect_ratio[0] <= self.aspect_ratio[1]:
            message = "Invalid aspectRatio value, must be > 0. aspectMin must <= aspectMax"
            raise RuntimeError(message)
        if self.jitter_type.lower() not in {"", "none", "uniratio"}:
            message = f"Invalid jitter type: {self.jitter_type}."
            raise RuntimeError(message)
        if self.crop_type.lower() not in _CROPS:
            message = f"Invalid crop type: {self.crop_type}."
            raise RuntimeError(message)
        return _Cropping(self, by_side, by_area)


@final
class _Cropping:
    def __init__(self, asked: Crop, by_side: bool, by_area: bool) -> None:
        self._asked = asked
        self._kind = asked.crop_type.lower()
        self._jitter = asked.jitter_type.lower() == "uniratio"
        self._by_side, self._by_area = by_side, by_area
        self._draws = Generators()
        self._flip = opencv().flip

    def draw(self, picture: Size, place: int) -> Any:
        height, width = picture
        draws = self._draws[place]
        high, wide = self._size(height, width, draws)
        left, top, mirrored = (width - wide) // 2, (height - high) // 2, False
        if self._kind.startswith("random"):
            left, top = draws.integer(width - wide), draws.integer(height - high)
            mirrored = draws.coin()
        elif self._kind == "multiview10":
            # Python's CNTK makes only the first of the ten views.
            left, top = 0, 0
        return slice(top, top + high), slice(left, left + wide), mirrored

    def apply(self, picture: Picture, drawn: Any) -> Picture:
        rows, columns, mirrored = drawn
        part = picture[rows, columns]
        flipped: Picture = self._flip(part, 1) if mirrored else part
        return flipped

    def _size(self, height: int, width: int, draws: Draws) -> Size:
        wanted = self._asked.crop_size
        if min(wanted) > 0:
            return min(height, wanted[1]), min(width, wanted[0])
        wide, high = width, height
        for _ in range(10):
            if self._by_side:
                wide = high = _rounded(
                    min(height, width) * self._between(self._asked.side_ratio, draws)
                )
            elif self._by_area:
                area = height * width * self._between(self._asked.area_ratio, draws)
                wide = high = _rounded(math.sqrt(area))
            aspect = self._between(self._asked.aspect_ratio, draws)
            if aspect != 1.0:
                area = wide * high
                sides = int(math.sqrt(area * aspect)), int(math.sqrt(area / aspect))
                wide, high = sides if draws.coin() else sides[::-1]
            if wide <= width and high <= height:
                return high, wide
        return height, width

    def _between(self, pair: Pair, draws: Draws) -> float:
        low, high = pair
        return draws.real(low, high) if self._jitter and low != high else low


def _rounded(value: float) -> int:
    return math.floor(value + 0.5)


@final
@dataclass(frozen=True, slots=True)
class Scale:
    """See `cntk.io.transforms.scale`."""

    width: int
    height: int
    channels: int
    interpolations: str
    scale_mode: str
    pad_value: int

    def begin(self) -> Step:
        """Check the arguments."""
        problem = ""
        if self.width * self.height * self.channels <= 0:
            problem = "Invalid image dimensions."
        elif self.scale_mode not in _MODES:
            problem = "Invalid scaleMode value, must be fill, crop or pad (all lower case)"
        elif self.pad_value < -1:
            problem = "Invalid padValue value, must be -1 (replicates border) or >= 0 (constant)"
        elif self.interpolations.lower() not in _WAYS:
            problem = "Invalid interpolations value, must be nearest, cubic, lanczos or linear"
        if problem:
            raise RuntimeError(problem)
        if self.channels != 3:
            message = (
                f"scale(channels={self.channels}): pictures come in three channels, blue, green "
                "and red; give channels=3."
            )
            raise ValueError(message)
        return _Scaling(self)


@final
class _Scaling:
    def __init__(self, asked: Scale) -> None:
        self._asked = asked
        self._cv = opencv()
        self._way = getattr(self._cv, _WAYS[asked.interpolations.lower()])

    def draw(self, picture: Size, place: int) -> Any:
        del place
        wide, high = self._asked.width, self._asked.height
        if self._asked.scale_mode == "fill":
            return wide, high
        height, width = picture
        by_width = width < height if self._asked.scale_mode == "crop" else width > height
        if by_width:
            return wide, _rounded(height * wide / width)
        return _rounded(width * high / height), high

    def apply(self, picture: Picture, drawn: Any) -> Picture:
        scaled: Picture = self._cv.resize(picture, drawn, interpolation=self._way)
        high, wide = self._asked.height, self._asked.width
        more, over = high - scaled.shape[0], wide - scaled.shape[1]
        mode = self._asked.scale_mode
        if mode == "crop":
            if min(-more, -over) < 0:
                message = (
                    f"scale(scale_mode='crop'): a picture of {picture.shape[1]} x "
                    f"{picture.shape[0]} does not cover {wide} x {high}; its shorter side is "
                    "fitted, so the wanted size must be less long in the other direction."
                )
                raise RuntimeError(message)
            top, left = -more // 2, -over // 2
            return scaled[top : top + high, left : left + wide]
        if mode == "pad":
            if min(more, over) < 0:
                message = (
                    f"scale(scale_mode='pad'): a picture of {picture.shape[1]} x "
                    f"{picture.shape[0]} does not fit into {wide} x {high} when its longer side "
                    "is fitted."
                )
                raise RuntimeError(message)
            top, left = more // 2, over // 2
            value = self._asked.pad_value
            kind = self._cv.BORDER_REPLICATE if value == -1 else self._cv.BORDER_CONSTANT
            scaled = self._cv.copyMakeBorder(
                scaled, top, more - top, left, over - left, kind, value=(max(value, 0),) * 3
            )
        return scaled


@final
@dataclass(frozen=True, slots=True)
class Mean:
    """See `cntk.io.transforms.mean`."""

    filename: str

    def begin(self) -> Step:
        """Read the file."""
        return _Centering(mean_picture(Path(self.filename)))


def mean_picture(path: Path) -> npt.NDArray[np.float32]:
    """Read a mean picture, shape (height, width, channels).

    Raises:
        RuntimeError: There is none in the file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        message = f"Could not open file: {path}"
        raise RuntimeError(message) from error
    try:
        # expat opens no other file for an entity, and nested ones it refuses past a bound.
        root = ET.fromstring(text)  # noqa: S314
        channels, rows, columns = (
            int(root.findtext(name, "")) for name in ("Channel", "Row", "Col")
        )
        values = np.array(root.findtext("MeanImg/data", "").split(), np.float32)
        return values.reshape(rows, columns, channels)
    except (ET.ParseError, ValueError) as error:
        message = f"Invalid data in file: {path}"
        raise RuntimeError(message) from error


@final
class _Centering:
    def __init__(self, mean: npt.NDArray[np.float32]) -> None:
        self._mean = mean

    def draw(self, picture: Size, place: int) -> Any:
        del place
        fits = picture == self._mean.shape[:2]
        if not fits:
            print(_MISFIT, file=sys.stderr)
        return fits

    def apply(self, picture: Picture, drawn: Any) -> Picture:
        return picture.astype(np.float32) - self._mean if drawn else picture


@final
@dataclass(frozen=True, slots=True)
class Color:
    """See `cntk.io.transforms.color`."""

    brightness_radius: float
    contrast_radius: float
    saturation_radius: float

    def begin(self) -> Step:
        """Check the arguments."""
        for name in ("brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, f"{name}_radius") <= 1:
                message = f"{name}Radius must be >= 0.0 and <= 1.0"
                raise ValueError(message)
        return _Coloring(self)


@final
class _Coloring:
    def __init__(self, asked: Color) -> None:
        self._asked = asked
        self._cv = opencv()
        self._draws = Generators()
        self._radii = asked.brightness_radius, asked.contrast_radius, asked.saturation_radius

    def draw(self, picture: Size, place: int) -> Any:
        draws = self._draws[place]
        return [draws.real(-r, r) if r > 0 else 0.0 for r in self._radii]

    def apply(self, picture: Picture, drawn: Any) -> Picture:
        brightness, contrast, saturation = drawn
        asked = self._asked
        if any(self._radii):
            picture = picture.astype(np.float32)
        if asked.brightness_radius > 0 or asked.contrast_radius > 0:
            beta = np.float32(brightness * picture.sum(dtype=np.float64) / picture.size)
            picture = np.clip(picture * np.float32(1 + contrast) + beta, 0, 255)
        if asked.saturation_radius > 0:
            hsv = self._cv.cvtColor(picture, self._cv.COLOR_BGR2HSV)
            more = np.multiply(hsv[..., 1], 1 + saturation, dtype=np.float64).astype(np.float32)
            hsv[..., 1] = np.minimum(more, 1)
            picture = self._cv.cvtColor(hsv, self._cv.COLOR_HSV2BGR)
        return picture
