"""Finding objects: boxes that overlap, deformable windows, regions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from unidl import ops
from unidl.interchange.onnx._structures import Node
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import operator
from unidl.interchange.onnx.importing._values import dtype_of, shape_of


@operator("NonMaxSuppression")
def _non_max_suppression(
    call: Call, boxes: Any, scores: Any, most: Any = None, overlap: Any = None, least: Any = None
) -> Any:
    """The best boxes that do not cover each other. How many there are depends on values: computed on the host."""
    all_boxes = call.array(boxes, "the boxes").astype(np.float64)
    all_scores = call.array(scores, "the scores")
    limit = 0 if most is None else int(call.number(most, "the number of boxes"))
    bound = 0.0 if overlap is None else float(call.number(overlap, "the overlap"))
    threshold = None if least is None else float(call.number(least, "the least score"))
    if call.get("center_point_box", 0):
        centre, half = all_boxes[..., :2], all_boxes[..., 2:] / 2
        corners = np.concatenate([centre - half, centre + half], -1)
    else:
        corners = np.concatenate(
            [np.minimum(all_boxes[..., :2], all_boxes[..., 2:]), np.maximum(all_boxes[..., :2], all_boxes[..., 2:])], -1
        )
    found = []
    for b, c in itertools.product(range(all_scores.shape[0]), range(all_scores.shape[1])):
        for i in _kept(corners[b], all_scores[b, c], limit, bound, threshold):
            found.append((b, c, i))
    return np.array(found, np.int64).reshape(-1, 3)


def _kept(boxes: np.ndarray, scores: np.ndarray, limit: int, bound: float, threshold: float | None) -> list[int]:
    order = np.argsort(-scores, kind="stable")
    if threshold is not None:
        order = order[scores[order] > threshold]
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], -1)
    kept: list[int] = []
    while len(order) and len(kept) < limit:
        best = int(order[0])
        kept.append(best)
        rest = order[1:]
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        common = np.prod(np.clip(high - low, 0, None), -1)
        union = areas[best] + areas[rest] - common
        ratio = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
        order = rest[ratio <= bound]
    return kept


@operator("DeformConv")
def _deform_conv(call: Call, x: Any, kernel: Any, offset: Any, bias: Any = None, mask: Any = None) -> Any:
    """A convolution whose window's places are moved by `offset`, read by linear interpolation."""
    n, channels, rows, columns = shape_of(x)
    filters, per_group, kh, kw = shape_of(kernel)
    strides, dilations = call.get("strides") or [1, 1], call.get("dilations") or [1, 1]
    pads, groups, sets = call.get("pads") or [0] * 4, call.get("group", 1), call.get("offset_group", 1)
    oh, ow = shape_of(offset)[2:]
    base_y = np.arange(oh)[:, None] * strides[0] - pads[0]
    base_x = np.arange(ow)[None, :] * strides[1] - pads[1]
    moves = ops.reshape(offset, (n, sets, kh * kw, 2, oh, ow))
    factors = None if mask is None else ops.reshape(mask, (n, sets, kh * kw, oh, ow))
    dtype = dtype_of(x)
    windows = []
    for k, (i, j) in enumerate(itertools.product(range(kh), range(kw))):
        ys = ops.add(ops.getitem(moves, (slice(None), slice(None), k, 0)), (base_y + i * dilations[0]).astype(dtype))
        xs = ops.add(ops.getitem(moves, (slice(None), slice(None), k, 1)), (base_x + j * dilations[1]).astype(dtype))
        values = _read(ops.reshape(x, (n, sets, channels // sets, rows * columns)), ys, xs, rows, columns)
        if factors is not None:
            values = ops.multiply(values, ops.expand_dims(ops.getitem(factors, (slice(None), slice(None), k)), 2))
        windows.append(ops.reshape(values, (n, channels, oh * ow)))
    columns_of = ops.reshape(ops.stack(windows, 2), (n, groups, per_group * kh * kw, oh * ow))
    weights = ops.reshape(kernel, (1, groups, filters // groups, per_group * kh * kw))
    y = ops.reshape(ops.matmul(weights, columns_of), (n, filters, oh, ow))
    return y if bias is None else ops.add(y, ops.reshape(bias, (-1, 1, 1)))


def _read(flat: Any, ys: Any, xs: Any, rows: int, columns: int) -> Any:
    """Values of images (n, sets, channels, rows * columns) at places (n, sets, height, width); zeros outside."""
    n, sets, channels, _ = shape_of(flat)
    oh, ow = shape_of(ys)[2:]
    low_y, low_x = ops.floor(ys), ops.floor(xs)
    total = None
    for dy, dx in itertools.product((0.0, 1.0), (0.0, 1.0)):
        py, px = ops.add(low_y, dy), ops.add(low_x, dx)
        weight = ops.multiply(
            ops.subtract(1.0, ops.absolute(ops.subtract(ys, py))), ops.subtract(1.0, ops.absolute(ops.subtract(xs, px)))
        )
        inside = ops.logical_and(
            ops.logical_and(ops.greater_equal(py, 0.0), ops.less_equal(py, rows - 1.0)),
            ops.logical_and(ops.greater_equal(px, 0.0), ops.less_equal(px, columns - 1.0)),
        )
        weight = ops.where(inside, weight, ops.zeros_like(weight))
        row = ops.cast(ops.clip(py, 0.0, rows - 1.0), "int64")
        place = ops.add(ops.multiply(row, columns), ops.cast(ops.clip(px, 0.0, columns - 1.0), "int64"))
        index = ops.broadcast_to(ops.reshape(place, (n, sets, 1, oh * ow)), (n, sets, channels, oh * ow))
        values = ops.reshape(ops.take_along_axis(flat, index, 3), (n, sets, channels, oh, ow))
        part = ops.multiply(values, ops.expand_dims(weight, 2))
        total = part if total is None else ops.add(total, part)
    return total


def _pooled(node: Node, shapes: Sequence[Any]) -> tuple[Any, ...]:
    return (shapes[1][0], shapes[0][1], *node.attributes["pooled_shape"])


@operator("MaxRoiPool", result=_pooled)
def _max_roi_pool(call: Call, x: Any, rois: Any) -> Any:
    """The maxima of a grid of bins over each region, rows (batch index, left, top, right, bottom)."""
    height, width = call.need("pooled_shape")
    scale = call.get("spatial_scale", 1.0)
    rows, columns = shape_of(x)[2:]
    results = []
    for member, left, top, right, bottom in call.array(rois, "the regions").astype(np.float64):
        x0, y0, x1, y1 = (math.floor(v * scale + 0.5) for v in (left, top, right, bottom))
        h, w = max(y1 - y0 + 1, 1), max(x1 - x0 + 1, 1)
        bins = []
        for i, j in itertools.product(range(height), range(width)):
            ys = [min(max(int(f(v * h / height)) + y0, 0), rows) for f, v in ((math.floor, i), (math.ceil, i + 1))]
            xs = [min(max(int(f(v * w / width)) + x0, 0), columns) for f, v in ((math.floor, j), (math.ceil, j + 1))]
            part = ops.getitem(x, (int(member), slice(None), slice(*ys), slice(*xs)))
            empty = ys[0] >= ys[1] or xs[0] >= xs[1]
            bins.append(ops.zeros((shape_of(x)[1],), dtype_of(x)) if empty else ops.max(part, (1, 2)))
        results.append(ops.reshape(ops.stack(bins, 1), (shape_of(x)[1], height, width)))
    if not results:
        return ops.zeros((0, shape_of(x)[1], height, width), dtype_of(x))
    return ops.stack(results, 0)
