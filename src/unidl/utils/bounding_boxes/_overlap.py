"""How well boxes meet."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.ops._bind import dtype_of
from unidl.utils.bounding_boxes._formats import convert_format, floats, parts


def _corners(boxes: Any, name: str, image_shape: Any) -> Any:
    """Left, top, right, bottom: in pixels, if `image_shape` is given."""
    boxes = floats(boxes)
    if image_shape is None:
        target = "rel_xyxy" if name.lower().startswith("rel_") else "xyxy"
        return convert_format(boxes, name, target, dtype=dtype_of(boxes))
    return convert_format(boxes, name, "xyxy", image_shape[0], image_shape[1], dtype_of(boxes))


def _length(low: Any, high: Any) -> Any:
    return ops.maximum(ops.subtract(high, low), 0.0)


def _iou(one: list[Any], other: list[Any]) -> Any:
    width = _length(ops.maximum(one[0], other[0]), ops.minimum(one[2], other[2]))
    height = _length(ops.maximum(one[1], other[1]), ops.minimum(one[3], other[3]))
    common = ops.multiply(width, height)
    areas = [ops.multiply(ops.subtract(b[2], b[0]), ops.subtract(b[3], b[1])) for b in (one, other)]
    union = ops.subtract(ops.add(*areas), common)
    empty = ops.equal(union, 0.0)
    return ops.where(empty, 0.0, ops.divide(common, ops.where(empty, 1.0, union)))


def compute_iou(
    boxes1: Any,
    boxes2: Any,
    bounding_box_format: str,
    use_masking: bool = False,
    mask_val: int = -1,
    image_shape: Any = None,
) -> Any:
    """The intersection over union of each of `boxes1` with each of `boxes2`.

    Args:
        boxes1, boxes2: (M, 4) or (batch, M, 4), and (N, 4) or (batch, N, 4).
        use_masking: whether results for boxes of which all four numbers are negative become `mask_val`.
        image_shape: (height, width, …), for fractions ("rel_").

    Returns:
        Shape (M, N) or (batch, M, N).

    Example:
        >>> import unidl
        >>> iou = unidl.utils.bounding_boxes.compute_iou([[0.0, 0.0, 2.0, 2.0]], [[1.0, 0.0, 3.0, 2.0]], "xyxy")
        >>> round(float(iou[0][0]), 4)
        0.3333
    """
    first, second = (_corners(b, bounding_box_format, image_shape) for b in (boxes1, boxes2))
    for what, boxes in (("boxes1", first), ("boxes2", second)):
        if len(boxes.shape) not in (2, 3):
            raise ValueError(f"compute_iou: `{what}` has shape (N, 4) or (batch, N, 4), not {list(boxes.shape)}.")
    iou = _iou(parts(ops.expand_dims(first, -2)), parts(ops.expand_dims(second, -3)))
    if not use_masking:
        return iou
    outside = [ops.all(ops.less(floats(b), 0.0), axis=-1) for b in (boxes1, boxes2)]
    masked = ops.logical_or(ops.expand_dims(outside[0], -1), ops.expand_dims(outside[1], -2))
    return ops.where(masked, float(mask_val), iou)


def compute_ciou(boxes1: Any, boxes2: Any, bounding_box_format: str, image_shape: Any = None) -> Any:
    """The complete intersection over union of pairs of boxes (Z. Zheng et al., arXiv:1911.08287).

    The IoU less the squared distance of the centres, in units of the diagonal around both, less a term for different
    proportions.

    Args:
        boxes1, boxes2: (..., 4), of shapes that broadcast.
        image_shape: (height, width, …), for fractions ("rel_").

    Returns:
        One number a pair: 1 for equal boxes, negative for some that are far apart.

    Example:
        >>> import unidl
        >>> boxes = [[0.0, 0.0, 2.0, 2.0]]
        >>> round(float(unidl.utils.bounding_boxes.compute_ciou(boxes, boxes, "xyxy")[0]), 4)
        1.0
    """
    one, other = (parts(_corners(b, bounding_box_format, image_shape)) for b in (boxes1, boxes2))
    iou, tiny = _iou(one, other), 1e-7
    across = ops.subtract(ops.maximum(one[2], other[2]), ops.minimum(one[0], other[0]))
    down = ops.subtract(ops.maximum(one[3], other[3]), ops.minimum(one[1], other[1]))
    diagonal = ops.add(ops.add(ops.square(across), ops.square(down)), tiny)
    apart = [
        ops.square(ops.multiply(ops.subtract(ops.add(one[i], one[i + 2]), ops.add(other[i], other[i + 2])), 0.5))
        for i in range(2)
    ]
    distance = ops.divide(ops.add(*apart), diagonal)
    angles = [ops.arctan2(ops.subtract(b[2], b[0]), ops.subtract(b[3], b[1])) for b in (one, other)]
    shape = ops.multiply(ops.square(ops.subtract(*angles)), 4.0 / math.pi**2)
    weight = ops.stop_gradient(ops.divide(shape, ops.add(ops.add(ops.subtract(1.0, iou), shape), tiny)))
    return ops.subtract(ops.subtract(iou, distance), ops.multiply(weight, shape))
