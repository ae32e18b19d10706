"""Sorting and searching."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.ops._bind import dtype_of
from unidl.ops._declare import (
    Tensor,
    TensorSpec,
    axis_index,
    composite,
    like,
    need_dtype,
    need_rank,
    primitive,
    require,
    same_dim,
)
from unidl.ops.statistics import number


def _sorted(x: Any, axis: Any, dtype: str) -> TensorSpec:
    need_dtype(x, "x", "real")
    if axis is None:
        return TensorSpec((None if None in x.shape else math.prod(x.shape),), dtype)
    axis_index(axis, len(x.shape))
    return like(x, dtype)


@primitive(checked=True)
def sort(x: Tensor, axis: int | None = -1) -> Tensor:
    """`x` in ascending order along `axis` (None: flattened); NaN last.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.sort([[3, 1, 2], [6, 5, 4]])))
        [[1 2 3]
         [4 5 6]]
    """
    return _sorted(x, axis, x.dtype)


@primitive(checked=True)
def argsort(x: Tensor, axis: int | None = -1) -> Tensor:
    """The int32 indices that sort `x` along `axis` (None: flattened); equal elements keep their order.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.argsort([3, 1, 2, 1])))
        [1 3 2 0]
    """
    return _sorted(x, axis, "int32")


@composite
def argpartition(x: Tensor, kth: Any, axis: int | None = -1) -> Tensor:
    """int32 indices that put the `kth` smallest element along `axis` (None: flattened) in its place.

    What is smaller comes before it, what is larger after. `kth` may be a sequence of ints.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.argpartition([5, 3, 9], 1))[1])
        0
    """
    places = kth if isinstance(kth, (tuple, list)) else [kth]
    shape = tuple(x.shape)
    n = (None if None in shape else math.prod(shape)) if axis is None else shape[axis_index(axis, len(shape))]
    for k in places:
        require(
            hasattr(k, "__index__") and (n is None or -n <= int(k) < n),
            f"`kth` is {k!r}; ints from {'-n to n - 1' if n is None else f'{-n} to {n - 1}'} are expected.",
        )
    return ops.argsort(x, axis)


@primitive
def top_k(x: Tensor, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The `k` largest elements along the last dimension and their int32 indices, largest first.

    Of equal elements that with the lower index comes first; NaN counts as the largest.

    Example:
        >>> from unidl import ops
        >>> values, indices = ops.top_k([5, 9, 7, 9], 3)
        >>> print(ops.convert_to_numpy(values), ops.convert_to_numpy(indices))
        [9 9 7] [1 3 2]
    """
    need_dtype(x, "x", "real")
    need_rank(x, "x", 1)
    n = x.shape[-1]
    require(
        isinstance(k, int) and not isinstance(k, bool) and k >= 0 and (n is None or k <= n),
        f"`k` is {k!r}, but the last dimension has size {n}.",
    )
    return (TensorSpec((*x.shape[:-1], k), x.dtype), TensorSpec((*x.shape[:-1], k), "int32"))


@composite
def in_top_k(targets: Tensor, predictions: Tensor, k: int) -> Tensor:
    """Whether fewer than `k` predictions of a row are larger than that of its target.

    Args:
        targets: integers (batch,): a class for each row. One out of range is never among the best.
        predictions: numbers (batch, classes). Where that of the target is NaN the answer is False.
        k: how many predictions count.

    Returns:
        Bools (batch,).

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.in_top_k([2, 0], [[0.1, 0.4, 0.6], [0.1, 0.7, 0.9]], k=2)))
        [ True False]
    """
    need_dtype(targets, "targets", "integer")
    need_dtype(predictions, "predictions", "real")
    need_rank(predictions, "predictions", 1)
    need_rank(targets, "targets", len(predictions.shape) - 1, len(predictions.shape) - 1)
    for a, b in zip(targets.shape, predictions.shape[:-1], strict=True):
        same_dim(a, b, "the sizes of `targets` and `predictions`")
    require(isinstance(k, int), f"`k` is {k!r}; an int is expected.")
    classes = ops.shape(predictions)[-1]
    if isinstance(classes, int) and classes == 0:
        return ops.zeros(ops.shape(targets), "bool")
    last = ops.cast(number(classes - 1, "int32"), dtype_of(targets))
    inside = ops.logical_and(ops.greater_equal(targets, 0), ops.less_equal(targets, last))
    places = ops.cast(ops.where(inside, targets, ops.zeros_like(targets)), "int32")
    own = ops.take_along_axis(predictions, ops.expand_dims(places, -1), -1)
    larger = ops.sum(ops.cast(ops.greater(predictions, own), "int32"), -1)
    known = ops.logical_not(ops.isnan(ops.squeeze(own, -1)))
    return ops.logical_and(ops.logical_and(inside, known), ops.less(larger, k))


