"""Recurrent layers: one product for the inputs of all steps, then a loop over time for the rest.

An LSTM in float32 runs in TensorFlow's block kernel, a whole sequence in one call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from unidl.backend.ctc import beam_search
from unidl_tensorflow._engine import tensorflow as tf
from unidl_tensorflow.compiling import compiling
from unidl_tensorflow.linalg import linear

Tensor = Any
Step = Callable[..., tuple[Tensor, ...]]


def lstm(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    # The block kernel has no second derivative.
    if x.dtype is tf.float32 and x.shape[1] != 0 and not compiling.xla and compiling.tapes < 2:
        if mask is None:
            out, cells = _block_lstm(x, h0, c0, kernel, recurrent_kernel, bias)
            return out, out[:, -1], cells[-1]
        return _packed_lstm(x, h0, c0, kernel, recurrent_kernel, bias, mask)

    def step(x_t: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        i, f, g, o = tf.split(x_t + tf.matmul(h, recurrent_kernel), 4, 1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        return tf.sigmoid(o) * tf.tanh(c), c

    out, (h, c) = _scan(step, linear(x, kernel, bias), (h0, c0), mask)
    return out, h, c


def _block_lstm(
    x: Tensor, h0: Tensor, c0: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor]:
    """All outputs (batch, time, units) and all cells (time, batch, units)."""
    units = h0.shape[-1]
    # BlockLSTM (not V2, whose registered gradient is that of another order of gates) has gates i, g, f, o.
    weights = _gates_igfo(tf.concat([kernel, recurrent_kernel], 0))
    bias = tf.zeros((4 * units,), x.dtype) if bias is None else _gates_igfo(bias)
    none = tf.zeros((units,), x.dtype)
    out = tf.raw_ops.BlockLSTM(
        seq_len_max=tf.shape(x, tf.int64)[1], x=tf.transpose(x, (1, 0, 2)), cs_prev=c0, h_prev=h0, w=weights, wci=none,
        wcf=none, wco=none, b=bias, forget_bias=0.0, cell_clip=-1.0, use_peephole=False,
    )  # fmt: skip
    return tf.transpose(out.h, (1, 0, 2)), out.cs


def _packed_lstm(
    x: Tensor, h0: Tensor, c0: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor | None, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The block kernel over each sequence's valid steps, moved to its front; what follows them is not used."""
    counts = tf.cumsum(tf.cast(mask, tf.int32), 1)  # valid steps so far
    order = tf.argsort(tf.cast(tf.logical_not(mask), tf.int32), 1, stable=True)
    out, cells = _block_lstm(tf.gather(x, order, batch_dims=1), h0, c0, kernel, recurrent_kernel, bias)
    start = tf.zeros_like(h0)[:, None]
    outputs = tf.gather(tf.concat([start, out], 1), counts, batch_dims=1)
    lengths = tf.reduce_sum(tf.cast(mask, tf.int32), 1)
    cells = tf.transpose(cells, (1, 0, 2))
    h, c = (
        tf.gather(tf.concat([first[:, None], later], 1), lengths, batch_dims=1)
        for first, later in ((h0, out), (c0, cells))
    )
    return outputs, h, c


def _gates_igfo(weights: Tensor) -> Tensor:
    i, f, g, o = tf.split(weights, 4, -1)
    return tf.concat([i, g, f, o], -1)


def gru(
    x: Tensor,
    h0: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    reset_after: bool = True,
) -> tuple[Tensor, Tensor]:
    units = h0.shape[-1]
    if reset_after:
        into, inner = (None, None) if bias is None else tf.unstack(tf.convert_to_tensor(bias), 2)

        def step(x_t: Tensor, h: Tensor) -> tuple[Tensor, ...]:
            xz, xr, xn = tf.split(x_t, 3, 1)
            hz, hr, hn = tf.split(linear(h, recurrent_kernel, inner), 3, 1)
            z = tf.sigmoid(xz + hz)
            n = tf.tanh(xn + tf.sigmoid(xr + hr) * hn)
            return (n + z * (h - n),)
    else:
        into = bias
        gates, candidate = tf.split(tf.convert_to_tensor(recurrent_kernel), [2 * units, units], 1)

        def step(x_t: Tensor, h: Tensor) -> tuple[Tensor, ...]:
            xzr, xn = tf.split(x_t, [2 * units, units], 1)
            z, r = tf.split(tf.sigmoid(xzr + tf.matmul(h, gates)), 2, 1)
            n = tf.tanh(xn + tf.matmul(r * h, candidate))
            return (n + z * (h - n),)

    out, (h,) = _scan(step, linear(x, kernel, into), (h0,), mask)
    return out, h


def simple_rnn(
    x: Tensor,
    h0: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    def step(x_t: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        return (tf.tanh(x_t + tf.matmul(h, recurrent_kernel)),)

    out, (h,) = _scan(step, linear(x, kernel, bias), (h0,), mask)
    return out, h


def _scan(step: Step, x: Tensor, states: tuple[Tensor, ...], mask: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run `step` over time; `x` is (batch, time, …), the first state is the output.

    Returns all outputs (batch, time, units) and the last states.
    """
    states = tuple(tf.convert_to_tensor(s) for s in states)
    sizes = tf.shape(x)
    time = sizes[1]
    steps = tf.TensorArray(x.dtype, time).unstack(tf.transpose(x, (1, 0, 2)))
    outputs = tf.TensorArray(x.dtype, time, element_shape=states[0].shape)
    if mask is not None:
        masks = tf.TensorArray(tf.bool, time).unstack(tf.transpose(mask)[:, :, None])

    def body(t: Tensor, outputs: Any, *states: Tensor) -> tuple[Any, ...]:
        new = step(steps.read(t), *states)
        if mask is not None:
            keep = masks.read(t)
            new = tuple(tf.where(keep, n, s) for n, s in zip(new, states, strict=True))
        return (t + 1, outputs.write(t, new[0]), *new)

    _, outputs, *last = tf.while_loop(
        lambda t, *_: t < time, body, (tf.constant(0), outputs, *states), maximum_iterations=time
    )
    out = tf.transpose(outputs.stack(), (1, 0, 2))
    if mask is not None:
        # Before a sequence's first step there is no output to repeat.
        begun = tf.cumsum(tf.cast(mask, tf.int32), 1)[:, :, None] > 0
        out = tf.where(begun, out, tf.zeros((), x.dtype))
    out.set_shape((*x.shape[:2], states[0].shape[-1]))
    return out, tuple(last)


def ctc_beam_search(
    inputs: Tensor, sequence_lengths: Tensor, beam_width: int, top_paths: int, mask_index: int
) -> tuple[Tensor, Tensor]:
    """On the host."""

    def search(x: Any, lengths: Any) -> Any:
        return beam_search(x, lengths, beam_width, top_paths, mask_index)

    paths, scores = tf.numpy_function(search, [inputs, sequence_lengths], (tf.int32, inputs.dtype), stateful=False)
    paths.set_shape((top_paths, *inputs.shape[:2]))
    scores.set_shape((inputs.shape[0], top_paths))
    return paths, scores


TABLE: dict[str, Any] = {"lstm": lstm, "gru": gru, "simple_rnn": simple_rnn, "ctc_beam_search": ctc_beam_search}
