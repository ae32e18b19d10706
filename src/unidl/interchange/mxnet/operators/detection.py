"""Regions of images: pooling of given ones, and the boxes that detectors start from."""

from __future__ import annotations

import math

import numpy as np

from unidl.interchange.mxnet._table import Call, operator
from unidl.interchange.mxnet._writer import Value
from unidl.interchange.mxnet.operators.creation import room


@operator("ROIPooling _npx_roi_pooling")
def _roi_pooling(c: Call, x: Value, rois: Value) -> Value:
    """Regions are rows of (image, left, top, right, bottom)."""
    size = c.ints("pooled_size", None, 2)
    return c.w.node("MaxRoiPool", x, rois, pooled_shape=size, spatial_scale=c.real("spatial_scale"))


@operator("_contrib_ROIAlign")
def _roi_align(c: Call, x: Value, rois: Value) -> Value:
    w, size = c.w, c.ints("pooled_size", None, 2)
    if c.flag("position_sensitive"):
        raise c.error("position_sensitive is not read")
    image = w.cast(w.squeeze(w.slice(rois, 1, 0, 1), 1), "int64")
    return w.node(
        "RoiAlign", x, w.slice(rois, 1, 1, 5), image, output_height=size[0], output_width=size[1], mode="avg",
        sampling_ratio=max(c.integer("sample_ratio", -1), 0), spatial_scale=c.real("spatial_scale"),
        coordinate_transformation_mode="half_pixel" if c.flag("aligned") else "output_half_pixel",
    )  # fmt: skip


def _reals(c: Call, name: str, *default: float) -> tuple[float, ...]:
    value = c.get(name, default)
    value = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(v, (int, float)) for v in value):
        raise c.error(f"attribute {name!r} is {value!r}, and numbers are expected")
    return tuple(map(float, value))


@operator("_contrib_MultiBoxPrior _npx_multibox_prior")
def _multi_box_prior(c: Call, x: Value) -> Value:
    """Boxes (left, top, right, bottom) of several sizes and ratios around each place, in parts of the image."""
    high, wide = (c.known(x, i, "MultiBoxPrior") for i in (2, 3))
    sizes, ratios = _reals(c, "sizes", 1.0), _reals(c, "ratios", 1.0)
    steps, offsets = _reals(c, "steps", -1.0, -1.0), _reals(c, "offsets", 0.5, 0.5)
    if len(steps) != 2 or len(offsets) != 2 or min(ratios, default=0) <= 0 or not sizes:
        raise c.error(f"sizes {sizes}, ratios {ratios}, steps {steps} and offsets {offsets} are not read")
    room(c, high, wide, len(sizes) + len(ratios), 4)
    step_y, step_x = (s if s > 0 else 1 / d for s, d in zip(steps, (high, wide), strict=True))
    kinds = [(s, ratios[0]) for s in sizes] + [(sizes[0], r) for r in ratios[1:]]
    halves = np.array([(s * high / wide * math.sqrt(r) / 2, s / math.sqrt(r) / 2) for s, r in kinds])
    y = (np.arange(high) + offsets[0]) * step_y
    x_ = (np.arange(wide) + offsets[1]) * step_x
    centres = np.stack(np.broadcast_arrays(x_[None, :, None], y[:, None, None]), -1)
    boxes = np.concatenate([centres - halves, centres + halves], -1).reshape(1, -1, 4)
    return c.w.constant(np.clip(boxes, 0, 1) if c.flag("clip") else boxes, "float32")


# -- the best boxes of many -------------------------------------------------------------------------

_LOWEST = -1e30


def _kept(c: Call, boxes: Value, scores: Value, overlap: float) -> Value:
    """Which boxes (batch, count, 4) no better one overlaps too much; those of the lowest score are none."""
    w = c.w
    count = w.size(scores, 1)
    most = w.constant(count) if isinstance(count, int) else w.squeeze(count, 0)
    limits = [w.constant(v, "float32") for v in (overlap, _LOWEST / 2)]
    chosen = w.node("NonMaxSuppression", boxes, w.unsqueeze(scores, 1), most, *limits)
    places = w.node("Gather", chosen, np.asarray([0, 2], "int64"), axis=1)
    zeros = w.node("Expand", w.number(0.0, scores), w.node("Shape", scores))
    ones = w.node("Expand", w.number(1.0, scores), w.node("Shape", chosen, start=0, end=1))
    kept = w.node("ScatterND", zeros, places, ones)
    kept.shape = scores.shape
    return w.node("Greater", kept, w.number(0.5, scores))


def _apart(c: Call, boxes: Value, kinds: Value) -> Value:
    """Boxes moved so that those of different kinds do not overlap."""
    w = c.w
    span = w.node("ReduceMax", w.node("Abs", boxes), None, keepdims=1)
    step = w.node("Add", w.node("Mul", span, w.number(2.0, boxes)), w.number(1.0, boxes))
    return w.node("Add", boxes, w.node("Mul", w.unsqueeze(kinds, 2), step))


