"""Repeating, turning over and turning round."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl import ops
from unidl.graph.symbolic import Dim
from unidl.ops._bind import host_array
from unidl.ops._declare import (
    OpError,
    Tensor,
    TensorSpec,
    axes_tuple,
    axis_index,
    composite,
    like,
    need_dtype,
    need_rank,
    primitive,
    require,
)
from unidl.ops.slicing import extent


def ints(value: Any, what: str, low: int | None = None, sizes: bool = False) -> list[Any]:
    """`value`, an int or a sequence of ints (an array too), as a list of ints; `sizes`: and of unknown sizes."""
    items = value.tolist() if isinstance(value, np.ndarray) else value
    items = list(items) if isinstance(items, (tuple, list)) else [items]
    for item in items:
        if sizes and isinstance(item, Dim):
            continue
        valid = hasattr(item, "__index__") and not isinstance(item, bool) and not isinstance(item, Dim)
        require(valid, f"`{what}` must be an int or a sequence of ints, not {value!r}.")
        require(low is None or item >= low, f"`{what}` must be at least {low}, not {value!r}.")
    return [i if isinstance(i, Dim) else int(i) for i in items]


@composite
def tile(x: Tensor, repeats: Any) -> Tensor:
    """`x` laid side by side `repeats` times along each dimension (missing leading ones count as 1).

    Args:
        repeats: an int, or a sequence of ints; sizes that are unknown while recording are ints, too.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.tile([1, 2], (2, 2))))
        [[1 2 1 2]
         [1 2 1 2]]
    """
    times = ints(repeats, "repeats", 0, sizes=True)
    rank = max(len(x.shape), len(times))
    times = [1] * (rank - len(times)) + times
    if rank > len(x.shape):
        x = ops.reshape(x, (1,) * (rank - len(x.shape)) + tuple(ops.shape(x)))
    for axis, n in enumerate(times):
        if isinstance(n, Dim):
            shape = tuple(ops.shape(x))
            wide = ops.broadcast_to(ops.expand_dims(x, axis), (*shape[:axis], n, *shape[axis:]))
            x = ops.reshape(wide, (*shape[:axis], n * shape[axis], *shape[axis + 1 :]))
        elif n == 0:
            x = ops.getitem(x, (slice(None),) * axis + (slice(0, 0),))
        elif n != 1:
            x = ops.concatenate([x] * n, axis)
    return x


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element of `x` `repeats` times in a row along `axis`; None: of the flattened tensor.

    Args:
        repeats: an int, or one int for each element along `axis`, as a sequence or a tensor. With a tensor that is
            recorded the size of the result is unknown.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.repeat([1, 2], 2)))
        [1 1 2 2]
        >>> print(ops.convert_to_numpy(ops.repeat([[1, 2]], [1, 3], 1)))
        [[1 2 2 2]]
    """
    if not ops.is_tensor(repeats) or isinstance(repeats, np.ndarray):
        if hasattr(repeats, "__index__") and not isinstance(repeats, np.ndarray):
            return _repeat(x, int(repeats), axis)
        return _repeat_counts(x, _counts(repeats), axis)
    if axis is None:
        x, axis = ops.ravel(x), 0
    return _repeat_each(x, repeats, axis)


def _counts(repeats: Any) -> tuple[int, ...]:
    array = host_array(repeats)
    valid = array.ndim <= 1 and (array.dtype.kind in "iu" or not array.size)
    require(valid, f"repeat: `repeats` must be an int or a list of ints, not {repeats!r}.")
    return tuple(int(n) for n in array.reshape(-1))


@primitive(name="repeat")
def _repeat(x: Tensor, repeats: int, axis: int | None = None) -> Tensor:
    """Each element of `x` `repeats` times in a row along `axis`; None: of the flattened tensor."""
    valid = isinstance(repeats, int) and not isinstance(repeats, bool) and repeats >= 0
    require(valid, f"`repeats` must be an int of at least 0, not {repeats!r}.")
    if axis is None:
        total = None if None in x.shape else math.prod(x.shape)
        return TensorSpec((None if total is None else total * repeats,), x.dtype)
    a = axis_index(axis, len(x.shape))
    return TensorSpec(tuple(d * repeats if i == a and d is not None else d for i, d in enumerate(x.shape)), x.dtype)


@composite(name="repeat_counts")
def _repeat_counts(x: Tensor, repeats: tuple[int, ...], axis: int | None = None) -> Tensor:
    """Each element of `x` along `axis` so many times in a row as its number in `repeats` says."""
    if axis is None:
        x, axis = ops.ravel(x), 0
    counts, a = ints(repeats, "repeats", 0), axis_index(axis, len(x.shape))
    if len(counts) == 1:
        return _repeat(x, counts[0], a)
    n = x.shape[a]
    require(n is None or n == len(counts), f"`repeats` has {len(counts)} numbers for dimension {a} of size {n}.")
    return ops.take(x, np.repeat(np.arange(len(counts), dtype="int32"), counts), a)


