"""Elementwise ops: each output element depends on the input elements at its place."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.dtypes import dtype_name, result_dtype, weak_kind
from unidl.ops._declare import Tensor, TensorSpec, broadcast, composite, like, primitive

# -- one tensor in, one of the same shape out ------------------------------------------------------


@primitive
def absolute(x: Tensor) -> Tensor:
    """``|x|``, elementwise; the gradient at 0 is 0."""
    return like(x)


@primitive
def negative(x: Tensor) -> Tensor:
    """``-x``, elementwise."""
    return like(x)


@primitive
def sign(x: Tensor) -> Tensor:
    """-1, 0 or 1 by the sign of each element; NaN stays NaN."""
    return like(x)


@composite
def square(x: Tensor) -> Tensor:
    """``x * x``, elementwise."""
    return ops.multiply(x, x)


@primitive(floating=True)
def exp(x: Tensor) -> Tensor:
    """``e**x``, elementwise."""
    return like(x)


@primitive(floating=True)
def expm1(x: Tensor) -> Tensor:
    """``e**x - 1``, accurate near 0."""
    return like(x)


@primitive(floating=True)
def log(x: Tensor) -> Tensor:
    """Natural logarithm; -inf at 0, NaN below."""
    return like(x)


@primitive(floating=True)
def log1p(x: Tensor) -> Tensor:
    """``log(1 + x)``, accurate near 0."""
    return like(x)


@primitive(floating=True)
def sqrt(x: Tensor) -> Tensor:
    """Square root; NaN below 0."""
    return like(x)


@primitive(floating=True)
def rsqrt(x: Tensor) -> Tensor:
    """``1 / sqrt(x)``."""
    return like(x)


@primitive(floating=True)
def sin(x: Tensor) -> Tensor:
    """Sine of `x` in radians."""
    return like(x)


@primitive(floating=True)
def cos(x: Tensor) -> Tensor:
    """Cosine of `x` in radians."""
    return like(x)


@primitive(floating=True)
def tan(x: Tensor) -> Tensor:
    """Tangent of `x` in radians."""
    return like(x)


@primitive(floating=True)
def arcsin(x: Tensor) -> Tensor:
    """Inverse sine, in radians; NaN outside [-1, 1]."""
    return like(x)


@primitive(floating=True)
def arccos(x: Tensor) -> Tensor:
    """Inverse cosine, in radians; NaN outside [-1, 1]."""
    return like(x)


@primitive(floating=True)
def arctan(x: Tensor) -> Tensor:
    """Inverse tangent, in radians."""
    return like(x)


@primitive(floating=True)
def sinh(x: Tensor) -> Tensor:
    """Hyperbolic sine."""
    return like(x)


@primitive(floating=True)
def cosh(x: Tensor) -> Tensor:
    """Hyperbolic cosine."""
    return like(x)


@primitive(floating=True)
def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return like(x)


@primitive(floating=True)
def erf(x: Tensor) -> Tensor:
    """The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to `x`."""
    return like(x)


@primitive
def floor(x: Tensor) -> Tensor:
    """The largest integral value not above each element; integers stay as they are."""
    return like(x)


@primitive
def ceil(x: Tensor) -> Tensor:
    """The smallest integral value not below each element; integers stay as they are."""
    return like(x)


@primitive
def round(x: Tensor, decimals: int = 0) -> Tensor:
    """Rounded to `decimals` places; halves go to the even neighbour."""
    return like(x)


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


@primitive
def logical_not(x: Tensor) -> Tensor:
    """True where `x` is False or zero."""
    return like(x, "bool")


@primitive
def cast(x: Tensor, dtype: Any) -> Tensor:
    """`x` in another dtype. Floats become integers by dropping the fraction."""
    return like(x, dtype_name(dtype))


@primitive
def copy(x: Tensor) -> Tensor:
    """A new tensor with the values of `x`."""
    return like(x)


@primitive
def stop_gradient(variable: Tensor) -> Tensor:
    """The values of `variable`, with no gradient flowing back through them."""
    return like(variable)


@composite(floating=True)
def reciprocal(x: Tensor) -> Tensor:
    """``1 / x``."""
    return ops.divide(1.0, x)


# -- two tensors in, broadcast together ------------------------------------------------------------


def _pair(x1: Any, x2: Any, dtype: str | None = None) -> TensorSpec:
    """The spec of a broadcast result; one operand may be a Python number."""
    kinds = [weak_kind(x) or x.dtype for x in (x1, x2)]
    return TensorSpec(broadcast(getattr(x1, "shape", ()), getattr(x2, "shape", ())), dtype or result_dtype(*kinds))


@primitive(promote="x1 x2", scalars=True)
def add(x1: Tensor, x2: Tensor) -> Tensor:
    """``x1 + x2``, broadcast."""
    return _pair(x1, x2)


@primitive(promote="x1 x2", scalars=True)
def subtract(x1: Tensor, x2: Tensor) -> Tensor:
    """``x1 - x2``, broadcast."""
    return _pair(x1, x2)


@primitive(promote="x1 x2", scalars=True)
def multiply(x1: Tensor, x2: Tensor) -> Tensor:
    """``x1 * x2``, broadcast."""
    return _pair(x1, x2)


@primitive(promote="x1 x2", scalars=True, floating=True)
def divide(x1: Tensor, x2: Tensor) -> Tensor:
    """``x1 / x2``, broadcast; always a float, IEEE at division by zero."""
    return _pair(x1, x2)


@primitive(promote="x1 x2", scalars=True)
def floor_divide(x1: Tensor, x2: Tensor) -> Tensor:
    """``floor(x1 / x2)``, broadcast, as Python's ``//``."""
    return _pair(x1, x2)


