"""Picking elements by their places, and writing to places."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.graph.symbolic import Dim
from unidl.interchange.onnx.exporting._emit import Emit
from unidl.interchange.onnx.exporting._writer import Value, Writer
from unidl.ops.indexing import _complete

_FARTHEST = np.iinfo("int64").max


def getitem(w: Writer, x: Value, key: Any) -> Value:
    """One Slice for all slices and numbers, then the dimensions of numbers go, then new ones come."""
    items = _complete(tuple(key) if isinstance(key, (tuple, list)) else (key,), len(x.shape))
    cuts: list[tuple[int, Any, Any, Any]] = []
    gone: list[int] = []
    new: list[int] = []
    axis = place = 0
    for item in items:
        if item is None:
            new.append(place)
            place += 1
            continue
        if isinstance(item, slice):
            if item != slice(None):
                cuts.append((axis, *_ends(item)))
            place += 1
        else:
            stop = _FARTHEST if isinstance(item, int) and item == -1 else item + 1
            cuts.append((axis, item, stop, 1))
            gone.append(axis)
        axis += 1
    if cuts:
        axes, starts, stops, steps = zip(*cuts, strict=True)
        x = w.node("Slice", x, w.sizes(starts), w.sizes(stops), np.asarray(axes, "int64"), w.sizes(steps))
    x = w.unsqueeze(w.squeeze(x, gone), new)
    return x if cuts or gone or new else w.node("Identity", x)


def _ends(item: slice) -> tuple[Any, Any, Any]:
    """Start, stop and step as Slice takes them."""
    step = 1 if item.step is None else item.step
    back = not isinstance(step, Dim) and step < 0
    start = (_FARTHEST if back else 0) if item.start is None else item.start
    stop = (-_FARTHEST if back else _FARTHEST) if item.stop is None else item.stop
    return start, stop, step


def _index(w: Writer, indices: Value) -> Value:
    """Indices as ONNX takes them."""
    return indices if indices.dtype in ("int32", "int64") else w.cast(indices, "int64")


def take(w: Writer, x: Value, indices: Value, axis: int | None = None) -> Value:
    if axis is None:
        x, axis = w.node("Reshape", x, np.asarray([-1])), 0
    return w.node("Gather", x, _index(w, indices), axis=axis)


def take_along_axis(w: Writer, x: Value, indices: Value, axis: int | None = None) -> Value:
    if axis is None:
        return take(w, x, indices)
    shape, rank = x.shape, len(x.shape)
    axis %= rank
    rest = [i for i in range(rank) if i != axis]
    if any(shape[i] is None or shape[i] != indices.shape[i] for i in rest):
        # Each is spread over the dimensions of the other; along the axis they keep their sizes.
        mask = np.asarray([int(i != axis) for i in range(rank)], "int64")
        one = w.constant(1 - mask)

        def around(of: Value) -> Value:
            return w.node("Add", w.node("Mul", w.shape(of), mask), one)

        x, indices = w.node("Expand", x, around(indices)), w.node("Expand", indices, around(x))
    return w.node("GatherElements", x, _index(w, indices), axis=axis)


def gather_nd(w: Writer, x: Value, indices: Value) -> Value:
    return w.node("GatherND", x, w.cast(indices, "int64"))


#: The opset from which on updates are combined so.
_REDUCTIONS = {"add": 16, "mul": 16, "max": 18, "min": 18}


def scatter_update(w: Writer, inputs: Value, indices: Value, updates: Value, reduction: str | None = None) -> Value:
    dtype, k = inputs.dtype, indices.shape[-1]
    if reduction is not None:
        w.need(_REDUCTIONS[reduction])
    wide = inputs
    if dtype == "bool" and reduction is not None:  # bools are combined as numbers: or, and
        wide = w.cast(inputs, "int32")
        updates = w.cast(w.cast(updates, "bool"), "int32")
    elif reduction is not None:
        wide = w.wide(inputs, half=True)
    updates = w.cast(updates, wide.dtype)
    rows = len(indices.shape) - 1
    shape = w.slice(w.shape(indices), 0, 0, rows)
    if k < len(inputs.shape):
        shape = w.node("Concat", shape, w.slice(w.shape(inputs), 0, k, _FARTHEST), axis=0)
    updates = w.node("Expand", updates, shape)
    return w.cast(w.node("ScatterND", wide, w.cast(indices, "int64"), updates, reduction=reduction), dtype)


def one_hot(w: Writer, x: Value, num_classes: Any, axis: int = -1, dtype: Any = None, sparse: bool = False) -> Value:
    """OneHot; what is negative is moved past the end, where nothing is set: ONNX would count it from there."""
    want = w.specs[0].dtype
    if want not in ("float32", "int32", "int64") or isinstance(num_classes, Dim) or not x.shape:
        return NotImplemented
    index = w.cast(w.cast(x, "int32"), "int64")
    outside = w.node("Less", index, w.constant(0, "int64"), dtype="bool")
    index = w.where(outside, w.constant(int(num_classes), "int64"), index)
    values = w.constant([0, 1], want)
    return w.node("OneHot", index, w.constant(int(num_classes), "int64"), values, axis=axis, dtype=want)


TABLE: dict[str, Emit] = {
    "getitem": getitem,
    "take": take,
    "take_along_axis": take_along_axis,
    "gather_nd": gather_nd,
    "scatter_update": scatter_update,
    "one_hot": one_hot,
}