def _in_order(c: Call, rows: Value, scores: Value) -> Value:
    """The rows (batch, count, values) with the best score first."""
    w = c.w
    count = w.size(scores, 1)
    places = w.nodes("TopK", [scores, count if isinstance(count, Value) else [count]], 2, axis=1)[1]
    return w.node("GatherND", rows, w.unsqueeze(places, 2), batch_dims=1)


def _among_best(c: Call, scores: Value, most: int) -> Value:
    """The scores, of which all but the best `most` are the lowest."""
    w = c.w
    if most <= 0 or most >= c.known(scores, 1, "a limit to the number of boxes"):
        return scores
    last = w.slice(w.nodes("TopK", [scores, [most]], 2, axis=1)[0], 1, most - 1, most)
    return w.node("Where", w.node("Less", scores, last), w.number(_LOWEST, scores), scores)


@operator("_contrib_MultiBoxDetection _npx_multibox_detection")
def _multi_box_detection(c: Call, classes: Value, moves: Value, anchors: Value) -> Value:
    """Rows of (kind, score, left, top, right, bottom), the best first; of what is suppressed the kind is -1."""
    w, threshold = c.w, c.real("threshold", 0.01)
    if c.integer("background_id", 0) != 0:
        raise c.error("a background_id other than 0 is not read")
    shown = w.slice(classes, 1, 1, 2**31)
    scores = w.reduce("ReduceMax", shown, (1,))
    kinds = w.cast(w.node("ArgMax", shown, axis=1, keepdims=0), scores.dtype)
    valid = w.node("GreaterOrEqual", scores, w.number(threshold, scores))
    boxes = _decoded(c, moves, anchors)
    order = _among_best(c, w.node("Where", valid, scores, w.number(_LOWEST, scores)), c.integer("nms_topk", -1))
    compared = boxes if c.flag("force_suppress") else _apart(c, boxes, kinds)
    kept = _kept(c, compared, order, c.real("nms_threshold", 0.5))
    kinds = w.node("Where", kept, kinds, w.number(-1.0, kinds))
    rows = w.node("Concat", w.unsqueeze(kinds, 2), w.unsqueeze(scores, 2), boxes, axis=2)
    alive = w.unsqueeze(w.node("Greater", order, w.number(_LOWEST / 2, order)), 2)
    return _in_order(c, w.node("Where", alive, rows, w.number(-1.0, rows)), order)


def _decoded(c: Call, moves: Value, anchors: Value) -> Value:
    """Anchors (1, count, 4) moved and stretched, as corners."""
    w = c.w
    moves = w.reshape(moves, [w.size(moves, 0), w.size(anchors, 1), 4])
    moves = w.node("Mul", moves, w.constant(_reals(c, "variances", 0.1, 0.1, 0.2, 0.2), moves.dtype))
    low, high = w.slice(anchors, 2, 0, 2), w.slice(anchors, 2, 2, 4)
    half = w.number(0.5, anchors)
    size, centre = w.node("Sub", high, low), w.node("Mul", w.node("Add", high, low), half)
    centre = w.node("Add", w.node("Mul", w.slice(moves, 2, 0, 2), size), centre)
    reach = w.node("Mul", w.node("Mul", w.node("Exp", w.slice(moves, 2, 2, 4)), size), half)
    corners = w.node("Concat", w.node("Sub", centre, reach), w.node("Add", centre, reach), axis=2)
    if not c.flag("clip", True):
        return corners
    return w.node("Clip", corners, w.number(0.0, corners), w.number(1.0, corners))


@operator("_contrib_box_nms _contrib_box_non_maximum_suppression")
def _box_nms(c: Call, x: Value) -> Value:
    """Rows with a score and a box: the kept ones, the best first, then rows of -1."""
    w, at, score, kind = c.w, c.integer("coord_start", 2), c.integer("score_index", 1), c.integer("id_index", -1)
    formats = [c.choice(f"{side}_format", "corner", "corner", "center") for side in ("in", "out")]
    if c.rank(x) != 3 or formats != ["corner", "corner"] or c.node.outputs > 1:
        raise c.error("only boxes as corners, in a tensor of three dimensions, are read, and only the first output")

    def column(i: int) -> Value:
        return w.squeeze(w.slice(x, 2, i, i + 1), 2)

    scores = column(score)
    valid = w.node("Greater", scores, w.number(c.real("valid_thresh", 0.0), scores))
    if kind >= 0 and c.integer("background_id", -1) >= 0:
        shown = w.node("Not", w.node("Equal", column(kind), w.number(c.integer("background_id"), x)))
        valid = w.node("And", valid, shown)
    order = w.node("Where", valid, scores, w.number(_LOWEST, scores))
    order = _among_best(c, order, c.integer("topk", -1))
    boxes = w.slice(x, 2, at, at + 4)
    if kind >= 0 and not c.flag("force_suppress"):
        boxes = _apart(c, boxes, column(kind))
    kept = _kept(c, boxes, order, c.real("overlap_thresh", 0.5))
    order = w.node("Where", kept, order, w.number(_LOWEST, order))
    return _in_order(c, w.node("Where", w.unsqueeze(kept, 2), x, w.number(-1.0, x)), order)