@primitive(name="repeat_each", checked=True)
def _repeat_each(x: Tensor, repeats: Tensor, axis: int) -> Tensor:
    """Each element of `x` along `axis` so many times in a row as its number in the tensor `repeats` says."""
    need_dtype(repeats, "repeats", "integer")
    need_rank(repeats, "repeats", 0, 1)
    a = axis_index(axis, len(x.shape))
    n, count = x.shape[a], 1 if not repeats.shape else repeats.shape[0]
    fits = n is None or count in (None, 1, n)
    require(fits, f"`repeats` has {count} numbers for dimension {a} of size {n}.")
    return TensorSpec((*x.shape[:a], None, *x.shape[a + 1 :]), x.dtype)


@primitive
def flip(x: Tensor, axis: Any = None) -> Tensor:
    """`x` in reversed order along `axis` (an int, a tuple, or None for all).

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.flip([1, 2, 3])))
        [3 2 1]
    """
    axes_tuple(axis, len(x.shape))
    return like(x)


@composite
def fliplr(x: Tensor) -> Tensor:
    """`x` in reversed order along dimension 1.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.fliplr([[1, 2], [3, 4]])))
        [[2 1]
         [4 3]]
    """
    need_rank(x, "x", 2)
    return ops.flip(x, 1)


@composite
def flipud(x: Tensor) -> Tensor:
    """`x` in reversed order along dimension 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.flipud([[1, 2], [3, 4]])))
        [[3 4]
         [1 2]]
    """
    need_rank(x, "x", 1)
    return ops.flip(x, 0)


@composite
def rot90(array: Tensor, k: int = 1, axes: Any = (0, 1)) -> Tensor:
    """`array` turned `k` times by 90 degrees in the plane of `axes`, from the first towards the second.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.rot90([[1, 2], [3, 4]])))
        [[2 4]
         [1 3]]
    """
    need_rank(array, "array", 2)
    rank, turns = len(array.shape), ints(k, "k")
    require(len(turns) == 1, f"`k` must be an int, not {k!r}.")
    require(isinstance(axes, (tuple, list)) and len(axes) == 2, f"`axes` must be two ints, not {axes!r}.")
    a, b = (axis_index(i, rank, "axes") for i in axes)
    require(a != b, f"`axes` {axes} name one dimension twice.")
    times = turns[0] % 4
    if times == 0:
        return array
    if times == 2:
        return ops.flip(array, (a, b))
    if times == 1:
        return ops.swapaxes(ops.flip(array, b), a, b)
    return ops.flip(ops.swapaxes(array, a, b), b)


@composite
def roll(x: Tensor, shift: Any, axis: Any = None) -> Tensor:
    """`x` moved by `shift` places along `axis`, what leaves at the end coming in at the start.

    Args:
        shift, axis: ints or tuples that broadcast together; shifts of the same axis add up. `axis` None: the
            flattened tensor is moved.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.roll([1, 2, 3], 1)))
        [3 1 2]
    """
    shifts = ints(shift, "shift")
    if axis is None:
        return ops.reshape(roll(ops.ravel(x), sum(shifts), 0), ops.shape(x))
    axes = [axis_index(a, len(x.shape)) for a in (axis if isinstance(axis, (tuple, list)) else [axis])]
    if len(shifts) != len(axes):
        if 1 not in (len(shifts), len(axes)):
            raise OpError(f"`shift` {shift} and `axis` {axis} differ in length.")
        shifts, axes = shifts * len(axes), axes * len(shifts)
    total: dict[int, int] = {}
    for places, a in zip(shifts, axes, strict=True):
        total[a] = total.get(a, 0) + places
    for a, places in total.items():
        x = _rolled(x, places, a)
    return x


def _rolled(x: Any, shift: int, axis: int) -> Any:
    n = ops.shape(x)[axis]
    if isinstance(n, Dim):
        places = ops.mod(ops.subtract(ops.arange(n), shift), ops.maximum(extent(n), 1))
        return ops.take(x, places, axis)
    cut = (-shift) % n if n else 0
    if cut == 0:
        return x
    front = (slice(None),) * axis
    parts = [ops.getitem(x, (*front, slice(cut, None))), ops.getitem(x, (*front, slice(None, cut)))]
    return ops.concatenate(parts, axis)


__all__ = ["tile", "repeat", "flip", "fliplr", "flipud", "rot90", "roll"]
