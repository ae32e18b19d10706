"""Ops on the bits of integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl_tensorflow._engine import tensorflow as tf

Tensor = Any


def _or_of_bools(fn: Callable[..., Tensor], of_bools: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def call(x: Tensor, y: Tensor) -> Tensor:
        return of_bools(x, y) if x.dtype is tf.bool else fn(x, y)

    return call


def bitwise_invert(x: Tensor) -> Tensor:
    return tf.logical_not(x) if x.dtype is tf.bool else tf.bitwise.invert(x)


def _places(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Where a shift by `y` places leaves nothing but the sign, and `y` with 0 there: TensorFlow does as the machine."""
    if not x.dtype.is_integer:
        raise TypeError("only integers have bits")
    far = tf.logical_or(tf.less(tf.cast(y, tf.int64), 0), tf.greater(tf.cast(y, tf.int64), 8 * x.dtype.size - 1))
    return far, tf.where(far, tf.zeros((), y.dtype), y)


def left_shift(x: Tensor, y: Tensor) -> Tensor:
    far, y = _places(x, y)
    return tf.where(far, tf.zeros((), x.dtype), tf.bitwise.left_shift(x, y))


def right_shift(x: Tensor, y: Tensor) -> Tensor:
    far, y = _places(x, y)
    zero = tf.zeros((), x.dtype)
    sign = zero if x.dtype.is_unsigned else tf.where(x < zero, zero - tf.ones((), x.dtype), zero)
    return tf.where(far, sign, tf.bitwise.right_shift(x, y))


TABLE: dict[str, Any] = {
    "bitwise_and": _or_of_bools(tf.bitwise.bitwise_and, tf.logical_and),
    "bitwise_or": _or_of_bools(tf.bitwise.bitwise_or, tf.logical_or),
    "bitwise_xor": _or_of_bools(tf.bitwise.bitwise_xor, tf.math.logical_xor),
    "bitwise_invert": bitwise_invert,
    "bitwise_left_shift": left_shift,
    "bitwise_right_shift": right_shift,
}