@primitive(promote="x1 x2", scalars=True)
def mod(x1: Tensor, x2: Tensor) -> Tensor:
    """The remainder of floor division; it has the sign of `x2`, as Python's ``%``."""
    return _pair(x1, x2)


@primitive(promote="x1 x2", scalars=True)
def power(x1: Tensor, x2: Tensor) -> Tensor:
    """``x1 ** x2``, broadcast."""
    return _pair(x1, x2)


@primitive(promote="x1 x2", scalars=True)
def maximum(x1: Tensor, x2: Tensor) -> Tensor:
    """The larger of two elements; NaN if either is."""
    return _pair(x1, x2)


@primitive(promote="x1 x2", scalars=True)
def minimum(x1: Tensor, x2: Tensor) -> Tensor:
    """The smaller of two elements; NaN if either is."""
    return _pair(x1, x2)


@primitive(promote="x1 x2", floating=True)
def arctan2(x1: Tensor, x2: Tensor) -> Tensor:
    """The angle in radians of the point (x2, x1), from -pi to pi."""
    return _pair(x1, x2)


@primitive(promote="x1 x2", scalars=True)
def equal(x1: Tensor, x2: Tensor) -> Tensor:
    """Where ``x1 == x2``."""
    return _pair(x1, x2, "bool")


@primitive(promote="x1 x2", scalars=True)
def not_equal(x1: Tensor, x2: Tensor) -> Tensor:
    """Where ``x1 != x2``."""
    return _pair(x1, x2, "bool")


@primitive(promote="x1 x2", scalars=True)
def less(x1: Tensor, x2: Tensor) -> Tensor:
    """Where ``x1 < x2``."""
    return _pair(x1, x2, "bool")


@primitive(promote="x1 x2", scalars=True)
def less_equal(x1: Tensor, x2: Tensor) -> Tensor:
    """Where ``x1 <= x2``."""
    return _pair(x1, x2, "bool")


@primitive(promote="x1 x2", scalars=True)
def greater(x1: Tensor, x2: Tensor) -> Tensor:
    """Where ``x1 > x2``."""
    return _pair(x1, x2, "bool")


@primitive(promote="x1 x2", scalars=True)
def greater_equal(x1: Tensor, x2: Tensor) -> Tensor:
    """Where ``x1 >= x2``."""
    return _pair(x1, x2, "bool")


@primitive
def logical_and(x1: Tensor, x2: Tensor) -> Tensor:
    """Where both are true (nonzero)."""
    return _pair(x1, x2, "bool")


@primitive
def logical_or(x1: Tensor, x2: Tensor) -> Tensor:
    """Where at least one is true (nonzero)."""
    return _pair(x1, x2, "bool")


@primitive
def logical_xor(x1: Tensor, x2: Tensor) -> Tensor:
    """Where exactly one is true (nonzero)."""
    return _pair(x1, x2, "bool")


# -- more than two ---------------------------------------------------------------------------------


@primitive(promote="x1 x2")
def where(condition: Tensor, x1: Tensor, x2: Tensor) -> Tensor:
    """Elements of `x1` where `condition` is true, of `x2` elsewhere; all three broadcast.

    The side that is not taken gets a gradient of exactly 0 (0 times an infinite derivative inside
    it is still NaN: guard the argument, not the result).
    """
    return TensorSpec(broadcast(condition.shape, x1.shape, x2.shape), result_dtype(x1.dtype, x2.dtype))


@composite
def clip(x: Tensor, x_min: Any, x_max: Any) -> Tensor:
    """`x` limited to the range from `x_min` to `x_max` (numbers or tensors that broadcast)."""
    return ops.minimum(ops.maximum(x, x_min), x_max)