# -- searching -------------------------------------------------------------------------------------


@composite(promote="sorted_sequence values")
def searchsorted(sorted_sequence: Tensor, values: Tensor, side: str = "left") -> Tensor:
    """Where `values` would have to be put into `sorted_sequence` to keep it sorted.

    Args:
        sorted_sequence: one dimension, ascending (NaN last).
        values: of any shape.
        side: "left": before elements equal to the value; "right": after them.

    Returns:
        int32 indices in the shape of `values`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.searchsorted([1, 2, 2, 4], [0, 2, 5])))
        [0 1 4]
        >>> print(ops.convert_to_numpy(ops.searchsorted([1, 2, 2, 4], [0, 2, 5], side="right")))
        [0 3 4]
    """
    need_rank(sorted_sequence, "sorted_sequence", 1, 1)
    need_dtype(sorted_sequence, "sorted_sequence", "real")
    require(side in ("left", "right"), f"`side` is {side!r}; 'left' or 'right' is expected.")
    flat = ops.reshape(values, (-1,))
    n, m = ops.shape(sorted_sequence)[0], ops.shape(flat)[0]
    # Both are sorted together. How many of the sequence stand before a value is then a running count.
    parts = [flat, sorted_sequence] if side == "left" else [sorted_sequence, flat]
    order = ops.argsort(ops.concatenate(parts))
    is_value = ops.less(order, _as_index(m)) if side == "left" else ops.greater_equal(order, _as_index(n))
    before = ops.cumsum(ops.cast(ops.logical_not(is_value), "int32"))
    back = ops.argsort(order)
    own = ops.getitem(back, slice(None, m) if side == "left" else slice(n, None))
    return ops.reshape(ops.take(before, own), ops.shape(values))


def _as_index(size: Any) -> Any:
    return number(size, "int32")


@composite(promote="x bins")
def digitize(x: Tensor, bins: Tensor) -> Tensor:
    """The int32 index of the bin that each element of `x` lies in: ``bins[i - 1] <= x < bins[i]``.

    `bins` has one dimension and ascends. 0 is below the first, ``len(bins)`` from the last on, and for NaN.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.digitize([0.0, 1.0, 3.0, 9.0], [0.0, 3.0, 4.5])))
        [1 1 2 3]
    """
    need_rank(bins, "bins", 1, 1)
    need_dtype(bins, "bins", "real")
    return ops.searchsorted(bins, x, "right")


