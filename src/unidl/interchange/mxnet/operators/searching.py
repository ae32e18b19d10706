"""Sorting, and the largest elements."""

from __future__ import annotations

import numpy as np

from unidl.interchange.mxnet._table import Call, operator
from unidl.interchange.mxnet._writer import Value


def _axis(c: Call, x: Value) -> tuple[Value, int]:
    """The tensor and the axis; without an axis, the tensor is flat."""
    if c.node.attributes.get("axis", "-1").strip() == "None":
        return c.w.reshape(x, [-1]), 0
    return x, c.axis(c.integer("axis", -1), c.rank(x))


def _ordered(c: Call, x: Value, axis: int, count: int | None, ascending: bool) -> list[Value]:
    """Values and places of the first `count` in order."""
    w = c.w
    kept = count if count else w.size(x, axis)
    k = kept if isinstance(kept, Value) else np.asarray([kept], "int64")
    return w.nodes("TopK", [x, k], 2, axis=axis, largest=int(not ascending), sorted=1)


@operator("sort _npi_sort")
def _sort(c: Call, x: Value) -> Value:
    x, axis = _axis(c, x)
    return _ordered(c, x, axis, None, c.flag("is_ascend", True))[0]


@operator("argsort _npi_argsort")
def _argsort(c: Call, x: Value) -> Value:
    x, axis = _axis(c, x)
    places = _ordered(c, x, axis, None, c.flag("is_ascend", True))[1]
    return c.w.cast(places, c.dtype("float32"))


@operator("topk _npx_topk")
def _topk(c: Call, x: Value) -> Value | list[Value]:
    kind = c.choice("ret_typ", "indices", "value", "indices", "mask", "both")
    x, axis = _axis(c, x)
    values, places = _ordered(c, x, axis, c.integer("k", 1), c.flag("is_ascend", False))
    if kind == "value":
        return values
    if kind == "mask":
        return _mask(c, x, places, axis)
    indices = c.w.cast(places, c.dtype("float32"))
    return [values, indices] if kind == "both" else indices


def _mask(c: Call, x: Value, places: Value, axis: int) -> Value:
    """1 where the chosen elements are, else 0."""
    w = c.w
    ones = w.node("Expand", w.number(1, x), w.node("Shape", places))
    zeros = w.node("Mul", x, w.number(0, x))
    return w.node("ScatterElements", zeros, places, ones, axis=axis)
