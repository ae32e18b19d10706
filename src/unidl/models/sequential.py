"""`Sequential`: a plain stack of layers."""

from __future__ import annotations

from typing import Any

from unidl import dtype_policies, tree
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
        #: What it was built for, if nobody declared an input.
        self._input_shape: Any = None
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._maybe_build_net()

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Put a layer (or an `Input`) at the end of the stack.

        Raises:
            ValueError: if it is no layer, has the name of another, or is a second input.
        """
        if type(layer) is SymbolicTensor and isinstance(getattr(layer.node, "layer", None), InputLayer):
            layer = layer.node.layer  # type: ignore[union-attr]
        if isinstance(layer, InputLayer):
            if self._stack or self._input_layer is not None:
                raise ValueError(
                    f"Model {self.name!r} has already been configured with layers or an input: an Input can "
                    "only come first."
                )
            self._input_layer = layer
        elif isinstance(layer, Layer):
            if any(layer.name == other.name for other in self._stack):
                raise ValueError(
                    f"Model {self.name!r} already has a layer named {layer.name!r}: the layers of a model should have "
                    "unique names."
                )
            if not self._stack and self._input_layer is None:
                self._input_layer = _input_of(layer)
            self._stack = [*self._stack, layer]
        else:
            raise ValueError(f"Only instances of Layer can be added to a Sequential, not {layer!r}.")
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

    @layers.setter
    def layers(self, value: Any) -> None:
        raise AttributeError("`Sequential.layers` cannot be set. Use `add()` and `pop()` to change the stack.")

    def _sublayers(self) -> list[Layer]:
        return list(self._stack)

    def _maybe_build_net(self) -> None:
        if self._input_layer is not None and self._stack:
            self._connect(self._input_layer.output)

    def _connect(self, inputs: Any) -> None:
        x = inputs
        for layer in self._stack:
            x = layer(x)
        self._set_net(inputs, x)

    def build(self, input_shape: Any = None) -> None:
        """Build all layers for inputs of `input_shape` (with the batch dimension), or a structure of shapes.

        Raises:
            ValueError: if the model has another input already, or no layers.
        """
        if input_shape is None:
            return
        if self._net is not None:
            have = self.input_shape
            if _is_shape(input_shape) and _is_shape(have) and not _fits(input_shape, have) and self._net.declared:
                raise ValueError(
                    f"Model {self.name!r} has already been configured for inputs of shape {have}; it cannot be "
                    f"built for {tuple(input_shape)}."
                )
            return
        if not self._stack:
            raise ValueError(f"Model {self.name!r} has no layers: add some.")
        dtype = "string" if self._takes_strings() else None
        inputs = tree.map_shape_structure(
            lambda shape: Input(batch_shape=(None, *tuple(shape)[1:]), dtype=dtype), input_shape
        )
        if type(inputs) is SymbolicTensor:
            self._input_layer = inputs.node.layer  # type: ignore[union-attr]
        try:
            self._connect(inputs)
        except NotImplementedError:  # a layer whose output shapes nobody knows: it runs eagerly
            self._input_layer = None
            return
        assert self._net is not None
        self._net.declared = False
        self._input_shape = input_shape

    def _takes_strings(self) -> bool:
        if self._net is not None or not self._stack:
            return super()._takes_strings()
        first = self._stack[0]
        return first._takes_strings() if isinstance(first, Model) else getattr(first, "takes_strings", False)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if not self._stack:
            raise ValueError(f"Model {self.name!r} has no layers: add some.")
        if self._net is None:
            for layer in self._stack:
                inputs = layer(inputs)
            return inputs
        return self._net.run(inputs)

    def get_config(self) -> dict[str, Any]:
        declared = self._input_layer is not None and self._input_shape is None and not hasattr(self._stack[0], "_net")
        stack = [self._input_layer, *self._stack] if declared and self._stack else self._stack
        config = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": dtype_policies.serialize(self._policy),
            "layers": [serialize_keras_object(v) for v in stack],
        }
        return config if self._input_shape is None else {**config, "build_input_shape": self._input_shape}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Sequential:
        """The model that `get_config` (or Keras) described."""
        model = cls(name=config.get("name"))
        for item in config["layers"]:
            model.add(deserialize_keras_object(item, custom_objects), rebuild=False)
        model._maybe_build_net()
        if config.get("build_input_shape") and model._net is None:
            model.build(_as_shape(config["build_input_shape"]))
        if not config.get("trainable", True):
            model.trainable = False
        return model


def _input_of(layer: Layer) -> InputLayer | None:
    """The input that a first layer brings along: its declared shape, or that of a model that is built."""
    if hasattr(layer, "_declared_input"):
        return InputLayer(batch_shape=layer._declared_input)
    net = getattr(layer, "_net", None)
    if net is not None and type(net.inputs) is SymbolicTensor and net.declared:
        return InputLayer(batch_shape=net.inputs.shape, dtype=net.inputs.dtype)
    return None


def _is_shape(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(d is None or isinstance(d, int) for d in value)


def _as_shape(value: Any) -> Any:
    """A shape, or a structure of shapes, out of JSON: lists of sizes as tuples."""
    if _is_shape(value):
        return tuple(value)
    return {k: _as_shape(v) for k, v in value.items()} if isinstance(value, dict) else [_as_shape(v) for v in value]


def _fits(shape: Any, declared: Any) -> bool:
    return len(shape) == len(declared) and all(a is None or b is None or a == b for a, b in zip(shape, declared))
