"""What is done to pictures between their files and the network: `StreamDef(transforms=[...])`."""

from collections.abc import Sequence
from typing import Any

from cntk._absent import absent
from cntk.io._pixels import Color, Crop, Mean, Scale

__all__ = ["color", "crop", "mean", "scale"]


def crop(
    crop_type: str = "center",
    crop_size: int | Sequence[int] = 0,
    side_ratio: float | Sequence[float] = 0.0,
    area_ratio: float | Sequence[float] = 0.0,
    aspect_ratio: float | Sequence[float] = 1.0,
    jitter_type: str = "none",
) -> Crop:
    """Cut a part out of each picture.

    Args:
        crop_type: `center`; `randomside` and `randomarea`, somewhere and perhaps mirrored; or
            `multiview10`, of whose ten views CNTK's Python readers make the first, the upper left.
        crop_size: Side of the part, or width and height, in pixels; 0: by the ratios.
        side_ratio: Side of the part as a share of the picture's shorter side, or from and to; 0:
            not used.
        area_ratio: Area of the part as a share of the picture's, or from and to; 0: not used.
        aspect_ratio: The part's shorter side as a share of its longer one, or from and to.
        jitter_type: `uniratio` draws ratios between from and to; `none` takes from.
    """
    return Crop(
        crop_type,
        _pair(crop_size, int),
        _range(side_ratio),
        _range(area_ratio),
        _range(aspect_ratio),
        jitter_type,
    )


def scale(
    width: int,
    height: int,
    channels: int,
    interpolations: str = "linear",
    scale_mode: str = "fill",
    pad_value: int = -1,
) -> Scale:
    """Bring each picture to one size.

    Args:
        width: In pixels.
        height: In pixels.
        channels: 3: pictures come in blue, green and red.
        interpolations: `nearest`, `linear`, `cubic` or `lanczos`.
        scale_mode: `fill` stretches; `crop` fits the shorter side and cuts the rest off; `pad` fits
            the longer side and fills the rest up.
        pad_value: With what `pad` fills up; -1 repeats the border.
    """
    return Scale(width, height, channels, interpolations, scale_mode, pad_value)


def mean(filename: str) -> Mean:
    """Subtract a mean picture.

    Args:
        filename: An OpenCV XML storage file with `Channel`, `Row`, `Col` and the matrix `MeanImg`.
    """
    return Mean(filename)


def color(
    brightness_radius: float = 0.0, contrast_radius: float = 0.0, saturation_radius: float = 0.0
) -> Color:
    """Change each picture's colors at random, by shares of up to these radii, 0 to 1.

    Args:
        brightness_radius: What is added, as a share of the picture's mean.
        contrast_radius: By how much values are multiplied, around 1.
        saturation_radius: By how much the saturation is multiplied, around 1.
    """
    return Color(brightness_radius, contrast_radius, saturation_radius)


def _pair(value: Any, kind: type) -> Any:
    pair = (value, value) if isinstance(value, int | float) else value
    if not (
        isinstance(pair, tuple | list)
        and len(pair) == 2
        and all(isinstance(item, int | float) for item in pair)
    ):
        message = "Input argument must be a number or a tuple of two numbers."
        raise ValueError(message)
    return tuple(kind(item) for item in pair)


def _range(value: Any) -> Any:
    low, high = _pair(value, float)
    if low > high:
        message = (
            "Input argument must be a number or a tuple of two numbers such as the first number "
            "is smaller than or equal to the second number."
        )
        raise ValueError(message)
    return low, high


__getattr__ = absent(__name__)
