"""Recurrent layers, step by step as their declarations define them; decoding of sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unidl.backend.ctc import beam_search
from unidl_numpy.dtypes import wide
from unidl_numpy.elementwise import sigmoid
from unidl_numpy.kernel import kernels

States = tuple[np.ndarray, ...]


def _steps(step: Callable[..., States], x: np.ndarray, states: States, mask: np.ndarray | None, dtype: Any) -> Any:
    """All outputs, then each last state. ``step(x_t, *states)`` returns the new states, the output first."""
    outputs = np.zeros((*x.shape[:2], states[0].shape[-1]), x.dtype)
    output = np.zeros_like(states[0])
    for t in range(x.shape[1]):
        new = step(x[:, t], *states)
        if mask is None:
            states, output = new, new[0]
        else:
            keep = mask[:, t, None]
            states = tuple(np.where(keep, n, s) for n, s in zip(new, states, strict=True))
            output = np.where(keep, new[0], output)
        outputs[:, t] = output
    return tuple(result.astype(dtype) for result in (outputs, *states))


def lstm(
    x: np.ndarray,
    h0: np.ndarray,
    c0: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    mask: np.ndarray | None = None,
) -> Any:
    dtype = x.dtype
    x, h0, c0, kernel, recurrent_kernel = map(wide, (x, h0, c0, kernel, recurrent_kernel))

    def step(x_t: np.ndarray, h: np.ndarray, c: np.ndarray) -> States:
        i, f, g, o = np.split(x_t + h @ recurrent_kernel, 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c

    return _steps(step, _projected(x, kernel, bias), (h0, c0), mask, dtype)


def gru(
    x: np.ndarray,
    h0: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    reset_after: bool = True,
) -> Any:
    dtype, units = x.dtype, recurrent_kernel.shape[0]
    x, h0, kernel, recurrent_kernel = map(wide, (x, h0, kernel, recurrent_kernel))
    into, inner = (bias, None) if bias is None or not reset_after else bias
    gates, candidate = recurrent_kernel[:, : 2 * units], recurrent_kernel[:, 2 * units :]

    def step(x_t: np.ndarray, h: np.ndarray) -> States:
        if reset_after:
            own = _projected(h, recurrent_kernel, inner)
            z, r = np.split(sigmoid(x_t[:, : 2 * units] + own[:, : 2 * units]), 2, -1)
            n = np.tanh(x_t[:, 2 * units :] + r * own[:, 2 * units :])
        else:
            z, r = np.split(sigmoid(x_t[:, : 2 * units] + h @ gates), 2, -1)
            n = np.tanh(x_t[:, 2 * units :] + (r * h) @ candidate)
        return (z * h + (1 - z) * n,)

    return _steps(step, _projected(x, kernel, into), (h0,), mask, dtype)


def simple_rnn(
    x: np.ndarray,
    h0: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray | None = None,
    mask: np.ndarray | None = None,
) -> Any:
    dtype = x.dtype
    x, h0, kernel, recurrent_kernel = map(wide, (x, h0, kernel, recurrent_kernel))
    projected = _projected(x, kernel, bias)
    return _steps(lambda x_t, h: (np.tanh(x_t + h @ recurrent_kernel),), projected, (h0,), mask, dtype)


def _projected(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    return x @ kernel if bias is None else x @ kernel + wide(bias)


TABLE = kernels({"lstm": lstm, "gru": gru, "simple_rnn": simple_rnn, "ctc_beam_search": beam_search})
