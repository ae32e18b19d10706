"""Exponentials, logarithms, roots and powers."""

from __future__ import annotations

from unidl import ops
from unidl.ops._declare import Tensor, composite, like, pair, primitive


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


@composite
def square(x: Tensor) -> Tensor:
    """``x * x``, elementwise."""
    return ops.multiply(x, x)


@primitive(promote="x1 x2", scalars=True)
def power(x1: Tensor, x2: Tensor) -> Tensor:
    """``x1 ** x2``, broadcast."""
    return pair(x1, x2)


@primitive(floating=True)
def erf(x: Tensor) -> Tensor:
    """The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to `x`."""
    return like(x)


__all__ = ["exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "square", "power", "erf"]
