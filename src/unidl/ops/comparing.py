"""Comparing elements; truth values; choosing by them."""

from __future__ import annotations

from unidl.dtypes import result_dtype
from unidl.ops._declare import Tensor, TensorSpec, broadcast, like, pair, primitive


@primitive(promote="x1 x2", scalars=True)
def equal(x1: Tensor, x2: Tensor) -> Tensor:
    """Where ``x1 == x2``."""
    return pair(x1, x2, "bool")


@primitive(promote="x1 x2", scalars=True)
def not_equal(x1: Tensor, x2: Tensor) -> Tensor:
    """Where ``x1 != x2``."""
    return pair(x1, x2, "bool")


@primitive(promote="x1 x2", scalars=True)
def less(x1: Tensor, x2: Tensor) -> Tensor:
    """Where ``x1 < x2``."""
    return pair(x1, x2, "bool")


@primitive(promote="x1 x2", scalars=True)
def less_equal(x1: Tensor, x2: Tensor) -> Tensor:
    """Where ``x1 <= x2``."""
    return pair(x1, x2, "bool")


@primitive(promote="x1 x2", scalars=True)
def greater(x1: Tensor, x2: Tensor) -> Tensor:
    """Where ``x1 > x2``."""
    return pair(x1, x2, "bool")


@primitive(promote="x1 x2", scalars=True)
def greater_equal(x1: Tensor, x2: Tensor) -> Tensor:
    """Where ``x1 >= x2``."""
    return pair(x1, x2, "bool")


@primitive
def logical_and(x1: Tensor, x2: Tensor) -> Tensor:
    """Where both are true (nonzero)."""
    return pair(x1, x2, "bool")


@primitive
def logical_or(x1: Tensor, x2: Tensor) -> Tensor:
    """Where at least one is true (nonzero)."""
    return pair(x1, x2, "bool")


@primitive
def logical_xor(x1: Tensor, x2: Tensor) -> Tensor:
    """Where exactly one is true (nonzero)."""
    return pair(x1, x2, "bool")


@primitive
def logical_not(x: Tensor) -> Tensor:
    """True where `x` is False or zero."""
    return like(x, "bool")


@primitive
def isnan(x: Tensor) -> Tensor:
    """Which elements are NaN."""
    return like(x, "bool")


@primitive
def isinf(x: Tensor) -> Tensor:
    """Which elements are infinite, of either sign."""
    return like(x, "bool")


@primitive
def isfinite(x: Tensor) -> Tensor:
    """Which elements are neither NaN nor infinite."""
    return like(x, "bool")


@primitive(promote="x1 x2")
def where(condition: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    """Elements of `x1` where `condition` is true, of `x2` elsewhere; all three broadcast.

    The side that is not taken gets a gradient of exactly 0 (0 times an infinite derivative inside
    it is still NaN: guard the argument, not the result).
    """
    return TensorSpec(broadcast(condition.shape, x1.shape, x2.shape), result_dtype(x1.dtype, x2.dtype))


__all__ = [
    "equal",
    "not_equal",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "logical_not",
    "isnan",
    "isinf",
    "isfinite",
    "where",
]
