"""Averages, order statistics, histograms and correlation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl import ops
from unidl.backend import active
from unidl.dtypes import to_float
from unidl.graph.symbolic import Dim, SymbolicTensor
from unidl.ops._bind import dtype_of
from unidl.ops._declare import (
    OpError,
    Tensor,
    TensorSpec,
    axes_tuple,
    axis_index,
    composite,
    need_dtype,
    need_rank,
    primitive,
    require,
    same_dim,
)
from unidl.ops._precision import wide
from unidl.ops.running import cut

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def number(size: Any, dtype: str) -> Any:
    """A size (an int or a `Dim`) as something to compute with in `dtype`."""
    return ops.sum(ops.ones((size,), dtype)) if isinstance(size, Dim) else size


@composite(promote="x weights", floating=True)
def average(x: Tensor, axis: Any = None, weights: Tensor | None = None) -> Tensor:
    """Weighted mean over `axis`: ``sum(x * weights) / sum(weights)``.

    Args:
        x: numbers.
        axis: an int, a tuple of ints, or None for all.
        weights: of the shape of `x`, or one dimension as long as `axis` (an int then). None: all equal.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.average([[0, 1], [2, 3]], axis=1, weights=[0.25, 0.75])))
        [0.75 2.75]
    """
    if weights is None:
        return ops.mean(x, axis)
    rank, kind = len(x.shape), dtype_of(x)
    if len(weights.shape) == rank:
        for i, (a, b) in enumerate(zip(x.shape, weights.shape, strict=True)):
            same_dim(a, b, f"sizes of `x` and `weights` in dimension {i}")
    else:
        require(
            isinstance(axis, int) and len(weights.shape) == 1,
            f"`weights` of shape {list(weights.shape)} fit neither `x` of shape {list(x.shape)} nor one `axis` of it.",
        )
        a = axis_index(axis, rank)
        same_dim(x.shape[a], weights.shape[0], f"the sizes of `x` along axis {a} and of `weights`")
        weights = ops.reshape(weights, (-1,) + (1,) * (rank - 1 - a))
    x, weights = wide(x), wide(weights)
    total = ops.sum(ops.broadcast_to(weights, ops.shape(x)), axis)
    return ops.cast(ops.divide(ops.sum(ops.multiply(x, weights), axis), total), kind)


# -- order statistics ------------------------------------------------------------------------------


@composite(promote="x", floating=True, name="quantile")
def _quantile(x: Tensor, q: Tensor, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """The values below which the shares `q` of the elements lie; see the public function."""
    return _shares(x, q, axis, method, keepdims, False)


@composite(promote="x", floating=True, name="nanquantile")
def _nanquantile(x: Tensor, q: Tensor, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Tensor:
    """The values below which the shares `q` of what is not NaN lie; see the public function."""
    return _shares(x, q, axis, method, keepdims, True)


def _shares(x: Any, q: Any, axis: Any, method: str, keepdims: bool, skip: bool) -> Any:
    need_dtype(x, "x", "real")
    need_dtype(q, "q", "real")
    require(method in _METHODS, f"`method` is {method!r}; one of {', '.join(_METHODS)} is expected.")
    rank, kind = len(x.shape), dtype_of(x)
    axes = axes_tuple(axis, rank)
    sizes = ops.shape(x)
    kept = [a for a in range(rank) if a not in axes]
    n: Any = 1
    for a in axes:
        n = n * sizes[a]
    lead = len(q.shape)
    shape = tuple(ops.shape(q)) + tuple(1 if a in axes else sizes[a] for a in (range(rank) if keepdims else kept))
    if isinstance(n, int) and n == 0:
        return ops.full(shape, math.nan, kind)
    ordered = ops.sort(ops.reshape(ops.transpose(x, (*kept, *axes)), (*(sizes[a] for a in kept), n)), -1)
    precise = "float64" if dtype_of(q) == "float64" else "float32"
    q = ops.reshape(ops.cast(q, precise), (-1,))
    if skip:
        count = ops.sum(ops.cast(ops.logical_not(ops.isnan(ordered)), "int32"), -1, True)
        last = ops.cast(ops.maximum(ops.subtract(count, 1), 0), precise)
    else:
        last = ops.subtract(ops.cast(number(n, "int32"), precise), 1)
    result = _between(ordered, ops.clip(ops.multiply(q, last), 0, last), method, skip)
    # One NaN makes the result NaN; if NaN is skipped, only nothing else does.
    lost = ops.equal(count, 0) if skip else ops.isnan(ops.getitem(ordered, (Ellipsis, slice(-1, None))))
    result = ops.where(lost, ops.full_like(result, math.nan), result)
    if lead or None in q.shape:
        result = ops.moveaxis(result, -1, 0)
    return ops.reshape(result, shape)


def _between(ordered: Any, place: Any, method: str, each: bool) -> Any:
    """What stands at fractional places along the last axis: one set of places for all, or one for `each`."""

    def at(index: Any) -> Any:
        index = ops.cast(index, "int32")
        return ops.take_along_axis(ordered, index, -1) if each else ops.take(ordered, index, -1)

    if method == "nearest":
        return at(ops.round(place))
    below, above = ops.floor(place), ops.ceil(place)
    if method in ("lower", "higher"):
        return at(below if method == "lower" else above)
    low, high = at(below), at(above)
    part = ops.cast(ops.subtract(place, below), dtype_of(ordered))
    if method == "midpoint":
        part = ops.multiply(ops.sign(part), 0.5)
    # Neither equal ends nor an end that does not count are multiplied: infinities would become NaN.
    alone = ops.logical_or(ops.equal(low, high), ops.equal(part, 0))
    low_part, high_part = ops.multiply(low, ops.subtract(1, part)), ops.multiply(high, part)
    return ops.where(alone, low, ops.add(low_part, high_part))


def _asked(q: Any, most: float) -> Any:
    """`q` as it is; Python numbers in float64, so that places are those that NumPy finds.

    Raises:
        OpError: if a number is not from 0 to `most`.
    """
    if isinstance(q, SymbolicTensor) or active.is_tensor(q) and not isinstance(q, np.ndarray):
        return q
    if isinstance(q, (list, tuple)) and any(isinstance(v, SymbolicTensor) or active.is_tensor(v) for v in q):
        return ops.stack(list(q))
    numbers = q if isinstance(q, np.ndarray) else np.asarray(q, "float64")
    require(bool(np.all((numbers >= 0) & (numbers <= most))), f"`q` is {q}; numbers from 0 to {most} are expected.")
    return numbers


def quantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """The values below which the shares `q` of the elements lie; NaN if any element is.

    Args:
        x: numbers; integers become the default float.
        q: shares from 0 to 1, of any shape.
        axis: an int, a tuple of ints, or None for all.
        method: what to take between two elements: "linear" interpolates, "lower", "higher" and "nearest" take one
            (of two equally near ones that with the even place), "midpoint" takes their mean.
        keepdims: whether the reduced dimensions stay, with size 1.

    Returns:
        The shape of `q`, followed by what is left of that of `x`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.quantile([[3.0, 1.0, 2.0], [4.0, 8.0, 6.0]], [0.5, 0.75], axis=1)))
        [[2.  6. ]
         [2.5 7. ]]
    """
    return _quantile(x, _asked(q, 1), axis, method, keepdims)


def nanquantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """`quantile` of what is not NaN; NaN where everything is.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.nanquantile([1.0, float("nan"), 4.0, 2.0], 0.5)))
        2.0
    """
    return _nanquantile(x, _asked(q, 1), axis, method, keepdims)


def _hundredths(q: Any) -> Any:
    q = _asked(q, 100)
    return np.divide(q, 100) if isinstance(q, np.ndarray) else ops.divide(q, 100)


def percentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """`quantile` with `q` from 0 to 100.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.percentile([3.0, 1.0, 2.0], [0, 75])))
        [1.  2.5]
    """
    return _quantile(x, _hundredths(q), axis, method, keepdims)


def nanpercentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """`nanquantile` with `q` from 0 to 100.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.nanpercentile([3.0, 1.0, float("nan")], 50)))
        2.0
    """
    return _nanquantile(x, _hundredths(q), axis, method, keepdims)


@composite(floating=True)
def median(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The middle one of the elements over `axis`, or the mean of the two middle ones; NaN if any element is.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.median([[3, 1, 2, 8], [4, 4, 6, 4]], axis=1)))
        [2.5 4. ]
    """
    return ops.quantile(x, 0.5, axis, "midpoint", keepdims)


