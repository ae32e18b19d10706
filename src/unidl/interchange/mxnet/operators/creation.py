"""Tensors from nothing, or from another's shape."""

from __future__ import annotations

import math

import numpy as np

from unidl.interchange.mxnet._table import Call, operator
from unidl.interchange.mxnet._writer import Value

#: Elements that a tensor made from nothing may have: the file says only its shape.
MOST = 2**24


def room(c: Call, *sizes: int) -> None:
    """Refuse tensors of absurd sizes."""
    if min(sizes, default=1) < 0 or math.prod(sizes) > MOST:
        raise c.error(f"a tensor of shape {sizes} is not read; {MOST} elements are the most that a node may make")


def _filled(c: Call, fill: float, dtype: str, unknown: int | None) -> Value:
    """A constant. A size that the old operators leave to MXNet to find out is 1, which spreads over any."""
    shape = c.ints("shape", ())
    shape = tuple([1 if d == unknown else d for d in shape])
    room(c, *shape)
    return c.w.constant(np.full(shape, fill), dtype)


@operator("_zeros _zeros_without_dtype", fill=0.0)
@operator("_ones", fill=1.0)
def _old_filled(c: Call, fill: float) -> Value:
    return _filled(c, fill, c.dtype("float32"), None if c.numpy else 0)


@operator("_npi_zeros", fill=0.0)
@operator("_npi_ones", fill=1.0)
def _numpy_filled(c: Call, fill: float) -> Value:
    return _filled(c, fill, c.dtype("float32"), None)


@operator("_full _npi_full")
def _full(c: Call) -> Value:
    return _filled(c, c.real("value", 0.0), c.dtype("float32"), None)


@operator("zeros_like _sparse_zeros_like _npi_zeros_like", fill=0)
@operator("ones_like _npi_ones_like", fill=1)
def _filled_like(c: Call, x: Value, fill: float) -> Value:
    return _like(c, x, fill, x.dtype)


@operator("_npi_full_like")
def _full_like(c: Call, x: Value) -> Value:
    return _like(c, x, c.real("fill_value"), c.dtype(x.dtype))


def _like(c: Call, x: Value, fill: float, dtype: str) -> Value:
    y = c.w.node("Expand", c.w.constant(fill, dtype), c.w.node("Shape", x))
    y.shape = x.shape
    return y


@operator("_arange _npi_arange")
def _arange(c: Call) -> Value:
    start, stop, step = c.real("start", 0.0), c.get("stop"), c.real("step", 1.0)
    if stop is None:
        start, stop = 0.0, start
    repeats = c.integer("repeat", 1)
    if not isinstance(stop, (int, float)) or not step or not (abs(stop - start) / abs(step) + 1) * repeats < MOST:
        raise c.error(f"the range from {start} to {stop} in steps of {step} is not read")
    return c.w.constant(np.repeat(np.arange(start, stop, step), repeats), c.dtype("float32"))


@operator("_contrib_arange_like _npx_arange_like")
def _arange_like(c: Call, x: Value) -> Value:
    """Counts along one axis of another tensor, or over all its elements."""
    w, start, step = c.w, c.real("start", 0.0), c.real("step", 1.0)
    if c.integer("repeat", 1) != 1:
        raise c.error("repeats are not read")
    axis = c.get("axis")
    count = (
        w.squeeze(w.node("Shape", x, start=axis, end=axis + 1 if axis != -1 else None), 0)
        if axis is not None
        else w.node("Size", x)
    )
    numbers = w.cast(w.node("Range", w.constant(0), count, w.constant(1)), x.dtype)
    y = w.node("Add", w.node("Mul", numbers, w.number(step, x)), w.number(start, x))
    if axis is not None:
        return y
    y = w.node("Reshape", y, w.node("Shape", x))
    y.shape = x.shape
    return y


@operator("_linspace _npi_linspace")
def _linspace(c: Call) -> Value:
    count = c.integer("num", 50)
    room(c, count)
    ends = c.flag("endpoint", True)
    return c.w.constant(np.linspace(c.real("start"), c.real("stop"), count, ends), c.dtype("float32"))


@operator("_eye _npi_eye")
def _eye(c: Call) -> Value:
    rows = c.integer("N")
    columns = c.integer("M", 0) or rows
    room(c, rows, columns)
    return c.w.constant(np.eye(rows, columns, c.integer("k", 0)), c.dtype("float32"))
