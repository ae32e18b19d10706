"""Caches of keys and values, as `GroupQueryAttention` of onnxruntime has them: whole or of a window, quantized or not.

Between reading and storing, a cache is an array of floats (batch, heads, room, size): the numbers themselves, or the
whole numbers they are quantized to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from unidl import ops
from unidl.graph.symbolic import Dim
from unidl.interchange.onnx._structures import DataDependentError
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._values import dtype_of, shape_of
from unidl.interchange.onnx.importing.embeddings import parts_of_bytes

#: The place of a row of a cache that holds nothing: no query may see it.
NOWHERE = 2**40

#: The cache after the step, what the queries may see of keys and values, and the places of these: (batch or 1, keys).
Cached = tuple[list[Any], list[Any], Any]


@dataclass(frozen=True)
class Form:
    """How numbers are kept: as they are (no scale), as 8 bits, or as 4 bits, two in a byte.

    Attributes:
        scale: by which whole numbers are multiplied; it has a shape that meets (batch, heads, time, size).
        bits: of a whole number.
    """

    scale: Any = None
    bits: int = 8

    def codes(self, x: Any) -> Any:
        """Numbers as they are kept."""
        if self.scale is None:
            return x
        high = float(2 ** (self.bits - 1))
        return ops.clip(ops.round(ops.divide(ops.cast(x, "float32"), self.scale)), -high, high - 1)

    def values(self, codes: Any) -> Any:
        """The numbers that `codes` made whole ones of."""
        return codes if self.scale is None else ops.multiply(codes, self.scale)

    def read(self, cache: Any) -> Any:
        """The codes in a cache."""
        if self.scale is None:
            return cache
        return ops.cast(cache, "float32") if self.bits == 8 else ops.subtract(parts_of_bytes(cache, self.bits), 8.0)

    def stored(self, codes: Any) -> Any:
        """The cache of these codes."""
        if self.scale is None:
            return codes
        if self.bits == 8:
            return ops.cast(codes, "int8")
        *before, size = shape_of(codes)
        pairs = ops.reshape(ops.add(codes, 8.0), (*before, size // 2, 2))
        low, high = ops.getitem(pairs, (..., 0)), ops.getitem(pairs, (..., 1))
        return ops.cast(ops.add(low, ops.multiply(high, 16.0)), "uint8")


def cache_form(call: Call, which: str, past: Any, scale: Any) -> Form:
    """The form of the cache of keys ("k") or values ("v").

    Raises:
        OnnxError: for one that onnxruntime's processors lack, too.
    """
    kind = call.get(f"{which}_quant_type", "NONE")
    if kind == "NONE":
        return Form()
    bits = call.get("kv_cache_bit_width", 8) or 8
    dtype = None if past is None else dtype_of(past)
    if scale is None or dtype not in (None, {8: "int8", 4: "uint8"}.get(bits)):
        raise call.error(
            f"a cache that is quantized ({kind}) has 8 bits in int8 or 4 bits in uint8, and a scale; "
            f"this one has {bits} bits in {dtype} and {'no' if scale is None else 'a'} scale"
        )
    return Form(ops.cast(scale, "float32"), bits)


def _sizes(call: Call, *sizes: Any) -> None:
    if any(isinstance(s, Dim) for s in sizes):
        raise DataDependentError(f"{call.node}: the length of the cache is known only when the model runs.")


def full(call: Call, new: list[Any], past: list[Any], ends: Any, counts: Any, longest: Any) -> Cached:
    """A cache in which row i holds place i: the `counts` new steps come behind those of before."""
    if past[0] is None:
        present = new
    else:
        have, steps = shape_of(past[0])[2], shape_of(new[0])[2]
        _sizes(call, have, steps, longest)
        columns = ops.arange(max(have, longest), dtype="int64")
        step = ops.subtract(columns, ops.subtract(ends, counts))
        fresh = ops.logical_and(ops.greater_equal(step, 0), ops.less(step, counts))
        kept = ops.minimum(columns, max(have - 1, 0))
        source = ops.where(fresh, ops.add(step, have), ops.add(kept, ops.zeros_like(step)))
        present = [_rows(old, x, source) for old, x in zip(past, new, strict=True)]
    seen = [ops.getitem(x, (slice(None), slice(None), slice(0, longest))) for x in present]
    return present, seen, ops.expand_dims(ops.arange(shape_of(seen[0])[2], dtype="int64"), 0)


def windowed(call: Call, new: list[Any], past: list[Any], ends: Any, counts: Any, longest: Any) -> Cached:
    """A cache of the newest rows: place ``held - L(held) + i`` is in row i, if `held` steps were there before.

    How many rows L that is follows from the number of steps alone; see the description of the operator in onnxruntime.
    """
    window = call.get("local_window_size", -1)
    if past[0] is None or window < 1:
        raise call.error("a cache of a window (sliding_window_cache) needs past keys and a local_window_size")
    room, steps = shape_of(past[0])[2], shape_of(new[0])[2]
    _sizes(call, room, steps)
    if room < window:
        raise call.error(f"a cache of {room} rows cannot hold a window of {window} steps")
    before = ops.subtract(ends, counts)
    held, holds = _resident(before, room, window), _resident(ends, room, window)
    columns = ops.expand_dims(ops.arange(room, dtype="int64"), 0)
    start = ops.subtract(before, held)
    old = ops.where(ops.less(columns, held), ops.add(columns, start), NOWHERE)
    places = ops.concatenate([old, ops.add(ops.expand_dims(ops.arange(steps, dtype="int64"), 0), before)], 1)
    wanted = ops.add(ops.subtract(ends, holds), columns)
    source = ops.where(
        ops.greater_equal(wanted, before), ops.add(ops.subtract(wanted, before), room), ops.subtract(wanted, start)
    )
    source = ops.clip(source, 0, room + steps - 1)  # rows behind the last one may hold anything
    present = [_rows(old, x, source) for old, x in zip(past, new, strict=True)]
    return present, [ops.concatenate([old, x], 2) for old, x in zip(past, new, strict=True)], places


def _resident(count: Any, room: int, window: int) -> Any:
    """How many rows are there after `count` steps: L of onnxruntime's description."""
    gap = room - window + 1
    rounds = ops.floor_divide(ops.add(ops.maximum(ops.subtract(count, room), 0), gap - 1), gap)
    return ops.subtract(count, ops.multiply(rounds, gap))


def _rows(past: Any, new: Any, source: Any) -> Any:
    """Rows `source` (batch, room) of old and new ones together."""
    return ops.take_along_axis(ops.concatenate([past, new], 2), ops.expand_dims(source, (1, 3)), 2)


def bias_at(bias: Any, places: Any) -> Any:
    """What is added to scores, (batch or 1, heads or 1, steps, all places), for keys at `places` (batch, keys)."""
    places = ops.clip(places, 0, shape_of(bias)[-1] - 1)
    wide = ops.broadcast_to(bias, (shape_of(places)[0], *shape_of(bias)[1:]))
    return ops.take_along_axis(wide, ops.expand_dims(places, (1, 2)), 3)


__all__ = ["Form", "bias_at", "cache_form", "full", "windowed"]
