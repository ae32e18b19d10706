"""`Sequential`: a plain stack of layers."""

from __future__ import annotations

from typing import Any

from unidl.graph.symbolic import SymbolicTensor
from unidl.layers._base import Layer
from unidl.layers._input import Input, InputLayer
from unidl.models.model import Model
from unidl.saving.objects import deserialize_keras_object, serialize_keras_object


class Sequential(Model):
    """A stack of layers, each of one input and one output.

    Args:
        layers: the layers in order; an `Input` may come first, else the model is built at its first data.
        trainable, name: as in `Layer`.
    """

    def __init__(self, layers: Any = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(name=name, trainable=trainable)
        self._stack: list[Layer] = []
        self._input_layer: InputLayer | None = None
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._maybe_build_net()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Put a layer (or an `Input`) at the end of the stack."""
        if type(layer) is SymbolicTensor and isinstance(getattr(layer.node, "layer", None), InputLayer):
            layer = layer.node.layer  # type: ignore[union-attr]
        if isinstance(layer, InputLayer):
            if self._stack or self._input_layer is not None:
                raise ValueError(f"Model {self.name!r}: an Input can only come first.")
            self._input_layer = layer
        elif isinstance(layer, Layer):
            if any(layer.name == other.name for other in self._stack):
                raise ValueError(
                    f"Model {self.name!r} already has a layer named {layer.name!r}: layers need names of their own."
                )
            if not self._stack and self._input_layer is None and hasattr(layer, "_declared_input"):
                self._input_layer = InputLayer(batch_shape=layer._declared_input)
            self._stack = [*self._stack, layer]
        else:
            raise TypeError(f"A Sequential holds layers, not {layer!r}.")
        if rebuild:
            self._maybe_build_net()

    def pop(self, rebuild: bool = True) -> Layer:
        """Remove the last layer."""
        if not self._stack:
            raise ValueError(f"Model {self.name!r} has no layers to pop.")
        *rest, layer = self._stack
        self._stack = rest
        self._net = None
        if rebuild:
            self._maybe_build_net()
        return layer

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the input."""
        return list(self._stack)

    def _sublayers(self) -> list[Layer]:
        return list(self._stack)

    def _maybe_build_net(self) -> None:
        if self._input_layer is not None and self._stack:
            x = inputs = self._input_layer.output
            for layer in self._stack:
                x = layer(x)
            self._set_net(inputs, x)

    def build(self, input_shape: Any = None) -> None:
        """Build all layers for inputs of `input_shape` (with the batch dimension)."""
        if input_shape is None or self._net is not None:
            return
        if not self._stack:
            raise ValueError(f"Model {self.name!r} has no layers.")
        self._input_layer = Input(batch_shape=(None, *tuple(input_shape)[1:])).node.layer  # type: ignore[union-attr]
        self._maybe_build_net()
        if self._net is not None:
            self._net.declared = False

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if self._net is None:
            for layer in self._stack:
                inputs = layer(inputs)
            return inputs
        return self._net.run(inputs)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "layers": [serialize_keras_object(v) for v in self._stack],
            "build_input_shape": None if self._input_layer is None else self._input_layer.batch_shape,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Sequential:
        model = cls(name=config.get("name"))
        for item in config["layers"]:
            model.add(deserialize_keras_object(item, custom_objects), rebuild=False)
        if config.get("build_input_shape"):
            model.build(tuple(config["build_input_shape"]))
        return model
