"""Whole recurrent layers as one op, so that engines can use their fused kernels.

Time is axis 1. Where `mask` (batch, time) is False a step changes nothing: the state is carried
over and the output repeats the previous one (zeros before the first step).
"""

from __future__ import annotations

from typing import Any

from unidl.ops._declare import Tensor, TensorSpec, need_dtype, need_rank, primitive, require, same_dim


def _check(
    x: Any, kernel: Any, recurrent_kernel: Any, bias: Any, mask: Any, gates: int, **states: Any
) -> tuple[int | None, int | None, int]:
    """Batch size, time and units of arguments that fit together; the bias is checked if it is to be a vector."""
    need_rank(x, "x", 3, 3)
    need_dtype(x, "x", "floating")
    need_rank(kernel, "kernel", 2, 2)
    need_rank(recurrent_kernel, "recurrent_kernel", 2, 2)
    batch, time, features = x.shape
    units = recurrent_kernel.shape[0]
    same_dim(features, kernel.shape[0], "features of `x` and `kernel`")
    require(
        units is not None
        and tuple(recurrent_kernel.shape) == (units, gates * units)
        and kernel.shape[1] == gates * units,
        f"`kernel` {list(kernel.shape)} and `recurrent_kernel` {list(recurrent_kernel.shape)} must be "
        f"(features, {gates} * units) and (units, {gates} * units).",
    )
    if bias is not None:
        require(
            tuple(bias.shape) == (gates * units,),
            f"`bias` must have shape [{gates * units}] here, not {list(bias.shape)}.",
        )
    for name, state in states.items():
        need_rank(state, name, 2, 2)
        batch = same_dim(batch, state.shape[0], f"batch sizes of `x` and `{name}`")
        same_dim(units, state.shape[1], f"units of `recurrent_kernel` and `{name}`")
    if mask is not None:
        require(
            len(mask.shape) == 2 and mask.dtype == "bool",
            f"`mask` must be bool (batch, time), not {mask.dtype}{list(mask.shape)}.",
        )
        batch = same_dim(batch, mask.shape[0], "batch sizes of `x` and `mask`")
        time = same_dim(time, mask.shape[1], "time of `x` and `mask`")
    return batch, time, units


@primitive(promote="x h0 c0 kernel recurrent_kernel bias", floating=True, checked=True)
def lstm(
    x: Tensor,
    h0: Tensor,
    c0: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Long short-term memory (Hochreiter & Schmidhuber, 1997): all outputs, last h, last c.

    With ``z = x_t @ kernel + h @ recurrent_kernel + bias`` split into i, f, g, o:
    ``c = sigmoid(f) * c + sigmoid(i) * tanh(g)``, ``h = sigmoid(o) * tanh(c)``.

    Args:
        x: (batch, time, features); h0, c0: (batch, units).
        kernel: (features, 4 units); recurrent_kernel: (units, 4 units); bias: (4 units,) or None.
        mask: bool (batch, time) or None.

    Example:
        >>> from unidl import ops
        >>> state = ops.zeros((1, 2))
        >>> out, h, c = ops.lstm(ops.zeros((1, 3, 4)), state, state, ops.ones((4, 8)), ops.ones((2, 8)))
        >>> print(ops.convert_to_numpy(h), tuple(out.shape))
        [[0. 0.]] (1, 3, 2)
    """
    batch, time, units = _check(x, kernel, recurrent_kernel, bias, mask, 4, h0=h0, c0=c0)
    state = TensorSpec((batch, units), x.dtype)
    return TensorSpec((batch, time, units), x.dtype), state, state


@primitive(promote="x h0 kernel recurrent_kernel bias", floating=True, checked=True)
def gru(
    x: Tensor,
    h0: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    reset_after: bool = True,
) -> tuple[Tensor, Tensor]:
    """Gated recurrent unit (Cho et al., arXiv:1406.1078): all outputs and the last state.

    Gates in the order z, r, n: ``z, r = sigmoid(...)``; ``h = z * h + (1 - z) * n``. With `reset_after`
    ``n = tanh(x @ Wn + bn + r * (h @ Un + cn))`` (as cuDNN does), otherwise
    ``n = tanh(x @ Wn + bn + (r * h) @ Un)``.

    Args:
        x: (batch, time, features); h0: (batch, units).
        kernel: (features, 3 units); recurrent_kernel: (units, 3 units).
        bias: (2, 3 units) (input and recurrent) with `reset_after`, else (3 units,); or None.
        mask: bool (batch, time) or None.

    Example:
        >>> from unidl import ops
        >>> out, h = ops.gru(ops.zeros((1, 3, 4)), ops.ones((1, 2)), ops.ones((4, 6)), ops.zeros((2, 6)))
        >>> print(ops.convert_to_numpy(out))
        [[[0.5   0.5  ]
          [0.25  0.25 ]
          [0.125 0.125]]]
    """
    batch, time, units = _check(x, kernel, recurrent_kernel, None if reset_after else bias, mask, 3, h0=h0)
    if bias is not None and reset_after:
        want = (2, 3 * units)
        require(tuple(bias.shape) == want, f"`bias` must have shape {list(want)} here, not {list(bias.shape)}.")
    return TensorSpec((batch, time, units), x.dtype), TensorSpec((batch, units), x.dtype)


@primitive(promote="x h0 kernel recurrent_kernel bias", floating=True, checked=True)
def simple_rnn(
    x: Tensor,
    h0: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """``h = tanh(x_t @ kernel + h @ recurrent_kernel + bias)``: all outputs and the last state.

    Args:
        x: (batch, time, features); h0: (batch, units).
        kernel: (features, units); recurrent_kernel: (units, units); bias: (units,) or None.
        mask: bool (batch, time) or None.

    Example:
        >>> from unidl import ops
        >>> out, h = ops.simple_rnn(ops.zeros((1, 3, 4)), ops.ones((1, 2)), ops.ones((4, 2)), ops.zeros((2, 2)))
        >>> print(ops.convert_to_numpy(h))
        [[0. 0.]]
    """
    batch, time, units = _check(x, kernel, recurrent_kernel, bias, mask, 1, h0=h0)
    return TensorSpec((batch, time, units), x.dtype), TensorSpec((batch, units), x.dtype)


__all__ = ["lstm", "gru", "simple_rnn"]
