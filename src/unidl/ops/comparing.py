"""Comparing elements; truth values; choosing by them."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.dtypes import COMPLEX, FLOATS, result_dtype
from unidl.ops._bind import dtype_of
from unidl.ops._declare import Tensor, TensorSpec, broadcast, composite, like, need_dtype, pair, primitive, require
from unidl.ops.arithmetic import need_operands


@primitive(promote="x1 x2", scalars=True)
def equal(x1: Tensor, x2: Tensor) -> Tensor:
    """Where ``x1 == x2``, broadcast.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.equal([1, 2, 3], 2)))
        [False  True False]
    """
    return pair(x1, x2, "bool")


@primitive(promote="x1 x2", scalars=True)
def not_equal(x1: Tensor, x2: Tensor) -> Tensor:
    """Where ``x1 != x2``, broadcast.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.not_equal([1, 2, 3], 2)))
        [ True False  True]
    """
    return pair(x1, x2, "bool")


@primitive(promote="x1 x2", scalars=True)
def less(x1: Tensor, x2: Tensor) -> Tensor:
    """Where ``x1 < x2``, broadcast.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.less([1, 2, 3], 2)))
        [ True False False]
    """
    need_operands(x1, x2, "real")
    return pair(x1, x2, "bool")


@primitive(promote="x1 x2", scalars=True)
def less_equal(x1: Tensor, x2: Tensor) -> Tensor:
    """Where ``x1 <= x2``, broadcast.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.less_equal([1, 2, 3], 2)))
        [ True  True False]
    """
    need_operands(x1, x2, "real")
    return pair(x1, x2, "bool")


@primitive(promote="x1 x2", scalars=True)
def greater(x1: Tensor, x2: Tensor) -> Tensor:
    """Where ``x1 > x2``, broadcast.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.greater([1, 2, 3], 2)))
        [False False  True]
    """
    need_operands(x1, x2, "real")
    return pair(x1, x2, "bool")


@primitive(promote="x1 x2", scalars=True)
def greater_equal(x1: Tensor, x2: Tensor) -> Tensor:
    """Where ``x1 >= x2``, broadcast.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.greater_equal([1, 2, 3], 2)))
        [False  True  True]
    """
    need_operands(x1, x2, "real")
    return pair(x1, x2, "bool")


@primitive
def logical_and(x1: Tensor, x2: Tensor) -> Tensor:
    """Where both are true (nonzero), broadcast.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.logical_and([1, 2, 0], [True, False, False])))
        [ True False False]
    """
    return pair(x1, x2, "bool")


@primitive
def logical_or(x1: Tensor, x2: Tensor) -> Tensor:
    """Where at least one is true (nonzero), broadcast.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.logical_or([1, 2, 0], [True, False, False])))
        [ True  True False]
    """
    return pair(x1, x2, "bool")


@primitive
def logical_xor(x1: Tensor, x2: Tensor) -> Tensor:
    """Where exactly one is true (nonzero), broadcast.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.logical_xor([1, 2, 0], [True, False, False])))
        [False  True False]
    """
    return pair(x1, x2, "bool")


@primitive
def logical_not(x: Tensor) -> Tensor:
    """True where `x` is False or zero.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.logical_not([0, 2])))
        [ True False]
    """
    return like(x, "bool")


@primitive
def isnan(x: Tensor) -> Tensor:
    """Which elements are NaN (of complex numbers: have a part that is).

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.isnan([1.0, -float("inf"), float("nan")])))
        [False False  True]
    """
    return like(x, "bool")


@primitive
def isinf(x: Tensor) -> Tensor:
    """Which elements are infinite, of either sign.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.isinf([1.0, -float("inf"), float("nan")])))
        [False  True False]
    """
    return like(x, "bool")


@primitive
def isfinite(x: Tensor) -> Tensor:
    """Which elements are neither NaN nor infinite.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.isfinite([1.0, -float("inf"), float("nan")])))
        [ True False False]
    """
    return like(x, "bool")


@composite
def isposinf(x: Tensor) -> Tensor:
    """Which elements are plus infinity.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.isposinf([1.0, float("inf"), -float("inf")])))
        [False  True False]
    """
    need_dtype(x, "x", "real")
    return ops.equal(x, math.inf) if dtype_of(x) in FLOATS else ops.zeros_like(x, "bool")


@composite
def isneginf(x: Tensor) -> Tensor:
    """Which elements are minus infinity.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.isneginf([1.0, float("inf"), -float("inf")])))
        [False False  True]
    """
    need_dtype(x, "x", "real")
    return ops.equal(x, -math.inf) if dtype_of(x) in FLOATS else ops.zeros_like(x, "bool")


@composite(promote="x1 x2")
def isclose(x1: Tensor, x2: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Where ``|x1 - x2| <= atol + rtol * |x2|``, or both are the same infinity.

    Args:
        equal_nan: whether NaN is close to NaN.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.isclose([1.0, 2.0], [1.0, 2.25], rtol=0.0, atol=0.125)))
        [ True False]
    """
    dtype = dtype_of(x1)
    if dtype not in ("float64", *COMPLEX):  # differences of integers would wrap around, 16 bits hold no `atol`
        wide = "float32" if dtype in FLOATS else "float64"
        x1, x2 = ops.cast(x1, wide), ops.cast(x2, wide)
    bound = ops.add(ops.multiply(ops.absolute(x2), rtol), atol)
    near = ops.logical_and(ops.less_equal(ops.absolute(ops.subtract(x1, x2)), bound), ops.isfinite(x2))
    near = ops.logical_or(near, ops.equal(x1, x2))
    return ops.logical_or(near, ops.logical_and(ops.isnan(x1), ops.isnan(x2))) if equal_nan else near


@composite(promote="x1 x2")
def allclose(x1: Tensor, x2: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether `isclose` holds for all elements: a bool without dimensions.

    Example:
        >>> from unidl import ops
        >>> bool(ops.allclose([1.0, 2.0], [1.0, 2.0]))
        True
    """
    return ops.all(ops.isclose(x1, x2, rtol, atol, equal_nan))


@primitive(name="where", promote="x1 x2")
def _where(condition: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    """Elements of `x1` where `condition` is true, of `x2` elsewhere."""
    return TensorSpec(broadcast(condition.shape, x1.shape, x2.shape), result_dtype(x1.dtype, x2.dtype))


def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """Elements of `x1` where `condition` is true, of `x2` elsewhere; all three broadcast.

    The side that is not taken gets a gradient of exactly 0 (0 times an infinite derivative inside
    it is still NaN: guard the argument, not the result).

    Without `x1` and `x2`: the indices of the true elements, as `nonzero` gives them.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.where([True, False], [1.0, 2.0], 0.0)))
        [1. 0.]
    """
    if x2 is None:
        require(x1 is None, "where: `x1` is given without `x2`.")
        return ops.nonzero(condition)
    return _where(condition, x1, x2)


__all__ = [
    "allclose", "equal", "greater", "greater_equal", "isclose", "isfinite", "isinf", "isnan", "isneginf", "isposinf",
    "less", "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor", "not_equal", "where",
]  # fmt: skip
