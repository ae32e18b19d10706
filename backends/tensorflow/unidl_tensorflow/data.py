"""`tf.data.Dataset`s of what unidl reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from unidl import tree
from unidl.graph.symbolic import TensorSpec
from unidl_tensorflow._engine import tensorflow as tf


def dataset(elements: Callable[[], Iterator[Any]], spec: Any, length: int | None) -> Any:
    """A `tf.data.Dataset` that begins a pass over `elements` whenever it is iterated over."""
    signature = _signature(spec)
    made = tf.data.Dataset.from_generator(elements, output_signature=signature)
    if length is not None:
        made = made.apply(tf.data.experimental.assert_cardinality(length))
    return made.prefetch(tf.data.AUTOTUNE)


def _signature(spec: Any) -> Any:
    if isinstance(spec, TensorSpec):  # a named tuple: not part of the nesting
        return tf.TensorSpec(spec.shape, tf.as_dtype(spec.dtype))
    if isinstance(spec, dict):
        return {key: _signature(value) for key, value in spec.items()}
    if tree.is_nested(spec):
        return tuple(_signature(value) for value in spec)
    raise TypeError(f"{spec!r} is no TensorSpec.")
