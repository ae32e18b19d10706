"""Ops on the bits of integers; bools count as integers of one bit, except where bits are shifted."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.ops._bind import dtype_of
from unidl.ops._declare import Tensor, composite, need_dtype, pair, primitive


def _need(x: Any, y: Any, kind: str) -> None:
    need_dtype(x, "x", kind)
    need_dtype(y, "y", kind)


@primitive(promote="x y")
def bitwise_and(x: Tensor, y: Tensor) -> Tensor:
    """The bits that are set in both, broadcast.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.bitwise_and([12, -1], [10, 7])))
        [8 7]
    """
    _need(x, y, "integral")
    return pair(x, y)


@composite(promote="x y")
def bitwise_or(x: Tensor, y: Tensor) -> Tensor:
    """The bits that are set in at least one, broadcast.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.bitwise_or([12, 8], [10, 7])))
        [14 15]
    """
    _need(x, y, "integral")
    if dtype_of(x) == "bool":
        return ops.logical_or(x, y)
    return ops.add(ops.subtract(x, ops.bitwise_and(x, y)), y)


@composite(promote="x y")
def bitwise_xor(x: Tensor, y: Tensor) -> Tensor:
    """The bits that are set in exactly one, broadcast.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.bitwise_xor([12, 8], [10, 7])))
        [ 6 15]
    """
    _need(x, y, "integral")
    if dtype_of(x) == "bool":
        return ops.logical_xor(x, y)
    both = ops.bitwise_and(x, y)
    return ops.add(ops.subtract(x, both), ops.subtract(y, both))


@composite
def bitwise_invert(x: Tensor) -> Tensor:
    """All bits flipped: ``-x - 1`` for signed integers, "not" for bools.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.bitwise_invert([0, 5, -1])))
        [-1 -6  0]
    """
    need_dtype(x, "x", "integral")
    if dtype_of(x) == "bool":
        return ops.logical_not(x)
    return ops.subtract(ops.negative(x), 1)


def _shifted(x: Any, y: Any) -> tuple[Any, Any]:
    """Where a shift by `y` leaves nothing of `x` but its sign, and two to the power of `y` elsewhere (1 there)."""
    bits = int(dtype_of(x).lstrip("uint"))
    far = ops.logical_or(ops.less(y, 0), ops.greater_equal(y, bits))
    return far, ops.power(ops.ones_like(y) + ops.ones_like(y), ops.where(far, 0, y))


@composite(promote="x y")
def bitwise_left_shift(x: Tensor, y: Tensor) -> Tensor:
    """The bits of `x` moved `y` places up, broadcast; 0 if `y` is negative or not below the number of bits.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.bitwise_left_shift([1, 5, 1], [4, 1, 32])))
        [16 10  0]
    """
    _need(x, y, "integer")
    far, factor = _shifted(x, y)
    return ops.where(far, 0, ops.multiply(x, factor))


@composite(promote="x y")
def bitwise_right_shift(x: Tensor, y: Tensor) -> Tensor:
    """The bits of `x` moved `y` places down, its sign kept, broadcast.

    Where `y` is negative or not below the number of bits: 0, or -1 for negative `x`.

    Example:
        >>> from unidl import ops
        >>> print(ops.convert_to_numpy(ops.bitwise_right_shift([16, -5, -5], [4, 1, 32])))
        [ 1 -3 -1]
    """
    _need(x, y, "integer")
    far, factor = _shifted(x, y)
    if dtype_of(x)[0] == "u":
        return ops.where(far, 0, ops.floor_divide(x, factor))
    # Two to the power of the last place is negative: that far only the sign is left as well.
    far = ops.logical_or(far, ops.less(factor, 0))
    sign = ops.negative(ops.cast(ops.less(x, 0), dtype_of(x)))
    return ops.where(far, sign, ops.floor_divide(x, ops.where(far, 1, factor)))


bitwise_not = bitwise_invert
left_shift = bitwise_left_shift
right_shift = bitwise_right_shift


__all__ = [
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "left_shift", "right_shift",
]  # fmt: skip
