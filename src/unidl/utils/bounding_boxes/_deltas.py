"""Boxes as differences from anchors, which is what detectors learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.ops._bind import dtype_of
from unidl.utils.bounding_boxes._formats import convert_format, floats

_ENCODINGS = ("center_xywh", "center_yxhw")


def _checked(encoding: Any, variance: Any, what: str) -> np.ndarray | None:
    if encoding not in _ENCODINGS:
        raise ValueError(f"`{what}` must be {' or '.join(map(repr, _ENCODINGS))}, not {encoding!r}.")
    if variance is None:
        return None
    numbers = np.asarray(variance if not hasattr(variance, "shape") else ops.convert_to_numpy(variance), "float32")
    if numbers.shape != (4,):
        raise ValueError(f"`variance` must hold 4 numbers, not {variance!r}.")
    return numbers


def _centred(boxes: Any, source: str, encoding: str, image_shape: Any) -> tuple[Any, Any]:
    """The centres and the sizes of boxes, each (..., 2)."""
    height, width = (None, None) if image_shape is None else tuple(image_shape)[:2]
    boxes = floats(boxes)
    boxes = convert_format(boxes, source, encoding, height, width, dtype_of(boxes))
    return ops.getitem(boxes, (..., slice(0, 2))), ops.getitem(boxes, (..., slice(2, 4)))


def encode_box_to_deltas(
    anchors: Any,
    boxes: Any,
    anchor_format: str,
    box_format: str,
    encoding_format: str = "center_yxhw",
    variance: Any = None,
    image_shape: Any = None,
) -> Any:
    """How boxes differ from anchors: the centres' distance in units of the anchor, and logarithms of sizes' ratios.

    (R. Girshick et al., arXiv:1311.2524.)

    Args:
        anchors: (N, 4).
        boxes: (N, 4) or (batch, N, 4).
        encoding_format: "center_yxhw" or "center_xywh": the order of the result.
        variance: four numbers by which the result is divided.
        image_shape: (height, width, …), for fractions ("rel_").

    Example:
        >>> import unidl
        >>> anchors, boxes = [[0.0, 0.0, 2.0, 2.0]], [[1.0, 0.0, 3.0, 2.0]]
        >>> deltas = unidl.utils.bounding_boxes.encode_box_to_deltas(anchors, boxes, "xyxy", "xyxy")
        >>> unidl.ops.convert_to_numpy(deltas).tolist()
        [[0.0, 0.5, 0.0, 0.0]]
    """
    numbers = _checked(encoding_format, variance, "encoding_format")
    origin, size = _centred(anchors, anchor_format, encoding_format, image_shape)
    centre, extent = _centred(boxes, box_format, encoding_format, image_shape)
    size, tiny = ops.maximum(size, 1e-7), 1e-7
    shift = ops.divide(ops.subtract(centre, origin), size)
    deltas = ops.concatenate([shift, ops.log(ops.maximum(ops.divide(extent, size), tiny))], -1)
    return deltas if numbers is None else ops.divide(deltas, numbers)


def decode_deltas_to_boxes(
    anchors: Any,
    boxes_delta: Any,
    anchor_format: str,
    box_format: str,
    encoded_format: str = "center_yxhw",
    variance: Any = None,
    image_shape: Any = None,
) -> Any:
    """The boxes that differ from anchors by deltas: the opposite of `encode_box_to_deltas`.

    Args:
        anchors: (N, 4), or a dict of them by level.
        boxes_delta: (N, 4) or (batch, N, 4), or a dict of them by the same levels.
        encoded_format: "center_yxhw" or "center_xywh": the order of the deltas.
        variance: four numbers by which deltas are multiplied.
        image_shape: (height, width, …), for fractions ("rel_").

    Example:
        >>> import unidl
        >>> anchors, deltas = [[0.0, 0.0, 2.0, 2.0]], [[0.0, 0.5, 0.0, 0.0]]
        >>> boxes = unidl.utils.bounding_boxes.decode_deltas_to_boxes(anchors, deltas, "xyxy", "xyxy")
        >>> unidl.ops.convert_to_numpy(boxes).tolist()
        [[1.0, 0.0, 3.0, 2.0]]
    """
    numbers = _checked(encoded_format, variance, "encoded_format")
    if isinstance(anchors, dict):
        if not isinstance(boxes_delta, dict) or set(anchors) != set(boxes_delta):
            raise ValueError("decode_deltas_to_boxes: `anchors` and `boxes_delta` must be dicts with the same levels.")
        rest = (anchor_format, box_format, encoded_format, variance, image_shape)
        return {level: decode_deltas_to_boxes(anchors[level], boxes_delta[level], *rest) for level in anchors}
    origin, size = _centred(anchors, anchor_format, encoded_format, image_shape)
    deltas = floats(boxes_delta)
    deltas = deltas if numbers is None else ops.multiply(deltas, numbers)
    centre = ops.add(ops.multiply(ops.getitem(deltas, (..., slice(0, 2))), size), origin)
    extent = ops.multiply(ops.exp(ops.getitem(deltas, (..., slice(2, 4)))), size)
    boxes = ops.concatenate([centre, extent], -1)
    height, width = (None, None) if image_shape is None else tuple(image_shape)[:2]
    return convert_format(boxes, encoded_format, box_format, height, width, dtype_of(boxes))
