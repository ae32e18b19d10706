"""Arithmetic, rounding and limits, element by element."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.dtypes import dtype_name
from unidl.ops._declare import Tensor, composite, like, pair, primitive


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


@primitive(promote="x1 x2", scalars=True)
def add(x1: Tensor, x2: Tensor) -> Tensor:
    """``x1 + x2``, broadcast."""
    return pair(x1, x2)


@primitive(promote="x1 x2", scalars=True)
def subtract(x1: Tensor, x2: Tensor) -> Tensor:
    """``x1 - x2``, broadcast."""
    return pair(x1, x2)


@primitive(promote="x1 x2", scalars=True)
def multiply(x1: Tensor, x2: Tensor) -> Tensor:
    """``x1 * x2``, broadcast."""
    return pair(x1, x2)


@primitive(promote="x1 x2", scalars=True, floating=True)
def divide(x1: Tensor, x2: Tensor) -> Tensor:
    """``x1 / x2``, broadcast; always a float, IEEE at division by zero."""
    return pair(x1, x2)


@primitive(promote="x1 x2", scalars=True)
def floor_divide(x1: Tensor, x2: Tensor) -> Tensor:
    """``floor(x1 / x2)``, broadcast, as Python's ``//``."""
    return pair(x1, x2)


@primitive(promote="x1 x2", scalars=True)
def mod(x1: Tensor, x2: Tensor) -> Tensor:
    """The remainder of floor division; it has the sign of `x2`, as Python's ``%``."""
    return pair(x1, x2)


@primitive(promote="x1 x2", scalars=True)
def maximum(x1: Tensor, x2: Tensor) -> Tensor:
    """The larger of two elements; NaN if either is."""
    return pair(x1, x2)


@primitive(promote="x1 x2", scalars=True)
def minimum(x1: Tensor, x2: Tensor) -> Tensor:
    """The smaller of two elements; NaN if either is."""
    return pair(x1, x2)


@composite
def clip(x: Tensor, x_min: Any, x_max: Any) -> Tensor:
    """`x` limited to the range from `x_min` to `x_max` (numbers or tensors that broadcast)."""
    return ops.minimum(ops.maximum(x, x_min), x_max)


abs = absolute
true_divide = divide


__all__ = [
    "absolute",
    "negative",
    "sign",
    "floor",
    "ceil",
    "round",
    "cast",
    "copy",
    "stop_gradient",
    "reciprocal",
    "add",
    "subtract",
    "multiply",
    "divide",
    "floor_divide",
    "mod",
    "maximum",
    "minimum",
    "clip",
    "abs",
    "true_divide",
]
