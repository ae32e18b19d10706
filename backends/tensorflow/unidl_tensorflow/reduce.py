"""Reductions and running reductions.

The gradient of a maximum or minimum goes in equal parts to all elements that attain it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl_tensorflow._engine import tensorflow as tf
from unidl_tensorflow.dtypes import DTYPES, FLOATS, SUM_DTYPES

Tensor = Any


def sum(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    wide = SUM_DTYPES.get(x.dtype)
    return tf.reduce_sum(x if wide is None else tf.cast(x, wide), axis, keepdims)


def prod(x: Tensor, axis: Any = None, keepdims: bool = False, dtype: str | None = None) -> Tensor:
    wide = DTYPES[dtype] if dtype else SUM_DTYPES.get(x.dtype, x.dtype)
    return tf.reduce_prod(tf.cast(x, wide), axis, keepdims)


def _reduced(x: Tensor, axis: Any) -> tuple[int, ...]:
    rank = x.shape.rank
    axes = range(rank) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
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
        if axis is None:
            out = pick(tf.reshape(x, (-1,)), 0, tf.int32)
            return tf.reshape(out, (1,) * rank) if keepdims else out
        out = pick(x, axis, tf.int32)
        return tf.expand_dims(out, axis % rank) if keepdims else out

    return call


def _running(run: Callable[..., Tensor]) -> Any:
    def call(x: Tensor, axis: int | None = None, dtype: str | None = None) -> Tensor:
        if axis is None:
            x, axis = tf.reshape(x, (-1,)), 0
        return run(tf.cast(x, DTYPES[dtype] if dtype else tf.int32 if x.dtype is tf.bool else x.dtype), axis)

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
    "mean": tf.reduce_mean,
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
