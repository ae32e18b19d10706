"""Picking elements by their places."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.graph.symbolic import Dim, SymbolicTensor
from unidl.ops._declare import (
    OpError,
    Tensor,
    TensorSpec,
    axis_index,
    broadcast,
    composite,
    primitive,
    require,
)


@primitive
def getitem(x: Tensor, key: Any) -> Tensor:
    """``x[key]`` for a key of ints, slices, ``...`` and None, as in NumPy; `take` picks by tensors."""
    return TensorSpec(_indexed(x.shape, key), x.dtype)


def _indexed(have: tuple[int | None, ...], key: Any) -> tuple[int | None, ...]:
    items = list(key) if isinstance(key, tuple) else [key]
    used = sum(1 for k in items if k is not None and k is not Ellipsis)
    require(items.count(Ellipsis) <= 1 if all(_plain(k) for k in items) else True, "the key has more than one `...`.")
    require(used <= len(have), f"the key {key} has {used} indices for {len(have)} dimensions.")
    place = next((i for i, k in enumerate(items) if k is Ellipsis), None)
    if place is None:
        items += [slice(None)] * (len(have) - used)
    else:
        items[place : place + 1] = [slice(None)] * (len(have) - used)
    dims: list[int | None] = []
    axis = 0
    for k in items:
        if k is None:
            dims.append(1)
            continue
        n = have[axis]
        if isinstance(k, slice):
            dims.append(_slice_size(n, k))
        elif isinstance(k, Dim):
            pass
        elif hasattr(k, "__index__") and _plain(k):
            require(n is None or -n <= int(k) < n, f"index {int(k)} is out of range for dimension {axis} of size {n}.")
        else:
            raise OpError(
                f"a key may hold ints, slices, `...` and None, not {type(k).__name__}; use ops.take for tensors."
            )
        axis += 1
    return tuple(dims)


def _plain(k: Any) -> bool:
    return not isinstance(k, SymbolicTensor) and not (hasattr(k, "shape") and getattr(k, "shape", ()) != ())


def _slice_size(n: int | None, k: slice) -> int | None:
    parts = (k.start, k.stop, k.step)
    if any(isinstance(p, Dim) for p in parts):
        return None
    if n is None:
        return None
    return len(range(*k.indices(n)))


@primitive
def take(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    """Slices of `x` at integer `indices` along `axis` (None: elements of the flattened tensor).

    The dimension `axis` is replaced by the shape of `indices`. Negative indices count from the
    end. An index out of range is an error where the engine checks it (eager NumPy and PyTorch) and
    undefined elsewhere; `Embedding` layers check at the data instead.
    """
    _integers(indices)
    if axis is None:
        return TensorSpec(indices.shape, x.dtype)
    a = axis_index(axis, len(x.shape))
    return TensorSpec((*x.shape[:a], *indices.shape, *x.shape[a + 1 :]), x.dtype)


@primitive
def take_along_axis(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    """Elements of `x` at `indices` along `axis`; the other dimensions of the two broadcast.

    `axis` None: elements of the flattened tensor, at one-dimensional `indices`. Indices count from 0.
    """
    _integers(indices)
    if axis is None:
        require(len(indices.shape) == 1, f"`indices` must have one dimension without `axis`, not {len(indices.shape)}.")
        return TensorSpec(indices.shape, x.dtype)
    rank = len(x.shape)
    require(len(indices.shape) == rank, f"`x` has {rank} dimensions, `indices` {len(indices.shape)}.")
    a = axis_index(axis, rank)
    rest = broadcast((*x.shape[:a], 1, *x.shape[a + 1 :]), (*indices.shape[:a], 1, *indices.shape[a + 1 :]))
    return TensorSpec((*rest[:a], indices.shape[a], *rest[a + 1 :]), x.dtype)


def _integers(indices: Any) -> None:
    require("int" in indices.dtype, f"`indices` must be integers, not {indices.dtype}.")


@composite
def one_hot(x: Tensor, num_classes: int, axis: int = -1, dtype: Any = None) -> Tensor:
    """Integers as vectors along a new `axis`, 1 at the integer's place and 0 elsewhere.

    Integers outside 0 … `num_classes` - 1 give all zeros.
    """
    from unidl.dtypes import floatx

    place = axis_index(axis, len(x.shape) + 1)
    classes = ops.reshape(ops.arange(num_classes, None, None, "int32"), (num_classes,) + (1,) * (len(x.shape) - place))
    return ops.cast(ops.equal(ops.expand_dims(ops.cast(x, "int32"), place), classes), dtype or floatx())


@composite
def tril(x: Tensor, k: int = 0) -> Tensor:
    """`x` with everything above the k-th diagonal of the last two dimensions set to 0."""
    return _triangle(x, k, upper=False)


@composite
def triu(x: Tensor, k: int = 0) -> Tensor:
    """`x` with everything below the k-th diagonal of the last two dimensions set to 0."""
    return _triangle(x, k, upper=True)


def _triangle(x: Any, k: int, upper: bool) -> Any:

    require(len(x.shape) >= 2, f"at least two dimensions are expected, not {len(x.shape)}.")
    sizes = ops.shape(x)
    rows, columns = ops.add(ops.expand_dims(ops.arange(sizes[-2]), 1), k), ops.expand_dims(ops.arange(sizes[-1]), 0)
    keep = ops.greater_equal(columns, rows) if upper else ops.less_equal(columns, rows)
    return ops.where(keep, x, ops.zeros_like(x))


__all__ = ["getitem", "take", "take_along_axis", "one_hot", "tril", "triu"]
