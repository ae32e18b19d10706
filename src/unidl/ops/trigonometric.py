"""Trigonometric and hyperbolic functions; angles are in radians."""

from __future__ import annotations

import math

from unidl import ops
from unidl.ops._declare import Tensor, composite, like, need_dtype, pair, primitive


@primitive(floating=True)
def sin(x: Tensor) -> Tensor:
    """Sine.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.sin([0.0])))
        [0.]
    """
    return like(x)


@primitive(floating=True)
def cos(x: Tensor) -> Tensor:
    """Cosine.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.cos([0.0])))
        [1.]
    """
    return like(x)


@primitive(floating=True)
def tan(x: Tensor) -> Tensor:
    """Tangent.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.tan([0.0])))
        [0.]
    """
    return like(x)


@primitive(floating=True)
def arcsin(x: Tensor) -> Tensor:
    """Inverse sine; NaN outside [-1, 1].

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.arcsin([0.0, 2.0])))
        [ 0. nan]
    """
    return like(x)


@primitive(floating=True)
def arccos(x: Tensor) -> Tensor:
    """Inverse cosine; NaN outside [-1, 1].

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.arccos([1.0, 2.0])))
        [ 0. nan]
    """
    return like(x)


@primitive(floating=True)
def arctan(x: Tensor) -> Tensor:
    """Inverse tangent.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.arctan([0.0])))
        [0.]
    """
    return like(x)


@primitive(promote="x1 x2", floating=True)
def arctan2(x1: Tensor, x2: Tensor) -> Tensor:
    """The angle of the point (x2, x1), from -pi to pi.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.arctan2([0.0, 0.0], [1.0, 2.0])))
        [0. 0.]
    """
    need_dtype(x1, "x1", "floating")
    return pair(x1, x2)


@primitive(floating=True)
def sinh(x: Tensor) -> Tensor:
    """Hyperbolic sine.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.sinh([0.0])))
        [0.]
    """
    return like(x)


@primitive(floating=True)
def cosh(x: Tensor) -> Tensor:
    """Hyperbolic cosine.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.cosh([0.0])))
        [1.]
    """
    return like(x)


@primitive(floating=True)
def tanh(x: Tensor) -> Tensor:
    """Hyperbolic tangent.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.tanh([0.0, float("inf")])))
        [0. 1.]
    """
    return like(x)


@primitive(floating=True)
def arcsinh(x: Tensor) -> Tensor:
    """Inverse hyperbolic sine.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.arcsinh([0.0])))
        [0.]
    """
    return like(x)


@primitive(floating=True)
def arccosh(x: Tensor) -> Tensor:
    """Inverse hyperbolic cosine; NaN below 1.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.arccosh([1.0, 0.0])))
        [ 0. nan]
    """
    return like(x)


@primitive(floating=True)
def arctanh(x: Tensor) -> Tensor:
    """Inverse hyperbolic tangent; infinite at -1 and 1, NaN outside.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.arctanh([0.0, 1.0])))
        [ 0. inf]
    """
    return like(x)


@composite(floating=True)
def sinc(x: Tensor) -> Tensor:
    """``sin(pi x) / (pi x)``; 1 at 0, with a gradient of 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.sinc([0.0])))
        [1.]
    """
    zero = ops.equal(x, 0)
    angle = ops.multiply(ops.where(zero, 1, x), math.pi)
    return ops.where(zero, 1, ops.divide(ops.sin(angle), angle))


@composite(floating=True)
def deg2rad(x: Tensor) -> Tensor:
    """Degrees as radians.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.deg2rad([0.0])))
        [0.]
    """
    need_dtype(x, "x", "floating")
    return ops.multiply(x, math.pi / 180.0)


@composite(floating=True)
def rad2deg(x: Tensor) -> Tensor:
    """Radians as degrees.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.rad2deg([0.0])))
        [0.]
    """
    need_dtype(x, "x", "floating")
    return ops.multiply(x, 180.0 / math.pi)


__all__ = [
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cos", "cosh", "deg2rad", "rad2deg",
    "sin", "sinc", "sinh", "tan", "tanh",
]  # fmt: skip
