"""Products of matrices and tensors."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.ops._declare import (
    Tensor,
    TensorSpec,
    axis_index,
    broadcast,
    composite,
    need_rank,
    primitive,
    require,
    same_dim,
)


@primitive(promote="x1 x2")
def matmul(x1: Tensor, x2: Tensor) -> Tensor:
    """Matrix product of the last two dimensions, broadcast over the others, as NumPy's ``@``.

    A one-dimensional operand is a row (first) or a column (second), and loses that dimension.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.matmul([[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0])))
        [21. 43.]
    """
    a, b = tuple(x1.shape), tuple(x2.shape)
    require(len(a) > 0 and len(b) > 0, f"shapes {list(a)} and {list(b)}: both need at least one dimension.")
    rows = a[-2:-1] if len(a) > 1 else ()
    columns = b[-1:] if len(b) > 1 else ()
    inner = b[-2] if len(b) > 1 else b[0]
    same_dim(a[-1], inner, f"shapes {list(a)} and {list(b)}: inner dimensions")
    return TensorSpec((*broadcast(a[:-2], b[:-2]), *rows, *columns), x1.dtype)


@composite(promote="x1 x2")
def dot(x1: Tensor, x2: Tensor) -> Tensor:
    """NumPy's ``dot``: the last axis of `x1` times the last but one of `x2`, summed up.

    Example:
        >>> from unidl import ops
        >>> float(ops.dot([1.0, 2.0], [3.0, 4.0]))
        11.0
    """
    if len(x1.shape) == 0 or len(x2.shape) == 0:
        return ops.multiply(x1, x2)
    return ops.tensordot(x1, x2, ([len(x1.shape) - 1], [max(len(x2.shape) - 2, 0)]))


@composite(promote="x1 x2")
def inner(x1: Tensor, x2: Tensor) -> Tensor:
    """Sum of products over the last axes; of shape ``x1.shape[:-1] + x2.shape[:-1]``. With a number, their product.

    Example:
        >>> from unidl import ops
        >>> float(ops.inner([1.0, 2.0], [3.0, 4.0]))
        11.0
    """
    if len(x1.shape) == 0 or len(x2.shape) == 0:
        return ops.multiply(x1, x2)
    m, n = x1.shape[-1], x2.shape[-1]
    fits = m is None or n is None or m == n
    require(fits, f"the last dimension of `x1` (shape {list(x1.shape)}) and `x2` ({list(x2.shape)}) must be the same.")
    return ops.tensordot(x1, x2, ([len(x1.shape) - 1], [len(x2.shape) - 1]))


@composite(promote="x1 x2")
def vdot(x1: Tensor, x2: Tensor) -> Tensor:
    """Sum of the products of all elements, those of a complex `x1` conjugated; 0-d.

    Example:
        >>> from unidl import ops
        >>> float(ops.vdot([[1.0, 2.0], [3.0, 4.0]], [[1.0, 1.0], [1.0, 1.0]]))
        10.0
    """
    m, n = (None if None in s else math.prod(s) for s in (tuple(x1.shape), tuple(x2.shape)))
    same_dim(m, n, "the numbers of elements of `x1` and `x2`")
    return ops.matmul(_conjugate(ops.reshape(x1, (-1,))), ops.reshape(x2, (-1,)))


def _conjugate(x: Any) -> Any:
    from unidl.ops._bind import dtype_of

    return ops.conjugate(x) if dtype_of(x).startswith("complex") else x


@composite(promote="x1 x2")
def tensordot(x1: Tensor, x2: Tensor, axes: Any = 2) -> Tensor:
    """Sum of products over paired axes.

    Args:
        axes: how many last axes of `x1` meet as many first ones of `x2`; or a pair, the axes of `x1` and those of
            `x2`, each an int or a list.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.tensordot([[1.0, 2.0], [3.0, 4.0]], [1.0, 10.0], axes=1)))
        [21. 43.]
    """
    ra, rb = len(x1.shape), len(x2.shape)
    if hasattr(axes, "__index__"):
        axes = int(axes)
        require(0 <= axes <= min(ra, rb), f"`axes` is {axes}, for {ra} and {rb} dimensions.")
        over_a, over_b = list(range(ra - axes, ra)), list(range(axes))
    else:
        pair = isinstance(axes, (tuple, list)) and len(axes) == 2
        require(pair, f"`axes` must be an int or a pair, not {axes!r}.")
        over_a, over_b = ([a] if hasattr(a, "__index__") else list(a) for a in axes)
        over_a = [axis_index(a, ra, "axes") for a in over_a]
        over_b = [axis_index(b, rb, "axes") for b in over_b]
    require(len(over_a) == len(over_b), f"`axes` {axes} pairs {len(over_a)} with {len(over_b)} axes.")
    require(
        len(set(over_a)) == len(over_a) and len(set(over_b)) == len(over_b), f"`axes` {axes} names a dimension twice."
    )
    for a, b in zip(over_a, over_b, strict=True):
        same_dim(x1.shape[a], x2.shape[b], f"axes {a} and {b} of shapes {list(x1.shape)} and {list(x2.shape)}")
    sa, sb = ops.shape(x1), ops.shape(x2)
    keep_a = [a for a in range(ra) if a not in over_a]
    keep_b = [b for b in range(rb) if b not in over_b]
    inner: Any = 1
    for a, b in zip(over_a, over_b, strict=True):
        inner = inner * (sb[b] if x1.shape[a] is None else sa[a])
    left = ops.reshape(ops.transpose(x1, tuple(keep_a + over_a)), (_product(sa, keep_a), inner))
    right = ops.reshape(ops.transpose(x2, tuple(over_b + keep_b)), (inner, _product(sb, keep_b)))
    return ops.reshape(ops.matmul(left, right), tuple(sa[a] for a in keep_a) + tuple(sb[b] for b in keep_b))


def _product(sizes: Any, axes: list[int]) -> Any:
    total: Any = 1
    for a in axes:
        total = total * sizes[a]
    return total


@composite(promote="x1 x2")
def outer(x1: Tensor, x2: Tensor) -> Tensor:
    """All products of an element of `x1` with one of `x2` (both flattened), as a matrix.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.outer([1.0, 2.0], [1.0, 10.0])))
        [[ 1. 10.]
         [ 2. 20.]]
    """
    return ops.multiply(
        ops.reshape(x1, (_product(ops.shape(x1), list(range(len(x1.shape)))), 1)), ops.reshape(x2, (1, -1))
    )


@composite(promote="x1 x2")
def kron(x1: Tensor, x2: Tensor) -> Tensor:
    """Kronecker product: each element of `x1` times all of `x2`. Missing first dimensions count as 1.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.kron([1, 10], [1, 2, 3])))
        [ 1  2  3 10 20 30]
    """
    rank = max(len(x1.shape), len(x2.shape))
    a = (1,) * (rank - len(x1.shape)) + tuple(ops.shape(x1))
    b = (1,) * (rank - len(x2.shape)) + tuple(ops.shape(x2))
    blocks = ops.reshape(x1, tuple(d for n in a for d in (n, 1)))
    tiles = ops.reshape(x2, tuple(d for n in b for d in (1, n)))
    return ops.reshape(ops.multiply(blocks, tiles), tuple(m * n for m, n in zip(a, b, strict=True)))


@composite(checked=True, promote="x1 x2")
def cross(x1: Tensor, x2: Tensor, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Tensor:
    """Cross product of vectors of 2 or 3 components; the third of two is taken as 0.

    Args:
        axisa, axisb: the axes of `x1` and `x2` that hold the components. The other dimensions broadcast.
        axisc: the axis of the result that holds them. Of two vectors of 2 components only the third component
            of the product comes, without an axis.
        axis: in place of all three.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.cross([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])))
        [-3.  6. -3.]
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    need_rank(x1, "x1", 1)
    need_rank(x2, "x2", 1)
    parts = []
    for x, at, what in ((x1, axisa, "axisa"), (x2, axisb, "axisb")):
        at = axis_index(at, len(x.shape), what if axis is None else "axis")
        n = x.shape[at]
        require(n in (2, 3), f"axis {at} of shape {list(x.shape)} must be known and of size 2 or 3.")
        parts.append([ops.take(x, i, at) for i in range(n)])
    a, b = parts
    broadcast(a[0].shape, b[0].shape)
    third = ops.subtract(ops.multiply(a[0], b[1]), ops.multiply(a[1], b[0]))
    if len(a) == 2 and len(b) == 2:
        return third
    at = axis_index(axisc, len(third.shape) + 1, "axisc" if axis is None else "axis")
    if len(a) == 3 and len(b) == 3:
        first = ops.subtract(ops.multiply(a[1], b[2]), ops.multiply(a[2], b[1]))
        second = ops.subtract(ops.multiply(a[2], b[0]), ops.multiply(a[0], b[2]))
    elif len(a) == 3:
        first, second = ops.negative(ops.multiply(a[2], b[1])), ops.multiply(a[2], b[0])
    else:
        first, second = ops.multiply(a[1], b[2]), ops.negative(ops.multiply(a[0], b[2]))
    return ops.stack([first, second, third], at)


