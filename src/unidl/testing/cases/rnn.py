"""Cases of recurrent ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl.testing.draw import Draw, Tolerance, add

_TOLERANCE = Tolerance(4, True)


def _recurrent(gates: int, states: int) -> Any:
    def build(r: Draw) -> tuple[Any, ...]:
        batch, time, features, units = r.integer(1, 3), r.integer(1, 5), r.integer(1, 4), r.integer(1, 4)
        reset_after = gates != 3 or r.flag()
        weights = [r.array(s, low=-1, high=1) for s in ((features, gates * units), (units, gates * units))]
        bias_shape = (2, 3 * units) if gates == 3 and reset_after else (gates * units,)
        bias = r.array(bias_shape, low=-1, high=1) if r.flag() else None
        start = [r.array((batch, units), low=-1, high=1) for _ in range(states)]
        arguments = (r.array((batch, time, features), low=-2, high=2), *start, *weights, bias, _mask(r, batch, time))
        return (*arguments, reset_after) if gates == 3 else arguments

    return build


def _mask(r: Draw, batch: int, time: int) -> np.ndarray | None:
    """None, sequences padded at the end or at the start, or holes anywhere (empty sequences too)."""
    kind = r.integer(0, 3)
    if kind == 0:
        return None
    if kind == 3:
        return r.numbers.random((batch, time)) < 0.6
    lengths = r.numbers.integers(r.integer(0, 1), time + 1, (batch, 1))
    mask = np.arange(time) < lengths
    return mask if kind == 1 else mask[:, ::-1].copy()


_WEIGHTS = "kernel recurrent_kernel bias"
add("lstm", _recurrent(4, 2), unknown="x h0 c0 mask", gradient=f"x h0 c0 {_WEIGHTS}", tolerance=_TOLERANCE)
add("gru", _recurrent(3, 1), unknown="x h0 mask", gradient=f"x h0 {_WEIGHTS}", tolerance=_TOLERANCE)
add("simple_rnn", _recurrent(1, 1), unknown="x h0 mask", gradient=f"x h0 {_WEIGHTS}", tolerance=_TOLERANCE)
