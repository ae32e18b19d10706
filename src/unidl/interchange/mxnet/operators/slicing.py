"""Parts of tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.interchange.mxnet._table import Call, operator
from unidl.interchange.mxnet._writer import Value

_FAR = int(np.iinfo("int64").max)


@operator("slice crop _sparse_slice _npi_slice _npx_slice")
def _slice(c: Call, x: Value) -> Value:
    begin, end, step = (_ends(c, name) for name in ("begin", "end", "step"))
    axes, starts, stops, steps = [], [], [], []
    for axis in range(len(begin)):
        s = (step[axis] if axis < len(step) else None) or 1
        a, b = begin[axis], end[axis] if axis < len(end) else None
        if a is None and b is None and s == 1:
            continue
        axes.append(axis)
        starts.append(a if a is not None else (0 if s > 0 else _FAR))
        stops.append(b if b is not None else (_FAR if s > 0 else -_FAR))
        steps.append(s)
    if not axes:
        return x
    return c.w.node("Slice", x, *[np.asarray(v, "int64") for v in (starts, stops, axes, steps)])


def _ends(c: Call, name: str) -> tuple[Any, ...]:
    value = c.get(name, ())
    value = value if isinstance(value, tuple) else (value,)
    if not all(v is None or isinstance(v, int) for v in value):
        raise c.error(f"attribute {name!r} is {value!r}, and integers or None are expected")
    return value


@operator("slice_axis")
def _slice_axis(c: Call, x: Value) -> Value:
    return c.w.slice(x, c.integer("axis"), c.integer("begin"), c.integer("end", _FAR))


@operator("slice_like")
def _slice_like(c: Call, x: Value, like: Value) -> Value:
    axes = c.get("axes")
    for axis in range(c.rank(x)) if axes in (None, ()) else c.ints("axes"):
        x = c.w.slice(x, axis, 0, c.w.size(like, c.axis(axis, c.rank(like))))
    return x


@operator("Crop")
def _crop(c: Call, x: Value, like: Value | None = None) -> Value:
    """A part of images, as large as another or as said."""
    w = c.w
    sizes = [w.size(like, 2), w.size(like, 3)] if like is not None else list(c.ints("h_w", None, 2))
    offsets = c.ints("offset", (0, 0), 2)
    for i, size in enumerate(sizes):
        offset = offsets[i]
        if c.flag("center_crop"):
            if not isinstance(size, int):
                raise c.error("center_crop needs sizes that are known: give the inputs' `shapes`")
            offset = (c.known(x, i + 2, "center_crop") - size) // 2
        x = w.slice(x, i + 2, offset, w.arithmetic("Add", size, offset))
    return x


# -- splits ----------------------------------------------------------------------------------------


def _without(c: Call, parts: list[Value], axis: int) -> list[Value]:
    return [c.w.squeeze(p, axis) for p in parts] if c.flag("squeeze_axis") else parts


@operator("SliceChannel split")
def _split(c: Call, x: Value) -> list[Value]:
    return _equal(c, x, c.integer("num_outputs"), c.integer("axis", 1))


def _equal(c: Call, x: Value, count: int, axis: int) -> list[Value]:
    if not 1 <= count <= 4096:
        raise c.error(f"{count} parts are no number that is read")
    size = None if x.shape is None else x.shape[c.axis(axis, len(x.shape))]
    if size is not None and size % count:
        raise c.error(f"{size} elements along axis {axis} do not make {count} equal parts")
    parts = [x] if count == 1 else c.w.nodes("Split", [x], count, axis=axis, num_outputs=count)
    return _without(c, parts, axis)


@operator("_split_v2 _npi_split")
def _split_v2(c: Call, x: Value) -> list[Value]:
    axis, sections = c.integer("axis", 0), c.integer("sections", 0)
    if sections > 0:
        return _equal(c, x, sections, axis)
    starts = c.ints("indices", ())
    if starts[:1] != (0,):
        starts = (0, *starts)
    parts = [c.w.slice(x, axis, a, b) for a, b in zip(starts, (*starts[1:], _FAR), strict=True)]
    return _without(c, parts, axis)
