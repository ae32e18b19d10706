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


TABLE: dict[str, Any] = {
    "random_uniform": random_uniform,
    "random_normal": random_normal,
    "random_dropout": random_dropout,
}