@composite(promote="x y", floating=True)
def cdist(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances (..., m, n) of the vectors of `x` (..., m, d) and `y` (..., n, d).

    Other dimensions broadcast. The gradient of a distance of 0 is 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.cdist([[0.0, 0.0], [3.0, 0.0]], [[0.0, 4.0]])))
        [[4.]
         [5.]]
    """
    need_rank(x, "x", 2)
    need_rank(y, "y", 2)
    same_dim(x.shape[-1], y.shape[-1], f"last dimensions of `x` {list(x.shape)} and `y` {list(y.shape)}")
    broadcast(x.shape[:-2], y.shape[:-2])
    return ops.norm(ops.subtract(ops.expand_dims(x, -2), ops.expand_dims(y, -3)), axis=-1)


@composite(promote="x1 x2", floating=True)
def correlate(x1: Tensor, x2: Tensor, mode: str = "valid") -> Tensor:
    """Cross-correlation of two vectors: ``c[k] = sum(x1[n + k] * conj(x2[n]))`` over n. Integers become floats.

    Args:
        mode: "full" for all k with any overlap, ``m + n - 1`` of them; "valid" for those with a full one,
            ``max(m, n) - min(m, n) + 1``; "same" for ``max(m, n)`` in the middle of "full".

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.correlate([1.0, 2.0, 3.0], [0.0, 1.0, 0.5])))
        [3.5]
    """
    need_rank(x1, "x1", 1, 1)
    need_rank(x2, "x2", 1, 1)
    require(mode in ("valid", "same", "full"), f"`mode` must be 'valid', 'same' or 'full', not {mode!r}.")
    m, n = x1.shape[0], x2.shape[0]
    require(m is not None and n is not None, "the sizes of `x1` and `x2` must be known.")
    require(m > 0 and n > 0, "`x1` or `x2` is empty.")
    x2 = _conjugate(x2)
    long, short = (x1, x2) if m >= n else (x2, x1)
    least = min(m, n)
    before = {"valid": 0, "same": least // 2, "full": least - 1}[mode]
    after = {"valid": 0, "same": least - before - 1, "full": least - 1}[mode]
    result = ops.matmul(ops.extract_sequences(ops.pad(long, ((before, after),)), least, 1), short)
    return result if m >= n else ops.flip(result)


__all__ = ["matmul", "dot", "inner", "vdot", "tensordot", "outer", "kron", "cross", "cdist", "correlate"]
