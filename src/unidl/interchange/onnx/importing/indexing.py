"""Reading from and writing to places that tensors say; sorting; what has a size that depends on values."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.interchange.onnx._structures import DataDependentError
from unidl.interchange.onnx.importing import _host
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, operator
from unidl.interchange.onnx.importing._values import (
    as_tensor,
    dtype_of,
    enter,
    is_host,
    on_host,
    rank_of,
    shape_of,
)  # fmt: skip


@operator("Gather", host=True)
def _gather(call: Call, x: Any, indices: Any) -> Any:
    axis = call.axis(call.get("axis", 0), rank_of(x))
    size = shape_of(x)[axis]
    if is_host(indices) and indices.dtype != object:
        places = indices.astype(np.int64)
        if isinstance(size, int) and places.size and (places.min() < -size or places.max() >= size):
            raise call.error(f"an index is out of range: {places.min()} to {places.max()} for {size} elements")
        if is_host(x):
            return np.take(x, places, axis)
        if isinstance(size, int):
            indices = np.where(places < 0, places + size, places)
        return ops.take(x, indices, axis)
    return ops.take(as_tensor(x), _counted(indices, x, axis), axis)


def _counted(indices: Any, x: Any, axis: int) -> Any:
    """Indices with negative ones counted from the end."""
    if dtype_of(indices).startswith("u"):
        return ops.cast(indices, "int64")
    size = shape_of(x)[axis]
    total = size if isinstance(size, int) else ops.cast(ops.axis_size(x, axis), dtype_of(indices))
    return ops.where(ops.less(indices, 0), ops.add(indices, total), indices)


@operator("GatherElements", host=True)
def _gather_elements(call: Call, x: Any, indices: Any) -> Any:
    axis = call.axis(call.get("axis", 0), rank_of(x))
    if is_host(x) and is_host(indices):
        return x[_places_host(x, indices, axis)]
    want = (*shape_of(indices)[:axis], shape_of(x)[axis], *shape_of(indices)[axis + 1 :])
    if tuple(want) != tuple(shape_of(x)):  # the other axes may be longer in `x`
        x = ops.getitem(
            x, tuple([slice(None) if a is b else slice(0, b) for a, b in zip(shape_of(x), want, strict=True)])
        )
    return ops.take_along_axis(x, _counted(indices, x, axis), axis)


def _places_host(x: Any, indices: Any, axis: int) -> tuple[Any, ...]:
    grid = list(np.indices(indices.shape, sparse=True))
    grid[axis] = indices
    return tuple(grid)


def _grid(call: Call, indices: Any, x: Any, axis: int) -> Any:
    """Rows of places of all elements that `indices` name along `axis`, for `scatter_update`."""
    shape = shape_of(indices)
    parts = []
    for i, size in enumerate(shape):
        if i == axis:
            parts.append(_counted(ops.cast(indices, "int64"), x, axis))
        else:
            line = ops.reshape(ops.arange(size, dtype="int64"), [-1 if j == i else 1 for j in range(len(shape))])
            parts.append(ops.broadcast_to(line, shape))
    return ops.stack(parts, -1)


@operator("ScatterElements Scatter", host=True)
def _scatter_elements(call: Call, x: Any, indices: Any, updates: Any) -> Any:
    axis = call.axis(call.get("axis", 0), rank_of(x))
    if call.ops is _host:
        places = np.stack(
            np.broadcast_arrays(*_places_host(x, np.where(indices < 0, indices + x.shape[axis], indices), axis)), -1
        )
        return _host.scatter_update(x, places, updates, _reduction(call))
    return ops.scatter_update(x, _grid(call, indices, x, axis), updates, _reduction(call))


def _reduction(call: Call) -> str | None:
    name = call.get("reduction", "none")
    if name not in ("none", "add", "mul", "max", "min"):
        raise call.error(f"the reduction {name!r} is unknown")
    return None if name == "none" else str(name)


@operator("ScatterND", host=True)
def _scatter_nd(call: Call, x: Any, indices: Any, updates: Any) -> Any:
    if is_host(indices):
        limits = np.array(shape_of(x)[: indices.shape[-1]])
        if limits.dtype != object and indices.size and ((indices >= limits) | (indices < -limits)).any():
            raise call.error(f"an index is out of range for the shape {list(shape_of(x))}")
    return call.ops.scatter_update(x, indices, updates, _reduction(call))


@operator("GatherND", host=True)
@operator("GatherND", domain=MICROSOFT, host=True)
def _gather_nd(call: Call, x: Any, indices: Any) -> Any:
    batch = call.get("batch_dims", 0)
    if not batch:
        return call.ops.gather_nd(x, indices)
    lead = shape_of(indices)[:batch]
    grids = [
        ops.broadcast_to(
            ops.reshape(ops.arange(d, dtype="int64"), [-1 if j == i else 1 for j in range(rank_of(indices))]),
            (*shape_of(indices)[:-1], 1),
        )
        for i, d in enumerate(lead)
    ]
    return ops.gather_nd(x, ops.concatenate([*grids, ops.cast(indices, "int64")], -1))


@operator("TensorScatter")
def _tensor_scatter(call: Call, past: Any, update: Any, start: Any = None) -> Any:
    """A key/value cache with new rows written from `start` on, for each element of the batch."""
    axis = call.axis(call.get("axis", -2), rank_of(past))
    new, room = shape_of(update)[axis], shape_of(past)[axis]
    begin = ops.zeros((shape_of(past)[0],), "int64") if start is None else ops.cast(start, "int64")
    places = ops.add(ops.expand_dims(begin, 1), ops.arange(new, dtype="int64"))
    if call.get("mode", "linear") == "circular":
        places = ops.mod(places, room)
    shape = [1] * rank_of(update)
    shape[0], shape[axis] = -1, new
    return ops.scatter_update(
        past, _grid_at(ops.broadcast_to(ops.reshape(places, shape), shape_of(update)), axis), update
    )


def _grid_at(places: Any, axis: int) -> Any:
    shape = shape_of(places)
    parts = []
    for i, size in enumerate(shape):
        line = ops.reshape(ops.arange(size, dtype="int64"), [-1 if j == i else 1 for j in range(len(shape))])
        parts.append(places if i == axis else ops.broadcast_to(line, shape))
    return ops.stack(parts, -1)


# -- order -----------------------------------------------------------------------------------------


@operator("TopK", 10)
def _top_k(call: Call, x: Any, k: Any) -> Any:
    (count,) = call.integers(k, "k")
    return _top(call, x, count)


@operator("TopK", 1)
def _top_k_attribute(call: Call, x: Any) -> Any:
    return _top(call, x, call.need("k"))


def _top(call: Call, x: Any, k: Any) -> Any:
    axis = call.axis(call.get("axis", -1), rank_of(x))
    size = shape_of(x)[axis]
    if isinstance(size, int) and isinstance(k, int) and k > size:
        raise call.error(f"k is {k}, but axis {axis} has {size} elements")
    if is_host(x):
        order = np.take(_order(x, axis, bool(call.get("largest", 1))), np.arange(k), axis)
        return np.take_along_axis(x, order, axis), order.astype(np.int64)
    moved = ops.moveaxis(x, axis, -1)
    if call.get("largest", 1) and isinstance(k, int):
        values, places = ops.top_k(moved, k)
    else:
        if call.get("largest", 1):
            raise DataDependentError(f"{call.node}: how many of the largest elements it finds depends on the data.")
        order = ops.getitem(ops.argsort(moved, -1), (..., slice(0, k)))
        values, places = ops.take_along_axis(moved, order, -1), order
    return ops.moveaxis(values, -1, axis), ops.cast(ops.moveaxis(places, -1, axis), "int64")


def _order(x: np.ndarray, axis: int, largest: bool) -> np.ndarray:
    """The order of elements, equal ones by their places."""
    if not largest:
        return np.argsort(x, axis, kind="stable")
    turned = np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
    return x.shape[axis] - 1 - turned


# -- sizes that depend on values -------------------------------------------------------------------


@operator("NonZero", host=True)
def _non_zero(call: Call, x: Any) -> Any:
    if is_host(x):
        return np.stack(np.nonzero(x)).astype(np.int64) if x.ndim else np.zeros((0, int(x != 0)), np.int64)
    return ops.cast(ops.stack(list(ops.nonzero(x))), "int64")


@operator("Compress", host=True)
def _compress(call: Call, x: Any, condition: Any) -> Any:
    chosen = np.flatnonzero(call.array(condition, "the condition")).astype(np.int64)
    if not call.has("axis"):
        return call.ops.take(call.ops.reshape(x, (-1,)), chosen, 0)
    return call.ops.take(x, chosen, call.axis(call.get("axis"), rank_of(x)))


@operator("Unique", host=True)
def _unique(call: Call, x: Any) -> Any:
    array = on_host(x, f"{call.node}: the input")
    axis = call.get("axis")
    values, first, inverse, counts = _distinct(array, axis, bool(call.get("sorted", 1)))
    return (enter(values), first, inverse, counts)


@operator("Unique", domain=MICROSOFT, host=True)
def _unique_in_order(call: Call, x: Any) -> Any:
    values, _, inverse, counts = _distinct(on_host(x, f"{call.node}: the input"), None, False)
    return (enter(values), inverse, counts)


def _distinct(array: np.ndarray, axis: int | None, in_order: bool) -> tuple[np.ndarray, ...]:
    """Distinct values, sorted or as they come first; where they come first; which one each element is; how many."""
    values, first, inverse, counts = np.unique(array, True, True, True, axis=axis)
    inverse = inverse.reshape(-1)
    if not in_order:
        order = np.argsort(first, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        values, first = np.take(values, order, axis or 0), first[order]
        inverse, counts = rank[inverse], counts[order]
    return values, first.astype(np.int64), inverse.astype(np.int64), counts.astype(np.int64)


@operator("ArrayFeatureExtractor", domain="ai.onnx.ml")
def _array_feature_extractor(call: Call, x: Any, places: Any) -> Any:
    x = ops.expand_dims(x, 0) if rank_of(x) == 1 else x
    return ops.take(x, ops.reshape(places, (-1,)), rank_of(x) - 1)
