"""Images flipped, turned, moved, zoomed and sheared."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.layers.preprocessing.image._base import BaseImagePreprocessingLayer, number_range
from unidl.ops._bind import dtype_of
from unidl.utils.bounding_boxes._moves import moved_corners

__all__ = ["RandomFlip", "RandomRotation", "RandomShear", "RandomTranslation", "RandomZoom"]

_FILL_MODES = ("constant", "nearest", "reflect", "wrap")


def one_of(layer: str, name: str, value: Any, options: tuple[str, ...]) -> Any:
    """`value`, if it is one of `options`.

    Raises:
        ValueError: otherwise.
    """
    if value not in options:
        raise ValueError(f"{layer}: `{name}` must be one of {', '.join(map(repr, options))}, not {value!r}.")
    return value


def last(size: Any) -> Any:
    """size - 1 as a float32."""
    return ops.subtract(ops.cast(ops.convert_to_tensor(size), "float32"), 1.0)


def sums(*terms: Any) -> Any:
    """The sum of products: each term is a pair."""
    total = None
    for a, b in terms:
        product = ops.multiply(a, b)
        total = product if total is None else ops.add(total, product)
    return total


class RandomFlip(BaseImagePreprocessingLayer):
    """In training, mirrors each image with probability 1/2.

    Args:
        mode: "horizontal" (left and right change places), "vertical", or "horizontal_and_vertical": both at once.
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.RandomFlip("horizontal")
        >>> images = unidl.ops.array([[[[1.0], [2.0]]]])
        >>> flipped = layer.transform_images(images, {"flips": [True], "input_shape": (1, 1, 2, 1)})
        >>> unidl.ops.convert_to_numpy(flipped)[0, 0, :, 0].tolist()
        [2.0, 1.0]
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.mode = one_of("RandomFlip", "mode", mode, ("horizontal", "vertical", "horizontal_and_vertical"))

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        images = self._images(data)
        flips = ops.less(self._uniform((self._batch(images), 1, 1, 1)), 0.5)
        return {"flips": flips, "input_shape": self._shape(images)}

    def _flipped(self, images: Any, transformation: Any) -> Any:
        axes = [self._axes.columns] if "horizontal" in self.mode else []
        axes += [self._axes.rows] if "vertical" in self.mode else []
        mirrored = ops.flip(images, tuple(a + len(images.shape) for a in axes))
        flips = ops.reshape(ops.convert_to_tensor(transformation["flips"]), (-1,) + (1,) * (len(images.shape) - 1))
        return ops.where(flips, mirrored, images)

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._floats(images)
        return self._flipped(images, transformation) if training else images

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        masks = ops.convert_to_tensor(segmentation_masks)
        return self._flipped(masks, transformation) if training else masks

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return bounding_boxes
        size = self._size(transformation["input_shape"])

        def move(x1: Any, y1: Any, x2: Any, y2: Any) -> list[Any]:
            flips = ops.reshape(ops.convert_to_tensor(transformation["flips"]), (-1,) + (1,) * (len(x1.shape) - 1))
            edges = [x1, y1, x2, y2]
            for axis, name in ((0, "horizontal"), (1, "vertical")):
                if name in self.mode:
                    total = ops.cast(ops.convert_to_tensor(size[1 - axis]), dtype_of(x1))
                    low, high = edges[axis], edges[axis + 2]
                    edges[axis] = ops.where(flips, ops.subtract(total, high), low)
                    edges[axis + 2] = ops.where(flips, ops.subtract(total, low), high)
            return edges

        return self._moved_boxes(bounding_boxes, size, move)


