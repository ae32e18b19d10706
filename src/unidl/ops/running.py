"""Running sums and products, and differences of neighbours along an axis."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.ops._bind import dtype_of
from unidl.ops._declare import (
    Tensor,
    TensorSpec,
    axis_index,
    broadcast,
    composite,
    like,
    need_rank,
    primitive,
    require,
)


def _running(x: Any, axis: Any, dtype: Any) -> TensorSpec:
    dtype = dtype or ("int32" if x.dtype == "bool" else x.dtype)
    if axis is None:
        return TensorSpec((None if None in x.shape else math.prod(x.shape),), dtype)
    axis_index(axis, len(x.shape))
    return like(x, dtype)


@primitive
def cumsum(x: Tensor, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running sum along `axis`; None: of the flattened tensor. `dtype` None: that of `x`, int32 for bools.

    16-bit floats are summed in float32.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.cumsum([[1, 2, 3], [4, 5, 6]], axis=1)))
        [[ 1  3  6]
         [ 4  9 15]]
    """
    return _running(x, axis, dtype)


@primitive
def cumprod(x: Tensor, axis: int | None = None, dtype: Any = None) -> Tensor:
    """Running product along `axis`; None: of the flattened tensor. `dtype` None: that of `x`, int32 for bools.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.cumprod([1, 2, 3, 4])))
        [ 1  2  6 24]
    """
    return _running(x, axis, dtype)


def cut(x: Any, axis: int, start: Any, stop: Any) -> Any:
    """``x[start:stop]`` along an axis that counts from 0."""
    return ops.getitem(x, (slice(None),) * axis + (slice(start, stop),))


@composite
def diff(a: Tensor, n: int = 1, axis: int = -1) -> Tensor:
    """The `n`-th differences of neighbours along `axis`; of bools, whether they differ.

    Each difference makes the axis shorter by one, down to no elements.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.diff([1, 2, 4, 7, 0])))
        [ 1  2  3 -7]
    """
    need_rank(a, "a", 1)
    axis = axis_index(axis, len(a.shape))
    require(isinstance(n, int) and n >= 0, f"`n` is {n}; an int of at least 0 is expected.")
    for _ in range(n):
        ahead, behind = cut(a, axis, 1, None), cut(a, axis, None, -1)
        a = ops.not_equal(ahead, behind) if dtype_of(a) == "bool" else ops.subtract(ahead, behind)
    return a


@composite(promote="y x", floating=True)
def trapezoid(y: Tensor, x: Tensor | None = None, dx: Any = 1.0, axis: int = -1) -> Tensor:
    """The integral of `y` along `axis` by the trapezoidal rule.

    Args:
        y: values.
        x: the points of the values: one dimension as long as `axis`, or a shape that broadcasts to that of `y`. None:
            they are `dx` apart.
        dx: distance of the points.
        axis: the axis to integrate along.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.trapezoid([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], axis=1)))
        [ 4. 10.]
    """
    rank = len(y.shape)
    need_rank(y, "y", 1)
    axis = axis_index(axis, rank)
    middle = ops.add(cut(y, axis, 1, None), cut(y, axis, None, -1))
    if x is None:
        return ops.multiply(ops.sum(middle, axis), ops.multiply(ops.cast(dx, dtype_of(y)), 0.5))
    need_rank(x, "x", 1)
    if len(x.shape) == 1:
        steps = ops.reshape(ops.diff(x), (-1,) + (1,) * (rank - 1 - axis))
    else:
        require(len(x.shape) == rank, f"`x` has {len(x.shape)} dimensions, `y` {rank}.")
        steps = ops.diff(x, 1, axis)
    broadcast(steps.shape, middle.shape)
    return ops.sum(ops.multiply(ops.multiply(steps, middle), 0.5), axis)


@composite
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The Vandermonde matrix: the powers of `x` (one dimension) in `N` columns, the highest first unless `increasing`.

    `N` None: as many as `x` has elements. The dtype is that of `x`, int32 for bools.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.vander([2, 3, 5])))
        [[ 4  2  1]
         [ 9  3  1]
         [25  5  1]]
    """
    need_rank(x, "x", 1, 1)
    rows = ops.shape(x)[0]
    columns = rows if N is None else N
    require(not isinstance(columns, int) or columns >= 0, f"`N` is {N}; at least 0 is expected.")
    kind = dtype_of(x)
    x = ops.cast(x, "int32") if kind == "bool" else x
    repeated = ops.broadcast_to(ops.expand_dims(x, 1), (rows, columns))
    # The running product of 1, x, x, ...: its gradient is right at 0 too.
    factors = ops.concatenate([ops.ones_like(cut(repeated, 1, None, 1)), cut(repeated, 1, 1, None)], 1)
    powers = ops.cumprod(factors, 1)
    return powers if increasing else ops.flip(powers, 1)


__all__ = ["cumprod", "cumsum", "diff", "trapezoid", "vander"]
