"""Trigonometric and hyperbolic functions."""

from __future__ import annotations

from unidl.ops._declare import Tensor, like, pair, primitive


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


@primitive(promote="x1 x2", floating=True)
def arctan2(x1: Tensor, x2: Tensor) -> Tensor:
    """The angle in radians of the point (x2, x1), from -pi to pi."""
    return pair(x1, x2)


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


__all__ = ["sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh", "tanh"]
