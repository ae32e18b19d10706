"""Sorting, searching, and what depends on values."""

from __future__ import annotations

from typing import Any

from unidl_tensorflow._engine import tensorflow as tf
from unidl_tensorflow.dtypes import WIDER
from unidl_tensorflow.shape import take_along_axis

Tensor = Any


def _keys(x: Tensor) -> Tensor:
    """Integers in the order of `x`; NaN last, and -0 equal to 0."""
    if not x.dtype.is_floating:
        return tf.cast(x, WIDER.get(x.dtype, x.dtype))
    if x.dtype in (tf.float16, tf.bfloat16):
        x = tf.cast(x, tf.float32)
    kind = tf.int64 if x.dtype is tf.float64 else tf.int32
    # IEEE numbers of one sign are ordered as their bits are; those of negative ones run backwards.
    bits = tf.bitcast(tf.where(tf.equal(x, 0), tf.zeros((), x.dtype), x), kind)
    ordered = tf.where(bits < 0, tf.bitwise.bitwise_xor(bits, kind.max), bits)
    return tf.where(tf.math.is_nan(x), kind.max, ordered)


def argsort(x: Tensor, axis: int | None = -1) -> Tensor:
    if axis is None:
        x, axis = tf.reshape(x, (-1,)), 0
    return tf.argsort(_keys(x), axis, stable=True)


def sort(x: Tensor, axis: int | None = -1) -> Tensor:
    if axis is None:
        x, axis = tf.reshape(x, (-1,)), 0
    return take_along_axis(x, argsort(x, axis), axis)


def top_k(x: Tensor, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    if x.dtype.is_complex:
        raise TypeError(f"{x.dtype} has no order")
    places = tf.math.top_k(_keys(x), k, True).indices
    return take_along_axis(x, places, x.shape.rank - 1), places


def searchsorted(sorted_sequence: Tensor, values: Tensor, side: str = "left") -> Tensor:
    if sorted_sequence.shape.rank != 1:
        raise ValueError(f"a sequence of {sorted_sequence.shape.rank} dimensions")
    sequence, wanted = _keys(tf.convert_to_tensor(sorted_sequence)), _keys(tf.convert_to_tensor(values))
    return tf.reshape(tf.searchsorted(sequence, tf.reshape(wanted, (-1,)), side), tf.shape(wanted))


def nonzero(x: Tensor) -> tuple[Tensor, ...]:
    places = tf.where(tf.not_equal(x, tf.zeros((), x.dtype)) if x.dtype is not tf.bool else x)
    return tuple(tf.unstack(tf.cast(places, tf.int32), x.shape.rank, axis=1))


def occurrences(x: Tensor, minlength: int = 0) -> Tensor:
    x = tf.cast(x, tf.int64)
    kept = tf.boolean_mask(x, x >= 0)
    size = tf.maximum(tf.cast(minlength, tf.int64), tf.reduce_max(tf.concat([kept, [-1]], 0)) + 1)
    return tf.math.unsorted_segment_sum(tf.ones_like(kept, tf.int32), kept, size)


TABLE: dict[str, Any] = {
    "sort": sort,
    "argsort": argsort,
    "top_k": top_k,
    "searchsorted": searchsorted,
    "nonzero": nonzero,
    "occurrences": occurrences,
}
