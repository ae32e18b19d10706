"""Cases of recurrent ops and of connectionist temporal classification."""

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


def _labelled(r: Draw) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    """Labels, logits, both lengths, and the class for none; some examples too short for their labels."""
    batch, time, classes, most = (
        r.integer(1, 3),
        r.integer(1, 6),
        r.integer(2, 4),
        r.integer(0 if not r.smooth else 1, 3),
    )
    blank = r.integer(0, classes - 1)
    labels = r.numbers.integers(0, classes - 1, (batch, most))
    labels = (labels + (labels >= blank)).astype(r.choice("int32", "int64"))
    lengths = r.numbers.integers(0, most + 1, batch).astype("int32")
    times = r.numbers.integers(0, time + 1, batch).astype("int32")
    if r.smooth:  # as many steps as are needed
        times = np.full(batch, time, "int32")
        lengths = np.minimum(lengths, (time + 1) // 2).astype("int32")
    return labels, r.array((batch, time, classes)), lengths, times, blank


def _decoded(r: Draw) -> tuple[Any, ...]:
    _, logits, _, times, blank = _labelled(r)
    logits = r.array(logits.shape, distinct=True)
    return logits, times, r.choice("greedy", "beam_search"), r.choice(3, 100), r.integer(1, 3), r.flag(), blank


def _searched(r: Draw) -> tuple[Any, ...]:
    logits, times, _, width, paths, _, blank = _decoded(r)
    return logits, times, width, paths, blank


add("ctc_loss", _labelled, unknown="output", refuses=True, gradient="output", tolerance=Tolerance(8, True))
add("ctc_decode", _decoded, ("float32", "float64"), refuses=True, tolerance=_TOLERANCE)
add("ctc_beam_search", _searched, ("float32", "float64"), tolerance=_TOLERANCE)
