"""Elements at places that are values: embeddings, gathers, one-hot vectors, scatters."""

from __future__ import annotations

import numpy as np

from unidl.interchange.mxnet._table import Call, operator
from unidl.interchange.mxnet._writer import Value
from unidl.interchange.mxnet.operators.creation import room


def _indices(c: Call, x: Value) -> Value:
    """MXNet takes indices in any dtype, ONNX in integers."""
    return x if x.dtype in ("int32", "int64") else c.w.cast(x, "int64")


@operator("Embedding _npx_embedding _contrib_SparseEmbedding _sparse_Embedding")
def _embedding(c: Call, x: Value, weight: Value) -> Value:
    return c.w.node("Gather", weight, _indices(c, x), axis=0)


@operator("take _npi_take")
def _take(c: Call, x: Value, indices: Value) -> Value:
    w, mode = c.w, c.choice("mode", "clip", "clip", "wrap", "raise")
    if c.get("axis", 0) is None or "None" in str(c.node.attributes.get("axis", "")):
        x, axis = w.reshape(x, [-1]), 0
    else:
        axis = c.integer("axis", 0)
    return w.node("Gather", x, _inside(c, x, _indices(c, indices), axis, mode), axis=axis)


def _inside(c: Call, x: Value, indices: Value, axis: int, mode: str) -> Value:
    """Indices that are beyond the ends are those of the ends, or count from the other one."""
    w = c.w
    if mode == "raise":
        return indices
    indices = w.cast(indices, "int64")
    size = w.size(x, axis)
    count = w.constant(size, "int64") if isinstance(size, int) else w.squeeze(size, 0)
    if mode == "wrap":
        return w.node("Mod", indices, count)
    last = w.constant(size - 1, "int64") if isinstance(size, int) else w.node("Sub", count, w.constant(1))
    return w.node("Clip", indices, w.constant(0), last)


@operator("batch_take")
def _batch_take(c: Call, x: Value, indices: Value) -> Value:
    return _picked(c, x, indices, 1, False, "clip")


@operator("pick choose_element_0index _npx_pick")
def _pick(c: Call, x: Value, indices: Value) -> Value:
    if c.get("axis", -1) is None:
        raise c.error("an axis of None is not read")
    mode = c.choice("mode", "clip", "clip", "wrap")
    return _picked(c, x, indices, c.axis(c.integer("axis", -1), c.rank(x)), c.flag("keepdims"), mode)


def _picked(c: Call, x: Value, indices: Value, axis: int, keepdims: bool, mode: str) -> Value:
    """One element along an axis for each place of the others."""
    w = c.w
    if c.rank(indices) < c.rank(x):
        indices = w.unsqueeze(indices, axis)
    places = _inside(c, x, _indices(c, indices), axis, mode)
    y = w.node("GatherElements", x, places, axis=axis)
    return y if keepdims else w.squeeze(y, axis)


@operator("gather_nd _npx_gather_nd _npi_gather_nd")
def _gather_nd(c: Call, x: Value, indices: Value) -> Value:
    """The first axis of the indices says the place along each axis of x."""
    rank = c.rank(indices)
    return c.w.node("GatherND", x, c.w.transpose(_to_int64(c, indices), (*range(1, rank), 0)))


def _to_int64(c: Call, x: Value) -> Value:
    return c.w.cast(x, "int64")


@operator("scatter_nd _npi_scatter_nd")
@operator("_backward_gather_nd", reduction="add")
def _scatter_nd(c: Call, x: Value, indices: Value, reduction: str = "none") -> Value:
    """Zeros with some elements put in, or added, at places as in `gather_nd`."""
    w, rank = c.w, c.rank(indices)
    room(c, *c.ints("shape"))
    zeros = w.constant(np.zeros(c.ints("shape"), x.dtype))
    places = w.transpose(_to_int64(c, indices), (*range(1, rank), 0))
    return w.node("ScatterND", zeros, places, x, reduction=reduction)


@operator("one_hot _npx_one_hot")
def _one_hot(c: Call, x: Value) -> Value:
    """Only the value for "off" for indices that are not below `depth`."""
    w, depth, dtype = c.w, c.integer("depth"), c.dtype("float32")
    room(c, depth)
    places = w.constant(np.arange(depth))
    hit = w.node("Equal", w.unsqueeze(_to_int64(c, x), -1), places)
    values = [w.constant(c.real(name, default), dtype) for name, default in (("on_value", 1.0), ("off_value", 0.0))]
    return w.node("Where", hit, *values)
