"""Sorting, and what depends on values."""

from __future__ import annotations

import numpy as np

from unidl.interchange.onnx.exporting._emit import Emit
from unidl.interchange.onnx.exporting._writer import Value, Writer


def _sorted(w: Writer, x: Value, axis: int | None, ascending: bool, count: Value | None = None) -> list[Value]:
    """Sorted values and their places along an axis. Of equal ones the first comes first."""
    wide = w.cast(x, "int32") if x.dtype == "bool" else w.wide(x)
    if axis is None:
        wide, axis = w.node("Reshape", wide, np.asarray([-1])), 0
        count = w.shape(wide)
    elif count is None:
        count = w.dim(x, axis % len(x.shape))
    values, places = w.nodes("TopK", [wide, count], [wide.dtype, "int64"], axis=axis, largest=int(not ascending))
    return [w.cast(values, x.dtype), w.cast(places, "int32")]


def sort(w: Writer, x: Value, axis: int | None = -1) -> Value:
    return _sorted(w, x, axis, True)[0] if x.shape else x


def argsort(w: Writer, x: Value, axis: int | None = -1) -> Value:
    return _sorted(w, x, axis, True)[1]


def top_k(w: Writer, x: Value, k: int, sorted: bool = True) -> list[Value]:
    return _sorted(w, x, -1, False, w.constant([k]))


def nonzero(w: Writer, x: Value) -> list[Value]:
    rank = len(x.shape)
    wide = x if x.dtype == "bool" else w.wide(x)
    places = w.cast(w.node("NonZero", wide, dtype="int64"), "int32")
    return [w.node("Gather", places, w.constant(i, "int64"), axis=0) for i in range(rank)]


def occurrences(w: Writer, x: Value, minlength: int = 0) -> Value:
    """How many elements are 0, 1, …: compared with each of these numbers and counted."""
    whole = w.cast(x, "int64")
    one = w.constant(1, "int64")
    # -1 joins the elements so that there is a largest one; nothing is counted for it.
    some = w.node("Concat", whole, np.asarray([-1], "int64"), axis=0)
    size = w.node("Max", w.node("Add", w.reduce("ReduceMax", some, [0]), one), w.constant(minlength, "int64"))
    numbers = w.node("Range", w.constant(0, "int64"), size, one)
    equal = w.node("Equal", w.unsqueeze(whole, [1]), w.unsqueeze(numbers, [0]), dtype="bool")
    return w.reduce("ReduceSum", w.cast(equal, "int32"), [0])


def det(w: Writer, x: Value) -> Value:
    return w.node("Det", x)


TABLE: dict[str, Emit] = {
    "sort": sort,
    "argsort": argsort,
    "top_k": top_k,
    "nonzero": nonzero,
    "occurrences": occurrences,
    "det": det,
}
