"""Writing into places of a tensor."""

from __future__ import annotations

from typing import Any

from unidl_tensorflow._engine import tensorflow as tf

Tensor = Any


def scatter_update(inputs: Tensor, indices: Tensor, updates: Tensor, reduction: str | None = None) -> Tensor:
    if inputs.dtype is tf.bool and reduction is not None:
        reduction = {"add": "max", "mul": "min"}.get(reduction, reduction)
        return tf.cast(
            scatter_update(tf.cast(inputs, tf.int32), indices, tf.cast(tf.cast(updates, tf.bool), tf.int32), reduction),
            tf.bool,
        )
    inputs, shape, k = tf.convert_to_tensor(inputs), tf.shape(inputs), indices.shape[-1]
    if 0 in inputs.shape:
        return tf.identity(inputs)
    updates = tf.cast(updates, inputs.dtype)
    rest, count = shape[k:], tf.reduce_prod(tf.shape(indices)[:-1])
    size = tf.reduce_prod(rest)
    height = tf.reduce_prod(shape[:k])
    flat = tf.reshape(inputs, tf.stack([height, size]))
    new = tf.broadcast_to(updates, tf.concat([tf.shape(indices)[:-1], rest], 0))
    new = tf.reshape(new, tf.stack([count, size]))
    rows = _rows(indices, shape[:k])
    places = rows[:, None]
    if reduction is None:
        # The last update of a place wins. All of a place write its value, so that their order does not matter.
        order = tf.range(count)
        last = tf.gather(tf.math.unsorted_segment_max(order, rows, height), rows)
        new = tf.where((last == order)[:, None], new, tf.stop_gradient(tf.gather(new, last)))
        result = tf.tensor_scatter_nd_update(flat, places, new)
    elif reduction == "add":
        result = tf.tensor_scatter_nd_add(flat, places, new)
    elif reduction == "mul":
        result = flat * tf.math.unsorted_segment_prod(new, rows, height)
    else:
        combine = tf.tensor_scatter_nd_max if reduction == "max" else tf.tensor_scatter_nd_min
        result = combine(flat, places, new)
        if inputs.dtype.is_floating:
            nan = tf.cast(tf.math.is_nan(new), tf.int32)
            lost = tf.tensor_scatter_nd_max(tf.cast(tf.math.is_nan(flat), tf.int32), places, nan)
            result = tf.where(lost > 0, tf.constant(float("nan"), inputs.dtype), result)
    return tf.reshape(result, shape)


def _rows(indices: Tensor, sizes: Tensor) -> Tensor:
    """The places `indices` (…, k) as numbers in the flattened first k dimensions."""
    kind = tf.int64 if indices.dtype in (tf.int64, tf.uint32, tf.uint64) else tf.int32
    indices, sizes = tf.cast(indices, kind), tf.cast(sizes, kind)
    indices = tf.where(indices < 0, indices + sizes, indices)
    return tf.reshape(tf.reduce_sum(indices * tf.math.cumprod(sizes, exclusive=True, reverse=True), -1), (-1,))


def gather_nd(x: Tensor, indices: Tensor) -> Tensor:
    x, k = tf.convert_to_tensor(x), indices.shape[-1]
    shape = tf.shape(x)
    flat = tf.reshape(x, tf.concat([[tf.reduce_prod(shape[:k])], shape[k:]], 0))
    found = tf.gather(flat, _rows(indices, shape[:k]))
    return tf.reshape(found, tf.concat([tf.shape(indices)[:-1], shape[k:]], 0))


TABLE: dict[str, Any] = {"scatter_update": scatter_update, "gather_nd": gather_nd}
