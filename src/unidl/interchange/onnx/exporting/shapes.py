"""Creation and rearranging."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from unidl.backend.attributes import copied_places, pad_pairs
from unidl.graph.symbolic import Dim
from unidl.interchange.onnx.exporting._emit import Emit, since
from unidl.interchange.onnx.exporting._writer import Value, Writer
from unidl.ops._declare import axes_tuple

_FARTHEST = np.iinfo("int64").max


def _rank(x: Value) -> int:
    return len(x.shape)


def filled(w: Writer, sizes: Value, number: float, dtype: str) -> Value:
    """A tensor of one number; `sizes` is its shape as a vector."""
    wide = "float32" if dtype == "bfloat16" else dtype
    value = w.helper.make_tensor("value", w.type(wide), [1], [number])
    result = w.cast(w.node("ConstantOfShape", sizes, dtype=wide, value=value), dtype)
    if number == 0:
        w.zeros.add(result)
    return result


def _fill(number: float) -> Emit:
    def emit(w: Writer, shape: Any, dtype: Any = None) -> Value:
        return filled(w, w.sizes(shape), number, w.specs[0].dtype)

    return emit


def _fill_like(number: float) -> Emit:
    def emit(w: Writer, x: Value, dtype: Any = None) -> Value:
        return filled(w, w.shape(x), number, w.specs[0].dtype)

    return emit


def arange(w: Writer, start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Value:
    if stop is None:
        start, stop = 0, start
    parts = (start, stop, 1 if step is None else step)
    want = w.specs[0].dtype
    kind = "float32" if any(isinstance(p, float) for p in parts) else "int64"
    numbers = w.node("Range", *(w.scalar(p, kind) for p in parts), dtype=kind)
    return w.cast(numbers, want)


def reshape(w: Writer, x: Value, newshape: Any) -> Value:
    items = [newshape] if isinstance(newshape, (int, Dim)) else list(newshape)
    known = w.specs[0].shape
    shape: list[Any] = []
    for place, (item, size) in enumerate(zip(items, known, strict=True)):
        if size is not None:
            shape.append(size)
        elif isinstance(item, Dim) and item.kind == "size" and item.args == (x, place):
            shape.append("same")
        else:
            shape.append(item)
    empty = 0 in known or 0 in x.shape
    left = [i for i, d in enumerate(shape) if not isinstance(d, int) or d == -1]
    others = [i for i in left if shape[i] != "same"]
    if not empty and len(others) <= 1:  # sizes that are taken over are 0, one other is -1: the target is a constant
        target = [0 if d == "same" else -1 if i in others else d for i, d in enumerate(shape)]
        return w.node("Reshape", x, np.asarray(target, "int64"))
    sizes = w.sizes([items[i] if d == "same" else d for i, d in enumerate(shape)])
    return w.node("Reshape", x, sizes, allowzero=1 if empty and w.opset >= 14 else None)


def transpose(w: Writer, x: Value, axes: Any = None) -> Value:
    rank = _rank(x)
    return w.transpose(x, [a % rank for a in axes] if axes is not None else range(rank)[::-1])


def expand_dims(w: Writer, x: Value, axis: Any) -> Value:
    axes = list(axis) if isinstance(axis, (tuple, list)) else [axis]
    rank = _rank(x) + len(axes)
    return w.unsqueeze(x, sorted(a % rank for a in axes))


def squeeze(w: Writer, x: Value, axis: Any = None) -> Value:
    shape = x.shape
    return w.squeeze(x, [i for i, d in enumerate(shape) if d == 1] if axis is None else axes_tuple(axis, len(shape)))


def broadcast_to(w: Writer, x: Value, shape: Any) -> Value:
    return w.node("Expand", x, w.sizes(shape))


def concatenate(w: Writer, xs: list[Value], axis: int = 0) -> Value:
    return w.node("Concat", *xs, axis=axis)


def split(w: Writer, x: Value, indices_or_sections: Any, axis: int = 0) -> list[Value]:
    axis %= _rank(x)
    size, count = x.shape[axis], len(w.specs)
    if isinstance(indices_or_sections, int):
        if size is None:
            more = {"num_outputs": count} if w.opset >= 18 else {}
            return w.nodes("Split", [x], [x.dtype] * count, axis=axis, **more)
        sizes = [size // count] * count
    else:
        ends = [0, *(int(i) for i in indices_or_sections)]
        if size is None or any(a > b for a, b in zip(ends, [*ends[1:], size])) or min(ends) < 0:
            pairs = zip(ends, [*ends[1:], _FARTHEST])
            return [w.slice(x, axis, a, b) for a, b in pairs]
        sizes = [b - a for a, b in zip(ends, [*ends[1:], size])]
    if count == 1:
        return [w.node("Identity", x)]
    return w.nodes("Split", [x, np.asarray(sizes, "int64")], [x.dtype] * count, axis=axis)


def pad(w: Writer, x: Value, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Value:
    pairs = pad_pairs(pad_width, _rank(x))
    if not any(map(any, pairs)):
        return x
    if mode == "constant":
        widths = np.asarray([a for a, _ in pairs] + [b for _, b in pairs], "int64")
        wide = w.cast(x, "int32") if x.dtype == "bool" else w.wide(x)
        number = w.constant(constant_values or 0, wide.dtype)
        return w.cast(w.node("Pad", wide, widths, number), x.dtype)
    shape = list(x.shape)
    for axis, (before, after) in enumerate(pairs):
        if before or after:
            x, size = _copied(w, x, axis, before, after, mode), shape[axis]
            shape[axis] = None if size is None else size + before + after
            x.shape = tuple(shape)
    return x


def _copied(w: Writer, x: Value, axis: int, before: int, after: int, mode: str) -> Value:
    """`x` with copies of its elements before and after along an axis; see `copied_places`."""
    size = x.shape[axis]
    if size is not None:
        return w.node("Gather", x, np.asarray(copied_places(size, before, after, mode), "int64"), axis=axis)

    def number(value: int) -> Value:
        return w.constant(value, "int64")

    n = w.squeeze(w.dim(x, axis), [0])
    places = w.node("Range", number(-before), w.node("Add", n, number(after)), number(1))
    if mode == "edge":
        last = w.node("Sub", n, number(1))
        places = w.node("Min", w.node("Max", places, number(0)), last)
    elif mode == "wrap":
        places = w.node("Mod", places, n)
    else:
        more = int(mode == "symmetric")
        period = w.node("Add", w.node("Mul", n, number(2)), number(2 * more - 2))
        period = w.node("Max", period, number(1))
        there = w.node("Mod", places, period)
        back = w.node("Sub", w.node("Sub", period, there), number(more))
        places = w.node("Min", there, back)
    return w.node("Gather", x, places, axis=axis)


def repeat(w: Writer, x: Value, repeats: int, axis: int | None = None) -> Value:
    shape = x.shape
    if axis is None:
        x, shape, axis = w.node("Reshape", x, np.asarray([-1])), (w.specs[0].shape[0] and math.prod(shape),), 0  # type: ignore[arg-type]
    axis %= len(shape)
    size = shape[axis]
    if repeats == 0:  # onnxruntime's Expand does not spread to no elements
        return w.slice(x, axis, 0, 0)
    if size is not None:
        return w.node("Gather", x, np.repeat(np.arange(size), repeats), axis=axis)
    places = w.node("Range", w.constant(0, "int64"), w.squeeze(w.dim(x, axis), [0]), w.constant(1, "int64"))
    columns = w.node("Expand", w.unsqueeze(places, [1]), np.asarray([1, repeats], "int64"))
    return w.node("Gather", x, w.node("Reshape", columns, np.asarray([-1])), axis=axis)


def repeat_each(w: Writer, x: Value, repeats: Value, axis: int) -> Value:
    """Element r of the result is the first of `x` up to which more than r repetitions are counted."""
    counts = w.node("Expand", w.cast(repeats, "int64"), w.dim(x, axis % _rank(x)))
    ends = w.node("CumSum", counts, w.constant(0, "int64"))
    total = w.reduce("ReduceSum", counts, [0])
    places = w.node("Range", w.constant(0, "int64"), total, w.constant(1, "int64"))
    past = w.node("LessOrEqual", w.unsqueeze(ends, [0]), w.unsqueeze(places, [1]), dtype="bool")
    found = w.reduce("ReduceSum", w.cast(past, "int64"), [1])
    return w.node("Gather", x, found, axis=axis % _rank(x))


def flip(w: Writer, x: Value, axis: Any = None) -> Value:
    axes = np.asarray(axes_tuple(axis, _rank(x)), "int64")
    if not axes.size:
        return x
    ones = np.ones_like(axes)
    return w.node("Slice", x, -ones, -_FARTHEST * ones, axes, -ones)


def random_uniform(w: Writer, shape: Any, dtype: Any = None, generator: Any = None) -> Value:
    return _drawn(w, "RandomUniformLike", shape)


def random_normal(w: Writer, shape: Any, dtype: Any = None, generator: Any = None) -> Value:
    return _drawn(w, "RandomNormalLike", shape)


def _drawn(w: Writer, op_type: str, shape: Any) -> Value:
    return w.node(op_type, filled(w, w.sizes(shape), 0, w.specs[0].dtype))


def depth_to_space(w: Writer, x: Value, block_size: int, data_format: str = "channels_last") -> Value:
    if data_format != "channels_first":
        return NotImplemented
    return w.node("DepthToSpace", x, blocksize=block_size, mode="CRD")


def tile(w: Writer, x: Value, repeats: Any) -> Value:
    times = list(repeats) if isinstance(repeats, (tuple, list)) else [repeats]
    rank = max(_rank(x), len(times))
    x = w.unsqueeze(x, range(rank - _rank(x)))
    return w.node("Tile", x, w.sizes([1] * (rank - len(times)) + times))


def _triangle(upper: int) -> Emit:
    @since(14)
    def emit(w: Writer, x: Value, k: int = 0) -> Value:
        wide = w.cast(x, "int32") if x.dtype == "bool" else w.wide(x)
        return w.cast(w.node("Trilu", wide, w.constant(k, "int64"), upper=upper), x.dtype)

    return emit


TABLE: dict[str, Emit] = {
    "zeros": _fill(0),
    "ones": _fill(1),
    "zeros_like": _fill_like(0),
    "ones_like": _fill_like(1),
    "arange": arange,
    "reshape": reshape,
    "transpose": transpose,
    "expand_dims": expand_dims,
    "squeeze": squeeze,
    "broadcast_to": broadcast_to,
    "concatenate": concatenate,
    "split": split,
    "pad": pad,
    "repeat": repeat,
    "repeat_each": repeat_each,
    "flip": flip,
    "random_uniform": random_uniform,
    "random_normal": random_normal,
    "depth_to_space": depth_to_space,
    "tile": tile,
    "tril": _triangle(0),
    "triu": _triangle(1),
}
