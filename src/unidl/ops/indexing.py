"""Picking elements by their places."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.graph.symbolic import Dim
from unidl.ops._bind import dtype_of, host_array
from unidl.ops._declare import (
    Tensor,
    Tensors,
    TensorSpec,
    axis_index,
    broadcast,
    composite,
    need_dtype,
    primitive,
    require,
)

_BASIC = frozenset({int, slice, type(None), type(Ellipsis), Dim})


def getitem(x: Any, key: Any) -> Any:
    """``x[key]`` as in NumPy.

    Args:
        key: ints, slices (negative steps too), ``...``, None, integer tensors, arrays and lists, or boolean masks, or
            a tuple of these. Several index arrays broadcast together; their dimensions come first in the result if a
            slice, ``...`` or None stands between them, and in their place otherwise. A mask stands for the indices of
            its true elements, so that the size of the result depends on its values.

    Example:
        >>> from unidl import ops
        >>> x = ops.array([[1, 2, 3], [4, 5, 6]])
        >>> print(ops.convert_to_numpy(ops.getitem(x, (slice(None), -1))))
        [3 6]
        >>> print(ops.convert_to_numpy(ops.getitem(x, (..., [0, 2]))))
        [[1 3]
         [4 6]]
    """
    keys = key if type(key) is tuple else (key,)
    if all(type(k) in _BASIC for k in keys):
        return _getitem(x, key)
    plain: list[Any] = []
    arrays: list[Any] = []
    for k in keys:
        if type(k) in _BASIC:
            plain.append(k)
        elif hasattr(k, "__index__") and not ops.is_tensor(k) and not isinstance(k, (bool, np.ndarray)):
            plain.append(int(k))
        else:
            plain.append("array")
            arrays.append(_array(k))
    if not arrays:
        return _getitem(x, tuple(plain) if type(key) is tuple else plain[0])
    if any(_rank_of_mask(a) is not None for a in arrays):
        plain, arrays = _without_masks(x, plain, arrays)
    return _index(x, arrays, tuple(plain))


def _array(k: Any) -> Any:
    """An index of a key as a tensor or array; lists of nothing hold integers."""
    if ops.is_tensor(k):
        return k
    array = host_array(k)
    return array.astype("int32") if array.size == 0 and isinstance(k, (list, tuple)) else array


def _rank_of_mask(k: Any) -> int | None:
    return len(k.shape) if dtype_of(k) == "bool" else None


def _without_masks(x: Any, plain: list[Any], arrays: list[Any]) -> tuple[list[Any], list[Any]]:
    """The key with each mask replaced by the indices of its true elements along the dimensions that it covers."""
    shape, rank = ops.shape(x), len(ops.shape(x))
    covered = [1 if r is None else r for r in map(_rank_of_mask, arrays)]
    used = sum(covered) + sum(k is not None and k is not Ellipsis and k != "array" for k in plain)
    require(used <= rank, f"getitem: the key has {used} indices for {rank} dimensions.")
    keys: list[Any] = []
    found: list[Any] = []
    axis, left = 0, list(arrays)
    for k in plain:
        if k is Ellipsis:
            axis += rank - used
        elif k is not None and k != "array":
            axis += 1
        if k != "array":
            keys.append(k)
            continue
        array = left.pop(0)
        dims = _rank_of_mask(array)
        if dims is None:
            keys.append(k)
            found.append(array)
            axis += 1
            continue
        for i, (have, size) in enumerate(zip(array.shape, shape[axis : axis + dims], strict=True)):
            fits = have is None or isinstance(size, Dim) or have == size
            message = f"a mask of shape {list(array.shape)} does not fit dimension {axis + i} of size {size}"
            require(fits, f"getitem: {message}.")
        if dims == 0:  # a new dimension, of which there is one element or none
            keys.append("new")
            found.append(np.zeros(int(bool(array)), "int32"))
        else:
            keys += ["array"] * dims
            found += np.nonzero(array) if isinstance(array, np.ndarray) else ops.nonzero(array)
        axis += dims
    return keys, [f.astype("int32") if isinstance(f, np.ndarray) and f.dtype == "int64" else f for f in found]


get_item = getitem


@primitive(name="getitem")
def _getitem(x: Tensor, key: Any) -> Tensor:
    """``x[key]`` for a key of ints, slices, ``...`` and None, as in NumPy."""
    return TensorSpec(_indexed(x.shape, key), x.dtype)


def _indexed(have: tuple[int | None, ...], key: Any) -> tuple[int | None, ...]:
    dims: list[int | None] = []
    axis = 0
    for k in _complete(key if isinstance(key, tuple) else (key,), len(have)):
        if k is None:
            dims.append(1)
            continue
        n = have[axis]
        if isinstance(k, slice):
            require(k.step != 0, "the step of a slice is 0.")
            dims.append(_slice_size(n, k))
        elif not isinstance(k, Dim):
            _in_range(k, axis, n)
        axis += 1
    return tuple(dims)


def _complete(items: tuple[Any, ...], rank: int) -> list[Any]:
    """A key with ``...`` written out, so that every dimension has its index."""
    dots = [i for i, k in enumerate(items) if k is Ellipsis]
    require(len(dots) <= 1, "the key has more than one `...`.")
    used = sum(1 for k in items if k is not None and k is not Ellipsis and k != "new")
    require(used <= rank, f"the key has {used} indices for {rank} dimensions.")
    place = dots[0] if dots else len(items)
    return [*items[:place], *[slice(None)] * (rank - used), *items[place + 1 :]]


def _in_range(k: int, axis: int, n: int | None) -> None:
    require(n is None or -n <= k < n, f"index {k} is out of range for dimension {axis} of size {n}.")


def _slice_size(n: int | None, k: slice) -> int | None:
    if n is None or any(isinstance(p, Dim) for p in (k.start, k.stop, k.step)):
        return None
    return len(range(*k.indices(n)))


@composite(name="index")
def _index(x: Tensor, indices: Tensors, key: tuple[Any, ...]) -> Tensor:
    """``x[key]`` where `key` holds "array" in place of each of the integer tensors `indices`.

    "new" in place of one that stands for a mask without dimensions: it picks from a new dimension.
    """
    for i, index in enumerate(indices):
        need_dtype(index, f"array {i} of the key", "integer")
    items, left = _complete(key, len(x.shape)), list(indices)
    require(sum(isinstance(k, str) for k in items) == len(left), f"the key {key} has not {len(left)} arrays.")
    basic: list[Any] = []
    axes: list[int] = []
    picks: list[Any] = []
    axis = 0
    for k in items:
        if isinstance(k, (str, int)):
            if isinstance(k, int):
                _in_range(k, axis, x.shape[axis])
            axes.append(len(basic))
            picks.append(k if isinstance(k, int) else left.pop(0))
        basic.append(k if k is None or isinstance(k, slice) else None if k == "new" else slice(None))
        axis += k is not None and k != "new"
    if any(k != slice(None) for k in basic):
        x = ops.getitem(x, tuple(basic))
    if len(axes) == 1:
        return ops.take(x, picks[0], axes[0])
    together = axes == list(range(axes[0], axes[-1] + 1)) and not _dots_between(key)
    rest = [a for a in range(len(x.shape)) if a not in axes]
    places = ops.stack(_broadcast_together(picks), -1)
    found = ops.gather_nd(ops.transpose(x, (*axes, *rest)) if axes + rest != sorted(axes + rest) else x, places)
    count = len(places.shape) - 1
    if not together or axes[0] == 0:
        return found
    before = range(count, count + axes[0])
    return ops.transpose(found, (*before, *range(count), *range(count + axes[0], count + len(rest))))


def _dots_between(key: tuple[Any, ...]) -> bool:
    """Whether ``...`` stands between two index arrays, if only for no dimensions."""
    picks = [i for i, k in enumerate(key) if isinstance(k, (str, int))]
    return Ellipsis in key and picks[0] < key.index(Ellipsis) < picks[-1]


def _broadcast_together(picks: list[Any]) -> list[Any]:
    """Integers and integer tensors in one shape."""
    shapes = [() if isinstance(p, int) else tuple(p.shape) for p in picks]
    common = broadcast(*shapes)
    if None not in common:
        return [ops.broadcast_to(p, common) for p in picks]
    zero: Any = 0
    for p in picks:
        zero = ops.add(zero, ops.multiply(p, 0))
    return [ops.add(p, zero) for p in picks]


@primitive
def take(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    """Slices of `x` at integer `indices` along `axis` (None: elements of the flattened tensor).

    The dimension `axis` is replaced by the shape of `indices`. Negative indices count from the end. An index out of
    range is an error where the engine checks it (eager NumPy, PyTorch and TensorFlow) and undefined elsewhere;
    `Embedding` layers check at the data instead.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.take([[1, 2, 3], [4, 5, 6]], [0, -1], 1)))
        [[1 3]
         [4 6]]
    """
    _integers(indices)
    if axis is None:
        return TensorSpec(indices.shape, x.dtype)
    a = axis_index(axis, len(x.shape))
    return TensorSpec((*x.shape[:a], *indices.shape, *x.shape[a + 1 :]), x.dtype)


def _integers(indices: Any) -> None:
    require("int" in indices.dtype, f"`indices` must be integers, not {indices.dtype}.")


@primitive
def take_along_axis(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    """Elements of `x` at `indices` along `axis`; the other dimensions of the two broadcast.

    `axis` None: elements of the flattened tensor, at one-dimensional `indices`. Negative indices count from the end.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.take_along_axis([[1, 2, 3], [4, 5, 6]], [[0], [-1]], 1)))
        [[1]
         [6]]
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


@composite(promote="choicelist default")
def select(condlist: Tensors, choicelist: Tensors, default: Tensor = 0) -> Tensor:
    """The elements of the first of `choicelist` whose condition in `condlist` is true, of `default` where none is.

    All of them broadcast together.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.select([[True, False, False], [True, True, False]], [1, 2], 3)))
        [1 2 3]
    """
    count = len(condlist)
    require(count > 0, "`condlist` is empty.")
    require(count == len(choicelist), f"`condlist` has {count} tensors, `choicelist` {len(choicelist)}.")
    for i, condition in enumerate(condlist):
        need_dtype(condition, f"condition {i} of condlist", "bool")
    result = default
    for condition, choice in zip(reversed(list(condlist)), reversed(list(choicelist)), strict=True):
        result = ops.where(condition, choice, result)
    return result


__all__ = ["getitem", "get_item", "select", "take", "take_along_axis"]