@composite(promote="x1 x2")
def isin(x1: Tensor, x2: Tensor, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element of `x1` stands in `x2`; NaN stands nowhere.

    Args:
        x1: what is looked for.
        x2: what is looked in, of any shape.
        assume_unique: permission to assume that no element comes twice. Nothing depends on it.
        invert: whether to tell what is not there instead.

    Returns:
        Bools in the shape of `x1`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.isin([0, 1, 2, 5], [0, 2])))
        [ True False  True False]
    """
    if dtype_of(x1).startswith("complex"):
        found = ops.any(ops.equal(ops.expand_dims(x1, -1), ops.reshape(x2, (-1,))), -1)
    else:
        ordered = ops.sort(ops.reshape(x2, (-1,)))
        first, after = ops.searchsorted(ordered, x1, "left"), ops.searchsorted(ordered, x1, "right")
        found = ops.logical_and(ops.less(first, after), ops.equal(x1, x1))
    return ops.logical_not(found) if invert else found


@primitive(checked=True)
def nonzero(x: Tensor) -> tuple[Tensor, ...]:
    """Where the elements stand that are not 0: one int32 tensor of places for each dimension, in row-major order.

    Example:
        >>> from unidl import ops
        >>> rows, columns = ops.nonzero([[0, 5], [7, 8]])
        >>> print(ops.convert_to_numpy(rows), ops.convert_to_numpy(columns))
        [0 1 1] [1 0 1]
    """
    need_rank(x, "x", 1)
    return tuple(TensorSpec((0 if 0 in x.shape else None,), "int32") for _ in x.shape)


@composite
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """Flat `indices` as coordinates in `shape`: one tensor for each dimension, in the dtype of `indices`.

    Negative indices count from the end.

    Example:
        >>> from unidl import ops
        >>> rows, columns = ops.unravel_index([5, 1, -1], (3, 3))
        >>> print(ops.convert_to_numpy(rows), ops.convert_to_numpy(columns))
        [1 0 2] [2 1 2]
    """
    need_dtype(indices, "indices", "integer")
    sizes = list(shape) if isinstance(shape, (tuple, list)) else [shape]
    places = []
    for size in reversed(sizes):
        require(
            not hasattr(size, "__index__") or not isinstance(size, int) or size > 0, f"`shape` {shape} has no places."
        )
        step = ops.cast(number(size, "int32"), dtype_of(indices))
        places.append(ops.mod(indices, step))
        indices = ops.floor_divide(indices, step)
    return tuple(reversed(places))


# -- unique elements -------------------------------------------------------------------------------


@composite
def unique(
    x: Tensor,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Tensor:
    """The different elements of `x`, ascending. Each NaN differs from all others.

    Args:
        x: real numbers or bools.
        sorted: permission to leave the result unsorted if False. It is sorted all the same.
        return_index, return_inverse, return_counts: what to return as well.
        axis: what is compared: the slices of `x` along it, in lexicographic order. None: the elements.
        size: how many there shall be: the rest is cut off, or what is missing filled up. With it the shapes of the
            results are known beforehand.
        fill_value: what to fill up with; None: 0.

    Returns:
        The elements, followed by what was asked for (all int32): where each one stands first (filled up with 1), the
        place of each element of `x` among them (in the shape of `x`, or along `axis`), how often each occurs (filled
        up with 0).

    Example:
        >>> from unidl import ops
        >>> values, counts = ops.unique([3, 1, 2, 1], return_counts=True)
        >>> print(ops.convert_to_numpy(values), ops.convert_to_numpy(counts))
        [1 2 3] [2 1 1]
        >>> print(ops.convert_to_numpy(ops.unique([3, 1, 2, 1], size=5)))
        [1 2 3 0 0]
    """
    need_dtype(x, "x", "real")
    require(
        size is None or (isinstance(size, int) and size >= 0), f"`size` is {size!r}; an int of at least 0 is expected."
    )
    items = x if axis is not None else ops.reshape(x, (-1,))
    axis_number = 0 if axis is None else axis_index(axis, len(x.shape))
    keys = items if len(items.shape) == 1 else _slice_ranks(items, axis_number)
    n = ops.shape(keys)[0]
    filler = 0 if fill_value is None else fill_value
    if size is not None and isinstance(n, int) and n == 0:
        sizes = list(ops.shape(items))
        sizes[axis_number] = size
        values, nothing = ops.full(sizes, filler, dtype_of(x)), ops.zeros((size,), "int32")
        inverse = ops.zeros(ops.shape(x) if axis is None else (0,), "int32")
        asked = (return_index, return_inverse, return_counts)
        more = [r for r, wanted in zip((ops.ones_like(nothing), inverse, nothing), asked, strict=True) if wanted]
        return (values, *more) if more else values
    order = ops.argsort(keys)
    places = ops.argsort(order) if return_inverse else None
    ordered = ops.take(keys, order)
    differs = ops.not_equal(ops.getitem(ordered, slice(1, None)), ops.getitem(ordered, slice(None, -1)))
    one = ops.ones_like(ops.getitem(order, slice(None, 1)), "bool")  # none where there are no elements
    new = ops.concatenate([one, differs])
    starts, ends = _runs(new, n, size)
    filled = None
    if size is not None:
        count = number(n, "int32")
        filled = ops.greater_equal(starts, count)
        # Places that are filled up take one more element, behind the others: there may be no others.
        row = list(ops.shape(items))
        row[axis_number] = 1
        items = ops.concatenate([items, ops.zeros(tuple(row), dtype_of(x))], axis_number)
        order = ops.concatenate([order, ops.reshape(ops.cast(count, dtype_of(order)), (1,))])
    first = ops.take(order, starts)
    values = ops.take(items, first, axis_number)
    if filled is not None:
        rest = ops.full_like(values, filler)
        shown = ops.reshape(filled, (-1,) + (1,) * (len(items.shape) - 1 - axis_number))
        values = ops.where(shown, rest, values)
        first = ops.where(filled, ops.ones_like(first), first)
    results = [values]
    if return_index:
        results.append(first)
    if return_inverse:
        group = ops.subtract(ops.cumsum(ops.cast(new, "int32")), 1)
        inverse = ops.take(group, places)
        results.append(ops.reshape(inverse, ops.shape(x)) if axis is None else inverse)
    if return_counts:
        counts = ops.subtract(ends, starts)
        results.append(counts if filled is None else ops.where(filled, ops.zeros_like(ends), counts))
    return tuple(results) if len(results) > 1 else values


def _runs(new: Any, n: Any, size: int | None) -> tuple[Any, Any]:
    """Where the runs of equal elements start and end (int32), of n elements of which `new` says where a run starts.

    With `size` there are so many: those too many are left out, those that are missing start at n.
    """
    if size is None:
        starts = ops.nonzero(new)[0]
        ends = ops.concatenate([ops.getitem(starts, slice(1, None)), _as_tensor(n)])
        return starts, ops.getitem(ends, slice(None, ops.shape(starts)[0]))
    group = ops.cumsum(ops.cast(new, "int32"))
    bounds = ops.searchsorted(group, ops.arange(1, size + 2, 1, "int32"), "left")
    return ops.getitem(bounds, slice(None, -1)), ops.getitem(bounds, slice(1, None))


def _as_tensor(size: Any) -> Any:
    return ops.reshape(ops.cast(number(size, "int32"), "int32"), (1,))


def _slice_ranks(x: Any, axis: int) -> Any:
    """An int for each slice of `x` along `axis`, in the slices' lexicographic order; equal ones for equal slices."""
    n = ops.shape(x)[axis]
    rows = ops.moveaxis(x, axis, 0)
    require(None not in rows.shape[1:], f"sizes other than along axis {axis} must be known, not {list(x.shape)}.")
    width = math.prod(rows.shape[1:])
    if width == 0:
        return ops.zeros((n,), "int32")
    ranks = _ranks(ops.reshape(rows, (n, width)))
    while width > 1:  # pairs of neighbouring columns become one
        half = width // 2
        rest = ops.getitem(ranks, (slice(None), slice(2 * half, None)))
        pairs = ops.reshape(ops.getitem(ranks, (slice(None), slice(None, 2 * half))), (n, half, 2))
        high, low = ops.getitem(pairs, (Ellipsis, 0)), ops.getitem(pairs, (Ellipsis, 1))
        joined = ops.add(
            ops.multiply(ops.cast(high, "int64"), ops.cast(number(n, "int32"), "int64")), ops.cast(low, "int64")
        )
        ranks = ops.concatenate([_ranks(joined), rest], 1)
        width -= half
    return ops.reshape(ranks, (n,))


def _ranks(columns: Any) -> Any:
    """The place of each element among the different elements of its column."""
    order = ops.argsort(columns, 0)
    ordered = ops.take_along_axis(columns, order, 0)
    differs = ops.not_equal(ops.getitem(ordered, slice(1, None)), ops.getitem(ordered, slice(None, -1)))
    first = ops.zeros_like(ops.getitem(order, slice(None, 1)))
    group = ops.cumsum(ops.concatenate([first, ops.cast(differs, "int32")]), 0)
    return ops.take_along_axis(group, ops.argsort(order, 0), 0)


__all__ = [
    "argpartition", "argsort", "digitize", "in_top_k", "isin", "nonzero", "searchsorted", "sort", "top_k", "unique",
    "unravel_index",
]  # fmt: skip
