"""Arithmetic, element by element.

Integers wrap around modulo two to the power of their bits. Dividing an integer by 0 gives 0, and so does the remainder,
as in NumPy; floats follow IEEE 754. Bools are no numbers: `add` is their "or", `multiply` their "and", and what has no
such meaning refuses them.
"""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.dtypes import FLOATS
from unidl.ops._bind import dtype_of
from unidl.ops._declare import Tensor, composite, like, need_dtype, pair, primitive

_PARTS = {"complex64": "float32", "complex128": "float64"}


def need_operands(x1: Any, x2: Any, *kinds: str) -> None:
    """Raise OpError unless the operands are of all these `kinds` of dtypes; see `need_dtype`."""
    for kind in kinds:
        for x, what in ((x1, "x1"), (x2, "x2")):
            if hasattr(x, "dtype"):  # a Python number has the dtype of the other one
                need_dtype(x, what, kind)


@primitive
def absolute(x: Tensor) -> Tensor:
    """``|x|``, elementwise; for complex numbers the modulus, a float. The gradient at 0 is 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.absolute([-1.5, 0.0, 2.0])))
        [1.5 0.  2. ]
    """
    return like(x, _PARTS.get(x.dtype, x.dtype))


@composite(floating=True)
def fabs(x: Tensor) -> Tensor:
    """``|x|`` as a float; `x` is not complex.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.fabs([-1, 2])))
        [1. 2.]
    """
    need_dtype(x, "x", "real")
    return ops.absolute(x)


@primitive
def negative(x: Tensor) -> Tensor:
    """``-x``, elementwise; unsigned integers wrap around.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.negative([1.0, -2.0])))
        [-1.  2.]
    """
    need_dtype(x, "x", "numeric")
    return like(x)


@primitive
def sign(x: Tensor) -> Tensor:
    """-1, 0 or 1 by the sign of each element; NaN stays NaN. `x` is not complex.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.sign([-3.0, 0.0, 5.0])))
        [-1.  0.  1.]
    """
    need_dtype(x, "x", "real")
    return like(x)


@composite(floating=True)
def reciprocal(x: Tensor) -> Tensor:
    """``1 / x``, always a float.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.reciprocal([2.0, 4.0])))
        [0.5  0.25]
    """
    return ops.divide(1.0, x)


@primitive(promote="x1 x2", scalars=True)
def add(x1: Tensor, x2: Tensor) -> Tensor:
    """``x1 + x2``, broadcast.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.add([[1.0], [2.0]], [10.0, 20.0])))
        [[11. 21.]
         [12. 22.]]
    """
    return pair(x1, x2)


@primitive(promote="x1 x2", scalars=True)
def subtract(x1: Tensor, x2: Tensor) -> Tensor:
    """``x1 - x2``, broadcast.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.subtract([3.0, 4.0], 1.0)))
        [2. 3.]
    """
    need_operands(x1, x2, "numeric")
    return pair(x1, x2)


@primitive(promote="x1 x2", scalars=True)
def multiply(x1: Tensor, x2: Tensor) -> Tensor:
    """``x1 * x2``, broadcast.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.multiply([3.0, 4.0], [2.0, 0.5])))
        [6. 2.]
    """
    return pair(x1, x2)


@primitive(promote="x1 x2", scalars=True, floating=True)
def divide(x1: Tensor, x2: Tensor) -> Tensor:
    """``x1 / x2``, broadcast; always a float, IEEE at division by zero.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.divide([3, 4], 2)))
        [1.5 2. ]
    """
    return pair(x1, x2)


@composite(promote="x1 x2", floating=True)
def divide_no_nan(x1: Tensor, x2: Tensor) -> Tensor:
    """``x1 / x2``, and 0 wherever `x2` is 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.divide_no_nan([3.0, 4.0], [0.0, 2.0])))
        [0. 2.]
    """
    zero = ops.equal(x2, 0)
    return ops.where(zero, 0, ops.divide(x1, ops.where(zero, 1, x2)))


