"""Images filtered by small windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unidl import ops
from unidl.ops._bind import dtype_of
from unidl.ops._declare import Tensor, composite, need_rank, require, same_dim
from unidl.ops.image._common import LAST, as_before, channels_last, image_axes, narrow, number, whole_numbers, wide


def gaussian(size: int, sigma: float) -> np.ndarray:
    """A window of the normal distribution's density, the sum of which is 1."""
    window = np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / sigma) ** 2)
    return window / window.sum()


def blurred(x: Any, size: tuple[int, ...], sigma: Sequence[float], padding: str = "same") -> Any:
    """(batch, height, width, channels) filtered along height, then along width, each channel by itself."""
    channels = x.shape[-1]
    require(channels is not None, "the number of channels of the images must be known.")
    for axis, (n, s) in enumerate(zip(size, sigma, strict=True)):
        shape = (n, 1, 1, 1) if axis == 0 else (1, n, 1, 1)
        window = np.tile(gaussian(n, s).astype(dtype_of(x)).reshape(shape), (1, 1, channels, 1))
        x = ops.depthwise_conv(x, window, 1, padding, "channels_last")
    return x


@composite
def gaussian_blur(
    images: Tensor, kernel_size: Any = (3, 3), sigma: Any = (1.0, 1.0), data_format: str | None = None
) -> Tensor:
    """`images` (one or a batch) with each pixel a mean around it, weighted by a Gaussian; 0 beyond the edges.

    Args:
        kernel_size: ints along width and height, in this order, as Keras computes it.
        sigma: standard deviations along width and height.

    Returns:
        Shape and dtype of `images`; integers are rounded.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.image.gaussian_blur([[[1.0], [2.0]]], (1, 1)))[..., 0])
        [[1. 2.]]
    """
    axes = image_axes(images, data_format)
    size = whole_numbers(kernel_size, 2, "kernel_size")
    widths = [number(s, "sigma") for s in (sigma if hasattr(sigma, "__len__") else (sigma, sigma))]
    require(len(widths) == 2 and min(widths) > 0, f"`sigma` must be a positive number or two of them, not {sigma!r}.")
    dtype = dtype_of(images)
    x = ops.cast(channels_last(images, axes), wide(dtype))
    x = blurred(x, size[::-1], widths[::-1])
    return narrow(as_before(x, axes, len(images.shape) == 4), dtype)


@composite(floating=True)
def sobel_edges(images: Tensor, data_format: str | None = None) -> Tensor:
    """The Sobel derivatives of a batch of images along height and width; images are mirrored at their edges.

    Args:
        images: (batch, height, width, channels) or channels first, height and width of at least 2.

    Returns:
        The shape of `images` with a last axis of 2: [dy, dx]. Integers become the default float.

    Example:
        >>> from unidl import ops
        >>> edges = ops.image.sobel_edges(ops.array([[0.0, 1.0, 1.0]] * 2)[None, ..., None])
        >>> print(ops.convert_to_numpy(edges)[0, 0, :, 0])
        [[0. 0.]
         [0. 4.]
         [0. 0.]]
    """
    axes = image_axes(images, data_format, low=4)
    for axis in axes[:2]:
        size = images.shape[axis]
        require(size is None or size >= 2, f"height and width must be at least 2, not {size}.")
    dtype, channels = dtype_of(images), images.shape[axes.channels]
    require(channels is not None, "the number of channels of `images` must be known.")
    x = channels_last(ops.cast(images, wide(dtype)), axes)
    x = ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
    down = np.outer([-1, 0, 1], [1, 2, 1])
    windows = np.tile(np.stack([down, down.T], -1)[:, :, None], (1, 1, channels, 1)).astype(dtype_of(x))
    x = ops.depthwise_conv(x, windows, 1, "valid", "channels_last")
    x = ops.reshape(x, (*ops.shape(x)[:3], channels, 2))
    return ops.cast(x if axes is LAST else ops.transpose(x, (0, 3, 1, 2, 4)), dtype)


@composite(floating=True)
def ssim(
    image1: Tensor,
    image2: Tensor,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Tensor:
    """The structural similarity of images, at most 1 (Z. Wang et al., IEEE TIP 13, 2004).

    Args:
        image1, image2: two images, or two batches of them, of one shape, at least `filter_size` high and wide.
        max_val: the largest possible value of a pixel.
        filter_size, filter_sigma: the Gaussian window, of an odd size.
        k1, k2: what keeps quotients of small numbers in check.

    Returns:
        A mean over pixels and channels for each pair, shape (batch,) or (); floats in the dtype of `image1`.

    Example:
        >>> from unidl import ops
        >>> image = ops.ones((3, 3, 1))
        >>> print(float(ops.convert_to_numpy(ops.image.ssim(image, image, filter_size=3))))
        1.0
    """
    axes = image_axes(image1, data_format, "image1")
    image_axes(image2, data_format, "image2")
    need_rank(image2, "image2", len(image1.shape), len(image1.shape))
    for i, (a, b) in enumerate(zip(image1.shape, image2.shape, strict=True)):
        same_dim(a, b, f"`image1` and `image2`, dimension {i}")
    (size,) = whole_numbers(filter_size, 1, "filter_size")
    require(size % 2 == 1, f"`filter_size` must be odd, not {size}.")
    width, peak = number(filter_sigma, "filter_sigma"), number(max_val, "max_val")
    require(width > 0, f"`filter_sigma` must be positive, not {filter_sigma}.")
    for axis in axes[:2]:
        have = image1.shape[axis]
        require(
            have is None or have >= size,
            f"the filter covers {size} pixels, but `image1` has only {have} there. Use a smaller `filter_size`.",
        )
    dtype = dtype_of(image1)
    inner = "float64" if "float64" in (dtype, dtype_of(image2)) else "float32"
    x, y = (ops.cast(channels_last(v, axes), inner) for v in (image1, image2))
    moments = [x, y, ops.multiply(x, x), ops.multiply(y, y), ops.multiply(x, y)]
    means = blurred(ops.concatenate(moments, -1), (size, size), (width, width), "valid")
    x, y, xx, yy, xy = ops.split(means, 5, -1)
    c1, c2 = ((number(k, name) * peak) ** 2 for k, name in ((k1, "k1"), (k2, "k2")))
    both, squares = ops.multiply(x, y), ops.add(ops.multiply(x, x), ops.multiply(y, y))
    over = ops.multiply(ops.add(ops.multiply(both, 2.0), c1), ops.add(ops.multiply(ops.subtract(xy, both), 2.0), c2))
    under = ops.multiply(ops.add(squares, c1), ops.add(ops.subtract(ops.add(xx, yy), squares), c2))
    result = ops.cast(ops.mean(ops.divide(over, under), (1, 2, 3)), dtype)
    return result if len(image1.shape) == 4 else ops.squeeze(result, 0)


__all__ = ["gaussian_blur", "sobel_edges", "ssim"]
