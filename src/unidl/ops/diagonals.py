"""Diagonals and triangles of matrices."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.graph.symbolic import Dim
from unidl.ops._declare import Tensor, axis_index, composite, need_rank, require


def _offset(k: Any, what: str) -> int:
    require(hasattr(k, "__index__") and not isinstance(k, bool), f"`{what}` must be an int, not {k!r}.")
    return int(k)


@composite
def diagonal(x: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The elements ``x[i, i + offset]`` of the matrices along `axis1` and `axis2`, in a new last dimension.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.diagonal([[1, 2, 3], [4, 5, 6]], 1)))
        [2 6]
    """
    need_rank(x, "x", 2)
    rank, k = len(x.shape), _offset(offset, "offset")
    a, b = axis_index(axis1, rank, "axis1"), axis_index(axis2, rank, "axis2")
    require(a != b, f"`axis1` and `axis2` are both {a}.")
    x = ops.transpose(x, (*(i for i in range(rank) if i not in (a, b)), a, b))
    *rest, rows, columns = ops.shape(x)
    known = not isinstance(rows, Dim) and not isinstance(columns, Dim)
    require(known, "the sizes of the two dimensions of a diagonal must be known.")
    count = max(min(rows, columns - k) if k >= 0 else min(rows + k, columns), 0)
    first = k if k >= 0 else -k * columns
    flat = ops.reshape(x, (*rest, rows * columns))
    if count == 0:
        return ops.getitem(flat, (..., slice(0, 0)))
    return ops.getitem(flat, (..., slice(first, first + (count - 1) * (columns + 1) + 1, columns + 1)))


@composite
def trace(x: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of the elements of `diagonal`, in the dtype that `sum` gives.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.trace([[1.0, 2.0], [3.0, 4.0]])))
        5.0
    """
    return ops.sum(ops.diagonal(x, offset, axis1, axis2), -1)


@composite
def diag(x: Tensor, k: int = 0) -> Tensor:
    """A matrix with the vector `x` on its k-th diagonal and zeros elsewhere; of a matrix, its k-th diagonal.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.diag([1, 2])))
        [[1 0]
         [0 2]]
        >>> print(ops.convert_to_numpy(ops.diag([[1, 2], [3, 4]])))
        [1 4]
    """
    need_rank(x, "x", 1, 2)
    k = _offset(k, "k")
    if len(x.shape) == 2:
        return ops.diagonal(x, k)
    n = ops.shape(x)[0] + abs(k)
    # Above the main diagonal an element is named by its row, below it by its column.
    x = ops.pad(x, ((0, abs(k)),)) if k else x
    rows, columns = ops.expand_dims(ops.arange(n), 1), ops.expand_dims(ops.arange(n), 0)
    values = ops.expand_dims(x, 1 if k >= 0 else 0)
    return ops.where(ops.equal(columns, ops.add(rows, k)), values, ops.zeros_like(values))


@composite
def diagflat(x: Tensor, k: int = 0) -> Tensor:
    """A matrix with the elements of `x`, flattened, on its k-th diagonal and zeros elsewhere.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.diagflat([[1], [2]])))
        [[1 0]
         [0 2]]
    """
    return ops.diag(ops.ravel(x), k)


@composite
def tril(x: Tensor, k: int = 0) -> Tensor:
    """`x` with everything above the k-th diagonal of the last two dimensions set to 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.tril([[1, 2], [3, 4]])))
        [[1 0]
         [3 4]]
    """
    return _triangle(x, k, upper=False)


@composite
def triu(x: Tensor, k: int = 0) -> Tensor:
    """`x` with everything below the k-th diagonal of the last two dimensions set to 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.triu([[1, 2], [3, 4]])))
        [[1 2]
         [0 4]]
    """
    return _triangle(x, k, upper=True)


def _triangle(x: Any, k: int, upper: bool) -> Any:
    need_rank(x, "x", 2)
    sizes = ops.shape(x)
    rows = ops.add(ops.expand_dims(ops.arange(sizes[-2]), 1), _offset(k, "k"))
    columns = ops.expand_dims(ops.arange(sizes[-1]), 0)
    keep = ops.greater_equal(columns, rows) if upper else ops.less_equal(columns, rows)
    return ops.where(keep, x, ops.zeros_like(x))


__all__ = ["diagonal", "trace", "diag", "diagflat", "tril", "triu"]