@composite(floating=True)
def nanmedian(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """`median` of what is not NaN; NaN where everything is.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.nanmedian([[1.0, float("nan"), 3.0], [7.0, 2.0, 1.0]], axis=1)))
        [2. 2.]
    """
    return ops.nanquantile(x, 0.5, axis, "midpoint", keepdims)


# -- counting --------------------------------------------------------------------------------------


@primitive(checked=True)
def occurrences(x: Tensor, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, … stands in `x` (integers, one dimension), as int32.

    As many counts as the largest element needs, and at least `minlength`. Negative elements are not counted.

    Example:
        >>> from unidl import ops
        >>> from unidl.ops.statistics import occurrences
        >>> print(ops.convert_to_numpy(occurrences([1, 2, 2, -1])))
        [0 1 2]
    """
    need_dtype(x, "x", "integral")
    need_rank(x, "x", 1, 1)
    _check_length(minlength)
    return TensorSpec((minlength if x.shape[0] == 0 else None,), "int32")


def _check_length(minlength: Any) -> None:
    valid = isinstance(minlength, int) and not isinstance(minlength, bool) and minlength >= 0
    require(valid, f"`minlength` is {minlength}; an int of at least 0 is expected.")


@composite
def bincount(x: Tensor, weights: Tensor | None = None, minlength: int = 0, sparse: bool = False) -> Tensor:
    """How often each of 0, 1, 2, … stands in `x`, or the sum of the `weights` at its places.

    Args:
        x: integers, one dimension. Negative ones are not counted.
        weights: as many numbers as `x` has elements.
        minlength: how many counts there are at least.
        sparse: must be False: unidl's tensors are dense.

    Returns:
        As many counts as the largest element needs, int32; with `weights` in the common dtype of `x` and `weights`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.bincount([1, 2, 2, 3])))
        [0 1 2 1]
        >>> print(ops.convert_to_numpy(ops.bincount([1, 2, 2], weights=[0.5, 1.0, 2.0], minlength=4)))
        [0.  0.5 3.  0. ]
    """
    need_dtype(x, "x", "integral")
    need_rank(x, "x", 1, 1)
    _check_length(minlength)
    require(not sparse, "`sparse` is True, but unidl's tensors are dense.")
    if weights is None:
        return occurrences(x, minlength)
    need_rank(weights, "weights", 1, 1)
    same_dim(x.shape[0], weights.shape[0], "the sizes of `x` and `weights`")
    from unidl.dtypes import result_dtype

    kind = result_dtype(dtype_of(x), dtype_of(weights))
    kind = "int32" if kind == "bool" else kind
    size = ops.shape(occurrences(x, minlength))[0]
    return ops.segment_sum(ops.cast(weights, kind), ops.cast(x, "int32") if dtype_of(x) == "bool" else x, size)


@composite
def histogram(x: Tensor, bins: int = 10, range: Any = None) -> tuple[Tensor, Tensor]:
    """How many elements of `x` lie in each of `bins` equal parts of a range.

    Each part includes its lower edge, the last one both. What is outside, and NaN, is not counted.

    Args:
        x: numbers of any shape.
        bins: how many parts.
        range: lowest and highest edge, as a pair of numbers. None: minimum and maximum of `x` (0 and 1 without
            elements). If both are the same they are moved 0.5 away from each other.

    Returns:
        Counts (bins,) as int32, and edges (bins + 1,) in the dtype of `x` (integers: the default float).

    Example:
        >>> from unidl import ops
        >>> counts, edges = ops.histogram([1, 2, 2, 5], bins=2)
        >>> print(ops.convert_to_numpy(counts), ops.convert_to_numpy(edges))
        [3 1] [1. 3. 5.]
    """
    need_dtype(x, "x", "real")
    require(isinstance(bins, int) and bins > 0, f"`bins` is {bins!r}; a positive int is expected.")
    kind = dtype_of(x)
    values = ops.sort(ops.cast(ops.reshape(x, (-1,)), "float64"))
    if range is not None:
        low, high = _ends(range)
        edges = ops.linspace(low, high, bins + 1, dtype="float64")
    elif values.shape[0] == 0:
        edges = ops.linspace(0, 1, bins + 1, dtype="float64")
    else:
        first, last = ops.getitem(values, 0), ops.getitem(values, -1)
        apart = ops.where(ops.equal(first, last), ops.full_like(first, 0.5), ops.zeros_like(first))
        edges = ops.linspace(ops.subtract(first, apart), ops.add(last, apart), bins + 1)
    # Floats are compared with the edges as they are returned.
    shown = ops.cast(edges, to_float(kind))
    edges = ops.cast(shown, "float64") if to_float(kind) == kind else edges
    before = ops.searchsorted(values, cut(edges, 0, None, -1), "left")
    end = ops.searchsorted(values, cut(edges, 0, -1, None), "right")
    return ops.diff(ops.concatenate([before, end])), shown


def _ends(range: Any) -> tuple[float, float]:
    try:
        low, high = (float(v) for v in range)
    except (TypeError, ValueError):
        raise OpError(f"`range` is {range!r}; a pair of numbers is expected.") from None
    require(
        math.isfinite(low) and math.isfinite(high) and low <= high,
        f"`range` is ({low}, {high}); two finite numbers in ascending order are expected.",
    )
    return (low, high) if low < high else (low - 0.5, high + 0.5)


@composite(floating=True)
def corrcoef(x: Tensor) -> Tensor:
    """Pearson's correlation of the rows of `x` (variables, observations) with each other, from -1 to 1.

    One dimension is one variable: the result is then 1. A row without variation gives NaN.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.corrcoef([[1.0, 2.0, 3.0], [6.0, 4.0, 2.0]])).round(4))
        [[ 1. -1.]
         [-1.  1.]]
    """
    need_dtype(x, "x", "real")
    need_rank(x, "x", 1, 2)
    kind = dtype_of(x)
    rows = wide(ops.expand_dims(x, 0) if len(x.shape) == 1 else x)
    centred = ops.subtract(rows, ops.mean(rows, 1, True))
    # Rows are scaled before they are multiplied, so that squares of large numbers do not overflow.
    scale = ops.max(ops.absolute(centred), 1, True, 0)
    centred = ops.divide(centred, ops.stop_gradient(scale))
    length = ops.sqrt(ops.sum(ops.square(centred), 1, True))
    unit = ops.divide(centred, length)
    result = ops.clip(ops.matmul(unit, ops.transpose(unit)), -1, 1)
    return ops.cast(ops.reshape(result, ()) if len(x.shape) == 1 else result, kind)


__all__ = [
    "average", "bincount", "corrcoef", "histogram", "median", "nanmedian", "nanpercentile", "nanquantile",
    "percentile", "quantile",
]  # fmt: skip