class _Affine(BaseImagePreprocessingLayer):
    """Layers whose images move by an affine map. Subclasses define `_matrix`, and `_place` for boxes."""

    def __init__(
        self, interpolation: str = "bilinear", fill_mode: str = "reflect", fill_value: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        name = type(self).__name__
        self.interpolation = one_of(name, "interpolation", interpolation, ("nearest", "bilinear"))
        self.fill_mode = one_of(name, "fill_mode", fill_mode, _FILL_MODES)
        self.fill_value = fill_value

    def _matrix(self, transformation: Any, images: Any) -> list[Any]:
        """The numbers a0, a1, a2, b0, b1, b2 of `ops.image.affine_transform`, one for each image."""
        raise NotImplementedError

    def _moved(self, images: Any, transformation: Any, interpolation: str) -> Any:
        numbers = [ops.reshape(ops.cast(n, "float32"), (-1,)) for n in self._matrix(transformation, images)]
        zero = ops.zeros_like(ops.add(numbers[0], numbers[4]))
        matrix = ops.stack([ops.add(n, zero) for n in (*numbers, zero, zero)], 1)
        return ops.image.affine_transform(
            images, matrix, interpolation, self.fill_mode, self.fill_value, self.data_format
        )

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._floats(images)
        return self._moved(images, transformation, self.interpolation) if training else images

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        masks = ops.convert_to_tensor(segmentation_masks)
        return self._moved(masks, transformation, "nearest") if training else masks

    def _place(self, transformation: Any, size: Any, like: Any) -> Any:
        """Where a point (x, y) comes to: a function."""
        raise NotImplementedError

    def _box_size(self, transformation: Any) -> tuple[Any, Any]:
        return self._size(transformation["input_shape"])

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return bounding_boxes
        size = self._box_size(transformation)

        def move(*edges: Any) -> Any:
            return moved_corners(edges, self._place(transformation, size, edges[0]))

        return self._moved_boxes(bounding_boxes, size, move)


class RandomRotation(_Affine):
    """In training, turns each image around its centre.

    Args:
        factor: fractions of a full turn, counter-clockwise: (least, greatest), or f for (-f, f).
        fill_mode: what lies beyond the edges: "reflect", "constant", "wrap" or "nearest".
        interpolation: "bilinear" or "nearest".
        seed: an int for a stream of its own; None: from the global seed.
        fill_value: for "constant".

    Example:
        >>> import unidl
        >>> layer = unidl.layers.RandomRotation((0.5, 0.5))
        >>> turned = layer(unidl.ops.array([[[[1.0], [2.0]]]]), training=True)
        >>> [round(float(v)) for v in unidl.ops.convert_to_numpy(turned).ravel()]
        [2, 1]
    """

    _factor_bounds = (-1, 1)
    _symmetric = True

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            interpolation, fill_mode, fill_value, factor=factor, seed=seed, data_format=data_format, **kwargs
        )

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        images = self._images(data)
        height, width = self._size(self._shape(images))
        low, high = self.factor
        angle = self._uniform((self._batch(images),), 360.0 * low, 360.0 * high)
        numbers = self._turned(angle, height, width)
        zero = ops.zeros_like(angle)
        matrix = ops.stack([*numbers, zero, zero], 1)
        return {"angle": angle, "rotation_matrix": matrix, "image_height": height, "image_width": width}

    @staticmethod
    def _turned(angle: Any, height: Any, width: Any) -> list[Any]:
        turn = ops.multiply(angle, math.pi / 180.0)
        cos, sin = ops.cos(turn), ops.sin(turn)
        x, y = (ops.multiply(last(n), 0.5) for n in (width, height))
        across = ops.add(ops.subtract(x, ops.multiply(cos, x)), ops.multiply(sin, y))
        down = ops.subtract(ops.subtract(y, ops.multiply(sin, x)), ops.multiply(cos, y))
        return [cos, ops.negative(sin), across, sin, cos, down]

    def _matrix(self, transformation: Any, images: Any) -> list[Any]:
        matrix = ops.convert_to_tensor(transformation["rotation_matrix"])
        return [ops.getitem(matrix, (slice(None), i)) for i in range(6)]

    def _box_size(self, transformation: Any) -> tuple[Any, Any]:
        return transformation["image_height"], transformation["image_width"]

    def _place(self, transformation: Any, size: Any, like: Any) -> Any:
        turn = ops.multiply(self._per_box(transformation["angle"], like), math.pi / 180.0)
        cos, sin = ops.cos(turn), ops.sin(turn)
        middle_x, middle_y = (ops.multiply(last(n), 0.5) for n in (size[1], size[0]))

        def place(x: Any, y: Any) -> tuple[Any, Any]:
            x, y = ops.subtract(x, middle_x), ops.subtract(y, middle_y)
            new_x = ops.add(sums((cos, x), (sin, y)), middle_x)
            return new_x, ops.add(ops.subtract(ops.multiply(cos, y), ops.multiply(sin, x)), middle_y)

        return place


