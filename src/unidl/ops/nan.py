"""Reductions that skip NaN. On dtypes without NaN they are the plain ones.

Where every element is NaN, sums and products are those of no elements, and the others NaN. The gradient by NaN is 0.
"""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.dtypes import FLOATS
from unidl.ops._bind import dtype_of
from unidl.ops._declare import Tensor, composite, need_dtype
from unidl.ops._precision import wide
from unidl.ops.reduce import not_empty, root


def _has_nan(x: Any) -> bool:
    return dtype_of(x) in FLOATS or dtype_of(x).startswith("complex")


def _filled(x: Any, number: float) -> Any:
    """`x` with `number` in place of NaN."""
    return ops.where(ops.isnan(x), ops.full_like(x, number), x) if _has_nan(x) else x


@composite
def nansum(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Sum over `axis` of what is not NaN; see `sum`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.nansum([[1.0, float("nan")], [3.0, 4.0]], axis=1)))
        [1. 7.]
    """
    return ops.sum(_filled(x, 0), axis, keepdims)


@composite
def nanprod(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Product over `axis` of what is not NaN; see `prod`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.nanprod([[2.0, float("nan")], [3.0, 4.0]], axis=1)))
        [ 2. 12.]
    """
    return ops.prod(_filled(x, 1), axis, keepdims)


@composite(floating=True)
def nanmean(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Mean over `axis` of what is not NaN; NaN where everything is.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.nanmean([[1.0, float("nan")], [3.0, 4.0]], axis=1)))
        [1.  3.5]
    """
    y = wide(x)
    result = _per_number(ops.sum(_filled(y, 0), axis, keepdims), ops.isnan(y), axis, keepdims)
    return result if y is x else ops.cast(result, dtype_of(x))


def _per_number(total: Any, missing: Any, axis: Any, keepdims: bool) -> Any:
    """`total` divided by how many elements are not missing; NaN for none, without NaN in the gradient."""
    count = ops.sum(ops.cast(ops.logical_not(missing), "int32"), axis, keepdims)
    mean = ops.divide(total, ops.cast(ops.maximum(count, 1), dtype_of(total)))
    return ops.where(ops.equal(count, 0), ops.full_like(total, math.nan), mean)


@composite(floating=True)
def nanvar(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Variance over `axis` of what is not NaN; NaN where everything is. See `var`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.nanvar([[1.0, float("nan"), 3.0], [2.0, 2.0, 2.0]], axis=1)))
        [1. 0.]
    """
    need_dtype(x, "x", "real")
    y = wide(x)
    missing = ops.isnan(y)
    centre = ops.nanmean(y, axis, True)
    centre = ops.where(ops.all(missing, axis, True), ops.zeros_like(centre), centre)
    # Elements that are NaN are made their slice's mean first, so that no NaN gets into the gradient.
    centred = ops.subtract(ops.where(missing, centre, y), centre)
    result = _per_number(ops.sum(ops.square(centred), axis, keepdims), missing, axis, keepdims)
    return result if y is x else ops.cast(result, dtype_of(x))


@composite(floating=True)
def nanstd(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Standard deviation over `axis` of what is not NaN; NaN where everything is. See `std`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.nanstd([[1.0, float("nan"), 3.0], [2.0, 2.0, 2.0]], axis=1)))
        [1. 0.]
    """
    y = wide(x)
    result = root(ops.nanvar(y, axis, keepdims))
    return result if y is x else ops.cast(result, dtype_of(x))


def _extreme(reduce: Any, x: Any, axis: Any, keepdims: bool, worst: float) -> Any:
    need_dtype(x, "x", "real")
    not_empty(x, axis)
    if not _has_nan(x):
        return reduce(x, axis, keepdims)
    best = reduce(_filled(x, worst), axis, keepdims)
    return ops.where(ops.all(ops.isnan(x), axis, keepdims), ops.full_like(best, math.nan), best)


@composite
def nanmax(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Maximum over `axis` of what is not NaN; NaN where everything is. See `max`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.nanmax([[1.0, float("nan")], [3.0, 4.0]], axis=1)))
        [1. 4.]
    """
    return _extreme(ops.max, x, axis, keepdims, -math.inf)


@composite
def nanmin(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Minimum over `axis` of what is not NaN; NaN where everything is. See `min`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.nanmin([[1.0, float("nan")], [3.0, 4.0]], axis=1)))
        [1. 3.]
    """
    return _extreme(ops.min, x, axis, keepdims, math.inf)


def _argument(choose: Any, reduce: Any, x: Any, axis: Any, keepdims: bool, worst: float) -> Any:
    need_dtype(x, "x", "real")
    if not _has_nan(x):
        return choose(x, axis, keepdims)
    missing = ops.isnan(x)
    filled = ops.where(missing, ops.full_like(x, worst), x)
    # Among equals the first that is no NaN: an infinity must not lose against a NaN that was made one.
    best = ops.logical_and(ops.equal(filled, reduce(filled, axis, True)), ops.logical_not(missing))
    place = ops.argmax(ops.cast(best, "int32"), axis, keepdims)
    nothing = ops.all(missing, axis, keepdims)
    return ops.where(nothing, ops.full_like(place, -1), place)


@composite
def nanargmax(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index (int32) of the first maximum along `axis` that is not NaN; -1 where everything is NaN.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.nanargmax([[1.0, float("nan")], [3.0, 4.0]], axis=1)))
        [0 1]
    """
    return _argument(ops.argmax, ops.max, x, axis, keepdims, -math.inf)


@composite
def nanargmin(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """Index (int32) of the first minimum along `axis` that is not NaN; -1 where everything is NaN.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.nanargmin([[float("nan"), 1.0], [3.0, 4.0]], axis=1)))
        [1 0]
    """
    return _argument(ops.argmin, ops.min, x, axis, keepdims, math.inf)


def _single(axis: Any) -> Any:
    """The only axis of a tuple of one; anything else as it is."""
    return axis[0] if isinstance(axis, (tuple, list)) and len(axis) == 1 else axis


@composite
def nancumsum(x: Tensor, axis: Any = None, dtype: Any = None) -> Tensor:
    """Running sum along `axis` with NaN counted as 0; see `cumsum`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.nancumsum([1.0, float("nan"), 3.0])))
        [1. 1. 4.]
    """
    return ops.cumsum(_filled(x, 0), _single(axis), dtype)


@composite
def nancumprod(x: Tensor, axis: Any = None, dtype: Any = None) -> Tensor:
    """Running product along `axis` with NaN counted as 1; see `cumprod`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.nancumprod([2.0, float("nan"), 3.0])))
        [2. 2. 6.]
    """
    return ops.cumprod(_filled(x, 1), _single(axis), dtype)


__all__ = [
    "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmin", "nanprod", "nanstd", "nansum",
    "nanvar",
]  # fmt: skip
