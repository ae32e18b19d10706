"""Rounding, limits and conversions, element by element."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.dtypes import COMPLEX, FLOATS, INTEGERS, dtype_name
from unidl.ops._bind import dtype_of
from unidl.ops._declare import Tensor, composite, like, need_dtype, pair, primitive
from unidl.ops.arithmetic import need_operands

#: The largest finite number of each float dtype.
_LARGEST = {
    "float16": 65504.0, "bfloat16": 3.3895313892515355e38, "float32": 3.4028234663852886e38,
    "float64": 1.7976931348623157e308,
}  # fmt: skip
#: The digits (bits) that a number of each float dtype has.
_DIGITS = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}


def _limits(dtype: str) -> tuple[int, int]:
    """The smallest and the largest number of an integer dtype, or of bool."""
    if dtype == "bool":
        return 0, 1
    bits = int(dtype.lstrip("uint"))
    return (0, 2**bits - 1) if dtype[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@primitive(floating=True)
def floor(x: Tensor) -> Tensor:
    """The largest integral value not above each element; integers become floats.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.floor([-1.5, 1.5])))
        [-2.  1.]
    """
    need_dtype(x, "x", "real")
    return like(x)


@primitive(floating=True)
def ceil(x: Tensor) -> Tensor:
    """The smallest integral value not below each element; integers become floats.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.ceil([-1.5, 1.5])))
        [-1.  2.]
    """
    need_dtype(x, "x", "real")
    return like(x)


@composite
def trunc(x: Tensor) -> Tensor:
    """`x` without its fraction, rounded towards 0; integers stay as they are.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.trunc([-1.5, 1.5])))
        [-1.  1.]
    """
    need_dtype(x, "x", "real")
    if dtype_of(x) not in FLOATS:
        return ops.copy(x)
    return ops.where(ops.less(x, 0), ops.ceil(x), ops.floor(x))


@primitive
def round(x: Tensor, decimals: int = 0) -> Tensor:
    """Rounded to `decimals` places (negative: to tens, hundreds, ...); halves go to the even neighbour.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.round([0.5, 1.5, -2.5])))
        [ 0.  2. -2.]
    """
    need_dtype(x, "x", "real")
    return like(x)


@primitive
def cast(x: Tensor, dtype: Any) -> Tensor:
    """`x` in another dtype. Floats become integers by dropping the fraction, complex numbers real by dropping `imag`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.cast([-1.5, 2.5], "int32")))
        [-1  2]
    """
    return like(x, dtype_name(dtype))


@composite
def saturate_cast(x: Tensor, dtype: Any) -> Tensor:
    """`x` in another dtype, numbers outside its range as its smallest or largest one; NaN becomes 0 in integers.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.saturate_cast([-20.0, 3.5, 1000.0], "uint8")))
        [  0   3 255]
    """
    have, dtype = dtype_of(x), dtype_name(dtype)
    if dtype == "bool" or dtype in COMPLEX or have == dtype:
        return ops.cast(x, dtype)
    need_dtype(x, "x", "real")
    if have in FLOATS and dtype in FLOATS:
        large = _LARGEST[dtype]
        return ops.cast(x if _LARGEST[have] <= large else ops.clip(x, -large, large), dtype)
    if have in FLOATS:
        low, high = _limits(dtype)
        # The largest float that is not above `high`, which itself may have more digits than floats have.
        below = float(high - high % 2 ** max(high.bit_length() - _DIGITS[have], 0))
        below, least = min(below, _LARGEST[have]), max(float(low), -_LARGEST[have])
        inside = ops.cast(ops.clip(ops.where(ops.isnan(x), 0, x), least, below), dtype)
        return ops.where(
            ops.greater(x, below), high, ops.where(ops.less(x, least), low, inside) if least > low else inside
        )
    low, high = _limits(dtype) if dtype in INTEGERS else (-int(_LARGEST[dtype]), int(_LARGEST[dtype]))
    least, most = _limits(have)
    if low > least:
        x = ops.maximum(x, low)
    if high < most:
        x = ops.minimum(x, high)
    return ops.cast(x, dtype)


@primitive
def copy(x: Tensor) -> Tensor:
    """A new tensor with the values of `x`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.copy([1.0, 2.0])))
        [1. 2.]
    """
    return like(x)


@primitive
def stop_gradient(variable: Tensor) -> Tensor:
    """The values of `variable`, with no gradient flowing back through them.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.stop_gradient([1.0, 2.0])))
        [1. 2.]
    """
    return like(variable)


@primitive(promote="x1 x2", scalars=True)
def maximum(x1: Tensor, x2: Tensor) -> Tensor:
    """The larger of two elements; NaN if either is. Of equal elements `x1` gets the gradient.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.maximum([1.0, 5.0], 3.0)))
        [3. 5.]
    """
    need_operands(x1, x2, "real")
    return pair(x1, x2)


@primitive(promote="x1 x2", scalars=True)
def minimum(x1: Tensor, x2: Tensor) -> Tensor:
    """The smaller of two elements; NaN if either is. Of equal elements `x1` gets the gradient.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.minimum([1.0, 5.0], 3.0)))
        [1. 3.]
    """
    need_operands(x1, x2, "real")
    return pair(x1, x2)


@composite(promote="x1 x2")
def fmax(x1: Tensor, x2: Tensor) -> Tensor:
    """The larger of two elements; where one is NaN, the other.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.fmax([1.0, float("nan")], [2.0, 3.0])))
        [2. 3.]
    """
    need_operands(x1, x2, "real")
    return ops.where(ops.isnan(x1), x2, ops.where(ops.isnan(x2), x1, ops.maximum(x1, x2)))


@composite(promote="x1 x2")
def fmin(x1: Tensor, x2: Tensor) -> Tensor:
    """The smaller of two elements; where one is NaN, the other.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.fmin([1.0, float("nan")], [2.0, 3.0])))
        [1. 3.]
    """
    need_operands(x1, x2, "real")
    return ops.where(ops.isnan(x1), x2, ops.where(ops.isnan(x2), x1, ops.minimum(x1, x2)))


@composite
def clip(x: Tensor, x_min: Any, x_max: Any) -> Tensor:
    """`x` limited to the range from `x_min` to `x_max`: numbers, tensors that broadcast, or None for no limit.

    The gradient is 1 on the limits too. Where `x_min` is above `x_max` the result is `x_max`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.clip([-2.0, 0.5, 2.0], -1.0, 1.0)))
        [-1.   0.5  1. ]
    """
    x = x if x_min is None else ops.maximum(x, x_min)
    if x_max is None:
        return ops.copy(x) if x_min is None else x
    return ops.minimum(x, x_max)


@composite
def nan_to_num(x: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """`x` with numbers in place of NaN and infinities; integers stay as they are.

    Args:
        posinf, neginf: None stands for the largest and the smallest number of the dtype.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.nan_to_num([1.0, float("nan"), float("inf")], posinf=9.0)))
        [1. 0. 9.]
    """
    dtype = dtype_of(x)
    if dtype in COMPLEX:
        parts = [ops.nan_to_num(part, nan, posinf, neginf) for part in (ops.real(x), ops.imag(x))]
        return ops.view_as_complex(ops.stack(parts, -1))
    if dtype not in FLOATS:
        return ops.copy(x)
    large = _LARGEST[dtype]
    x = ops.where(ops.isnan(x), nan, x)
    x = ops.where(ops.equal(x, math.inf), large if posinf is None else posinf, x)
    return ops.where(ops.equal(x, -math.inf), -large if neginf is None else neginf, x)


@composite
def signbit(x: Tensor) -> Tensor:
    """Where the sign is negative, that of -0.0 included.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.signbit([-1.0, -0.0, 0.0])))
        [ True  True False]
    """
    need_dtype(x, "x", "real")
    if dtype_of(x) not in FLOATS:
        return ops.less(x, 0)
    return ops.logical_or(ops.less(x, 0), ops.logical_and(ops.equal(x, 0), ops.less(ops.divide(1.0, x), 0)))


@composite(promote="x1 x2", floating=True)
def heaviside(x1: Tensor, x2: Tensor) -> Tensor:
    """The step function: 0 where `x1` is negative, `x2` where it is 0, 1 where it is positive; NaN stays NaN.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.heaviside([-2.0, 0.0, 3.0], 0.5)))
        [0.  0.5 1. ]
    """
    need_operands(x1, x2, "real")
    step = ops.cast(ops.greater(x1, 0), dtype_of(x1))
    return ops.where(ops.isnan(x1), x1, ops.where(ops.equal(x1, 0), x2, step))


@primitive(promote="x1 x2", floating=True)
def nextafter(x1: Tensor, x2: Tensor) -> Tensor:
    """The number next to `x1` in the direction of `x2` that its dtype can represent. No gradient flows.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.nextafter(1.0, 2.0) - 1.0) * 2.0**23)
        1.0
    """
    need_operands(x1, x2, "real")
    return pair(x1, x2)


__all__ = [
    "cast", "ceil", "clip", "copy", "floor", "fmax", "fmin", "heaviside", "maximum", "minimum", "nan_to_num",
    "nextafter", "round", "saturate_cast", "signbit", "stop_gradient", "trunc",
]  # fmt: skip
