"""Shapes, joining and cutting, constants, casts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl import ops
from unidl.backend import active
from unidl.graph.symbolic import Dim
from unidl.interchange.onnx._reading import dtype_name
from unidl.interchange.onnx._tensors import text
from unidl.interchange.onnx.importing import _host
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import operator
from unidl.interchange.onnx.importing._values import (
    as_tensor,
    dtype_of,
    enter,
    is_host,
    on_host,
    rank_of,
    shape_of,
    sizes,
)  # fmt: skip


@operator("Constant", host=True)
def _constant(call: Call) -> Any:
    for name, make in _CONSTANTS.items():
        if call.has(name):
            return make(call.get(name))
    raise call.error(f"it holds none of {', '.join(_CONSTANTS)}")


_CONSTANTS: dict[str, Any] = {
    "value": lambda v: v,
    "sparse_value": lambda v: v,
    "value_float": lambda v: np.array(v, np.float32),
    "value_floats": lambda v: np.array(v, np.float32),
    "value_int": lambda v: np.array(v, np.int64),
    "value_ints": lambda v: np.array(v, np.int64),
    "value_string": lambda v: text([v]).reshape(()),
    "value_strings": text,
}


@operator("Shape")
def _shape(call: Call, x: Any) -> Any:
    return sizes(shape_of(x)[slice(call.get("start"), call.get("end"))])


@operator("Size")
def _size(call: Call, x: Any) -> Any:
    total: Any = 1
    for d in shape_of(x):
        total = total * d
    return sizes([total]).reshape(())


# -- dtypes ----------------------------------------------------------------------------------------


def target(call: Call, to: Any) -> str:
    """The name of the dtype that an attribute `to` says; the first versions wrote it as text."""
    import onnx

    if isinstance(to, str):
        if to not in onnx.TensorProto.DataType.keys():  # noqa: SIM118
            raise call.error(f"the element type {to!r} is unknown")
        to = onnx.TensorProto.DataType.Value(to)
    return dtype_name(to)


def cast(x: Any, dtype: str, saturate: bool = True) -> Any:
    """`x` in another dtype, on the host if the engine lacks either of them."""
    have = dtype_of(x)
    if have == dtype:
        return x
    if not is_host(x) and dtype in active.dtypes:
        return ops.cast(x, dtype)
    x = on_host(x, "what is cast to a dtype that the engine lacks")
    if have == "string":
        return _from_text(x, dtype)
    if dtype == "string":
        return text([_to_text(v) for v in x.reshape(-1)]).reshape(x.shape)
    if "float8" in dtype or "float4" in dtype:
        return _to_small_float(x, dtype, saturate)
    if dtype in _SMALL_INTEGERS:
        bits, signed = _SMALL_INTEGERS[dtype]
        wide = x.astype(np.float64) if x.dtype.kind not in "iub" else x.astype(np.int64)
        wrapped = np.trunc(wide).astype(np.int64) & (2**bits - 1)
        if signed:
            wrapped = np.where(wrapped >= 2 ** (bits - 1), wrapped - 2**bits, wrapped)
        return wrapped.astype(_host.np_dtype(dtype))
    if x.dtype.type.__module__ != "numpy":  # the dtypes of ml_dtypes
        x = x.astype(np.float32)
    with np.errstate(all="ignore"):
        return _host.cast(x, dtype)


_SMALL_INTEGERS = {"int4": (4, True), "uint4": (4, False), "int2": (2, True), "uint2": (2, False)}


def _from_text(x: np.ndarray, dtype: str) -> np.ndarray:
    flat = [str(v) for v in x.reshape(-1)]
    if dtype.startswith(("int", "uint")):
        return np.array([int(v) for v in flat]).reshape(x.shape).astype(dtype)
    if dtype == "bool":
        return np.array([v not in ("", "0", "False") for v in flat]).reshape(x.shape)
    return np.array([float(v) for v in flat]).reshape(x.shape).astype(_host.np_dtype(dtype))


def _to_text(value: Any) -> str:
    if isinstance(value, (np.bool_, bool)):
        return "1" if value else "0"
    if isinstance(value, np.floating):
        return np.format_float_positional(value, trim="-") if 1e-4 <= abs(value) < 1e16 or value == 0 else str(value)
    return str(value)


def _to_small_float(x: np.ndarray, dtype: str, saturate: bool) -> np.ndarray:
    import ml_dtypes

    wanted = _host.np_dtype(dtype)
    wide = x.astype(np.float32)
    with np.errstate(all="ignore"):
        if dtype == "float8_e8m0fnu":  # powers of two, as they are rounded by default: up, zero to the least
            return np.exp2(np.ceil(np.log2(np.maximum(wide, 2.0**-127)))).astype(wanted)
        info = ml_dtypes.finfo(wanted)
        most = float(info.max)
        if saturate or dtype.startswith("float4"):
            keep_nan = np.isnan(wide)
            return np.where(keep_nan, wide, np.clip(wide, -most, most)).astype(wanted)
        return wide.astype(wanted)


@operator("Cast", host=True)
def _cast(call: Call, x: Any) -> Any:
    dtype = target(call, call.need("to"))
    if is_host(x) and any(isinstance(v, Dim) for v in (x.flat if x.dtype == object else ())):
        return x if dtype.startswith("int") else ops.cast(as_tensor(x), dtype)
    return cast(x, dtype, bool(call.get("saturate", 1)))


@operator("CastLike", host=True)
def _cast_like(call: Call, x: Any, like: Any) -> Any:
    return cast(x, dtype_of(like), bool(call.get("saturate", 1)))


# -- other views of the same elements --------------------------------------------------------------


@operator("Reshape", 5, host=True)
def _reshape(call: Call, x: Any, shape: Any) -> Any:
    return _reshaped(call, x, call.integers(shape, "the new shape"))


@operator("Reshape", 1)
def _reshape_attribute(call: Call, x: Any) -> Any:
    return _reshaped(call, x, call.need("shape"))


def _reshaped(call: Call, x: Any, shape: list[Any]) -> Any:
    have = shape_of(x)
    if not call.get("allowzero", 0):
        if any(d == 0 for d in shape[len(have) :] if not isinstance(d, Dim)):
            raise call.error(f"the shape {shape} copies a size that {list(have)} lacks")
        shape = [have[i] if not isinstance(d, Dim) and d == 0 else d for i, d in enumerate(shape)]
    elif 0 in shape and -1 in shape:
        raise call.error(f"the shape {shape} has both 0 and -1, which is ambiguous")
    if -1 in shape and 0 in shape:  # the unknown size follows from the others only if none of them is 0
        others = math.prod(d for d in shape if d not in (-1, 0))
        rest = math.prod(d for d in have if d != 0) // max(others, 1)
        shape = [rest if d == -1 else d for d in shape]
    if shape.count(-1) == 0 and any(isinstance(d, Dim) for d in shape):
        shape = _with_inferred(have, shape)
    if is_host(x) and call.ops is ops and x.dtype == object:
        return x.reshape(shape)
    return call.ops.reshape(x, tuple(shape))


def _with_inferred(have: tuple[Any, ...], shape: list[Any]) -> list[Any]:
    """Leave the only unknown size of a shape to be inferred if the tensor has just one, too: engines like that."""
    unknown = [i for i, d in enumerate(shape) if isinstance(d, Dim)]
    if len(unknown) == 1 and sum(isinstance(d, Dim) for d in have) == 1:
        return [-1 if i == unknown[0] else d for i, d in enumerate(shape)]
    return shape


@operator("Flatten", host=True)
def _flatten(call: Call, x: Any) -> Any:
    shape, axis = shape_of(x), call.get("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    before: Any = 1
    for d in shape[:axis]:
        before = before * d
    after: Any = 1
    for d in shape[axis:]:
        after = after * d
    return call.ops.reshape(x, tuple(_with_inferred(shape, [before, after])))


@operator("Squeeze", 13, host=True)
def _squeeze(call: Call, x: Any, axes: Any = None) -> Any:
    return _squeezed(call, x, None if axes is None else call.integers(axes, "the axes"))


@operator("Squeeze", 1, host=True)
def _squeeze_attribute(call: Call, x: Any) -> Any:
    return _squeezed(call, x, call.get("axes"))


def _squeezed(call: Call, x: Any, axes: list[int] | None) -> Any:
    shape = shape_of(x)
    if axes is None:
        axes = [i for i, d in enumerate(shape) if not isinstance(d, Dim) and d == 1]
    places = sorted({call.axis(a, len(shape)) for a in axes})
    if wrong := [a for a in places if not isinstance(shape[a], Dim) and shape[a] != 1]:
        raise call.error(f"axes {wrong} of a tensor of shape {list(shape)} do not have size 1")
    if any(isinstance(shape[a], Dim) for a in places):
        return call.ops.reshape(x, tuple([d for i, d in enumerate(shape) if i not in places]))
    return call.ops.squeeze(x, tuple(places)) if places else x


@operator("Unsqueeze", 13, host=True)
def _unsqueeze(call: Call, x: Any, axes: Any) -> Any:
    return _unsqueezed(call, x, call.integers(axes, "the axes"))


@operator("Unsqueeze", 1, host=True)
def _unsqueeze_attribute(call: Call, x: Any) -> Any:
    return _unsqueezed(call, x, call.need("axes"))


def _unsqueezed(call: Call, x: Any, axes: list[int]) -> Any:
    rank = rank_of(x) + len(axes)
    places = sorted(call.axis(a, rank) for a in axes)
    if len(set(places)) != len(places):
        raise call.error(f"the axes {axes} name a dimension twice")
    for a in places:
        x = call.ops.expand_dims(x, a)
    return x


@operator("Transpose", host=True)
def _transpose(call: Call, x: Any) -> Any:
    perm = call.get("perm")
    if perm is not None and sorted(perm) != list(range(rank_of(x))):
        raise call.error(f"perm {perm} does not order the {rank_of(x)} dimensions of the input")
    return call.ops.transpose(x, None if perm is None else tuple(perm))


@operator("Expand", host=True)
def _expand(call: Call, x: Any, shape: Any) -> Any:
    return expanded(call, x, call.integers(shape, "the shape"))


def expanded(call: Call, x: Any, shape: list[Any]) -> Any:
    """`x` broadcast to `shape`, whose sizes of 1 stretch, too."""
    have = [1] * (len(shape) - rank_of(x)) + list(shape_of(x))
    shape = [1] * (len(have) - len(shape)) + list(shape)
    full = [h if not isinstance(w, Dim) and w == 1 else w for h, w in zip(have, shape, strict=True)]
    return call.ops.broadcast_to(x, call.room(full))


@operator("Tile", 6, host=True)
def _tile(call: Call, x: Any, repeats: Any) -> Any:
    counts = call.integers(repeats, "the repeats")
    call.room([d * n for d, n in zip(shape_of(x), counts, strict=True)])
    return call.ops.tile(x, tuple(counts))


@operator("Tile", 1)
def _tile_one_axis(call: Call, x: Any, tiles: Any, axis: Any) -> Any:
    counts = [1] * rank_of(x)
    counts[call.axis(call.number(axis, "the axis"), rank_of(x))] = int(call.number(tiles, "the tiles"))
    return ops.tile(x, tuple(counts))


# -- joining and cutting ---------------------------------------------------------------------------


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
        each = -(-size // count)
        parts = [each] * (count - 1) + [size - each * (count - 1)]
        if parts[-1] < 0:
            raise call.error(f"{size} elements cannot be split into {count} parts of {each}")
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
        raise call.error("a negative step along a dimension of unknown size must take all of it")
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
    call.room([d + a + b for d, (a, b) in zip(shape_of(x), widths, strict=True)])
    more = [(max(a, 0), max(b, 0)) for a, b in widths]
    cut = [slice(-a if a < 0 else None, b if b < 0 else None) for a, b in widths]
    if any(a < 0 or b < 0 for a, b in widths):
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


# -- new tensors -----------------------------------------------------------------------------------


@operator("ConstantOfShape")
def _constant_of_shape(call: Call, shape: Any) -> Any:
    value = call.get("value", np.zeros(1, np.float32)).reshape(())
    dims = call.room(call.integers(shape, "the shape"))
    if any(isinstance(d, Dim) for d in dims):
        return ops.full(dims, value.item(), dtype_of(value))
    return enter(np.full(dims, value)) if math.prod(dims) > 1024 else np.full(dims, value)


@operator("ConstantFill")
def _constant_fill(call: Call, x: Any = None) -> Any:
    if x is None:
        dims = call.need("shape")
    else:
        dims = call.integers(x, "the shape") if call.get("input_as_shape", 0) else list(shape_of(x))
    return ops.full(
        call.room([*dims, *call.get("extra_shape", [])]), call.get("value", 0.0), target(call, call.get("dtype", 1))
    )


@operator("GivenTensorFill")
def _given_tensor_fill(call: Call, x: Any = None) -> Any:
    dims = call.need("shape") if x is None else list(shape_of(x))
    return np.asarray(call.need("values"), np.float32).reshape([*dims, *call.get("extra_shape", [])])


@operator("EyeLike")
def _eye_like(call: Call, x: Any) -> Any:
    rows, columns = shape_of(x)
    dtype = target(call, call.get("dtype")) if call.has("dtype") else dtype_of(x)
    return ops.eye(rows, columns, call.get("k", 0), dtype)


@operator("Range")
def _range(call: Call, start: Any, limit: Any, delta: Any) -> Any:
    parts = [on_host(v, f"{call.node}: a bound") for v in (start, limit, delta)]
    if any(p.dtype == object for p in parts):
        first, last, step = (p.reshape(()).item() for p in parts)
        if isinstance(step, Dim) or step != 1:
            raise call.error("a range up to an unknown size must have the step 1")
        count = last if not isinstance(first, Dim) and first == 0 else last - first
        return ops.add(ops.cast(ops.arange(count), "int64"), as_tensor(parts[0].reshape(())))
    first, last, step = (p.reshape(()) for p in parts)
    if step == 0:
        raise call.error("the step is 0")
    count = max(int(np.ceil((last.astype(np.float64) - first.astype(np.float64)) / step.astype(np.float64))), 0)
    call.room([count])
    return (first + np.arange(count).astype(first.dtype) * step).astype(first.dtype)


@operator("OneHot")
def _one_hot(call: Call, indices: Any, depth: Any, values: Any) -> Any:
    count = int(call.number(depth, "the depth"))
    axis = call.get("axis", -1)
    axis = axis + rank_of(indices) + 1 if axis < 0 else axis
    call.room([*shape_of(indices), count])
    places = ops.cast(indices, "int64")
    places = ops.where(ops.less(places, 0), ops.add(places, count), places)
    classes = np.arange(count, dtype=np.int64).reshape([count if i == axis else 1 for i in range(rank_of(indices) + 1)])
    hot = ops.equal(ops.expand_dims(places, axis), classes)
    off, on = ops.split(values, 2, 0)
    return ops.where(hot, on, off)


@operator("Trilu")
def _trilu(call: Call, x: Any, k: Any = None) -> Any:
    offset = 0 if k is None else int(call.number(k, "the diagonal"))
    rows, columns = shape_of(x)[-2:]
    down = ops.expand_dims(ops.arange(rows), 1)
    across = ops.subtract(ops.arange(columns), max(min(offset, _FAR // 2), -_FAR // 2))
    kept = ops.less_equal(down, across) if call.get("upper", 1) else ops.greater_equal(down, across)
    return ops.where(kept, x, ops.zeros_like(x))


# -- blocks ----------------------------------------------------------------------------------------


@operator("DepthToSpace")
def _depth_to_space(call: Call, x: Any) -> Any:
    block = call.need("blocksize")
    n, channels, height, width = shape_of(x)
    if call.get("mode", "DCR") == "DCR":
        parts = ops.reshape(x, (n, block, block, channels // block**2, height, width))
        order = (0, 3, 4, 1, 5, 2)
    else:
        parts = ops.reshape(x, (n, channels // block**2, block, block, height, width))
        order = (0, 1, 4, 2, 5, 3)
    return ops.reshape(ops.transpose(parts, order), (n, channels // block**2, height * block, width * block))


@operator("SpaceToDepth")
def _space_to_depth(call: Call, x: Any) -> Any:
    block = call.need("blocksize")
    n, channels, height, width = shape_of(x)
    parts = ops.reshape(x, (n, channels, height // block, block, width // block, block))
    order = (0, 3, 5, 1, 2, 4) if call.get("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    return ops.reshape(ops.transpose(parts, order), (n, channels * block**2, height // block, width // block))


@operator("ReverseSequence")
def _reverse_sequence(call: Call, x: Any, lengths: Any) -> Any:
    time, batch = call.get("time_axis", 0), call.get("batch_axis", 1)
    moved = ops.moveaxis(x, (batch, time), (0, 1))
    steps = ops.expand_dims(ops.arange(shape_of(moved)[1], dtype="int64"), 0)
    ends = ops.expand_dims(ops.cast(lengths, "int64"), 1)
    places = ops.where(ops.less(steps, ends), ops.subtract(ops.subtract(ends, 1), steps), steps)
    places = ops.reshape(places, (*shape_of(places), *[1] * (rank_of(x) - 2)))
    turned = ops.take_along_axis(moved, ops.broadcast_to(places, shape_of(moved)), 1)
    return ops.moveaxis(turned, (0, 1), (batch, time))
