"""Layers one after the other."""

from __future__ import annotations

from typing import Any

from unidl.layers._base import Layer
from unidl.layers._calling import call_spec
from unidl.layers._serialization import deserialize, serialize
from unidl.layers.preprocessing._host import DataLayer

__all__ = ["Pipeline"]


class Pipeline(DataLayer):
    """Layers one after the other as one layer, which is no model: it takes its inputs as they come.

    Args:
        layers: the layers in order.

    Example:
        >>> import unidl
        >>> layer = unidl.layers.Pipeline([unidl.layers.Rescaling(2.0), unidl.layers.Rescaling(1.0, offset=-1.0)])
        >>> unidl.ops.convert_to_numpy(layer([[1.0, 2.0]])).tolist()
        [[1.0, 3.0]]
    """

    def __init__(self, layers: Any, name: str | None = None) -> None:
        super().__init__(name=name)
        self._stack: list[Layer] = list(layers)

    @property
    def layers(self) -> list[Layer]:
        """The layers in order."""
        return list(self._stack)

    def _default_training(self) -> bool:
        return True  # as `call` says

    def call(self, inputs: Any, training: Any = True, mask: Any = None) -> Any:
        for layer in self._stack:
            takes = call_spec(type(layer)).names
            given = {"training": training, "mask": mask}
            inputs = layer(inputs, **{k: v for k, v in given.items() if k in takes and v is not None})
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "layers": [serialize(layer) for layer in self._stack]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new layer from what `get_config` gave."""
        layers = config.get("layers")
        if not isinstance(layers, (list, tuple)):
            raise ValueError(f"The configuration of a Pipeline needs a list of `layers`, not {layers!r}.")
        return cls([deserialize(layer) for layer in layers], name=config.get("name"))
