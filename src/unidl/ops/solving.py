"""Linear systems, inverses, ranks and norms of matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl import ops
from unidl.backend.host import is_vector
from unidl.ops._bind import dtype_of
from unidl.ops._declare import (
    Tensor,
    TensorSpec,
    axes_tuple,
    axis_index,
    broadcast,
    composite,
    need_rank,
    primitive,
    require,
    same_dim,
)
from unidl.ops._precision import wide
from unidl.ops.decompositions import matrices, square

#: The distance from 1 to the next number; 16-bit floats are computed in float32.
_EPSILON = {"float16": 2.0**-23, "bfloat16": 2.0**-23, "float32": 2.0**-23, "float64": 2.0**-52}
_REAL = {"complex64": "float32", "complex128": "float64"}


def _solved(a: Any, b: Any) -> TensorSpec:
    lead, n = square(a, "a")
    need_rank(b, "b", 1)
    if is_vector(a, b):
        same_dim(n, b.shape[-1], f"sizes of `a` {list(a.shape)} and `b` {list(b.shape)}")
        return TensorSpec((*broadcast(lead, b.shape[:-1]), n), a.dtype)
    same_dim(n, b.shape[-2], f"sizes of `a` {list(a.shape)} and `b` {list(b.shape)}")
    return TensorSpec((*broadcast(lead, b.shape[:-2]), n, b.shape[-1]), a.dtype)


@primitive(promote="a b", floating=True)
def solve(a: Tensor, b: Tensor) -> Tensor:
    """The `x` with ``a @ x == b``, for square `a` (..., m, m).

    Args:
        b: vectors (..., m), with one dimension less than `a` or only one, or matrices (..., m, k). Leading dimensions
            broadcast.

    Raises:
        Exception: the engine's own, if `a` is singular.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 1.0])))
        [1.   0.25]
    """
    return _solved(a, b)


@primitive(promote="a b", floating=True)
def solve_triangular(a: Tensor, b: Tensor, lower: bool = False) -> Tensor:
    """As `solve`, for triangular `a`, of which only the upper (`lower`: the lower) triangle is read.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.solve_triangular([[2.0, 2.0], [0.0, 4.0]], [4.0, 4.0])))
        [1. 1.]
    """
    return _solved(a, b)


@composite(floating=True)
def inv(x: Tensor) -> Tensor:
    """Inverses of square matrices (..., m, m).

    Raises:
        Exception: the engine's own, if `x` is singular.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.inv([[2.0, 0.0], [0.0, 4.0]])))
        [[0.5  0.  ]
         [0.   0.25]]
    """
    square(x)
    unit = ops.eye(ops.shape(x)[-1], dtype=dtype_of(x))
    return ops.solve(x, ops.broadcast_to(unit, ops.shape(x)))


@primitive(floating=True)
def pinv(x: Tensor, rcond: Any = None) -> Tensor:
    """The pseudoinverse (..., n, m) of matrices (..., m, n), by singular values.

    Args:
        rcond: singular values up to this times the largest count as 0. None: ``max(m, n)`` times the precision of
            the dtype.

    The gradient takes the rank as constant (Golub and Pereyra, 1973).

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.pinv([[2.0, 0.0], [0.0, 0.0]])))
        [[0.5 0. ]
         [0.  0. ]]
    """
    lead, m, n = matrices(x)
    return TensorSpec((*lead, n, m), x.dtype)


def cutoff(rcond: Any, x: Any) -> float:
    """`rcond` for matrices `x`, None resolved."""
    if rcond is not None:
        return float(rcond)
    sides = tuple(x.shape)[-2:]
    require(None not in sides, "`rcond` or the last two dimensions of `x` must be known.")
    dtype = dtype_of(x)
    return max(sides) * _EPSILON[_REAL.get(dtype, dtype)]


@composite(promote="a b", floating=True)
def lstsq(a: Tensor, b: Tensor, rcond: Any = None) -> Tensor:
    """The shortest `x` with the least ``norm(a @ x - b)``, for `a` (..., m, n).

    Args:
        b: vectors (..., m) or matrices (..., m, k), told apart as in `solve`.
        rcond: as in `pinv`.

    Returns:
        Shape (..., n) or (..., n, k).

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.round(ops.lstsq([[1.0], [1.0]], [1.0, 2.0]), 3)))
        [1.5]
    """
    _, m, _ = matrices(a, "a")
    need_rank(b, "b", 1)
    vector = is_vector(a, b)
    same_dim(m, b.shape[-1 if vector else -2], f"rows of `a` {list(a.shape)} and `b` {list(b.shape)}")
    broadcast(a.shape[:-2], b.shape[: -1 if vector else -2])
    dtype = dtype_of(a)
    a, b = wide(a), wide(b)
    x = ops.matmul(ops.pinv(a, rcond), ops.expand_dims(b, -1) if vector else b)
    return ops.cast(ops.squeeze(x, -1) if vector else x, dtype)


@composite(promote="x", floating=True)
def matrix_rank(x: Tensor, tol: Any = None) -> Tensor:
    """How many singular values of matrices (..., m, n) exceed `tol`, int32.

    Args:
        tol: a number or one for each matrix (...). None: the largest singular value times ``max(m, n)`` times the
            precision of the dtype.

    Example:
        >>> from unidl import ops
        >>> int(ops.matrix_rank([[1.0, 2.0], [2.0, 4.0]]))
        1
    """
    _, m, n = matrices(x)
    x = wide(x)
    values = ops.svd(x, compute_uv=False)
    if tol is None:
        factor = cutoff(None, x)
        if 0 in (m, n):
            limit: Any = 0.0
        else:
            limit = ops.multiply(ops.max(values, -1, True), factor)
    else:
        limit = tol if isinstance(tol, (int, float)) else ops.expand_dims(ops.cast(tol, dtype_of(values)), -1)
    return ops.sum(ops.cast(ops.greater(values, limit), "int32"), -1)


# -- norms -----------------------------------------------------------------------------------------


def _root(total: Any, order: float) -> Any:
    """``total ** (1 / order)``; the gradient at 0 is 0."""
    zero = ops.equal(total, 0)
    safe = ops.where(zero, 1.0, total)
    root = ops.sqrt(safe) if order == 2 else ops.power(safe, 1.0 / order)
    return ops.where(zero, 0.0 if order > 0 else math.inf, root)


def _vector_norm(x: Any, order: float, axis: Any, keepdims: bool) -> Any:
    if order == 2:
        return _root(ops.sum(ops.square(x), axis, keepdims), 2)
    size = ops.absolute(x)
    if order == math.inf:
        return ops.max(size, axis, keepdims)
    if order == -math.inf:
        return ops.min(size, axis, keepdims)
    if order == 0:
        return ops.sum(ops.cast(ops.not_equal(x, 0), dtype_of(x)), axis, keepdims)
    if order == 1:
        return ops.sum(size, axis, keepdims)
    zero = ops.equal(size, 0)  # the slope of a power at 0 may be infinite
    powers = ops.where(zero, 0.0 if order > 0 else math.inf, ops.power(ops.where(zero, 1.0, size), order))
    return _root(ops.sum(powers, axis, keepdims), order)


def _matrix_norm(x: Any, order: Any, rows: int, columns: int, keepdims: bool) -> Any:
    if order in ("nuc", 2, -2):
        values = ops.svd(ops.moveaxis(x, (rows, columns), (-2, -1)), compute_uv=False)
        result = {"nuc": ops.sum, 2: ops.max, -2: ops.min}[order](values, -1)
        return ops.expand_dims(result, (rows, columns)) if keepdims else result
    summed, other = (rows, columns) if order in (1, -1) else (columns, rows)
    sums = ops.sum(ops.absolute(x), summed, True)
    result = (ops.max if order > 0 else ops.min)(sums, other, True)
    return result if keepdims else ops.squeeze(result, (rows, columns))


def _count(axis: Any, rank: int) -> int:
    """How many axes `axis` names."""
    return rank if axis is None else len(axis) if isinstance(axis, (tuple, list)) else 1


@composite(promote="x", floating=True)
def norm(x: Tensor, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Norms of vectors or matrices.

    Args:
        ord: for vectors any number p: ``sum(abs(x)**p)**(1/p)``; 0 counts what is not 0, inf and -inf give the largest
            and smallest absolute value. For matrices "fro" (root of the sum of squares), "nuc" (sum of the singular
            values), 2 and -2 (largest and smallest singular value), 1 and -1 (largest and smallest sum of absolute
            values of a column), inf and -inf (of a row). None: the root of the sum of squares.
        axis: an int for vectors, two for matrices. None: all of `x`, which must have one or two dimensions if there is
            an `ord`.
        keepdims: leave dimensions of size 1.

    The gradient at 0 is 0.

    Example:
        >>> from unidl import ops
        >>> float(ops.norm([3.0, 4.0]))
        5.0
    """
    rank, dtype = len(x.shape), dtype_of(x)
    if dtype in _REAL:
        x, dtype = x if ord in ("nuc", 2, -2) and _count(axis, rank) == 2 else ops.absolute(x), _REAL[dtype]
    if axis is None:
        require(ord is None or rank in (1, 2), f"`ord` {ord!r} needs `axis` for {rank} dimensions.")
        axes = tuple(range(rank))
    elif isinstance(axis, (tuple, list)):
        require(len(axis) in (1, 2), f"`axis` must be an int or two of them, not {axis!r}.")
        axes_tuple(axis, rank)
        axes = tuple(axis_index(a, rank) for a in axis)
    else:
        axes = (axis_index(axis, rank),)
    if isinstance(ord, (float, np.floating, np.integer)):
        ord = float(ord)
    number = isinstance(ord, (int, float)) and not isinstance(ord, bool)
    vector = ord is None or len(axes) == 1
    if vector:
        require(ord is None or number, f"`ord` {ord!r} is no norm of vectors; a number is expected.")
    else:
        require(
            ord in ("fro", "nuc") or (number and ord in (1, -1, 2, -2, math.inf, -math.inf)),
            f"`ord` {ord!r} is no norm of matrices: 'fro', 'nuc', 1, -1, 2, -2, inf or -inf is expected.",
        )
    x = wide(x)
    if vector or ord == "fro":
        place: Any = axes[0] if len(axes) == 1 else axes
        if axis is None and len(axes) != 1:
            place = None
        result = _vector_norm(x, 2 if ord in (None, "fro") else ord, place, keepdims)
    else:
        result = _matrix_norm(x, ord, axes[0], axes[1], keepdims)
    return ops.cast(result, dtype)


__all__ = ["solve", "solve_triangular", "inv", "pinv", "lstsq", "matrix_rank", "norm"]
