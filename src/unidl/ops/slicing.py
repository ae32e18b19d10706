"""Cutting out and overwriting a block whose place may be a tensor."""

from __future__ import annotations

from builtins import slice as span
from typing import Any

from unidl import ops
from unidl.graph.symbolic import Dim
from unidl.ops._bind import dtype_of
from unidl.ops._declare import OpError, Tensor, composite, need_dtype, require
from unidl.ops.creation import static_shape


def slice(inputs: Any, start_indices: Any, shape: Any) -> Any:
    """The block of `shape` in `inputs` that starts at `start_indices`.

    Args:
        start_indices: one int for each dimension of `inputs`, also as a tensor or with tensors among them. Negative
            ones count from the end. A block that would stick out is moved back to where it fits.
        shape: one size for each dimension; with ints as starts, -1 stands for all that follows.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.slice([[1, 2, 3], [4, 5, 6]], (0, 1), (2, 2))))
        [[2 3]
         [5 6]]
    """
    fixed = _fixed(start_indices)
    if fixed is None:
        return _dynamic_slice(inputs, _one_tensor(start_indices), shape)
    return _slice(inputs, fixed, shape)


def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Any:
    """`inputs` with the block that starts at `start_indices` replaced by `updates` (cast to the dtype of `inputs`).

    `start_indices` are those of `slice`: a block that would stick out is moved back to where it fits.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.slice_update([1, 2, 3, 4], (1,), [7, 8])))
        [1 7 8 4]
    """
    fixed = _fixed(start_indices)
    if fixed is None:
        return _dynamic_slice_update(inputs, _one_tensor(start_indices), updates)
    return _slice_update(inputs, fixed, updates)


def _fixed(starts: Any) -> tuple[Any, ...] | None:
    """`starts` as a tuple of ints if no tensor is among them."""
    if hasattr(starts, "tolist") and type(starts).__module__ == "numpy":
        starts = starts.tolist()
    if not isinstance(starts, (tuple, list)):
        return None
    if any(ops.is_tensor(s) or isinstance(s, Dim) or not hasattr(s, "__index__") for s in starts):
        return None
    return tuple(int(s) for s in starts)


def _one_tensor(starts: Any) -> Any:
    if not isinstance(starts, (tuple, list)):
        return starts
    return ops.stack([ops.reshape(extent(s), ()) for s in starts]) if len(starts) else ops.zeros((0,), "int32")


def extent(n: Any) -> Any:
    """A size as a number or, if it is not known while recording, as an int32 scalar tensor."""
    return ops.sum(ops.ones((n,), "int32")) if isinstance(n, Dim) else n


@composite(name="slice")
def _slice(inputs: Tensor, start_indices: Any, shape: Any) -> Tensor:
    """The block of `shape` in `inputs` that starts at the ints `start_indices`."""
    sizes = _sizes(inputs, shape, "shape", rest=True)
    _as_many(start_indices, len(sizes))
    whole = ops.shape(inputs)
    key: list[Any] = []
    for axis, (start, size, n) in enumerate(zip(start_indices, sizes, whole, strict=True)):
        if not isinstance(n, Dim):
            start = max(start + n if start < 0 else start, 0)
            size = max(n - start, 0) if size == -1 else size
            start = min(start, n - size)
            key.append(span(start, start + size))
        elif size == -1:
            key.append(span(start, None))
        else:
            key.append(span(None))
            inputs = ops.take(inputs, _places(start, size, n), axis)
    return ops.getitem(inputs, tuple(key)) if key else inputs


@composite(name="dynamic_slice")
def _dynamic_slice(inputs: Tensor, start_indices: Tensor, shape: Any) -> Tensor:
    """The block of `shape` in `inputs` that starts at the places that the tensor `start_indices` holds."""
    sizes = _sizes(inputs, shape, "shape")
    _need_starts(start_indices, len(sizes))
    for axis, (size, n) in enumerate(zip(sizes, ops.shape(inputs), strict=True)):
        if isinstance(n, Dim) or size != n:
            inputs = ops.take(inputs, _places(ops.getitem(start_indices, axis), size, n), axis)
    return inputs


def _start(start: Any, size: Any, n: Any) -> Any:
    """Where a block of `size` that is to start at `start` starts in a dimension of `n`, so that it fits."""
    start, room = ops.cast(start, "int32"), extent(n)
    start = ops.where(ops.less(start, 0), ops.add(start, room), start)
    return ops.maximum(ops.minimum(start, ops.subtract(room, extent(size))), 0)


def _places(start: Any, size: int, n: Any) -> Any:
    """The indices of a block."""
    return ops.add(ops.arange(size, None, None, "int32"), _start(start, size, n))


