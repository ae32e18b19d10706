"""The way through time: a step taken for each slice of a sequence, with states that go from step to step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from unidl import ops
from unidl._state import state
from unidl.backend import active
from unidl.backend.attributes import require

#: ``step(x_t, states) -> output, new states``, states as a flat list.
Step = Callable[[Any, list[Any]], tuple[Any, list[Any]]]

#: Engines that compile graphs of known shapes only get the steps one after the other, up to this number.
UNROLLED = 256


def through_time(
    step: Step, x: Any, states: Sequence[Any], mask: Any = None, unroll: bool = False, start: Any = None
) -> tuple[Any, list[Any]]:
    """Take `step` for each x[:, t].

    Args:
        x: (batch, time, …).
        states: those before the first step.
        mask: bool (batch, time) or None. Where it is False the states stay, and the output is the previous one.
        unroll: record one step after the other instead of a loop. Needs a known number of steps.
        start: the output before the first step, where a mask needs it; None: zeros like the first state.

    Returns:
        All outputs (batch, time, …), and the last states.
    """
    time = x.shape[1]
    require(time != 0, f"has no steps to go through in an input of shape {tuple(x.shape)}.")
    one_by_one = unroll or state.trace is None or (active.static_shapes and (time or 0) <= UNROLLED)
    if isinstance(time, int) and one_by_one:
        return _one_by_one(step, x, list(states), mask)
    return _scanned(step, x, list(states), mask, start)


def _one_by_one(step: Step, x: Any, states: list[Any], mask: Any) -> tuple[Any, list[Any]]:
    keeps = None if mask is None else ops.unstack(mask, axis=1)
    outputs: list[Any] = []
    for t, x_t in enumerate(ops.unstack(x, axis=1)):
        output, new = step(x_t, states)
        if keeps is not None:
            output = _kept(keeps[t], output, outputs[-1] if outputs else ops.zeros_like(output))
            new = [_kept(keeps[t], n, s) for n, s in zip(new, states, strict=True)]
        outputs.append(output)
        states = new
    return ops.stack(outputs, 1), states


def _scanned(step: Step, x: Any, states: list[Any], mask: Any, start: Any) -> tuple[Any, list[Any]]:
    slices = [ops.swapaxes(x, 0, 1)]
    if mask is None:

        def plain(carry: Any, now: Any) -> Any:
            output, new = step(now[0], list(carry))
            return new, output

        last, outputs = ops.scan(plain, states, slices)
        return ops.swapaxes(outputs, 0, 1), list(last)

    def masked(carry: Any, now: Any) -> Any:
        x_t, keep = now
        previous, *old = carry
        output, new = step(x_t, old)
        output = _kept(keep, output, previous)
        return [output, *(_kept(keep, n, s) for n, s in zip(new, old, strict=True))], output

    first = ops.zeros_like(states[0]) if start is None else start
    last, outputs = ops.scan(masked, [first, *states], [*slices, ops.swapaxes(mask, 0, 1)])
    return ops.swapaxes(outputs, 0, 1), list(last[1:])


def _kept(keep: Any, new: Any, old: Any) -> Any:
    """`new` where `keep` (batch,) holds, else `old`."""
    return ops.where(along(keep, len(new.shape)), new, old)


def along(mask: Any, rank: int) -> Any:
    """`mask` with axes of size 1 added behind, so that it has `rank` of them."""
    have = len(mask.shape)
    return ops.expand_dims(mask, tuple(range(have, rank))) if have < rank else mask
