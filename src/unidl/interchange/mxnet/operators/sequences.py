"""Batches of sequences of several lengths."""

from __future__ import annotations

from unidl.interchange.mxnet._table import Call, operator
from unidl.interchange.mxnet._writer import Value


def _inside(c: Call, x: Value, length: Value, axis: int) -> Value:
    """Whether a step belongs to its sequence, (time, batch, 1, …) or (batch, time, 1, …)."""
    w, rank = c.w, c.rank(x)
    count = w.size(x, axis)
    end = w.constant(count, "int64") if isinstance(count, int) else w.squeeze(count, 0)
    steps = w.unsqueeze(w.node("Range", w.constant(0), end, w.constant(1)), 1 - axis)
    inside = w.node("Less", steps, w.unsqueeze(w.cast(length, "int64"), axis))
    return w.unsqueeze(inside, *range(2, rank)) if rank > 2 else inside


@operator("SequenceMask _npx_sequence_mask")
def _sequence_mask(c: Call, x: Value, length: Value | None = None) -> Value:
    if length is None or not c.flag("use_sequence_length"):
        return x
    return c.w.node("Where", _inside(c, x, length, c.integer("axis", 0)), x, c.w.number(c.real("value", 0.0), x))


@operator("SequenceLast")
def _sequence_last(c: Call, x: Value, length: Value | None = None) -> Value:
    w, axis = c.w, c.integer("axis", 0)
    if length is None or not c.flag("use_sequence_length"):
        return w.node("Gather", x, w.constant(-1), axis=axis)
    steps = x if axis == 1 else w.transpose(x, (1, 0, *range(2, c.rank(x))))
    last = w.node("Sub", w.cast(length, "int64"), w.constant(1))
    return w.node("GatherND", steps, w.unsqueeze(last, 1), batch_dims=1)


@operator("SequenceReverse")
def _sequence_reverse(c: Call, x: Value, length: Value | None = None) -> Value:
    w, axis = c.w, c.integer("axis", 0)
    if length is None or not c.flag("use_sequence_length"):
        far = -(2**63) + 1
        return w.slice(x, axis, -1, far, -1)
    return w.node("ReverseSequence", x, w.cast(length, "int64"), time_axis=axis, batch_axis=1 - axis)
