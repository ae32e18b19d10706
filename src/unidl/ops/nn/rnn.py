"""Whole recurrent layers as one op, so that engines can use their fused kernels.

Time is axis 1. Where `mask` (batch, time) is False a step changes nothing: the state is carried
over and the output repeats the previous one (zeros before the first step).
"""

from __future__ import annotations

from typing import Any

from unidl.ops._declare import Tensor, TensorSpec, primitive, require, same_dim


def _check(x: Any, kernel: Any, recurrent_kernel: Any, mask: Any, gates: int) -> tuple[int | None, int | None, int]:
    require(len(x.shape) == 3, f"`x` must be (batch, time, features), not of {len(x.shape)} dimensions.")
    batch, time, features = x.shape
    units = recurrent_kernel.shape[0]
    same_dim(features, kernel.shape[0], "features of x and kernel")
    require(
        tuple(recurrent_kernel.shape) == (units, gates * units) and kernel.shape[1] == gates * units,
        f"`kernel` {list(kernel.shape)} and `recurrent_kernel` {list(recurrent_kernel.shape)} must be "
        f"(features, {gates} * units) and (units, {gates} * units).",
    )
    if mask is not None:
        require(
            len(mask.shape) == 2 and mask.dtype == "bool",
            f"`mask` must be bool (batch, time), not {mask.dtype}{list(mask.shape)}.",
        )
        same_dim(time, mask.shape[1], "time of x and mask")
    return batch, time, units


@primitive(promote="x h0 c0 kernel recurrent_kernel bias", floating=True)
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
    """
    batch, time, units = _check(x, kernel, recurrent_kernel, mask, 4)
    state = TensorSpec((batch, units), x.dtype)
    return TensorSpec((batch, time, units), x.dtype), state, state


@primitive(promote="x h0 kernel recurrent_kernel bias", floating=True)
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
    """
    batch, time, units = _check(x, kernel, recurrent_kernel, mask, 3)
    if bias is not None:
        want = (2, 3 * units) if reset_after else (3 * units,)
        require(tuple(bias.shape) == want, f"`bias` must have shape {want} here, not {tuple(bias.shape)}.")
    return TensorSpec((batch, time, units), x.dtype), TensorSpec((batch, units), x.dtype)


@primitive(promote="x h0 kernel recurrent_kernel bias", floating=True)
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
    """
    batch, time, units = _check(x, kernel, recurrent_kernel, mask, 1)
    return TensorSpec((batch, time, units), x.dtype), TensorSpec((batch, units), x.dtype)


__all__ = ["lstm", "gru", "simple_rnn"]
