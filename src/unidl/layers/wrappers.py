"""Layers around a layer: Bidirectional and TimeDistributed."""

from __future__ import annotations

from typing import Any

from unidl import ops
from unidl.backend.attributes import require
from unidl.layers._base import Layer
from unidl.layers._common import leading
from unidl.layers._serialization import deserialize
from unidl.layers.merging import Add, Average, Concatenate, Multiply
from unidl.layers.recurrent import Recurrent

__all__ = ["Bidirectional", "TimeDistributed", "Wrapper"]


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


class TimeDistributed(Wrapper):
    """Applies `layer` to every time step: (batch, time, …) to (batch, time, …').

    All steps go through the layer at once, as one larger batch.
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any = None) -> None:
        require(
            len(input_shape) >= 3, f"takes inputs (batch, time, …), but an input of shape {tuple(input_shape)} came."
        )
        super().build((None, *input_shape[2:]))

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        rest = tuple(inputs.shape)[2:]
        sizes = ops.shape(inputs)
        # Only if the batch is merged with what is known can the number of rows be left open.
        flat = (-1, *rest) if None not in rest else (sizes[0] * sizes[1], *sizes[2:])
        steps = ops.reshape(inputs, flat)
        if mask is not None and len(mask.shape) > 2 and None not in tuple(mask.shape)[2:]:
            outputs = self.layer(steps, mask=ops.reshape(mask, (-1, *tuple(mask.shape)[2:])))
        else:
            outputs = self.layer(steps)
        after = tuple(outputs.shape)[1:]
        after = after if None not in after else ops.shape(outputs)[1:]
        return ops.reshape(outputs, (leading(inputs), leading(inputs, 1), *after))


_MERGE = {"sum": Add, "mul": Multiply, "ave": Average, "concat": Concatenate}


class Bidirectional(Layer):
    """A recurrent layer that reads sequences forwards, and a copy of it that reads them backwards.

    Args:
        layer: a recurrent layer.
        merge_mode: "concat", "sum", "mul" or "ave" of both outputs; None: both, as a list.
        weights: arrays to start from, those of the forward layer first.
        backward_layer: the layer for the other direction; None: a copy of `layer` in the other direction.
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
            if not isinstance(value, Recurrent) and not (name == "backward_layer" and value is None):
                raise ValueError(f"Bidirectional: `{name}` must be an LSTM, GRU or SimpleRNN, not {value!r}.")
        if merge_mode is not None and merge_mode not in _MERGE:
            raise ValueError(
                f"Bidirectional: `merge_mode` must be one of {sorted(_MERGE)} or None, not {merge_mode!r}."
            )
        if backward_layer is None:
            backward_layer = _copy(layer, f"backward_{layer.name}", go_backwards=not layer.go_backwards)
        for flag in ("return_sequences", "return_state", "stateful"):
            if getattr(layer, flag) != getattr(backward_layer, flag):
                raise ValueError(f"Bidirectional: `layer` and `backward_layer` differ in {flag}.")
        if layer.go_backwards == backward_layer.go_backwards:
            raise ValueError("Bidirectional: `layer` and `backward_layer` must read in opposite directions.")
        self.forward_layer = _copy(layer, f"forward_{layer.name}")
        self.backward_layer = backward_layer
        self.merge_mode = merge_mode
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.stateful = layer.stateful
        self.supports_masking = True
        self.makes_mask = False
        self._start = weights
        self._merge = None if merge_mode is None else _MERGE[merge_mode]().call

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)
        if self._start is not None:
            self.set_weights(self._start)
            self._start = None

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = None) -> Any:
        first = second = None
        if initial_state is not None:
            half = len(initial_state) // 2
            first, second = list(initial_state[:half]), list(initial_state[half:])
        ahead = self.forward_layer(sequences, initial_state=first, mask=mask)
        back = self.backward_layer(sequences, initial_state=second, mask=mask)
        states: tuple[Any, ...] = ()
        if self.return_state:
            states = (*ahead[1:], *back[1:])
            ahead, back = ahead[0], back[0]
        if self.return_sequences:
            back = ops.flip(back, 1)
        output = [ahead, back] if self._merge is None else self._merge([ahead, back])
        if not states:
            return output
        return (*output, *states) if self._merge is None else (output, *states)

    def reset_states(self) -> None:
        """Start the next call of stateful layers from zeros."""
        self.forward_layer.reset_states()
        self.backward_layer.reset_states()

    reset_state = reset_states

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = previous_mask[0] if isinstance(previous_mask, (list, tuple)) else previous_mask
        mask = mask if self.return_sequences else None
        masks = [mask] if self.merge_mode is not None else [mask, mask]
        if self.return_state:
            masks += [None] * (2 * self.forward_layer.state_count)
        return masks if len(masks) > 1 else mask

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weights": None}


def _copy(layer: Any, name: str, **changes: Any) -> Any:
    copy = type(layer).from_config({**layer.get_config(), "name": name, **changes})
    copy._auto_named = layer._auto_named
    return copy
