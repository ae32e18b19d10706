"""Layers around a layer."""

from __future__ import annotations

from typing import Any

from unidl.layers._base import Layer
from unidl.layers._serialization import deserialize

__all__ = ["Wrapper"]


class Wrapper(Layer):
    """A layer around `layer`, which is an attribute of that name."""

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        layer = deserialize(layer) if isinstance(layer, dict) else layer
        if not isinstance(layer, Layer):
            raise TypeError(f"{type(self).__name__}: `layer` must be a layer, not {layer!r}.")
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
