"""Activations, normalization and losses."""

from __future__ import annotations

import math
from typing import Any

from unidl_tensorflow._engine import tensorflow as tf
from unidl_tensorflow.shape import take_along_axis

Tensor = Any


def leaky_relu(x: Tensor, negative_slope: float = 0.2) -> Tensor:
    if x.dtype is tf.float64:  # the kernel keeps the slope in float32
        return tf.where(x > 0, x, x * negative_slope)
    return tf.nn.leaky_relu(x, negative_slope)


def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    out = tf.nn.elu(x)
    return out if alpha == 1.0 else tf.where(x > 0, x, out * alpha)


def gelu(x: Tensor, approximate: bool = True) -> Tensor:
    if x.dtype.is_complex:
        raise TypeError("complex numbers have no order")
    if not approximate:
        return 0.5 * x * (1.0 + tf.math.erf(x * math.sqrt(0.5)))
    # tf.nn.gelu raises to the third power, which costs more than all the rest.
    scale = math.sqrt(2.0 / math.pi)
    return 0.5 * x * (1.0 + tf.tanh(x * (scale + (scale * 0.044715) * tf.square(x))))


def softmax(x: Tensor, axis: Any = -1) -> Tensor:
    if isinstance(axis, int) and x.shape.rank:
        return tf.nn.softmax(x, axis)
    return tf.exp(log_softmax(x, axis))


def log_softmax(x: Tensor, axis: Any = -1) -> Tensor:
    if x.shape.rank == 0 and axis is not None:
        raise ValueError("no dimensions")
    if isinstance(axis, int):
        return tf.nn.log_softmax(x, axis)
    return tf.subtract(x, tf.reduce_logsumexp(x, axis, True))


def batch_normalization_training(
    x: Tensor, axis: int, offset: Tensor | None = None, scale: Tensor | None = None, epsilon: float = 1e-3
) -> tuple[Tensor, Tensor, Tensor]:
    """The fused kernel. Like PyTorch's it gives no gradient by the moments themselves."""
    rank = x.shape.rank
    axis %= rank
    if x.dtype not in (tf.float32, tf.float16, tf.bfloat16):
        return _plain_batch_normalization(x, axis, offset, scale, epsilon)
    statistics = tf.float32  # the kernel's dtype of vectors, whatever that of x is
    order = [*range(axis), *range(axis + 1, rank), axis]
    moved = x if axis == rank - 1 else tf.transpose(x, order)
    sizes = tf.shape(moved)
    channels = tf.shape(x)[axis] if x.shape[axis] is None else x.shape[axis]
    scale = tf.ones((channels,), statistics) if scale is None else tf.cast(scale, statistics)
    offset = tf.zeros((channels,), statistics) if offset is None else tf.cast(offset, statistics)
    out, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=moved if rank == 4 else tf.reshape(moved, (-1, 1, 1, channels)), scale=scale, offset=offset,
        mean=[], variance=[], epsilon=epsilon, is_training=True,
    )  # fmt: skip
    out = out if rank == 4 else tf.reshape(out, sizes)
    if axis != rank - 1:
        out = tf.transpose(out, [*range(axis), rank - 1, *range(axis, rank - 1)])
    # The kernel's variance is the estimate for a sample, with one element less in the denominator.
    count = tf.cast(tf.reduce_prod(sizes[:-1]), statistics)
    variance = variance * (tf.maximum(count - 1.0, 1.0) / count)
    out.set_shape(x.shape)
    return out, tf.stop_gradient(tf.cast(mean, x.dtype)), tf.stop_gradient(tf.cast(variance, x.dtype))


def _plain_batch_normalization(
    x: Tensor, axis: int, offset: Tensor | None, scale: Tensor | None, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    axes = [a for a in range(x.shape.rank) if a != axis]
    mean = tf.reduce_mean(x, axes, True)
    centred = x - mean
    variance = tf.reduce_mean(tf.square(centred), axes, True)
    shape = [-1 if a == axis else 1 for a in range(x.shape.rank)]
    factor = tf.math.rsqrt(variance + epsilon)
    out = centred * (factor if scale is None else factor * tf.reshape(scale, shape))
    out = out if offset is None else out + tf.reshape(offset, shape)
    return out, tf.stop_gradient(tf.squeeze(mean, axes)), tf.stop_gradient(tf.squeeze(variance, axes))


def sparse_categorical_crossentropy(
    target: Tensor, output: Tensor, from_logits: bool = False, axis: int = -1
) -> Tensor:
    rank = output.shape.rank
    axis %= rank
    if target.shape.rank != rank:
        target = tf.expand_dims(target, axis)
    if target.dtype not in (tf.int32, tf.int64):
        target = tf.cast(target, tf.int32)
    if not from_logits and output.dtype.size == 2:  # 1 - epsilon is 1 there
        wide = tf.cast(output, tf.float32)
        return tf.cast(sparse_categorical_crossentropy(target, wide, from_logits, axis), output.dtype)
    if from_logits:
        if axis == rank - 1:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.squeeze(target, axis), output)
        logs = tf.nn.log_softmax(output, axis)
    else:
        from unidl.config import epsilon

        small = epsilon()
        logs = tf.math.log(tf.clip_by_value(output / tf.reduce_sum(output, axis, True), small, 1.0 - small))
    return tf.negative(tf.squeeze(take_along_axis(logs, target, axis), axis))


TABLE: dict[str, Any] = {
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "sigmoid": tf.sigmoid,
    "leaky_relu": leaky_relu,
    "elu": elu,
    "softplus": tf.nn.softplus,
    "softsign": tf.nn.softsign,
    "silu": tf.nn.silu,
    "log_sigmoid": tf.math.log_sigmoid,
    "gelu": gelu,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "batch_normalization_training": batch_normalization_training,
    "sparse_categorical_crossentropy": sparse_categorical_crossentropy,
}