class RandomTranslation(_Affine):
    """In training, moves each image.

    Args:
        height_factor: how far down, as fractions of the height: (least, greatest), or f for (-f, f).
        width_factor: how far to the right, likewise.
        fill_mode: what lies beyond the edges: "reflect", "constant", "wrap" or "nearest".
        interpolation: "bilinear" or "nearest".
        seed: an int for a stream of its own; None: from the global seed.
        fill_value: for "constant".

    Example:
        >>> import unidl
        >>> layer = unidl.layers.RandomTranslation(0.0, (0.5, 0.5), fill_mode="constant")
        >>> unidl.ops.convert_to_numpy(layer(unidl.ops.ones((1, 1, 2, 1)), training=True)).ravel().tolist()
        [0.0, 1.0]
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(interpolation, fill_mode, fill_value, seed=seed, data_format=data_format, **kwargs)
        self.height_factor = height_factor
        self.width_factor = width_factor
        self._down = number_range("RandomTranslation", "height_factor", height_factor, (-1, 1), True)
        self._right = number_range("RandomTranslation", "width_factor", width_factor, (-1, 1), True)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        images = self._images(data)
        shape, batch = self._shape(images), self._batch(images)
        height, width = (ops.cast(ops.convert_to_tensor(n), "float32") for n in self._size(shape))
        right = ops.multiply(self._uniform((batch,), *self._right), width)
        down = ops.multiply(self._uniform((batch,), *self._down), height)
        return {"translations": ops.stack([right, down], 1), "input_shape": shape}

    def _shifts(self, transformation: Any) -> list[Any]:
        shifts = ops.cast(ops.convert_to_tensor(transformation["translations"]), "float32")
        return [ops.getitem(shifts, (slice(None), i)) for i in range(2)]

    def _matrix(self, transformation: Any, images: Any) -> list[Any]:
        right, down = self._shifts(transformation)
        one, zero = ops.ones_like(right), ops.zeros_like(right)
        return [one, zero, ops.negative(right), zero, one, ops.negative(down)]

    def _place(self, transformation: Any, size: Any, like: Any) -> Any:
        right, down = (self._per_box(s, like) for s in self._shifts(transformation))
        return lambda x, y: (ops.add(x, right), ops.add(y, down))


class _OneBatch(_Affine):
    """Layers that take the boxes (N, 4) of one image as a batch of one."""

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        if not training:
            return bounding_boxes
        boxes = ops.convert_to_tensor(bounding_boxes["boxes"])
        if len(boxes.shape) == 2:
            boxes = ops.expand_dims(boxes, 0)
        return super().transform_bounding_boxes({**bounding_boxes, "boxes": boxes}, transformation, training)


class RandomZoom(_OneBatch):
    """In training, zooms each image around its centre.

    Args:
        height_factor: how much out (positive) or in (negative), as fractions: (least, greatest), or f for (-f, f).
        width_factor: likewise; None: as much as the height.
        fill_mode: what lies beyond the edges: "reflect", "constant", "wrap" or "nearest".
        interpolation: "bilinear" or "nearest".
        seed: an int for a stream of its own; None: from the global seed.
        fill_value: for "constant".

    Example:
        >>> import unidl
        >>> layer = unidl.layers.RandomZoom((1.0, 1.0), (0.0, 0.0), fill_mode="constant")
        >>> unidl.ops.convert_to_numpy(layer(unidl.ops.ones((1, 4, 1, 1)), training=True)).ravel().tolist()
        [0.0, 1.0, 1.0, 0.0]
    """

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: Any = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(interpolation, fill_mode, fill_value, seed=seed, data_format=data_format, **kwargs)
        self.height_factor = height_factor
        self.width_factor = width_factor
        self._tall = number_range("RandomZoom", "height_factor", height_factor, (-1, 1), True)
        self._broad = width_factor
        if width_factor is not None:
            self._broad = number_range("RandomZoom", "width_factor", width_factor, (-1, 1), True)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        images = self._images(data)
        batch = self._batch(images)
        tall = broad = self._uniform((batch, 1), 1.0 + self._tall[0], 1.0 + self._tall[1])
        if self._broad is not None:
            broad = self._uniform((batch, 1), 1.0 + self._broad[0], 1.0 + self._broad[1])
        return {"height_zoom": tall, "width_zoom": broad, "input_shape": self._shape(images)}

    def _matrix(self, transformation: Any, images: Any) -> list[Any]:
        size = self._size(self._shape(images))
        numbers = []
        for name, extent in (("width_zoom", size[1]), ("height_zoom", size[0])):
            zoom = ops.reshape(ops.cast(ops.convert_to_tensor(transformation[name]), "float32"), (-1,))
            middle = ops.multiply(last(extent), 0.5)
            numbers += [zoom, ops.multiply(ops.subtract(1.0, zoom), middle)]
        zero = ops.zeros_like(numbers[0])
        return [numbers[0], zero, numbers[1], zero, numbers[2], numbers[3]]

    def _place(self, transformation: Any, size: Any, like: Any) -> Any:
        zooms = [self._per_box(transformation[n], like) for n in ("width_zoom", "height_zoom")]
        middles = [ops.multiply(last(n), 0.5) for n in (size[1], size[0])]

        def place(x: Any, y: Any) -> Any:
            moved = zip((x, y), zooms, middles, strict=True)
            return tuple(ops.add(ops.divide(ops.subtract(v, m), ops.maximum(z, 1e-6)), m) for v, z, m in moved)

        return place


class RandomShear(_OneBatch):
    """In training, shears each image: rows move to the left, the more the lower they are; then columns move up.

    Args:
        x_factor: how far the lowest row moves, as fractions of the width: (least, greatest), or f for (0, f).
        y_factor: how far the rightmost column moves, as fractions of the height, likewise.
        interpolation: "bilinear" or "nearest".
        fill_mode: what lies beyond the edges: "reflect", "constant", "wrap" or "nearest".
        fill_value: for "constant".
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.RandomShear(0.2, 0.2)
        >>> tuple(layer(unidl.ops.ones((2, 8, 8, 3)), training=True).shape)
        (2, 8, 8, 3)
    """

    def __init__(
        self,
        x_factor: Any = 0.0,
        y_factor: Any = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(interpolation, fill_mode, fill_value, seed=seed, data_format=data_format, **kwargs)
        self.x_factor = number_range("RandomShear", "x_factor", x_factor, (0, 1), False)
        self.y_factor = number_range("RandomShear", "y_factor", y_factor, (0, 1), False)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        images = self._images(data)
        batch = self._batch(images)
        shears = [self._uniform((batch,), *factor) for factor in (self.x_factor, self.y_factor)]
        return {"shear_factor": ops.stack(shears, 1), "input_shape": self._shape(images)}

    def _shears(self, transformation: Any, size: Any) -> list[Any]:
        """Pixels to the left for each pixel down, and pixels up for each pixel to the right."""
        factors = ops.cast(ops.convert_to_tensor(transformation["shear_factor"]), "float32")
        height, width = (ops.cast(ops.convert_to_tensor(n), "float32") for n in size)
        ratio = ops.divide(width, height)
        across, down = (ops.getitem(factors, (slice(None), i)) for i in range(2))
        return [ops.multiply(across, ratio), ops.divide(down, ratio)]

    def _matrix(self, transformation: Any, images: Any) -> list[Any]:
        across, down = self._shears(transformation, self._size(self._shape(images)))
        one, zero = ops.ones_like(across), ops.zeros_like(across)
        return [ops.add(one, ops.multiply(across, down)), across, zero, down, one, zero]

    def _place(self, transformation: Any, size: Any, like: Any) -> Any:
        across, down = (self._per_box(s, like) for s in self._shears(transformation, size))

        def place(x: Any, y: Any) -> tuple[Any, Any]:
            x = ops.subtract(x, ops.multiply(across, y))
            return x, ops.subtract(y, ops.multiply(down, x))

        return place
