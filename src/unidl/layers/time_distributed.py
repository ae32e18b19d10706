"""TimeDistributed: a layer for every time step."""

from __future__ import annotations

from typing import Any

from unidl import ops, tree
from unidl.backend.attributes import require
from unidl.errors import OpError
from unidl.layers._base import Layer
from unidl.layers._calling import call_spec
from unidl.layers._common import leading
from unidl.layers.bidirectional import Bidirectional
from unidl.layers.recurrent import RNN
from unidl.layers.wrappers import Wrapper

__all__ = ["TimeDistributed"]


class TimeDistributed(Wrapper):
    """Applies `layer` to every time step: (batch, time, …) to (batch, time, …').

    All steps go through the layer at once, as one larger batch, unless that would not be the same: a layer that is
    stateful, or changes its weights in training (batch normalization), gets one step after the other.

    Args:
        layer: a layer on (batch, …).

    Raises:
        ValueError: if `layer` is none.

    Example:
        >>> from unidl import layers, ops
        >>> frames = ops.ones((2, 5, 8, 8, 3))
        >>> tuple(layers.TimeDistributed(layers.Conv2D(4, 3))(frames).shape)
        (2, 5, 6, 6, 4)
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        if not isinstance(layer, (Layer, dict)):
            raise ValueError(f"TimeDistributed: `layer` must be a layer, not {layer!r}.")
        super().__init__(layer, **kwargs)
        self.supports_masking = True
        self._stateful = self._moves = False

    def build(self, input_shape: Any = None) -> None:
        require(
            isinstance(input_shape, (list, tuple)) and len(input_shape) >= 3,
            f"takes inputs of at least 3 dimensions (batch, time, …), but an input of shape {input_shape} came.",
        )
        inside = list(self.layer._flatten_layers())
        self._stateful = any(getattr(layer, "stateful", False) for layer in inside)
        super().build((input_shape[0] if self._stateful else None, *input_shape[2:]))
        self._moves = any(not getattr(v, "_wants_training", v.trainable) for v in self.layer.weights)

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if mask is not None:
            mask = self._passed_on(inputs, mask)
        if self._stateful or (training and self._moves):
            return self._one_by_one(inputs, mask)
        merged = _merged(inputs)
        outputs = self.layer(merged) if mask is None else self.layer(merged, mask=_merged(mask))
        batch, time = leading(inputs), leading(inputs, 1)

        def parted(output: Any) -> Any:
            after = tuple(output.shape)[1:]
            return ops.reshape(output, (batch, time, *(after if None not in after else ops.shape(output)[1:])))

        return tree.map_structure(parted, outputs)

    def _one_by_one(self, inputs: Any, mask: Any) -> Any:
        def step(carry: Any, now: Any) -> Any:
            return carry, self.layer(now[0]) if len(now) == 1 else self.layer(now[0], mask=now[1])

        xs = [ops.swapaxes(x, 0, 1) for x in (inputs, mask) if x is not None]
        _, outputs = ops.scan(step, [], xs)
        return tree.map_structure(lambda output: ops.swapaxes(output, 0, 1), outputs)

    def _passed_on(self, inputs: Any, mask: Any) -> Any:
        """The mask for the layer inside, after a check; None if that does not take one."""
        shape, masked = tuple(inputs.shape), tuple(mask.shape)
        known = zip(shape[:2], masked[:2], strict=False)
        if len(masked) < 2 or any(a != b for a, b in known if a is not None and b is not None):
            raise OpError(
                f"TimeDistributed layer {self.path!r}: the `mask` has shape {masked}, where inputs {shape} need "
                "(batch, time) or (batch, time, …)."
            )
        if "mask" not in call_spec(type(self.layer)).names:
            return None
        # A mask of steps says nothing about the steps that a recurrent layer inside goes through.
        return None if len(masked) == 2 and isinstance(self.layer, (RNN, Bidirectional)) else mask


def _merged(x: Any) -> Any:
    """(batch, time, …) as (batch * time, …)."""
    rest = tuple(x.shape)[2:]
    sizes = ops.shape(x)
    # Only if the batch is merged with what is known can the number of rows be left open.
    return ops.reshape(x, (-1, *rest) if None not in rest else (sizes[0] * sizes[1], *sizes[2:]))
