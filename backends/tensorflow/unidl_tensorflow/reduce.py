"""Reductions and running reductions.

The gradient of a maximum or minimum goes in equal parts to all elements that attain it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from unidl_tensorflow._engine import tensorflow as tf
from unidl_tensorflow.dtypes import DTYPES, FLOATS, SUM_DTYPES

Tensor = Any


def sum(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    wide = SUM_DTYPES.get(x.dtype)
    if x.dtype is tf.float32 and (block := _long_block(x, axis)):
        return _by_halves(x, *block, keepdims)
    return tf.reduce_sum(x if wide is None else tf.cast(x, wide), axis, keepdims)


_LONG = 4096  # elements that are summed one after the other before rounding errors matter


def _long_block(x: Tensor, axis: Any) -> tuple[int, int] | None:
    """The first and last of neighbouring axes whose sum TensorFlow would take element by element, if it is long."""
    if axis is None:
        return None
    axes = sorted(_reduced(x, axis))
    if not axes or axes[-1] == x.shape.rank - 1 or axes[-1] - axes[0] != len(axes) - 1:
        return None
    if None in x.shape or math.prod(x.shape[axes[0] : axes[-1] + 1]) < _LONG:
        return None
    return axes[0], axes[-1]


def _by_halves(x: Tensor, first: int, last: int, keepdims: bool) -> Tensor:
    """The sum over the axes `first` to `last` in two steps, each over about the square root of all elements."""
    shape = tuple(x.shape)
    n, before, after = math.prod(shape[first : last + 1]), math.prod(shape[:first]), math.prod(shape[last + 1 :])
    root = math.isqrt(n)
    parts = next((k for k in range(root, root // 4, -1) if n % k == 0), root)
    x = tf.reshape(x, (before, n, after))
    even = n - n % parts
    head = x if even == n else x[:, :even]
    result = tf.reduce_sum(tf.reduce_sum(tf.reshape(head, (before, parts, even // parts, after)), 2), 1)
    if even < n:
        result += tf.reduce_sum(x[:, even:], 1)
    return tf.reshape(result, shape[:first] + (1,) * (last + 1 - first if keepdims else 0) + shape[last + 1 :])


def prod(x: Tensor, axis: Any = None, keepdims: bool = False, dtype: str | None = None) -> Tensor:
    wide = DTYPES[dtype] if dtype else SUM_DTYPES.get(x.dtype, x.dtype)
    return tf.reduce_prod(tf.cast(x, wide), axis, keepdims)


def mean(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    if x.dtype.is_complex:  # TensorFlow's mean of no complex numbers is 0
        return tf.complex(*(tf.reduce_mean(part(x), axis, keepdims) for part in (tf.math.real, tf.math.imag)))
    if x.dtype is tf.float32 and (block := _long_block(x, axis)):
        return _by_halves(x, *block, keepdims) / math.prod(x.shape[block[0] : block[1] + 1])
    return tf.reduce_mean(x, axis, keepdims)


def _reduced(x: Tensor, axis: Any) -> tuple[int, ...]:
    rank = x.shape.rank
    axes = range(rank) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    if any(not -rank <= a < rank for a in axes):
        raise ValueError(f"axis {axis} is out of range for {rank} dimensions")
    return tuple(a % rank for a in axes)


def _extreme(reduce: Callable[..., Tensor], limit: Callable[..., Tensor], of_bools: Callable[..., Tensor]) -> Any:
    def call(x: Tensor, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Tensor:
        if initial is None and 0 in [x.shape[a] for a in _reduced(x, axis)]:
            raise ValueError("no elements to choose from")
        if x.dtype is tf.bool:
            out = of_bools(x, axis, keepdims)
            return out if initial is None else tf.cast(limit(tf.cast(out, tf.int32), int(initial)), tf.bool)
        out = reduce(x, axis, keepdims)
        return out if initial is None else limit(out, tf.constant(initial, x.dtype))

    return call


def _logical(reduce: Callable[..., Tensor]) -> Any:
    def call(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
        return reduce(tf.cast(x, tf.bool), axis, keepdims)

    return call


def _argument(pick: Callable[..., Tensor]) -> Any:
    def call(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Tensor:
        rank = x.shape.rank
        if 0 in [x.shape[a] for a in _reduced(x, axis)]:
            raise ValueError("no elements to choose from")
        if x.dtype is tf.bool:
            x = tf.cast(x, tf.int8)
        flat = axis is None
        if flat:
            x, axis = tf.reshape(x, (-1,)), 0
        out = pick(x, axis, tf.int32)
        if x.dtype.is_floating:  # TensorFlow passes NaN over
            nan = tf.math.is_nan(x)
            out = tf.where(tf.reduce_any(nan, axis), tf.argmax(tf.cast(nan, tf.int8), axis, tf.int32), out)
        if flat:
            return tf.reshape(out, (1,) * rank) if keepdims else out
        return tf.expand_dims(out, axis % rank) if keepdims else out

    return call


def _running(run: Callable[..., Tensor]) -> Any:
    def call(x: Tensor, axis: int | None = None, dtype: str | None = None) -> Tensor:
        if axis is None:
            x, axis = tf.reshape(x, (-1,)), 0
        wanted = DTYPES[dtype] if dtype else tf.int32 if x.dtype is tf.bool else x.dtype
        wide = tf.float32 if wanted in (tf.float16, tf.bfloat16) else wanted
        if wide is tf.float32 and run is tf.cumsum and (x.shape[axis] is None or x.shape[axis] > 256):
            wide = tf.float64  # element by element, so that errors add up
        return tf.cast(run(tf.cast(x, wide), axis), wanted)

    return call


@tf.custom_gradient
def _cumprod(x: Tensor, axis: Tensor) -> Any:
    return tf.math.cumprod(x, axis), lambda upstream: (_cumprod_gradient(x, axis, upstream), None)


def _cumprod_gradient(x: Tensor, axis: Tensor, upstream: Tensor) -> Tensor:
    """The gradient of `cumprod`, right at zeros too (TensorFlow's own divides by the elements).

    Up to the first zero, the usual sum of upstream * product / element; at it, the products of the
    others; after it nothing matters. It is written with the first zero replaced by 1.
    """
    zeros = tf.cast(tf.equal(x, 0), x.dtype)
    before = tf.cumsum(zeros, axis, exclusive=True)
    first = tf.cast(tf.equal(x, 0) & tf.equal(before, 0), x.dtype)
    after_first = tf.cumsum(first, axis)  # 1 from the first zero on
    safe = tf.where(tf.equal(x, 0), tf.ones_like(x), x)
    filled = tf.where(tf.equal(first, 1), tf.ones_like(x), x)
    through = tf.math.cumprod(filled, axis)  # products in which the first zero is left out
    ahead = tf.cumsum(upstream * through * (1 - after_first), axis, reverse=True) / safe
    at_zero = tf.cumsum(upstream * through * after_first, axis, reverse=True)
    return tf.where(tf.equal(first, 1), at_zero, tf.where(tf.equal(after_first, 0), ahead, tf.zeros_like(x)))


def cumprod(x: Tensor, axis: int) -> Tensor:
    return _cumprod(x, tf.constant(axis, tf.int32)) if x.dtype in FLOATS else tf.math.cumprod(x, axis)


def logsumexp(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    return tf.reduce_logsumexp(x, axis, keepdims)


TABLE: dict[str, Any] = {
    "sum": sum,
    "prod": prod,
    "mean": mean,
    "max": _extreme(tf.reduce_max, tf.maximum, tf.reduce_any),
    "min": _extreme(tf.reduce_min, tf.minimum, tf.reduce_all),
    "any": _logical(tf.reduce_any),
    "all": _logical(tf.reduce_all),
    "argmax": _argument(tf.argmax),
    "argmin": _argument(tf.argmin),
    "cumsum": _running(tf.cumsum),
    "cumprod": _running(cumprod),
    "logsumexp": logsumexp,
}