def _sizes(inputs: Any, shape: Any, what: str, rest: bool = False) -> tuple[Any, ...]:
    """The sizes of a block, checked against `inputs`; with `rest` some may be -1."""
    sizes, have = static_shape(shape), tuple(inputs.shape)
    require(
        len(sizes) == len(have),
        f"`{what}` gives {len(sizes)} sizes {list(sizes)}; `inputs` has {len(have)} dimensions (shape {list(have)}).",
    )
    for size, n in zip(sizes, have, strict=True):
        if size == -1 and not rest and what == "shape":
            raise OpError("`shape` holds -1, which can only be known if the starts are ints.")
        require(size is None or size >= (-1 if rest else 0), f"`{what}` has a negative size: {list(sizes)}.")
        fits = size is None or n is None or size <= n
        require(fits, f"a block of shape {list(sizes)} does not fit into shape {list(have)}.")
    return sizes


def _as_many(starts: tuple[int, ...], rank: int) -> None:
    require(len(starts) == rank, f"`start_indices` has {len(starts)} numbers for {rank} dimensions.")


def _need_starts(starts: Any, rank: int) -> None:
    need_dtype(starts, "start_indices", "integer")
    have = tuple(starts.shape)
    require(
        len(have) == 1 and have[0] in (None, rank),
        f"`start_indices` has shape {list(have)}; one integer for each of {rank} dimensions is expected.",
    )


@composite(name="slice_update")
def _slice_update(inputs: Tensor, start_indices: Any, updates: Tensor) -> Tensor:
    """`inputs` with the block that starts at the ints `start_indices` replaced by `updates`."""
    sizes = _sizes(inputs, ops.shape(updates), "updates")
    _as_many(start_indices, len(sizes))
    updates = ops.cast(updates, dtype_of(inputs))
    if None in tuple(inputs.shape) or None in sizes:
        starts = ops.convert_to_tensor(list(start_indices), "int32")
        return _dynamic_slice_update(inputs, starts, updates) if sizes else updates
    starts = []
    for start, size, n in zip(start_indices, sizes, inputs.shape, strict=True):
        starts.append(min(max(start + n if start < 0 else start, 0), n - size))
    return _put(inputs, updates, starts, sizes, 0)


def _put(x: Any, new: Any, starts: list[int], sizes: tuple[int, ...], axis: int) -> Any:
    """`x` with `new` at `starts`, joined from the parts before, inside and after it along each axis in turn."""
    if axis == len(sizes):
        return new
    front, start, end, n = (span(None),) * axis, starts[axis], starts[axis] + sizes[axis], x.shape[axis]
    if start == end:
        return x
    middle = ops.getitem(x, (*front, span(start, end))) if axis + 1 < len(sizes) else x
    parts = [_put(middle, new, starts, sizes, axis + 1)]
    if start:
        parts.insert(0, ops.getitem(x, (*front, span(0, start))))
    if end < n:
        parts.append(ops.getitem(x, (*front, span(end, None))))
    return ops.concatenate(parts, axis) if len(parts) > 1 else parts[0]


@composite(name="dynamic_slice_update")
def _dynamic_slice_update(inputs: Tensor, start_indices: Tensor, updates: Tensor) -> Tensor:
    """`inputs` with the block at the places that the tensor `start_indices` holds replaced by `updates`."""
    sizes = _sizes(inputs, ops.shape(updates), "updates")
    _need_starts(start_indices, len(sizes))
    rank = len(sizes)
    if 0 in sizes:
        return inputs
    inside: Any = None
    updates = ops.cast(updates, dtype_of(inputs))
    for axis, (size, n) in enumerate(zip(ops.shape(updates), ops.shape(inputs), strict=True)):
        if not isinstance(n, Dim) and not isinstance(size, Dim) and size == n:
            continue
        first = _start(ops.getitem(start_indices, axis), size, n)
        # Where each element of `inputs` would be in the block; outside of it anything will do.
        place = ops.subtract(ops.arange(n, None, None, "int32"), first)
        room = extent(size)
        here = ops.logical_and(ops.greater_equal(place, 0), ops.less(place, room))
        here = ops.reshape(here, (-1,) + (1,) * (rank - 1 - axis))
        inside = here if inside is None else ops.logical_and(inside, here)
        if isinstance(size, Dim):  # which may turn out to be 0: then there is still something to take
            updates = ops.pad(updates, tuple((0, int(i == axis)) for i in range(rank)))
        updates = ops.take(updates, ops.maximum(ops.minimum(place, ops.subtract(room, 1)), 0), axis)
    return updates if inside is None else ops.where(inside, updates, inputs)


__all__ = ["slice", "slice_update"]
