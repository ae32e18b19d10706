"""Parts of images erased."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.layers.preprocessing.image._base import BaseImagePreprocessingLayer, number_range
from unidl.layers.preprocessing.image.color import Colors
from unidl.ops.image._common import LAST

__all__ = ["RandomErasing"]


def patches(layer: BaseImagePreprocessingLayer, images: Any, height: Any, width: Any) -> Any:
    """For each image, True in one rectangle at a random place.

    Args:
        height, width: (batch,), fractions of the images' size, at most 1.

    Returns:
        (batch, height, width, 1), or channels first.
    """
    batch = layer._batch(images)
    inside = []
    for axis, part in ((layer._axes.rows, height), (layer._axes.columns, width)):
        size = ops.shape(images)[axis]
        at = ops.add(ops.arange(size, dtype="float32"), 0.5)
        total = ops.cast(ops.convert_to_tensor(layer._shape(images)[axis]), "float32")
        length = ops.round(ops.multiply(part, total))
        start = ops.floor(ops.multiply(layer._uniform((batch,)), ops.add(ops.subtract(total, length), 1.0)))
        start, length = ops.expand_dims(start, 1), ops.expand_dims(length, 1)
        inside.append(ops.logical_and(ops.greater(at, start), ops.less(at, ops.add(start, length))))
    masks = ops.logical_and(ops.expand_dims(inside[0], 2), ops.expand_dims(inside[1], 1))
    return ops.expand_dims(masks, 3 if layer._axes is LAST else 1)


class RandomErasing(Colors):
    """In training, erases a rectangle in some of the images (Z. Zhong et al., arXiv:1708.04896).

    Args:
        factor: (least, greatest) of the probability that something is erased, or f for (0, f).
        scale: (least, greatest) of the rectangle's area as a fraction of the image's, or s for (0, s).
        fill_value: what is put there; None: normal noise around the middle of the value range.
        value_range: the least and the greatest value of pixels.
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.RandomErasing((1.0, 1.0), scale=(0.25, 0.25), fill_value=0)
        >>> tuple(layer(unidl.ops.ones((2, 8, 8, 3)), training=True).shape)
        (2, 8, 8, 3)
    """

    _factor_bounds = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = (0.02, 0.33),
        fill_value: Any = None,
        value_range: Any = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, seed, data_format=data_format, **kwargs)
        self.scale = number_range("RandomErasing", "scale", scale, (0, 1), False)
        self.fill_value = fill_value

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        images = self._images(data)
        batch = self._batch(images)
        # From 0.3 to 1 / 0.3 times as high as broad, as the paper has it.
        ratio = ops.exp(self._uniform((batch,), math.log(0.3), -math.log(0.3)))
        area = self._uniform((batch,), *self.scale)
        height, width = (ops.minimum(ops.sqrt(v), 1.0) for v in (ops.multiply(area, ratio), ops.divide(area, ratio)))
        fill = self._noise(images) if self.fill_value is None else self.fill_value
        masks = patches(self, images, height, width)
        return {"apply_erasing": self._chosen(images, self.factor), "batch_masks": masks, "fill_value": fill}

    def _noise(self, images: Any) -> Any:
        from unidl import random

        low, high = self.value_range
        noise = random.normal(ops.shape(images), (low + high) / 2, (high - low) / 4, "float32", self.generator)
        noise = self._clipped(noise)
        return noise if len(images.shape) == 4 else ops.expand_dims(noise, 0)

    def _changed(self, images: Any, transformation: Any) -> Any:
        chosen = ops.reshape(ops.convert_to_tensor(transformation["apply_erasing"]), (-1, 1, 1, 1))
        erased = ops.logical_and(ops.convert_to_tensor(transformation["batch_masks"]), chosen)
        fill = ops.cast(ops.convert_to_tensor(transformation["fill_value"]), self.compute_dtype)
        return ops.where(erased, fill, images)
