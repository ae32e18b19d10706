"""Small layers: functions as layers, masking."""

from __future__ import annotations

import inspect
from typing import Any

from unidl import ops
from unidl.layers._base import Layer
from unidl.saving.objects import deserialize_keras_object, in_safe_mode, serialize_keras_object

__all__ = ["Identity", "Lambda", "Masking"]


class Identity(Layer):
    """The inputs, unchanged."""

    _stateless = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs


class Masking(Layer):
    """Leaves out the time steps at which all features equal `mask_value`.

    (batch, time, features) to the same, masked steps set to 0; later layers get the mask.
    """

    _stateless = True

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self.makes_mask = True
        self.supports_masking = True

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.any(ops.not_equal(inputs, self.mask_value), -1)

    def call(self, inputs: Any) -> Any:
        seen = ops.any(ops.not_equal(inputs, self.mask_value), -1, True)
        return ops.where(seen, inputs, ops.zeros_like(inputs))


class Lambda(Layer):
    """Any function of a tensor as a layer.

    Args:
        function: called with the inputs, and with `mask` and `training` if it takes them. If it is
            written with `unidl.ops` it runs on every backend; native code is possible, too.
        output_shape: the output's shape without the batch, or a function of the input's shape, for
            `compute_output_shape`; None: found by recording the function.
        mask: the mask of the outputs, or a function ``(inputs, mask)`` that gives it.
        arguments: more keyword arguments for `function`.

    The configuration of a lambda holds its code. Reading one is refused unless ``safe_mode=False`` is passed; use a
    named function and `saving.register_keras_serializable` where others shall read it.
    """

    def __init__(
        self, function: Any, output_shape: Any = None, mask: Any = None, arguments: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"Lambda: `function` must be callable, not {function!r}.")
        self.function = function
        self.arguments = dict(arguments or {})
        self._output_shape = output_shape
        self.mask = mask
        self.supports_masking = mask is not None
        self.makes_mask = mask is not None
        try:
            takes = inspect.signature(function).parameters
        except ValueError:  # some functions written in C have no signature
            takes = {}  # type: ignore[assignment]
        self._passes = [name for name in ("mask", "training") if name in takes and name not in self.arguments]

    def call(self, inputs: Any, mask: Any = None, training: Any = None) -> Any:
        if not self._passes:
            return self.function(inputs, **self.arguments)
        given = {"mask": mask, "training": training}
        return self.function(inputs, **self.arguments, **{name: given[name] for name in self._passes})

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        """As `output_shape` says, a shape without the batch or a function of the input's shape; else as recorded."""
        said = self._output_shape
        if said is None:
            return super().compute_output_shape(input_shape)
        return tuple(said(input_shape)) if callable(said) else (input_shape[0], *tuple(said))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("function", "output_shape", "mask", "arguments"):
            value = getattr(self, "_output_shape" if name == "output_shape" else name)
            config[name] = serialize_keras_object(value)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None, safe_mode: bool | None = None) -> Any:
        """A new layer from what `get_config` gave.

        Raises:
            ValueError: if the configuration holds code, and neither ``safe_mode=False`` nor a scope says that it is
                trusted.
        """
        config, safe = dict(config), in_safe_mode(safe_mode)
        for name in ("function", "output_shape", "mask", "arguments"):
            value = config.get(name)
            if safe and isinstance(value, dict) and value.get("class_name") == "__lambda__":
                raise ValueError(
                    f"{cls.__name__}: `{name}` is a Python lambda, whose code is in the configuration: whoever wrote "
                    "it chose what would run. If you trust the source, pass safe_mode=False; to be safe, register a "
                    "named function."
                )
            read = deserialize_keras_object(value, custom_objects, safe_mode=safe)
            config[name] = tuple(read) if isinstance(value, tuple) else read
        if isinstance(config["function"], str):
            known = getattr(ops, config["function"], None)
            config["function"] = config["function"] if known is None else known
        return cls(**config)
