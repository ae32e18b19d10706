"""Random numbers from TensorFlow's own generators."""

from __future__ import annotations

from typing import Any

from unidl.dtypes import floatx
from unidl_tensorflow._engine import tensorflow as tf

Tensor = Any


def random_uniform(shape: Any, dtype: str | None = None, generator: Any = None) -> Tensor:
    return tf.random.uniform((shape,) if isinstance(shape, int) else shape, dtype=dtype or floatx())


def random_normal(shape: Any, dtype: str | None = None, generator: Any = None) -> Tensor:
    return tf.random.normal((shape,) if isinstance(shape, int) else shape, dtype=dtype or floatx())


def random_dropout(x: Tensor, rate: float, generator: Any = None) -> Tensor:
    if rate == 0:
        return tf.identity(x)
    keep = tf.random.uniform(tf.shape(x), dtype=x.dtype) >= rate
    return tf.where(keep, x * (1.0 / (1.0 - rate)), tf.zeros((), x.dtype))


def random_gamma(shape: Any, alpha: Tensor, dtype: str | None = None, generator: Any = None) -> Tensor:
    wide = "float64" if dtype == "float64" else "float32"
    alpha = tf.broadcast_to(tf.cast(alpha, wide), (shape,) if isinstance(shape, int) else shape)
    return tf.cast(tf.stop_gradient(tf.random.gamma((), alpha, dtype=wide)), dtype or floatx())


def random_binomial(
    shape: Any, counts: Tensor, probabilities: Tensor, dtype: str | None = None, generator: Any = None
) -> Tensor:
    shape = (shape,) if isinstance(shape, int) else shape
    counts, probabilities = (tf.broadcast_to(tf.cast(x, "float64"), shape) for x in (counts, probabilities))
    seed = tf.random.uniform((2,), maxval=2**31 - 1, dtype=tf.int32)
    drawn = tf.random.stateless_binomial(tf.shape(counts), seed, counts, probabilities, tf.float64)
    drawn.set_shape(counts.shape)
    return tf.cast(drawn, dtype or floatx())


TABLE: dict[str, Any] = {
    "random_gamma": random_gamma,
    "random_binomial": random_binomial,
    "random_uniform": random_uniform,
    "random_normal": random_normal,
    "random_dropout": random_dropout,
}
