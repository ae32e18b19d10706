"""unidl's dtype names and TensorFlow's dtypes."""

from __future__ import annotations

from typing import Any

from unidl_tensorflow._engine import tensorflow as tf

DTYPES: dict[str, Any] = {
    name: getattr(tf, name)
    for name in (
        "bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float16", "bfloat16",
        "float32", "float64", "complex64", "complex128",
    )
}  # fmt: skip

FLOATS = frozenset({tf.float16, tf.bfloat16, tf.float32, tf.float64})
COMPLEX = frozenset({tf.complex64, tf.complex128})
UNSIGNED = frozenset({tf.uint8, tf.uint16, tf.uint32, tf.uint64})
NARROW = frozenset({tf.bool, tf.int8, tf.int16, tf.uint8, tf.uint16})

#: What sums of each narrow dtype are computed in.
SUM_DTYPES = {tf.bool: tf.int32, tf.int8: tf.int32, tf.int16: tf.int32, tf.uint8: tf.uint32, tf.uint16: tf.uint32}

#: A wide dtype for those that a kernel lacks; the low bits of the result are the same.
WIDER = {
    tf.bool: tf.int32, tf.int8: tf.int32, tf.int16: tf.int32, tf.uint8: tf.int32, tf.uint16: tf.int32,
    tf.uint32: tf.int64, tf.uint64: tf.int64,
}  # fmt: skip
