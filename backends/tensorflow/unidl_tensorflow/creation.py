"""Tensors from shapes and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.dtypes import floatx, result_dtype, weak_kind
from unidl_tensorflow._engine import tensorflow as tf
from unidl_tensorflow.dtypes import DTYPES

Tensor = Any

_RANGES = frozenset({"int32", "int64", "float32", "float64"})


def zeros(shape: Any, dtype: str | None = None) -> Tensor:
    return tf.zeros(shape, dtype or floatx())


def ones(shape: Any, dtype: str | None = None) -> Tensor:
    return tf.ones(shape, dtype or floatx())


def arange(start: Any, stop: Any = None, step: Any = None, dtype: str | None = None) -> Tensor:
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    dtype = dtype or result_dtype(*(weak_kind(v) or "i*" for v in (start, stop, step)))
    if not any(hasattr(v, "dtype") and not isinstance(v, np.generic) for v in (start, stop, step)):
        # NumPy multiplies where TensorFlow adds up steps, and rounding errors with them.
        return tf.constant(np.arange(start, stop, step), DTYPES[dtype])
    out = tf.range(start, stop, step, dtype if dtype in _RANGES else "int32")
    return tf.cast(out, dtype)


def broadcast_to(x: Tensor, shape: Any) -> Tensor:
    return tf.broadcast_to(x, (shape,) if isinstance(shape, int) else shape)


TABLE: dict[str, Any] = {
    "zeros": zeros,
    "ones": ones,
    "zeros_like": tf.zeros_like,
    "ones_like": tf.ones_like,
    "arange": arange,
    "broadcast_to": broadcast_to,
}
