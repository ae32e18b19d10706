"""Random numbers from TensorFlow's own generators."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

from unidl.dtypes import floatx
from unidl_tensorflow._engine import tensorflow as tf

Tensor = Any


class _Drawing(threading.local):
    """In this thread: what gives a seed for each draw; None: TensorFlow's own state decides."""

    seed: Callable[[], Tensor] | None = None


_drawing = _Drawing()


@contextlib.contextmanager
def drawing_from(seed: Tensor) -> Iterator[None]:
    """Inside of it random numbers follow from `seed`, two ints, and from how many were drawn before."""
    count = itertools.count()
    previous, _drawing.seed = _drawing.seed, lambda: seed + tf.constant([0, next(count)], tf.int32)
    try:
        yield
    finally:
        _drawing.seed = previous


def new_seed() -> Tensor:
    """Two ints."""
    if _drawing.seed is not None:
        return tf.random.stateless_uniform((2,), _drawing.seed(), maxval=2**30, dtype=tf.int32, minval=0)
    return tf.random.uniform((2,), maxval=2**30, dtype=tf.int32)


def _uniform(shape: Any, dtype: Any) -> Tensor:
    if _drawing.seed is None:
        return tf.random.uniform(shape, dtype=dtype)
    return tf.random.stateless_uniform(shape, _drawing.seed(), dtype=dtype)


def random_uniform(shape: Any, dtype: str | None = None, generator: Any = None) -> Tensor:
    return _uniform((shape,) if isinstance(shape, int) else shape, dtype or floatx())


def random_normal(shape: Any, dtype: str | None = None, generator: Any = None) -> Tensor:
    shape = (shape,) if isinstance(shape, int) else shape
    if _drawing.seed is None:
        return tf.random.normal(shape, dtype=dtype or floatx())
    return tf.random.stateless_normal(shape, _drawing.seed(), dtype=dtype or floatx())


def random_dropout(x: Tensor, rate: float, generator: Any = None) -> Tensor:
    if rate == 0:
        return tf.identity(x)
    keep = _uniform(tf.shape(x), x.dtype) >= rate
    return tf.where(keep, x * (1.0 / (1.0 - rate)), tf.zeros((), x.dtype))


def random_gamma(shape: Any, alpha: Tensor, dtype: str | None = None, generator: Any = None) -> Tensor:
    wide = "float64" if dtype == "float64" else "float32"
    alpha = tf.broadcast_to(tf.cast(alpha, wide), (shape,) if isinstance(shape, int) else shape)
    if _drawing.seed is None:
        drawn = tf.random.gamma((), alpha, dtype=wide)
    else:
        drawn = tf.random.stateless_gamma(tf.shape(alpha), _drawing.seed(), alpha, dtype=wide)
    return tf.cast(tf.stop_gradient(drawn), dtype or floatx())


def random_binomial(
    shape: Any, counts: Tensor, probabilities: Tensor, dtype: str | None = None, generator: Any = None
) -> Tensor:
    shape = (shape,) if isinstance(shape, int) else shape
    counts, probabilities = (tf.broadcast_to(tf.cast(x, "float64"), shape) for x in (counts, probabilities))
    drawn = tf.random.stateless_binomial(tf.shape(counts), new_seed(), counts, probabilities, tf.float64)
    drawn.set_shape(counts.shape)
    return tf.cast(drawn, dtype or floatx())


TABLE: dict[str, Any] = {
    "random_gamma": random_gamma,
    "random_binomial": random_binomial,
    "random_uniform": random_uniform,
    "random_normal": random_normal,
    "random_dropout": random_dropout,
}
