"""Layers around a layer."""

from __future__ import annotations

from typing import Any

from unidl.layers._base import Layer
from unidl.layers._serialization import deserialize

__all__ = ["Wrapper"]


class Wrapper(Layer):
    """A layer around `layer`, which is an attribute of that name.

    Subclasses compute with ``self.layer`` in `call`.

    Raises:
        ValueError: if `layer` is no layer.

    Example:
        >>> import unidl
        >>> class Doubled(unidl.layers.Wrapper):
        ...     def call(self, inputs):
        ...         return 2 * self.layer(inputs)
        >>> layer = Doubled(unidl.layers.Dense(3, kernel_initializer="ones"))
        >>> print(unidl.ops.convert_to_numpy(layer(unidl.ops.ones((1, 2)))))
        [[4. 4. 4.]]
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        layer = deserialize(layer) if isinstance(layer, dict) else layer
        if not isinstance(layer, Layer):
            raise ValueError(f"{type(self).__name__}: `layer` must be a layer, not {layer!r} of type {type(layer)}.")
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """A new wrapper around a new layer."""
        config = dict(config)
        return cls(deserialize(config.pop("layer"), custom_objects), **config)
