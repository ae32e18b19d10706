"""Sharper and softer images."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.layers.preprocessing.image._base import number_range
from unidl.layers.preprocessing.image.color import Colors, _OneFactor

__all__ = ["RandomGaussianBlur", "RandomSharpness"]


def windowed(images: Any, axis: int, weights: list[Any]) -> Any:
    """Each pixel as a weighted sum of its neighbours along `axis` (from the end), with 0 beyond the edges."""
    n, rank = len(weights), len(images.shape)
    widths, key = [(0, 0)] * rank, [slice(None)] * rank
    widths[axis] = ((n - 1) // 2, n - 1 - (n - 1) // 2)
    padded, total = ops.pad(images, tuple(widths)), None
    for i, weight in enumerate(weights):
        key[axis] = slice(i, i - n + 1 or None)
        part = ops.multiply(ops.getitem(padded, tuple(key)), weight)
        total = part if total is None else ops.add(total, part)
    return total


class RandomSharpness(_OneFactor):
    """In training, mixes each image with itself smoothed.

    Args:
        factor: (least, greatest), or f for (0, f): 0 is smooth, 0.5 no change, 1 sharper than before.
        value_range: the least and the greatest value of pixels.
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.RandomSharpness((0.5, 0.5))
        >>> unidl.ops.convert_to_numpy(layer(unidl.ops.array([[[3.0], [9.0]]]), training=True)).ravel().tolist()
        [3.0, 9.0]
    """

    def _changed(self, images: Any, transformation: Any) -> Any:
        # The window of 3 x 3 ones with a 5 in its middle: a box, and four times the pixel itself.
        box = windowed(windowed(images, self._axes.rows, [1.0] * 3), self._axes.columns, [1.0] * 3)
        smooth = ops.multiply(ops.add(box, ops.multiply(images, 4.0)), 1 / 13)
        weight = ops.multiply(self._factors(transformation, images), 2.0)
        return self._clipped(ops.add(smooth, ops.multiply(ops.subtract(images, smooth), weight)))


class RandomGaussianBlur(Colors):
    """In training, blurs some of the images, all of a batch equally.

    Args:
        factor: (least, greatest) of the probability that an image is blurred, or f for (0, f).
        kernel_size: the window's size, odd; or two of them, for width and height.
        sigma: (least, greatest) of the standard deviation in pixels, or s for (0, s).
        value_range: the least and the greatest value of pixels.
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.RandomGaussianBlur(kernel_size=5, sigma=(1.0, 1.0))
        >>> tuple(layer(unidl.ops.ones((2, 8, 8, 3)), training=True).shape)
        (2, 8, 8, 3)
    """

    _factor_bounds = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        kernel_size: Any = 3,
        sigma: Any = 1.0,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, seed, data_format=data_format, **kwargs)
        sizes = tuple(kernel_size) if isinstance(kernel_size, (tuple, list)) else (kernel_size, kernel_size)
        if len(sizes) != 2 or not all(isinstance(n, int) and n > 0 and n % 2 for n in sizes):
            raise ValueError(
                f"RandomGaussianBlur: `kernel_size` must be an odd int or two of them, not {kernel_size!r}."
            )
        self.kernel_size = sizes
        self.sigma = number_range("RandomGaussianBlur", "sigma", sigma, (0, float("inf")), False)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        images = self._images(data)
        chosen = self._chosen(images, self.factor)
        return {"should_apply_blur": chosen, "blur_factor": self._uniform((2,), *self.sigma)}

    def _changed(self, images: Any, transformation: Any) -> Any:
        sigmas = ops.maximum(ops.cast(ops.convert_to_tensor(transformation["blur_factor"]), "float32"), 1e-3)
        blurred = images
        for i, axis in enumerate((self._axes.columns, self._axes.rows)):
            n = self.kernel_size[i]
            places = np.arange(n, dtype="float32") - (n - 1) / 2
            weights = ops.exp(ops.multiply(ops.square(ops.divide(places, ops.getitem(sigmas, i))), -0.5))
            weights = ops.cast(ops.divide(weights, ops.sum(weights)), self.compute_dtype)
            blurred = windowed(blurred, axis, [ops.getitem(weights, j) for j in range(n)])
        return ops.where(self._each(transformation["should_apply_blur"], images), self._clipped(blurred), images)
