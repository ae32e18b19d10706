"""Colour spaces."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.ops._bind import dtype_of
from unidl.ops._declare import Tensor, composite, need_dtype, require
from unidl.ops.image._common import Axes, image_axes, real


def _channels(images: Any, axes: Axes) -> list[Any]:
    """The three channels in the dtype for computing, each with its axis of size 1."""
    images = ops.cast(images, real(dtype_of(images)))
    rest = (slice(None),) * (-axes.channels - 1)
    return [ops.getitem(images, (..., slice(i, i + 1), *rest)) for i in range(3)]


def _three(images: Any, axes: Axes, allowed: tuple[int, ...] = (3,)) -> None:
    size = images.shape[axes.channels]
    require(size is not None, "the number of channels of `images` must be known.")
    wanted = " or ".join(str(n) for n in allowed)
    require(size in allowed, f"`images` has {size} channels (shape {list(images.shape)}); {wanted} are expected.")


@composite
def rgb_to_grayscale(images: Tensor, data_format: str | None = None) -> Tensor:
    """The luma ``0.2989 R + 0.587 G + 0.114 B`` of images as their only channel (ITU-R BT.601).

    Args:
        images: one image or a batch, of 3 channels, or of 1, which is returned as it is.

    Returns:
        Images of 1 channel in the same dtype; for integers the fraction is cut off.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.image.rgb_to_grayscale([[[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]])))
        [[[0.587 ]
          [0.2989]]]
    """
    axes = image_axes(images, data_format)
    _three(images, axes, (1, 3))
    if images.shape[axes.channels] == 1:
        return images
    red, green, blue = _channels(images, axes)
    gray = ops.add(ops.add(ops.multiply(red, 0.2989), ops.multiply(green, 0.587)), ops.multiply(blue, 0.114))
    return ops.cast(gray, dtype_of(images))


@composite
def rgb_to_hsv(images: Tensor, data_format: str | None = None) -> Tensor:
    """Hue, saturation and value of float RGB images, all in [0, 1] (A. R. Smith, SIGGRAPH 1978).

    Hue is 0 for red, 1/3 for green, 2/3 for blue, and 0 for gray, which has none.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.image.rgb_to_hsv([[[0.5, 1.0, 1.0], [0.5, 0.5, 0.5]]])))
        [[[0.5 0.5 1. ]
          [0.  0.  0.5]]]
    """
    axes = image_axes(images, data_format)
    need_dtype(images, "images", "floating")
    _three(images, axes)
    red, green, blue = _channels(images, axes)
    value = ops.maximum(ops.maximum(red, green), blue)
    spread = ops.subtract(value, ops.minimum(ops.minimum(red, green), blue))
    colored, bright = ops.greater(spread, 0.0), ops.greater(value, 0.0)
    sixth = ops.multiply(ops.where(colored, spread, 1.0), 6.0)
    hue = ops.where(
        ops.equal(red, value),
        ops.divide(ops.subtract(green, blue), sixth),
        ops.where(
            ops.equal(green, value),
            ops.add(ops.divide(ops.subtract(blue, red), sixth), 1 / 3),
            ops.add(ops.divide(ops.subtract(red, green), sixth), 2 / 3),
        ),
    )
    hue = ops.where(colored, ops.where(ops.less(hue, 0.0), ops.add(hue, 1.0), hue), 0.0)
    saturation = ops.where(bright, ops.divide(spread, ops.where(bright, value, 1.0)), 0.0)
    return ops.cast(ops.concatenate([hue, saturation, value], axes.channels), dtype_of(images))


@composite
def hsv_to_rgb(images: Tensor, data_format: str | None = None) -> Tensor:
    """RGB of float images of hue, saturation and value, which should be in [0, 1].

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.image.hsv_to_rgb([[[0.5, 0.5, 1.0], [0.0, 0.0, 0.5]]])))
        [[[0.5 1.  1. ]
          [0.5 0.5 0.5]]]
    """
    axes = image_axes(images, data_format)
    need_dtype(images, "images", "floating")
    _three(images, axes)
    hue, saturation, value = _channels(images, axes)
    turn, white = ops.multiply(hue, 6.0), ops.subtract(1.0, saturation)

    def channel(centre: float, sign: float) -> Any:
        # A trapezoid over the circle of hues: 1 (or 0) within a sixth of `centre`, changing over the next sixth.
        distance = ops.absolute(ops.subtract(turn, centre))
        pure = ops.minimum(ops.maximum(ops.add(ops.multiply(distance, sign), -1.0 if sign > 0 else 2.0), 0.0), 1.0)
        return ops.multiply(ops.add(white, ops.multiply(saturation, pure)), value)

    rgb = [channel(3.0, 1.0), channel(2.0, -1.0), channel(4.0, -1.0)]
    return ops.cast(ops.concatenate(rgb, axes.channels), dtype_of(images))


__all__ = ["rgb_to_grayscale", "rgb_to_hsv", "hsv_to_rgb"]
