"""Joining, cutting and padding."""

from __future__ import annotations

from typing import Any

import numpy as np

from unidl import ops
from unidl.graph.symbolic import Dim
from unidl.interchange.onnx._structures import DataDependentError
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, operator
from unidl.interchange.onnx.importing._values import as_tensor, dtype_of, rank_of, shape_of
from unidl.interchange.onnx.importing.stretching import pad_unknown


@operator("Concat", host=True)
def _concat(call: Call, *xs: Any) -> Any:
    axis = call.axis(call.get("axis", 1), rank_of(xs[0]))
    if call.ops is ops:
        xs = tuple(as_tensor(x) for x in xs)
    return xs[0] if len(xs) == 1 else call.ops.concatenate(list(xs), axis)


@operator("Split", 13, host=True)
def _split(call: Call, x: Any, split: Any = None) -> Any:
    return split_parts(call, x, None if split is None else call.integers(split, "the sizes"))


@operator("Split", 2)
def _split_attribute(call: Call, x: Any) -> Any:
    return split_parts(call, x, call.get("split"))


@operator("Split", 1)
def _split_first(call: Call, x: Any, split: Any = None) -> Any:
    return split_parts(call, x, call.get("split") if split is None else call.integers(split, "the sizes"))


def split_parts(call: Call, x: Any, parts: list[int] | None) -> tuple[Any, ...]:
    axis = call.axis(call.get("axis", 0), rank_of(x))
    if parts is None:
        size, count = shape_of(x)[axis], call.get("num_outputs", len(call.node.outputs))
        if isinstance(size, Dim):
            return tuple(ops.split(x, count, axis))
        if count < 1:
            raise call.error(f"num_outputs must be at least 1, not {count}")
        each = -(-size // count)
        last = size - each * (count - 1)
        if last < 0 or count > max(size, len(call.node.outputs)):
            raise call.error(f"{size} elements cannot be split into {count} parts of {each}")
        parts = [each] * (count - 1) + [last]
    elif not isinstance(shape_of(x)[axis], Dim) and sum(parts) != shape_of(x)[axis]:
        raise call.error(f"the sizes {parts} do not add up to {shape_of(x)[axis]}")
    return tuple(call.ops.split(x, np.cumsum(parts[:-1]).tolist(), axis)) if len(parts) > 1 else (x,)


@operator("Slice", 10, host=True)
def _slice(call: Call, x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
    first, last = call.integers(starts, "the starts"), call.integers(ends, "the ends")
    places = list(range(len(first))) if axes is None else call.integers(axes, "the axes")
    return sliced(
        call, x, first, last, places, [1] * len(first) if steps is None else call.integers(steps, "the steps")
    )


@operator("DynamicSlice", host=True)
def _dynamic_slice(call: Call, x: Any, starts: Any, ends: Any, axes: Any = None) -> Any:
    return _slice(call, x, starts, ends, axes)


@operator("Slice", 1, host=True)
def _slice_attributes(call: Call, x: Any) -> Any:
    starts, ends = call.need("starts"), call.need("ends")
    return sliced(call, x, starts, ends, call.get("axes", range(len(starts))), [1] * len(starts))


_FAR = 2**31 - 1


def sliced(call: Call, x: Any, starts: Any, ends: Any, axes: Any, steps: Any) -> Any:
    """The part of `x` that ONNX's bounds mean: they are clamped, and may lie far outside."""
    shape = shape_of(x)
    key: list[Any] = [slice(None)] * len(shape)
    flips = []
    for start, end, place, step in zip(starts, ends, axes, steps, strict=True):
        axis = call.axis(place, len(shape))
        size = shape[axis]
        if any(isinstance(v, Dim) for v in (start, end, size)):
            key[axis] = _open_slice(call, start, end, size, step)
            continue
        if step == 0:
            raise call.error("a step is 0")
        bounds = slice(start, None if step < 0 and end < -size else end, step).indices(size)
        chosen = range(*bounds)
        if step > 0:
            key[axis] = slice(bounds[0], max(bounds[0], bounds[1]), step)
        elif len(chosen):  # engines have no negative steps: the same elements forwards, then turned round
            key[axis] = slice(chosen[-1], chosen[0] + 1, -step)
            flips.append(axis)
        else:
            key[axis] = slice(0, 0)
    x = call.ops.getitem(x, tuple(key))
    return call.ops.flip(x, tuple(flips)) if flips else x


def _open_slice(call: Call, start: Any, end: Any, size: Any, step: int) -> slice:
    """A slice along a dimension whose size is not known."""
    if step < 0:
        if not isinstance(end, Dim) and not isinstance(start, Dim) and start in (-1, _FAR) and end <= -_FAR:
            return slice(None, None, step)
        raise DataDependentError(f"{call.node}: a part of a dimension of unknown size is read backwards.")
    if not isinstance(end, Dim) and end >= _FAR:
        end = None
    return slice(None if not isinstance(start, Dim) and start == 0 else start, end, step)


@operator("Crop")
def _crop(call: Call, x: Any) -> Any:
    left, top, right, bottom = call.need("border")
    height, width = shape_of(x)[2:]
    if call.has("scale"):
        height, width = top + call.get("scale")[0], left + call.get("scale")[1]
        return ops.getitem(x, (slice(None), slice(None), slice(top, height), slice(left, width)))
    return ops.getitem(x, (slice(None), slice(None), slice(top, height - bottom), slice(left, width - right)))


@operator("CenterCropPad")
def _center_crop_pad(call: Call, x: Any, shape: Any) -> Any:
    axes = call.get("axes", list(range(rank_of(x))))
    for axis, want in zip(axes, call.integers(shape, "the shape"), strict=True):
        place = call.axis(axis, rank_of(x))
        have = shape_of(x)[place]
        if want < have:
            start = (have - want) // 2
            x = ops.getitem(x, (*[slice(None)] * place, slice(start, start + want)))
        elif want > have:
            before = (want - have) // 2
            widths = [(0, 0)] * rank_of(x)
            widths[place] = (before, want - have - before)
            call.room([*shape_of(x)[:place], want, *shape_of(x)[place + 1 :]])
            x = ops.pad(x, tuple(widths))
    return x


_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "edge", "wrap": "wrap"}


@operator("Pad", 11)
@operator("Pad", domain=MICROSOFT)
def _pad(call: Call, x: Any, pads: Any, value: Any = None, axes: Any = None) -> Any:
    places = None if axes is None else call.integers(axes, "the axes")
    fill = None if value is None else call.array(value, "the constant").reshape(()).item()
    return padded(call, x, call.integers(pads, "the pads"), fill, places)


@operator("Pad", 1)
def _pad_attributes(call: Call, x: Any) -> Any:
    return padded(call, x, call.get("pads") or call.need("paddings"), call.get("value", 0.0), None)


def padded(call: Call, x: Any, pads: list[int], fill: Any, axes: list[int] | None) -> Any:
    """`x` with elements added, or cut off where a pad is negative."""
    mode = call.get("mode", "constant")
    if mode not in _PAD_MODES:
        raise call.error(f"the mode {mode!r} is unknown; known are {', '.join(_PAD_MODES)}")
    rank = rank_of(x)
    places = list(range(rank)) if axes is None else [call.axis(a, rank) for a in axes]
    if len(pads) != 2 * len(places):
        raise call.error(f"there are {len(pads)} pads for {len(places)} axes; two for each are expected")
    widths = [(0, 0)] * rank
    for i, axis in enumerate(places):
        widths[axis] = (pads[i], pads[i + len(places)])
    x, known = pad_unknown(x, widths, mode, _fill(fill, dtype_of(x)))
    call.room([d + a + b for d, (a, b) in zip(shape_of(x), known, strict=True)])
    more = [(max(a, 0), max(b, 0)) for a, b in known]
    cut = [slice(-a if a < 0 else None, b if b < 0 else None) for a, b in known]
    if any(a < 0 or b < 0 for a, b in known):
        x = ops.getitem(x, tuple(cut))
    if not any(a or b for a, b in more):
        return x
    if mode == "constant":
        return ops.pad(x, tuple(more), "constant", _fill(fill, dtype_of(x)))
    return ops.pad(x, tuple(more), mode)


def _fill(value: Any, dtype: str) -> Any:
    if value is None:
        return None
    return bool(value) if dtype == "bool" else float(value) if dtype.startswith(("float", "bfloat")) else int(value)


@operator("UnfoldTensor", domain=MICROSOFT)
def _unfold(call: Call, x: Any) -> Any:
    """Slices along a dimension; their elements come along a new one at the end."""
    axis = call.axis(call.get("dim", -1), rank_of(x), "dim")
    step, size = call.get("step", 1), call.need("size")
    count = (shape_of(x)[axis] - size) // step + 1
    before = [slice(None)] * axis
    parts = [ops.getitem(x, (*before, slice(i, i + (count - 1) * step + 1, step))) for i in range(size)]
    return ops.stack(parts, -1)
