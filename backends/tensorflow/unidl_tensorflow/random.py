"""Random numbers from one generator whose state is a variable: compiled steps go on where it stands.

TensorFlow's own random ops (`tf.random.uniform`) keep their state inside kernels, where nobody can read or set it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from unidl.dtypes import floatx
from unidl_tensorflow._engine import tensorflow as tf

Tensor = Any

#: TensorFlow's number for Philox (J. Salmon et al., SC 2011), whose state is (128 bits of counter, 64 bits of key).
_PHILOX = 1
#: The probability of rarer events 16 bits would miss by more than a thousandth.
_RAREST = 2.0**-7
#: Made when it is first needed: before, programs may still choose devices.
_made: dict[str, Any] = {}


def _state() -> Any:
    """The generator's state: a variable of three int64."""
    if "state" not in _made:
        with tf.init_scope():
            seed = _made.get("seed", int.from_bytes(os.urandom(7), "little"))
            _made["state"] = tf.Variable(_fresh(seed), trainable=False, name="random_state")
    return _made["state"]


def _fresh(seed: int) -> np.ndarray:
    return np.array([0, 0, seed], np.int64)


def set_seed(seed: int) -> None:
    """Start from a seed."""
    tf.random.set_seed(seed)  # for what users call of TensorFlow, and for the order of its data sets
    _made["seed"] = seed
    if "state" in _made:
        _made["state"].assign(_fresh(seed))


def random_state() -> dict[str, np.ndarray]:
    return {"philox": _state().numpy().copy()}


def set_random_state(state: dict[str, np.ndarray]) -> None:
    _state().assign(state["philox"])


class _Drawing(threading.local):
    """In this thread: what gives a seed for each draw; None: the generator is asked."""

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


def _next() -> tuple[Tensor, Tensor]:
    """Key and counter of the next draw: each draw has 2**40 blocks of numbers for itself."""
    if _drawing.seed is not None:
        key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=_drawing.seed())
        return key, counter
    delta = tf.constant(2**32, tf.uint64)  # in units of 256 blocks
    before = tf.raw_ops.RngReadAndSkip(resource=_state().handle, alg=_PHILOX, delta=delta)
    words = tf.bitcast(before, tf.uint64)
    return words[2:], words[:2]


def random_uniform(shape: Any, dtype: str | None = None, generator: Any = None) -> Tensor:
    key, counter = _next()
    shape = (shape,) if isinstance(shape, int) else shape
    return tf.raw_ops.StatelessRandomUniformV2(
        shape=shape, key=key, counter=counter, alg=_PHILOX, dtype=dtype or floatx()
    )


def random_normal(shape: Any, dtype: str | None = None, generator: Any = None) -> Tensor:
    key, counter = _next()
    shape = (shape,) if isinstance(shape, int) else shape
    return tf.raw_ops.StatelessRandomNormalV2(
        shape=shape, key=key, counter=counter, alg=_PHILOX, dtype=dtype or floatx()
    )


def _kept(x: Tensor, rate: float) -> Tensor:
    """Which elements dropout keeps, by few random bits each, which are dear: 8 if they give the very rate, else 16."""
    if not _RAREST <= rate <= 1 - _RAREST:
        return random_uniform(tf.shape(x), x.dtype) >= rate
    bits, dtype = (8, tf.int8) if float(rate * 2**8).is_integer() else (16, tf.int16)
    key, counter = _next()
    size, share = tf.size(x), 32 // bits
    words = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[(size + share - 1) // share], key=key, counter=counter, alg=_PHILOX, dtype=tf.uint32
    )
    numbers = tf.reshape(tf.reshape(tf.bitcast(words, dtype), [-1])[:size], tf.shape(x))
    return numbers >= tf.constant(round(rate * 2**bits) - 2 ** (bits - 1), dtype)


def random_dropout(x: Tensor, rate: float, generator: Any = None) -> Tensor:
    if rate == 0:
        return tf.identity(x)
    keep = _kept(x, rate)
    return tf.where(keep, x * (1.0 / (1.0 - rate)), tf.zeros((), x.dtype))


def new_seed() -> Tensor:
    """Two ints for `drawing_from` and TensorFlow's stateless functions, others at each run."""
    key, counter = _next()
    return tf.raw_ops.StatelessRandomUniformFullIntV2(shape=(2,), key=key, counter=counter, alg=_PHILOX, dtype=tf.int32)


def random_gamma(shape: Any, alpha: Tensor, dtype: str | None = None, generator: Any = None) -> Tensor:
    wide = "float64" if dtype == "float64" else "float32"
    alpha = tf.broadcast_to(tf.cast(alpha, wide), (shape,) if isinstance(shape, int) else shape)
    drawn = tf.random.stateless_gamma(tf.shape(alpha), new_seed(), alpha, dtype=wide)
    drawn.set_shape(alpha.shape)
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
