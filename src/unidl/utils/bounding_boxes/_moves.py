"""Boxes that are cut off, shifted and turned as images are."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.ops._bind import dtype_of
from unidl.utils.bounding_boxes._formats import convert_format, edges, floats, joined, parse, parts


def clip_to_image_size(
    bounding_boxes: Any, height: Any = None, width: Any = None, bounding_box_format: str = "xyxy"
) -> Any:
    """Boxes without what lies outside of the image; where nothing is left, the label becomes -1.

    Args:
        bounding_boxes: a dict of "boxes" (..., 4) and "labels" (...).
        height, width: the image's size; not needed for fractions ("rel_").

    Example:
        >>> import unidl
        >>> boxes = {"boxes": [[-5.0, 2.0, 4.0, 20.0]], "labels": [3]}
        >>> clipped = unidl.utils.bounding_boxes.clip_to_image_size(boxes, 10, 8)
        >>> unidl.ops.convert_to_numpy(clipped["boxes"]).tolist()
        [[0.0, 2.0, 4.0, 10.0]]
    """
    name, relative = parse(bounding_box_format, "bounding_box_format")
    if not relative and (height is None or width is None):
        raise ValueError(f"clip_to_image_size needs `height` and `width` for boxes of format {bounding_box_format!r}.")
    boxes = floats(bounding_boxes["boxes"])
    high = [ops.cast(ops.convert_to_tensor(1.0 if relative else n), dtype_of(boxes)) for n in (width, height)]
    left, top, right, bottom = (ops.minimum(ops.maximum(v, 0.0), high[i % 2]) for i, v in enumerate(edges(boxes, name)))
    kept = ops.logical_and(ops.greater(right, left), ops.greater(bottom, top))
    labels = ops.convert_to_tensor(bounding_boxes["labels"])
    clipped = convert_format(joined((left, top, right, bottom)), "xyxy", name, dtype=dtype_of(boxes))
    return {**bounding_boxes, "boxes": clipped, "labels": ops.where(kept, labels, ops.full_like(labels, -1))}


def _shifted(boxes: Any, right: Any, down: Any, name: str, height: Any, width: Any) -> Any:
    inner = convert_format(floats(boxes), name, "xyxy", height, width, None)
    shifts = [ops.cast(ops.convert_to_tensor(n), dtype_of(inner)) for n in (right, down, right, down)]
    return joined([ops.add(p, s) for p, s in zip(parts(inner), shifts, strict=True)])


def crop(
    boxes: Any, top: Any, left: Any, height: Any = None, width: Any = None, bounding_box_format: str = "xyxy"
) -> Any:
    """Boxes as they are in a part of the image that begins at row `top` and column `left`.

    What lies outside of it is cut off; behind it only where `height` and `width` are given.

    Args:
        boxes: (..., 4).
        height, width: the size of the part; for fractions ("rel_") the image's size.

    Example:
        >>> import unidl
        >>> boxes = unidl.utils.bounding_boxes.crop([[10.0, 20.0, 50.0, 60.0]], top=10, left=5)
        >>> unidl.ops.convert_to_numpy(boxes).tolist()
        [[5.0, 10.0, 45.0, 50.0]]
    """
    moved = _shifted(boxes, ops.negative(left), ops.negative(top), bounding_box_format, height, width)
    moved = ops.maximum(moved, 0.0)
    if height is not None and width is not None:
        ends = [ops.cast(ops.convert_to_tensor(n), dtype_of(moved)) for n in (width, height)]
        moved = ops.minimum(moved, ops.stack(ends * 2))
    return convert_format(moved, "xyxy", bounding_box_format, height, width, dtype_of(moved))


def pad(
    boxes: Any, top: Any, left: Any, height: Any = None, width: Any = None, bounding_box_format: str = "xyxy"
) -> Any:
    """Boxes as they are after `top` rows and `left` columns were added before the image.

    Args:
        boxes: (..., 4).
        height, width: the image's size, for fractions ("rel_").

    Example:
        >>> import unidl
        >>> boxes = unidl.utils.bounding_boxes.pad([[10.0, 20.0, 50.0, 60.0]], top=1, left=2)
        >>> unidl.ops.convert_to_numpy(boxes).tolist()
        [[12.0, 21.0, 52.0, 61.0]]
    """
    moved = _shifted(boxes, left, top, bounding_box_format, height, width)
    return convert_format(moved, "xyxy", bounding_box_format, height, width, dtype_of(moved))


def moved_corners(edges: Any, place: Any) -> tuple[Any, Any, Any, Any]:
    """The smallest boxes around the four corners of boxes (left, top, right, bottom) after ``place(x, y)``."""
    left, top, right, bottom = edges
    points = [place(x, y) for x in (left, right) for y in (top, bottom)]
    bounds = []
    for reduce in (ops.minimum, ops.maximum):
        for axis in range(2):
            values = [p[axis] for p in points]
            bounds.append(reduce(reduce(values[0], values[1]), reduce(values[2], values[3])))
    return bounds[0], bounds[1], bounds[2], bounds[3]


def affine_transform(
    boxes: Any,
    angle: Any,
    translate_x: Any,
    translate_y: Any,
    scale: Any,
    shear_x: Any,
    shear_y: Any,
    height: Any,
    width: Any,
    center_x: Any = None,
    center_y: Any = None,
    bounding_box_format: str = "xyxy",
) -> Any:
    """The boxes around what is in boxes after the image was scaled, sheared and turned around a centre, and moved.

    Args:
        boxes: (batch, N, 4), or (N, 4) for one image.
        angle: degrees, one for each image, counter-clockwise.
        translate_x, translate_y: to the right and down, as fractions of width - 1 and height - 1.
        scale: one for each image.
        shear_x, shear_y: degrees.
        height, width: the image's size.
        center_x, center_y: the centre as fractions of width - 1 and height - 1; None: 0.5.

    Returns:
        Boxes of the same shape. They are not cut off at the image's edges.

    Example:
        >>> import numpy as np
        >>> import unidl
        >>> zero, one = np.zeros(1, "float32"), np.ones(1, "float32")
        >>> boxes = np.array([[[1.0, 2.0, 3.0, 5.0]]], "float32")
        >>> same = unidl.utils.bounding_boxes.affine_transform(boxes, zero, zero, zero, one, zero, zero, 10, 8)
        >>> bool(np.abs(unidl.ops.convert_to_numpy(same) - boxes).max() < 1e-5)
        True
    """
    inner = convert_format(floats(boxes), bounding_box_format, "xyxy", height, width, None)
    dtype, rank = dtype_of(inner), len(inner.shape)

    def number(value: Any, factor: float = 1.0) -> Any:
        value = ops.multiply(ops.cast(ops.convert_to_tensor(value), dtype), factor)
        return ops.reshape(value, (-1,) + (1,) * (rank - 2))

    turn, lean_x, lean_y = (number(v, math.pi / 180.0) for v in (angle, shear_x, shear_y))
    lean_x, lean_y = ops.tan(lean_x), ops.tan(lean_y)
    size = number(scale)
    cos, sin = ops.cos(turn), ops.sin(turn)
    middle, shift = [], []
    for centre, extent, fraction in ((center_x, width, translate_x), (center_y, height, translate_y)):
        last = ops.subtract(ops.cast(ops.convert_to_tensor(extent), dtype), 1.0)
        middle.append(ops.multiply(last, 0.5 if centre is None else centre))
        shift.append(ops.multiply(number(fraction), last))
    # Turning by an angle as seen on the screen, where y goes down.
    xx, xy = ops.add(cos, ops.multiply(lean_x, sin)), ops.subtract(sin, ops.multiply(lean_x, cos))
    yx, yy = ops.subtract(ops.multiply(lean_y, cos), sin), ops.add(cos, ops.multiply(lean_y, sin))

    def place(x: Any, y: Any) -> tuple[Any, Any]:
        x, y = ops.subtract(x, middle[0]), ops.subtract(y, middle[1])
        new_x = ops.multiply(size, ops.add(ops.multiply(xx, x), ops.multiply(xy, y)))
        new_y = ops.multiply(size, ops.add(ops.multiply(yx, x), ops.multiply(yy, y)))
        return ops.add(ops.add(new_x, middle[0]), shift[0]), ops.add(ops.add(new_y, middle[1]), shift[1])

    moved = joined(moved_corners(parts(inner), place))
    return convert_format(moved, "xyxy", bounding_box_format, height, width, dtype)
