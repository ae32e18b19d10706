"""Exponentials, logarithms, roots and powers."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.dtypes import FLOATS
from unidl.ops._bind import dtype_of
from unidl.ops._declare import Tensor, composite, like, need_dtype, pair, primitive
from unidl.ops._precision import wide
from unidl.ops.arithmetic import need_operands


@primitive(floating=True)
def exp(x: Tensor) -> Tensor:
    """``e**x``, elementwise.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.exp([0.0, -float("inf")])))
        [1. 0.]
    """
    return like(x)


@composite(floating=True)
def exp2(x: Tensor) -> Tensor:
    """``2**x``, elementwise.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.exp2([0.0, 3.0])))
        [1. 8.]
    """
    return ops.power(2.0, x)


@primitive(floating=True)
def expm1(x: Tensor) -> Tensor:
    """``e**x - 1``, accurate near 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.expm1([0.0, -float("inf")])))
        [ 0. -1.]
    """
    return like(x)


@primitive(floating=True)
def log(x: Tensor) -> Tensor:
    """Natural logarithm; -inf at 0, NaN below.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.log([1.0, 0.0])))
        [  0. -inf]
    """
    return like(x)


@composite(floating=True)
def log2(x: Tensor) -> Tensor:
    """Logarithm to base 2; -inf at 0, NaN below.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.round(ops.log2([1.0, 8.0]))))
        [0. 3.]
    """
    return ops.divide(ops.log(x), math.log(2.0))


@composite(floating=True)
def log10(x: Tensor) -> Tensor:
    """Logarithm to base 10; -inf at 0, NaN below.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.round(ops.log10([1.0, 100.0]))))
        [0. 2.]
    """
    return ops.divide(ops.log(x), math.log(10.0))


@primitive(floating=True)
def log1p(x: Tensor) -> Tensor:
    """``log(1 + x)``, accurate near 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.log1p([0.0, -1.0])))
        [  0. -inf]
    """
    return like(x)


def _log_of_sum(x1: Any, x2: Any, base: float) -> Any:
    """``log(base**x1 + base**x2)`` to that base."""
    need_operands(x1, x2, "floating")
    scale = math.log(base)
    same = ops.equal(x1, x2)  # infinities too, whose difference is NaN
    apart = ops.where(same, 0, ops.subtract(x1, x2))
    half = ops.add(ops.multiply(x1, 0.5), ops.multiply(x2, 0.5))  # of equal numbers each has half the gradient
    larger = ops.where(same, half, ops.maximum(x1, x2))
    small = ops.exp(ops.multiply(ops.absolute(apart), -scale))
    return ops.add(larger, ops.multiply(ops.log1p(small), 1.0 / scale))


@composite(promote="x1 x2", floating=True)
def logaddexp(x1: Tensor, x2: Tensor) -> Tensor:
    """``log(exp(x1) + exp(x2))``, broadcast, without overflow.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.logaddexp([1000.0, -float("inf")], [0.0, 2.0])))
        [1000.    2.]
    """
    return _log_of_sum(x1, x2, math.e)


@composite(promote="x1 x2", floating=True)
def logaddexp2(x1: Tensor, x2: Tensor) -> Tensor:
    """``log2(2**x1 + 2**x2)``, broadcast, without overflow.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.logaddexp2([3.0, 1000.0], [3.0, 0.0])))
        [   4. 1000.]
    """
    return _log_of_sum(x1, x2, 2.0)


@primitive(floating=True)
def sqrt(x: Tensor) -> Tensor:
    """Square root; NaN below 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.sqrt([1.0, 4.0])))
        [1. 2.]
    """
    return like(x)


@primitive(floating=True)
def rsqrt(x: Tensor) -> Tensor:
    """``1 / sqrt(x)``; inf at 0, NaN below.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.rsqrt([0.0, 4.0])))
        [inf 0.5]
    """
    return like(x)


@composite(floating=True)
def cbrt(x: Tensor) -> Tensor:
    """Cube root, with the sign of `x`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.round(ops.cbrt([-8.0, 27.0]))))
        [-2.  3.]
    """
    need_dtype(x, "x", "floating")
    below = ops.less(x, 0)
    root = ops.power(ops.where(below, ops.negative(x), x), 1.0 / 3.0)
    return ops.where(below, ops.negative(root), root)


@composite
def square(x: Tensor) -> Tensor:
    """``x * x``, elementwise.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.square([-3.0, 0.5])))
        [9.   0.25]
    """
    return ops.multiply(x, x)


@primitive(promote="x1 x2", scalars=True)
def power(x1: Tensor, x2: Tensor) -> Tensor:
    """``x1 ** x2``, broadcast; 1 where `x2` is 0.

    Integers stay integers: a negative power is rounded towards 0, that of 0 is 0. Bools are refused.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.power([2.0, 9.0], [3.0, 0.5])))
        [8. 3.]
    """
    need_operands(x1, x2, "numeric")
    return pair(x1, x2)


@composite(promote="x1 x2", floating=True)
def hypot(x1: Tensor, x2: Tensor) -> Tensor:
    """``sqrt(x1**2 + x2**2)``, broadcast, without overflow; infinite if either is, and its gradient at (0, 0) is 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.hypot([3.0, 0.0], [4.0, -2.0])))
        [5. 2.]
    """
    need_operands(x1, x2, "floating")
    scale = ops.stop_gradient(ops.maximum(ops.absolute(x1), ops.absolute(x2)))
    scale = ops.where(ops.logical_and(ops.isfinite(scale), ops.greater(scale, 0)), scale, 1)
    squares = ops.add(ops.square(ops.divide(x1, scale)), ops.square(ops.divide(x2, scale)))
    zero = ops.equal(squares, 0)
    root = ops.multiply(ops.sqrt(ops.where(zero, 1, squares)), scale)
    infinite = ops.logical_or(ops.isinf(x1), ops.isinf(x2))
    return ops.where(zero, 0, ops.where(infinite, math.inf, root))


@primitive(floating=True)
def erf(x: Tensor) -> Tensor:
    """The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to `x`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.erf([0.0, 9.0])))
        [0. 1.]
    """
    need_dtype(x, "x", "floating")
    return like(x)


#: How many coefficients the expansion of `erfc` has: with 40 its relative error is below 1e-14.
_TERMS = 40


def _erfc_coefficients() -> tuple[float, list[float]]:
    """The scale and the coefficients of Weideman's rational expansion of exp(z^2) erfc(z).

    J. Weideman, Computation of the complex error function, SIAM J. Numer. Anal. 31 (1994), eq. 37 and 38.
    """
    n, half = 2 * _TERMS, 2 * _TERMS
    scale = math.sqrt(_TERMS / math.sqrt(2.0))
    angles = [k * math.pi / half for k in range(-half + 1, half)]
    values = [math.exp(-((scale * math.tan(t / 2)) ** 2)) * (scale**2 + (scale * math.tan(t / 2)) ** 2) for t in angles]
    return scale, [
        sum(v * math.cos(m * t) for v, t in zip(values, angles, strict=True)) / (2 * n) for m in range(1, _TERMS + 1)
    ]


_ERFC_SCALE, _ERFC = _erfc_coefficients()


@composite(floating=True)
def erfc(x: Tensor) -> Tensor:
    """``1 - erf(x)``, accurate where that is small.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.erfc([-9.0, 0.0])))
        [2. 1.]
    """
    need_dtype(x, "x", "floating")
    tail = ops.greater(x, 0.5)
    z = ops.where(tail, x, 0.5)
    ratio = ops.divide(ops.subtract(_ERFC_SCALE, z), ops.add(z, _ERFC_SCALE))
    ratio = ops.where(ops.isinf(z), -1, ratio)
    total: Any = ops.multiply(ratio, _ERFC[-1])
    for coefficient in reversed(_ERFC[1:-1]):
        total = ops.multiply(ops.add(total, coefficient), ratio)
    total = ops.add(total, _ERFC[0])
    below = ops.add(z, _ERFC_SCALE)
    scaled = ops.add(
        ops.divide(ops.multiply(total, 2.0), ops.square(below)), ops.divide(1.0 / math.sqrt(math.pi), below)
    )
    return ops.where(tail, ops.multiply(scaled, ops.exp(ops.negative(ops.square(z)))), ops.subtract(1.0, ops.erf(x)))


@primitive(floating=True)
def erfinv(x: Tensor) -> Tensor:
    """The inverse of `erf`: infinite at -1 and 1, NaN outside.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.erfinv([0.0, 1.0])))
        [ 0. inf]
    """
    need_dtype(x, "x", "floating")
    return like(x)


@composite(floating=True)
def i0(x: Tensor) -> Tensor:
    """The modified Bessel function of the first kind of order 0.

    By its power series up to 18, and by its asymptotic series beyond (Abramowitz & Stegun, 9.6.12 and 9.7.1).

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.round(ops.i0([0.0, 1.0]), 3)))
        [1.    1.266]
    """
    need_dtype(x, "x", "floating")
    dtype = dtype_of(x)
    x = ops.absolute(wide(x))
    large = ops.greater(x, 18.0)
    quarter = ops.square(ops.multiply(ops.where(large, 18.0, x), 0.5))
    series: Any = 1.0
    for k in range(46, 0, -1):
        series = ops.add(ops.multiply(ops.multiply(quarter, 1.0 / k**2), series), 1.0)
    z = ops.where(large, x, 18.0)
    eighth = ops.divide(0.125, z)
    asymptotic: Any = 1.0
    for k in range(24, 0, -1):
        asymptotic = ops.add(ops.multiply(ops.multiply(eighth, (2 * k - 1) ** 2 / k), asymptotic), 1.0)
    # exp in two halves: the square root of z keeps the product finite a little longer than exp itself.
    half = ops.exp(ops.multiply(z, 0.5))
    asymptotic = ops.multiply(ops.multiply(half, ops.divide(asymptotic, ops.sqrt(ops.multiply(z, 2 * math.pi)))), half)
    result = ops.where(large, ops.where(ops.isinf(x), math.inf, asymptotic), series)
    return ops.cast(result, dtype) if dtype in FLOATS[:2] else result


__all__ = [
    "cbrt", "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "hypot", "i0", "log", "log10", "log1p", "log2",
    "logaddexp", "logaddexp2", "power", "rsqrt", "sqrt", "square",
]  # fmt: skip
