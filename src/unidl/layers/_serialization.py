"""Layers as configurations, and back."""

from __future__ import annotations

from typing import Any

from unidl.layers._base import Layer
from unidl.saving.objects import deserialize_keras_object, serialize_keras_object

__all__ = ["deserialize", "serialize"]


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The layer that `serialize` described; a layer is returned as it is.

    Only unidl's layers, registered classes and `custom_objects` are ever built.

    Raises:
        TypeError: if there is no such class.
        ValueError: if what was described is no layer.
    """
    layer = deserialize_keras_object(config, custom_objects)
    if not isinstance(layer, Layer):
        raise ValueError(f"Not the configuration of a layer: {config!r} describes {layer!r}.")
    return layer


def serialize(layer: Layer) -> dict[str, Any]:
    """`layer` as ``{"module": …, "class_name": …, "config": …, "registered_name": …}``."""
    return serialize_keras_object(layer)
