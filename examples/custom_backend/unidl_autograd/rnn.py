"""Recurrent layers step by step, as their declarations define them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograd import numpy as np


def _sigmoid(x: Any) -> Any:
    return 0.5 * (np.tanh(0.5 * x) + 1)


def _project(x: Any, kernel: Any, bias: Any) -> Any:
    return np.matmul(x, kernel) if bias is None else np.matmul(x, kernel) + bias


def _steps(step: Callable[..., Any], x: Any, states: tuple[Any, ...], mask: Any) -> Any:
    """All outputs, then each last state. ``step(x_t, *states)`` returns the new states, the output first."""
    output, outputs = np.zeros_like(states[0]), []
    for t in range(x.shape[1]):
        new = step(x[:, t], *states)
        if mask is None:
            states, output = new, new[0]
        else:
            keep = mask[:, t, None]
            states = tuple(np.where(keep, n, s) for n, s in zip(new, states))
            output = np.where(keep, new[0], output)
        outputs.append(output)
    return (np.stack(outputs, 1), *states)


def lstm(x: Any, h0: Any, c0: Any, kernel: Any, recurrent_kernel: Any, bias: Any = None, mask: Any = None) -> Any:
    def step(x_t: Any, h: Any, c: Any) -> Any:
        i, f, g, o = np.split(x_t + np.matmul(h, recurrent_kernel), 4, -1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        return _sigmoid(o) * np.tanh(c), c

    return _steps(step, _project(x, kernel, bias), (h0, c0), mask)


def gru(
    x: Any, h0: Any, kernel: Any, recurrent_kernel: Any, bias: Any = None, mask: Any = None, reset_after: bool = True
) -> Any:
    outer, inner = (bias, None) if bias is None or not reset_after else (bias[0], bias[1])
    n = 2 * recurrent_kernel.shape[0]

    def step(x_t: Any, h: Any) -> Any:
        own = _project(h, recurrent_kernel if reset_after else recurrent_kernel[:, :n], inner)
        z, r = np.split(_sigmoid(x_t[:, :n] + own[:, :n]), 2, -1)
        new = r * own[:, n:] if reset_after else np.matmul(r * h, recurrent_kernel[:, n:])
        return (z * h + (1 - z) * np.tanh(x_t[:, n:] + new),)

    return _steps(step, _project(x, kernel, outer), (h0,), mask)


def simple_rnn(x: Any, h0: Any, kernel: Any, recurrent_kernel: Any, bias: Any = None, mask: Any = None) -> Any:
    def step(x_t: Any, h: Any) -> Any:
        return (np.tanh(x_t + np.matmul(h, recurrent_kernel)),)

    return _steps(step, _project(x, kernel, bias), (h0,), mask)
