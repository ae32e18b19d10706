"""The number of bounding boxes."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.layers.preprocessing.image._base import BaseImagePreprocessingLayer

__all__ = ["MaxNumBoundingBoxes"]


class MaxNumBoundingBoxes(BaseImagePreprocessingLayer):
    """As many bounding boxes for each image, so that images can be batched: more are left out, fewer filled up.

    Args:
        max_number: how many.
        fill_value: the label and the four numbers of boxes that are added.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.MaxNumBoundingBoxes(3, bounding_box_format="xyxy")
        >>> boxes = {"boxes": unidl.ops.ones((2, 1, 4)), "labels": unidl.ops.ones((2, 1))}
        >>> data = layer({"images": unidl.ops.ones((2, 8, 8, 3)), "bounding_boxes": boxes})
        >>> tuple(data["bounding_boxes"]["boxes"].shape)
        (2, 3, 4)
    """

    def __init__(self, max_number: int, fill_value: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(max_number, bool) or not isinstance(max_number, int) or max_number < 1:
            raise ValueError(f"MaxNumBoundingBoxes: `max_number` must be a positive int, not {max_number!r}.")
        self.max_number = max_number
        self.fill_value = fill_value

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        return images

    def _fitted(self, values: Any, axis: int) -> Any:
        values = ops.convert_to_tensor(values)
        widths = [(0, 0)] * len(values.shape)
        widths[axis] = (0, self.max_number)
        filled = ops.pad(values, tuple(widths), "constant", self.fill_value)
        key = [slice(None)] * len(values.shape)
        key[axis] = slice(0, self.max_number)
        return ops.getitem(filled, tuple(key))

    def transform_bounding_boxes(self, bounding_boxes: Any, transformation: Any = None, training: bool = True) -> Any:
        boxes = self._fitted(bounding_boxes["boxes"], -2)
        return {**bounding_boxes, "boxes": boxes, "labels": self._fitted(bounding_boxes["labels"], -1)}
