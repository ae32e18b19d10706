"""Images seen in perspective, and bent."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.layers.preprocessing.image._base import BaseImagePreprocessingLayer, number_range
from unidl.layers.preprocessing.image.blurring import windowed
from unidl.layers.preprocessing.image.geometry import _FILL_MODES, last, one_of, sums
from unidl.ops.image._common import as_before, channels_last
from unidl.ops.image.filters import gaussian
from unidl.ops.image.geometry import _grid, _homography
from unidl.ops.image.sampling import sampled
from unidl.utils.bounding_boxes._moves import moved_corners

__all__ = ["RandomElasticTransform", "RandomPerspective"]


class RandomPerspective(BaseImagePreprocessingLayer):
    """In training, shows some of the images in another perspective: three of their corners move.

    Args:
        factor: (least, greatest) of the probability that an image changes, or f for (0, f).
        scale: how far corners move: by up to half of that, as a fraction of their distance from the first corner.
        interpolation: "bilinear" or "nearest".
        fill_value: what lies beyond the edges.
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.RandomPerspective(scale=0.3)
        >>> tuple(layer(unidl.ops.ones((2, 8, 8, 3)), training=True).shape)
        (2, 8, 8, 3)
    """

    _factor_bounds = (0, 1)

    def __init__(
        self,
        factor: Any = 1.0,
        scale: float = 1.0,
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor=factor, seed=seed, data_format=data_format, **kwargs)
        if not isinstance(scale, (int, float)) or not 0 <= scale <= 1:
            raise ValueError(f"RandomPerspective: `scale` must be a number from 0 to 1, not {scale!r}.")
        self.scale = scale
        self.interpolation = one_of("RandomPerspective", "interpolation", interpolation, ("nearest", "bilinear"))
        self.fill_value = fill_value

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        images = self._images(data)
        batch, shape = self._batch(images), self._shape(images)
        height, width = self._size(shape)
        right, bottom = last(width), last(height)
        zero = ops.zeros_like(right)
        corners = [(zero, zero), (right, zero), (zero, bottom), (right, bottom)]
        start = ops.stack([ops.stack(list(c)) for c in corners])
        start = ops.add(start, ops.zeros((batch, 4, 2), "float32"))
        stretch = self._uniform((batch, 4, 2), 1.0 - self.scale / 2, 1.0 + self.scale / 2)
        chosen = self._chosen(images, self.factor)
        return {
            "apply_perspective": chosen, "start_points": start, "end_points": ops.multiply(start, stretch),
            "input_shape": shape,
        }  # fmt: skip

    def _seen(self, images: Any, transformation: Any, interpolation: str) -> Any:
        start, end = (
            ops.cast(ops.convert_to_tensor(transformation[k]), "float32") for k in ("start_points", "end_points")
        )
        chosen = ops.convert_to_tensor(transformation["apply_perspective"])
        if len(images.shape) == 3:
            start, end, chosen = (ops.getitem(v, 0) for v in (start, end, chosen))
        seen = ops.image.perspective_transform(images, start, end, interpolation, self.fill_value, self.data_format)
        return ops.where(self._each(chosen, images), seen, images)

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._floats(images)
        return self._seen(images, transformation, self.interpolation) if training else images

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        masks = ops.convert_to_tensor(segmentation_masks)
        return self._seen(masks, transformation, "nearest") if training else masks

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return bounding_boxes
        size = self._size(transformation["input_shape"])
        points = [ops.cast(ops.convert_to_tensor(transformation[k]), "float64") for k in ("end_points", "start_points")]
        matrix = _homography(*points)

        def place(x: Any, y: Any) -> tuple[Any, Any]:
            found = []
            for a, b, c in matrix:
                a, b, c = (self._per_box(v, x) for v in (a, b, c))
                found.append(ops.add(sums((a, x), (b, y)), c))
            return ops.divide(found[0], found[2]), ops.divide(found[1], found[2])

        def move(*edges: Any) -> Any:
            moved = moved_corners(edges, place)
            chosen = ops.convert_to_tensor(transformation["apply_perspective"])
            chosen = ops.reshape(chosen, (-1,) + (1,) * (len(edges[0].shape) - 1))
            return [ops.where(chosen, new, old) for new, old in zip(moved, edges, strict=True)]

        return self._moved_boxes(bounding_boxes, size, move)


class RandomElasticTransform(BaseImagePreprocessingLayer):
    """In training, bends some of the images by smooth random fields (P. Simard et al., ICDAR 2003).

    Bounding boxes stay as they are: what is in them moves by a few pixels.

    Args:
        factor: (least, greatest) of the probability that an image changes, or f for (0, f).
        scale: (least, greatest) of the displacements' standard deviation, in twentieths of the shorter side, or s
            for (0, s).
        interpolation: "bilinear" or "nearest".
        fill_mode: what lies beyond the edges: "reflect", "constant", "wrap" or "nearest".
        fill_value: for "constant".
        value_range: the least and the greatest value of pixels, to which the result is clipped.
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.RandomElasticTransform(scale=0.5)
        >>> tuple(layer(unidl.ops.ones((2, 8, 8, 3)), training=True).shape)
        (2, 8, 8, 3)
    """

    _factor_bounds = (0, 1)
    #: The width in pixels of the Gaussian that makes fields smooth.
    _smoothness = 4.0

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = 1.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        value_range: Any = (0, 255),
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor=factor, value_range=value_range, seed=seed, data_format=data_format, **kwargs)
        name = "RandomElasticTransform"
        self.scale = number_range(name, "scale", scale, (0, 1), False)
        self.interpolation = one_of(name, "interpolation", interpolation, ("nearest", "bilinear"))
        self.fill_mode = one_of(name, "fill_mode", fill_mode, _FILL_MODES)
        self.fill_value = fill_value

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        images = self._images(data)
        return {
            "apply_transform": self._chosen(images, self.factor),
            "distortion_factor": self._uniform((), *self.scale),
            "displacements": self._field(images, self.generator),
        }

    def _field(self, images: Any, seed: Any) -> Any:
        """Smooth numbers of variance about 1: (batch, height, width, 2)."""
        from unidl import random

        sizes, sigma = ops.shape(images), self._smoothness
        shape = (self._batch(images), sizes[self._axes.rows], sizes[self._axes.columns], 2)
        field = random.normal(shape, 0.0, 1.0, "float32", seed)
        window = [float(w) for w in gaussian(6 * int(sigma) + 1, sigma)]
        for axis in (1, 2):
            # The variance of a sum is that of one number times the sum of the weights' squares.
            field = windowed(field, axis - 4, [w * math.sqrt(2 * sigma * math.sqrt(math.pi)) for w in window])
        return field

    def _bent(self, images: Any, transformation: Any, interpolation: str) -> Any:
        field = transformation.get("displacements")
        if field is None:
            field = self._field(images, transformation.get("seed"))
        source = channels_last(images, self._axes)
        height, width = (last(n) for n in self._size(self._shape(images)))
        reach = ops.multiply(ops.add(ops.minimum(height, width), 1.0), 1 / 20)
        reach = ops.multiply(reach, ops.cast(ops.convert_to_tensor(transformation["distortion_factor"]), "float32"))
        field = ops.multiply(ops.cast(ops.convert_to_tensor(field), "float32"), reach)
        y, x = (ops.add(v, ops.getitem(field, (..., i))) for i, v in enumerate(_grid(source, "float32")))
        bent = sampled(source, y, x, interpolation, self.fill_mode, self.fill_value)
        bent = as_before(bent, self._axes, len(images.shape) == 4)
        chosen = ops.convert_to_tensor(transformation["apply_transform"])
        return ops.where(self._each(chosen, images), bent, images)

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._floats(images)
        return self._clipped(self._bent(images, transformation, self.interpolation)) if training else images

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        masks = ops.convert_to_tensor(segmentation_masks)
        return self._bent(masks, transformation, "nearest") if training else masks
