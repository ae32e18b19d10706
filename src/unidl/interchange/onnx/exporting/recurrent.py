"""Recurrent layers as ONNX's LSTM, GRU and RNN.

A mask may have any pattern, and ONNX only knows lengths: the steps that count are moved to the front, in their order,
and the outputs back to their places. So every mask gives what it gives in unidl, at the speed of the fused operator.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.interchange.onnx.exporting._emit import Emit
from unidl.interchange.onnx.exporting._writer import Value, Writer


def _gates(w: Writer, x: Value, order: tuple[int, ...]) -> Value:
    """A kernel (in, gates * units) as ONNX has it: (1, gates * units, in), the gates in another order."""
    count = len(order)
    if x.host is not None:

        def rearranged(array: np.ndarray) -> np.ndarray:
            parts = np.split(array.T, count)
            return np.concatenate([parts[i] for i in order])[None]

        return w.derived(x, rearranged, ("gates", order))
    turned = w.node("Transpose", x, perm=[1, 0])
    return w.unsqueeze(_reordered(w, turned, order), [0])


def _reordered(w: Writer, x: Value, order: tuple[int, ...]) -> Value:
    """A computed tensor with the parts of its first axis in another order."""
    if order == tuple(range(len(order))):
        return x
    more = {"num_outputs": len(order)} if w.opset >= 18 else {}
    parts = w.nodes("Split", [x], [x.dtype] * len(order), axis=0, **more)
    return w.node("Concat", *[parts[i] for i in order], axis=0)


def _bias(w: Writer, bias: Value | None, order: tuple[int, ...], both: bool) -> Value | None:
    """The bias of the inputs' gates followed by that of the state's (zeros unless `both` are there), (1, 2 * n)."""
    if bias is None:
        return None
    count = len(order)
    if bias.host is not None:

        def rearranged(array: np.ndarray) -> np.ndarray:
            rows = array if both else np.stack([array, np.zeros_like(array)])
            rows = rows.reshape(2, count, -1)[:, list(order)]
            return rows.reshape(1, -1)

        return w.derived(bias, rearranged, ("bias", order))
    if both:
        return w.node("Reshape", bias, np.asarray([1, -1]))
    own = _reordered(w, bias, order)
    return w.unsqueeze(w.node("Concat", own, w.node("Mul", own, w.constant(0, own.dtype)), axis=0), [0])


class _Sequences:
    """The steps that count, moved to the front, and how the results go back."""

    def __init__(self, w: Writer, x: Value, mask: Value) -> None:
        self.w = w
        time = w.squeeze(w.dim(mask, 1), [0])
        places = w.node("Range", w.constant(0, "int64"), time, w.constant(1, "int64"))
        order = w.node("Where", mask, places, w.node("Add", places, time), dtype="int64")
        order = w.nodes("TopK", [order, w.dim(mask, 1)], ["int64", "int64"], axis=1, largest=0)[1]
        counted = w.cast(mask, "int64")
        self.count = w.node("CumSum", counted, w.constant(1, "int64"))  # of the steps up to each
        self.lengths = w.cast(w.reduce("ReduceSum", counted, [1]), "int32")
        self.x = self._picked(x, order)

    def _picked(self, x: Value, places: Value) -> Value:
        """``x[b, places[b, t]]`` for each b and t."""
        return self.w.node("GatherND", x, self.w.unsqueeze(places, [2]), batch_dims=1)

    def outputs(self, y: Value) -> Value:
        """Each step's output is that of the last one that counts; zeros before the first."""
        w = self.w
        zero = w.constant(0, "int64")
        last = w.node("Max", w.node("Sub", self.count, w.constant(1, "int64")), zero)
        some = w.node("Greater", self.count, zero, dtype="bool")
        return w.where(w.unsqueeze(some, [2]), self._picked(y, last), w.constant(0, y.dtype))

    def state(self, last: Value, start: Value) -> Value:
        """The last state; the first one of sequences without a step."""
        some = self.w.node("Greater", self.lengths, self.w.constant(0, "int32"), dtype="bool")
        return self.w.where(self.w.unsqueeze(some, [1]), last, start)


def _run(
    w: Writer, op_type: str, x: Value, states: list[Value], kernels: list[Value | None], units: int | None,
    mask: Value | None, **more: Any,
) -> list[Value]:  # fmt: skip
    """The node, with what brings time to axis 0 and back: all outputs, then the last states."""
    sequences = None if mask is None else _Sequences(w, x, mask)
    steps = x if sequences is None else sequences.x
    starts = [None if s in w.zeros else w.unsqueeze(s, [0]) for s in states]
    inputs = [w.transpose(steps, (1, 0, 2)), *kernels, sequences and sequences.lengths, *starts]
    y, *last = w.nodes(op_type, inputs, [x.dtype] * (1 + len(states)), hidden_size=units, **more)
    outputs = w.node("Transpose", w.squeeze(y, [1]), perm=[1, 0, 2])
    last = [w.squeeze(s, [0]) for s in last]
    if sequences is not None:
        outputs = sequences.outputs(outputs)
        last = [sequences.state(s, start) for s, start in zip(last, states, strict=True)]
    return [outputs, *last]


_LSTM = (0, 3, 1, 2)  # unidl: input, forget, cell, output; ONNX: input, output, forget, cell
_GRU = (0, 1, 2)


def lstm(
    w: Writer, x: Value, h0: Value, c0: Value, kernel: Value, recurrent_kernel: Value, bias: Value | None = None,
    mask: Value | None = None,
) -> list[Value]:  # fmt: skip
    kernels = [_gates(w, kernel, _LSTM), _gates(w, recurrent_kernel, _LSTM), _bias(w, bias, _LSTM, False)]
    return _run(w, "LSTM", x, [h0, c0], kernels, recurrent_kernel.shape[0], mask)


def gru(
    w: Writer, x: Value, h0: Value, kernel: Value, recurrent_kernel: Value, bias: Value | None = None,
    mask: Value | None = None, reset_after: bool = True,
) -> list[Value]:  # fmt: skip
    kernels = [_gates(w, kernel, _GRU), _gates(w, recurrent_kernel, _GRU), _bias(w, bias, _GRU, reset_after)]
    return _run(w, "GRU", x, [h0], kernels, recurrent_kernel.shape[0], mask, linear_before_reset=int(reset_after))


def simple_rnn(
    w: Writer, x: Value, h0: Value, kernel: Value, recurrent_kernel: Value, bias: Value | None = None,
    mask: Value | None = None,
) -> list[Value]:  # fmt: skip
    kernels = [_gates(w, kernel, (0,)), _gates(w, recurrent_kernel, (0,)), _bias(w, bias, (0,), False)]
    return _run(w, "RNN", x, [h0], kernels, recurrent_kernel.shape[0], mask)


TABLE: dict[str, Emit] = {"lstm": lstm, "gru": gru, "simple_rnn": simple_rnn}
