"""What the kernels share: axes and shapes as plain tuples, and dtype detours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

FLOATS = ("float16", "float32", "float64")

Shape = tuple[int, ...]


def axes_of(axis: Any, rank: int) -> Shape:
    """Reduction axes (None: all) as sorted non-negative numbers."""
    if axis is None:
        return tuple(range(rank))
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    if any(not -rank <= a < rank for a in axes):
        raise ValueError(f"axis {axis} is out of range for {rank} dimensions")
    if len({a % rank for a in axes}) != len(axes):
        raise ValueError(f"axis {axis} names a dimension twice")
    return tuple(sorted({a % rank for a in axes}))


def reduced(shape: Sequence[int], axis: Any, keepdims: bool) -> Shape:
    axes = axes_of(axis, len(shape))
    if keepdims:
        return tuple(1 if i in axes else d for i, d in enumerate(shape))
    return tuple(d for i, d in enumerate(shape) if i not in axes)


def broadcast(a: Sequence[int], b: Sequence[int]) -> Shape:
    rank = max(len(a), len(b))
    pairs = zip((*(1,) * (rank - len(a)), *a), (*(1,) * (rank - len(b)), *b), strict=True)
    return tuple(y if x == 1 else x for x, y in pairs)


def noted(F: Any, x: Any, shape: Sequence[int], dtype: str) -> Any:
    """`x`, with shape and dtype of a symbol noted so that they need not be inferred."""
    if F.symbolic:
        x.shape, x.dtype = tuple(shape), dtype
    return x


def reshape_to(F: Any, x: Any, shape: Sequence[int]) -> Any:
    """`x` in a shape without -1."""
    return noted(F, F._np_reshape(x, newshape=tuple(shape)), shape, F.dtype(x) if F.symbolic else "")


def cast_to(F: Any, x: Any, dtype: str) -> Any:
    """`x` in another dtype; nonzero numbers, NaN among them, are True."""
    if F.dtype(x) == dtype:
        return x
    shape = F.shape(x) if F.symbolic else ()
    if dtype == "bool":
        return noted(F, F._npi_not_equal_scalar(x, scalar="0"), shape, dtype)
    return noted(F, F._npi_cast(x, dtype=dtype), shape, dtype)


def in_float32(F: Any, fn: Any, *tensors: Any) -> Any:
    """``fn(*tensors)`` computed in float32 where mxnet's CPU kernels lack float16 (or integers)."""
    dtype = F.dtype(tensors[0])
    result = fn(*[cast_to(F, t, "float32") for t in tensors])
    if isinstance(result, (tuple, list)):
        return tuple(F._npi_cast(r, dtype=dtype) for r in result)
    return F._npi_cast(result, dtype=dtype)
