"""Images of another size."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.errors import UntraceableError
from unidl.graph.symbolic import SymbolicTensor
from unidl.layers.preprocessing.image._base import BaseImagePreprocessingLayer

__all__ = ["CenterCrop", "RandomCrop", "Resizing"]


class _Sized(BaseImagePreprocessingLayer):
    """A layer whose images have a `height` and a `width`."""

    def __init__(self, height: int, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, value in (("height", height), ("width", width)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{type(self).__name__}: `{name}` must be a positive int, not {value!r}.")
        self.height = height
        self.width = width

    def _known(self, images: Any) -> tuple[int, int]:
        """The images' size, which must be known here."""
        height, width = self._size(tuple(images.shape))
        if height is None or width is None:
            message = (
                f"Layer {self.path!r}: the height and the width of images must be known here, but their shape is "
                f"{list(images.shape)}. Resize them first, or set their shape."
            )
            # As a part of a recorded model the layer then becomes one opaque step, which meets images with sizes.
            raise UntraceableError(message) if type(images) is SymbolicTensor else ValueError(message)
        return int(height), int(width)

    def _resized(self, images: Any, interpolation: str, crop: bool = False, **options: Any) -> Any:
        size = (self.height, self.width)
        return ops.image.resize(
            images, size, interpolation, crop_to_aspect_ratio=crop, data_format=self.data_format, **options
        )

    def _window(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Top, left, height and width of the largest part of the images with the proportions of the result."""
        tall = max(1, min(height, width * self.height // self.width))
        broad = max(1, min(width, height * self.width // self.height))
        return (height - tall) // 2, (width - broad) // 2, tall, broad

    def _stretched(self, bounding_boxes: Any, size: Any, window: Any) -> Any:
        """Boxes after the part `window` (top, left, height, width) of images has become the whole."""
        top, left, tall, broad = window

        def move(x1: Any, y1: Any, x2: Any, y2: Any) -> list[Any]:
            across, down = ops.divide(float(self.width), _float(broad)), ops.divide(float(self.height), _float(tall))
            xs = [ops.multiply(ops.subtract(x, _float(left)), across) for x in (x1, x2)]
            ys = [ops.multiply(ops.subtract(y, _float(top)), down) for y in (y1, y2)]
            return [xs[0], ys[0], xs[1], ys[1]]

        return self._moved_boxes(bounding_boxes, size, move, (self.height, self.width))


def _float(value: Any) -> Any:
    return ops.cast(ops.convert_to_tensor(value), "float32")


class Resizing(_Sized):
    """Images resized to `height` and `width`, in training and outside of it. Integers stay integers.

    Args:
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3", "lanczos5" or "area".
        crop_to_aspect_ratio: cut the images to the proportions of the result first.
        pad_to_aspect_ratio: pad them with `fill_value` instead.
        antialias: whether shrinking takes the mean over more pixels.

    Example:
        >>> import unidl
        >>> tuple(unidl.layers.Resizing(4, 6)(unidl.ops.ones((2, 8, 8, 3))).shape)
        (2, 4, 6, 3)
    """

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(height, width, data_format=data_format, **kwargs)
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ValueError("Resizing: only one of `crop_to_aspect_ratio` and `pad_to_aspect_ratio` can be True.")
        self.interpolation = interpolation
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.fill_mode = fill_mode
        self.fill_value = fill_value
        self.antialias = antialias

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return self._size(self._shape(self._images(data)))

    def _to_size(self, images: Any, interpolation: str, fill_value: Any) -> Any:
        images = ops.convert_to_tensor(images)
        if self.crop_to_aspect_ratio or self.pad_to_aspect_ratio:
            self._known(images)
        return self._resized(
            images, interpolation, self.crop_to_aspect_ratio, pad_to_aspect_ratio=self.pad_to_aspect_ratio,
            fill_mode=self.fill_mode, fill_value=fill_value, antialias=self.antialias and interpolation != "nearest",
        )  # fmt: skip

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        return self._to_size(images, self.interpolation, self.fill_value)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return self._to_size(segmentation_masks, "nearest", self.fill_value)

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        height, width = transformation
        window: tuple[Any, Any, Any, Any] = (0, 0, height, width)
        if self.crop_to_aspect_ratio:
            window = self._window(height, width)
        elif self.pad_to_aspect_ratio:
            tall, broad = max(height, width * self.height // self.width), max(width, height * self.width // self.height)
            top, left = (tall - height) // 2, (broad - width) // 2
            window = (-top, -left, height + 2 * top, width + 2 * left)
        return self._stretched(bounding_boxes, transformation, window)


class CenterCrop(_Sized):
    """The middle of images; of smaller ones the largest part with the same proportions, resized.

    Example:
        >>> import unidl
        >>> tuple(unidl.layers.CenterCrop(4, 6)(unidl.ops.ones((2, 8, 8, 3))).shape)
        (2, 4, 6, 3)
    """

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(height, width, data_format=data_format, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        return {"input_shape": self._shape(self._images(data))}

    def _middle(self, images: Any, interpolation: str) -> Any:
        height, width = self._known(images)
        if height < self.height or width < self.width:
            return self._resized(images, interpolation, True)
        top, left = (height - self.height) // 2, (width - self.width) // 2
        return ops.image.crop_images(
            images, top, left, target_height=self.height, target_width=self.width, data_format=self.data_format
        )

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        return self._middle(self._floats(images), "bilinear")

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return self._middle(ops.convert_to_tensor(segmentation_masks), "nearest")

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        height, width = self._size(transformation["input_shape"])
        if height < self.height or width < self.width:
            return self._stretched(bounding_boxes, (height, width), self._window(height, width))
        window = ((height - self.height) // 2, (width - self.width) // 2, self.height, self.width)
        return self._stretched(bounding_boxes, (height, width), window)


class RandomCrop(_Sized):
    """In training, a part of the images at a random place, the same for a batch.

    Smaller images, and all of them outside of training, are resized and cut to the result's proportions.

    Args:
        seed: an int for a stream of its own; None: from the global seed.

    Example:
        >>> import unidl
        >>> tuple(unidl.layers.RandomCrop(4, 6)(unidl.ops.ones((2, 8, 8, 3)), training=True).shape)
        (2, 4, 6, 3)
    """

    def __init__(
        self,
        height: int,
        width: int,
        seed: Any = None,
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(height, width, seed=seed, data_format=data_format, name=name, **kwargs)

    def _fits(self, shape: Any) -> bool:
        height, width = self._size(shape)
        return bool(height >= self.height and width >= self.width)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        images = self._images(data)
        height, width = self._known(images)
        shape = self._shape(images)
        if not training or not self._fits(shape):
            return {"input_shape": shape}
        starts = []
        for free in (height - self.height, width - self.width):
            start = ops.cast(ops.floor(self._uniform((), 0.0, free + 1.0)), "int32")
            starts.append(ops.minimum(start, free))
        return {"input_shape": shape, "top": starts[0], "left": starts[1]}

    def _part(self, images: Any, transformation: Any, interpolation: str) -> Any:
        if "top" not in transformation:
            height, width = self._known(images)
            same = (height, width) == (self.height, self.width)
            return images if same else self._resized(images, interpolation, True)
        for axis, start, size in (
            (self._axes.rows, transformation["top"], self.height),
            (self._axes.columns, transformation["left"], self.width),
        ):
            images = ops.take(images, ops.add(ops.arange(size, dtype="int32"), ops.cast(start, "int32")), axis)
        return images

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        return self._part(self._floats(images), transformation, "bilinear")

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        return self._part(ops.convert_to_tensor(segmentation_masks), transformation, "nearest")

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any, training: bool = True) -> Any:
        height, width = self._size(transformation["input_shape"])
        window = self._window(height, width)
        if "top" in transformation:
            window = (transformation["top"], transformation["left"], self.height, self.width)
        return self._stretched(bounding_boxes, (height, width), window)
