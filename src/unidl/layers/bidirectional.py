"""Bidirectional: a recurrent layer and its mirror image."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.layers._base import Layer
from unidl.layers._calling import call_spec
from unidl.layers._serialization import deserialize
from unidl.layers.merging import Add, Average, Concatenate, Multiply

__all__ = ["Bidirectional"]

_MERGE = {"sum": Add, "mul": Multiply, "ave": Average, "concat": Concatenate}


class Bidirectional(Layer):
    """A recurrent layer that reads sequences forwards, and one that reads them backwards.

    Args:
        layer: a recurrent layer, of which a copy is made: `RNN`, `LSTM`, `ConvLSTM2D`, or any with the attributes
            `go_backwards`, `return_sequences`, `return_state` and `stateful`, and a configuration.
        merge_mode: "concat", "sum", "mul" or "ave" of both outputs; None: both, as a tuple.
        weights: arrays to start from, those of the forward layer first.
        backward_layer: the layer for the other direction, with `go_backwards`; None: a copy of `layer` with that.

    With `return_state` the states follow, those of the forward layer first. With `return_sequences` the outputs of both
    directions are those of the same step, and 0 where a mask is False.

    Attributes:
        forward_layer, backward_layer: the two.

    Raises:
        ValueError: for something that is no layer, an unknown merge mode, or two layers that do not fit together.

    Example:
        >>> from unidl import layers, ops
        >>> layer = layers.Bidirectional(layers.GRU(4, return_sequences=True))
        >>> tuple(layer(ops.ones((2, 5, 3))).shape)
        (2, 5, 8)
    """

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        layer, backward_layer = (deserialize(v) if isinstance(v, dict) else v for v in (layer, backward_layer))
        for name, value in (("layer", layer), ("backward_layer", backward_layer)):
            if (not isinstance(value, Layer) or not hasattr(value, "go_backwards")) and (
                name == "layer" or value is not None
            ):
                raise ValueError(
                    f"Bidirectional: `{name}` must be a recurrent layer (LSTM, GRU, RNN …), with `go_backwards`, "
                    f"not {value!r}."
                )
        if merge_mode is not None and merge_mode not in _MERGE:
            raise ValueError(
                f"Bidirectional: `merge_mode` must be one of {sorted(_MERGE)} or None, not {merge_mode!r}."
            )
        plain = layer.name.removeprefix("forward_")
        self.forward_layer = _copy(layer, f"forward_{plain}")
        if backward_layer is None:
            backward_layer = _copy(layer, f"backward_{plain.removeprefix('backward_')}", go_backwards=True)
        self.backward_layer = backward_layer
        for flag in ("return_sequences", "return_state", "stateful"):
            if getattr(layer, flag) != getattr(backward_layer, flag):
                raise ValueError(f"Bidirectional: `layer` and `backward_layer` differ in {flag}.")
        if layer.go_backwards == backward_layer.go_backwards:
            raise ValueError(
                "Bidirectional: `layer` and `backward_layer` must read in opposite directions, but both have "
                f"go_backwards={layer.go_backwards}."
            )
        for one in (self.forward_layer, self.backward_layer):
            if hasattr(one, "zero_output_for_mask"):
                one.zero_output_for_mask = layer.return_sequences
        self.merge_mode = merge_mode
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.stateful = layer.stateful
        self.supports_masking = True
        self.makes_mask = False
        self.input_spec = layer.input_spec
        self._start = weights
        self._merge = None if merge_mode is None else _MERGE[merge_mode]().call

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)
        self.input_spec = self.forward_layer.input_spec
        if self._start is not None:
            self.set_weights(self._start)
            self._start = None

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = None) -> Any:
        first: dict[str, Any] = {}
        second: dict[str, Any] = {}
        if initial_state is not None:
            half = len(initial_state) // 2
            first, second = {"initial_state": initial_state[:half]}, {"initial_state": initial_state[half:]}
        also = {} if mask is None or "mask" not in call_spec(type(self.forward_layer)).names else {"mask": mask}
        ahead = self.forward_layer(sequences, **first, **also)
        back = self.backward_layer(sequences, **second, **also)
        states: tuple[Any, ...] = ()
        if self.return_state:
            states = (*ahead[1:], *back[1:])
            ahead, back = ahead[0], back[0]
        if self.return_sequences:
            back = ops.flip(back, 1)
        output = (ahead, back) if self._merge is None else self._merge([ahead, back])
        if not states:
            return output
        return (*output, *states) if self._merge is None else (output, *states)

    @property
    def states(self) -> tuple[Any, ...] | None:
        """The states of both layers, if they are stateful and built."""
        own = [layer.states for layer in (self.forward_layer, self.backward_layer)]
        return (*own[0], *own[1]) if all(own) else None

    def reset_state(self) -> None:
        """Let the next call start from zeros.

        Raises:
            AttributeError: if the layers are not stateful.
        """
        if not self.stateful:
            raise AttributeError(f"Layer {self.path!r} is not stateful: it has no state to reset.")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    def reset_states(self) -> None:
        """The same as `reset_state`."""
        self.reset_state()

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = previous_mask[0] if isinstance(previous_mask, (list, tuple)) else previous_mask
        mask = mask if self.return_sequences else None
        # Masks that follow are those of the states: there are none.
        return (mask, mask) if self.merge_mode is None else [mask] if self.return_state else mask

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["weights"]  # those that it started from; they are saved as all weights are
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """A new layer from what `get_config` gave."""
        from unidl.saving.registration import CustomObjectScope

        with CustomObjectScope(custom_objects):
            return super().from_config(config)


def _copy(layer: Any, name: str, **changes: Any) -> Any:
    copy = type(layer).from_config({**layer.get_config(), "name": name, **changes})
    copy._auto_named = layer._auto_named
    return copy
