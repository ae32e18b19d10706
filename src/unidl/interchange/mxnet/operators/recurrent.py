"""MXNet's fused recurrent operator: its one vector of parameters is cut into ONNX's kernels and biases."""

from __future__ import annotations

import numpy as np

from unidl.interchange.mxnet._table import Call, operator
from unidl.interchange.mxnet._writer import Value

#: ONNX's operator, and its gates in terms of the order that MXNet has: input, forget, cell, output in an LSTM, where
#: ONNX has
#: input, output, forget, cell; reset, update, new in a GRU, where ONNX has update, reset, new.
_KINDS = {
    "lstm": ("LSTM", (0, 3, 1, 2)),
    "gru": ("GRU", (1, 0, 2)),
    "rnn_tanh": ("RNN", (0,)),
    "rnn_relu": ("RNN", (0,)),
}


class _Parameters:
    """Cuts the vector: all weights, layer by layer and direction by direction, then all biases in the same order."""

    def __init__(self, c: Call, packed: np.ndarray, order: tuple[int, ...], units: int) -> None:
        self.c, self.packed, self.order, self.units, self.place = c, packed.reshape(-1), order, units, 0

    def take(self, *shape: int) -> np.ndarray:
        count = int(np.prod(shape))
        if self.place + count > self.packed.size:
            raise self.c.error(f"its vector of parameters has {self.packed.size} elements, and more are needed")
        self.place += count
        return self._reordered(self.packed[self.place - count : self.place].reshape(shape))

    def _reordered(self, array: np.ndarray) -> np.ndarray:
        gates = np.split(array, len(self.order))
        return np.concatenate([gates[i] for i in self.order])


@operator("RNN _npx_rnn")
def _rnn(c: Call, x: Value, packed: Value, *states: Value) -> list[Value]:
    """Data (time, batch, features), states (layers * directions, batch, units)."""
    w, mode = c.w, c.choice("mode", "", *_KINDS)
    op, order = _KINDS[mode]
    units, layers = c.integer("state_size"), c.integer("num_layers")
    directions = 2 if c.flag("bidirectional") else 1
    starts, lengths = _starts(c, mode, list(states))
    kernels = _kernels(c, x, packed, units, layers, directions, order)
    lasts: list[list[Value]] = []
    for layer, (kernel, recurrent, bias) in enumerate(kernels):
        weights = [
            w.derived(packed, a, f"{c.node.name}_{n}{layer}") for a, n in ((kernel, "w"), (recurrent, "r"), (bias, "b"))
        ]
        own = [None if s is None else w.slice(s, 0, layer * directions, (layer + 1) * directions) for s in starts]
        y, *last = w.nodes(
            op, [x, *weights, lengths, *own], 1 + len(starts), hidden_size=units,
            direction="bidirectional" if directions == 2 else "forward",
            linear_before_reset=1 if op == "GRU" else None,
            activations=["Relu"] * directions if mode == "rnn_relu" else None,
        )  # fmt: skip
        lasts.append(last)
        x = w.squeeze(y, 1) if directions == 1 else _side_by_side(c, y, directions * units)
    outputs = [x]
    if c.flag("state_outputs") or c.node.outputs > 1:
        for parts in zip(*lasts, strict=True):
            outputs.append(w.node("Concat", *parts, axis=0) if layers > 1 else parts[0])
    return outputs


def _side_by_side(c: Call, y: Value, width: int) -> Value:
    """Both directions of (time, directions, batch, units) along the last axis."""
    turned = c.w.transpose(y, (0, 2, 1, 3))
    return c.w.reshape(turned, [c.w.size(turned, 0), c.w.size(turned, 1), width])


def _starts(c: Call, mode: str, states: list[Value]) -> tuple[list[Value | None], Value | None]:
    """The first states (None for zeros), and the lengths of the sequences."""
    if c.get("projection_size") is not None:
        raise c.error("projections of the state are not read")
    if c.get("lstm_state_clip_min") is not None or c.get("lstm_state_clip_max") is not None:
        raise c.error("states that are clipped are not read")
    count = 2 if mode == "lstm" else 1
    lengths = None
    if c.flag("use_sequence_length") and states:
        lengths = c.w.cast(states.pop(), "int32")
    found = [None if _is_zero(s) else s for s in states[:count]]
    if any(s is None for s in found) and any(s is not None for s in found):
        raise c.error("one first state is zero and the other is not, which is not read")
    return (found or [None] * count), lengths


def _is_zero(state: Value) -> bool:
    return state.array is not None and not state.weight and not state.array.any()


def _kernels(
    c: Call, x: Value, packed: Value, units: int, layers: int, directions: int, order: tuple[int, ...]
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:  # fmt: skip
    """Kernels (directions, gates * units, features and units) and biases (directions, 2 * gates * units) of the
    layers."""
    if packed.array is None:
        raise c.error("parameters that are computed when the net runs are not read")
    if not (1 <= units <= packed.array.size and 1 <= layers <= packed.array.size):
        raise c.error(f"state_size {units} and num_layers {layers} do not fit {packed.array.size} parameters")
    rows, cut = len(order) * units, _Parameters(c, packed.array, order, units)
    features = c.known(x, 2, "the fused recurrent operator")
    weights = []
    for layer in range(layers):
        width = features if layer == 0 else directions * units
        weights.append([(cut.take(rows, width), cut.take(rows, units)) for _ in range(directions)])
    kernels = []
    for pairs in weights:
        biases = [np.concatenate([cut.take(rows), cut.take(rows)]) for _ in range(directions)]
        kernels.append((np.stack([p[0] for p in pairs]), np.stack([p[1] for p in pairs]), np.stack(biases)))
    if cut.place != packed.array.size:
        raise c.error(f"it has {packed.array.size} parameters, and {cut.place} belong to {features} features")
    return kernels
