"""Shapes, and other views of the same elements."""

from __future__ import annotations

import math
from typing import Any

from unidl import ops
from unidl.graph.symbolic import Dim
from unidl.interchange.onnx.importing._calls import Call
from unidl.interchange.onnx.importing._table import MICROSOFT, operator
from unidl.interchange.onnx.importing._values import is_host, rank_of, shape_of, sizes


@operator("Shape")
def _shape(call: Call, x: Any) -> Any:
    return sizes(shape_of(x)[slice(call.get("start"), call.get("end"))])


@operator("Size")
def _size(call: Call, x: Any) -> Any:
    total: Any = 1
    for d in shape_of(x):
        total = total * d
    return sizes([total]).reshape(())


@operator("Reshape", 5, host=True, shape_from=1)
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


@operator("Expand", host=True, shape_from=1)
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


@operator("ExpandDims", domain=MICROSOFT, host=True)
def _expand_dims(call: Call, x: Any, axis: Any) -> Any:
    return call.ops.expand_dims(x, int(call.number(axis, "the axis")))