@primitive(promote="x1 x2", scalars=True)
def floor_divide(x1: Tensor, x2: Tensor) -> Tensor:
    """``floor(x1 / x2)``, broadcast, as Python's ``//``; an integer divided by 0 gives 0. No gradient flows.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.floor_divide([7, -7, 7], [2, 2, 0])))
        [ 3 -4  0]
    """
    need_operands(x1, x2, "numeric", "real")
    return pair(x1, x2)


@primitive(promote="x1 x2", scalars=True)
def mod(x1: Tensor, x2: Tensor) -> Tensor:
    """The remainder of floor division; it has the sign of `x2`, as Python's ``%``. Of integers modulo 0 it is 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.mod([7, -7, 7], [3, 3, 0])))
        [1 2 0]
    """
    need_operands(x1, x2, "numeric", "real")
    return pair(x1, x2)


@composite(promote="x1 x2")
def fmod(x1: Tensor, x2: Tensor) -> Tensor:
    """The remainder of division that rounds towards 0; it has the sign of `x1`, as C's ``fmod``.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.fmod([7, -7, 7], [3, 3, 0])))
        [ 1 -1  0]
    """
    need_operands(x1, x2, "numeric", "real")
    if dtype_of(x1) in FLOATS:
        # Of positive numbers both remainders are the same, and nothing is rounded.
        size = ops.mod(ops.absolute(x1), ops.absolute(x2))
        return ops.where(ops.signbit(x1), ops.negative(size), size)
    remainder = ops.mod(x1, x2)
    apart = ops.logical_xor(ops.less(x1, 0), ops.less(x2, 0))
    return ops.where(ops.logical_and(apart, ops.not_equal(remainder, 0)), ops.subtract(remainder, x2), remainder)


@primitive(promote="x1 x2")
def gcd(x1: Tensor, x2: Tensor) -> Tensor:
    """The greatest common divisor of integers, not negative; that of 0 and n is ``|n|``.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.gcd([12, -9, 0], [18, 6, 5])))
        [6 3 5]
    """
    need_operands(x1, x2, "integer")
    return pair(x1, x2)


@composite(promote="x1 x2")
def lcm(x1: Tensor, x2: Tensor) -> Tensor:
    """The least common multiple of integers, not negative; 0 if one of them is 0.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.lcm([4, -3, 0], [6, 5, 7])))
        [12 15  0]
    """
    need_operands(x1, x2, "integer")
    return ops.multiply(ops.floor_divide(ops.absolute(x1), ops.gcd(x1, x2)), ops.absolute(x2))


@composite(promote="x1", floating=True)
def ldexp(x1: Tensor, x2: Tensor) -> Tensor:
    """``x1 * 2**x2`` for integers `x2`, broadcast; the power alone may be out of range.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.ldexp([1.5, 1.0], [3, -2])))
        [12.    0.25]
    """
    need_dtype(x1, "x1", "floating")
    need_dtype(x2, "x2", "integer")
    dtype = dtype_of(x1)
    # A quarter of the exponent at a time: no factor is then out of the range of float32 (float64).
    wide = "float64" if dtype == "float64" else "float32"
    exponent = (
        ops.clip(ops.cast(x2, wide), -2200.0, 2200.0)
        if wide == "float64"
        else (ops.clip(ops.cast(x2, wide), -300.0, 300.0))
    )
    quarter = ops.floor(ops.multiply(exponent, 0.25))
    factor = ops.power(2.0, quarter)
    rest = ops.power(2.0, ops.subtract(exponent, ops.multiply(quarter, 3.0)))
    result = ops.cast(x1, wide)
    for part in (rest, factor, factor, factor):
        result = ops.multiply(result, part)
    return ops.cast(result, dtype)


abs = absolute
true_divide = divide


__all__ = [
    "abs", "absolute", "add", "divide", "divide_no_nan", "fabs", "floor_divide", "fmod", "gcd", "lcm", "ldexp", "mod",
    "multiply", "negative", "reciprocal", "sign", "subtract", "true_divide",
]  # fmt: skip
